"""The triangle of squares: which loss reaches which step, how right it arrives, and the shape of what is missing."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

FIRST = "the first step is left out"


class Reach(NamedTuple):
    """Which steps the losses reach."""

    kind: str  # "full", "windows", "chunks", "strided", "part", "columns", "cuts", "none", "reversed", "future" or "other"
    says: str  # in words; empty where every loss reaches every step up to its own
    window: int | None  # steps behind a loss, where that is what is cut


def compare(
    rows: Float[np.ndarray, "N T B P"], right: Float[np.ndarray, "N T B P"], tolerance: float, floor: float
) -> tuple[np.ndarray, Float[np.ndarray, "T T"]]:
    """Judge each square: the error that the loss of step t sends to step s, beside the right one.

    Args:
        rows: the pass's errors, from N = T B losses to T steps of B sequences.
        right: the right ones.
        tolerance: relative error up to which two are one.
        floor: absolute error below which all is rounding.

    Returns:
        `(squares, scale)`: (T, T) words, and (T, T) the multiple of the right error, NaN where it is none.
    """
    T, B = rows.shape[1:3]
    rows, right = (a.reshape(T, B, T, B, -1) for a in (rows, right))
    squares, scale = np.full((T, T), "", dtype="<U7"), np.full((T, T), np.nan)
    for t, s in np.ndindex(T, T):
        got, want = rows[t, :, s], right[t, :, s]
        size = np.abs(want).max() if s <= t else np.abs(right[t]).max()
        if s > t:
            squares[t, s] = "future" if np.abs(got).max() > tolerance * size + floor else ""
            continue
        squares[t, s], scale[t, s] = _judge(got, want, tolerance * size + floor, floor, tolerance)
    return squares, scale


def _judge(got, want, margin, floor, tolerance):
    if np.abs(got - want).max() <= margin:
        return "right", 1.0
    if np.abs(got).max() <= floor:  # not only small beside the right one
        return "missing", 0.0
    factor = float((got * want).sum() / ((want * want).sum() or 1.0))
    if np.abs(got - factor * want).max() <= margin * max(1.0, abs(factor)) + 10 * tolerance * np.abs(got).max():
        return "scaled", factor
    return "wrong", np.nan


def reach(heard: Bool[np.ndarray, "T T"]) -> Reach:
    """Name the shape of what is heard: a band is windows, blocks are chunks, a strip is the last steps.

    Args:
        heard: (T, T), whether the loss of step t (row) is heard at step s (column).

    Returns:
        The `Reach`.

    Example:
        >>> reach(np.tri(5, dtype=bool) & ~np.tri(5, k=-2, dtype=bool)).says
        'truncated to windows of 2 steps behind every loss'
    """
    T, full = len(heard), np.tri(len(heard), dtype=bool)
    if (heard & ~full).any():
        if T > 1 and (heard == full.T).all():
            return Reach("reversed", "time runs backwards: every loss is heard at its own and all later steps", None)
        return Reach("future", "a loss is heard at steps after its own", None)
    if (heard == full).all():
        return Reach("full", "", None)
    if not heard.any():
        return Reach("none", "no loss is heard at any step: does dL/dy_t enter at step t?", None)
    found = _truncated(heard) or _part(heard) or _cuts(heard)
    if found.kind == "other" and T > 2 and not heard[:, 0].any():
        rest = reach(heard[1:, 1:])
        return rest._replace(says=f"{FIRST} and {rest.says}") if rest.kind != "other" else found
    if found.kind == "other" and T > 2 and not heard[-1].any():
        rest = reach(heard[:-1, :-1])
        return rest._replace(says=f"the last loss is left out and {rest.says}") if rest.kind != "other" else found
    return found


def _truncated(heard):
    T = len(heard)
    if (heard == np.eye(T, dtype=bool)).all():
        return Reach("windows", "no error is carried from step to step: windows of 1 step behind every loss", 1)
    t, s = np.indices((T, T))
    for window in range(2, T):
        if (heard == ((s <= t) & (t - s < window))).all():
            return Reach("windows", f"truncated to windows of {window} steps behind every loss", window)
    for length in range(2, T):
        for shift, counted in ((0, ""), (-T % length, ", counted from the end")):
            if (heard == ((s <= t) & ((s + shift) // length == (t + shift) // length))).all():
                return Reach("chunks", f"truncated to chunks of {length} steps{counted}", length)
    for stride in range(2, T):
        end = np.minimum((t // stride + 1) * stride, T)
        for window in range(stride + 1, T):
            if (heard == ((s <= t) & (s >= end - window))).all():
                return Reach("strided", f"truncated to windows of {window} steps, one every {stride} steps", window)
    return None


def _part(heard):
    """Some losses, some steps: a rectangle's corner of the triangle, or single columns."""
    T, full = len(heard), np.tri(len(heard), dtype=bool)
    losses, steps = heard.any(1), heard.any(0)
    if steps.sum() == 1 and T > 2 and steps[0] and losses.all():
        return Reach("columns", "of all steps only the first is left", None)
    if not (heard == full & losses[:, None] & steps).all():
        return None
    said = []
    if steps.sum() < T and steps[-int(steps.sum()) :].all():
        k = int(steps.sum())
        said.append(FIRST if k == T - 1 > 1 else f"only the last {_count(k, 'step')} are reached")
        if k == 1:
            said[-1] = "only the last step is reached"
    elif steps.sum() < T and losses.argmax() >= steps.sum() and losses.all():
        return None
    silent = ~losses & (full & steps).any(1)
    if silent.any():
        said.append(_losses(losses))
    return Reach("part", " and ".join(said), int(steps.sum()) if steps.sum() < T else None) if said else None


def _losses(losses):
    T, heard = len(losses), [int(t) + 1 for t in np.flatnonzero(losses)]
    if heard == [T]:
        return "only the loss of the last step enters"
    if len(heard) == 1:
        return f"only the loss of step {heard[0]} enters"
    if losses[-len(heard) :].all():
        return f"only the losses of the last {len(heard)} steps enter"
    return f"only the losses of steps {', '.join(map(str, heard))} enter"


def _cuts(heard):
    T = len(heard)
    cuts = [t for t in range(1, T) if not heard[t, t - 1]]
    group = np.cumsum([t in cuts for t in range(T)])
    if (heard == (np.tri(T, dtype=bool) & (group[:, None] == group))).all():
        between = ", ".join(f"{t} and {t + 1}" for t in cuts)
        return Reach("cuts", f"nothing is carried between steps {between}", None)
    return Reach("other", "some losses do not reach steps that they should", None)


def _count(n, noun):
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"
