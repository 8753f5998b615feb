"""A problem set as learners get it: the source without its solutions, where they work on it. No nbgrader is needed.

`python -m rnnlib.coursework.handout` lays all sets out in notebooks/problem_sets; what a learner wrote there stays.
"""

import copy
import hashlib
import re
from pathlib import Path
from typing import Any

import nbformat

SOURCES, LEARNERS = "notebooks/assignments", "notebooks/problem_sets"
SOLUTION = re.compile(r"^([ \t]*)[^\n]*BEGIN SOLUTION.*?END SOLUTION[^\n]*$", re.S | re.M)
STUBS = {"code": "# YOUR CODE HERE\nraise NotImplementedError()", "markdown": "YOUR ANSWER HERE"}


def handout(source: Any) -> Any:
    """Take out the solutions and outputs, and lock what is not to be edited: what `nbgrader generate_assignment` writes.

    Args:
        source: a problem set with solutions.

    Returns:
        The learner's notebook.

    Example:
        >>> info = {"grade_id": "answer", "solution": True, "grade": False, "locked": False}
        >>> cell = nbformat.v4.new_code_cell("loss = 3", metadata={"nbgrader": info})
        >>> print(handout(nbformat.v4.new_notebook(cells=[cell])).cells[0].source)
        # YOUR CODE HERE
        raise NotImplementedError()
    """
    notebook = copy.deepcopy(source)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
        info = cell.metadata.get("nbgrader", {})
        if info.get("solution"):
            cell.source = _without_solution(cell)
        if info.get("solution") or info.get("grade") or info.get("locked"):
            cell.metadata["deletable"] = False
            if not info.get("solution"):
                cell.metadata["editable"] = False
            info.update(cell_type=cell.cell_type, checksum=checksum(cell, info))
    return notebook


def lay_out(root: Path, notebook: Any, name: str) -> Path:
    """Write a learner's notebook to where learners work, unless one is there.

    Args:
        root: the course.
        notebook: as `handout` gives it.
        name: of the problem set, such as ps2_backward.

    Returns:
        Where it lies.
    """
    path = root / LEARNERS / name / f"{name}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        nbformat.write(notebook, path)
    return path


def _without_solution(cell):
    """The stub in place of each marked solution, at its indent; of the whole cell where nothing is marked."""
    stub = STUBS[cell.cell_type]
    if not SOLUTION.search(cell.source):
        return stub
    return SOLUTION.sub(lambda found: re.sub("^", found[1], stub, flags=re.M), cell.source)


def checksum(cell: Any, info: dict[str, Any]) -> str:
    """Digest what nbgrader compares to see that a locked cell is as released, and that an answer is not.

    Args:
        cell: of a notebook.
        info: what its metadata say to nbgrader.

    Returns:
        The digest.
    """
    graded, solution = info.get("grade", False), info.get("solution", False)
    locked = not solution and (graded or info.get("locked", False))
    parts = [cell.source, cell.cell_type, graded, solution, locked, info["grade_id"]]
    parts += [float(info["points"])] if graded else []
    return hashlib.md5("".join(map(str, parts)).encode(), usedforsecurity=False).hexdigest()


if __name__ == "__main__":
    for source in sorted(Path(SOURCES).glob("*/*.ipynb")):
        lay_out(Path(), handout(nbformat.read(source, as_version=4)), source.stem)
