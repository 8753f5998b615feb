"""The error on its way back through time, step by step."""

import numpy as np

from rnnlib import bptt
from rnnlib.cells import init_elman
from rnnlib.figures.widgets.explorable import Explorable, script
from rnnlib.validation import require_size


class ErrorFlow(Explorable):
    """The error on its way back through time, step by step."""

    _esm = script("error_flow")


def error_flow(T: int = 12, H: int = 6, *, seed: int = 0) -> ErrorFlow:
    """Step back through time: see δ_t appear, what it is made of, and dW_hh grow by one term a step.

    Args:
        T: time steps.
        H: hidden units.
        seed: of the random net, inputs and errors.

    Returns:
        The explorable, for three gains of the recurrent weights, with a loss at every step or at the last alone.

    Raises:
        ValueError: T or H below 1.
        TypeError: T or H that is not whole.

    Example:
        >>> list(error_flow(T=3, H=2).data["runs"])
        ['gain 0.5', 'gain 1', 'gain 2']

    Source: Werbos (1990), Backpropagation through time, section III.
    """
    for letter, size in {"T": T, "H": H}.items():
        require_size("error_flow", letter, size)
    runs = {}
    for gain in (0.5, 1, 2):
        rng = np.random.default_rng(seed)
        params = init_elman(3, H, 2, rng=rng)
        params = params._replace(W_hh=gain * params.W_hh, h0=rng.standard_normal(H) / 2)
        tape = bptt.forward(params, 0.3 * rng.standard_normal((T, 1, 3)))
        every = rng.standard_normal(tape.ys.shape)
        last = np.where(np.arange(T)[:, None, None] == T - 1, every, 0)
        losses = {"at every step": every, "at the last step": last}
        runs[f"gain {gain:g}"] = {name: _error_trace(params, tape, d_ys) for name, d_ys in losses.items()}
    alt = (
        "Above, the error at each hidden unit, a column a step, filling up from the last step to the first; below, how much of it is the "
        "step's own and how much was carried back; right, the gradient of W_hh growing term by term. Move the slider to step back."
    )
    return ErrorFlow(data={"T": T, "H": H, "runs": runs}, alt=alt)


def _error_trace(params, tape, d_ys):
    """One sequence: the states, δ at every step, and the lengths of its two parts before the slope of tanh."""
    d_as = bptt.deltas(params, tape, d_ys)[:, 0]
    carried = np.concatenate([d_as[1:] @ params.W_hh.T, np.zeros((1, len(params.h0)))])
    return {
        "hs": tape.hs[:, 0].tolist(),
        "deltas": d_as.tolist(),
        "own": np.linalg.norm(d_ys[:, 0] @ params.W_hy.T, axis=1).tolist(),
        "carried": np.linalg.norm(carried, axis=1).tolist(),
        "d_h0": (d_as[0] @ params.W_hh.T).tolist(),
    }
