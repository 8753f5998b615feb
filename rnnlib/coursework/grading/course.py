"""A course on disk: its folders, and what is done with all problem sets at once: release, grade."""

import re
import warnings
from collections.abc import Collection, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor, as_completed
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

import nbformat
from tqdm.auto import tqdm

from rnnlib.coursework import handout
from rnnlib.coursework.grading import grader, nbgrader_api, records, seed, submission, watch
from rnnlib.coursework.grading.box import require_hidden, require_sandbox
from rnnlib.coursework.grading.limits import DEFAULT_LIMITS, Limits
from rnnlib.coursework.grading.nbgrader_api import RELEASE, SOURCE

STUDENT = re.compile(
    r"\w[\w\u0300-\u036f .,'’@+-]*"
)  # what nbgrader takes for one name, and a spreadsheet for no formula


class Submission(NamedTuple):
    """A notebook handed in, and what became of it."""

    student: str
    assignment: str
    path: Path
    note: str = ""  # why it was not graded


def release(root: Path, assignments: list[str] | None = None) -> list[Path]:
    """Build the students' versions in build/release, and lay a copy where learners work unless one is there.

    Args:
        root: the course.
        assignments: their names; None for all.

    Returns:
        The released notebooks.

    Raises:
        RuntimeError: nbgrader could not build one; the message is its own.
    """
    (root / "course").mkdir(parents=True, exist_ok=True)
    (root / RELEASE).mkdir(parents=True, exist_ok=True)
    nbgrader, paths = nbgrader_api.start(root), []
    for name in tqdm(assignments or sorted(p.stem for p in root.glob(f"{SOURCE}/*/*.ipynb")), desc="release"):
        answer = nbgrader.generate_assignment(name)
        if not answer["success"]:
            raise RuntimeError(f"release: {name} could not be built: {answer.get('log') or answer.get('error')}")
        path = root / RELEASE / name / f"{name}.ipynb"
        notebook = nbformat.read(path, as_version=4)
        grader.job(notebook, "")  # its graded cells are all Questions
        handout.lay_out(root, notebook, name)
        paths.append(path)
    return paths


def submissions(root: Path, assignments: list[str] | None = None) -> Iterator[Submission]:
    """List what lies in course/submitted/STUDENT/ASSIGNMENT/ASSIGNMENT.ipynb.

    Args:
        root: the course.
        assignments: their names; None for all.

    Yields:
        The submissions, by student, with a note where one can't be graded as it lies there.
    """
    for folder in sorted((root / "course" / "submitted").glob("*/*")):
        student, name = folder.parent.name, folder.name
        if assignments is None or name in assignments:
            yield Submission(student, name, folder / f"{name}.ipynb", _in_the_way(root, folder))


def _in_the_way(root, folder):
    """Why a submission can't be graded as it lies there."""
    if not STUDENT.fullmatch(folder.parent.name):
        return "a student's folder is named with letters, digits, spaces and . , _ - + ' ’ @, a letter or digit first: rename it"
    if not (root / RELEASE / folder.name).is_dir():
        return f"no set of this name is in {RELEASE}: rename the folder, or run `make release`"
    if any(path.is_symlink() for path in (folder.parent, folder, *folder.rglob("*"))):
        return "it holds a link"
    return ""


