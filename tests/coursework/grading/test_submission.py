"""Of a submission, answers and added cells are taken; the rest is the release's, whatever came."""

import json
import re

import nbformat
import pytest
from nbconvert.filters import markdown2html
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_raw_cell

from rnnlib.coursework import handout
from rnnlib.coursework.grading import grader, submission


def labelled(make, source, name, **info):
    cell = make(source, id=name)
    cell.metadata["nbgrader"] = {"grade_id": name, "grade": False, "solution": False, "locked": True} | info
    return cell


@pytest.fixture
def release():
    return new_notebook(
        cells=[
            new_markdown_cell("# Title", id="title"),
            labelled(new_code_cell, "import numpy as np", "imports"),
            labelled(new_code_cell, "raise NotImplementedError", "answer", solution=True, locked=False),
            labelled(new_code_cell, 'check("ps2/backward", backward)', "check", grade=True, points=6),
            labelled(new_markdown_cell, "YOUR ANSWER HERE", "words", grade=True, solution=True, locked=False, points=3),
        ]
    )


def sources(notebook):
    return [cell.source for cell in notebook.cells]


def copy(notebook):
    return nbformat.reads(nbformat.writes(notebook), 4)


def test_answers_are_taken_and_nothing_else(release):
    handed_in = copy(release)
    for cell in handed_in.cells:
        cell.source = "mine"
        cell.metadata = {"nbgrader": cell.metadata.get("nbgrader", {}) | {"points": 100, "locked": False}}
    got = submission.restored(release, handed_in)
    assert got.metadata.edited == ["imports", "check"]
    assert got.cells[0].source == f"{submission.EDITED} imports, check."
    assert sources(got)[1:] == ["# Title", "import numpy as np", "mine", 'check("ps2/backward", backward)', "mine"]
    assert [cell.metadata for cell in got.cells[1:]] == [cell.metadata for cell in release.cells]


def test_added_cells_stay_where_they_were_even_if_cells_moved(release):
    handed_in = copy(release)
    title, imports, answer, check, words = handed_in.cells
    first, helper, raw = new_code_cell("first"), new_code_cell("helper"), new_raw_cell("raw")
    handed_in.cells = [first, check, title, answer, helper, raw, words, imports]
    got = submission.restored(release, handed_in)
    assert sources(got) == [
        "first",
        "# Title",
        "import numpy as np",
        "raise NotImplementedError",
        "helper",
        *sources(release)[3:],
    ]


def test_missing_cells_come_back_and_a_second_copy_of_an_answer_is_an_added_cell(release):
    handed_in = copy(release)
    twin = copy(release).cells[2]
    twin.source, twin.id = "again", "twin"
    handed_in.cells = [handed_in.cells[2], twin]
    assert sources(submission.restored(release, handed_in)) == [*sources(release)[:3], "again", *sources(release)[3:]]


def test_outputs_are_dropped(release):
    handed_in = copy(release)
    handed_in.cells[3].outputs = [nbformat.v4.new_output("execute_result", {"text/plain": "6.0"})]
    assert all(not cell.get("outputs") for cell in submission.restored(release, handed_in).cells)


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("<script>alert(1)</script>", "&lt;script>alert(1)&lt;/script>"),
        ("$a<b$ and 1 <2", "$a&lt;b$ and 1 <2"),
        ("[x](javascript:alert(1))", "[x] (javascript:alert(1))"),
        ("[x](&#106;avascript:alert(1))", "[x] (&#106;avascript:alert(1))"),
        ("[x]: javascript:alert(1)", "[x] : javascript:alert(1)"),
        ("[x](https://example.org)", "[x](https://example.org)"),
        ("![p](attachment:p.gif)", "![p] (a picture that is not here)"),
        ("a\ud800b", "a?b"),
    ],
)
def test_markdown_loses_what_a_browser_would_run(release, written, kept):
    handed_in = copy(release)
    handed_in.cells[4].source = written
    assert submission.restored(release, handed_in).cells[4].source == kept


