"""What depends on what: change some inputs and see which outputs move."""

from collections.abc import Iterator

import numpy as np

from rnnlib.clinic.examination.advice import found
from rnnlib.clinic.examination.patient import NeedsError, Patient
from rnnlib.clinic.examination.report import Finding
from rnnlib.gradcheck import trees


def noise(patient: Patient) -> float:
    """Say how far the outputs of two runs on the same inputs are apart: 0 for a net that is a function."""
    first, second = patient.outputs()[0], patient.outputs()[0]
    same = (first == second) | (np.isnan(first) & np.isnan(second))
    return float(np.abs(np.where(same, 0, first) - np.where(same, 0, second)).max())


def repeated(patient: Patient) -> Iterator[Finding]:
    """Ask twice: outputs that differ are noise, or a state that is kept inside the net and never reset."""
    if not patient.noise:
        yield found("deterministic", "Two runs on the same inputs agree.", "largest difference 0")
        return
    evidence = f"outputs of two runs on the same inputs differ by up to {patient.noise:.2g}"
    if _after_others(patient) < patient.noise / 10:
        says = "The state is kept inside the net from one call to the next, and never reset."
        yield found("state_never_reset", says, evidence)
    else:
        yield found("not_deterministic", "Two runs on the same inputs differ.", evidence)


def _after_others(patient):
    """How far two runs are apart when the same other inputs went before each: nothing for a state that is kept, much for noise."""
    others, ys = patient.other_inputs(np.random.default_rng(0)), []
    for _ in range(2):
        for _ in range(3):
            patient.outputs(others)
        ys.append(patient.outputs()[0])
    return float(np.abs(ys[0] - ys[1]).max())


def time_and_batch(patient: Patient) -> Iterator[Finding]:
    """Change one sequence, and the first step of all: who moves tells which axis the net takes for time."""
    T, B = patient.T, patient.B
    ys = _every_step(patient)
    if min(T, B) < 2:
        raise NeedsError("it would need at least two steps and two sequences")
    others, one, first = patient.other_inputs(np.random.default_rng(1)), patient.xs.copy(), patient.xs.copy()
    one[:, 0], first[0] = others[:, 0], others[0]
    sequences, steps = _moved(patient, ys, one).any(0)[1:], _moved(patient, ys, first).any(1)[1:]
    evidence = f"changing sequence 1 moves {sequences.sum()} of {B - 1} others, changing step 1 {steps.sum()} of {T - 1} later steps"
    if not sequences.any():
        yield found("sequences_apart", "No sequence of the batch moves another.", evidence)
    elif steps.any():
        yield found("sequences_mix", "The sequences of a batch move each other.", evidence)
    else:
        says = "Time and batch are swapped: the net runs along the batch, and steps do not hear each other."
        yield found("time_and_batch_swapped", says, evidence)


def the_future(patient: Patient) -> Iterator[Finding]:
    """Change the second half: outputs of the first half must not move."""
    ys, half = _every_step(patient), patient.T // 2
    if half < 1:
        raise NeedsError("it would need at least two steps")
    changed = patient.xs.copy()
    changed[half:] = patient.other_inputs(np.random.default_rng(2))[half:]
    early = _moved(patient, ys, changed)[:half].any(1)
    if early.any():
        reach = half - int(np.flatnonzero(early)[0])
        evidence = f"changing the inputs from step {half + 1} on moves the outputs of up to {reach} earlier steps"
        yield found("future_leaks", "The future leaks: outputs hear inputs that come later.", evidence)
    else:
        evidence = f"outputs of steps 1 to {half} stay as later inputs change"
        yield found("causal", "No output hears a later input.", evidence)


def carried_state(patient: Patient) -> Iterator[Finding]:
    """Run in two halves: with the state handed on it must be as good as in one."""
    whole, half = _every_step(patient), patient.T // 2
    if half < 1:
        raise NeedsError("it would need at least two steps")
    _, middle = patient.outputs(patient.xs[:half])
    if middle is None or not trees.flatten(middle)[0]:
        raise NeedsError("it would need a run that returns the state after its last step")
    second, _ = patient.outputs(patient.xs[half:], state=middle)
    apart = np.abs(second - whole[half:]).max()
    if apart <= _tolerance(patient, whole):
        evidence = f"two halves, the state handed on, agree with one run to {apart:.1g}"
        yield found("state_carried", "A state that is handed on is taken up.", evidence)
        return
    leaves, structure = trees.flatten(middle)
    other = trees.unflatten(structure, [(np.asarray(leaf) + 1).astype(np.asarray(leaf).dtype) for leaf in leaves])
    moved = np.abs(patient.outputs(patient.xs[half:], state=other)[0] - second).max()
    evidence = f"the second half differs from one run by up to {apart:.2g}; another state moves it by {moved:.2g}"
    if moved <= _tolerance(patient, whole):
        says = "The state is not carried: the net begins anew whatever state it is given."
        yield found("state_not_carried", says, evidence)
    else:
        yield found("state_returned_wrong", "What is returned as state is not what the next step needs.", evidence)