def grade(
    root: Path,
    assignments: list[str] | None = None,
    *,
    again: Collection[str] = (),
    executor: Executor | None = None,
    limits: Limits = DEFAULT_LIMITS,
    sandboxed: bool = True,
) -> list[Submission]:
    """Grade what was handed in: the running in parallel, the gradebook one after the other.

    What is done is stored at once, and not done again: a grading run that was killed goes on where it was.

    Args:
        root: the course.
        assignments: their names; None for all.
        again: students whose stored gradings are thrown away first; "all" stands for everybody.
        executor: where submissions run, such as a Dask client's `get_executor()`; None for the cores of this machine.
        limits: of each submission.
        sandboxed: see `sandbox.Worker`.

    Returns:
        Every submission, with a note where it could not be graded.

    Raises:
        RuntimeError: a name is nobody's; there is no seed, no sandbox, or one that would show the course; no gradebook that knows
            these assignments and can be read; or the reference answer, graded first, does not earn everything here.
    """
    secret, jobs, results = seed.secret(), {}, []
    if sandboxed:
        require_sandbox()
        require_hidden(root, seed.where())
    found = list(submissions(root, assignments))
    _require_known("set", assignments or (), {one.assignment for one in submissions(root)})
    _require_known("student", set(again) - {"all"}, {one.student for one in found})
    for one in found:
        if one.student in again or "all" in again:
            for path in (record_of(root, one), autograded(root, one)):
                path.unlink(missing_ok=True)
        if one.note:
            results.append(one)
            continue
        try:
            job = grader.job(_restored(root, one), secret)
            jobs[one] = job if job.key else None  # what can be made of a notebook is made here
        except Exception as error:  # whatever somebody made of a notebook, the others are graded
            results.append(one._replace(note=str(error) or type(error).__name__))
    if unknown := {one.assignment for one in jobs} - nbgrader_api.booked_sets(root):
        raise RuntimeError(
            f"grade: the gradebook does not know {', '.join(sorted(unknown))}. Run `make release` first."
        )
    with executor or ThreadPoolExecutor(watch.cores()) as pool:
        submit = partial(pool.submit, grader.grade, limits=limits, sandboxed=sandboxed)
        failed = dict(_run(root, jobs, submit))
    results += [one._replace(note=f"grading failed: {error!r}") for one, error in failed.items()]
    nbgrader, fine = nbgrader_api.start(root, sandboxed=sandboxed), [one for one in jobs if one not in failed]
    return results + [_booked(nbgrader, root, one, jobs[one].key) for one in tqdm(fine, desc="gradebook")]


def _restored(root, one):
    released = nbformat.read(root / RELEASE / one.assignment / f"{one.assignment}.ipynb", as_version=4)
    return submission.restored(released, submission.read(one.path))


def _require_known(what, names, known):
    unknown = sorted(set(names) - known)
    if unknown:
        raise RuntimeError(
            f"grade: no {what} named {', '.join(unknown)} has handed in anything. There are: {', '.join(sorted(known)) or 'none'}"
        )


def _run(root, jobs, submit):
    """Run what no earlier run has, store each as it comes, and list those that failed through no fault of theirs."""
    new = {one: job for one, job in jobs.items() if records.load(record_of(root, one), job.key) is None}
    if new:
        grader.require_fair(submit(grader.REFERENCE).result().outputs)
    futures, starved = {submit(job): one for one, job in new.items()}, []

    def stored(one, future):
        records.save(record_of(root, one), new[one].key, future.result().outputs)

    try:
        for future in tqdm(as_completed(futures), total=len(futures), desc="submissions"):
            one = futures[future]
            try:
                if future.result().starved and len(futures) > 1:
                    starved.append(one)
                else:
                    stored(one, future)
            except Exception as error:
                yield one, error
        for one in tqdm(starved, desc="once more, alone") if starved else ():
            try:
                stored(one, submit(new[one]))
            except Exception as error:
                yield one, error
    finally:
        for future in futures:
            future.cancel()


def record_of(root: Path, one: Submission) -> Path:
    """Say where the grading of a submission is stored."""
    return root / "course" / "records" / one.student / f"{one.assignment}.json"


def autograded(root: Path, one: Submission) -> Path:
    """Say where nbgrader keeps a submission with its grading."""
    return root / "course" / "autograded" / one.student / one.assignment / f"{one.assignment}.ipynb"


def _booked(nbgrader, root, one, key):
    """Let nbgrader put a grading into the gradebook, unless it has."""
    with suppress(Exception):  # none yet, or half of one: it is made anew
        if nbformat.read(autograded(root, one), as_version=4).metadata.get("graded") == key:
            return one
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # SQLAlchemy's, about nbgrader's own models
        answer = nbgrader.autograde(one.assignment, one.student)
    return one._replace(note=nbgrader_api.cause(answer))
