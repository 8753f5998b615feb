"""What a net is asked with when its losses and steps are to be told apart: inputs with a row of weights for each step, other targets."""

from typing import Any

import numpy as np

from rnnlib.clinic.examination.patient import NeedsError, Patient


def probes(patient: Patient, T: int) -> list[tuple[Any, np.ndarray, list[np.ndarray]]]:
    """For each step: a name for its inputs, the inputs, and a direction in the parameters that acts at this step alone."""
    leaf, axis = _input_weights(patient)
    rng, weights = np.random.default_rng(0), patient.leaves[leaf]
    rows = weights.shape[axis]
    scale = float(np.abs(weights).mean()) or 1.0
    direction = scale * rng.standard_normal([size for k, size in enumerate(weights.shape) if k != axis])

    def along(row):
        whole = [np.zeros(p.shape) for p in patient.leaves]
        np.moveaxis(whole[leaf], axis, 0)[row] = direction
        return whole

    if rows >= T:  # a row for each step
        order = rng.permutation(rows)[:T]
        if patient.symbolic:
            xs = np.repeat(order[:, None], patient.B, 1).astype(patient.xs.dtype)
        else:
            xs = np.repeat(np.eye(rows, dtype=patient.xs.dtype)[order][:, None], patient.B, 1)
        return [("all", xs, along(row)) for row in order]
    if patient.symbolic:
        raise NeedsError(f"it would need at least {T} symbols, one for each step; there are {rows}")
    result = []
    for s in range(T):  # inputs that are zero but at this step
        xs = np.zeros((T, *patient.xs.shape[1:]), patient.xs.dtype)
        xs[s, :, 0] = 1
        result.append((s, xs, along(0)))
    return result


def _input_weights(patient):
    """Which parameter the inputs are multiplied by: (leaf, axis), where a feature that never occurs gets no gradient."""
    size = int(patient.xs.max()) + 1 if patient.symbolic else patient.xs.shape[-1]
    for feature in _features(patient):
        without = patient.xs.copy()
        if patient.symbolic:
            without[without == feature] = next(symbol for symbol in patient.xs.flat if symbol != feature)
        else:
            without[..., feature] = 0
        for leaf, (a, b) in enumerate(zip(patient.gradient_of(), patient.gradient_of(without), strict=True)):
            for axis in range(a.ndim if a.ndim > 1 else 0):
                fits = a.shape[axis] >= size if patient.symbolic else a.shape[axis] == size
                if fits and np.take(a, feature, axis).any() and not np.take(b, feature, axis).any():
                    return leaf, axis
    raise NeedsError("it would need input weights with a row for each input feature or symbol, and found none")


def _features(patient):
    """A feature, or symbol, of the last step, one of the first, and one of the middle: a truncated gradient may not hear them all."""
    if patient.symbolic and len(np.unique(patient.xs)) < 2:
        raise NeedsError("it would need inputs of more than one symbol")
    for s in (-1, 0, patient.T // 2):
        yield int(patient.xs[s].flat[0]) if patient.symbolic else int(np.abs(patient.xs[s]).sum(0).argmax())


def shifted_targets(patient: Patient, T: int) -> dict[int, np.ndarray]:
    """Under 0 the targets as they are, under t those with another target at step t; or at T alone, where there is one a sequence."""
    targets = np.asarray(patient.targets)
    symbols = targets.dtype.kind in "iu"

    def other(target):
        if symbols:
            K = max(int(targets.max()) + 1, 2)
            return (target + 1) % K
        return target + (float(targets.std()) or 1.0)

    if targets.shape[:2] != patient.xs.shape[:2]:
        if targets.shape[:1] != (patient.B,):
            raise NeedsError(f"it would need targets (T, B, ...) or (B, ...), got {targets.shape}")
        return {0: targets, T: other(targets).astype(targets.dtype)}
    plain = targets[:T]
    result = {0: plain}
    for t in range(1, T + 1):
        changed = plain.copy()
        changed[t - 1] = other(changed[t - 1])
        result[t] = changed
    return result
