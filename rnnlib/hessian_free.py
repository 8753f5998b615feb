"""Hessian-free training: each update goes to the lowest point of a quadratic model of the loss, found by conjugate gradients.

Around θ the loss is modelled by q(δ) = g · δ + ½ δᵀ G δ, with the gradient g and the Gauss-Newton matrix G. Far from θ the model is not to
be trusted, so what is minimised has a price on long steps, with the damping λ, and on steps that change the hidden states h, with λ μ
(λ itself in both, so that one rule sets both):

    q(δ) + ½ λ ‖δ‖² + λ μ D(h(θ + δ), h(θ))        D: half the squared distance, averaged over steps and sequences

λ is set by how well the model predicted the loss, ρ = (L(θ + δ) − L(θ)) / q(δ): near 1 it is lowered, near 0 raised (Levenberg and
Marquardt). The last term is structural damping: it costs no further product, as G of the loss plus λ μ D is one Gauss-Newton matrix.

`start`, `updates` and `train` are used as those of `rnnlib.train`. All of an update is compiled in one piece.
"""

import time
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float
from tqdm.auto import tqdm

from rnnlib import cg
from rnnlib.quadratic import Model, backtrack, line_search, loss_after, sequences, squared_distance
from rnnlib.train import Trained, interrupts_wait


class HessianFree(NamedTuple):
    """The settings, most as they were published; all may be left as they are, but the first two ask for a look at the task."""

    damping: float = 1.0  # λ at the start: a wrong one is mended at a factor of 3/2 an update
    structural: float = 0.0  # μ: the price on changes of the hidden states, in shares of λ; 0 leaves it out
    weight_decay: float = 0.0  # adds ½ · weight_decay · ‖θ‖² to the loss
    iterations: int = 250  # the most products an update may ask for
    progress: float = 5e-4  # conjugate gradients stop when a step gains less than this share
    warm_start: float = 0.95  # they begin at this multiple of the last update's solution; 0 begins at zero
    exponent: float = 0.75  # of the preconditioner (diag of squared gradients + λ)^exponent; 0 leaves it out
    distance: Callable = (
        squared_distance  # D, of states from where they are: this, or `matching_distance` for tanh units
    )
    structural_diagonal: bool = False  # whether the preconditioner knows the structural term, by random signs
    everywhere: bool = False  # whether all iterates kept are tried, not only while they get lower
    line_shrink: float = 0.8  # the line search tries steps 1, 0.8, 0.64 ...
    line_tries: int = 30  # ... so many, before the update is refused


PUBLISHED = HessianFree()


class Learner(NamedTuple):
    """All that an update changes: a pytree, which can be saved and trained further."""

    params: Any  # the net's
    direction: Any  # the last solution of conjugate gradients, where the next begins
    damping: Float[Array, ""]  # λ


class Row(NamedTuple):
    """A line of the history: one update."""

    loss: float  # on its gradient batch before the step, with weight decay
    after: float  # the same after it
    held_out: float  # what `evaluate` said after it; NaN without it
    damping: float  # λ that it was made with
    ratio: float  # ρ, actual over predicted reduction of the loss: 1 where the model was perfect
    iterations: int  # of conjugate gradients
    reason: str  # why these stopped, of `cg.REASONS`
    taken: int  # the iterate that was taken, after going back
    scale: float  # of the step, by the line search; 0 where the update was refused
    norm: float  # ‖step‖, scaled
    evaluations: float  # gradients of one sequence, or what costs as much, in all updates so far
    seconds: float  # spent in all updates so far, without compilation and evaluation


def start(params: Any, settings: HessianFree = PUBLISHED) -> Trained:
    """Begin: no direction yet, and the damping of the settings.

    Args:
        params: the net's parameters, a pytree of floating-point arrays. They are copied.
        settings: for the damping.

    Returns:
        `Trained(learner, (), None)`, for `train` to go on with.

    Example:
        >>> from rnnlib.cells import init_elman
        >>> float(start(init_elman(3, 4, 2, rng=np.random.default_rng(0))).learner.damping)
        1.0
    """
    params = jax.tree.map(jnp.array, params)
    damping = jnp.asarray(settings.damping, jnp.result_type(*jax.tree.leaves(params)))
    return Trained(Learner(params, jax.tree.map(jnp.zeros_like, params), damping), (), None)


