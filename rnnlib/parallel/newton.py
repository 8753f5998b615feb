"""The states of any cell without running it: Newton's method on all steps at once. Each iteration is a linear recurrence, so a scan."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float, Int

from rnnlib.parallel.backward import befores, flat, like, linearised
from rnnlib.parallel.scan import linear_scan
from rnnlib.unroll.checks import Inputs, check
from rnnlib.validation import require_shape, require_size


class Solved(NamedTuple):
    """What every solver returns."""

    states: Any  # s_1 ... s_T, (T, B, H), or a pytree of such
    residuals: Float[
        Any, " iterations+1"
    ]  # max |s_t − f(x_t, s_{t-1})| of the guess, and after each iteration; NaN where none was needed
    iterations: Int[Any, ""]  # taken


def deer(
    params: Any, xs: Inputs, state: Any = None, *, guess: Any = None, iterations: int = 20, tolerance: float = 0.0
) -> Solved:
    """Find all states at once by Newton's method: s ← s + δ, where δ_t = J_t δ_{t-1} + r_t and r_t = f(x_t, s_{t-1}) − s_t.

    After k iterations the first k states are exact, so T are always enough. Where small changes fade, a few are, and the number of
    right digits doubles with each; where they grow (a positive Lyapunov exponent), most of T are needed. A state that is not finite begins
    again at 0.

    Args:
        params: the parameters of a cell of `rnnlib.cells`.
        xs: (T, B, D), inputs, time first.
        state: the state to start from, (B, H), or a pytree of such arrays; None for the trained `params.h0`.
        guess: states (T, B, H), or a pytree of such, to begin with; None for zeros.
        iterations: the most that are taken, each at a depth of log₂ T.
        tolerance: the residual at which to stop, in the state's units.

    Returns:
        `Solved(states, residuals, iterations)`. The states are the cell's own where the last residual is 0.

    Raises:
        ValueError: shapes that disagree, an empty sequence or batch, iterations below 1.
        TypeError: inputs that are not floating point, parameters that are no cell's.

    Example:
        >>> import numpy as np
        >>> from rnnlib.cells import init_elman
        >>> from rnnlib.unroll import unroll_states
        >>> params, xs = init_elman(3, 8, 2, rng=np.random.default_rng(0)), np.ones((50, 1, 3))
        >>> solved = deer(params, xs, tolerance=1e-5)
        >>> bool(jnp.allclose(solved.states, unroll_states(params, xs)[1], atol=1e-4)), int(solved.iterations) < 10
        (True, True)

    Source: Lim, Zhu, Selfridge, Kasim (2023), Parallelizing non-linear sequential models over the sequence length, arXiv 2309.12252,
    the exact beginning and the fresh start: Gonzalez et al. (2024), arXiv 2407.19115.
    """
    return solve("deer", params, xs, state, guess, iterations, tolerance, newton, linearised)


def quasi_deer(
    params: Any, xs: Inputs, state: Any = None, *, guess: Any = None, iterations: int = 20, tolerance: float = 0.0
) -> Solved:
    """Find all states as `deer` does, with diag(J_t) for J_t: an iteration needs H numbers a step, not H², and there are more of them.

    Arguments, result and errors are those of `deer`. The first k states are exact after k iterations here as well.

    Source: Gonzalez, Warrington, Smith, Linderman (2024), Towards scalable and stable parallelization of nonlinear RNNs, arXiv 2407.19115.
    """
    return solve("quasi_deer", params, xs, state, guess, iterations, tolerance, newton, diagonals)


def newton(Js, residuals, damping):
    """δ_t = J_t δ_{t-1} + r_t, for matrices and for diagonals; there is no damping."""
    return linear_scan(Js, residuals)


def solve(where, params, xs, state, guess, iterations, tolerance, step, linearise, damping=0.0):
    """Arguments checked, and the iteration run: `step(Js, residuals, damping)` is the change of all states, (T, B, n)."""
    require_size(where, "iterations", iterations, hint="T are always enough.")
    xs, first = check(where, params, xs, state)
    states = jax.tree.map(lambda s: jnp.zeros((len(xs), *s.shape), s.dtype), first)
    if guess is not None:
        for given, zeros in zip(jax.tree.leaves(guess), jax.tree.leaves(states), strict=True):
            require_shape(where, "guess", given, zeros.shape, match="as the states", hint="None begins with zeros.")
        states = jax.tree.map(lambda given, zeros: jnp.asarray(given, zeros.dtype), guess, states)
    params = jax.tree.map(jnp.asarray, params)
    how = {"iterations": iterations, "step": step, "linearise": linearise}
    return _solve(params, xs, first, states, tolerance, damping, **how)


@partial(jax.jit, static_argnames=("iterations", "step", "linearise"))
def _solve(params, xs, first, states, tolerance, damping, *, iterations, step, linearise):
    def look(states):
        afters, Js = linearise(params, xs, befores(first, states))
        return states, Js, flat(afters) - flat(states)

    def wanted(carry):
        k, (_, _, residuals), _ = carry
        return (k < iterations) & ~(jnp.abs(residuals).max() <= tolerance)

    def iterate(carry):
        k, (states, Js, residuals), seen = carry
        moved = flat(states) + step(Js, residuals, damping)
        found = look(like(jnp.where(jnp.isfinite(moved), moved, 0), states))
        return k + 1, found, seen.at[k + 1].set(jnp.abs(found[2]).max())

    begun = look(states)
    seen = jnp.full(iterations + 1, jnp.nan, begun[2].dtype).at[0].set(jnp.abs(begun[2]).max())
    k, (states, _, _), seen = jax.lax.while_loop(wanted, iterate, (0, begun, seen))
    return Solved(states, seen, k)


def diagonals(params, xs, before):
    """All steps at once, as `linearised`, but of each Jacobian its diagonal alone, (T, B, n).

    What a cell does after its product is elementwise, so the diagonal needs only those entries of the product that lead from a unit to
    itself: of each block of recur's matrix its diagonal.
    """
    one = jax.tree.map(lambda s: s[0, 0], before)
    leaves, structure = jax.tree.flatten(one)
    sides = []
    for side, leaf in enumerate(leaves):
        only = [jnp.ones_like(each) if k == side else jnp.zeros_like(each) for k, each in enumerate(leaves)]
        units = [jnp.diag(each) for each in only]  # one direction a unit
        blocks = jax.vmap(params.recur)(jax.tree.unflatten(structure, units)).reshape(leaf.size, -1, leaf.size)
        sides.append((side, jnp.einsum("iki->ki", blocks).ravel(), jax.tree.unflatten(structure, only)))

    def at_a_step(x, before):
        after, kept = params.advance(params.drive(x) + params.recur(before), before)
        parts = [jax.tree.leaves(params.tangent(d_p, d, before, after, kept))[side] for side, d_p, d in sides]
        return after, jnp.concatenate(parts)

    return jax.vmap(jax.vmap(at_a_step))(xs, before)
