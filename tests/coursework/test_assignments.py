"""The problem sets' sources, and what students get of them: everything but the solutions, failing where it should and nowhere else."""

import re
from functools import partial
from importlib import import_module

import nbformat
import pytest

from rnnlib.coursework.grading import course, grader
from rnnlib.coursework.handout import handout
from rnnlib.coursework.questions import load
from tests.conftest import ROOT
from tests.kernels import run
from tests.notebook_style import PROBLEM_SETS, _cells, _code, _figures, _outputs, broken_links, read

POINTS = {"ps4_scan": 22, "ps6_hessian_free": 22}  # of the others 20
SOLUTION = re.compile(r"### BEGIN SOLUTION\n(.*?)### END SOLUTION", re.S)
each_source = pytest.mark.parametrize("path", PROBLEM_SETS, ids=lambda path: path.stem)


def info(cell):
    return cell.metadata.get("nbgrader", {})


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """All sets, released: their paths by name."""
    root = tmp_path_factory.mktemp("release")
    for path in PROBLEM_SETS:
        copy = root / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True)
        copy.write_bytes(path.read_bytes())
    return {path.stem: path for path in course.release(root)}


def test_there_are_six():
    assert [path.stem for path in PROBLEM_SETS] == [
        "ps1_forward", "ps2_backward", "ps3_truncation", "ps4_scan", "ps5_ragged", "ps6_hessian_free",
    ]  # fmt: skip


@each_source
def test_style(path):
    notebook = read(path)
    found = [problem for rule in (_cells, _code, _outputs, _figures) for problem in rule(notebook, path)]
    found = [problem for problem in found if "half of the code cells" not in problem]  # solutions are long
    for cell in notebook.cells:
        found += [f"{cell.id}: {p}" for p in broken_links(cell.source, path) if cell.cell_type == "markdown"]
    assert not found, "\n  ".join([f"{path.name} breaks rules:", *found])


@each_source
def test_a_set_asks_its_questions_once_and_one_by_hand_for_its_points(path):
    notebook = read(path)
    checks = [step.question for step in grader.job(notebook, "").steps if step.question]
    questions = import_module(f"rnnlib.coursework.problem_sets.{path.stem.split('_')[0]}").QUESTIONS
    assert checks == [question.id for question in questions]
    assert 4 <= len(questions) <= 7
    graded = [cell for cell in notebook.cells if info(cell).get("grade")]
    by_hand = [cell for cell in graded if info(cell)["solution"]]
    assert len(by_hand) == 1
    assert sum(info(cell)["points"] for cell in graded) == POINTS.get(path.stem, 20)
    for cell in graded:
        if cell not in by_hand:
            assert info(cell)["points"] == load(grader._step(cell).question).points, cell.id
    assert all(info(cell).get("grade_id", cell.id) == cell.id for cell in notebook.cells)


@each_source
def test_the_instructors_notes_tell_what_each_mistake_earns_and_hears(path):
    notes = (path.parent / "README.md").read_text().splitlines()
    missing = [line for line in mistake_table(path.stem.split("_")[0]) if line not in notes]
    assert not missing, "\n".join([f"{path.parent.name}/README.md lacks:", *missing])


def mistake_table(name):
    """Every Question with its mistakes: what each earns, and what `check` says of it."""
    for question in import_module(f"rnnlib.coursework.problem_sets.{name}").QUESTIONS:
        yield f"### {question.id} · {question.title} ({question.points} points)"
        for mistake, (answer, *_) in question.mistakes.items():
            verdict = question.grade(partial(question.own, answer))
            texts = (text.replace("|", r"\|") for text in (mistake, f"{verdict.earned:.2g}", verdict.hints[0]))
            yield f"| {' | '.join(texts)} |"


@each_source
def test_all_but_answers_and_prose_is_locked(path):
    for cell in read(path).cells:
        if cell.cell_type == "code" and not info(cell).get("solution"):
            assert info(cell)["locked"], f"{cell.id} could be edited, and would be graded as edited"


@each_source
def test_self_learners_get_what_is_released(path, released):
    assert read(released[path.stem]) == handout(read(path))


@each_source
def test_no_solution_is_released(path, released):
    notebook, student = read(path), nbformat.read(released[path.stem], as_version=4)
    text = "\n".join(cell.source for cell in student.cells)
    assert "SOLUTION" not in text
    assert not any(cell.get("outputs") for cell in student.cells)
    for cell in notebook.cells:
        if info(cell).get("solution"):
            solutions = SOLUTION.findall(cell.source) or [cell.source]
            theirs = next(other for other in student.cells if other.id == cell.id)
            assert cell.cell_type == "code" or theirs.source == "YOUR ANSWER HERE"
            for line in (line.strip() for solution in solutions for line in solution.splitlines()):
                assert len(line) < 25 or line not in theirs.source, f"{cell.id} gives away {line!r}"


@each_source
def test_the_released_version_fails_where_it_should(path, released, tmp_path):
    """Every check says that there is no answer yet; a cell that uses answers fails for want of them; no other cell fails."""
    student = nbformat.read(released[path.stem], as_version=4)
    run(student, path.parent, tmp_path)
    for cell in student.cells:
        errors = [output for output in cell.get("outputs", []) if output.output_type == "error"]
        if info(cell).get("grade") and not info(cell).get("solution"):
            assert [error.ename for error in errors] == ["NotYet"], cell.id
            assert "Not answered yet" in str(cell.outputs)
        for error in errors:
            assert error.ename in ("NotYet", "NotImplementedError", "NameError"), (
                f"{cell.id}: {error.ename}: {error.evalue}"
            )
