"""Training: many steps of an optimiser in one compiled call, with a history, safe to interrupt.

`start` makes a learner: parameters, the optimiser's moments, the carried state. A trainer is a compiled `along(learner, *data) ->
(learner, losses)`, many updates in a row: `updates` makes one from any loss, `stretch` from a truncation on a long stream. `train` calls
it on one stretch of data after another and writes the history. `accumulate` adds up gradients over batches of different shapes.

Three promises: an update that would make the loss or the parameters infinite or NaN is not taken, and training stops there; an
interrupt keeps all updates made so far; no second copy of the learner is held, because the new one is written over the old (it is
donated: go on with what comes back).
"""

import signal
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from tqdm.auto import tqdm

from rnnlib.validation import require_array, require_size

Trainer = Callable[..., tuple["Learner", Any]]


class Learner(NamedTuple):
    """All that training changes: a pytree, which can be saved, vmapped over seeds, or trained further."""

    params: Any  # the net's
    moments: Any  # the optimiser's
    state: (
        Any  # (B, H), the carry at this place of the stream; or whatever else is handed from update to update, or None
    )


class Row(NamedTuple):
    """A line of the history, written at the end of each compiled call."""

    steps: int  # read so far along the first axis of the data: time steps of a stream, batches of `updates`
    updates: int  # steps of the optimiser so far
    seconds: float  # spent on training so far, without compilation and evaluation
    loss: float  # mean training loss of the call
    held_out: float  # what `evaluate` said; NaN without it