def updates(run: Callable, loss: Callable, settings: HessianFree = PUBLISHED) -> Callable:
    """Make the compiled update of a net.

    Args:
        run: `run(params, batch) -> (ys, states)`, such as `lambda params, batch: unroll_states(params, batch.xs)`. The states are what
            structural damping holds: an array (T, B, ...), or a pytree of such.
        loss: `loss(ys, batch) -> L`, convex in ys, a weighted sum over the sequences (axis 1) with the weights in the batch, such as
            `lambda ys, batch: losses.squared_error(ys, batch.targets, batch.weights)`.
        settings: see `HessianFree`.

    Returns:
        `update(learner, batch, curved) -> (learner, report)`, pure and jitted. Batches are tuples of arrays (T, B, ...). The gradient and
        the losses that judge a step are taken on `batch`, G and the preconditioner on `curved`. The report holds the numbers of a
        `Row`. An update that would not lower the loss, or make it or the parameters NaN or infinite, is refused: the parameters stay
        where they are, and λ rises.

    Example:
        >>> from rnnlib import cells, losses, tasks
        >>> from rnnlib.unroll import unroll_states
        >>> batch = jax.tree.map(np.float32, tasks.adding(10, 20, rng=np.random.default_rng(0)))
        >>> net = cells.init_elman(2, 5, 1, rng=np.random.default_rng(0), dtype=np.float32)
        >>> update = updates(lambda p, batch: unroll_states(p, batch.xs), lambda ys, batch: losses.squared_error(ys, *batch[1:]))
        >>> learner, report = update(start(net).learner, batch, batch)
        >>> bool(report["after"] < report["loss"])
        True

    Source: Martens (2010), Deep learning via Hessian-free optimization, section 4; structural damping: Martens and Sutskever (2011),
    Learning recurrent neural networks with Hessian-free optimization, section 3.2.
    """

    def objective(params, batch):
        return loss(run(params, batch)[0], batch) + settings.weight_decay / 2 * optax.tree.vdot(params, params)

    def update(learner, batch, curved):
        params, damping = learner.params, learner.damping
        before, grads = jax.value_and_grad(objective)(params, batch)
        model = Model(run, loss, settings, params, curved)
        solution = cg.solve(
            model.damped(damping),
            optax.tree.scale(-1, grads),
            optax.tree.scale(settings.warm_start, learner.direction),
            precondition=model.preconditioner(damping),
            iterations=settings.iterations,
            progress=settings.progress,
        )
        loss_at = partial(loss_after, objective, params, batch)
        step, taken, after, tries = backtrack(loss_at, solution, settings.everywhere)
        ratio = (after - before) / model.predicted(grads, step)
        scale, after, more_tries = line_search(loss_at, settings, step, before, after, optax.tree.vdot(grads, step))
        step = jax.tree.map(lambda d: jnp.where(scale > 0, scale * d, 0).astype(d.dtype), step)
        factor = jnp.where((ratio >= 0.25) & (scale > 0), jnp.where(ratio > 0.75, 2 / 3, 1.0), 3 / 2)  # 3/2 for a NaN
        report = {
            "loss": before,
            "after": after,
            "damping": damping,
            "ratio": ratio,
            "iterations": solution.iterations,
            "reason": solution.reason,
            "taken": taken,
            "scale": scale,
            "norm": optax.tree.norm(step),
            "evaluations": model.cost(solution.iterations) + sequences(batch) * (1 + (tries + more_tries) / 3),
        }
        damping = (damping * factor).astype(damping.dtype)
        return Learner(optax.tree.add(params, step), solution.x, damping), report

    return jax.jit(update)


