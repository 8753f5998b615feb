"""How it learns: the gradient against differences, still parameters, the size of updates, clipping, one batch by heart."""

from collections.abc import Iterator

import numpy as np

from rnnlib.clinic.examination.advice import found
from rnnlib.clinic.examination.patient import NeedsError, Patient
from rnnlib.clinic.examination.report import Finding
from rnnlib.gradcheck import trees

UPDATES = 200  # to learn one batch by heart
DIRECTIONS = 5


def gradient(patient: Patient) -> Iterator[Finding]:
    """Hold the gradient against differences along random directions: g · v against (L(θ + εv) − L(θ − εv)) / 2ε."""
    patient.need("loss", "gradient", "targets")
    rng, grads, step = np.random.default_rng(0), patient.gradient_of(), patient.step
    given, true = [], []
    for _ in range(DIRECTIONS):
        v = [rng.standard_normal(leaf.shape) * (np.abs(leaf).mean() or 0.1) for leaf in patient.leaves]
        ends = [patient.loss_of(patient.outputs(params=patient.moved(v, s))[0]) for s in (step, -step)]
        true.append((ends[0] - ends[1]) / (2 * step))
        given.append(sum((g * d).sum() for g, d in zip(grads, v, strict=True)))
    given, true = np.array(given), np.array(true)
    size = max(np.abs(true).max(), 1e-30)
    error, ratio = float(np.abs(given - true).max() / size), float((given @ true) / (true @ true + 1e-300))
    evidence = f"along {DIRECTIONS} random directions: relative error {error:.1e}, given / true {ratio:.3g}"
    limit = 1e-4 if patient.precision is np.float64 else 3e-2
    if error < limit:
        yield found("gradient_right", "The gradient is that of the loss.", evidence)
    elif np.abs(given - ratio * true).max() > limit * max(np.abs(given).max(), 1e-30) or abs(ratio) < 1e-6:
        yield found("gradient_differs", "The gradient is not that of the loss.", evidence)
    elif ratio > 0:
        yield found("gradient_scaled", f"The gradient is {ratio:.4g} times that of the loss.", evidence)
    else:
        yield found("gradient_uphill", f"The gradient is {ratio:.4g} times that of the loss: it climbs.", evidence)


def still(patient: Patient) -> Iterator[Finding]:
    """Which parameters get no gradient, or are never changed by an update?"""
    if patient.gradient is None and patient.update is None:
        raise NeedsError("it would need gradient= or update=")
    frozen, evidence = set(), []
    if patient.gradient:
        zero = [n for n, g in zip(patient.names, patient.gradient_of(), strict=True) if not g.any()]
        frozen |= set(zero)
        evidence.append(f"gradient all zero: {', '.join(zero) or 'none'}")
    if patient.update:
        after = [np.asarray(leaf) for leaf in trees.flatten(_updated(patient, patient.params))[0]]
        same = [n for n, a, b in zip(patient.names, after, patient.leaves, strict=True) if np.array_equal(a, b)]
        frozen |= set(same)
        evidence.append(f"unmoved by an update: {', '.join(same) or 'none'}")
    if frozen:
        says = f"Never moved: {', '.join(n for n in patient.names if n in frozen)}."
        yield found("parameters_still", says, "; ".join(evidence))
    else:
        yield found("parameters_move", "Every parameter is moved.", "; ".join(evidence))


def update_size(patient: Patient) -> Iterator[Finding]:
    """Hold the size of one update against that of the weights: about a thousandth is usual."""
    patient.need("update", "targets")
    after = [np.asarray(leaf, np.float64) for leaf in trees.flatten(_updated(patient, patient.params))[0]]
    ratios = {
        name: float(np.linalg.norm(a - b) / np.linalg.norm(b))
        for name, a, b in zip(patient.names, after, patient.leaves, strict=True)
        if b.ndim > 1 and np.linalg.norm(b)
    }
    if not ratios:
        raise NeedsError("it would need weights that are not zero")
    largest, smallest = max(ratios.values()), min(ratios.values())
    evidence = ", ".join(f"{name} {ratio:.1e}" for name, ratio in ratios.items()) + " (|update| / |weights|)"
    if not np.isfinite(largest) or largest > 0.1:
        says = f"One update changes weights by {largest:.0%} of their size: too much to follow the slope."
        yield found("update_too_large", says, evidence)
    elif largest < 1e-6:
        says = f"One update changes weights by {largest:.0e} of their size: they will hardly move."
        yield found("update_too_small", says, evidence)
    else:
        yield found("update_size", f"One update is {smallest:.0e} to {largest:.0e} of the weights.", evidence)


def clipping(patient: Patient) -> Iterator[Finding]:
    """Ask for the gradient of several inputs: one norm for all, or many entries at one bound, is a clip that binds."""
    patient.need("gradient", "targets")
    rng = np.random.default_rng(0)
    asked = [patient.xs, *(patient.other_inputs(rng) for _ in range(5))]
    grads = [np.concatenate([g.ravel() for g in patient.gradient_of(xs)]) for xs in asked]
    norms, tops = np.array([np.linalg.norm(g) for g in grads]), np.array([np.abs(g).max() for g in grads])
    at_top = np.mean([(np.abs(np.abs(g) - top) <= 1e-6 * top).sum() for g, top in zip(grads, tops, strict=True)])
    evidence = f"norms {', '.join(f'{n:.4g}' for n in norms)}; largest entries {', '.join(f'{t:.3g}' for t in tops)}"
    if norms.min() > 0 and np.ptp(norms) < 1e-4 * norms.max():
        says = f"Clipping always binds: the gradient's norm is {norms[0]:.4g} whatever the input."
        yield found("clipping_binds", says, evidence)
    elif np.ptp(tops) < 1e-6 * tops.max() and at_top >= 3:
        says = f"Clipping by value binds: on average {at_top:.0f} entries stand at ±{tops[0]:.4g}."
        yield found("clipping_by_value_binds", says, evidence)
    else:
        yield found("no_clip_binds", "No clip binds on these inputs.", evidence)


def by_heart(patient: Patient) -> Iterator[Finding]:
    """Can it learn this one batch? Two hundred updates on it, from the parameters given."""
    patient.need("update", "loss", "targets")
    params, before = patient.params, patient.loss_of(patient.outputs()[0])
    losses = [before]
    for made in range(1, UPDATES + 1):
        params = _updated(patient, params)
        if made % 20 == 0:
            losses.append(patient.loss_of(patient.outputs(params=params)[0]))
            if not np.isfinite(losses[-1]) or losses[-1] < 0.05 * before:
                break
    evidence = f"loss {before:.4g}, then after each 20 updates: {', '.join(f'{value:.3g}' for value in losses[1:])}"
    if not np.isfinite(losses[-1]):
        yield found("runs_away", "Training on this one batch runs away.", evidence)
    elif min(losses[1:]) > 0.95 * before:
        says = f"It cannot learn one batch by heart: {UPDATES} updates leave the loss where it was."
        yield found("cannot_learn_by_heart", says, evidence)
    else:
        yield found("learns_by_heart", "It can learn this one batch by heart, or is on the way.", evidence)


def _updated(patient, params):
    return patient.update(params, patient.xs.copy(), patient.targets)
