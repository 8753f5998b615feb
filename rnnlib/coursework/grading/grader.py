"""One submission, from cells and Questions in their order to outputs and verdicts."""

import ast
import hashlib
import json
from typing import Any, NamedTuple

from rnnlib.coursework.answers import Answer
from rnnlib.coursework.asking import PROGRAMS, blank
from rnnlib.coursework.grading.editions import edition
from rnnlib.coursework.grading.limits import DEFAULT_LIMITS, Limits
from rnnlib.coursework.grading.runner import UNRUN, Runner
from rnnlib.coursework.grading.sandbox import MIB, Worker, WorkerLostError
from rnnlib.coursework.questions import load
from rnnlib.coursework.verdicts import Verdict


class Step(NamedTuple):
    """A code cell: one to run in the sandbox, or a Question to ask."""

    source: str
    question: str = ""  # its id, where the cell is a `check`
    name: str = ""  # of the function that answers
    needed: str | None = None  # of the source, what answers may need; None for all


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
        Step(
            "import numpy as np\n"
            "def answer(hs, ys, targets, weights):\n"
            "    d_ys = weights[..., None] * (ys - targets)\n"
            "    return np.einsum('tbh,tbk->hk', hs[1:], d_ys), d_ys.sum((0, 1))"
        ),
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
    """Ask the Questions, where what they ask for by hand is not there; then run the cells, where all is there, to be shown.

    A cell or an answer that ends the process is left out when the rest is run again.

    Args:
        job: what to grade.
        limits: see `limits.Limits`.
        sandboxed: see `sandbox.Worker`.

    Returns:
        The `Grading`.
    """
    done, lost, spent, starved = {}, set(), 0.0, False
    with Runner(limits, sandboxed) as runner:
        for bare in (*{step.question.partition("/")[0] for step in job.steps if step.question}, ""):
            wanted = {i for i, step in enumerate(job.steps) if bool(step.question) == bool(bare)}
            while wanted - done.keys():
                with Worker(limits, sandboxed=sandboxed, bare=bare) as worker:
                    _run(worker, runner, job, wanted, done, lost, limits.total - spent)
                spent, starved = spent + worker.spent, starved or worker.starved
    return Grading([done[i] for i in range(len(job.steps))], starved or runner.starved)


def _run(worker, runner, job, wanted, done, lost, left):
    """Run cells and ask Questions up to the last that is wanted, or until the worker is lost."""
    limits, shown = worker.limits, 0
    for i, step in enumerate(job.steps[: max(wanted) + 1]):
        if i in lost or (step.question and (i in done or not worker.bare)):
            continue
        over = (
            f"All its cells and answers took more than {limits.total:g} s."
            if worker.spent + runner.spent > left
            else ""
        )
        outputs, why = _judged(worker, runner, step, job.seed, over) if step.question else _ran(worker, step, over)
        shown += len(json.dumps(outputs))
        if shown > limits.output * MIB and not step.question:
            outputs = [_stream(f"Not shown: the cells show more than {limits.output} MiB.")]
        if i in wanted or why:
            done[i] = outputs
        if why and not over:
            lost.add(i)
            break


def _needed(source):
    """Of a cell that is the release's own: what it imports, sets and defines, without what it shows."""
    kinds = ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef
    body = [node for node in ast.parse(source).body if isinstance(node, kinds) or "jax.config" in ast.unparse(node)]
    return ast.unparse(ast.Module(body, []))


def _step(cell):
    info = cell.metadata.get("nbgrader", {})
    if not info.get("grade") or info.get("solution"):
        return Step(
            cell.source, needed=_needed(cell.source) if info.get("locked") and not info.get("solution") else None
        )
    match ast.parse(cell.source).body:
        case [ast.Expr(ast.Call(ast.Name("check"), [ast.Constant(str() as question), ast.Name(name)], []))]:
            return Step(cell.source, question, name)
    raise ValueError(f'{info["grade_id"]}: a graded code cell must be check("psN/name", name), got {cell.source!r}')


def _ran(worker, step, over):
    """A cell's outputs, and why the worker is lost where it is."""
    if over:
        return [_stream(over)], over
    try:
        if worker.bare:
            return worker.define(step.source if step.needed is None else step.needed), ""
        return worker.run(step.source), ""
    except WorkerLostError as error:
        return [_stream(f"{error} This cell was left out.")], str(error)


def _judged(worker, runner, step, seed, over):
    """A Question's verdict as outputs, and why the worker is lost where it is."""
    question, why, last = load(step.question), over, ""

    def answers(inputs):
        nonlocal why, last
        try:
            if why or last:
                return Answer(None, None, why or last)
            if step.question not in PROGRAMS:
                return worker.answer(step.question, step.name, inputs)
            made = worker.answer(step.question, step.name, blank(inputs))
            answer = made if made.trouble else runner.measure(step.question, made.value, inputs)
            last = (
                answer.trouble if str(answer.trouble).startswith(UNRUN) else ""
            )  # so would the other cases, and cost as much
            return answer
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
