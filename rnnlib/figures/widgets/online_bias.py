"""Gradients that are wrong always and gradients that are wrong each time: what averaging over draws mends."""

import numpy as np

from rnnlib.figures.widgets.explorable import Explorable, script


class OnlineBias(Explorable):
    """Gradients that are wrong always and gradients that are wrong each time: what averaging over draws mends."""

    _esm = script("online_bias")


def online_bias(scores: dict) -> OnlineBias:
    """Choose a method, average over more and more draws, and see where the mean goes and how far it is from the exact gradient.

    Args:
        scores: by name, what `online.gradient_bench` returns: each with bias, variance, cosine, `estimates` (samples, N), `exact` (N,).
            Your own method may be among them. At most 512 draws of each are used.

    Returns:
        The explorable. Embedded for each method is every draw as a point, along the exact gradient and across it, and the error of
        the mean of the first n; the page averages and draws. Across is the direction of the bias, or, where there is more spread than
        bias, that of the first draw.

    Raises:
        ValueError: no scores, or scores of gradients of different sizes.

    Example:
        >>> from types import SimpleNamespace
        >>> exact, estimates = np.array([1.0, 0.0]), np.array([[1.0, 2.0], [1.0, -2.0]])
        >>> score = SimpleNamespace(bias=0.0, variance=8.0, cosine=0.45, estimates=estimates, exact=exact)
        >>> online_bias({"tossed": score}).data["methods"][0]["errors"]
        [2.0, 0.0]

    Source: the decomposition E‖ĝ − g‖² = bias² + variance, as in Tallec and Ollivier (2017), Unbiased online recurrent optimization.
    """
    if len({score.exact.size for score in scores.values()}) != 1:
        sizes = [score.exact.size for score in scores.values()]
        raise ValueError(f"online_bias: scores must be of one net, got gradients of {sizes} numbers.")
    methods = [{"name": name, **_paths(score)} for name, score in scores.items()]
    alt = (
        "Left, draws of a gradient as dots, their mean and the exact gradient; right, the error of the mean against the number of draws, "
        "log axes. Buttons choose the method, a slider the number of draws. What is drawn at random falls; what is dropped stays flat."
    )
    return OnlineBias(data={"methods": methods}, alt=alt)


def _paths(score):
    estimates = np.asarray(score.estimates)[:512]
    n = np.arange(1, len(estimates) + 1)
    means = np.cumsum(estimates, axis=0) / n[:, None]
    off = np.linalg.norm(means - score.exact, axis=1)
    drawn = bool(score.variance > 1e-12)
    across = (estimates[0] if score.variance > score.bias**2 else means[-1]) - score.exact
    across = across - (across @ score.exact) * score.exact
    length = np.linalg.norm(across)
    across = across / length if length > 1e-9 else np.zeros_like(across)
    return {
        "drawn": drawn,
        "bias": float(score.bias),
        "variance": float(score.variance) if drawn else 0.0,
        "cosine": float(score.cosine),
        "points": np.stack([estimates @ score.exact, estimates @ across], 1)[: len(n) if drawn else 1]
        .round(4)
        .tolist(),
        "errors": [float(f"{error:.4g}") for error in (off if drawn else off[:1])],
    }
