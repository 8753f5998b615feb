"""The error of a difference quotient against its step ε."""

from collections.abc import Callable

import numpy as np

from rnnlib.figures.widgets.explorable import Explorable, script


class EpsilonError(Explorable):
    """The error of a difference quotient against its step ε."""

    _esm = script("epsilon_error")


def epsilon_error(loss: Callable[[np.floating], np.floating], weight: float, slope: float) -> EpsilonError:
    """Move the step ε of a difference quotient from 1 down to 1e-16, and see its secant and its error.

    Args:
        loss: the loss as a function of one weight, which computes in the precision of the number that it is given.
        weight: where the slope is wanted.
        slope: the exact slope there, dL/dw, from the backward pass.

    Returns:
        The explorable: the loss around the weight at 65 steps ε, in float64 and float32, with forward and central differences.

    Example:
        >>> epsilon_error(np.tanh, 0.5, 1 - np.tanh(0.5) ** 2).data["kinds"].keys()
        dict_keys(['float64', 'float32'])

    Source: Press et al. (2007), Numerical Recipes, section 5.7.
    """
    epsilons = 10.0 ** (np.arange(-64, 1) / 4)
    offsets = np.arange(-15, 16) / 10  # from the weight, in units of ε: -1, 0 and 1 are among them
    kinds = {d.__name__: _differences(loss, d(weight), slope, epsilons, offsets) for d in (np.float64, np.float32)}
    data = {"epsilons": epsilons.tolist(), "offsets": offsets.tolist(), "slope": float(slope), "kinds": kinds}
    alt = (
        "Left, a loss near one weight with its tangent and the secant of a difference quotient; right, the error of the secant's slope "
        "against the step ε, a curve shaped like a V. Move ε: rounding spoils small steps, curvature large ones."
    )
    return EpsilonError(data=data, alt=alt)


def _differences(loss, weight, slope, epsilons, offsets):
    """In one precision: the loss around the weight less its tangent, a row for each ε, and the error of each quotient."""
    dtype = type(weight)
    steps = epsilons[:, None] * offsets
    losses = np.array([[float(loss(weight + dtype(step))) for step in row] for row in steps]) - float(loss(weight))
    below, above = losses[:, offsets == -1].ravel(), losses[:, offsets == 1].ravel()
    unit = float(np.finfo(dtype).eps / 2)
    return {
        "curves": [[float(f"{x:.4g}") for x in row] for row in losses - slope * steps],
        "errors": {
            "forward": (above / epsilons - slope).tolist(),
            "central": ((above - below) / (2 * epsilons) - slope).tolist(),
        },
        "unit": unit,
        "balance": {"forward": unit ** (1 / 2), "central": unit ** (1 / 3)},
    }