def test_pasted_pictures_stay(release):
    handed_in = copy(release)
    good, bad = {"image/png": "aGVsbG8="}, {"image/svg+xml": "<svg onload=alert(1)>"}
    handed_in.cells[4].attachments = {"good.png": good, "bad.svg": bad, "odd.png": {"image/png": '"><script>'}}
    handed_in.cells[4].source = "![p](attachment:good.png) ![p](attachment:bad.svg)"
    kept = submission.restored(release, handed_in).cells[4]
    assert kept.attachments == {"good.png": good}
    assert kept.source == "![p](attachment:good.png) ![p] (a picture that is not here)"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{]", "no notebook"),
        ('{"cells": 3}', "no notebook"),
        ("[]", "no notebook"),
        ("x" * (submission.LARGEST + 1), "MiB, 20 at most"),
    ],
)
def test_what_is_no_notebook_is_refused(tmp_path, content, says):
    path = tmp_path / "ps2.ipynb"
    path.write_text(content)
    with pytest.raises(ValueError, match=says):
        submission.read(path)


def test_a_job_has_a_random_seed_of_its_own(release):
    one = grader.job(release, "secret")
    assert one.steps[-1] == grader.Step('check("ps2/backward", backward)', "ps2/backward", "backward")
    assert one == grader.job(copy(release), "secret")
    changed = copy(release)
    changed.cells[2].source += "  # another"
    assert len({one.seed, grader.job(changed, "secret").seed, grader.job(release, "other").seed}) == 3


@pytest.mark.parametrize(
    "source",
    [
        "6.0",
        'check("ps2/backward", len(x))',
        'check("ps2/backward", f)\nprint(1)',
        'check("ps2/backward", f, seconds=1)',
    ],
)
def test_a_graded_cell_that_is_no_check_is_refused(release, source):
    release.cells[3].source = source
    with pytest.raises(ValueError, match="a graded code cell must be check"):
        grader.job(release, "secret")


def as_colab_saves(notebook, keep):
    """Without cell ids, in an older format, with metadata of its own; with or without nbgrader's."""
    saved = json.loads(nbformat.writes(notebook)) | {"nbformat_minor": 0, "metadata": {"colab": {"provenance": []}}}
    for i, cell in enumerate(saved["cells"]):
        del cell["id"]
        cell["metadata"] = (cell["metadata"] if keep else {}) | {"id": f"Xy{i}"}
        if cell["cell_type"] == "code":
            cell |= {"outputs": [], "metadata": cell["metadata"] | {"outputId": "4f"}}
    return json.dumps(saved)


@pytest.mark.parametrize("keep", [True, False])
def test_a_notebook_from_colab_keeps_its_answers_and_what_was_dropped_is_told(release, tmp_path, keep):
    release.cells[2].source = "def backward(params):\n    raise NotImplementedError"
    handed_in = copy(release)
    handed_in.cells[1].source = "!pip install rnnlib\nimport numpy as np"
    handed_in.cells[2].source = "def helper(): pass\ndef backward(params):\n    return 1"
    handed_in.cells[4].source = "In my own words."
    handed_in.cells.insert(2, new_code_cell("from google.colab import drive"))
    path = tmp_path / "ps2.ipynb"
    path.write_text(as_colab_saves(handed_in, keep))
    got = submission.restored(release, submission.read(path))
    wanted = ["# Title", "import numpy as np", "from google.colab import drive", handed_in.cells[3].source]
    wanted += ['check("ps2/backward", backward)', "In my own words."]
    if keep:
        assert got.metadata.edited == ["imports"]
        assert sources(got) == [f"{submission.EDITED} imports.", *wanted]
    else:  # then an edited cell of no name is the learner's own
        assert set(wanted) <= set(sources(got))
        assert [one.source for one in got.cells if one.cell_type == "code"].count(handed_in.cells[3].source) == 1
        assert "NotImplementedError" not in "".join(sources(got))


