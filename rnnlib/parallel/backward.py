"""Backpropagation through time of any cell, as one associative scan: errors are carried by matrices that the forward pass has fixed."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float

from rnnlib.cells import step
from rnnlib.parallel.scan import linear_scan
from rnnlib.unroll import unroll_states
from rnnlib.unroll.checks import Inputs, check
from rnnlib.validation import require_floating, require_shape


class Backward(NamedTuple):
    """What `parallel_backward` returns."""

    grads: Any  # like params
    d_xs: Float[Any, "T B D"]  # dL/dxs
    d_state: Any  # dL/ds_0, (B, H), like the state; where that is h0, its sum over the batch is in grads.h0


def parallel_backward(
    params: Any, xs: Inputs, d_ys: Float[Any, "T B K"], state: Any = None, *, states: Any = None
) -> Backward:
    """Carry errors back through any cell at a depth of log₂ T: e_{t-1} = c_t + J_tᵀ e_t, affine in e however bent the cell is.

    e_t is what all losses after step t say of s_t, c_t what that of step t says of s_{t-1}, and J_t = ∂s_t/∂s_{t-1}. Then every step is
    differentiated by itself, all at once. It holds T · B Jacobians, so its memory grows with the square of the state.

    Args:
        params: the parameters of a cell of `rnnlib.cells`.
        xs: (T, B, D), inputs, time first.
        d_ys: (T, B, K), the loss's gradient by the outputs.
        state: the state to start from, (B, H), or a pytree of such arrays; None for the trained `params.h0`.
        states: s_1 ... s_T, (T, B, H) or a pytree of such, where they are known, as from `deer`; None to run the cell.

    Returns:
        `Backward(grads, d_xs, d_state)`.

    Raises:
        ValueError: shapes that disagree, an empty sequence or batch.
        TypeError: inputs that are not floating point, parameters that are no cell's.

    Example:
        >>> import numpy as np
        >>> from rnnlib.cells import init_lstm
        >>> params, xs = init_lstm(3, 4, 2, rng=np.random.default_rng(0)), np.ones((7, 5, 3))
        >>> ys, pull = jax.vjp(lambda params: unroll_states(params, xs)[0], params)
        >>> back = parallel_backward(params, xs, np.ones((7, 5, 2)))
        >>> bool(jnp.allclose(back.grads.W_hh, pull(jnp.ones_like(ys))[0].W_hh, atol=1e-5))
        True

    Source: the errors' recursion: Werbos (1990), Backpropagation through time, Proc. IEEE 78; as a scan: Wang, Bai, Pekhimenko
    (2020), BPPSA: scaling back-propagation by parallel scan algorithm, MLSys.
    """
    xs, first = check("parallel_backward", params, xs, state)
    require_floating("parallel_backward", d_ys=d_ys)
    wanted = (*xs.shape[:2], params.W_hy.shape[1])
    require_shape("parallel_backward", "d_ys", d_ys, wanted, match=f"to match xs {tuple(xs.shape)}", hint="Time first.")
    if states is None:
        states = unroll_states(params, xs, first)[1]
    back = _backward(jax.tree.map(jnp.asarray, params), xs, jnp.asarray(d_ys), first, states)
    if state is None:
        h0 = jax.tree.map(lambda d: d.sum(0), back.d_state)
        back = back._replace(grads=back.grads._replace(h0=h0))
    return back


@jax.jit
def _backward(params, xs, d_ys, first, states):
    before = befores(first, states)
    ys, pull = jax.vjp(jax.vmap(jax.vmap(step, (None, 0, 0)), (None, 0, 0)), params, xs, before)  # each step by itself
    none = jax.tree.map(jnp.zeros_like, states)
    own = flat(pull((d_ys.astype(ys[0].dtype), none))[2])  # c_1 ... c_T
    Js = linearised(params, xs, before)[1]
    errors = linear_scan(Js.mT, own, reverse=True)  # e_0 ... e_{T-1}
    later = jax.tree.map(lambda e: jnp.concatenate([e[1:], jnp.zeros_like(e[:1])]), like(errors, states))
    grads, d_xs, _ = pull((d_ys.astype(ys[0].dtype), later))
    return Backward(grads, d_xs, like(errors[0], first))


def linearised(params, xs, before):
    """All steps at once, each from the state before it: s_t = f(x_t, s_{t-1}) like the states, and J_t = ∂s_t/∂s_{t-1}, (T, B, n, n)."""
    one = jax.tree.map(lambda s: s[0, 0], before)
    n = flat(one).size
    directions = like(jnp.eye(n, dtype=flat(one).dtype), one)
    pushed = jax.vmap(params.recur)(directions)  # (n, P): the same at every step

    def at_a_step(x, before):
        after, kept = params.advance(params.drive(x) + params.recur(before), before)
        columns = jax.vmap(lambda d_p, d: params.tangent(d_p, d, before, after, kept))(pushed, directions)
        return after, flat(columns).T

    return jax.vmap(jax.vmap(at_a_step))(xs, before)


def befores(first, states):
    """s_0 ... s_{T-1}, from s_0 and s_1 ... s_T."""
    return jax.tree.map(lambda s_0, s: jnp.concatenate([s_0[None], s[:-1]]), first, states)


def flat(state):
    """A state, or many of them, as one array: h and c of an LSTM side by side, (..., n)."""
    return jnp.concatenate(jax.tree.leaves(state), axis=-1)


def like(array, state):
    """An array (..., n) as a state again."""
    leaves, structure = jax.tree.flatten(state)
    return jax.tree.unflatten(structure, jnp.split(array, len(leaves), axis=-1))
