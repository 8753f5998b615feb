"""A Question: inputs drawn from a seed, the right answer, and the mistakes it can name.

The learner's `check`, the grader and the tests all ask the same Question; only the seed differs. So nothing about it is secret.
"""

import hashlib
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from typing import Any, NamedTuple

import jax
import numpy as np

from rnnlib.coursework import asking, withheld
from rnnlib.coursework.answers import FORM, LATE, STOPPED, UNANSWERED, Answer, describe, finite, plain
from rnnlib.coursework.verdicts import Case, Verdict, compare

DEAR = 30_000  # numbers in a case's inputs: its mistakes are not sought, but taken from smaller cases
PUBLIC = "public"  # the seed of `check`
WITHHELD = "It calls {}, which this set asks you to write. In the grader it is not there, and this earns nothing."


class Mistake(NamedTuple):
    """A known wrong way to answer."""

    answer: Callable[..., Any]  # called like the right one
    says: str  # what it does, and what to do about it
    worth: float = 0.0  # what it earns at least, from 0 to 1


class Question(NamedTuple):
    """One task of a problem set; id and cases are what a learner sees of it."""

    id: str  # such as "ps2/backward"
    title: str
    points: float
    cases: Mapping[str, Callable[[np.random.Generator], dict[str, Any]]]  # what is special → draws the inputs
    reference: Callable[..., Any]  # the right answer, from the inputs by name
    mistakes: Mapping[str, Mistake] = {}
    first: tuple[str, ...] = ()  # parts without which the others count nothing
    easy: tuple[str, ...] = ()  # cases that something thoughtless gets right: they count beside another case alone
    gate: str = ""  # a case without which the others count nothing
    slow: Mapping[str, str] = {}  # case → what to say of an answer that was late in it
    tolerance: tuple[float, float] = (1e-6, 1e-3)  # of the largest entry: in float64, and where anything is float32
    hint: Callable[[dict[str, Any], Any], str | None] | None = None  # inputs, wrong answer → what to do, else

    def inputs(self, case: str, seed: str, dtype: Any = np.float64) -> dict[str, Any]:
        """Draw the inputs of a case: the same for the same seed.

        Args:
            case: a key of `cases`.
            seed: any text.
            dtype: of the floating-point arrays.

        Returns:
            The inputs by name.
        """
        digest = hashlib.sha256(f"{seed}/{self.id}/{case}".encode()).digest()
        drawn = self.cases[case](np.random.default_rng(int.from_bytes(digest)))
        return {name: jax.tree.map(partial(_cast, dtype=dtype), value) for name, value in drawn.items()}

    def ask(self, function: Callable, inputs: dict[str, Any], *, seconds: float = 30.0) -> Answer:
        """Call a function as this Question does, on a copy of the inputs."""
        return asking.ask(self.id, function, inputs, seconds=seconds)

    def own(self, function: Callable, inputs: dict[str, Any]) -> Answer:
        """Call a reference or a mistake, which gives by name what is measured of an answer."""
        return asking.own(self.id, function, inputs)

    def judge(self, case: str, inputs: dict[str, Any], answer: Answer) -> Case:
        """Hold an answer against the reference.

        Args:
            case: its name.
            inputs: what was asked.
            answer: what came.

        Returns:
            The verdict on this case, which names no mistakes yet.
        """
        wanted = self.own(self.reference, inputs)
        if wanted.trouble:
            raise RuntimeError(f"{self.id}: the reference failed on case {case!r}. {wanted.trouble}")
        if answer.trouble:
            called = describe(inputs) if asking.is_by_name(self.id) else ""
            slow = f" {self.slow.get(case, '')}".rstrip() if answer.trouble.startswith((LATE, STOPPED)) else ""
            return Case(case, compare((), wanted.value, 0.0), answer.trouble + slow, (), called, gate=case == self.gate)
        parts = compare(answer.value, wanted.value, self._tolerance(inputs, wanted.value))
        changed = [p.name for p in compare(finite(answer.inputs), finite(wanted.inputs), 1e-6) if not p.right]
        says = f"It changes its input {', '.join(changed)}. Work on a copy." if changed else ""
        return Case(case, parts, says, (), "", self.first, case in self.easy, case == self.gate)

    def conclude(self, cases: tuple[Case, ...], hint: str | None = None) -> Verdict:
        """Put the cases together, with the mistakes in words.

        Args:
            cases: the verdict on each.
            hint: what to say where no known mistake explains them.

        Returns:
            The `Verdict`.
        """
        verdict = Verdict(f"{self.id} · {self.title}", self.points, cases, ())
        named = [self.mistakes[name].says for name in verdict.mistakes]
        hints = (f"One of these: {' Or: '.join(named)}",) if len(named) > 1 else (*named, *([hint] if hint else ()))[:1]
        return verdict._replace(
            hints=hints, worth=min((self.mistakes[name].worth for name in verdict.mistakes), default=0.0)
        )

    def grade(
        self, answers: Callable[[dict[str, Any]], Answer], *, seed: str = PUBLIC, dtype: Any = np.float64
    ) -> Verdict:
        """Ask all cases, and judge.

        Args:
            answers: inputs → Answer, from wherever the learner's function lives.
            seed: where the inputs come from.
            dtype: of the inputs.

        Returns:
            The `Verdict`.
        """
        judged, asked = [], []
        for case in self.cases:
            inputs = self.inputs(case, seed, dtype)
            answer = answers(inputs)
            judged.append(self.judge(case, inputs, answer))
            asked.append((inputs, answer))
            if answer.trouble and answer.trouble.startswith((UNANSWERED, LATE, FORM)):  # so would the others
                judged += [judged[-1]._replace(name=name) for name in list(self.cases)[len(judged) :]]
                break
        verdict = self.conclude(tuple(self._named(judged, asked)))
        known = verdict.mistakes or not self.hint
        return verdict if known else self.conclude(verdict.cases, self._hinted(judged, asked))

    def _hinted(self, judged, asked):
        """What to do about the first case of which the hint can say anything."""
        wrong = (pair for case, pair in zip(judged, asked, strict=False) if not case.says and case.share < 1)
        return next(filter(None, (_quietly(self.hint, inputs, answer.value) for inputs, answer in wrong)), None)

    def _named(self, judged, asked):
        """The cases with the mistakes that give exactly these answers, sought in small cases first, and then among those found."""
        wrong = [i for i, (_, answer) in enumerate(asked) if judged[i].share < 1 and not answer.trouble]
        names, found = tuple(self.mistakes), list(judged)
        if len(wrong) < sum(case.share < 1 for case in judged):
            return found  # no mistake that is known explains what went wrong with a call
        sizes = {i: sum(map(np.size, jax.tree.leaves(asked[i][0]))) for i in wrong}
        for i in sorted(wrong, key=sizes.__getitem__):
            if sizes[i] < DEAR:
                names = tuple(name for name in names if self._gives(name, *asked[i]))
            names = names if len(names) < len(self.mistakes) else ()  # of a large case alone nothing is known
            found[i] = judged[i]._replace(mistakes=names)
        return found

    def _gives(self, name, inputs, answer):
        made = self.own(self.mistakes[name].answer, inputs)
        if made.trouble:
            return False
        tolerance = self._tolerance(inputs, made.value)
        return all(part.right for part in compare(finite(answer.value), finite(made.value), tolerance))

    def _tolerance(self, inputs, wanted):
        return self.tolerance[_is_single(wanted, plain(inputs))]


