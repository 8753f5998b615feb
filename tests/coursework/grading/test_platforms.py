"""From a platform's archive to course/submitted and back: nobody becomes another, nothing is lost, nothing is guessed."""

import json
import zipfile

import pytest

from rnnlib.coursework.grading import platforms
from rnnlib.coursework.grading.platforms import collect, give_back

NAME = "ps2_backward"


@pytest.fixture
def archive(tmp_path):
    """`archive({path: text})` is a download of the platform's."""

    def write(files, name="all"):
        folder = tmp_path / "course" / "downloaded" / NAME
        folder.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(folder / f"{name}.zip", "w", zipfile.ZIP_DEFLATED) as file:
            for path, text in files.items():
                file.writestr(path, text)

    return write


def submitted(root):
    return {path.parts[-3]: path.read_text() for path in root.glob(f"course/submitted/*/{NAME}/{NAME}.ipynb")}


def test_the_forms_of_moodle_and_canvas(archive, tmp_path):
    archive(
        {
            f"Ada Lovelace_1234_assignsubmission_file_/{NAME}.ipynb": "ada",
            f"Zoë d’Arc, Jr_99_assignsubmission_file/{NAME} (1).ipynb": "zoë",
            f"Al Khwarizmi_7_assignsubmission_file_{NAME}(2).ipynb": "al",
            f"anon_57_6791_{NAME}.ipynb": "anonymous",
            "Al Khwarizmi_7_assignsubmission_onlinetext_/onlinetext.html": "a word",
            "._rubbish": "",
            "__MACOSX/x": "",
            f"doejane_LATE_55_6789_{NAME}-1.ipynb": "jane",
            f"roejohn_56_6790_{NAME.upper()}.ipynb": "john",
        }
    )
    assert all(one.taken for one in collect(tmp_path, NAME))
    assert submitted(tmp_path) == {"1234": "ada", "99": "zoë", "7": "al", "55": "jane", "56": "john", "57": "anonymous"}


def test_a_file_s_own_name_makes_nobody_another(archive, tmp_path):
    evil = f"x_1_assignsubmission_file_{NAME}.ipynb"
    archive(
        {
            f"Ada_1_assignsubmission_file_/{NAME}.ipynb": "ada",
            f"Eve_2_assignsubmission_file_/{evil}": "eve",
            f"Eve_3_assignsubmission_file_{evil}": "eve",
            f"eve_66_6790_y_1_assignsubmission_file_{NAME}.ipynb": "eve",
            "Eve_7_assignsubmission_file_/my.zip": "eve",
            f"Eve_5_assignsubmission_file_/../../1/{NAME}/{NAME}.ipynb": "eve",
            f"Eve_6_assignsubmission_file_/deep/{NAME}.ipynb": "eve",
            f"../1/{NAME}/{NAME}.ipynb": "eve",
        }
    )
    unpacked = tmp_path / "course" / "downloaded" / NAME / "Eve_7_assignsubmission_file_"
    unpacked.mkdir()
    with zipfile.ZipFile(unpacked / "my.zip", "w") as file:
        file.writestr(f"Ada_1_assignsubmission_file_/{NAME}.ipynb", "eve")
    notes = {one.student: one.note for one in collect(tmp_path, NAME) if not one.taken}
    assert submitted(tmp_path) == {"1": "ada"}
    assert all(notes[student].startswith(f"no {NAME}.ipynb") for student in ("2", "3", "5", "6", "7", "66"))
    assert {path.name for path in tmp_path.iterdir()} == {"course"}


