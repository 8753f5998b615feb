"""To and from a learning platform: what was handed in is sorted by the platform's number of each participant, and feedback goes back.

Archives are read, never unpacked: of each participant one plain notebook is taken, and what a participant has named decides nothing else.
"""

import json
import os
import re
import time
import zipfile
from pathlib import Path
from typing import NamedTuple

from rnnlib.coursework.grading.submission import LARGEST

# Moodle's folder or, without folders, what it puts before a file's name (it makes a blank of each _ in a person's name); then Canvas's
NUMBER = r"(?P<id>[0-9]{1,19})"
FOLDER = re.compile(rf"(?P<name>[^_/]*)_{NUMBER}_assignsubmission_file_?")
FLAT = re.compile(rf"(?P<name>[^_/]*)_{NUMBER}_assignsubmission_file_(?P<file>[^/]*)")
CANVAS = re.compile(rf"(?P<name>\w+?)(?:_LATE)?_{NUMBER}_[0-9]{{1,19}}_(?P<file>[^/]*)")
SUFFIX = r"(?: ?\([0-9]+\))?(?:-[0-9]+)?\.ipynb"  # a browser's second download, a platform's second attempt
ASIDE = re.compile(r"(.*/)?(__MACOSX/.*|\._[^/]*|\.DS_Store|[^/]*_assignsubmission_onlinetext_.*|[^/]*_text\.html)")
MOST = 100_000  # files in an archive
PARTICIPANTS = "course/participants.json"


class Collected(NamedTuple):
    """What became of one participant's file, or of one that is nobody's."""

    student: str  # the platform's number; "" where it can't be told
    note: str  # what was done, or why nothing was
    taken: bool  # whether it lies in course/submitted now


class _Found(NamedTuple):
    """A file in an archive that is somebody's."""

    name: str
    archive: Path
    info: zipfile.ZipInfo


def collect(root: Path, assignment: str) -> list[Collected]:
    """Sort the archives in course/downloaded/ASSIGNMENT into course/submitted/NUMBER/ASSIGNMENT/ASSIGNMENT.ipynb.

    What lay there and differs is kept in course/replaced. Whoever has handed in two notebooks, or none, is listed, and nothing is guessed.

    Args:
        root: the course.
        assignment: its name, which the notebooks bear too: `ps2_backward.ipynb`, `ps2_backward (1).ipynb`.

    Returns:
        Every participant, and every file that can't be anybody's.

    Raises:
        RuntimeError: there is no archive; the message says where it belongs.
    """
    folder = root / "course" / "downloaded" / assignment
    archives = sorted([*folder.glob("*.zip"), *folder.glob("archive/*.zip")])  # and none that somebody has handed in
    if not archives:
        raise RuntimeError(
            f"collect: there is no .zip in {folder.relative_to(root)}: put the platform's download there"
        )
    people, files, results = {}, {}, []
    for path in archives:
        try:
            results += _sort(path, people, files)
        except Exception as error:  # whatever came, the other archives are read
            results.append(Collected("", f"{path.name} can't be read: {error}", False))
    for student in sorted(people, key=int):
        try:
            results.append(_taken(root, assignment, student, files[student]))
        except Exception as error:  # whatever one has handed in, the others are collected
            results.append(Collected(student, f"can't be taken: {type(error).__name__}: {error}", False))
    _write(
        root / PARTICIPANTS, json.dumps(participants(root) | {assignment: people}, indent=1, sort_keys=True).encode()
    )
    return results


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
    people = participants(root).get(assignment)
    if not people:
        raise RuntimeError(f"return: nobody's number is known for {assignment}. Run `make collect` first")
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


def _sort(path, people, files):
    """Find whose each file of an archive is, and add it there; list those that are nobody's."""
    with zipfile.ZipFile(path) as archive:
        infos = archive.infolist()
    if len(infos) > MOST:
        raise ValueError(f"it holds {len(infos):,} files, {MOST:,} at most")
    paths = {info: info.filename.replace("\\", "/").removeprefix("./") for info in infos if not info.is_dir()}
    paths = {info: name for info, name in paths.items() if not ASIDE.fullmatch(name)}
    around = {name.partition("/")[0] if "/" in name else "" for name in paths.values()}
    if len(around) == 1 and not FOLDER.fullmatch(*around):  # one folder around all: packed once more
        paths = {info: name.removeprefix(f"{next(iter(around))}/") for info, name in paths.items()}
    nobodys = []
    for info, name in paths.items():
        owner = _owner(name)
        if owner is None:
            nobodys.append(Collected("", f"{name[:200]!r} bears no participant's number", False))
            continue
        student, person, file = owner
        people[student] = person
        files.setdefault(student, []).append(_Found(file, path, info))
    return nobodys


def _owner(path):
    """Participant number, name and file, of a path in an archive; None if the platform has put none there.

    In a folder's name and before a file's, the platform's part comes first, and what a participant chose after it.
    """
    folder, _, file = path.partition("/")
    if file:
        found = FOLDER.fullmatch(folder)
        return found and (
            found["id"],
            found["name"],
            file,
        )  # of a folder inside it nothing is taken: `file` has a / then
    found = FLAT.fullmatch(folder) or CANVAS.fullmatch(folder)
    return found and (found["id"], found["name"], found["file"])


def _taken(root, assignment, student, files):
    """Put one participant's notebook where the grader looks."""
    named = [one for one in files if re.fullmatch(re.escape(assignment) + SUFFIX, one.name, re.IGNORECASE)]
    if not named:
        names = ", ".join(sorted(one.name[:60] for one in files[:5]))
        return Collected(student, f"no {assignment}.ipynb, but {names}", False)
    if len({(one.info.CRC, one.info.file_size) for one in named}) > 1:
        return Collected(
            student, f"{len(named)} notebooks: {', '.join(sorted(one.name for one in named))}. Which one?", False
        )
    with zipfile.ZipFile(named[0].archive) as archive, archive.open(named[0].info) as file:
        data = file.read(LARGEST + 1)  # whatever the archive says of its size
    if len(data) > LARGEST:
        return Collected(student, f"{named[0].name} has more than {LARGEST // 2**20} MiB", False)
    path = root / "course" / "submitted" / student / assignment / f"{assignment}.ipynb"
    says = "new"
    if path.is_file():
        before = path.read_bytes()
        if before == data:
            return Collected(student, "as before", True)
        kept = root / "course" / "replaced" / student / assignment / f"{time.time_ns()}.ipynb"
        _write(kept, before)
        says = f"replaced; what lay there is {kept.relative_to(root)}"
    _write(path, data)
    return Collected(student, says, True)


def participants(root: Path) -> dict[str, dict[str, str]]:
    """Say who has which number, by assignment: Moodle gives everybody another one in each.

    Args:
        root: the course.

    Returns:
        For each assignment that was collected, names by number.
    """
    path = root / PARTICIPANTS
    return json.loads(path.read_text("utf-8")) if path.exists() else {}


def _write(path, data):
    """All of it or nothing, and never through a link."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if any(folder.is_symlink() for folder in (path.parent, path.parent.parent)):
        raise OSError(f"{path.parent} leads elsewhere: a link")
    part = path.with_name(path.name + ".part")
    part.write_bytes(data)
    os.replace(part, path)
