"""Jacobians of the state along a run, their products, and how far an error comes back: the gradient by lag."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Float

from rnnlib.validation import require_floating, require_shape


def jacobians(
    step: Callable, params: Any, xs: Float[Any, "T B D"], h0: Float[Any, " H"] | Float[Any, "B H"]
) -> Float[jax.Array, "T B H H"]:
    """Differentiate each step by the state that it was given, along a real run: J_t = dh_t/dh_{t-1}.

    Args:
        step: a cell, `step(params, x, h) -> (y, h)` for a single sequence, in JAX: `cells.elman_step`, or your own function.
        params: what the cell calls its parameters, any pytree.
        xs: (T, B, D), inputs.
        h0: (H,), the first state of every sequence; or (B, H), one for each.

    Returns:
        (T, B, H, H): at [t, b] the Jacobian of step t + 1, later state first. In float32, unless JAX was told to use 64 bits.

    Raises:
        ValueError: shapes that disagree, a step that changes the shape of its state.
        TypeError: arrays that are not floating point, a step that is no function.

    Example:
        >>> def halve(params, x, h):
        ...     return h, 0.5 * h + x
        >>> jacobians(halve, None, jnp.zeros((3, 1, 2)), jnp.zeros(2))[2, 0].tolist()
        [[0.5, 0.0], [0.0, 0.5]]

    Source: Pascanu, Mikolov, Bengio (2013), On the difficulty of training recurrent neural networks, equation 5.
    """
    if not callable(step):
        hint = "Try cells.elman_step."
        raise TypeError(
            f"jacobians: step must be a function (params, x, h) -> (y, h), got {type(step).__name__}. {hint}"
        )
    require_floating("jacobians", xs=xs, h0=h0)
    require_shape("jacobians", "xs", xs, ("T", "B", "D"), match="(time, batch, inputs)", hint="Is an axis missing?")
    B = xs.shape[1]
    expected = ("H",) if h0.ndim == 1 else (B, "H")
    require_shape("jacobians", "h0", h0, expected, match=f"to match xs {xs.shape}", hint="Try params.h0.")
    h0 = jnp.broadcast_to(h0, (B, h0.shape[-1]))
    after = jax.eval_shape(step, params, xs[0, 0], h0[0])[1].shape
    if after != h0.shape[1:]:
        raise ValueError(
            f"jacobians: step must return a state of shape {h0.shape[1:]}, as h0, got {after}. Does it return (y, h)?"
        )
    return _jacobians(step, params, jnp.asarray(xs), h0)


@partial(jax.jit, static_argnums=0)
def _jacobians(step, params, xs, h0):
    def new_state(h, x):
        return step(params, x, h)[1]

    def run(h0, xs):  # one sequence
        return jax.lax.scan(lambda h, x: (new_state(h, x), jax.jacobian(new_state)(h, x)), h0, xs)[1]

    return jax.vmap(run, in_axes=(0, 1), out_axes=1)(h0, xs)


def products(jacobians: Float[Any, "T B H H"]) -> Float[jax.Array, "T+1 B H H"]:
    """Multiply Jacobians back from the last step: P_s = dh_T/dh_s = J_T J_{T-1} ... J_{s+1}, P_T the identity.

    For dh_t/dh_s with an earlier t, pass the first t Jacobians: `products(Js[:t])[s]`.

    Args:
        jacobians: (T, B, H, H), as `jacobians` returns them.

    Returns:
        (T + 1, B, H, H): at [s] the Jacobian of the last state by h_s, s = 0 ... T.

    Raises:
        ValueError: an array of another shape.
        TypeError: something else than floating-point numbers.

    Example:
        >>> products(jnp.full((3, 1, 1, 1), 0.5)).ravel().tolist()
        [0.125, 0.25, 0.5, 1.0]

    Source: Pascanu, Mikolov, Bengio (2013), equation 5.
    """
    Js = require_jacobians("products", jacobians)
    last = jnp.broadcast_to(jnp.eye(Js.shape[-1], dtype=Js.dtype), Js.shape[1:])
    earlier = jax.lax.scan(lambda P, J: (P @ J, P @ J), last, Js, reverse=True)[1]
    return jnp.concatenate([earlier, last[None]])


def gradient_by_lag(jacobians: Float[Any, "T B H H"], d_hs: Float[Any, "T B H"]) -> Float[jax.Array, " T+1"]:
    """Measure how much of an error arrives: the mean over t and the batch of ‖dL_t/dh_{t−lag}‖, for each lag.

    L_t is the loss at step t alone. Its gradient starts as dL_t/dh_t and takes on a Jacobian a step back. Lag `lag` has a mean over the
    steps t = max(lag, 1) ... T, since there is no state before h_0.

    Args:
        jacobians: (T, B, H, H), as `jacobians` returns them.
        d_hs: (T, B, H), the gradient of each step's own loss by its state; for an Elman net `d_ys @ W_hy.T`.

    Returns:
        (T + 1,), in the units of `d_hs`, for the lags 0 ... T.

    Raises:
        ValueError: shapes that disagree.
        TypeError: something else than floating-point numbers.

    Example:
        >>> gradient_by_lag(jnp.full((3, 1, 1, 1), 0.5), jnp.ones((3, 1, 1))).tolist()
        [1.0, 0.5, 0.25, 0.125]

    Source: Pascanu, Mikolov, Bengio (2013), equations 3 to 5.
    """
    Js = require_jacobians("gradient_by_lag", jacobians)
    require_floating("gradient_by_lag", d_hs=d_hs)
    hint = "Errors of outputs become errors of states with d_ys @ params.W_hy.T."
    require_shape("gradient_by_lag", "d_hs", d_hs, Js.shape[:3], match=f"to match jacobians {Js.shape}", hint=hint)
    return _gradient_by_lag(Js, jnp.asarray(d_hs, Js.dtype))


@jax.jit
def _gradient_by_lag(Js, d_hs):
    T, B, _ = d_hs.shape

    def mean_length(errors, steps):
        return jnp.linalg.norm(errors, axis=-1).sum() / (steps * B)

    def one_more(
        errors, lag
    ):  # errors[t] has come back by lag - 1 from step t + 1: it meets the Jacobian at t + 1 - lag
        met = jnp.roll(Js, lag - 1, axis=0)
        alive = (jnp.arange(T) >= lag - 1)[:, None, None]
        errors = jnp.where(alive, jnp.einsum("tbi,tbij->tbj", errors, met), 0)
        return errors, mean_length(errors, T + 1 - lag)

    return jnp.concatenate([mean_length(d_hs, T)[None], jax.lax.scan(one_more, d_hs, jnp.arange(1, T + 1))[1]])


def require_jacobians(where: str, jacobians: Any) -> jax.Array:
    """Return Jacobians, (T, B, H, H), as JAX's, or raise in the name of `where`."""
    require_floating(where, jacobians=jacobians)
    hint = "Try jacobians(step, params, xs, h0)."
    H = jacobians.shape[-1] if jacobians.ndim else "H"
    require_shape(where, "jacobians", jacobians, ("T", "B", "H", H), match="(time, batch, later, earlier)", hint=hint)
    return jnp.asarray(jacobians)
