"""A scan and its derivative, which is a scan that runs back."""

import matplotlib.pyplot as plt

from rnnlib.figures.diagrams.look import BLUE, GREY, ORANGE


def scan_and_derivative(ax: plt.Axes, *, steps: int = 3) -> None:
    """Draw a scan, and below it its derivative: a scan that runs back, h_{t-1} → h_t above, δ_t W_hhᵀ and the sums dW below.

    Args:
        ax: the axes to draw on; about 9 inches wide for three steps, its frame is set.
        steps: how many.

    Example:
        >>> fig, ax = plt.subplots(figsize=(9, 4.6))
        >>> scan_and_derivative(ax)
    """
    end = 2.65 * steps
    labels = [(0.9, 4.7, "the scan"), (0.9, -0.2, "its derivative"), (end + 1.3, 3.85, f"$h_{steps}$")]
    _arrows(ax, BLUE, "-", [(end + 0.4, 3.6, end + 1.95, 3.6)])
    _arrows(ax, ORANGE, "--", [(2.0, 0.9, 0.35, 0.9)])
    for t in range(1, steps + 1):
        x, back = 2.65 * t, rf"$\delta_{t} W_{{hh}}^\top, dW$"
        for y, word, colour in [(3.6, "step", BLUE), (0.9, "step back", ORANGE)]:
            box = {"boxstyle": "round,pad=0.5", "fc": "white", "ec": colour, "lw": 1.6}
            ax.text(x, y, word, ha="center", va="center", size=12, bbox=box)
        _arrows(ax, BLUE, "-", [(x, 2.65, x, 3.25), (x, 3.95, x, 4.5), (x - 2.25, 3.6, x - 0.4, 3.6)])
        _arrows(ax, ORANGE, "--", [(x, 0.0, x, 0.55), (x + 2.0, 0.9, x + 0.65, 0.9)])
        _arrows(ax, GREY, ":", [(x + 0.3, 3.2, x + 0.3, 1.3)])
        labels += [
            (x, 2.42, f"$x_{t}$"),
            (x, 4.7, f"$y_{t}$"),
            (x - 1.25, 3.85, f"$h_{t - 1}$"),
            (x, -0.2, f"$dy_{t}$"),
        ]
        labels += [(x + 0.65, 2.1, "tape"), (x - 1.32, 1.32, back)]
    for x, y, text in [*labels, (end + 1.32, 1.2, "0, 0")]:
        ax.text(x, y, text, ha="center", va="center", size=12)
    ax.set(xlim=(0, end + 2.25), ylim=(-0.5, 5))
    ax.axis("off")


def _arrows(ax, colour, dash, ends):
    look = {"arrowstyle": "-|>", "shrinkA": 0, "shrinkB": 0, "color": colour, "lw": 1.7, "ls": dash}
    for *tail, x, y in ends:
        ax.annotate("", (x, y), tail, arrowprops=look)
