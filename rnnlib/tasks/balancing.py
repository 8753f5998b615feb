"""Influence balancing: a parameter that looks good for some steps and is bad in the end."""

from typing import Any

import numpy as np
from jaxtyping import Float

from rnnlib.tasks.sequences import Sequences, check


def influence_balancing(T: int, B: int) -> Sequences:
    """Hold one unit at 1 with a parameter θ whose influence is good at first and bad in the end; `influence_step` is the network.

    θ pushes 10 of 23 units up and 13 down. The first unit feels only the ups at once, but y = 2 (10 − 13) θ in the end: up is down.
    The B sequences are all alike; the paper runs one, without end, at a learning rate of 1e-4. Errors are those of `adding`.

    Returns:
        `Sequences`: xs (T, B, 23), the sign with which θ reaches each unit; targets 1, so K = 1; every step counts.

    Example:
        >>> influence_balancing(2, 1).xs.sum(-1).ravel()
        array([-3., -3.])

    Source: Tallec and Ollivier (2017), Unbiased online recurrent optimization, influence balancing.
    """
    check("influence_balancing", T, B)
    signs = np.repeat([1.0, -1.0], [10, 13])
    return Sequences(np.tile(signs, (T, B, 1)), np.ones((T, B, 1)), np.full((T, B), 1 / (T * B)))


def influence_step(
    theta: Float[Any, ""] | float, x: Float[Any, "*batch H"], h: Float[Any, "*batch H"]
) -> tuple[Float[Any, "*batch 1"], Float[Any, "*batch H"]]:
    """Take one step of the linear network of `influence_balancing`: h'_i = (h_i + h_{i+1}) / 2 + θ x_i, and y = h'_1.

    The signs x and the state h are (B, 23) or (23,). Returns `(y, h')`, as `cells.elman_step` does, with one output: (B, 1) or (1,).

    Example:
        >>> influence_step(0.5, np.array([1.0, -1.0]), np.ones(2))
        (array([1.5]), array([1.5, 0. ]))

    Source: Tallec and Ollivier (2017), influence balancing. Vicol, Metz, Sohl-Dickstein (2021) start at θ = 1/2 and a state of ones.
    """
    h = h @ ((np.eye(h.shape[-1]) + np.eye(h.shape[-1], k=-1)) / 2).astype(h.dtype) + theta * x
    return h[..., :1], h


def influence_loss(theta: float) -> float:
    """Return what θ costs in the end, ½ (y − 1)² at the fixed point y = −6 θ. Solved: zero, at θ = −1/6."""
    return (2 * (10 - 13) * theta - 1) ** 2 / 2