class Trained(NamedTuple):
    """What `train` returns."""

    learner: Learner  # after the last good update
    history: tuple[Row, ...]
    stopped: str | None  # why it ended early, and what to try; None if it did not


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
        >>> from rnnlib.cells import init_elman
        >>> start(optax.sgd(1.0), init_elman(3, 4, 2, rng=np.random.default_rng(0), dtype=np.float32), 5).state.shape
        (5, 4)
    """
    params = _copied(params)
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


def accumulate(
    objective: Callable[..., Any], params: Any, batches: Iterable[tuple[Any, ...]], *, weigh: Callable[..., Any]
) -> tuple[Any, Any]:
    """Add up the gradients of batches of any shape, and divide once: ∇L with L = Σ_n w_n L_n / Σ_n w_n.

    With w_n the steps of batch n and L_n their mean it is the gradient of the mean over all steps; with w_n the sequences and L_n the
    mean of their means, that of the mean over all sequences. Holds one gradient at a time, whatever the number of batches.

    Args:
        objective: `objective(params, *batch) -> L_n`, a mean.
        params: what to differentiate with respect to.
        batches: tuples of arrays; a new shape is a new compilation.
        weigh: `weigh(*batch) -> w_n`, how much a batch counts.

    Returns:
        `(L, ∇L)`.

    Raises:
        ValueError: no batches, or weights that sum to nothing.

    Example:
        >>> def mean(w, xs):
        ...     return (w * xs).mean()
        >>> loss, grads = accumulate(mean, 2.0, [(np.ones(3),), (np.zeros(1),)], weigh=len)
        >>> float(loss), float(grads)
        (1.5, 0.75)

    Source: Goodfellow, Bengio, Courville (2016), Deep Learning, section 8.1.3: the gradient of a sum is the sum of the gradients.
    """
    gradient = _gradient(objective)
    total, weight = None, 0.0
    for batch in batches:
        w = weigh(*batch)
        here = jax.tree.map(lambda g, w=w: w * g, gradient(params, *batch))
        total, weight = here if total is None else jax.tree.map(jnp.add, total, here), weight + w
    if not weight > 0:
        raise ValueError(
            f"accumulate: the weights of all batches must sum to more than 0, got {weight}. Is `batches` used up?"
        )
    return jax.tree.map(lambda g: g / weight, total)


@lru_cache(maxsize=16)
def _gradient(objective):
    """Compiled once for each objective and shape, not once a call."""
    return jax.jit(jax.value_and_grad(objective))


def _compiled(gradient, optimiser, batches):
    """Scan updates over batches; from the first on that is not finite none is taken, and all later losses are NaN.

    Its own loss is NaN if the loss was not finite, and infinite if the loss was and the parameters would not have been.
    """

    def update(carry, batch):
        learner, fine = carry
        loss, grads, state = gradient(learner, batch)
        changes, moments = optimiser.update(grads, learner.moments, learner.params)
        reached = Learner(optax.apply_updates(learner.params, changes), moments, state)
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


def train(
    along: Trainer | Iterable[Trainer],
    learner: Learner,
    stretches: Iterable[tuple[Any, ...]],
    *,
    evaluate: Callable[[Any], float] | None = None,
    desc: str = "training",
) -> Trained:
    """Run a trainer on one stretch of data after another, with a progress bar.

    An interrupt ends the training and keeps what was reached. So does an update that would make the loss or the
    parameters infinite or NaN: it is not taken.

    Args:
        along: from `updates` or `stretch`, or one for each stretch, where the window changes as training goes on. The first stretch
            of each runs twice, once to compile.
        learner: where to begin. It is copied.
        stretches: what the trainer takes after its learner, in order: pairs of xs (N, B, ...) and targets, say.
        evaluate: parameters to a number, called after each stretch with a copy, which it may keep.
        desc: what the bar is called.

    Returns:
        `Trained(learner, history, stopped)`: the learner after the last good update, a `Row` for each stretch that was completed, and
        why it ended early, if it did. A loss that is not finite before the first update is not the rate's fault: it says where data or
        parameters are the first not to be.

    Raises:
        ValueError: data of different lengths or of none, or more trainers than stretches, or fewer.

    Example:
        >>> from rnnlib import cells, losses, truncation
        >>> along = stretch(truncation.chunked, losses.squared_error, cells.elman_step, optax.sgd(0.1), window=2)
        >>> net = cells.init_elman(3, 4, 2, rng=np.random.default_rng(0), dtype=np.float32)
        >>> xs = np.ones((6, 5, 3), np.float32)
        >>> trained = train(along, start(optax.sgd(0.1), net, 5), [(xs, xs[..., :2])] * 3)
        >>> [row.steps for row in trained.history]
        [6, 12, 18]
    """
    stretches = list(stretches)
    each = [along] * len(stretches) if callable(along) else list(along)
    learner, history, stopped = _copied(learner), [], None
    warm, steps, made, seconds = set(), 0, 0, 0.0
    bar = tqdm(zip(each, stretches, strict=True), total=len(stretches), desc=desc)
    try:
        for one, data in bar:
            data = _as_long("train", data)
            shapes = one, tuple((a.shape, a.dtype) for a in data)
            if shapes not in warm:  # a run for nothing, so that the clock does not see the compilation
                jax.block_until_ready(one(_copied(learner), *data))
                warm.add(shapes)
            with interrupts_wait():  # between donating the old learner and receiving the new one
                begin = time.perf_counter()
                learner, losses = jax.block_until_ready(one(learner, *data))
                seconds += time.perf_counter() - begin
                good = int(np.isfinite(losses).sum(axis=-1).min())  # of the worst, where several learners are vmapped
                made += good
            if good < losses.shape[-1]:
                stopped = _why(made, bool(np.isnan(losses[..., good]).any()), learner.params, data)
                break
            steps += len(data[0])
            held_out = float("nan") if evaluate is None else float(evaluate(_copied(learner.params)))
            history.append(Row(steps, made, seconds, float(losses.mean()), held_out))
    except KeyboardInterrupt:
        stopped = f"stopped by hand after {made} updates, which are kept"
    if stopped:
        tqdm.write(f"{desc}: {stopped}.")
    return Trained(learner, tuple(history), stopped)


def _why(made, unsound, params, data):
    """Why no further update was taken, and what to try; `unsound`: the loss itself was not finite, before any update."""
    names = [*("xs", "targets")[: len(data)], *(f"data[{i}]" for i in range(2, len(data)))]
    first = _first_not_finite([*zip(names, data, strict=True), *_named(params)]) if unsound else None
    if unsound and made == 0:
        hint = "Data and parameters are finite: look for log 0, 0 / 0, or a target outside 0 ... K − 1 in the loss"
        found = f"{first} stands there. Mend it, or give such steps weight 0 and a mask" if first else hint
        return f"the loss is not finite before the first update, which no rate can help. {found}"
    stopped = f"update {made + 1} would have made the loss or the parameters NaN or infinite, and was not taken"
    stopped += f". {first} stands in its data: does it count?" if first else ""
    return stopped + ". Try a smaller rate, or optax.clip_by_global_norm before the optimiser"


def _named(params):
    for path, leaf in jax.tree.leaves_with_path(params):
        yield "params" + jax.tree_util.keystr(path), leaf


def _first_not_finite(arrays):
    """What stands at the first place that is not finite, such as "nan at xs[3, 0, 1]"; None if there is none."""
    for name, array in arrays:
        array = np.asarray(array)
        places = np.argwhere(~np.isfinite(array)) if jnp.issubdtype(array.dtype, jnp.floating) else []
        if len(places):
            return f"{array[tuple(places[0])]} at {name}[{', '.join(map(str, places[0]))}]"
    return None


def _copied(arrays):
    """Arrays that donating the originals leaves alone."""
    return jax.tree.map(jnp.array, arrays)


def _as_long(where, data):
    """The arrays of one stretch, of one length."""
    for name, array in zip(("xs", "targets"), data, strict=False):
        require_array(where, **{name: array})
    lengths = [len(array) for array in data]
    if 0 in lengths:
        raise ValueError(
            f"{where}: the arrays of a stretch must have a step at least, got {lengths}. Is a slice empty?"
        )
    if len(set(lengths)) > 1:
        raise ValueError(
            f"{where}: the arrays of a stretch must be of one length, got {lengths}. Was a target left out?"
        )
    return jax.tree.map(jnp.asarray, tuple(data))


@contextmanager
def interrupts_wait():
    """Let an interrupt wait until the block is done: none is lost, and none comes between a call and its result."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread is ever interrupted
        return
    waiting = []
    before = signal.signal(signal.SIGINT, lambda *caught: waiting.append(caught))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if waiting:
        raise KeyboardInterrupt