def test_a_cell_of_an_older_release_was_not_edited(release):
    for cell in release.cells[1:]:
        cell.metadata.nbgrader["checksum"] = handout.checksum(cell, cell.metadata.nbgrader)
    handed_in = copy(release)
    release.cells[1].source = "import numpy as np\nimport jax"
    assert submission.restored(release, handed_in).metadata.edited == []
    handed_in.cells[1].source += "  # mine"
    assert submission.restored(release, handed_in).metadata.edited == ["imports"]


def test_code_cells_without_outputs_are_read(release, tmp_path):
    saved = json.loads(nbformat.writes(release))
    for cell in saved["cells"]:
        cell.pop("outputs", None), cell.pop("execution_count", None)
    (tmp_path / "ps2.ipynb").write_text(json.dumps(saved))
    assert sources(submission.restored(release, submission.read(tmp_path / "ps2.ipynb"))) == sources(release)


def test_a_byte_order_mark_is_no_mistake(release, tmp_path):
    path = tmp_path / "ps2.ipynb"
    path.write_text(nbformat.writes(release), encoding="utf-8-sig")
    assert sources(submission.read(path)) == sources(release)


@pytest.mark.parametrize("part", ["](attachment:", "\\begin{a}", "](", "<", "!["])
def test_what_is_repeated_without_end_is_cut_before_it_is_read(release, part):
    handed_in = copy(release)
    handed_in.cells[-1].source = part * (2_000_000 // len(part))
    (words,) = (cell for cell in submission.restored(release, handed_in).cells if cell.id == "words")
    assert "(cut off after 20,000 characters)" in words.source
    assert len(words.source) < 200_000


@pytest.mark.parametrize(
    "picture",
    [
        "![x](https://evil.example/who.png)",
        "![a [b] c](https://evil.example/who.png)",
        r"![a\](attachment:x) b](https://evil.example/who.png)",
        "![a `](attachment:x) b` c](https://evil.example/who.png)",
        "![x][evil]\n\n[evil]: https://evil.example/who.png",
    ],
)
def test_a_picture_from_elsewhere_is_named_and_not_fetched(release, picture):
    handed_in = copy(release)
    handed_in.cells[-1].source = f"Look: {picture}"
    words = submission.restored(release, handed_in).cells[-1].source
    assert "http" not in "".join(re.findall(r"<img[^>]*>", markdown2html(words)))
    assert "https://evil.example/who.png" in words


@pytest.mark.parametrize("fence", ["```easytrieve", "~~~ autohotkey", "> ```html", "1. ````{python}"])
def test_no_language_of_a_fence_is_asked_for(fence):
    source = f"{fence}\ncode\n{re.sub('[^`~> 1.]', '', fence)}"
    release = new_notebook(cells=[new_markdown_cell("words", id="words")])
    added = new_markdown_cell(source, id="mine")
    shown = submission.restored(release, new_notebook(cells=[release.cells[0], added])).cells[-1].source
    assert not re.search(r"(easytrieve|autohotkey|html|python)", shown)
    assert "code" in shown


def test_what_is_too_much_to_look_at_is_left_out_and_says_so():
    release = new_notebook(cells=[new_markdown_cell("words", id="words")])
    many = [new_code_cell("x = 1", id=f"mine-{i}") for i in range(2000)]
    long = new_code_cell("a+" * 30_000 + "a", id="long")
    cells = submission.restored(release, new_notebook(cells=[*release.cells, long, *many])).cells
    assert len(cells) < 310
    assert "Left out: 60,001 characters" in cells[1].source
    assert sum(cell.source == "x = 1" for cell in cells) > 250
    wide = [new_markdown_cell("*a* " * 4000, id=f"wide-{i}") for i in range(100)]
    cells = submission.restored(release, new_notebook(cells=[*release.cells, *wide])).cells
    assert sum(len(cell.source) for cell in cells) < 450_000
