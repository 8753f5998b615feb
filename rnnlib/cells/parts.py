"""The parts of a step put together, for any cell."""

from typing import Any

from jaxtyping import Float


def step(params: Any, x: Float[Any, "*batch D"], state: Any) -> tuple[Float[Any, "*batch K"], Any]:
    """Take one step of any cell: s' from advance(drive(x) + recur(s), s), y = readout(s').

    Args:
        params: the parameters of a cell of `rnnlib.cells`.
        x: (D,), this step's inputs; or (B, D).
        state: the state that the step before left behind, such as (H,); or (B, H).

    Returns:
        `(y, s')`: outputs (K,) or (B, K), and the new state, of the shape of the old one.

    Example:
        >>> import numpy as np
        >>> from rnnlib.cells import elman_step, init_elman
        >>> params = init_elman(3, 16, 2, rng=np.random.default_rng(0))
        >>> bool(np.allclose(step(params, np.ones(3), np.zeros(16))[0], elman_step(params, np.ones(3), np.zeros(16))[0]))
        True

    Source: `elman_step`, taken apart.
    """
    state, _ = params.advance(params.drive(x) + params.recur(state), state)
    return params.readout(state), state
