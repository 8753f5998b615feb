"""A network that does not train: examine it as a black box, finding by finding.

patient      the caller's functions, asked with arrays and answered in NumPy
report       what is found: name, severity, evidence, what to do
wiring       what depends on what: time, batch, the future, padding, the carried state, targets
influence    which loss hears which step, by perturbation and by the given gradient
memory       the gradient by lag, its half-life, the bias of each window
health       finite, dead or saturated units, Jacobians, the first loss
learning     the gradient against differences, still parameters, updates, clipping, one batch by heart
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from rnnlib.clinic.examination import health, learning, memory, wiring
from rnnlib.clinic.examination.influence import Influence, influence, who_hears_whom
from rnnlib.clinic.examination.patient import NeedsError, Patient, require_patient
from rnnlib.clinic.examination.report import Examination, Finding

__all__ = ["Examination", "Finding", "Influence", "examine", "influence"]

_CHECKS = (
    wiring.repeated,
    wiring.time_and_batch,
    wiring.the_future,
    wiring.carried_state,
    wiring.padding,
    wiring.shifted_targets,
    health.first_loss,
    health.units,
    health.jacobians,
    memory.memory,
    learning.gradient,
    who_hears_whom,
    memory.window_wanted,
    learning.still,
    learning.clipping,
    learning.update_size,
    learning.by_heart,
)


def examine(
    run: Callable,
    params: Any,
    xs: np.ndarray,
    targets: Any = None,
    *,
    loss: Callable | None = None,
    gradient: Callable | None = None,
    update: Callable | None = None,
    state: Any = None,
    mask: np.ndarray | None = None,
) -> Examination:
    """Examine a net that does not train, from outside: change inputs, states and parameters, and see what moves.

    Nothing is known of the net but these functions. Each check is measured; what can't be checked with what was given says what it
    would need. The caller's arrays are not changed.

    Args:
        run: `run(params, xs, state) -> (ys, state)`, outputs (T, B, K) and the state after the last step, arrays (B, H) or a pytree of
            such; state None starts where the net starts. Of any library, if NumPy can read what it returns: see `clinic.adapters`.
        params: a pytree of arrays.
        xs: (T, B, D), inputs, time first; or symbols (T, B), integers.
        targets: (T, B) symbols, (T, B, K) numbers, or one a sequence, (B, ...).
        loss: `loss(ys, targets)`, a number.
        gradient: `gradient(params, xs, targets, state)`, a pytree like params: what the training uses, clipped and truncated as it is.
        update: `update(params, xs, targets) -> params`, one step of the training.
        state: where to start; None for the net's own beginning.
        mask: (T, B), 1 where a step counts; `run`, `loss` and `gradient` are expected to know it themselves.

    Returns:
        An `Examination`, one `Finding` or more a check. Its `faults` and `warnings` are names.

    Raises:
        TypeError: a run that can't be called, inputs that are no array.
        ValueError: inputs without time and batch, a mask of another shape.

    Example:
        >>> from rnnlib import bptt
        >>> from rnnlib.cells import init_elman
        >>> rng = np.random.default_rng(0)
        >>> def run(params, xs, state):
        ...     tape = bptt.forward(params, xs[::-1].copy(), state)  # reads backwards
        ...     return tape.ys[::-1], tape.hs[-1]
        >>> examine(run, init_elman(3, 8, 2, rng=rng), rng.standard_normal((10, 4, 3))).faults
        ('future_leaks', 'state_returned_wrong')

    Source: what to look at, and in which order: Goodfellow, Bengio, Courville (2016), Deep Learning, section 11.5.
    """
    from tqdm.auto import tqdm

    patient = Patient(run, params, np.asarray(xs), targets, loss, gradient, update, state, mask)
    require_patient(patient)
    with np.errstate(all="ignore"):
        findings = _made(health.finite, patient)
        if findings[0].severity == "fault":  # nothing else can be measured
            return Examination(tuple(findings))
        patient = patient._replace(noise=wiring.noise(patient))
        for check in tqdm(_CHECKS, desc="examination", leave=False):
            findings += _made(check, patient)
    return Examination(tuple(findings))


def _made(check, patient):
    """The findings of one check; one that can't be made, or fails, is a finding too."""
    name = check.__name__
    try:
        return list(check(patient))
    except NeedsError as error:
        return [Finding(name, "open", "Not examined.", f"{error}")]
    except Exception as error:  # the caller's functions may fail in any way on inputs that are not theirs
        said = str(error).strip().splitlines() or [""]
        return [
            Finding(
                name,
                "open",
                "Not examined: one of the functions given failed.",
                f"{type(error).__name__}: {said[0][:200]}",
            )
        ]
