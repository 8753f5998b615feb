"""Linear recurrences: one step after another, and all of them by an associative scan over pairs (A, b)."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from rnnlib.validation import require_array, require_floating, require_shape

Matrices = Float[Any, "T B H H"] | Float[Any, "T B H"]  # (T, B, H): diagonals
Resets = Bool[Any, "T B"] | Int[Any, "T B"]


def linear_loop(
    A: Matrices,
    b: Float[Any, "T B H"],
    state: Float[Any, "B H"] | None = None,
    *,
    resets: Resets | None = None,
    reverse: bool = False,
) -> Float[Array, "T B H"]:
    """Run s_t = A_t s_{t-1} + b_t one step after another: the obvious twin of `linear_scan`, whose arguments, result and errors it has.

    Example:
        >>> linear_loop(jnp.full((3, 1, 1), 0.5), jnp.ones((3, 1, 1))).ravel().tolist()
        [1.0, 1.5, 1.75]
    """
    return _loop(*_checked("linear_loop", A, b, state, resets), reverse=reverse)


def linear_scan(
    A: Matrices,
    b: Float[Any, "T B H"],
    state: Float[Any, "B H"] | None = None,
    *,
    resets: Resets | None = None,
    reverse: bool = False,
) -> Float[Array, "T B H"]:
    """Run s_t = A_t s_{t-1} + b_t at a depth of log₂ T: (A, b) then (A', b') is (A' A, A' b + b'), in any grouping.

    Args:
        A: (T, B, H, H), matrices, the later state's axis first; or (T, B, H), the diagonals of diagonal ones.
        b: (T, B, H), what each step adds.
        state: (B, H), s_0; None for zeros.
        resets: (T, B), 1 where another sequence begins: its step hears `state` in place of the state before it.
        reverse: whether time runs from the last step to the first, s_t = A_t s_{t+1} + b_t; then `state` is s_{T+1}.

    Returns:
        s_1 ... s_T, (T, B, H).

    Raises:
        ValueError: shapes that disagree.
        TypeError: arrays that are not floating point.

    Example:
        >>> A, b = jnp.full((4, 1, 1), 0.5), jnp.ones((4, 1, 1))
        >>> linear_scan(A, b).ravel().tolist()
        [1.0, 1.5, 1.75, 1.875]
        >>> linear_scan(A, b, resets=jnp.array([[1], [0], [1], [0]])).ravel().tolist()
        [1.0, 1.5, 1.0, 1.5]

    Source: Blelloch (1990), Prefix sums and their applications, CMU-CS-90-190, section 1.4; for recurrent nets Martin and Cundy (2018),
    Parallelizing linear recurrent neural nets over sequence length, arXiv 1709.04057.
    """
    return _scan(*_checked("linear_scan", A, b, state, resets), reverse=reverse)


@partial(jax.jit, static_argnames="reverse")
def _loop(A, b, state, resets, *, reverse):
    def step(before, pair):
        after = _apply(pair[0], before) + pair[1]
        return after, after

    A, b = _begun(A, b, state, resets, reverse)
    return jax.lax.scan(step, jnp.zeros_like(b[0]), (A, b), reverse=reverse)[1]


@partial(jax.jit, static_argnames="reverse")
def _scan(A, b, state, resets, *, reverse):
    return jax.lax.associative_scan(_compose, _begun(A, b, state, resets, reverse), reverse=reverse)[1]


def _compose(first, then):
    """The map that does the first and then the other."""
    (A, b), (A_then, b_then) = first, then
    product = A_then * A if A.ndim == b.ndim else A_then @ A
    return product, _apply(A_then, b) + b_then


def _apply(A, s):
    return A * s if A.ndim == s.ndim else (A @ s[..., None])[..., 0]


def _begun(A, b, state, resets, reverse):
    """A and b that contain the first state and the resets: a step that begins anew has A = 0, and b + A s_0 in place of b."""
    begins = jnp.zeros(b.shape[:2], bool).at[-1 if reverse else 0].set(True)
    if resets is not None:
        begins = begins | jnp.asarray(resets, bool)
    if state is not None:
        b = b + jnp.where(begins[..., None], _apply(A, jnp.broadcast_to(jnp.asarray(state), b.shape)), 0)
    return jnp.where(begins[(..., *[None] * (A.ndim - 2))], 0, A), b


def _checked(where, A, b, state, resets):
    require_floating(where, A=A, b=b)
    require_shape(
        where, "b", b, ("T", "B", "H"), match="(time, batch, state)", hint="One sequence alone is b[:, None]."
    )
    match, (T, B, H) = f"to match b {tuple(b.shape)}", b.shape
    wanted, hint = (
        (T, B, H) if A.ndim == 3 else (T, B, H, H),
        "Time first; a diagonal matrix may be given as (T, B, H).",
    )
    require_shape(where, "A", A, wanted, match=match, hint=hint)
    if state is not None:
        require_shape(where, "state", state, (B, H), match=match, hint="One a sequence.")
    if resets is not None:
        require_array(where, resets=resets)
        require_shape(where, "resets", resets, (T, B), match=match, hint="Are time and batch swapped?")
    return A, b, state, resets
