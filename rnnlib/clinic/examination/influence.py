"""Who hears whom: which loss moves with the input weights of one step, and what a given gradient makes of it, side by side.

Two tricks take a black box apart. A loss is isolated by changing its target alone, twice asked and subtracted: all other losses cancel. A
step is isolated by its own row of the input weights: with one symbol for each step, row s of W_xh acts at step s and nowhere else.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from rnnlib.clinic.examination.advice import found
from rnnlib.clinic.examination.patient import NeedsError, Patient, require_patient
from rnnlib.clinic.examination.probes import probes, shifted_targets
from rnnlib.clinic.examination.report import Finding

LONGEST = 64  # steps that are looked at
LOSSES = 8  # losses that are looked at, spread over them


class Influence(NamedTuple):
    """What each loss hears of each step, by perturbation and by the given gradient; prints as a table of its squares."""

    losses: tuple[int, ...]  # the steps t of the losses that were looked at, counted from 1
    perturbed: (
        np.ndarray
    )  # (losses, T), the derivative of loss t along a direction in the input weights of step s, by differences
    given: np.ndarray  # (losses, T), the same by the given gradient
    blur: float  # what the differences can't tell from zero
    reach: str  # "full", "window of 5", "chunks of 10", "last 3 steps", "partial" or "wrong"

    @property
    def heard(self) -> np.ndarray:
        """(losses, T), whether the given gradient hears the step at all."""
        return np.abs(self.given) > 1e-6 * np.abs(self.given).max(initial=1e-300)

    @property
    def exists(self) -> np.ndarray:
        """(losses, T), whether there is something to hear."""
        return np.abs(self.perturbed) > self.blur

    @property
    def cosine(self) -> float:
        """Between the given and the true entries, all losses together: 1 for a right gradient."""
        scale = np.linalg.norm(self.perturbed) * np.linalg.norm(self.given)
        return float((self.perturbed * self.given).sum() / scale) if scale else 0.0

    @property
    def error(self) -> float:
        """The relative error of the given entries, |given − true| / |true|: 0 for a right gradient, 1 for none."""
        return float(np.linalg.norm(self.given - self.perturbed) / max(np.linalg.norm(self.perturbed), 1e-300))

    def __str__(self) -> str:
        """Draw each loss as a row: o heard, - not heard though it is there, x heard wrongly, and a blank where there is nothing."""
        right = np.abs(self.given - self.perturbed) <= 0.02 * np.abs(self.perturbed) + self.blur
        marks = np.where(self.heard, np.where(right, "o", "x"), np.where(self.exists, "-", " "))
        rows = [f"loss {t:>3}  {''.join(row)}" for t, row in zip(self.losses, marks, strict=True)]
        return "\n".join([f"{self.reach}; steps 1 to {self.given.shape[1]} from left to right", *rows])

    __repr__ = __str__


def influence(
    run: Callable, params: Any, xs: np.ndarray, targets: Any, *, loss: Callable, gradient: Callable, state: Any = None
) -> Influence:
    """Say which loss hears which step: dL_t/dθ_s by central differences, and what the given gradient makes of it.

    θ_s are the input weights as step s uses them, along one random direction; L_t is what the loss changes by when target t changes.

    Args:
        run: `run(params, xs, state) -> (ys, state)`, ys (T, B, K).
        params: a pytree of arrays; one of them is the input weights (D, ...) or (..., D), or the embedding of symbols.
        xs: (T, B, D), or symbols (T, B), for their shape and size alone: the net is asked with inputs of its own.
        targets: (T, B), symbols, or (T, B, K), numbers.
        loss: `loss(ys, targets)`, a number.
        gradient: `gradient(params, xs, targets, state)`, a pytree like params: the gradient in question.
        state: where to start; None for the net's own beginning.

    Returns:
        An `Influence`.

    Raises:
        ValueError: the input weights can't be found, or targets are not one a step.

    Example:
        >>> from rnnlib import bptt, losses
        >>> from rnnlib.cells import init_elman
        >>> rng = np.random.default_rng(0)
        >>> params, xs, targets = init_elman(8, 5, 3, rng=rng), rng.standard_normal((6, 2, 8)), rng.standard_normal((6, 2, 3))
        >>> def run(params, xs, state):
        ...     tape = bptt.forward(params, xs, state)
        ...     return tape.ys, tape.hs[-1]
        >>> def gradient(params, xs, targets, state):
        ...     tape = bptt.forward(params, xs, state)
        ...     return bptt.backward(params, tape, losses.squared_error_grad(tape.ys, targets), window=2)
        >>> influence(run, params, xs, targets, loss=losses.squared_error, gradient=gradient).reach
        'window of 2'

    Source: the two tricks are ours; a derivative by perturbation: Press et al. (2007), Numerical Recipes, section 5.7.
    """
    patient = Patient(run, params, np.asarray(xs), targets, loss, gradient, None, state, None)
    require_patient(patient)
    try:
        return traced(patient)
    except NeedsError as error:
        raise ValueError(f"influence: {error}.") from None


def traced(patient: Patient) -> Influence:
    """Trace a patient's gradient; see `influence`."""
    patient.need("loss", "gradient", "targets")
    T = min(patient.T, LONGEST)
    asked = probes(patient, T)
    shifted = shifted_targets(patient, T)
    losses = sorted({int(t) for t in np.linspace(1, T, min(T, LOSSES)).round()}) if len(shifted) > 2 else [T]
    shifted = {t: shifted[t] for t in (0, *losses)}
    perturbed, given, size = np.zeros((len(losses), T)), np.zeros((len(losses), T)), 0.0
    cached = {}
    for s, (name, xs, direction) in enumerate(asked):
        if name not in cached:
            cached = {name: {t: patient.gradient_of(xs, targets) for t, targets in shifted.items()}}
        along = {
            t: sum((g * d).sum() for g, d in zip(grads, direction, strict=True)) for t, grads in cached[name].items()
        }
        ends = [patient.outputs(xs, params=patient.moved(direction, step))[0] for step in (patient.step, -patient.step)]
        heard = [t for t in losses if t > s]  # what comes earlier is wiring's to see
        up, down = ({t: patient.loss_of(ys, shifted[t]) for t in (0, *heard)} for ys in ends)
        size = max(size, *map(abs, up.values()))
        for i, t in enumerate(losses):
            given[i, s] = along[t] - along[0]
            if t in heard:
                perturbed[i, s] = ((up[t] - up[0]) - (down[t] - down[0])) / (2 * patient.step)
    blur = (
        8 * float(np.finfo(patient.precision).eps) * size / patient.step + 1e-4 * patient.step * np.abs(perturbed).max()
    )
    return Influence(tuple(losses), perturbed, given, blur, _reach(losses, perturbed, given, blur))


