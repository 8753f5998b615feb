"""One submission, from cells and Questions in their order to outputs and verdicts."""

import ast
import hashlib
import json
from typing import Any, NamedTuple

from rnnlib.coursework.answers import Answer
from rnnlib.coursework.grading.editions import edition
from rnnlib.coursework.grading.sandbox import DEFAULT_LIMITS, MIB, Limits, Worker, WorkerLostError
from rnnlib.coursework.questions import load
from rnnlib.coursework.verdicts import Verdict


class Step(NamedTuple):
    """A code cell: one to run in the sandbox, or a Question to ask."""

    source: str
    question: str = ""  # its id, where the cell is a `check`
    name: str = ""  # of the function that answers


class Grading(NamedTuple):
    """What became of a submission."""

    outputs: list[
        list[dict[str, Any]]
    ]  # of each step, as a notebook stores them; a Question's are the verdict and the points
    starved: bool = False  # something was stopped for its time that had too little of a core: worth another try, alone


class Job(NamedTuple):
    """All there is to know for grading a submission; plain texts, so that another machine can do it."""

    steps: tuple[Step, ...]
    seed: str

    @property
    def key(self) -> str:
        """The same for the same cells, the same seed, and the same programs of the Questions."""
        programs = edition(
            tuple(step.question for step in self.steps if step.question), tuple(s.source for s in self.steps)
        )
        return hashlib.sha256(repr((self, programs)).encode()).hexdigest()


def require_fair(outputs: list[list[dict[str, Any]]]) -> None:
    """Raise unless the reference answer, graded as `REFERENCE`, has earned everything.

    Args:
        outputs: those of `grade(REFERENCE, ...)`.

    Raises:
        RuntimeError: it has not, so that nobody else would get what they have earned; the message holds the verdict.
    """
    verdict, points = (output["data"]["text/plain"] for output in outputs[-1])
    if float(points) != load(REFERENCE.steps[-1].question).points:
        raise RuntimeError(f"grade: the reference answer earns {points} points here, so nobody was graded. {verdict}")


REFERENCE = Job(
    (
        Step("from rnnlib.coursework.questions import load\nanswer = load('ps2/readout_gradients').reference"),
        Step("", "ps2/readout_gradients", "answer"),
    ),
    "reference",
)


def job(notebook: Any, secret: str) -> Job:
    """Read the steps of a notebook whose graded cells are ours.

    Every submission gets a random seed of its own, made from the secret and the cells: whoever hands in again what a first verdict
    showed is asked something else.

    Args:
        notebook: restored by `submission.restored`.
        secret: the course's seed.

    Returns:
        The `Job`, one step for each code cell.

    Raises:
        ValueError: a graded code cell is not of the form check("psN/name", name).
    """
    steps = tuple(_step(cell) for cell in notebook.cells if cell.cell_type == "code")
    cells = [(cell.cell_type, cell.source) for cell in notebook.cells]
    return Job(steps, hashlib.sha256(repr((secret, cells)).encode()).hexdigest())


def grade(job: Job, limits: Limits = DEFAULT_LIMITS, sandboxed: bool = True) -> Grading:
    """Run the cells and ask the Questions. A cell or an answer that ends the process is left out when the rest is run again.

    Args:
        job: what to grade.
        limits: see `sandbox.Limits`.
        sandboxed: see `sandbox.Worker`.

    Returns:
        The `Grading`.
    """
    done, lost, spent, starved, room = {}, set(), 0.0, False, limits.output * MIB
    while any(step.question and i not in done for i, step in enumerate(job.steps)):
        with Worker(limits, sandboxed=sandboxed) as worker:
            for i, step in enumerate(job.steps):
                if i in lost or (step.question and i in done):
                    continue
                late = spent + worker.spent > limits.total
                over = f"All its cells and answers took more than {limits.total:g} s." if late else ""
                done[i], why = _judged(worker, step, job.seed, over) if step.question else _ran(worker, step, over)
                room -= len(json.dumps(done[i]))
                if room < 0 and not step.question:
                    done[i] = [_stream(f"Not shown: the cells show more than {limits.output} MiB.")]
                if why and not over:
                    lost.add(i)
                    break
        spent, starved = spent + worker.spent, starved or worker.starved
    return Grading([done.get(i, []) for i in range(len(job.steps))], starved)


def _step(cell):
    info = cell.metadata.get("nbgrader", {})
    if not info.get("grade") or info.get("solution"):
        return Step(cell.source)
    match ast.parse(cell.source).body:
        case [ast.Expr(ast.Call(ast.Name("check"), [ast.Constant(str() as question), ast.Name(name)], []))]:
            return Step(cell.source, question, name)
    raise ValueError(f'{info["grade_id"]}: a graded code cell must be check("psN/name", name), got {cell.source!r}')


def _ran(worker, step, over):
    """A cell's outputs, and why the worker is lost where it is."""
    if over:
        return [_stream(over)], over
    try:
        return worker.run(step.source), ""
    except WorkerLostError as error:
        return [_stream(f"{error} This cell was left out.")], str(error)


def _judged(worker, step, seed, over):
    """A Question's verdict as outputs, and why the worker is lost where it is."""
    question, why = load(step.question), over

    def answers(inputs):
        nonlocal why
        try:
            return Answer(None, None, why) if why else worker.answer(step.question, step.name, inputs)
        except WorkerLostError as error:
            why = str(error)
            return Answer(None, None, why)

    return _shown(question.grade(answers, seed=seed)), why


def _shown(verdict: Verdict):
    return [
        _output("display_data", {"text/plain": str(verdict), "text/html": verdict._repr_html_()}),
        _output("execute_result", {"text/plain": f"{verdict.earned:g}"}) | {"execution_count": None},
    ]


def _output(kind, data):
    return {"output_type": kind, "data": data, "metadata": {}}


def _stream(text):
    return {"output_type": "stream", "name": "stdout", "text": f"{text}\n"}
