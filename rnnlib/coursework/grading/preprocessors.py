"""nbgrader's autograding with two of its steps replaced: what is taken from a submission, and how a graded cell gets its points."""

from pathlib import Path

import nbformat
from nbgrader.preprocessors import NbGraderPreprocessor
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
