"""What a method is: how an influence begins, is carried along, and is read; one step of it for a batch, and a whole sequence."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from rnnlib.validation import require_floating, require_shape


class Step(NamedTuple):
    """One step of one sequence as it was: what its derivatives are taken at."""

    x: Float[Any, " D"]  # inputs
    before: Any  # the state that it was given, such as (H,)
    after: Any  # the state that it made
    kept: Any  # what `advance` kept for `tangent`


@dataclass(frozen=True)
class Method:
    """A way to carry the influence of the parameters on the state forward; called, the gradient of a whole sequence.

    `method(params, xs, d_ys, key)` is the contract that `gradient_bench` asks of every method, a plain function of your own too:
    parameters of a cell, inputs (T, B, D), errors dL/dy (T, B, K) and a JAX key (None will do where nothing is drawn) to a
    gradient like params, summed over steps and sequences, with the weights held still.

    Source: Marschall, Cho, Savin (2020), A unified framework of online learning algorithms for training recurrent neural networks,
    arXiv 1907.02649.
    """

    begin: Callable  # begin(params, x, state) -> influence: none yet, in the shape that is carried
    carry: Callable  # carry(params, step, influence, key) -> influence after the step
    read: Callable  # read(params, step, influence, d_s) -> (dL/ds) M, like params

    def __call__(self, params: Any, xs: Float[Any, "T B D"], d_ys: Float[Any, "T B K"], key=None) -> Any:
        """Sum the gradients of all steps, L = Σ_t d_ys_t · y_t, from the state `params.h0`, which is held constant."""
        check("online", params, xs, d_ys)
        key = jax.random.key(0) if key is None else key

        def body(carried, now):
            x, d_y, key = now
            _, grads, carried = follow(self, lambda y, d_y: y @ d_y, params, x, d_y, carried, key)
            return carried, grads

        carried = start(self, params, xs[0])
        _, grads = jax.lax.scan(body, carried, (jnp.asarray(xs), jnp.asarray(d_ys), jax.random.split(key, len(xs))))
        return jax.tree.map(lambda g: g.sum(0), grads)


def start(method: Method, params: Any, x: Float[Any, "B D"], state: Any = None) -> tuple:
    """Begin a stream: every sequence at `params.h0`, or at the state given, on which no weight has had any influence yet.

    Args:
        method: one of this room's, or your own.
        params: the parameters of a cell of `rnnlib.cells`.
        x: (B, D), the first inputs, for their shape.
        state: (B, H), the state to start from, or a pytree of such; None for `params.h0`.

    Returns:
        `(state, influence)`, what `follow` takes and gives back, each with B in front.

    Example:
        >>> import numpy as np
        >>> from rnnlib import cells, online
        >>> net = cells.init_elman(3, 4, 2, rng=np.random.default_rng(0))
        >>> state, influence = start(online.rtrl, net, np.ones((5, 3)))
        >>> state.shape, influence.shape  # the influence of (3 + 4 + 1) 4 weights
        ((5, 4), (5, 32, 4))

    Source: Williams and Zipser (1989): no influence at the start.
    """
    dtype = jnp.result_type(x, *jax.tree.leaves(params))
    if state is None:
        state = jax.tree.map(lambda h: jnp.broadcast_to(jnp.asarray(h), (len(x), *h.shape)), params.h0)
    state = jax.tree.map(lambda s: jnp.asarray(s, dtype), state)
    return state, jax.vmap(lambda x, s: method.begin(params, x, s))(jnp.asarray(x, dtype), state)


def follow(
    method: Method, loss: Callable, params: Any, x: Float[Any, "B D"], target: Any, carried: tuple, key
) -> tuple:
    """Take one step of a stream, and the gradient of its loss: dL_t/dθ = ∂L_t/∂θ + (dL_t/ds_t) M_t.

    Nothing before this step is needed but what is carried. If the parameters are moved after it, M_t mixes what they were.

    Args:
        method: one of this room's, or your own.
        loss: `loss(y, target)` of one sequence at this step, y (K,), to one number.
        params: the parameters of a cell of `rnnlib.cells`.
        x: (B, D), this step's inputs.
        target: (B, ...), whatever the loss takes.
        carried: `(state, influence)`, from `start` or from the step before.
        key: a JAX key for this step's draws.

    Returns:
        `(loss, grads, carried)`: the losses of the B sequences and the gradients, like params, both summed; and what to carry on.

    Example:
        >>> import numpy as np
        >>> from rnnlib import cells, online
        >>> net, x = cells.init_elman(3, 4, 2, rng=np.random.default_rng(0)), np.ones((5, 3))
        >>> carried = start(online.rtrl, net, x)
        >>> loss, grads, carried = follow(online.rtrl, lambda y, t: ((y - t) ** 2).sum(), net, x, x[:, :2], carried, jax.random.key(0))
        >>> grads.W_hh.shape
        (4, 4)

    Source: Williams and Zipser (1989), A learning algorithm for continually running fully recurrent neural networks, Neural Computation 1.
    """

    def one(x, target, state, influence, key):
        after, kept = params.advance(params.drive(x) + params.recur(state), state)
        at = Step(x, state, after, kept)
        influence = method.carry(params, at, influence, key)
        value, (direct, d_s) = jax.value_and_grad(lambda params, s: loss(params.readout(s), target), (0, 1))(
            jax.tree.map(jnp.asarray, params), after
        )
        grads = jax.tree.map(jnp.add, direct, method.read(params, at, influence, d_s))
        return value, grads, (after, influence)

    values, grads, carried = jax.vmap(one)(x, target, *carried, jax.random.split(key, len(x)))
    return values.sum(), jax.tree.map(lambda g: g.sum(0), grads), carried


def acting(params: Any, at: Step) -> list[bool]:
    """Say of each array of the parameters, in the order of `jax.tree.leaves`, whether drive or recur reads it: whether it acts on p."""
    program = jax.make_jaxpr(lambda params: params.drive(at.x) + params.recur(at.before))(params).jaxpr
    read = {id(variable) for equation in program.eqns for variable in equation.invars}
    return [id(variable) in read for variable in program.invars]


def pulled(params: Any, at: Step, d_ps: Float[Array, "N P"]) -> list[Array]:
    """Pull N errors of p back to the weights that act on it, d_p ∂p/∂θ: an array (N, ...) for each array of weights."""
    _, pull = jax.vjp(lambda params: params.drive(at.x) + params.recur(at.before), jax.tree.map(jnp.asarray, params))
    leaves = jax.tree.leaves(jax.vmap(lambda d_p: pull(d_p)[0])(d_ps))
    return [leaf for leaf, acts in zip(leaves, acting(params, at), strict=True) if acts]


def onward(params: Any, at: Step, d_ps: Float[Array, "N P"], d_ss: Any) -> Any:
    """Let N small changes, of p and of the state before, pass through a step: N times tangent(ṗ, ṡ)."""
    return jax.vmap(lambda d_p, d_s: params.tangent(d_p, d_s, at.before, at.after, at.kept))(d_ps, d_ss)


def unflatten(params: Any, at: Step, flat: Float[Array, " N"]) -> Any:
    """Give each weight that acts on p its number of a vector, in a tree like params; zeros elsewhere."""
    leaves, structure = jax.tree.flatten(params)
    filled, begin = [], 0
    for leaf, acts in zip(leaves, acting(params, at), strict=True):
        size = int(jnp.size(leaf))
        filled.append(flat[begin : begin + size].reshape(leaf.shape) if acts else jnp.zeros(leaf.shape, leaf.dtype))
        begin += size if acts else 0
    return jax.tree.unflatten(structure, filled)


def check(where, params, xs, d_ys):
    """Raise unless the parameters are a cell's and inputs and errors fit together."""
    if not hasattr(params, "tangent"):
        hint = "Try init_elman(D, H, K, rng=rng)."
        raise TypeError(f"{where}: params must be a cell of rnnlib.cells, got {type(params).__name__}. {hint}")
    require_floating(where, xs=xs, d_ys=d_ys)
    require_shape(where, "xs", xs, ("T", "B", "D"), match="with time first", hint="One sequence alone is xs[:, None].")
    shape = (*xs.shape[:2], "K")
    require_shape(
        where, "d_ys", d_ys, shape, match=f"to match xs {tuple(xs.shape)}", hint="Are time and batch swapped?"
    )
