"""Run any cell along a sequence, in JAX: by a Python loop, by `lax.scan`, and with memory for about √T states.

`unroll_loop` is the obvious loop. `unroll_scan` computes the same and leaves in the loop only what has to wait for the state before
it. A step has parts (`rnnlib.cells`): drive(x), what the input says; recur(s), what the state says; advance, the new state from their
sum p_t = drive(x_t) + recur(s_{t-1}); readout. Drive and readout are done for all T · B rows at once, before and after the loop.

The derivative is written down once, in forward mode: how a small change (a dot) of inputs, weights and first state moves the states.

    ṗ_t = ḋ_t + ṙ_t + recur(ṡ_{t-1})    ḋ_t: the change of drive(x_t); ṙ_t: that of recur's weights, at s_{t-1} as it was
    ṡ_t = tangent(ṗ_t, ṡ_{t-1})           the derivative of advance

This is linear in the dots, so JAX can transpose it, and the transpose is backpropagation through time: a scan from the end that
passes on δ_t alone, then one product for each weight matrix. Jacobian-vector and Gauss-Newton products come from the same lines.
(Second derivatives are right too, though not all of their products are taken out of the loop.)
"""

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from rnnlib.cells import step
from rnnlib.validation import axes_hint, require_array, require_floating, require_shape, require_size

Inputs = Float[Any, "T B D"]
Mask = Bool[Any, "T B"] | Int[Any, "T B"] | Float[Any, "T B"]


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
        >>> from rnnlib.cells import init_elman
        >>> ys, state = unroll_loop(init_elman(3, 16, 2, rng=np.random.default_rng(0)), np.ones((7, 5, 3)))
        >>> ys.shape, state.shape
        ((7, 5, 2), (5, 16))

    Source: Werbos (1990), Backpropagation through time: what it does and how to do it, Proc. IEEE 78, section III.
    """
    xs, state = _check("unroll_loop", params, xs, state)
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
        >>> from rnnlib.cells import init_elman
        >>> params, xs = init_elman(3, 16, 2, rng=np.random.default_rng(0)), np.ones((7, 5, 3))
        >>> bool(jnp.allclose(unroll_scan(params, xs)[0], unroll_loop(params, xs)[0]))
        True

    Source: products taken out of the loop: Appleyard, Kočiský, Blunsom (2016), Optimizing performance of recurrent neural networks on
    GPUs, arXiv 1604.01946, section 3.
    """
    ys, states = _scanned("unroll_scan", params, xs, state, mask, reverse)
    return ys, _at(0 if reverse else -1, states)


def unroll_states(
    params: Any, xs: Inputs, state: Any = None, *, mask: Mask | None = None, reverse: bool = False
) -> tuple[Float[Array, "T B K"], Any]:
    """Run a cell over time as `unroll_scan` does, with its arguments and errors, and return every state: (T, B, H), or a pytree of such.

    Example:
        >>> from rnnlib.cells import init_elman
        >>> ys, states = unroll_states(init_elman(3, 16, 2, rng=np.random.default_rng(0)), np.ones((7, 5, 3)))
        >>> ys.shape, states.shape
        ((7, 5, 2), (7, 5, 16))

    Source: as for `unroll_scan`.
    """
    return _scanned("unroll_states", params, xs, state, mask, reverse)


def _scanned(where, params, xs, state, mask, reverse):
    """Outputs and states of all steps, in the order of xs."""
    xs, state = _check(where, params, xs, state)
    mask = None if mask is None else _check_mask(where, mask, xs)
    flip = partial(jnp.flip, axis=0) if reverse else jnp.asarray
    ys, states = _unroll(params, flip(xs), state, None if mask is None else flip(mask))
    return flip(ys), jax.tree.map(flip, states)


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
        >>> from rnnlib.cells import init_elman
        >>> ys, state = unroll_checkpointed(init_elman(3, 16, 2, rng=np.random.default_rng(0)), np.ones((7, 5, 3)))
        >>> ys.shape, state.shape
        ((7, 5, 2), (5, 16))

    Source: Chen, Xu, Zhang, Guestrin (2016), Training deep nets with sublinear memory cost, arXiv 1604.06174, section 4.2.
    """
    xs, state = _check("unroll_checkpointed", params, xs, state)

    def run(state, xs):
        ys, states = _unroll(params, xs, state, None)
        return ys, _at(-1, states)

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
        >>> from rnnlib import cells, losses
        >>> params, xs = cells.init_elman(3, 16, 2, rng=np.random.default_rng(0)), np.ones((7, 5, 3))
        >>> value, state = loss_checkpointed(losses.squared_error, params, xs, xs[..., :2])
        >>> bool(jnp.allclose(value, losses.squared_error(unroll_scan(params, xs)[0], xs[..., :2])))
        True

    Source: Chen, Xu, Zhang, Guestrin (2016), section 4.2.
    """
    xs, state = _check("loss_checkpointed", params, xs, state)
    targets = jax.tree.map(jnp.asarray, targets)
    for array in jax.tree.leaves(targets):
        require_shape("loss_checkpointed", "targets", array, (len(xs), *array.shape[1:]), match="as long as xs")

    def score(state, data):
        ys, states = _unroll(params, data[0], state, None)
        return loss(ys, data[1]) * (len(ys) / len(xs)), _at(-1, states)

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


