"""nbgrader's settings, for its own commands and for formgrader, started in this folder: where the course lives, how it is graded."""

from pathlib import Path

from rnnlib.coursework.grading import nbgrader_api

get_config().merge(nbgrader_api.config(Path(__file__).parent))
