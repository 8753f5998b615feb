"""The commands of an instructor: seed, release, collect, grade, feedback, grades, return."""

import argparse
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

from rnnlib.coursework.grading import box, course, export, pages, platforms, records, remarks, seed


def main() -> None:
    """Do what the command line says."""
    asked = _parser().parse_intermixed_args()
    root = Path(asked.course).resolve()
    try:
        for line in COMMANDS[asked.command](root, asked):
            print(printable(line))
    except RuntimeError as error:
        sys.exit(printable(str(error)))
    except KeyboardInterrupt:
        print("Interrupted. What is done is stored: the same command goes on from here.", file=sys.stderr, flush=True)
        os._exit(130)  # ends the sandboxes too, without waiting for them


def printable(text: str) -> str:
    r"""Put a mark in place of whatever a terminal would obey: names and messages may be a learner's.

    Args:
        text: one line.

    Returns:
        The line, of characters that are shown.

    Example:
        >>> printable("\x1b[2Jada")
        '�[2Jada'
    """
    return "".join(one if one.isprintable() or one == "\n" else "\ufffd" for one in text)


def _parser():
    parser = argparse.ArgumentParser(prog="python -m rnnlib.coursework.grading", description=__doc__)
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("assignments", nargs="*", help="such as ps2_backward; all without")
    parser.add_argument("--course", default=".", help="the folder that holds notebooks/assignments")
    parser.add_argument("--dask", metavar="ADDRESS", help="run submissions on a Dask cluster, such as tcp://host:8786")
    parser.add_argument(
        "--again", metavar="STUDENT", nargs="+", default=(), help="throw their stored gradings away first; or: all"
    )
    parser.add_argument(
        "--jobs", type=int, metavar="N", help="submissions at a time; as many as there are cores without"
    )
    parser.add_argument("--without-sandbox", action="store_true", help="run code that you trust as your own")
    return parser


def _seed(root, asked):
    yield f"The secret seed lies at {seed.make()}. Keep a copy where students can't reach it."


def _release(root, asked):
    yield from (f"released: {path.relative_to(root)}" for path in course.release(root, asked.assignments or None))


def _collect(root, asked):
    folders = [
        path
        for path in (root / "course" / "downloaded").glob("[!.]*")
        if any((*path.glob("*.zip"), *path.glob("archive/*.zip")))
    ]
    if not folders and not asked.assignments:
        yield "collect: put the platform's downloads into course/downloaded/SET/, such as course/downloaded/ps2_backward/all.zip"
    for name in asked.assignments or sorted(path.name for path in folders):
        found = platforms.collect(root, name)
        for one in found:
            yield f"{'' if one.taken else 'NOT '}collected: {one.student or '?'} {name}: {one.note}"
        yield f"collected: {sum(one.taken for one in found)} of {len(found)} in {name}"


def _return(root, asked):
    for name in asked.assignments or sorted({path.parent.name for path in root.glob("course/feedback/*/*/*.html")}):
        path, missing = platforms.give_back(root, name)
        yield f"The feedback lies in {path.relative_to(root)}." + (
            f" None for {', '.join(missing)}." if missing else ""
        )


def _grade(root, asked):
    if asked.without_sandbox:
        yield "WARNING: without a sandbox, a submission can read and change whatever you can: your files and the gradebook."
    else:
        yield box.counted_by()
    with records.alone(root), _executor(asked.dask, asked.jobs) as executor:
        graded = course.grade(
            root, asked.assignments or None, again=asked.again, executor=executor, sandboxed=not asked.without_sandbox
        )
    yield from _report(graded, "graded")
    yield from remarks.remarks(root, graded)


def _feedback(root, asked):
    yield from _report(pages.feedback(root, asked.assignments or None), "feedback for")


def _grades(root, asked):
    waiting = [one for one in export.rows(root) if one.status not in (export.GRADED, "nothing handed in")]
    yield from (f"NOT final: {one.student} {one.assignment}: {one.status}" for one in waiting)
    yield f"The grades lie in {', '.join(str(path.relative_to(root)) for path in export.grades(root))}."


def _executor(address, jobs):
    if jobs is not None and jobs < 1:
        raise RuntimeError(f"grading: --jobs must be at least 1, got {jobs}.")
    if address is None:
        return ThreadPoolExecutor(jobs) if jobs else nullcontext()
    try:
        from distributed import Client
    except ImportError:
        raise RuntimeError("grading: Dask is not installed. Try pip install 'rnnlib[cluster]'.") from None
    return Client(address).get_executor()


def _report(submissions, what):
    for one in submissions:
        yield (
            f"NOT {what}: {one.student} {one.assignment}: {one.note}"
            if one.note
            else f"{what}: {one.student} {one.assignment}"
        )
    yield f"{what.split()[0]}: {sum(not one.note for one in submissions)} of {len(submissions)} submissions"


COMMANDS = {
    "seed": _seed,
    "release": _release,
    "collect": _collect,
    "grade": _grade,
    "feedback": _feedback,
    "grades": _grades,
    "return": _return,
}

if __name__ == "__main__":
    main()