def load(id: str) -> Question:
    """Find a Question of the problem sets.

    Args:
        id: such as "ps2/backward".

    Returns:
        The `Question`.

    Raises:
        KeyError: there is none of that name; the message lists those there are.

    Example:
        >>> load("ps2/backward").points
        4
    """
    from rnnlib.coursework import problem_sets  # its modules define Questions

    set_name = str(id).partition("/")[0]
    if set_name not in problem_sets.NAMES:
        raise KeyError(f"check: no problem set {set_name!r}. There are {', '.join(problem_sets.NAMES)}.")
    module = import_module(f"rnnlib.coursework.problem_sets.{set_name}")
    questions = {question.id: question for question in module.QUESTIONS}
    if id not in questions:
        raise KeyError(f"check: no Question {id!r}. {set_name} asks {', '.join(questions)}.")
    return questions[id]


class NotYet(AssertionError):  # noqa: N818  (a learner reads it)
    """An answer is not right yet; the verdict above it says why."""

    def _render_traceback_(self):
        return [f"NotYet: {self}"]


def check(id: str, answer: Callable, *, seconds: float = 30.0) -> None:
    """Show what is right and what is wrong about an answer, by name.

    Args:
        id: of the Question, such as "ps2/backward".
        answer: your function.
        seconds: how long each call may take.

    Raises:
        NotYet: something is wrong; the verdict is shown before.
        KeyError: there is no such Question.
        TypeError: the answer is not a function.
    """
    from IPython.display import display

    question = load(id)
    if not callable(answer):
        raise TypeError(
            f"check: the answer must be your function, got {type(answer).__name__}. Try check({id!r}, name)."
        )
    called = {}

    def ask(inputs):
        with withheld.watched(id.partition("/")[0]) as found:
            given = question.ask(answer, inputs, seconds=seconds)
        called.update(dict.fromkeys(found))
        return given

    verdict = question.grade(ask)
    display(verdict._replace(hints=(*map(WITHHELD.format, called), *verdict.hints)))
    if not verdict.right:
        raise NotYet(f"{verdict.earned:g} of {verdict.points:g} points so far")


def _cast(leaf, dtype):
    floating = isinstance(leaf, np.ndarray | jax.Array | np.generic) and np.issubdtype(leaf.dtype, np.floating)
    return np.asarray(leaf, dtype) if floating else leaf


def _is_single(*trees):
    return any(leaf.dtype == np.float32 for tree in trees for leaf in jax.tree.leaves(tree))


def _quietly(function, *args):
    try:
        return function(*args)
    except Exception:  # a diagnosis that can't be made is no fault of the answer's
        return None
