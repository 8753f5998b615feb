"""The net as it stands: finite or not, units that have stopped, the Jacobians of its steps, the loss it begins with."""

from collections.abc import Iterator

import numpy as np

from rnnlib.clinic.examination.advice import found
from rnnlib.clinic.examination.patient import NeedsError, Patient
from rnnlib.clinic.examination.report import Finding
from rnnlib.gradcheck import trees

STEPS = 64  # that are walked one by one
PLACES = 4  # Jacobians that are taken


def finite(patient: Patient) -> Iterator[Finding]:
    """Where does a NaN or an infinity come first?"""
    bad = [n for n, leaf in zip(patient.names, patient.leaves, strict=True) if not np.isfinite(leaf).all()]
    if bad:
        says = f"The parameters {', '.join(bad)} hold NaN or infinity already."
        yield found("parameters_not_finite", says, f"{len(bad)} of {len(patient.names)} parameters")
        return
    if not patient.symbolic and not np.isfinite(patient.xs).all():
        says = "The inputs hold NaN or infinity before the net does anything."
        yield found("inputs_not_finite", says, f"first at {_first(patient.xs)}")
        return
    ys, _ = patient.outputs()
    if not np.isfinite(ys).all():
        yield found("outputs_not_finite", "The outputs become NaN or infinite.", f"first at {_first(ys)}")
        return
    evidence = f"outputs between {ys.min():.3g} and {ys.max():.3g}"
    grads = patient.gradient_of() if patient.gradient and patient.targets is not None else []
    bad = [n for n, g in zip(patient.names, grads, strict=False) if not np.isfinite(g).all()]
    if bad:
        says = f"The outputs are finite, but not the gradient of {', '.join(bad)}."
        yield found("gradient_not_finite", says, evidence)
    else:
        yield found("finite", "Parameters, inputs and outputs are finite.", evidence)


def _first(array):
    """The first step, and its sequence, where something is not finite."""
    t, b = np.argwhere(~np.isfinite(array))[0][:2]
    return f"step {t + 1}, sequence {b + 1}"


