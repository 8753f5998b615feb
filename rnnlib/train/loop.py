"""The training loop: one compiled call after another, with a history, safe to interrupt."""

import signal
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import contextmanager
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from tqdm.auto import tqdm

from rnnlib.train.trainers import Learner, Trainer, copied
from rnnlib.validation import require_array


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
        >>> import optax
        >>> from rnnlib import cells, losses, truncation
        >>> from rnnlib.train import start, stretch
        >>> along = stretch(truncation.chunked, losses.squared_error, cells.elman_step, optax.sgd(0.1), window=2)
        >>> net = cells.init_elman(3, 4, 2, rng=np.random.default_rng(0), dtype=np.float32)
        >>> xs = np.ones((6, 5, 3), np.float32)
        >>> trained = train(along, start(optax.sgd(0.1), net, 5), [(xs, xs[..., :2])] * 3)
        >>> [row.steps for row in trained.history]
        [6, 12, 18]
    """
    stretches = list(stretches)
    each = [along] * len(stretches) if callable(along) else list(along)
    learner, history, stopped = copied(learner), [], None
    warm, steps, made, seconds = set(), 0, 0, 0.0
    bar = tqdm(zip(each, stretches, strict=True), total=len(stretches), desc=desc)
    try:
        for one, data in bar:
            data = _as_long("train", data)
            shapes = one, tuple((a.shape, a.dtype) for a in data)
            if shapes not in warm:  # a run for nothing, so that the clock does not see the compilation
                jax.block_until_ready(one(copied(learner), *data))
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
            held_out = float("nan") if evaluate is None else float(evaluate(copied(learner.params)))
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