@jax.jit
def _unroll(params, xs, state, mask):
    """Outputs and states of all steps. What stands at masked steps, NaN for instance, is replaced before anything is computed of it."""
    if mask is not None:
        xs = jnp.where(
            mask[..., None], xs, 0
        )  # behind a product it would be too late: 0 · NaN is NaN in each weight's gradient
    states = _states(params, _at_every_step(params.drive, xs), state, mask)
    return _at_every_step(params.readout, states), states


@jax.custom_jvp
def _states(params, driven, state, mask):
    """s_1 ... s_T, (T, B, H)."""
    return _tape(params, driven, state, mask)[0]


def _tape(params, driven, state, mask):
    """s_1 ... s_T, and what the derivative of each step asks for."""

    def body(before, now):
        driven, mask = now
        after, kept = jax.vmap(params.advance)(driven + jax.vmap(params.recur)(before), before)
        after = _where(mask, after, before)
        return after, (after, kept)

    return jax.lax.scan(body, state, (driven, mask))[1]


@_states.defjvp
def _states_jvp(primals, tangents):
    params, _, state, mask = primals
    d_params, d_driven, d_state, _ = tangents
    afters, kept = _tape(*primals)
    befores = jax.tree.map(lambda first, s: jnp.concatenate([first[None], s[:-1]]), state, afters)
    d_ps = d_driven + _at_every_step(d_params.recur, befores)  # recur is linear in both, so this is ṙ

    @partial(jax.checkpoint, prevent_cse=False)  # slopes are cheaper to compute again than to keep
    def body(d_before, now):
        d_p, *places, mask = now
        d_p = d_p + jax.vmap(params.recur)(d_before)
        d_after = _where(mask, jax.vmap(params.tangent)(d_p, d_before, *places), d_before)
        return d_after, d_after

    return afters, jax.lax.scan(body, d_state, (d_ps, befores, afters, kept, mask))[1]


def _at_every_step(part, steps):
    """part(row) for every t and b, with time and batch as one axis: one product over all T · B rows."""
    T, B = jax.tree.leaves(steps)[0].shape[:2]
    rows = jax.vmap(part)(jax.tree.map(lambda a: a.reshape(T * B, *a.shape[2:]), steps))
    return rows.reshape(T, B, -1)


def _at(t, states):
    return jax.tree.map(lambda s: s[t], states)


def _where(mask, a, b):
    return a if mask is None else jax.tree.map(lambda a, b: jnp.where(mask[:, None], a, b), a, b)


def _check(where, params, xs, state):
    if not hasattr(params, "recur"):
        hint = "Try init_elman(D, H, K, rng=rng)."
        raise TypeError(f"{where}: params must be a cell of rnnlib.cells, got {type(params).__name__}. {hint}")
    require_floating(where, xs=xs)
    D, P = params.W_xh.shape
    require_shape(where, "xs", xs, ("T", "B", D), match=f"to match W_xh ({D}, {P})", hint=axes_hint(xs.shape, D))
    xs, B = jnp.asarray(xs), xs.shape[1]
    dtype = jnp.result_type(xs, *jax.tree.leaves(params))  # a scan's carry must begin as it goes on
    if state is None:
        return xs, jax.tree.map(lambda h: jnp.broadcast_to(jnp.asarray(h, dtype), (B, *h.shape)), params.h0)
    if jax.tree.structure(state) != jax.tree.structure(params.h0):
        wanted, got = type(params.h0).__name__, type(state).__name__
        raise ValueError(f"{where}: state must be built as params.h0 is, an {wanted}, got {got}. None starts from h0.")
    for given, h in zip(jax.tree.leaves(state), jax.tree.leaves(params.h0), strict=True):
        hint = "One state for each sequence; None starts from h0."
        require_shape(where, "state", given, (B, *h.shape), match="(B, H), as h0", hint=hint)
    return xs, jax.tree.map(lambda s: jnp.asarray(s, dtype), state)


def _check_mask(where, mask, xs):
    require_array(where, mask=mask)
    hint = "Are time and batch swapped?"
    require_shape(where, "mask", mask, xs.shape[:2], match=f"to match xs {tuple(xs.shape)}", hint=hint)
    if not isinstance(mask, jax.core.Tracer) and not np.isin(mask, (0, 1)).all():
        odd = np.asarray(mask)[~np.isin(mask, (0, 1))][0]
        raise ValueError(f"{where}: mask must hold 0 and 1 only, got {odd}. Weights belong into the loss.")
    return jnp.asarray(mask, bool)
