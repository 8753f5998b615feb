"""How steps, sequences and losses are summed up: for each parameter, what it was paired with, and what was left of the sum."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from rnnlib.cells import GRUParams, LSTMParams
from rnnlib.clinic.xray.elman import Flow
from rnnlib.clinic.xray.probe import blocks
from rnnlib.clinic.xray.reference import Run


class Sum(NamedTuple):
    """The gradient of one parameter, given the errors: dW = factor · Σ over steps and sequences of leftᵀ error."""

    says: str  # what is wrong with it; empty where nothing is
    factor: float  # NaN where it is no such sum
    key: str  # of the catalogue; empty where it has none


Option = tuple[int, str, str, np.ndarray]  # how many faults, in words, key, (N, ...)


def identify(observed: np.ndarray, options: Iterable[Option], name: str, tolerance: float, floor: float) -> Sum:
    """Name the sum that a gradient is.

    Args:
        observed: (N, ...), the pass's gradients of one parameter, one loss at a time.
        options: what it may be.
        name: the parameter.
        tolerance: relative.
        floor: absolute.

    Returns:
        The `Sum`.
    """
    largest, options = np.abs(observed).max(), list(options)
    if largest <= floor:
        right = np.abs(options[0][3]).max()
        zero = Sum("is all zero", 0.0, "h0_dropped" if name.startswith("h0") else "")
        return zero if right > floor else Sum("", 1.0, "")
    best = None
    for faults, says, key, array in sorted(options, key=lambda option: option[0]):
        square = (array * array).sum()
        factor = float((observed * array).sum() / square) if square else 0.0
        if np.abs(observed - factor * array).max() <= tolerance * largest + floor:
            factor = 1.0 if abs(factor - 1) < 10 * tolerance else factor
            if best is None or (best[0] == faults and factor == 1 != best[1].factor):
                best = (faults, Sum(says, factor, key))
    return best[1] if best else Sum("is another sum", np.nan, "")


def errors_of(params: Any, trace: Run, rows: Float[np.ndarray, "N T B P"]) -> dict[str, np.ndarray]:
    """Return, by parameter, the errors that its sum is taken over; a GRU's candidate passes its reset gate on the way to W_hh and b_n."""
    if not isinstance(params, GRUParams):
        return {"W_xh": rows, "W_hh": rows, "b_h": rows}
    r = np.stack([kept[0] for kept in trace.kept])
    parts = blocks(params, rows)
    inner = r * parts["n"]
    return {"W_xh": rows, "b_h": rows, "b_n": inner, "W_hh": np.concatenate([parts["r"], parts["z"], inner], axis=-1)}


def weights(xs: np.ndarray, hs: Float[np.ndarray, "states B H"]) -> dict[str, list[tuple[int, str, str, np.ndarray]]]:
    """List, by parameter, what its errors may be paired with: faults, words, key, (T, B, n)."""
    before, after, ones = hs[:-1], hs[1:], np.ones((*hs[1:].shape[:2], 1))

    def first(array):  # at the first step, and h_{t−1} elsewhere
        return np.concatenate([np.broadcast_to(array, before[:1].shape), before[1:]])

    shifted = np.concatenate([0 * xs[:1], xs[:-1]])
    states = [
        (1, "pairs δ_t with h_t where h_{t−1} belongs", "h_t_for_h_prev", after),
        (1, "pairs the first step's error with h_1 where h_0 belongs", "wrong_first_state", first(after[0])),
        (
            1,
            "pairs the first step's error with h_T where h_0 belongs (index −1)",
            "wrong_first_state",
            first(after[-1]),
        ),
        (1, "leaves out the first step, h_0", "h0_dropped", first(0 * before[0])),
        (1, "pairs δ_t with h_T at every step", "tape_corrupted", np.broadcast_to(hs[-1:], before.shape)),
        (1, "pairs δ_t with h²", "tape_corrupted", np.concatenate([hs[:1], before[1:] ** 2])),
        (1, "pairs δ_t with 1 − h²", "tape_corrupted", np.concatenate([hs[:1], 1 - before[1:] ** 2])),
        (1, "pairs δ_t with h² of all states", "tape_corrupted", before**2),
    ]
    readouts = [
        (1, "pairs dL/dy_t with h_{t−1} where h_t belongs", "h_t_for_h_prev", before),
        (1, "pairs dL/dy_t with h_T at every step", "tape_corrupted", np.broadcast_to(hs[-1:], after.shape)),
        (1, "pairs dL/dy_t with h²", "tape_corrupted", after**2),
        (1, "pairs dL/dy_t with 1 − h²", "tape_corrupted", 1 - after**2),
    ]
    inputs = [
        (1, "pairs δ_t with x_{t−1} where x_t belongs", "input_of_another_step", shifted),
        (
            1,
            "pairs δ_t with x_{t−1} where x_t belongs (x_T at the first step)",
            "input_of_another_step",
            np.roll(xs, 1, axis=0),
        ),
        (1, "pairs δ_t with x_{t+1} where x_t belongs", "input_of_another_step", np.concatenate([xs[1:], 0 * xs[:1]])),
    ]
    right = {"W_xh": xs, "W_hh": before, "b_h": ones, "b_n": ones, "W_hy": after, "b_y": ones}
    others = {"W_xh": inputs, "W_hh": states, "W_hy": readouts}
    return {name: [(0, "", "", array), *others.get(name, [])] for name, array in right.items()}


