"""Grades as tables: long for people, wide for Canvas, a worksheet a set for Moodle. What is not final is told apart from 0."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from rnnlib.coursework.grading import course, nbgrader_api, platforms, remarks, submission

GRADED = "graded"


class Grade(NamedTuple):
    """What one student has in one set, and whether that is all."""

    assignment: str
    student: str
    name: str  # as the platform has it; "" where it has none
    status: str
    points: float | None  # as far as they are known, less a late penalty; None where nothing is graded
    of: float


def grades(root: Path) -> list[Path]:
    """Write the gradebook to course/grades.csv, course/grades_canvas.csv and course/return/SET_moodle.csv.

    The first has a row for each student and set, with the status in words. The others go to a platform and hold final points alone: what
    waits for a reader, or was not graded, is left out, so that what stands there stays.

    Args:
        root: the course.

    Returns:
        The files.

    Source: the columns are those that Canvas's lib/gradebook_importer.rb and Moodle's mod/assign/feedback/offline look for.
    """
    found = list(rows(root))
    sets = {one.assignment: one.of for one in found}
    header = ["Student", "ID", "Section", *sets]
    final = {(one.student, one.assignment): _number(one.points) for one in found if one.status == GRADED}
    people = {one.student: one.name or one.student for one in found}
    wide = [
        [_text(name), student, "", *(final.get((student, s), "") for s in sets)] for student, name in people.items()
    ]
    points = ["Points Possible", "", "", *map(_number, sets.values())]
    files = [
        _write(root / "course" / "grades.csv", [Grade._fields, *map(_row, found)]),
        _write(root / "course" / "grades_canvas.csv", [header, points, *wide]),
    ]
    worksheet = ["Identifier", "Full name", "Grade", "Maximum grade", "Last modified (grade)"]
    for name, numbers in platforms.participants(root).items():
        lines = [
            [f"Participant {one.student}", _text(one.name), _number(one.points), _number(one.of), "-"]
            for one in found
            if one.assignment == name and one.student in numbers and one.status == GRADED
        ]
        files.append(_write(root / "course" / "return" / f"{name}_moodle.csv", [worksheet, *lines]))
    return files


def rows(root: Path) -> Iterator[Grade]:
    """List what every student has in every set that was handed out.

    Args:
        root: the course.

    Yields:
        The grades. Who is known by a platform's number has none in sets that were not handed in: Moodle gives everybody another number
        in each.
    """
    handed_in = {(one.student, one.assignment): one for one in course.submissions(root)}
    names = {student: name for people in platforms.participants(root).values() for student, name in people.items()}
    with nbgrader_api.start(root).gradebook as gradebook:
        people = {student for student, _ in handed_in} | {student.id for student in gradebook.students}
        for assignment in sorted(gradebook.assignments, key=lambda one: one.name):
            booked = {one.student.id: one for one in gradebook.assignment_submissions(assignment.name)}
            for student in sorted(people):
                one, has = handed_in.get((student, assignment.name)), booked.get(student)
                if one is None and has is None and student in names:
                    continue
                points = None if has is None else max(0.0, has.score - has.late_submission_penalty)
                status = _status(root, one, has)
                yield Grade(assignment.name, student, names.get(student, ""), status, points, assignment.max_score)


def _status(root: Path, one: course.Submission | None, has: Any) -> str:
    """What there is of a submission, from what lies in its folder and what the gradebook has."""
    if one is None:
        return "nothing handed in" if has is None else GRADED
    done = course.autograded(root, one)
    if has is None or (one.path.exists() and done.exists() and one.path.stat().st_mtime > done.stat().st_mtime):
        return f"{'not graded' if has is None else 'handed in again and not graded'}: {one.note or _broken(one.path)}"
    asked = remarks.asked(has)
    if any(grade.auto_score is None and grade.manual_score is None for grade in asked):
        return "explanation unread"
    return "to be looked at again" if asked else GRADED


def _broken(path):
    try:
        submission.read(path)
    except ValueError as error:
        return str(error)
    return "run `make grade`"


def _row(one):
    return [one.assignment, one.student, _text(one.name), _text(one.status), _number(one.points), _number(one.of)]


def _number(points):
    return "" if points is None else f"{round(points, 2):g}"


def _text(text):
    """A text that no spreadsheet takes for a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def _write(path, lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(lines)
    return path
