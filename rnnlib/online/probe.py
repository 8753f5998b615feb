"""How the weights of a cell act, found out at random weights, inputs and states, so that what is zero there is zero everywhere.

It decides how an influence is stored, and so has to be known while a program is traced: only shapes are taken from what is given, and
each question is asked once for each cell and its sizes.
"""

from collections.abc import Callable
from functools import lru_cache
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
    return _asked(_other_ways, recur, params, at)


def one_product(params: Any, at: Step) -> bool:
    """Say whether p = a W with one a for all of p, such as (x, h, 1) and the weights stacked; at its first two numbers."""
    return _asked(_other_columns, None, params, at)


def _other_ways(recur, params, at, p):
    """Derivatives that are zero if units stay apart: what unit 0 has to do with others. None if the shapes say that they don't."""
    H = jax.tree.leaves(at.before)[0].size
    if p.size % H:
        return None
    other = np.arange(p.size) % H > 0
    blocks = jnp.where(
        other, 0, jnp.repeat(jnp.eye(p.size // H, dtype=p.dtype), H, axis=1)
    )  # unit 0 of each block of p
    pieces = pulled(params, at, blocks)
    if any(piece.ndim == 1 or piece.shape[-1] % H for piece in pieces):
        return None
    ways = [jnp.where(np.arange(piece.shape[-1]) % H > 0, piece, 0) for piece in pieces]
    unit = jax.tree.map(lambda s: jnp.asarray(np.arange(H) == 0, s.dtype), at.before)
    if recur is not None:
        ways.append(jnp.where(other, recur(params, unit), 0))
    moved = onward(params, at, blocks.sum(0, keepdims=True), jax.tree.map(lambda s: s[None], unit))
    return ways + [s[:, 1:] for s in jax.tree.leaves(moved)]


def _other_columns(_, params, at, p):
    """Derivatives less a ⊗ 1. None if the shapes say that there is no such a."""
    first = jnp.eye(p.size, dtype=p.dtype)[:2]
    pieces = pulled(params, at, first)
    if any(piece.ndim == 1 or piece.shape[-1] != p.size for piece in pieces):
        return None
    return [piece - piece[:1, ..., :1] * jnp.expand_dims(first, tuple(range(1, piece.ndim - 1))) for piece in pieces]


def _asked(question, recur, params, at):
    leaves, structure = jax.tree.flatten((params, at.x, at.before))
    return _answer(question, recur, structure, tuple(map(np.shape, leaves)))


@lru_cache(maxsize=256)
def _answer(question, recur, structure, shapes):
    rng = np.random.default_rng(0)
    drawn = [rng.standard_normal(shape).astype(np.float32) for shape in shapes]

    def ask(drawn):
        params, x, before = jax.tree.unflatten(structure, drawn)
        p = params.drive(x) + params.recur(before)
        after, kept = params.advance(p, before)
        return question(recur, params, Step(x, before, after, kept), p)

    found = jax.jit(ask).lower(drawn).compile()(drawn)  # run at once, even where another program is being traced
    return found is not None and all(bool((np.asarray(zero) == 0).all()) for zero in found)
