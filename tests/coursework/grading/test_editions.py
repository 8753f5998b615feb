"""A grade is made anew when what it depends on changes, and at no other change."""

import shutil

import pytest

from rnnlib.coursework.grading import editions

SETS = [f"ps{n}" for n in range(1, 7)]


@pytest.fixture
def changed(tmp_path, monkeypatch):
    """`changed(file, old, new)` are the sets whose edition a change of a copy of rnnlib's changes."""
    package = tmp_path / "rnnlib"
    shutil.copytree(editions.PACKAGE, package, ignore=shutil.ignore_patterns("*.js", "__pycache__"))
    monkeypatch.setattr(editions, "PACKAGE", package)

    def by(file, old, new, sources=()):
        before = {name: editions.edition.__wrapped__((f"{name}/any",), sources) for name in SETS}
        path = package / file
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))
        after = {name: editions.edition.__wrapped__((f"{name}/any",), sources) for name in SETS}
        return {name for name in SETS if before[name] != after[name]}

    return by


def test_a_set_s_own_questions_concern_it_alone(changed):
    assert changed("coursework/problem_sets/ps3.py", "points=", "points=1 + ") == {"ps3"}


def test_what_judges_concerns_all(changed):
    assert changed("coursework/verdicts.py", "size or 1", "size or 2") == set(SETS)


def test_a_room_concerns_the_sets_that_use_it(changed):
    assert changed("cg.py", "import", "x = 1\nimport") == {"ps6"}


def test_a_room_that_a_cell_imports_concerns_its_set(changed):
    cell = ("import numpy as np\nfrom rnnlib import truncation, cg",)
    assert changed("truncation.py", "\nimport", "\nx = 1\nimport", cell) == set(SETS)


@pytest.mark.parametrize("file", ["figures/plotting.py", "coursework/grading/sandbox.py", "hessian_free.py"])
def test_how_things_are_drawn_and_run_and_what_nobody_uses_concerns_none(changed, file):
    assert changed(file, "import", "x = 1\nimport") == set()


def test_words_concern_none(changed):
    assert (
        changed("coursework/verdicts.py", '"""One array of an answer."""', '"""An array."""  # of an answer') == set()
    )


def test_a_cell_of_any_length_takes_no_time():
    hostile = (
        "import rnnlib." * 50_000,
        "from rnnlib import " + "a, " * 50_000,
        "(" * 100_000,
        "from " + " " * 100_000,
    )
    assert editions.edition(("ps1/any",), hostile) == editions.edition(("ps1/any",))


def test_a_name_that_is_no_module_asks_for_no_file():
    """Names of three hundred letters, and two hundred thousand of them, are a learner's to write."""
    long = editions.edition(("ps1/step",), ("# import rnnlib." + "a" * 300,))
    many = editions.edition(("ps1/step",), ("from rnnlib import " + ",".join(f"a{i}" for i in range(200_000)),))
    assert long == many == editions.edition(("ps1/step",))