def options(name: str, lefts: list, error: Float[np.ndarray, "N T B P"], d_h: np.ndarray | None) -> Iterator[Option]:
    """List what the sum of one parameter may be.

    Args:
        name: the parameter.
        lefts: from `weights`.
        error: (N, T, B, P), from `errors_of`, or dL/dy.
        d_h: the errors before the slope, where they are known and may be mistaken for `error`.

    Yields:
        Faults, words, key and (N, ...).
    """
    bias = name.startswith("b_")
    over = "bias_not_summed_over_time" if bias else "overwritten_not_summed"
    steps = {
        "": ("", slice(None)),
        "keeps the first step alone (= for +=)": (over, slice(0, 1)),
        "keeps the last step alone (= for +=)": (over, slice(-1, None)),
        "leaves out the first step": ("h0_dropped", slice(1, None)),
        "leaves out the last step": ("", slice(0, -1)),
    }
    T = error.shape[1]
    if name in ("W_hy", "b_y"):  # who looks at the last steps alone drops the other losses
        steps |= {f"keeps the last {k} steps alone": ("", slice(T - k, None)) for k in range(2, T - 1)}
    sequences = {
        "": slice(None),
        "keeps the first sequence alone": slice(0, 1),
        "keeps the last sequence alone": slice(-1, None),
    }
    rights = [("", error)] + ([("takes the error before its slope", d_h)] if d_h is not None else [])
    for faults, left_says, left_key, left in lefts:
        for right_says, right in rights:
            for when, (when_key, t) in steps.items():
                for who, b in sequences.items():
                    says = [words for words in (left_says, right_says, when, who) if words]
                    count = faults + bool(right_says) + bool(when) + bool(who)
                    if count > 2 or (len(error[0]) == 1 and when) or (error.shape[2] == 1 and who):
                        continue
                    total = np.einsum("tbi,ntbj->nij", left[t, b], right[:, t, b])
                    total = total[:, 0] if bias else total
                    key = left_key or ("error_before_slope" if right_says else when_key)
                    yield count, " and ".join(says), key, total
                    if count == 0 and not bias and total.shape[1] == total.shape[2]:
                        yield 1, "is the transpose of its gradient", "gradient_transposed", total.swapaxes(1, 2)


def spread(own: Float[np.ndarray, "T B T P"]) -> Float[np.ndarray, "N T B P"]:
    """Put what each loss has in its own sequence beside zeros in the others."""
    T, B, _, P = own.shape
    rows = np.zeros((T, B, T, B, P))
    for b in range(B):
        rows[:, b, :, b] = own[:, b]
    return rows.reshape(T * B, T, B, P)


def first_state(
    params: Any, trace: Run, rows: Float[np.ndarray, "N T B P"], right: dict[str, np.ndarray], flow: Flow
) -> dict[str, list[Option]]:
    """List what the gradient of the first state may be, given the pass's own errors at the first step.

    Args:
        params: the cell.
        trace: its forward pass.
        rows: the pass's errors.
        right: the right gradients, by name.
        flow: what is known of the flow.

    Returns:
        By name, "h0", or "h0.h" and "h0.c", the options for `identify`.
    """
    error = errors_of(params, trace, rows)["W_hh"][:, 0]  # (N, B, P), of step 1
    through = error @ params.W_hh.T
    names = [name for name in right if name.startswith("h0")]
    whole = {names[0]: [(0, "", "", through)], **{name: [] for name in names[1:]}}
    if isinstance(params, LSTMParams):
        i, f, g = (np.asarray(kept) for kept in trace.kept[0][:3])
        whole["h0.c"] = [(0, "", "", f * blocks(params, rows[:, 0])["g"] / (i * (1 - g * g)))]
    elif isinstance(params, GRUParams):
        _, z, n, _ = (np.asarray(kept) for kept in trace.kept[0])
        whole["h0"] = [(0, "", "", z * blocks(params, rows[:, 0])["n"] / ((1 - z) * (1 - n * n)) + through)]
    else:
        whole["h0"] += _elman_first_state(params, error, errors_of(params, trace, rows)["W_hh"].sum(1), flow)
    listed = {}
    for name, choices in whole.items():
        key = "dh0_not_summed_over_batch"
        listed[name] = [(faults, says, tag, array.sum(1)) for faults, says, tag, array in choices]
        if error.shape[1] > 1:
            listed[name] += [
                (f + 1, f"{says} and has the {who} sequence alone".removeprefix(" and "), tag or key, array[:, b])
                for f, says, tag, array in choices
                for who, b in (("first", 0), ("last", -1))
            ]
        listed[name].append((0, "", "", right[name]))
    return listed


def _elman_first_state(params, error, later, flow):
    """What may stand for δ_1 W_hh.T: right after a wrong way too, and the wrong way's own last stride."""
    W, way = params.W_hh, flow.carried.says
    strides = [
        (way == "W_hh", "is multiplied by W_hh where W_hh.T belongs", "W_hh_not_transposed", error @ W),
        ("together" in way, "has the errors of all steps where that of the first belongs", "", later @ W.T),
        ("together" in way, "has the errors of all steps, and W_hh where W_hh.T belongs", "", later @ W),
        (way == "no matrix", "is δ_1, without W_hh.T", "dh0_without_W_hh", error),
    ]
    if flow.carried.matrix is not None:
        strides.append((True, "", "", error @ flow.carried.matrix))
    if flow.d_hs is not None:
        d_h = spread(flow.d_hs)[:, 0]
        strides.append((False, "is dL/dh_1, a step too early", "", d_h))
        strides += [("before its slope" in way, "leaves out the slope", "", d_h @ M) for M in (W.T, W)]
        strides.append(("whole error" in way, "has dL/dh_1 added", "", d_h + error @ W.T))
    return [(0, "", "", array) if follows else (1, says, key, array) for follows, says, key, array in strides]
