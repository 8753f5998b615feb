"""One step of an Elman net: what goes in, what it is multiplied with, what comes out, and the shape of everything."""

import matplotlib.pyplot as plt

_GREY = {"boxstyle": "round,pad=0.35", "ec": "#8a8a8a"}
_INPUT, _STATE, _OUTPUT = (_GREY | {"fc": fill} for fill in ("#f3f3f3", "#e8f2f9", "#e7f5f0"))
_DONE = _GREY | {"fc": "white"}  # what is done with a number
_CARDS = [
    (0.3, 1, "$h_{t-1}$", _STATE),
    (1.8, 1, "$W_{hh}$", _DONE),
    (3, -1.15, "$x_t$", _INPUT),
    (3, 0, "$W_{xh}$", _DONE),
    (3, 1, "+", _DONE | {"boxstyle": "circle"}),
    (3, 2.35, "$b_h$", _DONE),
    (4.8, 1, "tanh", _DONE),
    (6.25, 1, "$h_t$", _STATE),
    (6.25, 2, r"$W_{hy},\ b_y$", _DONE),
    (6.25, 2.95, "$y_t$", _OUTPUT),
]
_SHAPES = [
    (0.3, 0.45, "(H,)"),
    (1.8, 0.4, "(H, H)"),
    (3.65, -1.15, "(D,)"),
    (3.8, 0, "(D, H)"),
    (3.6, 2.35, "(H,)"),
    (6.25, 0.45, "(H,)"),
    (7.55, 2, "(H, K), (K,)"),
    (6.85, 2.95, "(K,)"),
]
_ARROWS = [
    *[(0.8, 1, 1.35, 1), (2.25, 1, 2.76, 1), (3.24, 1, 4.35, 1), (5.25, 1, 5.95, 1), (6.55, 1, 8, 1)],
    *[(3, -0.85, 3, -0.3), (3, 0.3, 3, 0.74), (3, 2.05, 3, 1.26), (6.25, 1.3, 6.25, 1.7), (6.25, 2.3, 6.25, 2.65)],
]


def elman_step() -> plt.Figure:
    """Draw one step, h_t = tanh(x_t W_xh + h_{t-1} W_hh + b_h) and y_t = h_t W_hy + b_y, from left to right.

    Returns:
        The figure, for `show`.

    Example:
        >>> fig = elman_step()

    Source: Elman (1990), Finding structure in time, Cognitive Science 14, figure 2.
    """
    fig = plt.figure(figsize=(8.6, 3.9), layout="none")
    ax = fig.add_axes((0, 0, 1, 1))
    for *tail, x, y in _ARROWS:
        ax.annotate("", (x, y), tail, arrowprops={"arrowstyle": "-|>", "color": "0.35", "shrinkA": 0, "shrinkB": 0})
    for x, y, word, box in _CARDS:
        ax.text(x, y, word, ha="center", va="center", fontsize=13, bbox=box)
    for x, y, word in [*_SHAPES, (4, 1.25, "$a_t$"), (7.4, 1.25, "to the next step")]:
        ax.text(x, y, word, ha="center", va="center", fontsize=11, color="0.3")
    ax.set(xlim=(-0.2, 8.4), ylim=(-1.55, 3.35))
    ax.axis("off")
    return fig
