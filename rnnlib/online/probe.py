"""How the weights of a cell act, found out at random weights, inputs and states, so that what is zero there is zero everywhere.

It decides how an influence is stored, and so has to be known while a program is traced: only shapes are taken from what is given.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rnnlib.online.methods import Step, onward, pulled


def by_unit(params: Any, at: Step, recur: Callable | None = None) -> bool:
    """Say whether each weight acts on one unit, k for the last axis of its array modulo H, and whether units stay apart.

    Args:
        params: the parameters of a cell, for their shapes.
        at: a step, for the shapes of its inputs and its state.
        recur: `recur(params, s)`, what is left of the way from state to state; None if nothing is.

    Returns:
        True if H weights that act on different units can share a row of M and be told apart.
    """
    with jax.ensure_compile_time_eval():
        params, at, p = _somewhere(params, at)
        H = jax.tree.leaves(at.before)[0].size
        if p.size % H:
            return False
        other = np.arange(p.size) % H > 0
        blocks = jnp.repeat(jnp.eye(p.size // H), H, axis=1)
        pieces = pulled(params, at, jnp.where(other, 0, blocks).astype(p.dtype))  # unit 0 of each block
        if any(piece.ndim == 1 or piece.shape[-1] % H for piece in pieces):
            return False
        ways = [piece[..., np.arange(piece.shape[-1]) % H > 0] for piece in pieces]
        unit = jax.tree.map(lambda s: jnp.zeros_like(s).at[0].set(1), at.before)
        d_p = jnp.where(other, 0, 1).astype(p.dtype)
        if recur is not None:
            ways.append(recur(params, unit)[other])
        ways += [
            s[:, 1:] for s in jax.tree.leaves(onward(params, at, d_p[None], jax.tree.map(lambda s: s[None], unit)))
        ]
        return all(bool((way == 0).all()) for way in ways)


def one_product(params: Any, at: Step) -> bool:
    """Say whether p = a W with one a for all of p, such as (x, h, 1) and the weights stacked; at its first two numbers."""
    with jax.ensure_compile_time_eval():
        params, at, p = _somewhere(params, at)
        pieces = pulled(params, at, jnp.eye(p.size, dtype=p.dtype)[:2])
        if any(piece.ndim == 1 or piece.shape[-1] != p.size for piece in pieces):
            return False
        expected = [
            piece[:1, ..., :1] * jnp.eye(p.size)[:2].reshape(-1, *[1] * (piece.ndim - 2), p.size) for piece in pieces
        ]
        return all(bool((piece == want).all()) for piece, want in zip(pieces, expected, strict=True))


def _somewhere(params, at):
    rng = np.random.default_rng(0)
    params, x, before = jax.tree.map(lambda a: jnp.asarray(rng.standard_normal(np.shape(a))), (params, at.x, at.before))
    p = params.drive(x) + params.recur(before)
    after, kept = params.advance(p, before)
    return params, Step(x, before, after, kept), p
