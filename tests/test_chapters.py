"""The plugin that runs notebooks, run on a notebook that keeps the rules and on one that breaks them."""

import re

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from tests.conftest import ROOT

pytest_plugins = "pytester"

COMPLAINS = "import sys\nprint('a warning', file=sys.stderr)"
ASKS = "import urllib.request\nurllib.request.urlopen('http://example.org')"


def cell(source, *, printed="", tags=("nbval-check-output",)):
    outputs = [new_output("stream", name="stdout", text=printed)] if printed else []
    return new_code_cell(source, outputs=outputs, execution_count=1, metadata={"tags": list(tags)})


@pytest.fixture
def outcomes(pytester, monkeypatch):
    """`outcomes(*cells)` runs a notebook of these cells: how each test ended, and all that pytest said."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))

    def run(*cells):
        nbformat.write(new_notebook(cells=list(cells)), pytester.path / "sample.ipynb")
        result = pytester.runpytest_subprocess("-p", "tests.chapters", "-v", "--color=no", "sample.ipynb")
        text = result.stdout.str()
        return re.findall("^sample.* (PASSED|FAILED) ", text, re.M), text

    return run


def test_a_good_notebook_passes(outcomes):
    stored = cell("x = 2\nprint(x)", printed="2\n")
    untagged = cell("print(x + 1)", printed="another number\n", tags=())
    assert outcomes(stored, untagged)[0] == ["PASSED"] * 3
    ends, text = outcomes(stored, untagged)
    assert ends == ["PASSED"], "nothing has changed"
    assert "1 notebooks have passed as they are, and were not run again" in text


def test_what_fails_is_found(outcomes, pytester):
    cells = [cell("print(2)", printed="3\n"), cell("1 / 0"), cell(ASKS, tags=()), cell(COMPLAINS, tags=())]
    ends, text = outcomes(*cells)
    assert ends == ["FAILED", "FAILED", "FAILED", "PASSED", "FAILED"], "the complaint is told with the limits"
    assert not (pytester.path / "build" / "passed").exists(), "what has not passed will be run again"
    for said in ("Cell outputs differ", "ZeroDivisionError", "urlopen error", f"cell {cells[3].id} wrote to stderr"):
        assert said in text
