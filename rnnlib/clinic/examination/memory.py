"""How far back net and data reach: the gradient by lag, its half-life, the bias of each truncation window."""

from collections.abc import Iterator

import numpy as np

from rnnlib.clinic.examination.advice import found
from rnnlib.clinic.examination.patient import NeedsError, Patient
from rnnlib.clinic.examination.report import Finding

PLACES = 8  # steps that are nudged
WINDOWS = (1, 2, 5, 10, 20, 50, 100, 200, 500)


def by_lag(patient: Patient) -> np.ndarray:
    """(lags,), how strongly an output moves with an input so many steps back: the root mean square over steps, sequences and outputs."""
    T = patient.T
    ys, _ = patient.outputs()
    if ys.shape[:2] != (T, patient.B):
        raise NeedsError("it would need outputs (T, B, ...) at every step")
    places = sorted({int(s) for s in np.linspace(0, T - 1, min(T, PLACES)).round()})
    squares, counts = np.zeros(T), np.zeros(T)
    for s in places:
        change = _response(patient, ys, s)[s:]  # (lags, B, ...)
        squares[: T - s] += (change.reshape(T - s, -1) ** 2).mean(1)
        counts[: T - s] += 1
    return np.sqrt(squares / counts)


def _response(patient, ys, s):
    """The change of all outputs for a small change of the inputs of step s; of a symbol, for another symbol."""
    xs = patient.xs.copy()
    rng = np.random.default_rng(s)
    if patient.symbolic:
        xs[s] = patient.other_inputs(rng)[s]
        return patient.outputs(xs)[0] - ys
    nudge = rng.standard_normal(xs[s].shape)
    step = patient.step * (float(np.abs(xs).mean()) or 1.0)
    ends = []
    for sign in (1, -1):
        xs[s] = patient.xs[s] + sign * step * nudge
        ends.append(patient.outputs(xs)[0])
    return (ends[0] - ends[1]) / (2 * step)


def half_life(lags: np.ndarray, floor: float) -> float:
    """Say in how many steps the gradient by lag halves, from a line through its logarithm; negative where it grows.

    Args:
        lags: (lags,), from `by_lag`.
        floor: what is too small to be seen; lags from the first below it on are left out.

    Returns:
        Steps; infinite where it neither falls nor grows, NaN where fewer than three lags can be seen.
    """
    seen = len(lags) if (lags > floor).all() else int(np.argmin(lags > floor))
    if seen < 3:
        return float("nan")
    slope = np.polyfit(np.arange(1, seen), np.log2(lags[1:seen]), 1)[0]
    return float("inf") if abs(slope) < 1e-6 else float(-1 / slope)


def memory(patient: Patient) -> Iterator[Finding]:
    """Does the gradient vanish or explode with the lag?"""
    if patient.T < 4:
        raise NeedsError("it would need at least four steps")
    lags = by_lag(patient)
    floor = patient.blur * float(np.abs(patient.outputs()[0]).max()) / patient.step + 3 * patient.noise
    life, T = half_life(lags, floor), patient.T
    at = min(T - 1, 20)
    share = lags[at] / max(lags[0], 1e-300)
    evidence = f"an output moves {share:.2g} times as much with an input {at} steps back; {_pace(life)}"
    if np.isnan(life):
        evidence = f"{(lags > floor).sum()} lags above rounding"
        yield found("memory_none", "Outputs hardly hear earlier inputs at all.", evidence)
    elif life < 0 and share > 10:
        yield found("memory_explodes", "What an output hears grows with the lag: the gradient explodes.", evidence)
    elif 0 < life < T / 20:
        says = "What an output hears fades fast: half is gone after a twentieth of the sequence."
        yield found("memory_short", says, evidence)
    else:
        yield found("memory", "What an output hears neither dies at once nor explodes.", evidence)


def _pace(life):
    """A half-life in words; a negative one is a time to double."""
    if np.isinf(life):
        return "from lag to lag nothing is lost"
    return f"that halves every {life:.1f} steps" if life > 0 else f"that doubles every {-life:.1f} steps"


def window_wanted(patient: Patient) -> Iterator[Finding]:
    """Cut the data into chunks with the state handed on as a constant, and hold each gradient against that of the whole."""
    patient.need("gradient", "targets", "loss")
    targets, T = np.asarray(patient.targets), patient.T
    if targets.shape[:2] != patient.xs.shape[:2]:
        raise NeedsError("it would need targets at every step")
    whole = np.concatenate([g.ravel() for g in patient.gradient_of()])
    windows = [k for k in WINDOWS if k < T]
    if not windows or not np.any(whole):
        raise NeedsError("it would need at least two steps and a gradient that is not zero")
    table, summed = {}, _is_sum(patient)
    for k in windows:
        chunked = np.concatenate([g.ravel() for g in _chunked(patient, k, summed)])
        cosine = float(chunked @ whole / max(np.linalg.norm(chunked) * np.linalg.norm(whole), 1e-300))
        table[k] = cosine, float(np.linalg.norm(chunked - whole) / np.linalg.norm(whole))
    evidence = "; ".join(f"window {k}: cosine {c:.3f}, relative error {e:.2g}" for k, (c, e) in table.items())
    enough = next((k for k, (cosine, _) in table.items() if cosine > 0.99), None)
    if enough is None:
        says = f"No window up to {windows[-1]} of {T} steps keeps the direction of the gradient within 8 degrees."
        yield found("window_too_short", says, evidence)
    else:
        says = f"Chunks of {enough} steps keep the direction of the gradient within 8 degrees, at these parameters."
        yield found("window_enough", says, evidence)


def _is_sum(patient):
    """Whether the loss is a sum over steps rather than a mean: the same steps twice are twice the loss."""
    ys, targets = patient.outputs()[0], np.asarray(patient.targets)
    once, twice = patient.loss_of(ys), patient.loss_of(np.concatenate([ys, ys]), np.concatenate([targets, targets]))
    return abs(twice) > 1.5 * abs(once)


def _chunked(patient, window, summed):
    """The gradient over chunks of `window` steps, each begun from the state that the one before left; a mean counts by its steps."""
    total, state, targets = None, patient.state, np.asarray(patient.targets)
    for begin in range(0, patient.T, window):
        piece = slice(begin, begin + window)
        weight = 1 if summed else len(patient.xs[piece]) / patient.T
        grads = [weight * g for g in patient.gradient_of(patient.xs[piece], targets[piece], state=state)]
        total = grads if total is None else [a + g for a, g in zip(total, grads, strict=True)]
        _, state = patient.outputs(patient.xs[piece], state=state)
        if state is None:
            raise NeedsError("it would need a run that returns the state after its last step")
    return total
