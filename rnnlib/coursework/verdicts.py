"""Is an answer right? Array by array, with what can be said of each that is not; shown as text and as HTML."""

import re
from html import escape
from typing import Any, NamedTuple

import numpy as np

from rnnlib.coursework.answers import leaves


class Part(NamedTuple):
    """One array of an answer."""

    name: str  # such as "W_hh"
    right: bool
    says: str  # what is wrong with it; empty where nothing is


class Case(NamedTuple):
    """One call of a learner's function."""

    name: str  # what was special about its inputs
    parts: tuple[Part, ...]
    says: str  # what went wrong with the call as a whole; empty where nothing did
    mistakes: tuple[str, ...]  # those of the Question that give exactly this answer
    called: str = ""  # with what, where the call as a whole went wrong
    first: tuple[str, ...] = ()  # parts without which the others count nothing
    easy: bool = False  # whether something thoughtless gets it right, so that it counts beside another case alone
    gate: bool = False  # whether the other cases count nothing as long as this one earns nothing

    @property
    def share(self) -> float:
        """What it is worth, from 0 to 1: one part alone is worth nothing, all are worth 1; nothing where the call went wrong."""
        right = {part.name for part in self.parts if part.right}
        if self.says or not right.issuperset(self.first):
            return 0.0
        return max(len(right) - 1, 0) / (len(self.parts) - 1) if len(self.parts) > 1 else float(len(right))


class Verdict(NamedTuple):
    """What became of a Question: prints as a table of cases and parts, and what to do next."""

    title: str
    points: float  # to be had
    cases: tuple[Case, ...]
    hints: tuple[str, ...]  # mistakes by name, and what to do about them
    worth: float = 0.0  # the least that is earned, from 0 to 1: what the mistake that was made is worth

    @property
    def earned(self) -> float:
        """Points earned: every case counts alike, and in it every part from the second on."""
        some = any(case.share == 1 for case in self.cases if not case.easy)
        shares = [case.share for case in self.cases if some or not case.easy]
        if any(case.gate and not case.share for case in self.cases):
            shares = []
        return round(self.points * max(sum(shares) / len(self.cases), self.worth), 2)

    @property
    def right(self) -> bool:
        """Whether nothing is left to do."""
        return all(case.share == 1 for case in self.cases)

    @property
    def mistakes(self) -> tuple[str, ...]:
        """Mistakes that explain every case that went wrong."""
        wrong = [set(case.mistakes) for case in self.cases if case.share < 1]
        named = set.intersection(*wrong) if wrong else set()
        return tuple(name for name in dict.fromkeys(n for case in self.cases for n in case.mistakes) if name in named)

    @property
    def complaints(self) -> tuple[str, ...]:
        """What is wrong, each thing once, in the first case that shows it."""
        found = {}
        shut = [case.name for case in self.cases if case.gate and not case.share]
        for case in self.cases:
            with_what = f" (called with {case.called})" if case.called else ""
            wrong = [Part("", False, case.says)] if case.says else [part for part in case.parts if not part.right]
            for part in wrong:  # an exception differs from case to case in numbers alone
                key = part.name or re.sub(r"\d+", "", part.says)
                found.setdefault(key, f"{case.name}: {f'{part.name} {part.says}'.strip()}{with_what}")
        more = [f"{name}: as long as this case earns nothing, the others count nothing" for name in shut[: len(found)]]
        return (*found.values(), *more)

    def __str__(self) -> str:
        """Give the verdict as text."""
        marks = [f"  {_mark(case.share)} {case.name}" for case in self.cases]
        notes = [f"  → {line}" for line in self.hints] + [f"  · {line}" for line in self.complaints]
        return "\n".join([self._headline(), *marks, *notes])

    __repr__ = __str__

    def _headline(self):
        return f"{'✓' if self.right else '✗'} {self.title}: {self.earned:g} of {self.points:g} points"

    def _repr_html_(self) -> str:
        """Give the verdict as a table, every word of a learner's escaped."""
        names = list(dict.fromkeys(part.name for case in self.cases for part in case.parts))
        head = "".join(f"<th>{escape(name)}</th>" for name in ["case", *names])
        rows = "".join(f"<tr><td>{escape(case.name)}</td>{_row(case, names)}</tr>" for case in self.cases)
        notes = "".join(f"<li>{escape(line)}</li>" for line in self.complaints)
        hints = "".join(f"<p>→ <b>{escape(line)}</b></p>" for line in self.hints)
        return f"<p><b>{escape(self._headline())}</b></p><table><tr>{head}</tr>{rows}</table>{hints}<ul>{notes}</ul>"


