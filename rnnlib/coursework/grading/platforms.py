"""To and from a learning platform: what was handed in is sorted by participant number, and feedback goes back under it.

Archives are read, never unpacked: of each participant one plain notebook is taken, and a name inside an archive decides nothing but that.
"""

import json
import os
import re
import time
import zipfile
from pathlib import Path
from typing import NamedTuple

from rnnlib.coursework.grading.submission import LARGEST

# Moodle's folder or, without folders, what it puts before a file's name; Canvas's before a file's name
FOLDER = re.compile(r"(?P<name>.*)_(?P<id>\d+)_assignsubmission_file_?")
FLAT = re.compile(r"(?P<name>.*?)_(?P<id>\d+)_assignsubmission_file_(?P<file>[^/]*)")
CANVAS = re.compile(r"(?P<name>[^_/]+?)(?:_LATE)?_(?P<id>\d+)_\d+_(?P<file>[^/]*)")
SUFFIX = r"(?: ?\(\d+\))?(?:-\d+)?\.ipynb"  # a browser's second download, a platform's second attempt
MOST = 100_000  # files in an archive
PARTICIPANTS = "course/participants.json"


class Collected(NamedTuple):
    """What became of one participant's file, or of one that is nobody's."""

    student: str  # the platform's number; "" where it can't be told
    note: str  # what was done, or why nothing was
    taken: bool  # whether it lies in course/submitted now


def collect(root: Path, assignment: str) -> list[Collected]:
    """Sort the archives in course/downloaded/ASSIGNMENT into course/submitted/NUMBER/ASSIGNMENT/ASSIGNMENT.ipynb.

    What lay there and differs is kept in course/replaced. Files with two notebooks, or none, are listed, and nothing is guessed.

    Args:
        root: the course.
        assignment: its name, which the notebooks bear too: `ps2_backward.ipynb`, `ps2_backward (1).ipynb`.

    Returns:
        Every participant, and every file that can't be anybody's.

    Raises:
        RuntimeError: there is no archive; the message says where it belongs.
    """
    folder = root / "course" / "downloaded" / assignment
    archives = sorted(folder.rglob("*.zip"))
    if not archives:
        raise RuntimeError(
            f"collect: there is no .zip in {folder.relative_to(root)}: put the platform's download there"
        )
    notebooks, people, notes = {}, {}, []
    for path in archives:
        try:
            with zipfile.ZipFile(path) as archive:
                _sort(archive, assignment, notebooks, people, notes)
        except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError) as error:
            notes.append(Collected("", f"{path.name} can't be read: {error}", False))
    results = [_taken(root, assignment, student, notebooks.get(student, [])) for student in sorted(people, key=int)]
    _remember(root, people)
    return notes + results


def give_back(root: Path, assignment: str) -> tuple[Path, list[str]]:
    """Put the feedback of all that were collected into an archive that Moodle takes as *feedback files*.

    Args:
        root: the course.
        assignment: its name.

    Returns:
        The archive, course/return/ASSIGNMENT.zip, and the participants without feedback.

    Raises:
        RuntimeError: nothing was collected.
    """
    people = _known(root)
    if not people:
        raise RuntimeError("return: nobody is known by a participant number. Run `make collect` first")
    path, missing = root / "course" / "return" / f"{assignment}.zip", []
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for student, name in sorted(people.items()):
            page = root / "course" / "feedback" / student / assignment / f"{assignment}.html"
            if page.is_file():
                archive.write(page, f"{name}_{student}_assignsubmission_file_/{assignment}.html")
            elif (root / "course" / "submitted" / student / assignment).is_dir():
                missing.append(student)
    return path, missing


def _sort(archive, assignment, notebooks, people, notes):
    """Find whose each file is; put notebooks, read, and the names of people where they belong."""
    files = [info for info in archive.infolist() if not info.is_dir()]
    if len(files) > MOST:
        raise RuntimeError(f"it holds {len(files):,} files, {MOST:,} at most")
    for info in files:
        owner = _owner(info.filename)
        if isinstance(owner, str):
            notes.append(Collected("", f"{info.filename!r}: {owner}", False))
            continue
        student, name, file = owner
        people[student] = name
        if re.fullmatch(re.escape(assignment) + SUFFIX, file, re.IGNORECASE):
            notebooks.setdefault(student, []).append((file, _read(archive, info)))


def _owner(path):
    """Participant number, name and file of a path in an archive; in words, why there are none.

    A platform puts its own mark last of a folder's name, and first of a file's: what a participant chose stands on the other side.
    """
    folder, _, file = path.rpartition("/")
    found = FOLDER.fullmatch(folder.partition("/")[0]) if folder else None
    if found and "/" not in folder:
        return found["id"], found["name"], file
    if found:
        return found["id"], found["name"], ""  # of a folder that they handed in, nothing is taken
    if folder:
        return "no participant number in the folder's name"
    found = FLAT.fullmatch(file) or CANVAS.fullmatch(file)
    if not found:
        return "no participant number in its name"
    if FLAT.fullmatch(found["file"]) or file.count("_assignsubmission_file_") > 1:
        return "two participant numbers in its name: put it into course/submitted by hand"
    return found["id"], found["name"], found["file"]


def _read(archive, info):
    """The bytes of a file, or None for one that is larger than a notebook may be, whatever the archive says of its size."""
    with archive.open(info) as file:
        data = file.read(LARGEST + 1)
    return data if len(data) <= LARGEST else None


def _taken(root, assignment, student, files):
    """Put one participant's notebook where the grader looks."""
    if len(files) != 1:
        names = ", ".join(sorted(file for file, _ in files))
        says = f"{len(files)} notebooks, {names}: which one?" if files else f"no {assignment}.ipynb"
        return Collected(student, says, False)
    ((file, data),) = files
    if data is None:
        return Collected(student, f"{file} has more than {LARGEST // 2**20} MiB", False)
    path = root / "course" / "submitted" / student / assignment / f"{assignment}.ipynb"
    says = "new"
    if path.is_file():
        before = path.read_bytes()
        if before == data:
            return Collected(student, "as before", True)
        kept = root / "course" / "replaced" / student / assignment / f"{time.time_ns()}.ipynb"
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_bytes(before)
        says = f"replaced; what lay there is {kept.relative_to(root)}"
    _write(path, data)
    return Collected(student, says, True)


def _known(root):
    path = root / PARTICIPANTS
    return json.loads(path.read_text("utf-8")) if path.exists() else {}


def _remember(root, people):
    _write(root / PARTICIPANTS, json.dumps(_known(root) | people, indent=1, sort_keys=True).encode())


def _write(path, data):
    """All of it or nothing, and never through a link."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_bytes(data)
    os.replace(part, path)
