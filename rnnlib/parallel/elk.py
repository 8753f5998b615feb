"""DEER with damping: the step that Levenberg and Marquardt would take is a Kalman smoother's, and that is a scan as well."""

from typing import Any

import jax
import jax.numpy as jnp

from rnnlib.parallel.backward import linearised
from rnnlib.parallel.newton import Solved, solve
from rnnlib.parallel.scan import linear_scan
from rnnlib.unroll.checks import Inputs


def elk(
    params: Any,
    xs: Inputs,
    state: Any = None,
    *,
    damping: float,
    guess: Any = None,
    iterations: int = 20,
    tolerance: float = 0.0,
) -> Solved:
    """Find all states by damped steps: δ is the lowest point of ½ Σ_t ‖δ_t − J_t δ_{t-1} − r_t‖² + λ/2 Σ_t ‖δ_t‖².

    At λ = 0 that is `deer`; a large λ keeps each step short, near where the tangents are true. Read as probabilities: δ moves
    with noise of variance 1, and is observed at every step to be 0, with noise of variance 1/λ. The lowest point is the smoother's mean.

    Args:
        params: the parameters of a cell of `rnnlib.cells`.
        xs: (T, B, D), inputs, time first.
        state: the state to start from, (B, H), or a pytree of such arrays; None for the trained `params.h0`.
        damping: λ, 0 or more.
        guess: states (T, B, H), or a pytree of such, to begin with; None for zeros.
        iterations: the most that are taken.
        tolerance: the residual at which to stop, in the state's units.

    Returns:
        `Solved(states, residuals, iterations)`.

    Raises:
        ValueError: as for `deer`, and a damping below 0.
        TypeError: as for `deer`.

    Example:
        >>> import numpy as np
        >>> from rnnlib.cells import init_elman
        >>> from rnnlib.parallel import deer
        >>> params, xs = init_elman(3, 4, 2, rng=np.random.default_rng(0)), np.ones((20, 1, 3))
        >>> undamped = elk(params, xs, damping=0.0, iterations=2).states
        >>> bool(jnp.allclose(undamped, deer(params, xs, iterations=2).states, atol=1e-4))
        True

    Source: Gonzalez, Warrington, Smith, Linderman (2024), Towards scalable and stable parallelization of nonlinear RNNs,
    arXiv 2407.19115; the scan: Särkkä and García-Fernández (2021),
    Temporal parallelization of Bayesian smoothers, IEEE Transactions on Automatic Control 66, arXiv 1905.13002.
    """
    if not damping >= 0:
        raise ValueError(f"elk: damping must be 0 or more, got {damping}. 0 is deer; try 1, and less where it works.")
    return solve("elk", params, xs, state, guess, iterations, tolerance, smoothed, linearised, damping)


def smoothed(Js, residuals, damping):
    """The means of a Kalman smoother, (T, B, n): the filter by a scan from the first step on, the smoother by one from the last."""
    Js = Js.at[0].set(0)  # δ_0 is 0, and known
    eye, trust = jnp.broadcast_to(jnp.eye(Js.shape[-1], dtype=Js.dtype), Js.shape), damping / (1 + damping)
    told = -trust * _apply(Js.mT, residuals)
    elements = (1 - trust) * Js, (1 - trust) * residuals, (1 - trust) * eye, told, trust * (Js.mT @ Js)
    _, means, spreads, _, _ = jax.lax.associative_scan(_heard_together, elements)
    ahead, r_ahead = jnp.roll(Js, -1, axis=0).at[-1].set(0), jnp.roll(residuals, -1, axis=0)
    reach = ahead @ spreads
    gains = jnp.linalg.solve(reach @ ahead.mT + eye, reach).mT
    return linear_scan(gains, means - _apply(gains, _apply(ahead, means) + r_ahead), reverse=True)


def _heard_together(first, then):
    """Two stretches of a filter as one: each is the map of a mean (A, b), its spread C, and what it tells of its own beginning, η and J."""
    (A_i, b_i, C_i, eta_i, J_i), (A, b, C, eta, J) = first, then
    eye = jnp.broadcast_to(jnp.eye(A.shape[-1], dtype=A.dtype), A.shape)
    inverse = jnp.linalg.inv(eye + C_i @ J)
    onward, back = A @ inverse, A_i.mT @ inverse.mT
    mean = _apply(onward, b_i + _apply(C_i, eta)) + b
    told = _apply(back, eta - _apply(J, b_i)) + eta_i
    return onward @ A_i, mean, onward @ C_i @ A.mT + C, told, back @ J @ A_i + J_i


def _apply(A, s):
    return (A @ s[..., None])[..., 0]
