"""What an instructor should look at after a grading run."""

import json
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import nbformat

from rnnlib.coursework.grading import course, nbgrader_api


def remarks(root: Path, graded: Collection[course.Submission]) -> Iterator[str]:
    """Say what an instructor should look at after a grading run.

    Args:
        root: the course.
        graded: what `grade` returned.

    Yields:
        A line for each: who has no grade, whose cells or answers were stopped, who edited locked cells, whose new results a score
        given by hand hides, which explanations wait for a reader.
    """
    fine, stopped, edited, hidden, waiting = [one for one in graded if not one.note], [], [], [], []
    with nbgrader_api.start(root).gradebook as gradebook:
        for one in fine:
            shown = json.dumps(json.loads(course.record_of(root, one).read_text("utf-8"))["outputs"])
            count = shown.count("This cell was left out.") + shown.count("It was stopped after")
            stopped += [f"{one.student} {one.assignment}"] if count else []
            cells = nbformat.read(course.autograded(root, one), as_version=4).metadata.get("edited")
            edited += [f"{one.student} {one.assignment} ({', '.join(cells)})"] if cells else []
            for grade in asked(gradebook.find_submission(one.assignment, one.student)):
                if grade.auto_score is None:
                    waiting.append(one.assignment)
                else:
                    hidden.append(
                        f"{one.student} {one.assignment} {grade.name} ({grade.manual_score:g}, not {grade.auto_score:g})"
                    )
    missing = [f"{one.student} {one.assignment}" for one in graded if one.note]
    for what, names in (
        ("no grade", missing),
        ("something was stopped", stopped),
        ("locked cells were edited, and taken from the release", edited),
        ("a score given by hand hides a new result", hidden),
    ):
        if names:
            yield f"{what}: {', '.join(names)}"
    for name in sorted(set(waiting)):
        yield f"explanations for a reader: {waiting.count(name)} of {name}"


def asked(submission: Any) -> list[Any]:
    """List what a reader of a submission is asked for: the grades of nbgrader that wait for a score, or for another look at one.

    Args:
        submission: a gradebook's.

    Returns:
        Its grades; of an explanation the machine's score is None.
    """
    return [grade for notebook in submission.notebooks for grade in notebook.grades if grade.needs_manual_grade]
