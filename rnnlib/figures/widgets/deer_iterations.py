"""How fast small changes grow along a run, and how many iterations Newton's method needs to find it."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from rnnlib import dynamics, parallel
from rnnlib.cells import elman_step, init_elman
from rnnlib.figures.widgets.explorable import Explorable, script
from rnnlib.unroll import unroll_states
from rnnlib.validation import require_size

EXACT = 1e-8  # an error below this is none


class DeerIterations(Explorable):
    """The Lyapunov exponent of a net, and the error of each of DEER's iterations."""

    _esm = script("deer")


class Errors(NamedTuple):
    """What `deer_errors` returns."""

    exponent: Float[np.ndarray, ""]  # of Lyapunov, the largest, along the true run, in nats a step
    errors: Float[
        np.ndarray, "iterations+1 T"
    ]  # the largest error of a state of step t, of the guess and after each iteration
    needed: int  # iterations until all are below `EXACT`


def deer_errors(gain: float, *, T: int = 80, H: int = 16, seed: int = 0) -> Errors:
    """Follow DEER on an Elman net whose recurrent matrix has this gain: max_i |s_ti^(k) − s_ti| of every iteration k and step t.

    Args:
        gain: of W_hh, about its spectral radius.
        T: steps, and iterations.
        H: hidden units.
        seed: of the weights and the T inputs.

    Returns:
        `Errors(exponent, errors, needed)`, in float64 whatever JAX is set to.

    Raises:
        ValueError: T or H below 1.
        TypeError: T or H that is not whole.

    Example:
        >>> calm, wild = (deer_errors(gain, T=30, H=8) for gain in (0.5, 3.0))
        >>> bool(calm.exponent < wild.exponent), calm.needed < 8 < wild.needed
        (True, True)

    Source: as for `parallel.deer`; that the exponent decides: Gonzalez et al. (2025), Predictability enables parallelization of nonlinear
    state space models, arXiv 2508.16817.
    """
    for name, size in {"T": T, "H": H}.items():
        require_size("deer_errors", name, size)
    rng = np.random.default_rng(seed)
    params, xs = init_elman(2, H, 1, rng=rng), rng.standard_normal((T, 1, 2))
    with jax.enable_x64(True):
        exponent, errors = _followed(params._replace(W_hh=gain * params.W_hh), xs)
    errors = np.asarray(errors)
    return Errors(np.asarray(exponent), errors, int(np.argmax(errors.max(axis=1) < EXACT)))


@jax.jit
def _followed(params, xs):
    truth = unroll_states(params, xs)[1]
    Js = dynamics.jacobians(elman_step, params, xs, params.h0)

    def iterate(states, _):
        states = parallel.deer(params, xs, guess=states, iterations=1).states
        return states, jnp.abs(states - truth).max((1, 2))

    errors = jax.lax.scan(iterate, jnp.zeros_like(truth), length=len(xs))[1]
    first = jnp.abs(truth).max((1, 2))
    return dynamics.lyapunov_exponents(Js)[0, 0], jnp.concatenate([first[None], errors])


def deer_iterations(*, T: int = 80, H: int = 16, seed: int = 0) -> DeerIterations:
    """Move the gain of a net: small changes along its run fade or grow, and Newton's method needs few iterations or nearly all.

    Args:
        T: steps of the run, 10 ... 200.
        H: hidden units.
        seed: of the weights and inputs.

    Returns:
        The explorable. Embedded are, for each of 21 gains, the exponent and the error of each iteration; the page only draws.

    Raises:
        ValueError: T outside 10 ... 200, H below 1.
        TypeError: T or H that is not whole.

    Example:
        >>> len(deer_iterations(T=10, H=2).data["runs"])
        21

    Source: as for `deer_errors`.
    """
    require_size("deer_iterations", "T", T, least=10, most=200)
    runs = []
    for gain in np.linspace(0.5, 3, 21):
        exponent, errors, needed = deer_errors(gain, T=T, H=H, seed=seed)
        logs = np.log10(np.maximum(errors.max(axis=1), 1e-16)).round(2)
        exact = (np.cumsum(errors >= EXACT, axis=1) == 0).sum(axis=1)  # how many of the first states are right
        run = {"gain": float(gain), "exponent": round(float(exponent), 3), "needed": needed}
        runs.append(run | {"errors": logs.tolist(), "exact": exact.tolist()})
    alt = (
        "Left, the error of each of Newton's iterations on a logarithmic axis; right, the iterations needed against the Lyapunov exponent, "
        "a dot for each gain. Move the gain: below an exponent of 0 a few iterations are enough, above it most of T are needed."
    )
    return DeerIterations(data={"T": T, "runs": runs, "limit": EXACT}, alt=alt)
