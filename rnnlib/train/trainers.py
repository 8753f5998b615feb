"""Trainers: a learner, and many updates of it in one compiled call."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from rnnlib.validation import require_size

Trainer = Callable[..., tuple["Learner", Any]]


class Learner(NamedTuple):
    """All that training changes: a pytree, which can be saved, vmapped over seeds, or trained further."""

    params: Any  # the net's
    opt_state: Any  # the optimiser's, as optax names it
    state: (
        Any  # (B, H), the carry at this place of the stream; or whatever else is handed from update to update, or None
    )


def start(optimiser: optax.GradientTransformation, params: Any, B: int | None = None) -> Learner:
    """Begin: the optimiser's zeros, and h_0 as the carry of each of B sequences.

    Args:
        optimiser: from optax.
        params: the parameters, with a field `h0` (H,), or a pytree of such. They are copied.
        B: sequences in the stream; None where no state is handed on, and each update begins at h_0.

    Returns:
        A `Learner`.

    Raises:
        ValueError: B below 1.
        TypeError: B that is not whole.

    Example:
        >>> import numpy as np
        >>> from rnnlib.cells import init_elman
        >>> start(optax.sgd(1.0), init_elman(3, 4, 2, rng=np.random.default_rng(0), dtype=np.float32), 5).state.shape
        (5, 4)
    """
    params = copied(params)
    if B is None:
        return Learner(params, optimiser.init(params), None)
    require_size("start", "B", B)
    state = jax.tree.map(lambda h: jnp.tile(h, (B, 1)), params.h0)
    return Learner(params, optimiser.init(params), state)


def updates(objective: Callable[..., tuple[Any, Any]], optimiser: optax.GradientTransformation) -> Trainer:
    """Make a trainer from any loss: θ ← θ + optimiser(∇_θ L(θ, state, batch)), a batch each.

    Args:
        objective: `objective(params, state, *batch) -> (loss, state)`; the state that it returns is handed to the next batch, as a
            constant. With `state` None in the learner it may be None again.
        optimiser: from optax.

    Returns:
        `along(learner, *data) -> (learner, losses)`, where `data` are arrays with the N batches along the first axis; losses (N,). Pure and
        jitted; the learner passed in is donated. `jax.vmap` runs it over learners that differ in their seed.

    Example:
        >>> import numpy as np
        >>> from rnnlib import cells, losses
        >>> from rnnlib.unroll import unroll_scan
        >>> def objective(params, state, xs, targets):
        ...     ys, state = unroll_scan(params, xs, state)
        ...     return losses.squared_error(ys, targets), state
        >>> net = cells.init_elman(3, 4, 2, rng=np.random.default_rng(0), dtype=np.float32)
        >>> xs = np.ones((6, 2, 5, 3), np.float32)  # (N, T, B, D)
        >>> learner, losses = updates(objective, optax.sgd(0.1))(start(optax.sgd(0.1), net, 5), xs, xs[..., :2])
        >>> losses.shape
        (6,)

    Source: Bottou, Curtis, Nocedal (2018), Optimization methods for large-scale machine learning, SIAM Review 60, algorithm 4.1.
    """

    def gradient(learner, batch):
        (loss, state), grads = jax.value_and_grad(objective, has_aux=True)(learner.params, learner.state, *batch)
        return loss, grads, state

    return _compiled(gradient, optimiser, lambda data: data)


def stretch(
    truncation: Callable, loss: Callable, step: Callable, optimiser: optax.GradientTransformation, *, window: int
) -> Trainer:
    """Make a trainer along a stretch of a stream: an update each `window` steps, the carry handed on.

    Each update is θ ← θ + optimiser(∇̂), with ∇̂ from a truncation on `window` steps that begins with the carried state, which is a constant.

    Args:
        truncation: of `rnnlib.truncation`, such as `chunked`.
        loss: `loss(ys, targets)`, a mean over the steps of a chunk.
        step: a cell's `step(params, x, h) -> (y, h)`.
        optimiser: from optax.
        window: steps between two updates.

    Returns:
        `along(learner, xs, targets) -> (learner, losses)`, with xs (N, B, ...) of floats and targets (N, B, ...); losses (N // window,).
        Pure and jitted; the learner passed in is donated. Steps beyond a multiple of `window` are left out.

    Raises:
        ValueError: a window below 1, or longer than a stretch that `along` is given; what the truncation raises.
        TypeError: a window that is not whole.

    Example:
        >>> import numpy as np
        >>> from rnnlib import cells, losses, truncation
        >>> along = stretch(truncation.chunked, losses.squared_error, cells.elman_step, optax.sgd(0.1), window=2)
        >>> net = cells.init_elman(3, 4, 2, rng=np.random.default_rng(0), dtype=np.float32)
        >>> xs = np.ones((6, 5, 3), np.float32)
        >>> learner, losses = along(start(optax.sgd(0.1), net, 5), xs, xs[..., :2])
        >>> losses.shape
        (3,)

    Source: Williams and Peng (1990), An efficient gradient-based algorithm, BPTT(h; h').
    """
    require_size("stretch", "window", window)

    def gradient(learner, chunk):
        result = truncation(loss, step, learner.params, *chunk, learner.state, window=window)
        return result.loss, result.grads, jax.tree.map(lambda h: h[-1], result.hs)

    def chunks(data):
        count = len(data[0]) // window
        if not count:
            got = f"got window {window} for a stretch of {len(data[0])}"
            raise ValueError(
                f"stretch: window must fit into a stretch, {got}. Nothing would be trained: try longer ones."
            )
        return jax.tree.map(lambda a: a[: count * window].reshape(count, window, *a.shape[1:]), data)

    return _compiled(gradient, optimiser, chunks)


def _compiled(gradient, optimiser, batches):
    """Scan updates over batches; from the first on that is not finite none is taken, and all later losses are NaN.

    Its own loss is NaN if the loss was not finite, and infinite if the loss was and the parameters would not have been.
    """

    def update(carry, batch):
        learner, fine = carry
        loss, grads, state = gradient(learner, batch)
        changes, opt_state = optimiser.update(grads, learner.opt_state, learner.params)
        reached = Learner(optax.apply_updates(learner.params, changes), opt_state, state)
        sound = fine & jnp.isfinite(loss).all()
        fine = sound
        for leaf in jax.tree.leaves(reached.params):
            fine &= jnp.isfinite(leaf).all()
        learner = jax.tree.map(lambda new, old: jnp.where(fine, new, old), reached, learner)
        return (learner, fine), jnp.where(fine, loss, jnp.where(sound, jnp.inf, jnp.nan))

    def along(learner, *data):
        (learner, _), losses = jax.lax.scan(update, (learner, jnp.array(True)), batches(data))
        return learner, losses

    return jax.jit(along, donate_argnums=0)


def copied(arrays):
    """Arrays that donating the originals leaves alone."""
    return jax.tree.map(jnp.array, arrays)
