"""The gradient by lag of a small net, against the straight line of its spectral radius."""

import numpy as np

from rnnlib.figures.widgets.explorable import Explorable, script
from rnnlib.validation import require_size


class GradientLags(Explorable):
    """The gradient by lag of a small net, against the straight line of its spectral radius."""

    _esm = script("gradient_lags")


def gradient_lags(H: int = 16, *, seed: int = 0) -> GradientLags:
    """Move the spectral radius and T, choose nonlinearity and initialisation, and see how much gradient arrives at each lag.

    Args:
        H: hidden units, at most 32, so that the page can follow the hand.
        seed: of the matrices, inputs and errors.

    Returns:
        The explorable. Embedded are two recurrent matrices of spectral radius one, 60 inputs as they enter the hidden units, and an
        error of length one for each step; the page multiplies and draws.

    Raises:
        ValueError: H outside 1 ... 32.
        TypeError: H that is not whole.

    Example:
        >>> list(gradient_lags(H=4).data["matrices"])
        ['normal', 'orthogonal']

    Source: Pascanu, Mikolov, Bengio (2013), On the difficulty of training recurrent neural networks, section 2.1.
    """
    require_size("gradient_lags", "H", H, most=32)
    rng = np.random.default_rng(seed)
    normal = rng.standard_normal((H, H))
    matrices = {
        "normal": normal / np.abs(np.linalg.eigvals(normal)).max(),
        "orthogonal": np.linalg.qr(rng.standard_normal((H, H)))[0],
    }
    errors = rng.standard_normal((60, H))
    data = {
        "matrices": {name: W.round(8).tolist() for name, W in matrices.items()},
        "inputs": (0.5 * rng.standard_normal((60, H))).round(4).tolist(),
        "errors": (errors / np.linalg.norm(errors, axis=1, keepdims=True)).round(6).tolist(),
    }
    alt = (
        "Gradient against lag on a logarithmic axis, with the straight line radius^lag beside it. Move the spectral radius and T, choose "
        "nonlinearity and initialisation: a linear net runs beside the line, tanh and ReLU fall below it."
    )
    return GradientLags(data=data, alt=alt)
