"""The findings that an examination can have: how grave each is, what to do, and where the course explains it."""

from typing import NamedTuple

from rnnlib.clinic.examination.report import Finding


class Advice(NamedTuple):
    """What is known of a finding before anything is measured."""

    severity: str  # "fault", "warning" or "fine"
    todo: str = ""  # what to do
    chapter: str = ""  # where it is explained


_FORWARD, _BACKWARD = "chapter 02, forward", "chapter 03, backward"
_CHECKING, _VANISHING = "chapter 04, gradient checking", "chapter 05, vanishing and exploding gradients"
_TRUNCATION, _SCAN, _RAGGED = "chapter 06, truncation", "chapter 07, scan", "chapter 09, ragged sequences"

ADVICE = {
    # --- the net as it stands
    "finite": Advice("fine"),
    "parameters_not_finite": Advice(
        "fault",
        "Go back to the last good ones; then a smaller learning rate, or clipping by the global norm.",
        _VANISHING,
    ),
    "inputs_not_finite": Advice("fault", "Clean the data; where a value is missing use a mask, and zero.", _RAGGED),
    "outputs_not_finite": Advice(
        "fault",
        "A smaller recurrent gain, an orthogonal start, a unit that saturates; exp and log in their stable forms.",
        _VANISHING,
    ),
    "gradient_not_finite": Advice(
        "fault",
        "Look for sqrt, log, a norm or a division at 0, and for where(mask, ...) behind what makes the NaN.",
        _RAGGED,
    ),
    "units_alive": Advice("fine"),
    "units_dead": Advice("warning", "No input reaches them: a smaller learning rate, another start.", _VANISHING),
    "state_constant": Advice(
        "fault", "The state is not updated, or every unit is dead: look at the line that makes it.", _FORWARD
    ),
    "units_saturated": Advice(
        "warning", "Standardise the inputs, start with smaller input weights, lower the recurrent gain.", _VANISHING
    ),
    "jacobians": Advice("fine"),
    "jacobians_shrink": Advice("warning", "An orthogonal start, a larger gain; for an LSTM a forget bias.", _VANISHING),
    "jacobians_stretch": Advice("warning", "A smaller gain, an orthogonal start; clip the global norm.", _VANISHING),
    "loss_below_guessing": Advice("fine"),
    "loss_of_guessing": Advice(
        "warning", "Right before training. After it: see the gradient, the targets, and learning by heart.", _FORWARD
    ),
    "loss_above_guessing": Advice(
        "warning",
        "At the start: a smaller readout, standardised targets. After training: a smaller learning rate.",
        _FORWARD,
    ),
    "loss_not_finite": Advice("fault", "Look for log(0) in the loss, and for targets outside the classes.", _FORWARD),
    # --- what depends on what
    "deterministic": Advice("fine"),
    "not_deterministic": Advice(
        "warning",
        "Switch dropout and other noise off before gradients are compared; all below is seen through it.",
        _CHECKING,
    ),
    "state_never_reset": Advice(
        "fault",
        "Take the state as an argument and return it; begin each new sequence from the first state.",
        _TRUNCATION,
    ),
    "sequences_apart": Advice("fine"),
    "time_and_batch_swapped": Advice(
        "fault", "Give it time where it looks for time: np.swapaxes(xs, 0, 1), or batch_first.", _FORWARD
    ),
    "sequences_mix": Advice(
        "fault", "Look for a norm or a mean over the batch, and for a reshape where a transposition is due.", _FORWARD
    ),
    "causal": Advice("fine"),
    "future_leaks": Advice(
        "fault",
        "Right for a tagger that reads both ways. For prediction look for a reversed scan, or a norm over time.",
        _SCAN,
    ),
    "state_carried": Advice("fine"),
    "state_not_carried": Advice(
        "fault", "Start from the argument `state`; from the first state only where that is None.", _TRUNCATION
    ),
    "state_returned_wrong": Advice(
        "fault", "Return what the last step left behind, all of it: h and c of an LSTM, of every layer.", _TRUNCATION
    ),
    "padding_ignored": Advice("fine"),
    "padding_leaks": Advice(
        "fault", "Freeze the state where the mask is 0, and give these steps no weight in the loss.", _RAGGED
    ),
    "padding_nan": Advice(
        "warning", "Choose with where(mask, x, 0) before anything is computed; 0 · NaN is NaN.", _RAGGED
    ),
    "targets_ahead": Advice("fine"),
    "targets_not_shifted": Advice(
        "fault", "Right for a net that is to copy. To predict what comes next: inputs x[:-1], targets x[1:].", _BACKWARD
    ),
    "targets_shifted_back": Advice("fault", "To predict what comes next: inputs x[:-1], targets x[1:].", _BACKWARD),
    # --- memory
    "memory": Advice("fine"),
    "memory_none": Advice(
        "warning", "Is the state used? If so: a larger gain, an orthogonal start, a gated cell.", _VANISHING
    ),
    "memory_short": Advice(
        "warning",
        "Where the answer lies far back: an orthogonal start, an LSTM with a forget bias, Hessian-free training.",
        _VANISHING,
    ),
    "memory_explodes": Advice("warning", "A smaller gain or an orthogonal start; clip the global norm.", _VANISHING),
    "window_enough": Advice(
        "fine", "Measure again as training goes on: a net that learns to remember asks for more.", _TRUNCATION
    ),
    "window_too_short": Advice("warning", "Go back through the whole sequence, if it can be paid.", _TRUNCATION),
    # --- gradients and training
    "gradient_right": Advice("fine"),
    "gradient_scaled": Advice(
        "warning", "A sum where the loss is a mean, or the other way round; or clipping.", _CHECKING
    ),
    "gradient_uphill": Advice(
        "fault", "Turn the sign round, in the error or in the update, but in one of them only.", _CHECKING
    ),
    "gradient_differs": Advice(
        "warning",
        "If it is truncated, that is why. Else compare it parameter by parameter, or X-ray the backward pass.",
        _CHECKING,
    ),
    "hears_all": Advice("fine"),
    "truncated": Advice(
        "warning",
        "Is that meant? Look for detach(), stop_gradient, truncate_gradient, an update inside the loop.",
        _TRUNCATION,
    ),
    "heard_wrong": Advice(
        "fault", "Feed the backward pass to clinic.xray, or compare it parameter by parameter.", _CHECKING
    ),
    "parameters_move": Advice("fine"),
    "parameters_still": Advice(
        "warning",
        "Handed to the optimiser? Used in the forward pass? Not cut off? (A first state may be meant to stay.)",
        _CHECKING,
    ),
    "no_clip_binds": Advice("fine"),
    "clipping_binds": Advice(
        "warning", "Raise the threshold to what the norm usually is, or mend what makes it large.", _VANISHING
    ),
    "clipping_by_value_binds": Advice("warning", "It turns the gradient: clip by the global norm instead.", _VANISHING),
    "update_size": Advice("fine"),
    "update_too_large": Advice(
        "warning", "A learning rate ten to a hundred times smaller; clip the global norm.", _VANISHING
    ),
    "update_too_small": Advice(
        "warning", "A larger learning rate. Is something divided by steps or sequences twice?", _RAGGED
    ),
    "learns_by_heart": Advice("fine"),
    "cannot_learn_by_heart": Advice(
        "fault", "The data are not to blame: check the gradient, the sign of the update, the learning rate.", _CHECKING
    ),
    "runs_away": Advice("fault", "A smaller learning rate; clip the global norm.", _VANISHING),
}


def found(name: str, says: str, evidence: str) -> Finding:
    """Make a finding of what was measured and what is known."""
    severity, todo, chapter = ADVICE[name]
    return Finding(name, severity, says, evidence, todo, chapter)