def padding(patient: Patient) -> Iterator[Finding]:
    """Change the inputs of masked steps, then make them NaN: nothing that counts may move."""
    patient.need("mask")
    counts = np.asarray(patient.mask).astype(bool)
    if counts.all():
        raise NeedsError("it would need a mask with masked steps")
    ys, state = patient.outputs()
    changed = patient.xs.copy()
    changed[~counts] = patient.other_inputs(np.random.default_rng(3))[~counts]
    leaks = _leaks(patient, ys, state, changed, counts)
    if leaks:
        yield found("padding_leaks", "Padded steps leak: what stands in them matters.", "; ".join(leaks))
    else:
        seen = "outputs, state" + (", loss" if patient.loss else "") + (", gradient" if patient.gradient else "")
        yield found("padding_ignored", "What stands in padded steps does not matter.", f"unmoved: {seen}")
    if not patient.symbolic:
        yield from _nan_in_padding(patient, counts)


def _leaks(patient, ys, state, changed, counts):
    """What moves when padding changes, in words."""
    others, after = patient.outputs(changed)
    tolerance, leaks = _tolerance(patient, ys), []
    if ys.shape[:2] == counts.shape and np.abs(others - ys)[counts].max() > tolerance:
        leaks.append(f"outputs of steps that count move by {np.abs(others - ys)[counts].max():.2g}")
    ends = [np.asarray(leaf, float) for leaf in trees.flatten(state)[0]]
    moved = [
        np.abs(np.asarray(leaf, float) - end).max() for leaf, end in zip(trees.flatten(after)[0], ends, strict=True)
    ]
    if moved and max(moved) > tolerance:
        leaks.append(f"the last state moves by {max(moved):.2g}")
    if patient.loss:
        by = abs(patient.loss_of(others) - patient.loss_of(ys))
        if by > patient.blur * abs(patient.loss_of(ys)) + patient.noise:
            leaks.append(f"the loss moves by {by:.2g}")
    if patient.gradient:
        pairs = zip(patient.gradient_of(changed), patient.gradient_of(), strict=True)
        by = max((np.abs(a - b).max() / (np.abs(b).max() + 1e-30) for a, b in pairs), default=0)
        if by > 100 * patient.blur and not patient.noise:
            leaks.append(f"the gradient moves by {by:.0%}")
    return leaks


def _nan_in_padding(patient, counts):
    broken = patient.xs.copy()
    broken[~counts] = np.nan
    with np.errstate(all="ignore"):
        ys, state = patient.outputs(broken)
        spoilt = []
        if ys.shape[:2] == counts.shape and not np.isfinite(ys[counts]).all():
            spoilt.append("outputs that count")
        if not all(np.isfinite(leaf).all() for leaf in trees.flatten(state)[0]):
            spoilt.append("the last state")
        if patient.loss and not np.isfinite(patient.loss_of(ys)):
            spoilt.append("the loss")
        if patient.gradient and not all(np.isfinite(g).all() for g in patient.gradient_of(broken)):
            spoilt.append("the gradient")
    if spoilt:
        says = "A NaN in a padded step spreads, though its weight is zero."
        yield found("padding_nan", says, f"NaN in {', '.join(spoilt)}")


def shifted_targets(patient: Patient) -> Iterator[Finding]:
    """Is the answer in the input already?"""
    patient.need("targets")
    xs, targets = _as_symbols(patient)
    share = {lag: _agreement(xs, targets, lag) for lag in (-1, 0, 1)}
    evidence = ", ".join(f"{share[lag]:.0%} {_LAGS[lag]}" for lag in (0, -1, 1)) + " (of targets)"
    if share[0] > 0.99 > share[1]:
        says = "The targets are the inputs of the same step: the answer is in the input."
        yield found("targets_not_shifted", says, evidence)
    elif share[-1] > 0.99 > share[1]:
        says = "The targets are the inputs of the step before: shifted the wrong way."
        yield found("targets_shifted_back", says, evidence)
    else:
        yield found("targets_ahead", "The answer does not stand in the input of its own step.", evidence)


_LAGS = {0: "are the input of the same step", -1: "that of the step before", 1: "that of the step after"}


def _agreement(xs, targets, lag):
    """Which share of the targets are the inputs `lag` steps later."""
    T = len(xs)
    near = slice(max(0, -lag), T - max(0, lag))
    ahead = slice(max(0, lag), T - max(0, -lag))
    return float(np.isclose(targets[near], xs[ahead]).mean()) if abs(lag) < T else 0.0


def _as_symbols(patient):
    """Inputs and targets as arrays that can be compared: symbols, where the inputs are one-hot vectors or symbols."""
    targets, xs = np.asarray(patient.targets), patient.xs
    if not patient.symbolic and targets.shape == xs.shape[:2] and targets.dtype.kind in "iu":
        if not (np.isin(xs, (0, 1)).all() and (xs.sum(-1) == 1).all()):
            raise NeedsError("it would need inputs that are symbols, one-hot, or of the same kind as the targets")
        xs = xs.argmax(-1)
    if targets.shape != xs.shape:
        raise NeedsError("it would need targets of the same kind as the inputs")
    return xs, targets


def _every_step(patient):
    """The outputs, if there are some at every step of every sequence."""
    ys, _ = patient.outputs()
    if ys.shape[:2] != (patient.T, patient.B):
        swapped = ", but got them batch first" if ys.shape[:2] == (patient.B, patient.T) else f", got {ys.shape}"
        raise NeedsError(f"it would need outputs (T, B, ...) = ({patient.T}, {patient.B}, ...) at every step{swapped}")
    return ys


def _tolerance(patient, ys):
    return patient.blur * float(np.abs(ys).max()) + 3 * patient.noise


def _moved(patient, ys, xs):
    """(T, B), whose outputs move when the inputs are these."""
    apart = np.abs(patient.outputs(xs)[0] - ys).reshape(*ys.shape[:2], -1).max(-1)
    return apart > _tolerance(patient, ys)