def units(patient: Patient) -> Iterator[Finding]:
    """Which units of the state stand still: at a bound, or at one value whatever the input?"""
    states = _states(patient)  # (steps, B, units)
    if states.shape[0] * states.shape[1] < 4:
        raise NeedsError("it would need more steps or sequences")
    flat = states.reshape(-1, states.shape[-1])
    size = np.abs(flat).max()
    dead = np.ptp(flat, axis=0) <= 1e-7 * max(size, 1e-30)
    saturated = float((np.abs(flat[:, ~dead]) > 0.99).mean()) if size <= 1 + 1e-6 and not dead.all() else 0.0
    H = len(dead)
    evidence = f"of {H} units {dead.sum()} never change; {saturated:.0%} of the others' values are beyond ±0.99"
    if dead.all():
        yield found("state_constant", "The state never changes.", evidence)
    elif dead.sum() > max(1, H // 10):
        yield found("units_dead", f"{dead.sum()} of {H} units are dead: they never change.", evidence)
    elif saturated > 0.5:
        says = "Most units are saturated at most steps: almost no gradient passes them."
        yield found("units_saturated", says, evidence)
    else:
        yield found("units_alive", "The units of the state move, and are not at their bounds.", evidence)


def jacobians(patient: Patient) -> Iterator[Finding]:
    """Spectral radius and largest singular value of ∂s_t / ∂s_{t−1}, by differences, at a few steps."""
    radii, stretches = np.array([_radius_and_stretch(J) for J in _jacobians(patient)]).T
    radius, stretch = np.median(radii), np.median(stretches)
    evidence = f"median of {len(radii)} steps: spectral radius {radius:.3g}, largest singular value {stretch:.3g}"
    if radius < 0.5:
        steps = np.log(0.01) / np.log(max(radius, 1e-12))
        says = f"A step keeps little of the state: a hundredth is left after {steps:.0f} steps."
        yield found("jacobians_shrink", says, evidence)
    elif radius > 1.2:
        steps = np.log(100) / np.log(radius)
        says = f"A step stretches the state: a hundredfold after {steps:.0f} steps."
        yield found("jacobians_stretch", says, evidence)
    else:
        yield found("jacobians", "A step neither loses the state nor blows it up.", evidence)


def first_loss(patient: Patient) -> Iterator[Finding]:
    """Is the loss that of a guess, below it, or above?"""
    patient.need("loss", "targets")
    ys, targets = patient.outputs()[0], np.asarray(patient.targets)
    value, guess = patient.loss_of(ys), np.zeros_like(ys)
    if targets.dtype.kind in "iu":
        K = ys.shape[-1]
        name = f"equal odds for all {K} (log K = {np.log(K):.4g})"
    else:
        guess += targets.reshape(-1, targets.shape[-1]).mean(0) if targets.ndim > 1 else targets.mean()
        name = "answering with the mean target"
    base = patient.loss_of(guess)
    evidence = f"loss {value:.4g}; of {name} {base:.4g}"
    if not np.isfinite(value):
        yield found("loss_not_finite", "The loss is not finite.", evidence)
    elif value > 1.5 * base > 0:
        yield found(
            "loss_above_guessing", "The loss is well above that of a guess: the net is sure, and wrong.", evidence
        )
    elif value > 0.98 * base:
        says = "The loss is that of a guess: nothing has been learnt yet, or nothing can be."
        yield found("loss_of_guessing", says, evidence)
    else:
        yield found("loss_below_guessing", "The loss is below that of a guess.", evidence)


def _states(patient):
    """(steps, B, units): the state after each of the first steps, as one row of numbers."""
    state, rows = patient.state, []
    for t in range(min(patient.T, STEPS)):
        _, state = patient.outputs(patient.xs[t : t + 1], state=state)
        rows.append(_flat(patient, state))
    return np.stack(rows)


def _flat(patient, state):
    leaves = [] if state is None else [np.asarray(leaf, np.float64) for leaf in trees.flatten(state)[0]]
    if not leaves or any(leaf.shape[:1] != (patient.B,) for leaf in leaves):
        raise NeedsError("it would need a run that returns its state, arrays (B, H)")
    return np.concatenate([leaf.reshape(patient.B, -1) for leaf in leaves], axis=1)


def _jacobians(patient):
    """(H, H) each, of one sequence: row j is what a nudge of unit j before the step moves after it; all units asked in one batch."""
    state, places = patient.state, {int(t) for t in np.linspace(1, min(patient.T, STEPS) - 1, PLACES).round()}
    if patient.T < 2:
        raise NeedsError("it would need at least two steps")
    result = []
    for t in range(max(places) + 1):
        if t in places:
            result.append(_jacobian(patient, patient.xs[t : t + 1, :1], state))
        _, state = patient.outputs(patient.xs[t : t + 1], state=state)
        if t == 0:
            _flat(patient, state)
    return result


def _jacobian(patient, x, state):
    leaves, structure = trees.flatten(state)
    rows = [np.asarray(leaf)[:1] for leaf in leaves]
    sizes = [row.size for row in rows]
    H, step = sum(sizes), patient.step
    centre = np.concatenate([row.reshape(-1) for row in rows]).astype(np.float64)
    ends = []
    for sign in (1, -1):
        nudged = centre + sign * step * np.eye(H)  # (H, H): a sequence for each unit
        pieces = np.split(nudged, np.cumsum(sizes)[:-1], axis=1)
        given = [p.reshape(H, *row.shape[1:]).astype(row.dtype) for p, row in zip(pieces, rows, strict=True)]
        _, after = patient.outputs(np.repeat(x, H, axis=1), state=trees.unflatten(structure, given))
        leaves_after = [np.asarray(leaf, np.float64).reshape(H, -1) for leaf in trees.flatten(after)[0]]
        ends.append(np.concatenate(leaves_after, axis=1))
    return (ends[0] - ends[1]) / (2 * step)


def _radius_and_stretch(J):
    return float(np.abs(np.linalg.eigvals(J)).max()), float(np.linalg.svd(J, compute_uv=False)[0])
