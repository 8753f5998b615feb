"""Which mistake made this gradient? A diagnosis by name, from the catalogue of wrong backward passes."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from rnnlib import gradcheck
from rnnlib.clinic.catalogue import CATALOGUE, GATED
from rnnlib.clinic.diagnosis import search, words
from rnnlib.clinic.diagnosis.net import arrays, assembled, require_net, right, tolerance
from rnnlib.validation import require_floating


class Diagnosis(NamedTuple):
    """What is wrong with a gradient; prints as its message."""

    names: tuple[str, ...]  # keys of the catalogue: those made, or where `verdict` is "either" those that may have been
    message: str  # some sentences to act on
    verdict: str  # "correct", "mistake", "either", "truncated", "other" (clipped, decayed, of another net or state) or "unknown"
    comparison: gradcheck.Comparison  # parameter by parameter, those whose shape is right

    def __str__(self) -> str:
        """Give the message."""
        return self.message

    def __repr__(self) -> str:
        """Give the message and the numbers."""
        return f"{self.message}\n\n{self.comparison}"

    def _repr_html_(self) -> str:
        mark = {"correct": "✓", "truncated": "✂"}.get(self.verdict, "✗")
        return f"<p>{mark} {self.message}</p>{self.comparison._repr_html_()}"


def diagnose(
    grads: Any, params: Any, xs: Float[np.ndarray, "T B D"], d_ys: Float[np.ndarray, "T B K"], *, state: Any = None
) -> Diagnosis:
    """Name the mistake, or the two, that made this gradient of an Elman net, an LSTM or a GRU.

    Every gradient that at most two causes lead to is made and compared, parameter by parameter: mistakes of `CATALOGUE` on the error's
    way back and in the sums; truncations; other states, inputs and forward passes; clipping and decay. Where none fits, it says which
    parts are right and what follows from that.

    A gradient is right if it differs from the right one by no more than rounding could: 1e-6 of its largest entry (1e-4 in float32), or
    twenty times what a rounding error in parameters and states does to the reference itself, where that is more. Central differences are
    coarser: hold them against `bptt.backward` with `gradcheck.compare`.

    Args:
        grads: the gradient in question, of the same type as `params`, even of wrong shapes.
        params: the parameters it was taken at: `ElmanParams`, `LSTMParams` or `GRUParams` of NumPy arrays.
        xs: (T, B, D), the inputs.
        d_ys: (T, B, K), dL/dy at every step.
        state: where a chunk starts, (B, H), for an LSTM a pair (h, c); None for `params.h0`. The gradient of h0 is then that of the state,
            summed over the batch or not, or zero, as of a constant.

    Returns:
        The `Diagnosis`.

    Raises:
        TypeError: parameters of no cell, a gradient of another type, arrays that are not floating point.
        ValueError: shapes that disagree, NaN or infinity in parameters or data.

    Example:
        >>> from rnnlib import bptt
        >>> from rnnlib.cells import init_elman
        >>> rng = np.random.default_rng(0)
        >>> params, xs, d_ys = init_elman(3, 4, 2, rng=rng), rng.standard_normal((5, 2, 3)), rng.standard_normal((5, 2, 2))
        >>> diagnose(bptt.backward(params, bptt.forward(params, xs), d_ys, window=1), params, xs, d_ys).names
        ('error_not_carried',)
        >>> diagnose(bptt.backward(params, bptt.forward(params, xs), d_ys, window=3), params, xs, d_ys).verdict
        'truncated'

    Source: the mistakes are those that people report; the right gradient is Werbos (1990), Backpropagation through time, section III.
    """
    net = require_net("diagnose", params, xs, d_ys, state)
    if type(grads) is not type(params):
        wanted = type(params).__name__
        raise TypeError(
            f"diagnose: grads must be {wanted}, as params, got {type(grads).__name__}. Try {wanted}(W_xh=..., ...)."
        )
    given = {}
    for name, gradient in arrays(grads).items():
        if not hasattr(gradient, "dtype"):
            hint = f"Try np.zeros_like(params.{name}) if it has no gradient yet."
            raise TypeError(f"diagnose: {name} must be an array, got {type(gradient).__name__}. {hint}")
        given[name] = np.asarray(gradient)
    require_floating("diagnose", **given)
    wanted = right(net)
    allowed = tolerance(given, net, wanted)

    def explains(name, candidate):
        g = given[name]
        return g.shape == candidate.shape and np.abs(g - candidate).max() <= allowed[name]

    first = [name for name in given if name.startswith("h0")]
    with np.errstate(all="ignore"):
        sets, h0_is_zero = search.smallest(explains, net, given), False
        if not sets and not any(given[name].any() for name in first):  # h0 as a constant must not hide the rest
            sets = search.smallest(lambda name, g: name in first or explains(name, g), net, given)
            h0_is_zero = bool(sets)
    comparison = _compared(given, wanted, explains)
    names, verdict = words.verdict(sets)
    if not sets:
        return Diagnosis((), words.unknown(comparison, given, wanted, net), verdict, comparison)
    return Diagnosis(names, words.message(sets, net, h0_is_zero=h0_is_zero), verdict, comparison)


def wrong_gradient(
    names: tuple[str, ...], params: Any, xs: Float[np.ndarray, "T B D"], d_ys: Float[np.ndarray, "T B K"]
) -> Any:
    """Make the gradient that one or two mistakes of the catalogue lead to, each wherever it applies.

    Args:
        names: keys of `CATALOGUE`, at most two.
        params: the parameters, of an Elman net, an LSTM or a GRU.
        xs: (T, B, D), the inputs.
        d_ys: (T, B, K), dL/dy at every step.

    Returns:
        The wrong gradient, of the type of `params`; the right one for no names.

    Raises:
        KeyError: a name that the catalogue lacks.
        ValueError: more than two names, a bare string, a mistake with gates for a net that has none; as `diagnose`.
        TypeError: as `diagnose`.

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
    net = require_net("wrong_gradient", params, xs, d_ys, None)
    if (gated := GATED & set(names)) and params.W_hh.shape[0] == params.W_hh.shape[1]:
        raise ValueError(
            f"wrong_gradient: {min(gated)} must be asked of a net with gates, got {type(params).__name__}."
        )
    return assembled(params, search.made(frozenset(names), net))


def _compared(given, wanted, explains):
    """The table, whose verdicts have the tolerance of the words."""
    shaped = [name for name in wanted if given[name].shape == wanted[name].shape]
    comparison = gradcheck.compare({n: given[n] for n in shaped}, {n: wanted[n] for n in shaped})
    fine = {name for name in shaped if explains(name, wanted[name])}
    rows = (row._replace(verdict="agree") if row.name in fine else row for row in comparison.rows)
    return comparison._replace(rows=tuple(sorted(rows, key=lambda row: shaped.index(row.name))))
