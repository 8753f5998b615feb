"""nbgrader's settings, for its own commands and for formgrader, started in this folder: where the course lives, how it is graded."""

from pathlib import Path

from rnnlib.grading import course

get_config().merge(course.config(Path(__file__).parent))
