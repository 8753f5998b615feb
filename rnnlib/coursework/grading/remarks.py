"""What an instructor should look at after a grading run."""

import json
from collections.abc import Collection, Iterator
from pathlib import Path

import nbformat

from rnnlib.coursework import handout
from rnnlib.coursework.grading import course


def remarks(root: Path, graded: Collection[course.Submission]) -> Iterator[str]:
    """Say what an instructor should look at after a grading run.

    Args:
        root: the course.
        graded: what `grade` returned.

    Yields:
        A line for each: who has no grade, whose cells or answers were stopped, which explanations wait for a reader.
    """
    stopped, waiting = [], []
    for one in graded:
        if one.note:
            continue
        shown = json.dumps(json.loads(course.record_of(root, one).read_text("utf-8"))["outputs"])
        count = shown.count("This cell was left out.") + shown.count("It was stopped after")
        stopped += [f"{one.student} {one.assignment}"] if count else []
        cells = nbformat.read(course.autograded(root, one), as_version=4).cells
        asked = [
            cell for cell in cells if cell.cell_type == "markdown" and cell.metadata.get("nbgrader", {}).get("grade")
        ]
        waiting += [one.assignment for cell in asked if cell.source.strip() != handout.STUBS["markdown"]]
    missing = [f"{one.student} {one.assignment}" for one in graded if one.note]
    for what, names in (("no grade", missing), ("something was stopped", stopped)):
        if names:
            yield f"{what}: {', '.join(names)}"
    for name in sorted(set(waiting)):
        yield f"explanations for a reader: {waiting.count(name)} of {name}"
