"""Which classic mistake made this gradient? A diagnosis by name, from the catalogue of wrong backward passes."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from rnnlib import bptt, gradcheck
from rnnlib.cells import ElmanParams
from rnnlib.clinic import explanations
from rnnlib.clinic.catalogue import CATALOGUE
from rnnlib.validation import require_floating


class Diagnosis(NamedTuple):
    """What is wrong with a gradient; prints as its message."""

    names: tuple[str, ...]  # keys of the catalogue: those made, or where `verdict` is "either" those that may have been
    message: str  # one or two sentences to act on
    verdict: str  # "correct", "mistake", "either" or "unknown"
    comparison: gradcheck.Comparison  # parameter by parameter, those whose shape is right

    def __str__(self) -> str:
        """Give the message."""
        return self.message

    def __repr__(self) -> str:
        """Give the message and the numbers."""
        return f"{self.message}\n\n{self.comparison}"

    def _repr_html_(self) -> str:
        mark = "✓" if self.verdict == "correct" else "✗"
        return f"<p>{mark} {self.message}</p>{self.comparison._repr_html_()}"


def diagnose(
    grads: ElmanParams, params: ElmanParams, xs: Float[np.ndarray, "T B D"], d_ys: Float[np.ndarray, "T B K"]
) -> Diagnosis:
    """Name the mistake, or the two, that made this gradient of an Elman net.

    A gradient is right if it differs from `bptt.backward` by no more than rounding could: 1e-6 of its largest entry (1e-4 in float32), or
    twenty times what a rounding error in parameters and states does to the reference itself, where that is more. Central differences are
    coarser: hold them against `bptt.backward` with `gradcheck.compare`.

    Args:
        grads: the gradient in question, `ElmanParams` of arrays, even of wrong shapes.
        params: the parameters it was taken at.
        xs: (T, B, D), the inputs.
        d_ys: (T, B, K), dL/dy at every step.

    Returns:
        The `Diagnosis`.

    Raises:
        TypeError: `grads` is not an `ElmanParams` of floating-point arrays.
        ValueError: as for `bptt.forward` and `bptt.backward`.

    Example:
        >>> from rnnlib.cells import init_elman
        >>> rng = np.random.default_rng(0)
        >>> params, xs, d_ys = init_elman(3, 4, 2, rng=rng), rng.standard_normal((5, 2, 3)), rng.standard_normal((5, 2, 2))
        >>> grads = bptt.backward(params, bptt.forward(params, xs), d_ys, window=1)
        >>> diagnose(grads, params, xs, d_ys).names
        ('error_not_carried',)
    """
    if not isinstance(grads, ElmanParams):
        raise TypeError(
            f"diagnose: grads must be ElmanParams, got {type(grads).__name__}. Try ElmanParams(W_xh=..., ...)."
        )
    for name, g in grads._asdict().items():
        if not hasattr(g, "dtype"):
            hint = f"Try np.zeros_like(params.{name}) if it has no gradient yet."
            raise TypeError(f"diagnose: {name} must be an array, got {type(g).__name__}. {hint}")
    grads = ElmanParams(*map(np.asarray, grads))
    require_floating("diagnose", **grads._asdict())
    tape = bptt.forward(params, xs)
    right = bptt.backward(params, tape, d_ys)
    tolerance = _tolerance(grads, right, params, xs, d_ys)
    misshapen = {n: None for n in ElmanParams._fields if getattr(grads, n).shape != getattr(right, n).shape}
    comparison = gradcheck.compare(grads._replace(**misshapen), right._replace(**misshapen))

    def explains(name, candidate):
        given = getattr(grads, name)
        return given.shape == candidate.shape and np.abs(given - candidate).max() <= getattr(tolerance, name)

    right_ones = {name for name in ElmanParams._fields if explains(name, getattr(right, name))}
    rows = (row._replace(verdict="agree") if row.name in right_ones else row for row in comparison.rows)
    comparison = comparison._replace(rows=tuple(rows))  # one tolerance for the words and the table
    with np.errstate(all="ignore"):
        sets = explanations.smallest(explains, params, tape, d_ys)
    return _in_words(sets, comparison, grads, right, params, d_ys)


def wrong_gradient(
    names: tuple[str, ...], params: ElmanParams, xs: Float[np.ndarray, "T B D"], d_ys: Float[np.ndarray, "T B K"]
) -> ElmanParams:
    """Make the gradient that one or two mistakes of the catalogue lead to, each wherever it applies.

    Args:
        names: keys of `CATALOGUE`, at most two.
        params: the parameters.
        xs: (T, B, D), the inputs.
        d_ys: (T, B, K), dL/dy at every step.

    Returns:
        The wrong gradient; the right one for no names.

    Raises:
        KeyError: a name that the catalogue lacks.
        ValueError: more than two names, or a bare string.

    Example:
        >>> from rnnlib.cells import init_elman
        >>> rng = np.random.default_rng(0)
        >>> params, xs, d_ys = init_elman(3, 4, 2, rng=rng), rng.standard_normal((5, 2, 3)), rng.standard_normal((5, 2, 2))
        >>> diagnose(wrong_gradient(("wrong_sign",), params, xs, d_ys), params, xs, d_ys).names
        ('wrong_sign',)
    """
    if isinstance(names, str) or len(names) > 2:
        raise ValueError(
            f"wrong_gradient: names must be a tuple of at most two keys, got {names!r}. Try ('wrong_sign',)."
        )
    for name in names:
        if name not in CATALOGUE:
            raise KeyError(
                f"wrong_gradient: names must be keys of CATALOGUE, got {name!r}. They are {', '.join(CATALOGUE)}."
            )
    made = frozenset(names)
    tape = bptt.forward(params, xs)

    def fullest(options):  # of what these mistakes can do, the first that as many as possible of them do
        return max((option for option in options if option[0] <= made), key=lambda option: len(option[0]))

    flow = fullest(explanations.flows(params, tape))
    candidates = explanations.candidates(*flow, params, tape, d_ys)
    return ElmanParams(**{parameter: fullest(options)[1] for parameter, options in candidates.items()})


def _tolerance(grads, right, params, xs, d_ys):
    """What rounding may do to the right gradient, found by doing it: parameter by parameter, an absolute error."""
    eps = max(np.finfo(array.dtype).eps for array in (*grads, *params, xs, d_ys))
    rng = np.random.default_rng(0)
    nudge = lambda array: array * (1 + eps * rng.standard_normal(array.shape))  # noqa: E731
    noise = ElmanParams(*(0.0 for _ in right))
    for _ in range(3):
        nudged = ElmanParams(*map(nudge, params))
        tape = bptt.forward(nudged, nudge(xs))
        again = bptt.backward(nudged, tape._replace(hs=nudge(tape.hs)), nudge(d_ys))
        noise = ElmanParams(*(max(n, np.abs(a - r).max()) for n, a, r in zip(noise, again, right, strict=True)))
    relative = 1e-6 if eps < 1e-12 else 1e-4
    return ElmanParams(*(max(relative * np.abs(r).max(), 20 * n) for n, r in zip(noise, right, strict=True)))


def _in_words(sets, comparison, grads, right, params, d_ys):
    blind = _blind_spots(params, d_ys)
    if not sets:
        return Diagnosis((), _unknown(comparison, grads, right), "unknown", comparison)
    names = tuple(name for name in CATALOGUE if any(name in one for one in sets))
    if not names:
        return Diagnosis((), f"Correct: every parameter agrees to within rounding.{blind}", "correct", comparison)
    told = [" And: ".join(f"{CATALOGUE[n].title}. {CATALOGUE[n].fix}" for n in names if n in one) for one in sets]
    reread = f" Re-read {', '.join(sorted({CATALOGUE[name].chapter for name in names}))}."
    if len(sets) > 1:
        message = f"One of {len(told)}, which these inputs can't tell apart: " + " Or: ".join(told)
        return Diagnosis(names, message + reread + blind, "either", comparison)
    together = "Two mistakes together: " if len(names) == 2 else ""
    return Diagnosis(names, together + told[0] + reread, "mistake", comparison)


def _blind_spots(params, d_ys):
    """What these inputs could not have shown."""
    T, B, _ = d_ys.shape
    spots = {
        f"T = {T}": T == 1,
        f"B = {B}": B == 1,
        f"T = B = {T}": T == B > 1,
        "H = 1": len(params.h0) == 1,
        "a symmetric W_hh": len(params.h0) > 1 and np.allclose(params.W_hh, params.W_hh.T),
        "h0 = 0": not np.any(params.h0),
        "dL/dy = 0": not np.any(d_ys),
    }
    seen = " and ".join(spot for spot, here in spots.items() if here)
    hint = "some mistakes leave no trace or look alike: try T ≥ 3, another B ≥ 2, H ≥ 2, and random numbers everywhere."
    return f" With {seen} {hint}" if seen else ""


def _unknown(comparison, grads, right):
    for name in ElmanParams._fields:
        hint = _what_is_odd(name, getattr(grads, name), getattr(right, name))
        if hint:
            return f"Not one I know: {hint}"
    verdicts = {row.verdict for row in comparison.rows}
    if len(verdicts) == 1 and comparison.rows[0].verdict.startswith("scaled"):
        return f"Not one I know: every parameter is {verdicts.pop()}. One factor too many, most likely in dL/dy."
    off = ", ".join(
        f"{row.name} ({row.angle:.0f}° off)" if row.verdict == "differ" else f"{row.name} ({row.verdict})"
        for row in comparison.rows
        if row.verdict != "agree"
    )
    fine = ", ".join(row.name for row in comparison.rows if row.verdict == "agree") or "none"
    return (
        f"Not one I know. Off: {off}. Right: {fine}. Try it with T = 1, then T = 2, and see where it first goes wrong."
    )


def _what_is_odd(name, given, wanted):
    """What can be said of one gradient without knowing how it was made, if anything."""
    if given.shape != wanted.shape:
        hint = "Is a sum missing, or one too many?"
        if given.shape == wanted.shape[::-1]:
            hint = "Is it the transpose?"
        elif given.size == wanted.size:
            hint = "Was the sum taken with keepdims=True?"
        return f"{name} must have shape {wanted.shape}, got {given.shape}. {hint}"
    if not np.isfinite(given).all():
        return f"{name} holds NaN or infinity. Did the pass divide by zero, or grow without bound?"
    if np.any(wanted) and not np.any(given):
        return f"{name} is all zero. Is its line missing, or its sum never added to?"
    if name == "W_hh" and np.allclose(given, wanted.T) and not np.allclose(given, wanted):
        return "W_hh is the transpose of its gradient. Try hs[t-1].T @ delta[t], in this order."
    return None
