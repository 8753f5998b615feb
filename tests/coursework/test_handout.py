"""What learners get without nbgrader is what nbgrader would give them, and never overwrites what they wrote."""

import subprocess
import sys

import nbformat
import pytest
from nbgrader.nbgraderformat import MetadataValidator
from nbgrader.preprocessors import ClearOutput, ClearSolutions, ComputeChecksums, LockCells

from rnnlib.coursework import handout
from tests.conftest import ROOT
from tests.notebook_style import PROBLEM_SETS, read


def by_nbgrader(notebook):
    for step in (LockCells, ClearSolutions, ClearOutput, ComputeChecksums):
        notebook, _ = step().preprocess(notebook, {})
    MetadataValidator().validate_nb(notebook)
    return notebook


@pytest.mark.parametrize("path", PROBLEM_SETS, ids=lambda path: path.stem)
def test_it_is_what_nbgrader_releases(path):
    assert handout.handout(read(path)) == by_nbgrader(read(path))


@pytest.mark.parametrize(
    "source",
    [
        "whole = 1",
        "def f(x):\n    ### BEGIN SOLUTION\n    return x\n    ### END SOLUTION\n\nf(1)",
        "a = 0\n# BEGIN SOLUTION\na = 1\n# END SOLUTION\nb = 0\nif a:\n\tb = 2  # BEGIN SOLUTION\n\t# END SOLUTION",
    ],
)
def test_solutions_are_replaced_wherever_they_stand(source):
    info = {"grade_id": "a", "solution": True, "grade": False, "locked": False, "schema_version": 3, "task": False}
    cell = nbformat.v4.new_code_cell(source, metadata={"nbgrader": info})
    notebook = nbformat.v4.new_notebook(cells=[cell])
    expected = by_nbgrader(nbformat.from_dict(notebook))
    assert "YOUR CODE HERE" in expected.cells[0].source
    assert handout.handout(nbformat.v4.new_notebook(cells=[cell])) == expected


def test_all_sets_are_laid_out_once_without_nbgrader(tmp_path):
    for path in PROBLEM_SETS:
        copy = tmp_path / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True)
        copy.write_bytes(path.read_bytes())
    block = "import runpy, sys; sys.modules['nbgrader'] = None; runpy.run_module('rnnlib.coursework.handout', run_name='__main__')"

    def lay_out():
        subprocess.run([sys.executable, "-c", block], cwd=tmp_path, check=True)
        return sorted((tmp_path / handout.LEARNERS).glob("*/*.ipynb"))

    laid = lay_out()
    assert [path.stem for path in laid] == [path.stem for path in PROBLEM_SETS]
    laid[0].write_text("a learner's work")
    laid[1].unlink()
    assert lay_out() == laid
    assert laid[0].read_text() == "a learner's work"