def _reach(losses, perturbed, given, blur):
    """How far back the given gradient looks, in words."""
    heard = np.abs(given) > 1e-6 * np.abs(given).max(initial=1e-300)
    exists = np.abs(perturbed) > blur
    T, wrong = given.shape[1], np.abs(given - perturbed) > 0.05 * np.abs(perturbed) + 3 * blur
    if (wrong & heard).any():
        return "wrong"
    if not (exists & ~heard).any():
        return "full"
    first = [int(np.flatnonzero(row)[0]) + 1 if row.any() else None for row in heard]

    def fits(begins):
        """Whether heard begins where this truncation says, wherever that can be seen."""
        expected = np.array([[begins(t) <= s <= t for s in range(1, T + 1)] for t in losses])
        return not (expected & exists & ~heard).any() and not (~expected & heard).any()

    for k in range(1, T):
        if fits(lambda t, k=k: max(1, t - k + 1)):
            return f"window of {k}"
    for k in range(1, T):
        if fits(lambda t, k=k: (t - 1) // k * k + 1):
            return f"chunks of {k}"
    for k in range(1, T):
        if fits(lambda t, k=k: T - k + 1):
            return f"last {k} steps"
    return "partial" if any(first) else "wrong"


def who_hears_whom(patient: Patient) -> Iterator[Finding]:
    """Hold the given gradient against perturbation, square by square: a truncation shows itself, and its bias."""
    traces = traced(patient)
    losses, T = traces.given.shape
    evidence = f"over {losses} losses and {T} steps: cosine {traces.cosine:.4f}, relative error {traces.error:.2g}"
    if traces.reach == "full":
        yield found("hears_all", "The gradient hears every step that there is to hear.", evidence)
    elif traces.reach == "wrong":
        yield found("heard_wrong", "The gradient is wrong where it hears something.", evidence)
    else:
        yield found("truncated", f"The gradient is truncated: {traces.reach}.", evidence)
