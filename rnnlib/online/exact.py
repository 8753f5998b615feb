"""Real-time recurrent learning, and what is left of it when parts are dropped: SnAp, RFLO; and truncation, which goes back instead.

M has a row for each weight: how the state changes with it, (N, H) for each array of the state. In the cells of `rnnlib.cells` a weight
acts on one unit; where units don't mix, H weights, one for each unit, can share a row and be told apart: (N / H, H).
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from rnnlib import cells, truncation
from rnnlib.online.methods import Method, Step, acting, check, onward, pulled, unflatten
from rnnlib.online.probe import by_unit
from rnnlib.validation import require_size


def immediate(params: Any, at: Step) -> Float[Array, "N P"]:
    """∂p/∂θ, a row for each weight."""
    p = jax.eval_shape(lambda: params.drive(at.x) + params.recur(at.before))
    pieces = pulled(params, at, jnp.eye(p.size, dtype=p.dtype))
    return jnp.concatenate([piece.reshape(p.size, -1) for piece in pieces], 1).T


def immediate_shared(params: Any, at: Step) -> Float[Array, "N P"]:
    """∂p/∂θ, a row for each H weights that act on different units."""
    p, H = jax.eval_shape(lambda: params.drive(at.x) + params.recur(at.before)), jax.tree.leaves(at.before)[0].size
    blocks = jnp.repeat(jnp.eye(p.size // H, dtype=p.dtype), H, axis=1)  # all units of one block of p at a time
    pieces = pulled(params, at, blocks)
    rows = jnp.concatenate([piece.reshape(len(blocks), -1, H) for piece in pieces], 1)
    return jnp.moveaxis(rows, 0, 1).reshape(-1, p.size)


# The recursion, and what each method leaves out of it.


def _everything(params, at, M, key):
    return onward(params, at, jax.vmap(params.recur)(M) + immediate(params, at), M)


def _within_units(params, at, M, key):
    passed_on = jax.vmap(lambda s: _recur_alone(params, s))(M)
    return onward(params, at, passed_on + immediate_shared(params, at), M)


def _recur_alone(params, s):
    """What each unit hears of itself."""
    if hasattr(params, "W_hh"):
        H, P = params.W_hh.shape
        params = params._replace(W_hh=jnp.where(jnp.tile(jnp.eye(H, dtype=bool), P // H), params.W_hh, 0))
    return params.recur(s)


def _without_recur(params, at, M, key, *, term):
    return onward(params, at, term(params, at), M)


def _where_reached(params, at, carried, key):
    M, reached = carried
    return jax.tree.map(lambda m: jnp.where(reached, m, 0), _everything(params, at, M, key)), reached


def _begin(params, x, state, *, term):
    rows = len(term(params, Step(x, state, state, None)))
    return jax.tree.map(lambda s: jnp.zeros((rows, *s.shape), s.dtype), state)


def _read(params, at, M, d_s):
    every = sum(leaf.size for leaf, acts in zip(jax.tree.leaves(params), acting(params, at), strict=True) if acts)

    def along(m, e):  # each weight's row against the error; or in a shared row each weight against its unit's
        return m @ e if len(m) == every else (m * e[None]).ravel()

    return unflatten(params, at, sum(jax.tree.leaves(jax.tree.map(along, M, d_s))))


rtrl = Method(partial(_begin, term=immediate), _everything, _read)


def _where_units_stay_apart(recur, shared, every):
    """The method with shared rows if they can be told apart, else the one with a row for each weight."""

    def pick(params, at):
        return shared if by_unit(params, at, recur) else every

    return Method(
        lambda params, x, state: pick(params, Step(x, state, state, None)).begin(params, x, state),
        lambda params, at, influence, key: pick(params, at).carry(params, at, influence, key),
        lambda params, at, influence, d_s: pick(params, at).read(params, at, influence, d_s),
    )


rflo = _where_units_stay_apart(
    None,
    *(
        Method(partial(_begin, term=term), partial(_without_recur, term=term), _read)
        for term in (immediate_shared, immediate)
    ),
)


def snap(steps: int) -> Method:
    """Keep of M what a weight can reach within some steps, its own included: the sparse n-step approximation, SnAp-n.

    With n = 1 a weight's influence stays in the unit that it acts on, in all of a unit's numbers, such as an LSTM's h and c. From some n
    on nothing is dropped and it is RTRL: at once for a diagonal recurrence, at n = 2 for an Elman net without zeros in W_hh. What can be
    reached follows from the zeros of the weights. For n = 1 a unit's numbers are carried for each weight; beyond, all S · N, zeros
    included: a dense stand-in, with RTRL's cost, for a sparse product.

    Args:
        steps: n, at least 1.

    Returns:
        The `Method`.

    Raises:
        ValueError: steps below 1.
        TypeError: steps that are not whole.

    Example:
        >>> import numpy as np
        >>> from rnnlib import cells
        >>> net, xs = cells.init_elman(3, 4, 2, rng=np.random.default_rng(0)), np.ones((7, 5, 3))
        >>> snap(2)(net, xs, xs[..., :2]).W_hh.shape
        (4, 4)

    Source: Menick et al. (2021), A practical sparse approximation for real time recurrent learning, arXiv 2006.07232.
    """
    require_size("snap", "steps", steps, hint="1 is the cheapest.")
    if steps > 1:
        return masked(steps)
    shared = Method(partial(_begin, term=immediate_shared), _within_units, _read)
    return _where_units_stay_apart(_recur_alone, shared, masked(1))


def masked(steps: int) -> Method:
    """SnAp-n for any n with all of M in memory; the slow twin of `snap(1)`."""

    def begin(params, x, state):
        return _begin(params, x, state, term=immediate), reached(params, x, state, steps)

    return Method(begin, _where_reached, lambda params, at, carried, d_s: _read(params, at, carried[0], d_s))


def reached(params: Any, x: Float[Any, " D"], state: Any, steps: int) -> Bool[Array, "N H"]:
    """Which units each weight reaches in so many steps: where M is not zero, at inputs and states drawn at random, so not by chance."""
    H, keys = jax.tree.leaves(state)[0].size, iter(jax.random.split(jax.random.key(0), 9))
    x, before = (jax.tree.map(lambda a: jax.random.normal(next(keys), a.shape, a.dtype), tree) for tree in (x, state))
    after, kept = params.advance(params.drive(x) + params.recur(before), before)
    at, units = Step(x, before, after, kept), jax.tree.map(lambda s: jnp.eye(H, dtype=s.dtype), before)

    def somewhere(M):  # in any of a unit's numbers
        return sum(jax.tree.leaves(jax.tree.map(abs, M))) > 0

    d_ps = immediate(params, at)
    passed_on = somewhere(onward(params, at, jax.vmap(params.recur)(units), units))  # (H, H), from, to
    found = somewhere(onward(params, at, d_ps, jax.tree.map(lambda s: jnp.zeros((len(d_ps), H), s.dtype), before)))
    for _ in range(steps - 1):
        found = found | (found.astype(float) @ passed_on.astype(float) > 0)
    return found


def truncated(window: int | None = None) -> Callable:
    """Go back through the last `window` steps behind every loss, the windows of `truncation.windowed`; None is BPTT in full.

    With a window of 1 it is the recursion with M_{t-1} dropped.

    Args:
        window: how many applications of the recurrence an error may go back through; one longer than the sequence is all of it.

    Returns:
        A function `(params, xs, d_ys, key)` to a gradient like params, as a `Method` is; the key is not used.

    Raises:
        ValueError: a window below 1.
        TypeError: a window that is not whole.

    Example:
        >>> import numpy as np
        >>> from rnnlib import cells
        >>> net, xs = cells.init_elman(3, 4, 2, rng=np.random.default_rng(0)), np.ones((7, 5, 3))
        >>> bool(jnp.allclose(truncated()(net, xs, xs[..., :2]).W_hh, rtrl(net, xs, xs[..., :2]).W_hh, atol=1e-5))
        True

    Source: Williams and Peng (1990), An efficient gradient-based algorithm, Neural Computation 2, BPTT(h).
    """
    if window is not None:
        require_size("truncated", "window", window, hint="None is the whole sequence.")

    def gradient(params, xs, d_ys, key=None):
        check("truncated", params, xs, d_ys)
        state = jax.tree.map(lambda h: jnp.broadcast_to(h, (xs.shape[1], *h.shape)), params.h0)
        whole = window is None or window >= len(xs)
        cut = partial(truncation.chunked, window=len(xs)) if whole else partial(truncation.windowed, window=window)
        return cut(lambda ys, d_ys: (ys * d_ys).sum(), cells.step, params, xs, d_ys, state).grads

    return gradient
