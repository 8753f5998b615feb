"""A price on errors that shrink or grow as they travel back: the regulariser of Pascanu, Mikolov and Bengio, for an Elman net.

With d_t = dL/dh_t, all that the loss will make of h_t, an error arrives one step earlier as d_t J_t, J_t = dh_t/dh_{t-1}. The price is

    Ω = mean over steps and sequences of (‖d_t J_t‖ / ‖d_t‖ − 1)²

It is differentiated by W_hh alone, and where that stands in J_t = diag(1 − h_t²) W_hhᵀ; states and errors are held as they are.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from rnnlib.cells import ElmanParams
from rnnlib.unroll import unroll_states
from rnnlib.validation import require_floating, require_shape

LEAST = 1e-20  # of ‖d_t‖²: below it there is nothing whose length could be kept


def total_errors(
    W_hh: Float[Any, "H H"], states: Float[Any, "T B H"], d_states: Float[Any, "T B H"]
) -> Float[Array, "T B H"]:
    """Carry errors back through an Elman net: d_t = ∂L/∂h_t + (d_{t+1} ⊙ (1 − h²_{t+1})) W_hhᵀ, nothing beyond the last step.

    Args:
        W_hh: (H, H), recurrent weights.
        states: (T, B, H), h_1 ... h_T.
        d_states: (T, B, H), ∂L/∂h_t, the local derivative: by what is read from h_t at once.

    Returns:
        (T, B, H), dL/dh_t.

    Raises:
        ValueError: shapes that disagree.
        TypeError: something else than floating-point numbers.

    Example:
        >>> total_errors(jnp.full((1, 1), 0.5), jnp.zeros((3, 1, 1)), jnp.ones((3, 1, 1))).ravel().tolist()
        [1.75, 1.5, 1.0]

    Source: Rumelhart, Hinton, Williams (1986), Learning internal representations by error propagation; chapter 03 builds it.
    """
    W_hh, states, d_states = _checked("total_errors", W_hh, states=states, d_states=d_states)

    def back(arrived, now):
        h, direct = now
        error = direct + arrived
        return _one_step_back(W_hh, h, error), error

    return jax.lax.scan(back, jnp.zeros_like(states[0]), (states, d_states), reverse=True)[1]


def vanishing_penalty(
    W_hh: Float[Any, "H H"], states: Float[Any, "T B H"], errors: Float[Any, "T B H"]
) -> Float[Array, ""]:
    """Return Ω, the mean of (‖d_t J_t‖ / ‖d_t‖ − 1)²: 0 where errors keep their length on the way back.

    Its derivative by the first argument is the paper's "immediate" one; `penalised` adds it to a gradient.

    Args:
        W_hh: (H, H), recurrent weights.
        states: (T, B, H), h_1 ... h_T.
        errors: (T, B, H), dL/dh_t, from `total_errors`. Where ‖d_t‖² is below 1e-20 a step does not count.

    Returns:
        A scalar without unit; 0 where no step counts.

    Raises:
        ValueError: shapes that disagree.
        TypeError: something else than floating-point numbers.

    Example:
        >>> float(vanishing_penalty(jnp.full((1, 1), 0.5), jnp.zeros((3, 1, 1)), jnp.ones((3, 1, 1))))
        0.25

    Source: Pascanu, Mikolov, Bengio (2013), On the difficulty of training recurrent neural networks, equations 9 and 10, arXiv
    1211.5063; a mean over what counts as in their code, whose lengths are squared.
    """
    W_hh, states, errors = _checked("vanishing_penalty", W_hh, states=states, errors=errors)
    length = (errors**2).sum(-1)
    counts = length > LEAST
    arrived = (_one_step_back(W_hh, states, errors) ** 2).sum(-1)
    ratio = jnp.where(counts, arrived, 1.0) / jnp.where(counts, length, 1.0)
    lost = jnp.sqrt(jnp.where(ratio > 0, ratio, 1.0)) * (ratio > 0) - 1  # the root of nothing has no slope
    return jnp.where(counts, lost**2, 0).sum() / jnp.maximum(counts.sum(), 1)


def penalised(
    loss: Callable, params: ElmanParams, xs: Float[Any, "T B D"], weight: float
) -> tuple[Float[Array, ""], ElmanParams, Float[Array, ""]]:
    """Differentiate a loss, and add weight · ∂Ω/∂W_hh to the gradient of the recurrent weights.

    Args:
        loss: `loss(ys) -> L` of the outputs, (T, B, K).
        params: an Elman net.
        xs: (T, B, D), inputs.
        weight: the price; 4 in the paper.

    Returns:
        `(L, gradient, Ω)`: the loss without the price, the gradient with it.

    Raises:
        ValueError: shapes that disagree.
        TypeError: something else than floating-point numbers.

    Example:
        >>> import numpy as np
        >>> from rnnlib.cells import init_elman
        >>> net = init_elman(2, 4, 1, rng=np.random.default_rng(0))
        >>> L, gradient, price = penalised(lambda ys: (ys[-1] ** 2).mean(), net, np.ones((5, 3, 2)), weight=4.0)
        >>> bool(price > 0), gradient.W_hh.shape
        (True, (4, 4))

    Source: as for `vanishing_penalty`.
    """

    def by_params(params):
        ys, states = unroll_states(params, xs)
        return loss(ys), states

    (value, states), gradient = jax.value_and_grad(by_params, has_aux=True)(params)
    d_states = jax.grad(lambda states: loss(jax.vmap(jax.vmap(params.readout))(states)))(states)
    errors = total_errors(params.W_hh, states, d_states)
    price, d_W_hh = jax.value_and_grad(vanishing_penalty)(jnp.asarray(params.W_hh), states, errors)
    return value, gradient._replace(W_hh=gradient.W_hh + weight * d_W_hh), price


def _one_step_back(W_hh, h, error):
    """d_t J_t = (d_t ⊙ (1 − h_t²)) W_hhᵀ."""
    return (error * (1 - h**2)) @ W_hh.T


def _checked(where, W_hh, **along):
    require_floating(where, W_hh=W_hh, **along)
    H = W_hh.shape[-1] if W_hh.ndim else "H"
    require_shape(where, "W_hh", W_hh, (H, H), match="(before, after)", hint="Try params.W_hh.")
    (first, states), *_ = along.items()
    require_shape(where, first, states, ("T", "B", H), match=f"to match W_hh {W_hh.shape}", hint="Is time first?")
    for name, array in along.items():
        require_shape(
            where, name, array, states.shape, match=f"to match {first} {states.shape}", hint="One for each state."
        )
    return map(jnp.asarray, (W_hh, *along.values()))
