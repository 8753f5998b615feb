"""A cell along a long sequence, with memory for about √T states: each chunk of steps is run again where it is differentiated."""

import math
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from rnnlib.unroll.checks import Inputs, check
from rnnlib.unroll.recurrence import at, unroll
from rnnlib.validation import require_shape, require_size


def unroll_checkpointed(
    params: Any, xs: Inputs, state: Any = None, *, chunk: int | None = None
) -> tuple[Float[Array, "T B K"], Any]:
    """Run a cell over time and keep the state of each `chunk` steps only; the backward pass runs each chunk again.

    Same outputs and the exact gradient. With n arrays for each step of the chunk in hand (four or five), memory goes as
    T / chunk + n · chunk states instead of n · T: least at chunk = √(T / n), about √T / 2. The price is one more forward pass.
    What is returned is T outputs all the same; where these are too many, `loss_checkpointed` doesn't keep them.

    Args:
        params: the parameters of a cell of `rnnlib.cells`.
        xs: (T, B, D), inputs, time first.
        state: the state to start from, (B, H), or a pytree of such arrays; None for the trained `params.h0`.
        chunk: steps between two states that are kept; None for about √T / 2, and a divisor of T if there is one nearby, which spares
            a copy of xs.

    Returns:
        `(ys, state)`: outputs (T, B, K), and the state after the last step.

    Raises:
        ValueError: shapes that disagree, an empty sequence or batch, a chunk outside 1 ... T.
        TypeError: inputs that are not floating point, parameters that are no cell's, a chunk that is not whole.

    Example:
        >>> import numpy as np
        >>> from rnnlib.cells import init_elman
        >>> ys, state = unroll_checkpointed(init_elman(3, 16, 2, rng=np.random.default_rng(0)), np.ones((7, 5, 3)))
        >>> ys.shape, state.shape
        ((7, 5, 2), (5, 16))

    Source: Chen, Xu, Zhang, Guestrin (2016), Training deep nets with sublinear memory cost, arXiv 1604.06174, section 4.2.
    """
    xs, state = check("unroll_checkpointed", params, xs, state)

    def run(state, xs):
        ys, states = unroll(params, xs, state, None)
        return ys, at(-1, states)

    parts, state = _in_chunks("unroll_checkpointed", run, xs, state, chunk)
    return jnp.concatenate([ys.reshape(-1, *ys.shape[-2:]) for ys in parts]), state


def loss_checkpointed(
    loss, params: Any, xs: Inputs, targets: Any, state: Any = None, *, chunk: int | None = None
) -> tuple[Float[Array, ""], Any]:
    """Score the outputs of `unroll_checkpointed` chunk by chunk, so that they never exist all at once: L = Σ_c (steps of c / T) · L_c.

    Args:
        loss: `loss(ys, targets)`, a mean over all steps, such as `losses.softmax_cross_entropy`. (One that divides by the steps that
            count in its own chunk would be averaged wrongly: divide by their number in all chunks beforehand.)
        params: the parameters of a cell of `rnnlib.cells`.
        xs: (T, B, D), inputs, time first.
        targets: an array (T, B, ...), or a pytree of them.
        state: the state to start from, (B, H), or a pytree of such arrays; None for the trained `params.h0`.
        chunk: steps between two states that are kept; None for about √T / 2, and a divisor of T if there is one nearby, which spares
            a copy of xs.

    Returns:
        `(L, state)`: the mean loss, and the state after the last step.

    Raises:
        ValueError: as for `unroll_checkpointed`, and targets of another length than xs.
        TypeError: as for `unroll_checkpointed`.

    Example:
        >>> import numpy as np
        >>> from rnnlib import cells, losses
        >>> params, xs = cells.init_elman(3, 16, 2, rng=np.random.default_rng(0)), np.ones((7, 5, 3))
        >>> value, state = loss_checkpointed(losses.squared_error, params, xs, xs[..., :2])
        >>> bool(jnp.allclose(value, losses.squared_error(unroll_checkpointed(params, xs)[0], xs[..., :2])))
        True

    Source: Chen, Xu, Zhang, Guestrin (2016), section 4.2.
    """
    xs, state = check("loss_checkpointed", params, xs, state)
    targets = jax.tree.map(jnp.asarray, targets)
    for array in jax.tree.leaves(targets):
        require_shape("loss_checkpointed", "targets", array, (len(xs), *array.shape[1:]), match="as long as xs")

    def score(state, data):
        ys, states = unroll(params, data[0], state, None)
        return loss(ys, data[1]) * (len(ys) / len(xs)), at(-1, states)

    parts, state = _in_chunks("loss_checkpointed", score, (xs, targets), state, chunk)
    return sum(part.sum() for part in parts), state


def _in_chunks(where, run, data, state, chunk):
    """Fold `run(state, data) -> (result, state)` over chunks of steps, each computed again where it is differentiated.

    Returns a tuple of results: those of the whole chunks, stacked, and that of the steps that are left over.
    """
    T = len(jax.tree.leaves(data)[0])
    chunk = _divisor_near(math.sqrt(T) / 2, T) if chunk is None else chunk
    require_size(where, "chunk", chunk, most=T, hint="About √T / 2 needs the least memory.")
    whole = T - T % chunk
    chunks = jax.tree.map(lambda a: a[:whole].reshape(-1, chunk, *a.shape[1:]), data)
    again = jax.checkpoint(run, prevent_cse=False)  # a scan's body is not merged with its derivative's anyway

    def body(state, data):
        result, state = again(state, data)
        return state, result

    state, results = jax.lax.scan(body, state, chunks)
    if whole == T:
        return (results,), state
    rest, state = jax.checkpoint(run)(state, jax.tree.map(lambda a: a[whole:], data))
    return (results, rest), state


def _divisor_near(size, T):
    """A divisor of T within a factor of two of the size, so that no step is left over (which costs a copy of the inputs); else the size."""
    divisors = [c for c in range(max(1, math.ceil(size / 2)), math.floor(2 * size) + 1) if T % c == 0]
    return min(divisors, key=lambda c: abs(math.log(c / size)), default=max(1, round(size)))
