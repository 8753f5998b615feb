"""What carries the error back in an Elman net: the slope at each step, and the matrix between neighbours."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from rnnlib.cells import ElmanParams
from rnnlib.clinic.xray.parts import Fault, Part, explain
from rnnlib.clinic.xray.reference import Run

SLOPE, READOUT, CARRIED = "the slope", "the way from dL/dy to dL/dh", "what is carried"
WEIGHT, UNKNOWN, TANH = "a step's own error", "another function of h", "1 − h²"


class Slope(NamedTuple):
    """What stands in the place of 1 − h²."""

    says: str  # such as "1 − h²"; "another function of h" where it has no name here, "not seen" where no own error is
    right: bool
    factor: float  # times which it is that
    table: Float[np.ndarray, "n 2"]  # h and the slope there, in the order of h


class Carried(NamedTuple):
    """What takes the error from step t + 1 to step t."""

    says: str  # such as "W_hh.T", "nothing", "another matrix" or "no one matrix"
    right: bool
    factor: float  # times which it is that
    matrix: Float[np.ndarray, "H H"] | None  # by least squares, where one matrix does it


class Flow(NamedTuple):
    """How the error flows back."""

    faults: tuple[Fault, ...]  # what is wrong in it, each thing once
    factor: float  # how often a step's own error counts
    slope: Slope | None  # of an Elman net
    carried: Carried
    d_hs: Float[np.ndarray, "T B T H"] | None  # dL/dh of loss t at step s, before the slope, where it can be told
    explained: bool  # whether all of the flow is


def slopes(a: np.ndarray, hs: np.ndarray) -> dict[str, np.ndarray]:
    """List what is written in the place of 1 − h², the right one first.

    Args:
        a: (T, B, H), the pre-activations.
        hs: (T + 1, B, H), the states, h_0 in front.

    Returns:
        Arrays (T, B, H) by their formula.
    """
    h, before, after, sigmoid = hs[1:], hs[:-1], np.roll(hs[1:], -1, axis=0), lambda p: 1 / (1 + np.exp(-p))
    with np.errstate(all="ignore"):
        return {
            "1 − h²": 1 - h**2,
            "1 − tanh(h)²": 1 - np.tanh(h) ** 2,
            "1 (no slope)": np.ones_like(h),
            "1 + h²": 1 + h**2,
            "1 / (1 − h²)": 1 / (1 - h**2),
            "h (1 − h)": h * (1 - h),
            "(1 − h)²": (1 - h) ** 2,
            "1 − h": 1 - h,
            "tanh(h)": np.tanh(h),
            "h": h,
            "h²": h**2,
            "1 if h > 0, else 0": (h > 0) * 1.0,
            "1 − |h|": 1 - np.abs(h),
            "1 − a²": 1 - a**2,
            "σ(a) (1 − σ(a))": sigmoid(a) * (1 - sigmoid(a)),
            "σ(h) (1 − σ(h))": sigmoid(h) * (1 - sigmoid(h)),
            "1 − h² of the step before": 1 - before**2,
            "1 − h² of the step after": 1 - after**2,
            "1 − h² of the last step": np.broadcast_to(1 - hs[-1:] ** 2, h.shape),
            "h of the step after": after,
            "h of the step before": before,
        }


def flow(params: ElmanParams, trace: Run, d_ys: np.ndarray, R: np.ndarray, tolerance: float) -> Flow:
    """Identify the slope from the diagonal, and the matrix from neighbouring squares.

    Args:
        params: the parameters.
        trace: the forward pass that it belongs to.
        d_ys: (T, B, K).
        R: (T, B, T, H), the error δ_s that the pass sends from the loss of step t in sequence b to step s.
        tolerance: relative.

    Returns:
        The `Flow`.
    """
    own, candidates, belongs = d_ys @ params.W_hy.T, slopes(trace.a, trace.hs), getattr(params, "slope", TANH)
    candidates = {belongs: candidates[belongs]} | candidates  # the right one first
    slope, phi, factor, faults = _slope(params, d_ys, own, candidates, R, trace.hs[1:], tolerance)
    carried, more, same = _carried(params, candidates, phi, R, slope, tolerance)
    if factor != 1 and np.isclose(carried.factor, factor) and carried.says == "W_hh.T":  # the slope is that multiple
        faults = (*faults, Fault(SLOPE, f"{factor:.3g} times {slope.says}", belongs))
        carried, factor = carried._replace(factor=1.0, right=True, matrix=params.W_hh.T), 1.0
    if carried.factor != 1 and carried.says == "W_hh.T":
        more = (*more, Fault(CARRIED, f"{carried.factor:.3g} W_hh.T", "W_hh.T"))
    faults = tuple(f for f in (*faults, *more) if not (same and f.where == f"{SLOPE} of what is carried"))
    with np.errstate(all="ignore"):
        d_hs = R / phi.swapaxes(0, 1) if phi is not None and (phi != 0).all() else None
    known = slope.says not in (UNKNOWN, "not seen") and carried.says != "no one matrix"
    return Flow(faults, factor, slope, carried, d_hs, known)


def _slope(params, d_ys, own, candidates, R, h, tolerance):
    """What the diagonal says: the slope, as an array too, how often a step's own error counts, and faults."""
    T, belongs = len(own), next(iter(candidates))
    diagonal = R[np.arange(T), :, np.arange(T)]  # (T, B, H)
    live = np.abs(diagonal).max((1, 2)) > 0
    if not live.any():
        return Slope("not seen", True, 1.0, np.zeros((0, 2))), None, 1.0, ()
    readouts = {"W_hy.T": own} | ({"W_hy": d_ys @ params.W_hy} if own.shape == d_ys.shape else {})
    parts = [Part(READOUT, readouts), Part(SLOPE, candidates)]
    parts = [Part(p.where, {name: array[live] for name, array in p.options.items()}) for p in parts]
    found = explain(diagonal[live], parts, np.multiply, tolerance)
    with np.errstate(all="ignore"):
        seen = np.where(own == 0, np.nan, diagonal / own)
    table = np.column_stack([h[live].ravel(), seen[live].ravel()])[np.argsort(h[live].ravel())]
    name, factor, faults = (found.chosen[1], found.factor, found.faults) if found else (None, 1.0, ())
    if not found:
        name, faults = _weighted(diagonal, own, candidates, live, tolerance)
    if name:
        return Slope(name, name == belongs, factor, table), candidates[name], factor, faults
    points = table[np.linspace(0, len(table) - 1, 5).astype(int)]
    listed = ", ".join(f"{x:.2f} → {y:.3g}" for x, y in points)
    fault = Fault(SLOPE, f"{UNKNOWN} ({listed}; more in .slope.table)", belongs)
    return Slope(UNKNOWN, False, 1.0, table), np.where(live[:, None, None], seen, candidates[belongs]), 1.0, (fault,)


