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
            return self.loss(ys, self.batch) + (
                damping * s.structural * s.distance(states, here) if s.structural else 0
            )

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
        """Return r ↦ r / (diagonal + λ)^exponent: mean squares of the sequences' gradients, and of the structural term's."""
        s = self.settings
        if not s.exponent:
            return None

        def loss(params, sequence, _):  # without weight decay, which is no sequence's own
            return self.loss(self.run(params, sequence)[0], sequence)

        B = sequences(self.batch)
        diagonal = self._mean_squares(lambda *each: B * loss(*each))  # each holds 1/B of the weight
        if s.structural and s.structural_diagonal:
            held = self._mean_squares(self._signed_states)
            diagonal = jax.tree.map(lambda d, h: d + damping * s.structural * h, diagonal, held)
        return lambda r: jax.tree.map(lambda r, d: r / (d + damping) ** s.exponent, r, diagonal)

    def _signed_states(self, params, sequence, key):
        """Return u · √H_D h with random signs u: the squares of its gradient have the diagonal of Jᵀ H_D J for a mean."""
        states = self.run(params, sequence)[1]
        leaves, structure = jax.tree.flatten(states)
        here = [jax.lax.stop_gradient(h) for h in leaves]

        def distance(states):
            return self.settings.distance(*(jax.tree.unflatten(structure, each) for each in (states, here)))

        curved = hessian_vector(distance, here, [jnp.ones_like(h) for h in here])  # H_D is diagonal
        keys = jax.random.split(key, len(leaves))
        signs = [jax.random.rademacher(k, h.shape, h.dtype) for k, h in zip(keys, leaves, strict=True)]
        return sum((u * jnp.sqrt(c) * h).sum() for u, c, h in zip(signs, curved, leaves, strict=True))

    def _mean_squares(self, number):
        """The gradient of a number of each sequence, squared; its mean over the sequences, some of them at a time."""
        B = sequences(self.batch)
        size = max(size for size in range(1, min(B, 32) + 1) if B % size == 0)

        def grouped(a):
            return jnp.moveaxis(a, 1, 0).reshape(B // size, size, len(a), 1, *a.shape[2:])

        keys = jax.random.split(jax.random.key(0), B).reshape(B // size, size)

        def add(total, group):
            grads = jax.vmap(jax.grad(number), (None, 0, 0))(self.params, *group)
            return jax.tree.map(lambda t, g: t + (g**2).sum(0) / B, total, grads), None

        zeros = jax.tree.map(jnp.zeros_like, self.params)
        return jax.lax.scan(add, zeros, (jax.tree.map(grouped, self.batch), keys))[0]

    def cost(self, iterations):
        """Return gradients of one sequence: a product costs about one; so do the preconditioner, each of its parts, and the prediction."""
        s = self.settings
        return sequences(self.batch) * (
            iterations + 2 + bool(s.exponent) * (1 + bool(s.structural and s.structural_diagonal))
        )


def loss_after(objective, params, batch, step):
    """Return the loss after a step; infinity where it, or a parameter, is not a number."""
    moved = jax.tree.map(jnp.add, params, step)
    value = objective(moved, batch)
    fine = jnp.stack([jnp.isfinite(leaf).all() for leaf in jax.tree.leaves((value, moved))])
    return jnp.where(fine.all(), value, jnp.inf)


def backtrack(loss_at, solution, everywhere=False):
    """Go from the last iterate back, while the one before it is no higher, or to the first: step, iteration, loss, losses asked for."""
    last = (solution.kept_at >= 0).sum()  # the solution itself comes after those that were kept
    insert = lambda kept, x: jnp.concatenate([kept, x[None]]).at[last].set(x)  # noqa: E731
    steps = jax.tree.map(insert, solution.kept, solution.x)
    numbers = insert(jnp.asarray(solution.kept_at), solution.iterations)
    at = lambda j: jax.tree.map(lambda step: step[j], steps)  # noqa: E731

    def try_next(now):
        k, j, here, _ = now
        value = loss_at(at(k))
        lower = value <= here
        return k - 1, jnp.where(lower, k, j), jnp.where(lower, value, here), lower | everywhere

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


def squared_distance(states: Any, here: Any) -> Any:
    """Return ½ ‖h − h_here‖², averaged over steps and sequences, summed over units: the structural damping of the paper's text."""
    gaps = jax.tree.map(lambda h, at: ((h - at) ** 2).sum() / (2 * h.shape[0] * h.shape[1]), states, here)
    return sum(jax.tree.leaves(gaps))


def matching_distance(states: Any, here: Any) -> Any:
    """Return `squared_distance` with a weight of 1 / (1 − h²): for tanh units the curvature of tanh's matching loss, 1 − h², at a.

    A squared distance of h = tanh(a) bends by (1 − h²)² as a moves, and lets go of saturated units; the matching loss, whose slope at a is
    tanh(a) − h_here, bends by 1 − h². The two curvatures differ by this weight, so it stands for the other in a Gauss-Newton product.

    Source: Boulanger-Lewandowski's theano-hf (2013), whose structural damping is a cross-entropy of the hidden units with themselves.
    """
    weighted = jax.tree.map(lambda h, at: (h - at) / jnp.sqrt(jnp.maximum(1 - at**2, 1e-4)), states, here)
    return squared_distance(weighted, jax.tree.map(jnp.zeros_like, here))


def sequences(batch):
    """Return how many there are in a batch of arrays (T, B, ...)."""
    return jax.tree.leaves(batch)[0].shape[1]
