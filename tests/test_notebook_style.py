"""The checker of style checked: one good chapter, and for each rule a way to break it."""

import copy

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from tests.notebook_style import FIRST, STATE, VIEW, problems


@pytest.fixture
def good():
    """A chapter in which every rule is kept."""
    show = new_output(
        "display_data", {"image/png": "", "text/plain": "A line."}, metadata={"image/png": {"alt": "A line."}}
    )
    caption = new_output("display_data", {"text/markdown": "*Up.*"})
    widget = new_output("execute_result", {VIEW: {"model_id": "w"}, "text/plain": "Widget"})
    cells = [
        new_markdown_cell("# 90 · Sample\n\nIs this a chapter? See [what stays](#What-to-remember).", id="title"),
        new_markdown_cell(f"## {FIRST}\n\nCheck.", id="aims"),
        new_code_cell("from rnnlib.figures import show", id="imports"),
        new_markdown_cell("## A line", id="a-line"),
        new_code_cell("show(fig, caption='Up.', alt='A line.')\nassert True", id="draw", outputs=[show, caption]),
        new_code_cell("line()", id="touch", outputs=[widget]),
        new_markdown_cell("## What to remember\n\nIt goes up.", id="remember"),
        new_markdown_cell("## Questionnaire\n\n" + "<details>Yes.</details>\n" * 5, id="questions"),
        new_markdown_cell("## Going further\n\n- Werbos (1990).", id="further"),
    ]
    notebook = new_notebook(cells=cells)
    for count, cell in enumerate((cell for cell in cells if cell.cell_type == "code"), start=1):
        cell.execution_count = count
    widget.execution_count = 3
    notebook.metadata.widgets = {STATE: {"state": {"w": {"model_module": "anywidget", "state": {"_esm": ""}}}}}
    return notebook


def cell(notebook, name):
    return next(cell for cell in notebook.cells if cell.id == name)


def put(name, source):
    return lambda notebook: cell(notebook, name).update(source=source)


def add(*outputs):
    return lambda notebook: cell(notebook, "imports").outputs.extend(map(copy.deepcopy, outputs))


BREACHES = {
    "must be '# 90 · Title'": put("title", "# 91 · Sample\n\nIs it?"),
    "then the question": put("title", "# 90 · Sample"),
    "## headings must begin": put("aims", "## Aims"),
    "and end with": put("further", "## What else"),
    "5 to 8 answers": put("questions", "## Questionnaire"),
    "lower-case words": lambda nb: cell(nb, "touch").update(id="Touch_it"),
    "such as forward-by-hand": lambda nb: cell(nb, "touch").update(id="a1b2c3d4"),
    "8 at most: one idea a cell": lambda nb: [c.update(source="x = 1\n" * 9) for c in nb.cells if c.cell_type == "code"],
    "another cell has this id": lambda nb: cell(nb, "touch").update(id="draw"),
    "path in the source": put("imports", "open('/home/me/data')"),
    "path in the output": add(new_output("stream", text="saved to C:\\data\n")),
    "words, 200 at most": put("a-line", "## A line\n\n" + "word " * 200),
    "an image without alt text": put("a-line", "## A line\n\n![](../README.md)"),
    "have 12 lines": lambda nb: [c.update(source="x = 1\n" * 12) for c in nb.cells if c.id in ("imports", "touch")],
    "lines, 25 at most": put("imports", "x = 1\n" * 26),
    "the answer can be read": put("imports", "widgets.predict('Up?', ['yes', 'no'], 'yes', key='90/up')"),
    "not plain Python": put("imports", "%matplotlib inline"),
    "in disguise": put("imports", "get_ipython().run_line_magic('time', '')"),
    "import * hides": put("imports", "from numpy import *"),
    "needs alt": put("imports", "show(fig, caption='Up.')"),
    "needs caption": put("imports", "show(fig, alt='A line.')"),
    "where 1 is due": lambda nb: cell(nb, "imports").update(execution_count=None),
    "where 3 is due": lambda nb: cell(nb, "touch").update(execution_count=7),
    "ended in ValueError": add(new_output("error", ename="ValueError", evalue="")),
    "wrote to stderr": add(new_output("stream", name="stderr", text="a warning\n")),
    "figure without alt": lambda nb: cell(nb, "draw").outputs[0].metadata.clear(),
    "without a caption": lambda nb: cell(nb, "draw").outputs.pop(),
    "claims without an assert": put("draw", "show(fig, caption='Up.', alt='A line.')"),
    "explorable without a figure": lambda nb: cell(nb, "draw").outputs.clear(),
    "leads nowhere": put("a-line", "## A line\n\n[next](99_nothing.ipynb)"),
    "names no heading": put("title", "# 90 · Sample\n\nSee [nothing](#Nothing)."),
    "600 at most": put("a-line", "## A line\n\n<!--" + "x" * 600_000 + "-->"),
}


def stored(notebook, folder):
    path = folder / "90_sample.ipynb"
    path.write_text(nbformat.v4.writes(notebook), encoding="utf-8")  # as it is: nbformat.write would mend some breaches
    return path


def test_the_sample_is_good(good, tmp_path):
    assert problems(stored(good, tmp_path)) == []


@pytest.mark.parametrize("message", BREACHES)
def test_each_rule_is_enforced(good, message, tmp_path):
    BREACHES[message](good)
    found = problems(stored(good, tmp_path))
    assert any(message in problem for problem in found), found
