"""The quadratic model of a loss that Hessian-free training steps on, and the guards that keep a step from trusting it too far.

`Model` is q(δ) = g · δ + ½ δᵀ G δ around θ. Its lowest point comes from `cg.solve`; whether the loss goes down there is another question,
which `backtrack` and `line_search` ask of the loss itself: `loss_at(step)` is the loss after a step.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from rnnlib.curvature import gauss_newton, hessian_vector


class Model(NamedTuple):
    """The model q around the parameters, on one batch."""

    run: Callable
    loss: Callable
    settings: Any  # HessianFree
    params: Any
    batch: Any

    def damped(self, damping):
        """Return the product with G + λ μ (G of the distance of the states) + (λ + weight decay) I."""
        s, here = self.settings, self.run(self.params, self.batch)[1] if self.settings.structural else None

        def convex(outputs):
            ys, states = outputs
            return self.loss(ys, self.batch) + (damping * s.structural * _distance(states, here) if s.structural else 0)

        def outputs(params):
            ys, states = self.run(params, self.batch)
            return ys, states if s.structural else None

        product = gauss_newton(outputs, convex, self.params)
        return lambda v: jax.tree.map(lambda Gv, v: Gv + (damping + s.weight_decay) * v, product(v), v)

    def predicted(self, grads, step):
        """Return q(δ) = g · δ + ½ δᵀ G δ, without damping."""
        ys, moved = jax.jvp(lambda params: self.run(params, self.batch)[0], (self.params,), (step,))
        curved = hessian_vector(lambda ys: self.loss(ys, self.batch), ys, moved)
        return (
            optax.tree.vdot(grads, step)
            + (optax.tree.vdot(moved, curved) + self.settings.weight_decay * optax.tree.vdot(step, step)) / 2
        )

    def preconditioner(self, damping):
        """Return r ↦ r / (mean over sequences of their squared gradients + λ)^exponent."""
        s, B = self.settings, sequences(self.batch)
        if not s.exponent:
            return None
        size = max(size for size in range(1, min(B, 32) + 1) if B % size == 0)  # sequences at once
        groups = jax.tree.map(
            lambda a: jnp.moveaxis(a, 1, 0).reshape(B // size, size, len(a), 1, *a.shape[2:]), self.batch
        )

        def loss(params, sequence):  # without weight decay, which is no sequence's own
            return self.loss(self.run(params, sequence)[0], sequence)

        def add(total, group):
            grads = jax.vmap(jax.grad(loss), (None, 0))(self.params, group)  # 1/B of each sequence's own
            return jax.tree.map(lambda t, g: t + B * (g**2).sum(0), total, grads), None

        squares, _ = jax.lax.scan(add, jax.tree.map(jnp.zeros_like, self.params), groups)
        return lambda r: jax.tree.map(lambda r, square: r / (square + damping) ** s.exponent, r, squares)

    def cost(self, iterations):
        """Return gradients of one sequence: a product costs about one, the preconditioner and the prediction one more each."""
        return sequences(self.batch) * (iterations + 2 + bool(self.settings.exponent))


def loss_after(objective, params, batch, step):
    """Return the loss after a step; infinity where it, or a parameter, is not a number."""
    moved = jax.tree.map(jnp.add, params, step)
    value = objective(moved, batch)
    fine = jnp.stack([jnp.isfinite(leaf).all() for leaf in jax.tree.leaves((value, moved))])
    return jnp.where(fine.all(), value, jnp.inf)


def backtrack(loss_at, solution):
    """Go from the last iterate back, as long as the one before it is no higher: the step, its iteration, its loss, losses asked for."""
    last = (solution.kept_at >= 0).sum()  # the solution itself comes after those that were kept
    insert = lambda kept, x: jnp.concatenate([kept, x[None]]).at[last].set(x)  # noqa: E731
    steps = jax.tree.map(insert, solution.kept, solution.x)
    numbers = insert(jnp.asarray(solution.kept_at), solution.iterations)
    at = lambda j: jax.tree.map(lambda step: step[j], steps)  # noqa: E731

    def try_next(now):
        k, j, here, _ = now
        value = loss_at(at(k))
        lower = value <= here
        return k - 1, jnp.where(lower, k, j), jnp.where(lower, value, here), lower

    dtype = jax.eval_shape(loss_at, solution.x).dtype
    first = (last, last, jnp.array(jnp.inf, dtype), jnp.array(True))
    k, j, here, _ = jax.lax.while_loop(lambda now: (now[0] >= 0) & now[3], try_next, first)
    return at(j), numbers[j], here, last - k


def line_search(loss_at, s, step, before, after, slope):
    """Shrink the step until it lowers the loss by 1 % of what the slope promised: scale, loss there, losses asked for."""

    def too_high(scale, value):
        return ~(value < before + 0.01 * scale * jnp.minimum(slope, 0))  # true for a NaN as well

    def shrink(now):
        scale, _, tries = now
        scale = scale * s.line_shrink
        return scale, loss_at(optax.tree.scale(scale, step)), tries + 1

    scale, value, tries = jax.lax.while_loop(
        lambda now: too_high(*now[:2]) & (now[2] < s.line_tries), shrink, (jnp.ones_like(after), after, jnp.array(0))
    )
    refused = too_high(scale, value)
    return jnp.where(refused, 0, scale), jnp.where(refused, before, value), tries


def _distance(states, here):
    """½ ‖h − h_here‖², averaged over steps and sequences."""
    gaps = jax.tree.map(lambda h, at: ((h - at) ** 2).sum() / (2 * h.shape[0] * h.shape[1]), states, here)
    return sum(jax.tree.leaves(gaps))


def sequences(batch):
    """Return how many there are in a batch of arrays (T, B, ...)."""
    return jax.tree.leaves(batch)[0].shape[1]