def train(
    update: Callable,
    trained: Trained,
    sample: Callable[[int], tuple[Any, Any]],
    *,
    max_updates: int,
    seconds: float = float("inf"),
    evaluate: Callable[[Any], float] | None = None,
    goal: float = float("-inf"),
    desc: str = "Hessian-free",
) -> Trained:
    """Make one update after another, with a progress bar, until there are `max_updates` of them in the history.

    An interrupt keeps all updates made so far: give what came back to `train` again, and it goes on as if nothing had happened.

    Args:
        update: from `updates`. Compiled before its first run, which the clock does not see.
        trained: where to begin: from `start`, from an earlier call, or from `checkpoints.load`.
        sample: `sample(n) -> (batch, curved)`, the batches of update n = 0, 1 ...; made from n alone, so that a resumed training sees the
            batches that an uninterrupted one sees.
        max_updates: updates in all, those before this call included.
        seconds: spent in updates in all, after which no new one begins.
        evaluate: parameters to a number, called after each update.
        goal: training ends when `evaluate` says this or less.
        desc: what the bar is called.

    Returns:
        `Trained(learner, history, stopped)`: the learner after the last update, a `Row` for each, and why it ended early, if it did.

    Raises:
        ValueError: a loss that is NaN or infinite before the first update.
        TypeError: what is sampled is no pair of batches of arrays.

    Example:
        >>> from rnnlib import cells, losses, tasks
        >>> from rnnlib.unroll import unroll_states
        >>> def sample(n):
        ...     batch = tasks.adding(10, 20, rng=np.random.default_rng(n))
        ...     return batch, batch
        >>> net = cells.init_elman(2, 5, 1, rng=np.random.default_rng(0), dtype=np.float32)
        >>> update = updates(lambda p, batch: unroll_states(p, batch.xs), lambda ys, batch: losses.squared_error(ys, *batch[1:]))
        >>> trained = train(update, start(net), sample, max_updates=2)
        >>> len(train(update, trained, sample, max_updates=3).history)
        3
    """
    learner, history, stopped = trained.learner, list(trained.history), None
    bar = tqdm(total=max_updates, initial=len(history), desc=desc)
    try:
        while len(history) < max_updates and not stopped:
            begun, spent = (history[-1].seconds, history[-1].evaluations) if history else (0.0, 0.0)
            if begun >= seconds:
                stopped = f"{seconds:g} seconds are spent"
                break
            batches = _as_batches(sample(len(history)))
            compiled = _compiled(update, *_shapes((learner, *batches)))
            with interrupts_wait():
                begin = time.perf_counter()
                reached, report = jax.block_until_ready(compiled(learner, *batches))
                took = time.perf_counter() - begin
            report = {name: value.item() for name, value in report.items()}
            if not np.isfinite(report["loss"]):
                stopped = f"the loss is {report['loss']} before update {len(history) + 1}. Try smaller weights, or look at the batch"
                break
            held_out = float("nan") if evaluate is None else float(evaluate(reached.params))
            report |= {"reason": cg.REASONS[report["reason"]], "evaluations": spent + report["evaluations"]}
            learner, history = reached, [*history, Row(**report, held_out=held_out, seconds=begun + took)]
            bar.update()
            bar.set_postfix(loss=f"{report['after']:.3g}", damping=f"{report['damping']:.2g}")
            if held_out <= goal:
                stopped = f"the goal is reached after {len(history)} updates"
    except KeyboardInterrupt:
        stopped = f"stopped by hand after {len(history)} updates, which are kept"
    bar.close()
    if stopped:
        tqdm.write(f"{desc}: {stopped}.")
    return Trained(learner, tuple(history), stopped)


def _as_batches(pair):
    """The two batches of an update, as JAX arrays."""
    if not (isinstance(pair, tuple) and len(pair) == 2 and all(isinstance(batch, tuple) for batch in pair)):
        raise TypeError(
            f"train: sample(n) must return two batches, tuples of arrays, got {type(pair).__name__}. Try return batch, batch."
        )
    return jax.tree.map(jnp.asarray, pair)


def _shapes(arguments):
    """A hashable description of arguments."""
    leaves, structure = jax.tree.flatten(arguments)
    return structure, tuple(jax.ShapeDtypeStruct(a.shape, a.dtype) for a in leaves)


@lru_cache(maxsize=16)
def _compiled(update, structure, leaves):
    """Compiled once for each update and shape, without running it."""
    return update.lower(*jax.tree.unflatten(structure, leaves)).compile()
