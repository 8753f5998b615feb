"""nbgrader, as this course uses it: where its files lie, which of its steps are replaced, what its gradebook knows."""

import os
import re
import sys
from pathlib import Path
from typing import Any

from traitlets.config import Config

from rnnlib.coursework import handout

SOURCE, RELEASE = handout.SOURCES, "build/release"
MOODLE = r".*/(?P<student_id>[^/]+?)_\d+_assignsubmission_file_/?(?P<file_id>[^/]+)"  # its names of files


def config(root: Path, *, sandboxed: bool = True) -> Config:
    """Tell nbgrader where a course lives and how it is graded.

    What is made again at will lies in build/; what nobody could make again (submissions, gradebook, feedback) lies in course/.

    Args:
        root: the folder that holds notebooks/assignments.
        sandboxed: see `sandbox.Worker`.

    Returns:
        nbgrader's configuration, also for its own commands and for formgrader.
    """
    from nbgrader.coursedir import CourseDirectory
    from nbgrader.preprocessors import AssignLatePenalties, CheckCellMetadata, LimitOutput

    from rnnlib.coursework.grading.preprocessors import Judge, Page, Restore, SaveGrades

    c, root = Config(), Path(root).resolve()
    c.CourseDirectory.root = str(root)
    c.CourseDirectory.course_id = "bptt"
    c.CourseDirectory.source_directory = SOURCE
    c.CourseDirectory.release_directory = RELEASE
    for step in ("submitted", "autograded", "feedback"):
        c.CourseDirectory[f"{step}_directory"] = f"course/{step}"
    # beside a set lies what it says to instructors
    c.CourseDirectory.ignore = [*CourseDirectory.ignore.default(), "README.md"]
    c.ZipCollectApp.downloaded_directory = "course/downloaded"
    c.FileNameCollectorPlugin.named_regexp = MOODLE
    c.CourseDirectory.db_url = f"sqlite:///{root / 'course' / 'gradebook.db'}"
    c.Autograde.sanitize_preprocessors = [Restore]
    c.Autograde.autograde_preprocessors = [Judge, LimitOutput, SaveGrades, AssignLatePenalties, CheckCellMetadata]
    c.GenerateFeedback.exporter_class = Page
    c.Restore.release = str(root / RELEASE)
    c.Judge.records = c.SaveGrades.records = str(root / "course" / "records")
    c.Judge.sandboxed = sandboxed
    return c


def booked_sets(root: Path) -> set[str]:
    """Name the assignments that the gradebook knows.

    Raises:
        RuntimeError: it can't be read.
    """
    from sqlalchemy.exc import SQLAlchemyError

    try:
        with start(root).gradebook as gradebook:
            return {assignment.name for assignment in gradebook.assignments}
    except SQLAlchemyError as error:
        raise RuntimeError(
            f"grade: the gradebook can't be read: {error.args[0]}. Is formgrader busy with it? Close that, and run again."
        ) from error


def cause(answer: dict[str, Any]) -> str:
    """Say what went wrong, where nbgrader does: the last line of its log that names an error."""
    if answer["success"]:
        return ""
    lines = (answer.get("error") or answer.get("log") or "").strip().splitlines()
    named = [line for line in lines if re.match(r"\s*[\w.]*(Error|Exception)\b.*:", line)]
    return (named or lines or ["nbgrader failed, and does not say why"])[-1].strip()[:300]


def start(root: Path, *, sandboxed: bool = True) -> Any:
    """Start nbgrader on a course; see `config`."""
    from nbgrader.apps import NbGraderAPI
    from nbgrader.coursedir import CourseDirectory

    scripts = str(Path(sys.executable).parent)  # nbgrader calls alembic by its bare name
    if scripts not in os.environ["PATH"].split(os.pathsep):
        os.environ["PATH"] = scripts + os.pathsep + os.environ["PATH"]
    c = config(root, sandboxed=sandboxed)
    return NbGraderAPI(CourseDirectory(config=c), config=c)
