"""How a Question calls a learner's function: all of it that stands beside a learner's answers, where there may be no JAX.

Some Questions ask for a program of JAX's (`PROGRAMS`). For these a call is in two halves: `make` is where the learner's code is, and sees
no numbers; `measure` is where it is not.
"""

import inspect
from collections.abc import Callable
from contextlib import nullcontext, suppress
from functools import partial
from typing import Any

import numpy as np

from rnnlib import bptt, losses
from rnnlib.cells import ElmanParams
from rnnlib.coursework.answers import Answer, attempt

PROGRAMS = {
    *("ps4/change_net", "ps4/translated", "ps4/hoisted", "ps4/checkpointed_loss", "ps4/returns_and_back"),
    "ps4/scan_with_resets",
}
IN_JAX = {"ps4/loss_with_cuts", "ps6/directional_curvature", "ps6/gauss_newton", "ps6/solve"}


def ask(id: str, function: Callable, inputs: dict[str, Any], *, seconds: float = 30.0) -> Answer:
    """Call a learner's function as a Question does, on a copy of the inputs.

    Args:
        id: of the Question.
        function: the answer.
        inputs: by name.
        seconds: how long the call may take.

    Returns:
        The `Answer`.

    Example:
        >>> ask("ps1/step", lambda **inputs: 2 * inputs["x"], {"x": np.ones(2)}).value
        array([2., 2.])
    """
    if id in PROGRAMS:
        from rnnlib.coursework.problem_sets.forms import measured
        from rnnlib.coursework.problem_sets.programs import made

        return _attempted(lambda given: measured(id, made(id, function, given), given), inputs, True, seconds)
    return _attempted(partial(_call(id), function), inputs, in_jax(id), seconds)


def make(id: str, function: Callable, inputs: dict[str, Any], *, seconds: float) -> Answer:
    """Make the program that a Question asks for, of inputs whose numbers don't matter.

    Args:
        id: of the Question, one of `PROGRAMS`.
        function: the answer.
        inputs: by name, such as `blank` gives.
        seconds: how long it may take.

    Returns:
        The `Answer`; its value holds the bytes of the parts.
    """
    from rnnlib.coursework.problem_sets.programs import made

    def parts(given):
        return tuple(np.frombuffer(part.serialize(), np.uint8) for part in made(id, function, given))

    return _attempted(parts, inputs, True, seconds)


def measure(id: str, parts: Any, inputs: dict[str, Any], *, seconds: float) -> Answer:
    """Look at a program, and run it on inputs.

    Args:
        id: of the Question.
        parts: what `make` answered, from a process that is not trusted.
        inputs: by name.
        seconds: how long it may take.

    Returns:
        The `Answer`.
    """
    from jax.export import deserialize

    from rnnlib.coursework.problem_sets.forms import measured

    def run(given):
        return measured(id, [deserialize(bytearray(np.asarray(part, np.uint8))) for part in parts], given)

    return _attempted(run, inputs, True, seconds)


def own(id: str, function: Callable, inputs: dict[str, Any], *, seconds: float = 30.0) -> Answer:
    """Call a reference, or a mistake, of ours: it gives the names itself, and nothing is measured of it.

    Args:
        id: of the Question.
        function: ours.
        inputs: by name.
        seconds: how long it may take.

    Returns:
        The `Answer`.
    """
    if id.startswith("ps6/") and in_jax(id):
        from rnnlib.coursework.problem_sets.calls import HANDED

        return _attempted(lambda given: function(*HANDED[id](given)), inputs, True, seconds)
    return _attempted(partial(_call(id, ours=True), function), inputs, False, seconds)


def blank(inputs: dict[str, Any]) -> dict[str, Any]:
    """Give inputs of the same shapes, types and plain numbers, whose arrays hold nothing.

    Args:
        inputs: by name.

    Returns:
        Zeros by name.

    Example:
        >>> blank({"xs": np.ones(2), "chunk": 3})
        {'xs': array([0., 0.]), 'chunk': 3}
    """
    return {name: _each(np.zeros_like, value) for name, value in inputs.items()}


def in_jax(id: str) -> bool:
    """Tell whether a Question hands a learner's function JAX arrays.

    Args:
        id: of the Question.

    Returns:
        True or False.

    Example:
        >>> in_jax("ps4/hoisted"), in_jax("ps2/deltas")
        (True, False)
    """
    return id in PROGRAMS | IN_JAX


def is_by_name(id: str) -> bool:
    """Tell whether a Question calls a learner's function with its inputs by their names, and nothing more.

    Args:
        id: of the Question.

    Returns:
        True or False.
    """
    return not in_jax(id) and _call(id) is by_name


def _call(id, ours=False):
    if id in IN_JAX and not ours:
        from rnnlib.coursework.problem_sets.calls import CALLS

        return CALLS[id]
    return with_its_loss if id == "ps2/central_difference" else by_name


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


def _attempted(call, inputs, as_jax, seconds):
    """A call on a copy of the inputs, for the function to do with as it likes."""
    with _as_asked(as_jax):
        given = {name: _each(_as_array(as_jax), value) for name, value in inputs.items()}
        return attempt(call, given, seconds=seconds)


def _as_asked(as_jax):
    """Let JAX keep inputs of float64 as they are, in whatever process: the judge's, the learner's."""
    if not as_jax:
        return nullcontext()
    import jax

    return jax.enable_x64(True)


def _as_array(as_jax):
    if not as_jax:
        return np.copy
    import jax.numpy as jnp

    return jnp.asarray


def _each(function, value):
    """The same of every array in tuples."""
    if isinstance(value, tuple):
        parts = [_each(function, part) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    return function(value) if isinstance(value, np.ndarray) else value