def test_every_problem_is_listed_at_once_and_the_others_are_taken(archive, tmp_path, monkeypatch):
    monkeypatch.setattr(platforms, "LARGEST", 1000)
    archive(
        {
            f"Ada_1_assignsubmission_file_/{NAME}.ipynb": "ada",
            f"Bob_2_assignsubmission_file_/{NAME}.ipynb": "one",
            f"Bob_2_assignsubmission_file_/{NAME} (1).ipynb": "two",
            "Cem_3_assignsubmission_file_/notes.html": "<script>",
            f"Dee_4_assignsubmission_file_/{NAME}.ipynb": "x" * 1001,
            f"whose/{NAME}.ipynb": "?",
        }
    )
    (tmp_path / "course" / "downloaded" / NAME / "torn.zip").write_text("no archive")
    found = collect(tmp_path, NAME)
    notes = [one.note for one in found if not one.taken]
    for says in (
        "Which one?",
        f"no {NAME}.ipynb, but notes.html",
        "more than",
        "no participant",
        "torn.zip can't be read",
    ):
        assert sum(says in note for note in notes) == 1, says
    assert submitted(tmp_path) == {"1": "ada"}
    assert not list(tmp_path.rglob("*.html"))


def test_a_broken_entry_and_what_is_in_the_way_stop_nobody(archive, tmp_path):
    names = [f"{who}_assignsubmission_file_/{NAME}.ipynb" for who in ("Ada_1", "Bob_2", "Cem_3")]
    archive(dict.fromkeys(names, "the same text " * 100))
    path = tmp_path / "course" / "downloaded" / NAME / "all.zip"
    data = bytearray(path.read_bytes())
    data[data.index(names[0].encode()) + len(names[0]) + 2] ^= 0xFF  # in the stream of the first
    path.write_bytes(data)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "course" / "submitted").mkdir()
    (tmp_path / "course" / "submitted" / "2").symlink_to(tmp_path / "elsewhere")
    notes = {one.student: one.note for one in collect(tmp_path, NAME)}
    assert "can't be taken" in notes["1"]
    assert "a link" in notes["2"]
    assert notes["3"] == "new"
    assert not list((tmp_path / "elsewhere").rglob("*.ipynb"))


def test_the_same_twice_is_once_and_a_folder_around_all_is_none(archive, tmp_path):
    archive({f"Ada_1_assignsubmission_file_/{NAME}.ipynb": "ada"})
    archive({f"download\\Ada_1_assignsubmission_file_\\{NAME}.ipynb": "ada"}, "all (1)")
    assert [(one.student, one.note) for one in collect(tmp_path, NAME)] == [("1", "new")]
    assert submitted(tmp_path) == {"1": "ada"}


def test_nothing_is_replaced_without_a_copy(archive, tmp_path):
    path = f"Ada_1_assignsubmission_file_/{NAME}.ipynb"
    archive({path: "first"})
    assert [one.note for one in collect(tmp_path, NAME)] == ["new"]
    assert [one.note for one in collect(tmp_path, NAME)] == ["as before"]
    archive({path: "second"})
    (one,) = collect(tmp_path, NAME)
    assert one.note.startswith("replaced; what lay there is course/replaced/1/")
    assert submitted(tmp_path) == {"1": "second"}
    assert [kept.read_text() for kept in tmp_path.glob("course/replaced/1/*/*")] == ["first"]


def test_feedback_goes_back_under_the_name_it_came_by(archive, tmp_path):
    archive({f"{who}_assignsubmission_file_/{NAME}.ipynb": who for who in ("Ada_1", "Bob_2")})
    collect(tmp_path, NAME)
    page = tmp_path / "course" / "feedback" / "1" / NAME / f"{NAME}.html"
    page.parent.mkdir(parents=True)
    page.write_text("well done")
    path, missing = give_back(tmp_path, NAME)
    assert missing == ["2"]
    with zipfile.ZipFile(path) as zipped:
        assert {name: zipped.read(name) for name in zipped.namelist()} == {
            f"Ada_1_assignsubmission_file_/{NAME}.html": b"well done"
        }
    assert json.loads((tmp_path / platforms.PARTICIPANTS).read_text()) == {NAME: {"1": "Ada", "2": "Bob"}}


def test_where_the_archive_belongs_is_said(tmp_path):
    with pytest.raises(RuntimeError, match=r"there is no \.zip in course/downloaded/ps2_backward"):
        collect(tmp_path, NAME)
    with pytest.raises(RuntimeError, match="Run `make collect` first"):
        give_back(tmp_path, NAME)
