"""A course from release to grades: nobody gains a point not earned, nobody loses one that another's code could take."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import nbformat
import psutil
import pytest
from nbgrader.api import Gradebook

from rnnlib.coursework.grading import course, export, grader, nbgrader_api, pages, platforms, records, remarks, seed
from rnnlib.coursework.grading.sandbox import Limits
from tests.conftest import ROOT
from tests.coursework.grading.attacks import ALL, submissions

NAME = "ps2_backward"
SECRET = "a-secret-that-nobody-may-see"
LIMITS = Limits(cell=6, answer=3, total=240, memory=1024)


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """The secret in a file, and the problem set cut down to its answers and checks."""
    with pytest.MonkeyPatch.context() as patch:
        root, secret = tmp_path_factory.mktemp("course"), tmp_path_factory.mktemp("home") / "seed"
        secret.write_text(SECRET)
        patch.delenv("RNN_COURSE_SEED", raising=False)
        patch.setenv("RNN_COURSE_SEED_FILE", str(secret))
        source = nbformat.read(ROOT / course.SOURCE / NAME / f"{NAME}.ipynb", as_version=4)
        source.cells = [c for c in source.cells if c.id == "imports" or c.id.endswith(("-answer", "-check"))]
        drawing = re.compile(r".*(matplotlib|figures).*\n?")  # no answer draws, and every submission would import it
        source.cells[0].source = drawing.sub("", source.cells[0].source)
        path = root / course.SOURCE / NAME / f"{NAME}.ipynb"
        path.parent.mkdir(parents=True)
        nbformat.write(source, path)
        yield root, secret, source


@pytest.fixture(scope="module")
def graded(environment):
    """Everybody's submission, graded."""
    root, secret, source = environment
    (released,) = course.release(root)
    places = {
        "seed": str(secret),
        "gradebook": str(root / "course" / "gradebook.db"),
        "source": str(root / course.SOURCE),
        "course": str(root),
    }
    everybody = submissions(**places)
    for student, one in everybody.items():
        notebook = nbformat.read(released, as_version=4)
        if one.solved:
            solutions = {cell.id: cell.source for cell in source.cells}
            for cell in notebook.cells:
                if cell.id.endswith("-answer") and cell.id != "row-answer":
                    cell.source = solutions[cell.id]
        one.change(notebook)
        hand_in(root, student, json.dumps(notebook))
    hand_in(root, "broken", "{]")
    link = root / "course" / "submitted" / "linked" / NAME / f"{NAME}.ipynb"
    link.parent.mkdir(parents=True)
    link.symlink_to(root / "course" / "submitted" / "perfect" / NAME / f"{NAME}.ipynb")
    results = {one.student: one for one in course.grade(root, limits=LIMITS)}
    pages.feedback(root)
    return root, everybody, results


def hand_in(root, student, text):
    """Put a notebook where nbgrader's collecting puts it."""
    path = root / "course" / "submitted" / student / NAME / f"{NAME}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def scores(root):
    """Points in the gradebook, by student."""
    with Gradebook(nbgrader_api.config(root).CourseDirectory.db_url, "bptt") as gradebook:
        return {s.student.id: s.score for s in gradebook.assignment_submissions(NAME)}


def page(root, student):
    """The page of feedback that a student gets."""
    return (root / "course" / "feedback" / student / NAME / f"{NAME}.html").read_text()


@pytest.mark.sandbox
def test_everybody_earns_what_they_earned(graded, measured):
    root, everybody, results = graded
    earned = scores(root)
    for student, one in everybody.items():
        said = "yes" if one.says in page(root, student) else "NO"
        measured("submissions", submission=student, wanted=one.earns, earned=earned.get(student), feedback=said)
    assert {student: earned.get(student) for student in everybody} == {
        s: pytest.approx(one.earns) for s, one in everybody.items()
    }
    assert not [student for student, one in everybody.items() if one.says not in page(root, student)]
    assert {student for student, one in results.items() if one.note} == {"broken", "linked"}
    assert "no notebook" in results["broken"].note
    assert "link" in results["linked"].note


