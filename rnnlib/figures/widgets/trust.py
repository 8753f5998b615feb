"""How far a model may be trusted: steps of every damping, what the model promised, what the loss did, how far the states moved."""

import numpy as np

from rnnlib.figures.widgets.explorable import Explorable, script


class Trust(Explorable):
    """How far a model may be trusted: steps of every damping, what the model promised, what the loss did, how far the states moved."""

    _esm = script("trust")


def trust(
    dampings: np.ndarray,
    prices: np.ndarray,
    shares: np.ndarray,
    losses: np.ndarray,
    slopes: np.ndarray,
    curved: np.ndarray,
    moved: np.ndarray,
    lengths: np.ndarray,
    times: np.ndarray | None = None,
) -> Trust:
    """Choose the damping λ and the price μ on the states, see one step's model, loss and states, and let ρ say what λ is next.

    Along a step δ the model is L + a g·δ + ½ a² δᵀGδ, and ρ = (L(θ + δ) − L(θ)) / (g·δ + ½ δᵀGδ).

    Args:
        dampings: (n,), λ, each 3/2 times the one before: so a button can follow the rule.
        prices: (m,), μ.
        shares: (S,), of the step, with 0 first and 1 among them.
        losses: (n, m, S), the loss along each step.
        slopes: (n, m), g·δ.
        curved: (n, m), δᵀGδ.
        moved: (n, m, T), root mean square change of the states at some time steps.
        lengths: (n, m), ‖δ‖.
        times: (T,), the time steps of `moved`; None for 1 ... T.

    Returns:
        The explorable.

    Raises:
        ValueError: dampings that don't rise by 3/2, no share of 1, arrays of other shapes.

    Example:
        >>> trust(np.array([1.0, 1.5]), np.array([0.0]), np.array([0.0, 1.0]), np.ones((2, 1, 2)),
        ...       -np.ones((2, 1)), np.ones((2, 1)), np.zeros((2, 1, 3)), np.ones((2, 1))).data["shares"]
        [0.0, 1.0]

    Source: Martens and Sutskever (2011), Learning recurrent neural networks with Hessian-free optimization, section 3.2.
    """
    n, m = len(dampings), len(prices)
    if not np.allclose(dampings[1:] / dampings[:-1], 1.5):
        raise ValueError(
            f"trust: each of dampings must be 3/2 of the one before, got {np.round(dampings, 4).tolist()}."
        )
    if shares[0] != 0 or not np.isclose(shares, 1).any():
        raise ValueError(f"trust: shares must begin with 0 and have a 1, got {np.round(shares, 4).tolist()}.")
    wanted = {
        "losses": (n, m, len(shares)),
        "slopes": (n, m),
        "curved": (n, m),
        "moved": (n, m, np.shape(moved)[-1]),
        "lengths": (n, m),
    }
    given = {"losses": losses, "slopes": slopes, "curved": curved, "moved": moved, "lengths": lengths}
    for name, shape in wanted.items():
        if np.shape(given[name]) != shape:
            raise ValueError(f"trust: {name} must be {shape}, a row for each damping, got {np.shape(given[name])}.")
    data = {"dampings": dampings, "prices": prices, "shares": shares, **given}
    data["times"] = np.arange(1, np.shape(moved)[-1] + 1) if times is None else times
    alt = (
        "Left, loss along one step: the model's curve and the actual one. Right, how far the step moves the hidden states, by time step. "
        "Move damping λ and the price μ on the states; a button does with λ what the ratio ρ asks for."
    )
    return Trust(data={name: _short(np.asarray(array, float)) for name, array in data.items()}, alt=alt)


def _short(array):
    """Nested lists of numbers of five digits."""
    return [_short(each) for each in array] if array.ndim else float(f"{float(array):.5g}")
