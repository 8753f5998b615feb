"""The catalogue of classic wrong backward passes, and a diagnosis that names the one a gradient was made by."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from rnnlib import bptt, explanations, gradcheck
from rnnlib.cells import ElmanParams
from rnnlib.validation import require_floating


class Mistake(NamedTuple):
    """An entry of the catalogue, in words."""

    title: str  # what the code does
    looks_like: str  # the line, as it is usually written
    why: str  # how it comes about, and what gives it away
    fix: str  # what to do
    chapter: str  # what to re-read: a chapter and its section


CATALOGUE = {
    "error_not_carried": Mistake(
        "The error is not carried back from step t+1",
        "d_h = d_ys[t] @ W_hy.T + d_hs[t] @ W_hh.T  # d_hs[t] is still zero",
        "An index that is one off reads an error that is not there yet. What comes out is the gradient truncated to one step, window = 1.",
        "Add delta[t+1] @ W_hh.T to the error of step t, before the slope of tanh.",
        "chapter 03, A state is used twice",
    ),
    "tanh_slope_misplaced": Mistake(
        "The slope of tanh is taken at the wrong place, or left out",
        "delta = d_h * (1 - np.tanh(h) ** 2)  # h is a tanh already",
        "tanh'(a) = 1 - tanh(a)² = 1 - h²: a function of a, or a plain square of h of the same step, but never tanh' of h.",
        "Multiply the whole error at h_t, own and carried, by 1 - h_t ** 2.",
        "chapter 03, A state is used twice",
    ),
    "W_hh_not_transposed": Mistake(
        "W_hh is not transposed on the way back",
        "d_h = d_ys[t] @ W_hy.T + delta[t+1] @ W_hh",
        "Forward, h @ W_hh sums over the rows of W_hh; backward, the error of a row is a sum over its columns. The shapes fit either way.",
        "Send the error back through W_hh.T.",
        "chapter 03, A state is used twice",
    ),
    "h_t_for_h_prev": Mistake(
        "dW_hh uses h_t where it needs h_{t-1}",
        "dW_hh += hs[t].T @ delta[t]  # hs[t] is the state after step t",
        "W_hh multiplies the state before the step. Only dW_hh is off.",
        "Pair delta[t] with the state that went into step t.",
        "chapter 03, A weight is used at every step",
    ),
    "h0_dropped": Mistake(
        "h0 is left out",
        "for t in range(1, T): dW_hh += hs[t-1].T @ delta[t]  # and h0's own gradient stays zero",
        "h0 is taken for a constant zero: its term in dW_hh, or its own gradient, is missing. With h0 = 0 the first can't be seen.",
        "Start dW_hh with h0.T @ delta_1, and return dh0 = (delta_1 @ W_hh.T).sum(0).",
        "chapter 03, The first state",
    ),
    "dh0_not_summed_over_batch": Mistake(
        "dh0 is not summed over the batch",
        "dh0 = delta[0] @ W_hh.T  # (B, H)",
        "Every sequence starts from the same h0, so its gradient is the sum of theirs.",
        "Sum over the batch axis: (delta[0] @ W_hh.T).sum(0).",
        "chapter 03, The first state",
    ),
    "overwritten_not_summed": Mistake(
        "The gradient of a weight is overwritten at each step, not summed",
        "dW_hh = hs[t-1].T @ delta[t]",
        "A weight acts at every step, and its gradient is the sum of what it did. With = the last step visited is all that is left.",
        "Use += on an array of zeros, or one product over all steps.",
        "chapter 03, A weight is used at every step",
    ),
    "bias_not_summed_over_time": Mistake(
        "A bias gradient is not summed over time",
        "db_h = delta[0].sum(0)  # one step only, or (T, H) left as it is",
        "A bias acts at every step too, though no time index stands on it.",
        "Sum over time and batch: delta.sum((0, 1)).",
        "chapter 03, A weight is used at every step",
    ),
    "mean_over_time": Mistake(
        "A mean over time is taken where the sum is due",
        "dW_hh /= T",
        "Whether the loss is a mean is settled in dL/dy already; from there on all is sums.",
        "Drop the division by T; it belongs to the loss.",
        "chapter 03, Where the error starts",
    ),
    "mean_over_batch": Mistake(
        "A mean over the batch is taken where the sum is due",
        "dW_hh /= B",
        "Whether the loss is a mean is settled in dL/dy already; from there on all is sums.",
        "Drop the division by B; it belongs to the loss.",
        "chapter 03, Where the error starts",
    ),
    "wrong_sign": Mistake(
        "The sign is turned round",
        "d_ys = targets - ys",
        "The gradient points uphill, and the step subtracts it. A sign in the error as well makes it climb.",
        "dL/dy of a squared error is ys - targets; the minus belongs to the update.",
        "chapter 03, Where the error starts",
    ),
    "tape_corrupted": Mistake(
        "An in-place operation has overwritten the tape",
        "h = hs[t]; h *= h; slope = 1 - h  # hs[t] is now h²",
        "hs[t] is a view, not a copy; *= and += write through it, and whoever reads the tape later reads something else.",
        "Write slope = 1 - hs[t] ** 2, which makes a new array, or copy first.",
        "chapter 03, The whole backward pass",
    ),
    "output_error_twice": Mistake(
        "The output's error is counted twice",
        "d_h = d_ys[t] @ W_hy.T; ...; d_h += d_ys[t] @ W_hy.T",
        "Each step's own error enters once; what comes from later steps is in the carried error already.",
        "Add dL/dy_t W_hy.T once a step.",
        "chapter 03, A state is used twice",
    ),
}


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
    twenty times what a rounding error in parameters and states does to the reference itself, where that is more.

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
    grads = ElmanParams(*(np.asarray(g) for g in grads))
    require_floating("diagnose", **grads._asdict())
    tape = bptt.forward(params, xs)
    right = bptt.backward(params, tape, d_ys)
    tolerance = _tolerance(grads, right, params, xs, d_ys)
    misshapen = {n: None for n in ElmanParams._fields if getattr(grads, n).shape != getattr(right, n).shape}
    comparison = gradcheck.compare(grads._replace(**misshapen), right._replace(**misshapen))

    def explains(name, candidate):
        given = getattr(grads, name)
        return given.shape == candidate.shape and np.abs(given - candidate).max() <= getattr(tolerance, name)

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

    Example:
        >>> from rnnlib.cells import init_elman
        >>> rng = np.random.default_rng(0)
        >>> params, xs, d_ys = init_elman(3, 4, 2, rng=rng), rng.standard_normal((5, 2, 3)), rng.standard_normal((5, 2, 2))
        >>> diagnose(wrong_gradient(("wrong_sign",), params, xs, d_ys), params, xs, d_ys).names
        ('wrong_sign',)
    """
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
    spots = (
        [f"T = {T}"] * (T == 1)
        + [f"B = {B}"] * (B == 1)
        + [f"T = B = {T}"] * (T == B > 1)
        + ["h0 = 0"] * (not np.any(params.h0))
    )
    hint = " some mistakes leave no trace or look alike: try T ≥ 3, another B ≥ 2, and random h0."
    return f" With {' and '.join(spots)}{hint}" if spots else ""


def _unknown(comparison, grads, right):
    for name in ElmanParams._fields:
        given, wanted = getattr(grads, name), getattr(right, name)
        if given.shape != wanted.shape:
            return f"Not one I know: {name} must have shape {wanted.shape}, got {given.shape}. Is a sum missing, or one too many?"
        if not np.isfinite(given).all():
            return f"Not one I know: {name} holds NaN or infinity. Did the pass divide by zero, or grow without bound?"
    off = ", ".join(
        f"{row.name} ({row.verdict}, {row.angle:.0f}°)" for row in comparison.rows if row.verdict != "agree"
    )
    fine = ", ".join(row.name for row in comparison.rows if row.verdict == "agree") or "none"
    return (
        f"Not one I know. Off: {off}. Right: {fine}. Try it with T = 1, then T = 2, and see where it first goes wrong."
    )