@pytest.mark.sandbox
def test_a_release_that_the_gradebook_has_not_seen_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("RNN_COURSE_SEED", SECRET)
    release = tmp_path / course.RELEASE / NAME / f"{NAME}.ipynb"
    release.parent.mkdir(parents=True)
    nbformat.write(nbformat.v4.new_notebook(), release)
    hand_in(tmp_path, "early", release.read_text())
    with pytest.raises(RuntimeError, match=r"the gradebook does not know ps2_backward. Run `make release` first"):
        course.grade(tmp_path)


def test_who_was_stopped_while_others_were_busy_is_run_once_more_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(grader, "require_fair", lambda outputs: None)
    everybody, asked = [course.Submission(student, NAME, tmp_path) for student in ("ada", "bob", "cem")], []
    jobs = {one: grader.Job((), one.student) for one in everybody}

    def submit(job):
        asked.append(job.seed)
        future, again = Future(), asked.count(job.seed) == 2
        if job.seed == "cem" and again:
            future.set_exception(OSError("no memory"))
        else:
            future.set_result(
                grader.Grading([[job.seed, "alone" if again else "beside others"]], job.seed in ("bob", "cem"))
            )
        return future

    failed = dict(course._run(tmp_path, jobs, submit))
    assert asked[:4] == ["reference", "ada", "bob", "cem"]
    assert sorted(asked[4:]) == ["bob", "cem"]
    stored = {one.student: records.load(course.record_of(tmp_path, one), jobs[one].key) for one in everybody}
    assert stored == {"ada": [["ada", "beside others"]], "bob": [["bob", "alone"]], "cem": None}
    assert [(one.student, str(error)) for one, error in failed.items()] == [("cem", "no memory")]


def test_what_lies_in_the_wrong_place_is_told(tmp_path):
    (tmp_path / course.RELEASE / NAME).mkdir(parents=True)
    hand_in(tmp_path, "ada", "{}")
    hand_in(tmp_path, "Doe; Jane", "{}")
    for name in ("Doe, Jane", "Conor O’Neill", "Zoe\u0308"):
        hand_in(tmp_path, name, "{}")
    hand_in(tmp_path, "=1+1", "{}")
    hand_in(tmp_path, "linked", "{}")
    (tmp_path / "course/submitted/linked" / NAME / "data.txt").symlink_to("/etc/hostname")
    (tmp_path / "course/submitted/ada/PS2_backward").mkdir()
    notes = {(one.student, one.assignment): one.note for one in course.submissions(tmp_path)}
    assert notes["ada", NAME] == ""
    assert "rename it" in notes["Doe; Jane", NAME]
    assert {notes[name, NAME] for name in ("Doe, Jane", "Conor O’Neill", "Zoe\u0308")} == {""}
    assert "rename it" in notes["=1+1", NAME]
    assert notes["linked", NAME] == "it holds a link"
    assert "no set of this name" in notes["ada", "PS2_backward"]


@pytest.mark.sandbox
def test_remarks_say_who_has_no_grade_whose_cells_were_stopped_and_what_waits(graded):
    root, _, results = graded
    lines = list(remarks.remarks(root, list(results.values())))
    assert any(line.startswith("no grade: ") and "broken" in line and "linked" in line for line in lines)
    (stopped,) = (line for line in lines if line.startswith("something was stopped: "))
    assert "endless-cell" in stopped
    assert "perfect" not in stopped
    assert any(line.startswith("explanations for a reader: ") for line in lines)


@pytest.mark.sandbox
def test_names_that_are_nobodys_are_told(graded):
    root, _, _ = graded
    with pytest.raises(RuntimeError, match=r"no set named ps9 has handed in anything\. There are: ps2_backward"):
        course.grade(root, ["ps9"])
    with pytest.raises(RuntimeError, match="no student named adda has handed in anything"):
        course.grade(root, again=["adda"])


def test_a_second_grader_is_kept_out(tmp_path):
    imports = "import sys; from pathlib import Path; from rnnlib.coursework.grading import records"
    again = f"{imports}\nwith records.alone(Path(sys.argv[1])): pass"
    with records.alone(tmp_path):
        other = subprocess.run([sys.executable, "-c", again, tmp_path], capture_output=True, text=True, check=False)
    assert "another `make grade` is going on" in other.stderr
    with records.alone(tmp_path):
        pass


