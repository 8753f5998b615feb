"""Conjugate gradients: solve A x = b for a symmetric positive definite A that is known by its products with vectors alone.

Solving A x = b is finding the lowest point of φ(x) = ½ xᵀ A x − bᵀ x. After i steps x is the lowest point of all that can be reached
from x_0 by i products with A (of the Krylov subspace), so a few products may be enough; each step asks for one.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int

from rnnlib.validation import require_floating, require_size

REASONS = (
    "running",
    "residual below tolerance",
    "progress below tolerance",
    "iterations used up",
    "negative curvature",
    "not finite",
)
RUNNING, RESIDUAL, PROGRESS, USED_UP, NEGATIVE, NOT_FINITE = range(len(REASONS))


class Solution(NamedTuple):
    """What `solve` found, and how it went."""

    x: Any  # the last iterate, shaped as b
    iterations: Int[Array, ""]  # steps taken; products with A are one more for the start, and one for a step refused
    reason: Int[Array, ""]  # why it stopped: REASONS[reason]
    values: Float[Array, " I+1"]  # φ(x_i) after each step, NaN where there was none; I is the largest number of steps
    curvature: Float[Array, ""]  # pᵀ A p / pᵀ p along the last direction: zero or below where that was the reason
    kept: Any  # (S, ...) iterates, at steps that grow by a factor; the rest is zero
    kept_at: Int[Array, " S"]  # their steps; −1 where there was none


class _State(NamedTuple):
    """One step's worth: x_i, its residual b − A x_i, the next direction, and the record."""

    x: Any
    r: Any
    p: Any
    ry: Any
    i: Any
    reason: Any
    values: Any
    curvature: Any
    kept: Any


def solve(
    product: Callable[[Any], Any],
    b: Any,
    x0: Any = None,
    *,
    precondition: Callable[[Any], Any] | None = None,
    iterations: int = 250,
    progress: float = 5e-4,
    residual: float = 0.0,
    growth: float = 1.3,
) -> Solution:
    """Solve A x = b for a symmetric positive definite A by preconditioned conjugate gradients.

    Stops at the first of: ‖b − A x‖ ≤ residual · ‖b‖; too little progress, φ(x_i) < 0 and 1 − φ(x_{i−k}) / φ(x_i) < k · progress
    over the last k = max(10, i/10) steps; a direction with pᵀ A p ≤ 0, which is not taken; a step to NaN or infinity, not taken
    either; `iterations` steps. Compiled where its caller is; holds six vectors and those it keeps, about log(iterations) / log(growth).

    Args:
        product: v ↦ A v, shaped as b.
        b: the right-hand side, an array or a pytree.
        x0: where to begin, shaped as b; None for zero.
        precondition: r ↦ M⁻¹ r for a symmetric positive definite M like A, whose inverse is cheap; None for r itself.
        iterations: the most steps to take.
        progress: relative progress a step that is too little; 0 goes on until nothing moves.
        residual: relative size of the residual that is small enough.
        growth: steps at which an iterate is kept grow by this factor: 1, 2, 3, 4, 5, 7, 9, 11 ... at 1.3.

    Returns:
        A `Solution`.

    Raises:
        ValueError: iterations below 1, growth not above 1, a negative tolerance, an x0 that is not shaped as b.
        TypeError: iterations not whole, a right-hand side that is not floating point.

    Example:
        >>> solution = solve(lambda v: jnp.array([1.0, 4.0]) * v, jnp.array([1.0, 1.0]), residual=1e-6)
        >>> solution.x.round(6).tolist(), int(solution.iterations), REASONS[solution.reason]
        ([1.0, 0.25], 2, 'residual below tolerance')

    Source: Nocedal and Wright (2006), Numerical Optimization, algorithm 5.3; the stop by progress: Martens (2010), Deep learning via
    Hessian-free optimization, section 4.4; the iterates kept: section 4.6.
    """
    _check(b, x0, iterations, progress, residual, growth)
    flat, unravel = ravel_pytree(b)
    start = jnp.zeros_like(flat) if x0 is None else ravel_pytree(x0)[0]
    A = _flat(product, unravel)
    inverse = (lambda r: r) if precondition is None else _flat(precondition, unravel)
    marks, enough = _marks(iterations, growth), residual * jnp.linalg.norm(flat)
    judge = partial(_reason, enough=enough, progress=progress, iterations=iterations)
    last = jax.lax.while_loop(
        lambda s: s.reason == RUNNING,
        partial(_step, A, inverse, flat, marks, judge),
        _begin(A, inverse, flat, start, marks, enough, iterations),
    )
    kept, kept_at = jax.vmap(unravel)(last.kept), jnp.where(marks <= last.i, marks, -1)
    return Solution(unravel(last.x), last.i, last.reason, last.values, last.curvature, kept, kept_at)


