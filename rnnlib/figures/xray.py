"""The triangle of squares that an X-ray of a backward pass gives: which loss reaches which step, and how right it arrives."""

import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Float
from matplotlib.patches import Rectangle

# what is in a square: its symbol, its colour, its hatch, its name in the legend; Okabe and Ito's colours, light enough for black text
LOOK = {
    "right": ("✓", "#bfe3d6", "", "right"),
    "missing": ("·", "#f2f2f2", "", "missing"),
    "scaled": ("×", "#cfe6f5", "//", "a multiple"),
    "wrong": ("✗", "#f6c9a8", "xx", "wrong"),
    "future": ("!", "#f0cfe0", "..", "hears the future"),
}


def draw_xray(
    ax: plt.Axes, squares: np.ndarray, scale: Float[np.ndarray, "T T"] | None = None, *, legend: bool = True
) -> None:
    """Draw the squares of an X-ray, a row for each loss and a column for each step, both counted from 1.

    Args:
        ax: the axes to draw on.
        squares: (T, T) of "right", "missing", "scaled", "wrong", "future", or "" where nothing is.
        scale: (T, T), written into the squares that are a multiple of the right one; None to leave it out.
        legend: whether to say below what the symbols mean.

    Raises:
        ValueError: squares that are not T by T, or hold another word.

    Example:
        >>> fig, ax = plt.subplots()
        >>> draw_xray(ax, np.array([["right", ""], ["wrong", "right"]]))
        >>> [text.get_text() for text in ax.texts]
        ['✓', '✗', '✓']
        >>> plt.close(fig)
    """
    _check(squares)
    T = len(squares)
    for (t, s), word in np.ndenumerate(squares):
        if word:
            symbol, colour, hatch, _ = LOOK[str(word)]
            number = f"{symbol}{scale[t, s]:.2g}" if word == "scaled" and scale is not None else symbol
            size = {1: 11, 2: 11, 3: 9}.get(len(number), 7)
            ax.add_patch(_patch(s, t, colour, hatch))
            box = {"facecolor": colour, "edgecolor": "none", "pad": 1.5}  # so that no hatch runs through the symbol
            ax.text(
                s, t, number.replace("-", "−"), ha="center", va="center", fontsize=size, family="DejaVu Sans", bbox=box
            )
    ax.set(xlim=(-0.5, T - 0.5), ylim=(T - 0.5, -0.5), xlabel="step s", ylabel="loss t", aspect="equal")
    ax.set_xticks(range(T), range(1, T + 1))
    ax.set_yticks(range(T), range(1, T + 1))
    ax.grid(False)
    ax.tick_params(length=0)
    if legend:
        seen = [look for word, look in LOOK.items() if (squares == word).any()]
        handles = [_patch(0, 0, colour, hatch) for _, colour, hatch, _ in seen]
        names = [f"{symbol}  {name}" for symbol, *_, name in seen]
        ax.legend(handles, names, loc="upper left", bbox_to_anchor=(1, 1), prop={"family": "DejaVu Sans", "size": 10})


def _patch(s, t, colour, hatch):
    corner = (s - 0.46, t - 0.46)
    return Rectangle(corner, 0.92, 0.92, facecolor=colour, hatch=hatch, edgecolor="#b8b8b8", linewidth=0.5)


def _check(squares):
    if squares.ndim != 2 or squares.shape[0] != squares.shape[1]:
        raise ValueError(f"draw_xray: squares must be (T, T), got {squares.shape}. Try xray(...).squares.")
    words = {str(word) for word in np.unique(squares)} - {"", *LOOK}
    if words:
        raise ValueError(f"draw_xray: squares must hold {', '.join(LOOK)} or nothing, got {', '.join(sorted(words))}.")
