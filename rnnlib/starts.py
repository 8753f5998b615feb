"""Where a recurrent matrix begins: so that what a net has seen neither dies away nor grows while it waits.

Both serve as `params._replace(W_hh=...)`. How loud the inputs are (the scale of W_xh) decides as much: see chapters 05 and 10.
"""

import numpy as np
from jaxtyping import Float

from rnnlib.validation import require_size


def orthogonal(H: int, *, rng: np.random.Generator, dtype: type = np.float64) -> Float[np.ndarray, "H H"]:
    """Draw an orthogonal matrix, uniformly: W Wᵀ = I, so all its singular values are 1.

    Args:
        H: hidden units.
        rng: the source of randomness.
        dtype: of the matrix.

    Returns:
        (H, H).

    Raises:
        ValueError: H below 1.
        TypeError: H not whole, a seed in place of a generator.

    Example:
        >>> W = orthogonal(4, rng=np.random.default_rng(0))
        >>> bool(np.allclose(W @ W.T, np.eye(4)))
        True

    Source: Saxe, McClelland, Ganguli (2014), Exact solutions to the nonlinear dynamics of learning in deep linear neural networks;
    the signs that make it uniform: Mezzadri (2007), How to generate random matrices from the classical compact groups, section 5.
    """
    _check("orthogonal", H, rng)
    Q, R = np.linalg.qr(rng.standard_normal((H, H)))
    return (Q * np.sign(np.diag(R))).astype(dtype)


def sparse(
    H: int, *, rng: np.random.Generator, connections: int = 15, radius: float = 1.1, dtype: type = np.float64
) -> Float[np.ndarray, "H H"]:
    """Draw a sparse matrix: each unit listens to a few units, with weights ~ N(0, 1), scaled to a spectral radius.

    Args:
        H: hidden units.
        rng: the source of randomness.
        connections: units that each unit listens to (a column of the matrix).
        radius: the largest absolute value among the eigenvalues.
        dtype: of the matrix.

    Returns:
        (H, H).

    Raises:
        ValueError: sizes outside their range.
        TypeError: sizes that are not whole, a seed in place of a generator.

    Example:
        >>> int((sparse(100, rng=np.random.default_rng(0)) != 0).sum())
        1500

    Source: Martens and Sutskever (2011), Learning recurrent neural networks with Hessian-free optimization, section 4; the radius:
    Sutskever, Martens, Dahl, Hinton (2013), On the importance of initialization and momentum in deep learning.
    """
    _check("sparse", H, rng)
    require_size("sparse", "connections", connections, most=H, hint="They are units of the same net.")
    if not radius > 0:
        raise ValueError(f"sparse: radius must be above 0, got {radius}. Near 1, what was seen lasts.")
    largest = 0.0
    while largest < 1e-3:  # a few units with a connection each may form no loop at all: then draw again
        heard = rng.permuted(np.tile(np.arange(H)[:, None], H), axis=0) < connections
        W = np.where(heard, rng.standard_normal((H, H)), 0.0)
        largest = np.abs(np.linalg.eigvals(W)).max()
    return (W * (radius / largest)).astype(dtype)


def _check(where, H, rng):
    require_size(where, "H", H, hint="It counts hidden units.")
    if not isinstance(rng, np.random.Generator):
        raise TypeError(
            f"{where}: rng must be a np.random.Generator, got {type(rng).__name__}. Try np.random.default_rng(0)."
        )
