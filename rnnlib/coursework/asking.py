"""How a Question calls a learner's function: all of it that stands beside a learner's answers, where there may be no JAX."""

import inspect
from collections.abc import Callable
from contextlib import nullcontext, suppress
from functools import partial
from typing import Any

import numpy as np

from rnnlib import bptt, losses
from rnnlib.cells import ElmanParams
from rnnlib.coursework.answers import Answer, attempt


def ask(id: str, function: Callable, inputs: dict[str, Any], *, seconds: float = 30.0) -> Answer:
    """Call a function as a Question does, on a copy of the inputs.

    Args:
        id: of the Question.
        function: the answer.
        inputs: by name.
        seconds: how long the call may take.

    Returns:
        The `Answer`.
    """
    call, as_jax = how(id)
    with _as_asked(as_jax):
        given = {name: _own(value, as_jax) for name, value in inputs.items()}
        return attempt(partial(call, function), given, seconds=seconds)


def how(id: str) -> tuple[Callable, bool]:
    """Tell how a Question calls a function, and whether the inputs are JAX arrays then.

    Args:
        id: of the Question.

    Returns:
        (function, inputs) ↦ what it returns; and True or False.
    """
    if id in IN_JAX:
        from rnnlib.coursework.problem_sets.calls import CALLS

        return CALLS[id], True
    return {"ps2/central_difference": with_its_loss}.get(id, by_name), False


IN_JAX = {
    *("ps4/change_net", "ps4/translated", "ps4/hoisted", "ps4/loss_with_cuts", "ps4/checkpointed_loss"),
    *("ps4/returns_and_back", "ps6/directional_curvature", "ps6/gauss_newton", "ps6/solve"),
}


def by_name(function: Callable, inputs: dict[str, Any]) -> Any:
    """Call a function with the inputs under their names.

    Args:
        function: the answer.
        inputs: by name.

    Returns:
        What it returns.

    Raises:
        TypeError: it takes other names; the message says which are needed.
    """
    with suppress(ValueError):  # not every callable tells its parameters
        try:
            inspect.signature(function).bind(**inputs)
        except TypeError as error:
            raise TypeError(f"your function must take {', '.join(inputs)}, under these names ({error})") from None
    return function(**inputs)


def with_its_loss(function: Callable, inputs: dict[str, Any]) -> Any:
    """Call with the loss of `inputs` as a function of the parameters, summed in float64 whatever these are."""
    xs, targets = (np.asarray(inputs[name], np.float64) for name in ("xs", "targets"))

    def loss(params):
        params = ElmanParams(*(np.asarray(p, np.float64) for p in params))
        return losses.squared_error(bptt.forward(params, xs).ys, targets)

    return function(loss, inputs["params"], inputs["direction"], inputs["step"])


def _as_asked(as_jax):
    """Let JAX keep inputs of float64 as they are, in whatever process: the judge's, the learner's."""
    if not as_jax:
        return nullcontext()
    import jax

    return jax.enable_x64(True)


def _own(value, as_jax):
    """A copy of arrays, and of tuples of arrays, for the function to do with as it likes."""
    if isinstance(value, tuple):
        parts = (_own(part, as_jax) for part in value)
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    if not isinstance(value, np.ndarray):
        return value
    if as_jax:
        import jax.numpy as jnp

        return jnp.asarray(value)
    return value.copy()
