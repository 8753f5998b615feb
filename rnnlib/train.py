"""Training: an optimiser's steps along a long stream, compiled, with a history, and nothing lost when it is stopped."""

import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from tqdm.auto import tqdm

from rnnlib.validation import require_shape, require_size


class Learner(NamedTuple):
    """All that training changes: a pytree, which can be saved, vmapped over seeds, or trained further."""

    params: Any  # the net's
    moments: Any  # the optimiser's
    state: Any  # (B, H), the carry at this place of the stream


class Row(NamedTuple):
    """A line of the history, written at the end of a stretch."""

    steps: int  # time steps read so far, in each of the B sequences
    updates: int  # steps of the optimiser so far
    seconds: float  # spent on training so far, without compilation and evaluation
    loss: float  # mean training loss of the stretch
    held_out: float  # what `evaluate` said; NaN without it


def start(optimiser: optax.GradientTransformation, params: Any, B: int) -> Learner:
    """Begin: the optimiser's zeros, and h_0 as the carry of each of B sequences.

    Args:
        optimiser: from optax.
        params: the parameters, with a field `h0` (H,).
        B: sequences in the stream.

    Returns:
        A `Learner`.

    Raises:
        ValueError: B below 1.
        TypeError: B that is not whole.

    Example:
        >>> from rnnlib.cells import init_elman
        >>> start(optax.sgd(1.0), init_elman(3, 4, 2, rng=np.random.default_rng(0), dtype=np.float32), 5).state.shape
        (5, 4)
    """
    require_size("start", "B", B)
    params = jax.tree.map(jnp.asarray, params)
    return Learner(params, optimiser.init(params), jnp.broadcast_to(params.h0, (B, *params.h0.shape)))


def stretch(
    truncation: Callable, loss: Callable, step: Callable, optimiser: optax.GradientTransformation, *, window: int
) -> Callable[[Learner, Any, Any], tuple[Learner, Any]]:
    """Make a function that trains along a stretch of a stream: an update each `window` steps, the carry handed on.

    Each update is θ ← θ + optimiser(∇̂), with ∇̂ from a truncation on `window` steps that begins with the carried state, which is a constant.

    Args:
        truncation: of `rnnlib.truncation`, such as `chunked`.
        loss: `loss(ys, targets)`, a mean over the steps of a chunk.
        step: a cell's `step(params, x, h) -> (y, h)`.
        optimiser: from optax.
        window: steps between two updates.

    Returns:
        `along(learner, xs, targets) -> (learner, losses)`, with xs (N, B, ...) of floats and targets (N, B, ...); losses (N // window,).
        Pure and jitted; `jax.vmap` runs it over learners that differ in their seed. Steps beyond a multiple of `window` are left out.

    Raises:
        ValueError: a window below 1, and what the truncation raises.
        TypeError: a window that is not whole.

    Example:
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

    def update(learner, chunk):
        xs, targets = chunk
        result = truncation(loss, step, learner.params, xs, targets, learner.state, window=window)
        changes, moments = optimiser.update(result.grads, learner.moments, learner.params)
        carry = jax.tree.map(lambda h: h[-1], result.hs)
        return Learner(optax.apply_updates(learner.params, changes), moments, carry), result.loss

    def along(learner, xs, targets):
        count = len(xs) // window
        chunks = jax.tree.map(lambda a: a[: count * window].reshape(count, window, *a.shape[1:]), (xs, targets))
        return jax.lax.scan(update, learner, chunks)

    return jax.jit(along)


def train(
    along: Callable | Iterable[Callable],
    learner: Learner,
    stretches: Iterable[tuple[Any, Any]],
    *,
    evaluate: Callable[[Any], float] | None = None,
    desc: str = "training",
) -> tuple[Learner, tuple[Row, ...]]:
    """Train along one stretch after another, with a progress bar.

    An interrupt ends the training and keeps what was reached. So does a loss that is not finite: the last good learner comes back, and the
    bar says where it happened.

    Args:
        along: from `stretch`, or one for each stretch, where the window changes as training goes on. The first stretch of each runs
            twice, once to compile.
        learner: where to begin.
        stretches: pairs of xs (N, B, ...) and targets, in order.
        evaluate: parameters to a number, called after each stretch.
        desc: what the bar is called.

    Returns:
        `(learner, history)`: the last good learner, and a `Row` for each stretch.

    Raises:
        ValueError: xs and targets of different lengths.

    Example:
        >>> from rnnlib import cells, losses, truncation
        >>> along = stretch(truncation.chunked, losses.squared_error, cells.elman_step, optax.sgd(0.1), window=2)
        >>> net = cells.init_elman(3, 4, 2, rng=np.random.default_rng(0), dtype=np.float32)
        >>> xs = np.ones((6, 5, 3), np.float32)
        >>> learner, history = train(along, start(optax.sgd(0.1), net, 5), [(xs, xs[..., :2])] * 3)
        >>> [row.steps for row in history]
        [6, 12, 18]
    """
    stretches = list(stretches)
    each = [along] * len(stretches) if callable(along) else list(along)
    compiled, history, steps, updates, seconds = set(), [], 0, 0, 0.0
    bar = tqdm(zip(each, stretches, strict=True), total=len(stretches), desc=desc)
    try:
        for one, (xs, targets) in bar:
            require_shape(
                "train", "targets", targets[:, :0], (*xs.shape[:1], 0, *targets.shape[2:]), match="as long as xs"
            )
            if (one, xs.shape) not in compiled:  # a run for nothing, so that the clock does not see the compilation
                jax.block_until_ready(one(learner, xs, targets))
                compiled.add((one, xs.shape))
            begin = time.perf_counter()
            reached, losses = jax.block_until_ready(one(learner, xs, targets))
            seconds, losses = seconds + time.perf_counter() - begin, np.asarray(losses)
            if not np.isfinite(losses).all():
                at = updates + int(np.argmin(np.isfinite(losses))) + 1
                bar.set_description(
                    f"{desc}: loss is {losses[at - updates - 1]} at update {at}, stopped; try a smaller rate or clipping"
                )
                break
            learner, steps, updates = reached, steps + len(xs), updates + losses.shape[-1]
            held_out = float("nan") if evaluate is None else float(evaluate(learner.params))
            history.append(Row(steps, updates, seconds, float(losses.mean()), held_out))
    except KeyboardInterrupt:
        bar.set_description(f"{desc}: stopped by hand after {updates} updates, which are kept")
    return learner, tuple(history)