def compare(given: Any, wanted: Any, tolerance: float) -> tuple[Part, ...]:
    """Hold an answer against the right one, array by array.

    Args:
        given: a plain tree, see `answers.plain`.
        wanted: the right one. A tuple may stand for a NamedTuple of as many fields.
        tolerance: largest error allowed, relative to the largest entry of the right array; arrays of whole numbers must be equal.

    Returns:
        A `Part` for every array that is wanted.

    Example:
        >>> compare({"a": np.ones(2)}, {"a": np.ones(2), "b": np.ones(3)}, 1e-6)
        (Part(name='a', right=True, says=''), Part(name='b', right=False, says='is missing'))
        >>> compare(np.ones((2, 3)), np.ones((3, 2)), 1e-6)[0].says
        'must have shape (3, 2), got (2, 3). Is it the transpose?'
    """
    if isinstance(wanted, dict) and not isinstance(given, dict) and np.iterable(given) and len(given) == len(wanted):
        given = dict(zip(wanted, given, strict=True))
    right, got = leaves(wanted), leaves(given)
    with np.errstate(all="ignore"):  # whatever numbers came
        says = {name: _found(name, array, got, tolerance) for name, array in right.items()}
        wrong = {name: right[name] for name in right if says[name]}
        for name in wrong.keys() & got.keys():
            if twin := _twin(name, got[name], wrong, tolerance):
                says[name] = f"is what {twin} should be. Are the results in another order?"
    return tuple(Part(name or "result", not says[name], says[name]) for name in right)


def _found(name, array, got, tolerance):
    """What is wrong with what came under a name, or that nothing came."""
    if name in got:
        return _complaint(got[name], array, tolerance)
    if several := [other for other in got if other.startswith((f"{name}.", f"{name}[") if name else "")]:
        stack = " Try np.stack." if array.shape[:1] == (len(several),) else ""
        return f"must be one array of shape {array.shape}, got several.{stack}"
    return "is missing"


def _complaint(given, wanted, tolerance):
    """What is wrong with an array, in words; empty where nothing is."""
    if given.shape != wanted.shape:
        hint = "Is a sum missing, or one too many?" if given.ndim != wanted.ndim else ""
        if given.shape == wanted.shape[::-1]:
            hint = "Is it the transpose?"
        elif given.size == wanted.size:
            hint = "The entries are as many: is an axis in the wrong place, or kept?"
        return f"must have shape {wanted.shape}, got {given.shape}. {hint}".rstrip()
    if wanted.dtype.kind in "iub":
        wrong = int(np.sum(given != wanted))
        if wanted.size == 1:
            return f"must be another number than {given.item():g}" if wrong else ""
        return f"differs in {wrong} of {wanted.size} entries" if wrong else ""
    if given.dtype.kind != "f":
        return f"must hold floating-point numbers, got {given.dtype}"
    if not np.isfinite(given).all():
        return "holds NaN or infinity"
    given, wanted = given.astype(float), wanted.astype(float)
    error, size = np.abs(given - wanted).max(initial=0), np.abs(wanted).max(initial=0)
    if error <= tolerance * (size or 1):
        return ""
    if not size:
        return "must be all zero" if wanted.ndim else "must be 0"
    return _likeness(given, wanted, tolerance) or f"is off by {_percent(error, size)}"


def _twin(name, given, right, tolerance):
    """Another part that this array would be right for."""
    return next(
        (other for other, array in right.items() if other != name and not _complaint(given, array, tolerance)), None
    )


def _percent(error, size):
    share = 100 * error / size
    return f"{share:.0f} %" if share >= 10 else f"{share:.1g} %"


def _likeness(given, wanted, tolerance):
    """How a wrong array is like the right one, if it is."""
    size = np.abs(wanted).max()
    if not given.any():
        return "is all zero" if given.ndim else "is 0"
    factor = np.vdot(given, wanted) / np.vdot(wanted, wanted)
    if factor and np.isfinite(factor) and np.abs(given - factor * wanted).max() <= tolerance * size * abs(factor):
        if abs(factor + 1) < 1e-6:
            return "has the wrong sign"
        return f"is {factor:.3g} times what it should be" if abs(factor - 1) >= 5e-3 else ""
    if wanted.ndim == 2 and wanted.shape[0] == wanted.shape[1] and np.abs(given.T - wanted).max() <= tolerance * size:
        return "is the transpose of what it should be"
    return ""


def _mark(share):
    return "✓" if share == 1 else "✗" if share == 0 else "½"


def _row(case, names):
    parts = {part.name: part.right for part in case.parts}
    marks = ("✗" if case.says else {True: "✓", False: "✗"}.get(parts.get(name), "") for name in names)
    return "".join(f"<td>{mark}</td>" for mark in marks)