@pytest.mark.sandbox
def test_a_locked_gradebook_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("RNN_COURSE_SEED", SECRET)
    (tmp_path / "course").mkdir()
    (tmp_path / "course" / "gradebook.db").write_text("no database" * 100)
    with pytest.raises(RuntimeError, match=r"the gradebook can't be read: .*Is formgrader busy"):
        course.grade(tmp_path)


def test_nbgrader_s_own_collecting_reads_the_names_of_moodle():
    folders = ("Ada Lovelace_1234_assignsubmission_file_", "Zoë de Wit-Ng_99_assignsubmission_file_")
    found = [re.fullmatch(nbgrader_api.MOODLE, f"downloaded/{folder}/{NAME}.ipynb") for folder in folders]
    assert [one["student_id"] for one in found] == ["Ada Lovelace", "Zoë de Wit-Ng"]
    assert {one["file_id"] for one in found} == {f"{NAME}.ipynb"}


@pytest.mark.sandbox
def test_feedback_is_made_again_only_where_something_on_it_has_changed(graded, monkeypatch):
    root, everybody, _ = graded
    pages.feedback(root)
    made, make = [], pages._make
    monkeypatch.setattr(pages, "_make", lambda root, one: made.append(one.student) or make(root, one))
    assert len(pages.feedback(root)) >= len(everybody)
    assert made == []
    with Gradebook(nbgrader_api.config(root).CourseDirectory.db_url, "bptt") as gradebook:
        gradebook.find_comment("row-answer", NAME, NAME, "scripts").manual_comment = "Which row?"
        gradebook.db.commit()
    pages.page(root, course.Submission("half", NAME, root)).unlink()
    assert not any(one.note for one in pages.feedback(root) if one.student in ("scripts", "half"))
    assert sorted(made) == ["half", "scripts"]
    assert "Which row?" in page(root, "scripts")


def test_many_pages_are_shared_out_and_each_keeps_its_note(tmp_path, monkeypatch):
    monkeypatch.setattr(pages, "ProcessPoolExecutor", lambda jobs, context: ThreadPoolExecutor(jobs))
    monkeypatch.setattr(pages, "_make", lambda root, one: f"note on {one.student}")
    monkeypatch.setattr(pages.watch, "cores", lambda: 3)
    everybody = [course.Submission(str(i), NAME, tmp_path) for i in range(2 * pages.FEW)]
    assert list(pages._made(tmp_path, everybody)) == [(one, f"note on {one.student}") for one in everybody]


@pytest.mark.sandbox
def test_no_secret_leaves(graded):
    root, everybody, _ = graded
    source = nbformat.read(root / course.SOURCE / NAME / f"{NAME}.ipynb", as_version=4)
    solution = next(
        line for c in source.cells if c.id == "chunk-answer" for line in c.source.split("\n") if "d_as[t] =" in line
    )
    for student, one in everybody.items():
        feedback = page(root, student)
        assert SECRET not in feedback
        assert one.solved or solution.strip() not in feedback
        assert "SQLite format" not in feedback


@pytest.mark.sandbox
def test_no_script_reaches_the_instructors_browser(graded):
    root, _, _ = graded
    feedback = page(root, "scripts")
    assert "alert(1)" in feedback, "the text itself may be seen"
    for live in ("<script>alert", "<img src=x", 'href="javascript:'):
        assert live not in feedback
    stored = (root / "course" / "autograded" / "scripts" / NAME / f"{NAME}.ipynb").read_text()
    assert "application/javascript" not in stored