def _weighted(diagonal, own, candidates, live, tolerance):
    """A slope with which the step's own error counts differently at different steps; its name, if there is one, and the fault."""
    steps = {}
    for t in np.flatnonzero(live):
        part = Part(SLOPE, {name: array[t] * own[t] for name, array in candidates.items()})
        steps[t] = explain(diagonal[t], [part], np.multiply, tolerance)
    names = {found.chosen[0] if found else None for found in steps.values()}
    if len(names) > 1 or None in names:
        return None, ()
    counts = ", ".join(f"{found.factor:.3g}" for found in steps.values())
    return names.pop(), (Fault(WEIGHT, f"{counts} times at steps {', '.join(str(t + 1) for t in steps)}", "once"),)


def neighbours(R: Float[np.ndarray, "T B T P"]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return t, b and s of all squares below the diagonal that are heard at step s and at the step after it."""
    t, b, s = (i.ravel() for i in np.indices(R.shape[:3]))
    heard = np.abs(R).max(-1) > 0
    t, b, s = t[s < t], b[s < t], s[s < t]
    both = heard[t, b, s] & heard[t, b, s + 1]
    return t[both], b[both], s[both]


def _carried(params, candidates, phi, R, slope, tolerance):
    """What stands between neighbours: faults, and whether the slope on what is carried is the diagonal's."""
    t, b, s = neighbours(R)
    if not len(t):
        return Carried("nothing", len(R) == 1, 1.0, None), (), True
    here = {name: array[s, b] for name, array in candidates.items()}
    here |= {UNKNOWN: phi[s, b]} if slope.says == UNKNOWN else {}
    parts = [Part(f"{SLOPE} of what is carried", here), Part(CARRIED, _carriers(params, R, phi, t, b, s))]
    found = explain(R[t, b, s], parts, np.multiply, tolerance)
    if found:
        name, matrix = found.chosen[1], {"W_hh.T": params.W_hh.T, "W_hh": params.W_hh}.get(found.chosen[1])
        matrix = None if matrix is None else found.factor * matrix
        right = name == "W_hh.T" and found.factor == 1
        return Carried(name, right, found.factor, matrix), found.faults, found.chosen[0] == slope.says
    right = next(iter(here.values()))
    for steps in (right if phi is None else phi[s, b], right, here["1 (no slope)"]):
        matrix = _least_squares(R[t, b, s + 1], R[t, b, s] / np.where(steps == 0, np.nan, steps), tolerance)
        if matrix is not None:
            return Carried("another matrix", False, 1.0, matrix), (Fault(CARRIED, "another matrix", "W_hh.T"),), True
    return Carried("no one matrix", False, 1.0, None), (Fault(CARRIED, "no one matrix", "W_hh.T"),), True


def _carriers(params, R, phi, t, b, s):
    """What may be carried to step s, before its slope: by its name."""
    W, next_one = params.W_hh, R[t, b, s + 1]
    later = np.flip(np.cumsum(np.flip(R, axis=2), axis=2), axis=2)[t, b, s + 1]
    options = {
        "W_hh.T": next_one @ W.T,
        "W_hh": next_one @ W,
        "no matrix": next_one,
        "W_hh.T on all later errors together (+= for =)": later @ W.T,
        "W_hh on all later errors together (+= for =)": later @ W,
    }
    if phi is not None and (phi != 0).all():
        before = next_one / phi[s + 1, b]
        options |= {
            "W_hh.T on the error before its slope": before @ W.T,
            "W_hh on the error before its slope": before @ W,
            "the whole error of the step after, and W_hh.T of it (+= for =)": before + next_one @ W.T,
        }
    return options


def _least_squares(X, Y, tolerance):
    """The matrix M with X M = Y, where there is one and X can tell."""
    if not np.isfinite(Y).all() or len(X) < X.shape[1] + 2:
        return None
    M, _, rank, _ = np.linalg.lstsq(X, Y, rcond=None)
    fits = rank == X.shape[1] and np.abs(X @ M - Y).max() <= 10 * tolerance * np.abs(Y).max()
    return M if fits else None
