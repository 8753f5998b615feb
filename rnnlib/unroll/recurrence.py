"""The recurrence by `lax.scan`, and its derivative; what need not wait for the state before it is done outside of the loop.

The derivative is written down once, in forward mode: how a small change (a dot) of inputs, weights and first state moves the states.

    ṗ_t = ḋ_t + ṙ_t + recur(ṡ_{t-1})    ḋ_t: the change of drive(x_t); ṙ_t: that of recur's weights, at s_{t-1} as it was
    ṡ_t = tangent(ṗ_t, ṡ_{t-1})           the derivative of advance

This is linear in the dots, so JAX can transpose it, and the transpose is backpropagation through time: a scan from the end that
passes on δ_t alone, then one product for each weight matrix. Jacobian-vector and Gauss-Newton products come from the same lines.
(Second derivatives are right too, though not all of their products are taken out of the loop.)
"""

from functools import partial

import jax
import jax.numpy as jnp


@jax.jit
def unroll(params, xs, state, mask):
    """Outputs and states of all steps. What stands at masked steps, NaN for instance, is replaced before anything is computed of it."""
    if mask is not None:  # behind a product it would be too late: 0 · NaN is NaN in each weight's gradient
        xs = jnp.where(mask[..., None], xs, 0)
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


def at(t, states):
    """The states of one step."""
    return jax.tree.map(lambda s: s[t], states)


def _where(mask, a, b):
    return a if mask is None else jax.tree.map(lambda a, b: jnp.where(mask[:, None], a, b), a, b)
