"""By how much a matrix stretches and turns, and at which rates changes grow along a whole run."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from rnnlib.dynamics.jacobians import require_jacobians
from rnnlib.validation import require_finite, require_floating


def singular_values(matrices: Float[Any, "*batch H H"]) -> Float[jax.Array, "*batch H"]:
    """Return by how much a matrix stretches: the half axes of the ellipse that it makes of a unit ball, longest first.

    Args:
        matrices: (..., H, H), such as Jacobians or their products.

    Returns:
        (..., H), not negative, in falling order. The first is the spectral norm.

    Raises:
        ValueError: matrices that are not square, or hold NaN or infinity.
        TypeError: something else than floating-point numbers.

    Example:
        >>> singular_values(np.array([[0.0, 3.0], [0.0, 0.0]])).tolist()
        [3.0, 0.0]

    Source: Trefethen, Bau (1997), Numerical Linear Algebra, lecture 4.
    """
    _require_square("singular_values", "matrices", matrices, "(..., H, H)")
    return jnp.linalg.svd(jnp.asarray(matrices), compute_uv=False)


def spectral_radius(matrix: Float[Any, "H H"]) -> float:
    """Return the largest absolute value of an eigenvalue: ρ(W) = max |λ|, the limit of ‖Wᵏ‖^(1/k).

    Args:
        matrix: (H, H), such as W_hh.

    Returns:
        The radius; never more than the spectral norm.

    Raises:
        ValueError: a matrix that is not square, or holds NaN or infinity.
        TypeError: something else than floating-point numbers.

    Example:
        >>> spectral_radius(np.array([[0.0, 3.0], [0.0, 0.0]]))  # its square is zero
        0.0

    Source: Trefethen, Bau (1997), Numerical Linear Algebra, lecture 24.
    """
    _require_square("spectral_radius", "matrix", matrix, "(H, H)")
    return float(np.abs(np.linalg.eigvals(np.asarray(matrix))).max())


def lyapunov_exponents(jacobians: Float[Any, "T B H H"]) -> Float[jax.Array, "B H"]:
    """Say at which rates small changes grow along a run: λ_i = (1/T) Σ_t log |R_ii,t|, with Q_t R_t = J_t Q_{t-1}.

    A change along the fastest direction grows like exp(λ_1 t): above 0 the net is chaotic, below it forgets. The triangular factor is
    taken out at every step, which keeps all H directions apart, and the numbers finite, however long the run.

    Args:
        jacobians: (T, B, H, H), as `jacobians` returns them.

    Returns:
        (B, H), in nats a step, largest first but for the noise of a short run; −∞ where a direction is lost.

    Raises:
        ValueError: an array of another shape.
        TypeError: something else than floating-point numbers.

    Example:
        >>> stretched = np.tile(np.diag([2.0, 0.5]), (9, 1, 1, 1))  # by two along one axis, and halved along the other
        >>> bool(np.allclose(lyapunov_exponents(stretched), [[np.log(2), -np.log(2)]]))
        True

    Source: Engelken, Wolf, Abbott (2023), Lyapunov spectra of chaotic recurrent neural networks, Physical Review Research 5,
    arXiv 2006.02427.
    """
    Js = require_jacobians("lyapunov_exponents", jacobians)
    return _lyapunov_exponents(Js)


@jax.jit
def _lyapunov_exponents(Js):
    def grow(Q, J):
        Q, R = jnp.linalg.qr(J @ Q)
        return Q, jnp.log(jnp.abs(jnp.diagonal(R, axis1=-2, axis2=-1)))

    begin = jnp.broadcast_to(jnp.eye(Js.shape[-1], dtype=Js.dtype), Js.shape[1:])
    return jax.lax.scan(grow, begin, Js)[1].mean(0)


def _require_square(where, name, matrix, expected):
    require_floating(where, **{name: matrix})
    shape = tuple(matrix.shape)
    if len(shape) < 2 or shape[-1] != shape[-2] or 0 in shape or (len(shape) > 2 and "..." not in expected):
        raise ValueError(f"{where}: {name} must be {expected}, got {shape}. Is it W_hh?")
    require_finite(where, **{name: matrix})