@pytest.mark.sandbox
def test_nothing_is_broken_or_left_running(graded):
    root, everybody, _ = graded
    assert not (root / "exploded").exists()
    assert (root / course.SOURCE / NAME / f"{NAME}.ipynb").exists()
    assert len(list((root / "course" / "submitted").iterdir())) == len(everybody) + 2
    running = [process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"])]
    assert not [line for line in running if any("987654" in word for word in line)]


@pytest.mark.sandbox
def test_a_manual_answer_waits_for_its_reader(graded):
    root, _, _ = graded
    with Gradebook(nbgrader_api.config(root).CourseDirectory.db_url, "bptt") as gradebook:
        waiting = gradebook.find_submission(NAME, "scripts").needs_manual_grade
        unanswered = gradebook.find_submission(NAME, "perfect").needs_manual_grade
    assert (waiting, unanswered) == (True, False)


@pytest.mark.sandbox
def test_a_second_run_does_nothing_again_and_a_new_submission_alone_is_graded(graded, monkeypatch):
    root, _, _ = graded
    before = scores(root)
    monkeypatch.setattr(grader, "grade", lambda *args: pytest.fail("graded again"))
    course.grade(root, limits=LIMITS)
    assert scores(root) == before
    monkeypatch.undo()
    monkeypatch.setenv("RNN_COURSE_SEED", SECRET)
    released = (root / course.RELEASE / NAME / f"{NAME}.ipynb").read_text()
    hand_in(root, "late", released)
    course.grade(root, limits=LIMITS)
    assert scores(root) == before | {"late": 0.0}


@pytest.mark.sandbox
def test_one_student_is_graded_again_and_a_reader_s_score_stays_until_what_it_was_for_changes(graded, monkeypatch):
    root, _, _ = graded
    read, overridden = ("row-answer", "scripts"), ("backward-check", "half")
    by_hand(root, *read, 2.0)
    by_hand(root, *overridden, 5.0)
    before, asked, grade = scores(root), [], grader.grade
    monkeypatch.setattr(grader, "grade", lambda job, **options: asked.append(job) or grade(job, **options))
    course.grade(root, again=["scripts"], limits=LIMITS)
    assert len(asked) == 2
    assert asked[0] == grader.REFERENCE, "whom everybody's grade depends on"
    assert scores(root) == before == before | {"scripts": ALL + 2, "half": 9.0}
    assert by_hand(root, *read) == (2.0, False)
    path = root / "course" / "submitted" / "scripts" / NAME / f"{NAME}.ipynb"
    path.write_text(path.read_text().replace("alert(1)", "alert(2)"))
    solved = json.loads((root / "course" / "submitted" / "perfect" / NAME / f"{NAME}.ipynb").read_text())
    hand_in(root, "half", json.dumps(solved))
    results = course.grade(root, limits=LIMITS)
    assert by_hand(root, *read) == (2.0, True)
    assert by_hand(root, *overridden) == (5.0, True)
    (hidden,) = (line for line in remarks.remarks(root, results) if line.startswith("a score given by hand"))
    assert hidden == f"a score given by hand hides a new result: half {NAME} backward-check (5, not 4)"


def by_hand(root, cell, student, score=None, *, waits=False):
    """A reader's score and whether they are asked; with a score, as formgrader would store it; or as if nobody had read it."""
    with Gradebook(nbgrader_api.config(root).CourseDirectory.db_url, "bptt") as gradebook:
        grade = gradebook.find_grade(cell, NAME, NAME, student)
        if score is not None:
            grade.manual_score, grade.needs_manual_grade = score, False
            gradebook.db.commit()
        if waits:
            grade.manual_score, grade.needs_manual_grade = None, True
            gradebook.db.commit()
        return grade.manual_score, grade.needs_manual_grade


@pytest.mark.sandbox
def test_half_written_files_are_made_anew(graded):
    root, _, _ = graded
    before = scores(root)
    (root / "course" / "autograded" / "half" / NAME / f"{NAME}.ipynb").write_text('{"cells": [')
    (root / "course" / "records" / "perfect" / f"{NAME}.json").write_text("[]")
    assert not [one for one in course.grade(root, limits=LIMITS) if one.student in ("half", "perfect") and one.note]
    assert scores(root) == before


@pytest.mark.sandbox
def test_grades_are_exported_and_what_is_not_final_is_no_zero(graded):
    root, everybody, _ = graded
    (root / platforms.PARTICIPANTS).write_text(json.dumps({NAME: {"perfect": "=Ada, the ’first’", "scripts": "Bob"}}))
    by_hand(root, "row-answer", "untouched", 0.0)
    long, wide, moodle = [list(csv.reader(path.read_text("utf-8").splitlines())) for path in export.grades(root)]
    (root / platforms.PARTICIPANTS).unlink()
    found = {student: (name, status, points) for _, student, name, status, points, _ in long[1:]}
    assert long[1][0] == NAME
    assert found["perfect"] == ("'=Ada, the ’first’", "graded", f"{ALL:g}")
    assert found["untouched"] == ("", "graded", "0")
    assert found["edited-tests"][1:] == ("explanation unread", "0")
    assert found["scripts"][0] == "Bob"
    assert found["broken"][1].startswith(f"not graded: {NAME}.ipynb is no notebook")
    assert found["linked"][1:] == ("not graded: it holds a link", "")
    assert wide[:2] == [["Student", "ID", "Section", NAME], ["Points Possible", "", "", "20"]]
    final = {row[1]: row[3] for row in wide[2:]}
    assert [final[one] for one in ("perfect", "untouched", "edited-tests", "broken")] == [f"{ALL:g}", "0", "", ""]
    assert moodle[0][0] == "Identifier"
    assert moodle[1] == ["Participant perfect", "'=Ada, the ’first’", f"{ALL:g}", "20", "-"]
    assert len(found) >= len(everybody)


@pytest.mark.sandbox
def test_an_unread_explanation_and_a_newer_submission_are_told(graded):
    root, _, _ = graded
    by_hand(root, "row-answer", "scripts", waits=True)
    path = root / "course" / "submitted" / "half" / NAME / f"{NAME}.ipynb"
    os.utime(path, (time.time() + 9, time.time() + 9))
    found = {one.student: one.status for one in export.rows(root)}
    os.utime(path, (time.time() - 999, time.time() - 999))
    assert found["scripts"] == "explanation unread"
    assert found["half"] == "handed in again and not graded: run `make grade`"


@pytest.mark.sandbox
def test_a_run_that_is_killed_goes_on(graded):
    root, _, _ = graded
    records = root / "course" / "records"
    before = scores(root)
    shutil.rmtree(records / "perfect")
    shutil.rmtree(records / "half")
    for student in ("perfect", "half"):
        shutil.rmtree(root / "course" / "autograded" / student)
    command = [sys.executable, "-m", "rnnlib.coursework.grading", "grade", "--course", str(root)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as run:
        while not (done := [s for s in ("perfect", "half") if (records / s / f"{NAME}.json").exists()]):
            assert run.poll() is None, "it ended before anything was stored"
        run.kill()
    stamp = {s: (records / s / f"{NAME}.json").stat().st_mtime_ns for s in done}
    course.grade(root, limits=LIMITS)
    assert scores(root) == before
    assert {s: (records / s / f"{NAME}.json").stat().st_mtime_ns for s in done} == stamp
    assert not list(Path(records).rglob("*.part"))


@pytest.mark.sandbox
def test_a_dask_cluster_grades_alike(graded):
    distributed = pytest.importorskip("distributed", reason="Dask comes with the cluster extra")
    root, _, _ = graded
    before = scores(root)
    for student in ("perfect", "half"):
        shutil.rmtree(root / "course" / "records" / student)
    with (
        distributed.LocalCluster(n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        course.grade(root, executor=client.get_executor(), limits=LIMITS)
    assert scores(root) == before
    assert (root / "course" / "records" / "half" / f"{NAME}.json").exists()


def test_without_a_seed_it_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.delenv("RNN_COURSE_SEED", raising=False)
    monkeypatch.setenv("RNN_COURSE_SEED_FILE", str(tmp_path / "seed"))
    with pytest.raises(RuntimeError, match=r"no secret seed at .*make course-seed"):
        course.grade(tmp_path)


@pytest.mark.parametrize("weak", ["", "abc"])
def test_a_seed_that_could_be_guessed_is_refused(tmp_path, monkeypatch, weak):
    monkeypatch.delenv("RNN_COURSE_SEED", raising=False)
    monkeypatch.setenv("RNN_COURSE_SEED_FILE", str(tmp_path / "seed"))
    (tmp_path / "seed").write_text(weak)
    with pytest.raises(RuntimeError, match=rf"has {len(weak)} characters; it needs 16"):
        course.grade(tmp_path)
    (tmp_path / "seed").unlink()
    made = seed.make()
    assert made.stat().st_mode & 0o777 == 0o600
    assert len(seed.secret()) == 64
    assert seed.make().read_text() == seed.secret()