def _begin(A, inverse, b, x, marks, enough, iterations):
    """x_0, and the steepest way down from it."""
    r = b - A(x)
    y = inverse(r)
    values = jnp.full(iterations + 1, jnp.nan, b.dtype).at[0].set(_phi(x, r, b))
    reason = jnp.where(jnp.linalg.norm(r) <= enough, RESIDUAL, RUNNING)
    reason = jnp.where(jnp.isfinite(values[0]), reason, NOT_FINITE)
    kept = jnp.zeros((len(marks), b.size), b.dtype)
    return _State(x, r, y, jnp.vdot(r, y), jnp.array(0), reason, values, jnp.array(jnp.nan, b.dtype), kept)


def _step(A, inverse, b, marks, judge, s):
    """To the lowest point along p, then a next p that is conjugate to all before it."""
    q = A(s.p)
    curvature = jnp.vdot(s.p, q)
    alpha = s.ry / curvature
    x, r, i = s.x + alpha * s.p, s.r - alpha * q, s.i + 1
    y = inverse(r)
    ry, value, size = jnp.vdot(r, y), _phi(x, r, b), jnp.vdot(s.p, s.p)
    taken = _State(
        x=x,
        r=r,
        p=y + ry / s.ry * s.p,
        ry=ry,
        i=i,
        reason=judge(r, i, value, s.values),
        values=s.values.at[i].set(value),
        curvature=curvature / size,
        kept=jnp.where((marks == i)[:, None], x, s.kept),
    )
    refused = s._replace(reason=jnp.where(curvature <= 0, NEGATIVE, NOT_FINITE), curvature=curvature / size)
    fine = (curvature > 0) & jnp.isfinite(value) & jnp.isfinite(ry)
    return jax.tree.map(lambda new, old: jnp.where(fine, new, old), taken, refused)


def _phi(x, r, b):
    """φ(x) = ½ xᵀ A x − bᵀ x, with A x = b − r."""
    return -0.5 * jnp.vdot(x, b + r)


def _reason(r, i, value, values, *, enough, progress, iterations):
    """Whether to go on, after a step that was taken."""
    k = jnp.maximum(10, i // 10)
    crawls = (i > k) & (value < 0) & ((value - values[i - k]) / value < k * progress)
    reason = jnp.where(i == iterations, USED_UP, RUNNING)
    reason = jnp.where(crawls, PROGRESS, reason)
    return jnp.where(jnp.linalg.norm(r) <= enough, RESIDUAL, reason)


def _flat(function, unravel):
    """The same function from vectors to vectors."""
    return lambda v: ravel_pytree(function(unravel(v)))[0]


def _marks(iterations, growth):
    """1, growth, growth² ... rounded up, each once."""
    count = math.floor(math.log(iterations) / math.log(growth)) + 1
    return np.unique(np.ceil(growth ** np.arange(count) - 1e-9).astype(int))


def _check(b, x0, iterations, progress, residual, growth):
    for leaf in jax.tree.leaves(b):
        require_floating("solve", b=leaf)
    if x0 is not None and jax.tree.map(jnp.shape, x0) != jax.tree.map(jnp.shape, b):
        shapes = [jax.tree.map(jnp.shape, tree) for tree in (b, x0)]
        raise ValueError(f"solve: x0 must be shaped as b, {shapes[0]}, got {shapes[1]}. None begins at zero.")
    require_size("solve", "iterations", iterations, hint="Each asks for one product.")
    if not growth > 1:
        raise ValueError(f"solve: growth must be above 1, got {growth}. Try 1.3.")
    for name, value in {"progress": progress, "residual": residual}.items():
        if not value >= 0:
            raise ValueError(f"solve: {name} must not be negative, got {value}. It is relative: try 5e-4.")
