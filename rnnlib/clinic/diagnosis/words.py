"""What a diagnosis says: causes in sentences, what these inputs could not show, and what is known where no cause fits."""

from typing import Any

import numpy as np

from rnnlib.clinic.catalogue import CATALOGUE
from rnnlib.clinic.diagnosis.net import Arrays, Net
from rnnlib.clinic.diagnosis.search import Found
from rnnlib.clinic.xray.reference import leaves

XRAY = "Hand the function to clinic.xray: it shows which loss reaches which step, and what stands in between."


def verdict(sets: Found) -> tuple[tuple[str, ...], str]:
    """Return the catalogue's keys among the causes, in its order, and the verdict in a word."""
    names = tuple(name for name in CATALOGUE if any(name in causes for causes in sets))
    if not sets:
        return names, "unknown"
    if len(sets) > 1:
        return names, "either"
    (causes,) = sets
    if names or not causes:
        return names, "mistake" if names else "correct"
    return names, "truncated" if all(cause.startswith("Truncated") for cause in causes) else "other"


def message(sets: Found, net: Net, *, h0_is_zero: bool) -> str:
    """Put causes into sentences.

    Args:
        sets: one set of causes, or several that these inputs can't tell apart.
        net: the net.
        h0_is_zero: whether the first state's gradient was left out of it, as all of it is zero.

    Returns:
        Some sentences to act on.
    """
    blind = blind_spots(net)
    if sets == {frozenset(): {}}:
        return f"Correct: every parameter agrees to within rounding.{blind}"
    told = [" And: ".join(_cause(cause, says) for cause in _ordered(causes)) for causes, says in sets.items()]
    names = [name for name in CATALOGUE if any(name in causes for causes in sets)]
    chapters = sorted({CATALOGUE[name].chapter for name in names})
    reread = f" Re-read {', '.join(chapters)}." if chapters else ""
    zero = " The gradient of h0 is all zero, as if h0 were a constant." if h0_is_zero else ""
    if len(sets) > 1:
        return f"One of {len(told)}, which these inputs can't tell apart: " + " Or: ".join(told) + zero + reread + blind
    two = "Two mistakes together: " if len(names) == 2 else ""
    rest = "" if names else " Beside that it is right."
    return two + told[0] + rest + zero + reread


def _ordered(causes):
    return sorted(causes, key=lambda cause: list(CATALOGUE).index(cause) if cause in CATALOGUE else -1)


def _cause(cause, says):
    if cause not in CATALOGUE:
        return cause if cause.endswith("?") else f"{cause}."
    mistake = CATALOGUE[cause]
    detail = f" ({says[cause]})" if cause in says else ""
    return f"{mistake.title}{detail}. {mistake.fix}"


def blind_spots(net: Net) -> str:
    """Say what these inputs could not have shown; empty where they show all."""
    (T, B, _), params = net.d_ys.shape, net.params
    W, H = params.W_hh, params.W_hy.shape[0]
    square = W.shape[0] == W.shape[1] > 1
    alike = B > 1 and (net.xs == net.xs[:, :1]).all() and (net.d_ys == net.d_ys[:, :1]).all()
    losses = [t + 1 for t in range(T) if net.d_ys[t].any()]
    spots = {
        f"T = {T}": T == 1,
        f"B = {B}": B == 1,
        f"T = B = {T}": T == B > 1,
        "H = 1": H == 1,
        "a symmetric W_hh": square and np.allclose(W, W.T),
        "h0 = 0": net.start is None and not any(np.any(h) for h in leaves(params.h0)),
        "dL/dy = 0": not losses,
        f"dL/dy zero at all steps but step {losses[0] if losses else 0}": len(losses) == 1 < T,
        "sequences that are all alike": alike,
        "xs = 0": not np.any(net.xs),
    }
    seen = " and ".join(spot for spot, here in spots.items() if here)
    hint = "some mistakes leave no trace or look alike: try T ≥ 3, another B ≥ 2, H ≥ 2, and random numbers everywhere."
    return f" With {seen} {hint}" if seen else ""


def unknown(comparison: Any, given: Arrays, wanted: Arrays, net: Net) -> str:
    """Say what is known of a gradient that no causes explain.

    Args:
        comparison: of both, parameter by parameter.
        given: the gradient in question.
        wanted: the right one.
        net: the net.

    Returns:
        What is odd in one array, where one is; else what its right and wrong parts tell, and what to try.
    """
    odd = [hint for name in wanted if (hint := _odd(name, given[name], wanted[name]))]
    rows = {row.name: row for row in comparison.rows}
    fine = [name for name, row in rows.items() if row.verdict == "agree"]
    if odd:
        right = f" Right: {', '.join(fine)}." if fine else ""
        return f"Not one I know: {' '.join(odd)}{right}"
    off = ", ".join(
        f"{name} ({row.angle:.0f}° off)" if row.verdict == "differ" else f"{name} ({row.verdict})"
        for name, row in rows.items()
        if row.verdict != "agree"
    )
    clue = _clue(fine, given, wanted, net)
    return f"Not one I know. Off: {off}. Right: {', '.join(fine) or 'none'}. {clue} {XRAY}"


def _clue(fine, given, wanted, net):
    """What the readout, whose gradients owe nothing to the way back, says of the rest."""
    if "b_y" not in fine:
        return (
            "b_y is the sum of dL/dy and nothing else: the pass has another dL/dy than the one given. "
            "Are the targets shifted by a step, or is an array written over?"
        )
    if "W_hy" not in fine:
        return (
            "b_y is right and W_hy is not: so dL/dy adds up as given, and is paired with other states. Does the chunk start from a "
            "carried state? Then hand it over, state=. Else compare the states of both forward passes, and the order of the errors."
        )
    flow = [name for name in ("W_xh", "W_hh", "b_h", "b_n") if name in wanted]
    wrong = [name for name in wanted if name not in fine]
    if set(flow) <= set(wrong):
        return "The readout is right, so outputs and states are: what is off is the error's way back."
    if len(wrong) == 1:
        step = _one_step(wrong[0], given, wanted, net)
        return f"All others are right, so the errors are: what is off is the sum for {wrong[0]} alone.{step}"
    return f"{' and '.join(name for name in flow if name in fine)} is right, so the errors are: what is off is how they are summed."


def _one_step(name, given, wanted, net):
    """Whether the term of one step alone is off: then the difference lies in the span of what that step was paired with."""
    hs = net.trace.hs
    left = {"W_xh": net.xs, "W_hh": hs[:-1], "W_hy": hs[1:]}.get(name)
    if left is None or left.shape[1] >= left.shape[2]:
        return ""
    difference, steps = given[name] - wanted[name], []
    for t, rows in enumerate(left):
        basis = np.linalg.qr(rows.T)[0]
        rest = difference - basis @ (basis.T @ difference)
        if np.abs(rest).max() <= 1e-6 * np.abs(difference).max():
            steps.append(t + 1)
    return f" It is the term of step {steps[0]} that is off." if len(steps) == 1 else ""


def _odd(name, given, wanted):
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
    if np.any(wanted) and not np.any(given) and not name.startswith("h0"):
        return f"{name} is all zero. Is its line missing, or its sum never added to?"
    return None
