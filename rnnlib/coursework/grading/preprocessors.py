"""nbgrader's autograding with three steps replaced: what is taken from a submission, how a cell gets its points, when a reader is asked."""

import hashlib
import json
from pathlib import Path

import nbformat
from jinja2 import BytecodeCache
from nbconvert.exporters import HTMLExporter
from nbgrader.api import MissingEntry
from nbgrader.preprocessors import NbGraderPreprocessor, SaveAutoGrades
from traitlets import Bool, Unicode

from rnnlib.coursework.grading import box, grader, records, seed, submission


class Restore(NbGraderPreprocessor):
    """Take answers and added cells from the submission, everything else from the release."""

    release = Unicode(help="the folder of the released assignments").tag(config=True)

    def preprocess(self, nb, resources):
        """Replace the notebook by the one to grade."""
        names = resources["nbgrader"]
        path = Path(self.release, names["assignment"], f"{names['notebook']}.ipynb")
        return submission.restored(nbformat.read(path, as_version=4), nb), resources


class Judge(NbGraderPreprocessor):
    """Store in each graded cell the verdict on its Question, and its points where nbgrader looks for them."""

    records = Unicode(help="the folder of gradings done").tag(config=True)
    sandboxed = Bool(True, help="whether submissions run in bubblewrap").tag(config=True)

    def preprocess(self, nb, resources):
        """Grade the notebook, or take what an earlier run stored of the same cells."""
        names = resources["nbgrader"]
        job = grader.job(nb, seed.secret())
        path = Path(self.records, names["student"], f"{names['notebook']}.json")
        outputs = records.load(path, job.key)
        if outputs is None:
            if self.sandboxed:
                box.require_hidden(Path(self.records), seed.where())
            outputs = grader.grade(job, sandboxed=self.sandboxed).outputs
            records.save(path, job.key, outputs)
        cells = [cell for cell in nb.cells if cell.cell_type == "code"]
        for cell, shown in zip(cells, outputs, strict=True):
            cell.outputs = [nbformat.from_dict(output) for output in shown]
        nb.metadata["graded"] = job.key
        return nb, resources


class SaveGrades(SaveAutoGrades):
    """Save the points, and ask a reader again only about what has changed: the text of an explanation, or what a score of theirs hides."""

    records = Unicode(help="the folder of gradings done").tag(config=True)

    def preprocess(self, nb, resources):
        """Save the points of all cells, and what texts they were given for."""
        names = resources["nbgrader"]
        path = Path(self.records, names["student"], f"{names['notebook']}.texts.json")
        self._before, self._texts = _stored(path), {}
        try:
            return super().preprocess(nb, resources)
        finally:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(self._before | self._texts), encoding="utf-8")

    def _add_score(self, cell, resources):
        name = cell.metadata.nbgrader.grade_id
        try:
            grade = self.gradebook.find_grade(name, self.notebook_id, self.assignment_id, self.student_id)
            asked, score = grade.needs_manual_grade, grade.auto_score
        except MissingEntry:
            asked, score = True, None
        super()._add_score(cell, resources)
        self._texts[name] = hashlib.sha256(cell.source.encode()).hexdigest()
        grade = self.gradebook.find_grade(name, self.notebook_id, self.assignment_id, self.student_id)
        if grade.manual_score is not None:
            changed = (
                self._before.get(name) != self._texts[name]
                if cell.metadata.nbgrader.solution
                else score != grade.auto_score
            )
            grade.needs_manual_grade = bool(asked or changed)
            self.gradebook.db.commit()


def _stored(path):
    """What an earlier run wrote; nothing where there was none."""
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return {}


class _Kept(BytecodeCache):
    """Templates as they were compiled for the first page: compiling took half of the time of each."""

    def __init__(self):
        self.code = {}

    def load_bytecode(self, bucket):
        if bucket.key in self.code:
            bucket.bytecode_from_string(self.code[bucket.key])

    def dump_bytecode(self, bucket):
        self.code[bucket.key] = bucket.bytecode_to_string()


class Page(HTMLExporter):
    """nbgrader's page of feedback, whose templates are compiled once a process."""

    templates = _Kept()

    def _create_environment(self):
        environment = super()._create_environment()
        environment.bytecode_cache = self.templates
        return environment
