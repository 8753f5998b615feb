"""The gradient that a memory cell lets through, by lag, for forget gates that the inputs move; an Elman net beside it."""

import math

import numpy as np

from rnnlib.figures.widgets.explorable import Explorable, script
from rnnlib.validation import require_size


class ForgetGate(Explorable):
    """The gradient that a memory cell lets through, by lag, for forget gates that the inputs move; an Elman net beside it."""

    _esm = script("forget_gate")


def forget_gate(H: int = 24, *, seed: int = 0) -> ForgetGate:
    """Move the forget bias and the spread of the gates, and see how much gradient arrives along the cells, by lag.

    Args:
        H: cells, and hidden units of the Elman net.
        seed: of the pushes and the recurrent matrix.

    Returns:
        The explorable. Embedded, as powers of ten, are the lower quartile, median and upper quartile over the cells of `kept_by_cells`, the
        `half_life` of each, and `kept_by_elman` for recurrent matrices of radius 0.5 to 2, at lags up to 200.

    Raises:
        ValueError: H below 1.
        TypeError: H that is not whole.

    Example:
        >>> forget_gate(H=2).data["half_lives"][4][0]  # forget bias 0, gates that nothing moves
        1.0

    Source: Gers, Schmidhuber, Cummins (2000), Learning to forget, Neural Computation 12.
    """
    require_size("forget_gate", "H", H)
    rng = np.random.default_rng(seed)
    lags = [0, 1, 2, 5, *range(10, 201, 10)]
    biases, spreads, radii = np.arange(-4, 13) / 2, np.array([0, 0.5, 1, 2, 3]), np.arange(5, 21) / 10
    pushes, W = rng.standard_normal((lags[-1], H)), rng.standard_normal((H, H))
    W = W / np.abs(np.linalg.eigvals(W)).max()

    def quartiles(bias, spread):
        return np.quantile(kept_by_cells(bias, spread, pushes)[lags], [0.25, 0.5, 0.75], axis=1).round(2).tolist()

    data = {
        "lags": lags,
        "biases": biases.tolist(),
        "spreads": spreads.tolist(),
        "radii": radii.tolist(),
        "gates": [[quartiles(bias, spread) for spread in spreads] for bias in biases],
        "half_lives": [[half_life(bias, spread) for spread in spreads] for bias in biases],
        "tanh": [[kept_by_elman(radius * W, spread * pushes)[lags].round(2).tolist() for spread in spreads] for radius in radii],
    }  # fmt: skip
    alt = (
        "Share of the gradient that arrives against lag, log axis: a band of memory cells whose gates have a bias and are moved by inputs, "
        "their half-life marked, and an Elman net, dashed. Move bias, spread, T and the Elman net's spectral radius."
    )
    return ForgetGate(data=data, alt=alt)


def kept_by_cells(bias: float, spread: float, pushes: np.ndarray) -> np.ndarray:
    """Multiply forget gates back from the last step: log10 Π_{t > T−lag} σ(bias + spread · push_t), the gradient along each cell alone.

    Args:
        bias: of the forget gates.
        spread: how much a push of size one moves a gate's pre-activation.
        pushes: (T, H), what the inputs say to each gate.

    Returns:
        (T + 1, H): the share of dL/dc_T that arrives at each lag, 0 ... T, as a power of ten.

    Example:
        >>> kept_by_cells(0.0, 0.0, np.zeros((3, 1))).ravel().round(2).tolist()  # 1, 1/2, 1/4, 1/8
        [0.0, -0.3, -0.6, -0.9]

    Source: Hochreiter and Schmidhuber (1997), appendix A.2, with a forget gate in the cell's recurrence.
    """
    logs = -np.logaddexp(0, -(bias + spread * pushes)) / math.log(10)
    return np.concatenate([np.zeros_like(logs[:1]), np.cumsum(logs[::-1], axis=0)])


def half_life(bias: float, spread: float = 0.0) -> float:
    """Return after how many steps half of the gradient is left: ln 2 / −E[ln σ(bias + spread · n)] with n ~ N(0, 1).

    Args:
        bias: of the forget gate.
        spread: standard deviation of the gate's pre-activation.

    Returns:
        Steps, rounded to 4 digits. The mean is taken by Gauss-Hermite quadrature.

    Example:
        >>> [half_life(bias) for bias in (0.0, 1.0, 3.0, 5.0)]
        [1.0, 2.213, 14.27, 103.2]

    Source: the definition.
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(41)
    loss = np.logaddexp(0, -(bias + spread * nodes)) @ weights / weights.sum()
    return float(f"{math.log(2) / loss:.4g}")


def kept_by_elman(W_hh: np.ndarray, pushes: np.ndarray) -> np.ndarray:
    """Send errors of length one back through h_t = tanh(h_{t-1} W_hh + push_t): log10 of their root mean square, by lag.

    Args:
        W_hh: (H, H).
        pushes: (T, H), what the inputs say to each unit.

    Returns:
        (T + 1,): log10 (‖dh_T/dh_{T−lag}‖_F / √H), the share of a random error at the last step that arrives; at least −99.

    Example:
        >>> kept_by_elman(0.1 * np.eye(2), np.zeros((3, 2))).round(6).tolist()
        [0.0, -1.0, -2.0, -3.0]

    Source: Pascanu, Mikolov, Bengio (2013), equation 5.
    """
    h, hs = np.zeros(len(W_hh)), []
    for push in pushes:
        h = np.tanh(h @ W_hh + push)
        hs.append(h)
    errors, kept = np.eye(len(W_hh)), [0.0]
    for h in reversed(hs):
        errors = (errors * (1 - h * h)) @ W_hh.T
        size = np.linalg.norm(errors) / math.sqrt(len(W_hh))
        kept.append(math.log10(size) if size > 1e-99 else -99.0)
    return np.array(kept)
