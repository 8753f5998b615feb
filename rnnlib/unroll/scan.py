"""A cell along a sequence: by a Python loop, and the same by `lax.scan`, with or without its states."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from rnnlib.cells import step
from rnnlib.unroll.checks import Inputs, Mask, check, check_mask
from rnnlib.unroll.recurrence import at, unroll


def unroll_loop(params: Any, xs: Inputs, state: Any = None) -> tuple[Float[Array, "T B K"], Any]:
    """Run a cell over time, one step after another in a Python loop: (y_t, s_t) = step(θ, x_t, s_{t-1}).

    The obvious twin of `unroll_scan`. Under `jax.jit` it becomes T copies of the step, each of which has to be compiled.

    Args:
        params: the parameters of a cell of `rnnlib.cells`.
        xs: (T, B, D), inputs, time first.
        state: the state to start from, (B, H), or a pytree of such arrays; None for the trained `params.h0`.

    Returns:
        `(ys, state)`: outputs (T, B, K), and the state after the last step.

    Raises:
        ValueError: shapes that disagree, an empty sequence or batch.
        TypeError: inputs that are not floating point, parameters that are no cell's.

    Example:
        >>> import numpy as np
        >>> from rnnlib.cells import init_elman
        >>> ys, state = unroll_loop(init_elman(3, 16, 2, rng=np.random.default_rng(0)), np.ones((7, 5, 3)))
        >>> ys.shape, state.shape
        ((7, 5, 2), (5, 16))

    Source: Werbos (1990), Backpropagation through time: what it does and how to do it, Proc. IEEE 78, section III.
    """
    xs, state = check("unroll_loop", params, xs, state)
    ys = []
    for x in xs:
        y, state = jax.vmap(step, (None, 0, 0))(params, x, state)
        ys.append(y)
    return jnp.stack(ys), state


def unroll_scan(
    params: Any, xs: Inputs, state: Any = None, *, mask: Mask | None = None, reverse: bool = False
) -> tuple[Float[Array, "T B K"], Any]:
    """Run a cell over time by `jax.lax.scan`: (y_t, s_t) = step(θ, x_t, s_{t-1}), with all that need not wait taken out of the loop.

    Compiled once for each shape. Works under `jax.jit`, `grad`, `jvp`, `vmap` and their compositions.

    Args:
        params: the parameters of a cell of `rnnlib.cells`.
        xs: (T, B, D), inputs, time first.
        state: the state to start from, (B, H), or a pytree of such arrays; None for the trained `params.h0`.
        mask: (T, B), 1 where a step counts; where it is 0 the state stays as it is, s_t = s_{t-1}, and y_t is read from it. The inputs
            there are heard by nothing, be they NaN, and their gradient is 0.
        reverse: whether to run from the last step to the first. Outputs stay in the order of `xs`.

    Returns:
        `(ys, state)`: outputs (T, B, K), and the state after the last step taken.

    Raises:
        ValueError: shapes that disagree, an empty sequence or batch, a mask with other values than 0 and 1 (seen outside of `jit`).
        TypeError: inputs that are not floating point, parameters that are no cell's.

    Example:
        >>> import numpy as np
        >>> from rnnlib.cells import init_elman
        >>> params, xs = init_elman(3, 16, 2, rng=np.random.default_rng(0)), np.ones((7, 5, 3))
        >>> bool(jnp.allclose(unroll_scan(params, xs)[0], unroll_loop(params, xs)[0]))
        True

    Source: products taken out of the loop: Appleyard, Kočiský, Blunsom (2016), Optimizing performance of recurrent neural networks on
    GPUs, arXiv 1604.01946, section 3.
    """
    ys, states = _scanned("unroll_scan", params, xs, state, mask, reverse)
    return ys, at(0 if reverse else -1, states)


def unroll_states(
    params: Any, xs: Inputs, state: Any = None, *, mask: Mask | None = None, reverse: bool = False
) -> tuple[Float[Array, "T B K"], Any]:
    """Run a cell over time as `unroll_scan` does, with its arguments and errors, and return every state: (T, B, H), or a pytree of such.

    Example:
        >>> import numpy as np
        >>> from rnnlib.cells import init_elman
        >>> ys, states = unroll_states(init_elman(3, 16, 2, rng=np.random.default_rng(0)), np.ones((7, 5, 3)))
        >>> ys.shape, states.shape
        ((7, 5, 2), (7, 5, 16))

    Source: as for `unroll_scan`.
    """
    return _scanned("unroll_states", params, xs, state, mask, reverse)


def _scanned(where, params, xs, state, mask, reverse):
    """Outputs and states of all steps, in the order of xs."""
    xs, state = check(where, params, xs, state)
    mask = None if mask is None else check_mask(where, mask, xs)
    flip = partial(jnp.flip, axis=0) if reverse else jnp.asarray
    ys, states = unroll(params, flip(xs), state, None if mask is None else flip(mask))
    return flip(ys), jax.tree.map(flip, states)
