"""Figures: how one is shown with its lesson, and the few ways of drawing that chapters share. `plt.style.use("rnnlib.figures.course")`."""

import base64
import io

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import Markdown, display
from jaxtyping import Float
from PIL import Image


def show(fig: plt.Figure, *, caption: str, alt: str) -> None:
    """Show a figure with its lesson below it and a description for those who can't see it, then close it.

    The image is a plain PNG output, so that JupyterLab, GitHub and exported pages all show it; the alt text goes into its metadata and
    stands in for it as text.

    Args:
        fig: the figure.
        caption: what it teaches, a sentence.
        alt: what is to be seen: axes, curves, how they run.

    Raises:
        ValueError: an empty caption or alt text.

    Example:
        >>> fig, ax = plt.subplots()
        >>> show(fig, caption="Nothing yet.", alt="Empty axes.")  # doctest: +SKIP
    """
    for name, words in {"caption": caption, "alt": alt}.items():
        if not words.strip():
            raise ValueError(
                f"show: {name} must say something, got {words!r}. A figure without words is lost on some readers."
            )
    full, png = io.BytesIO(), io.BytesIO()
    fig.savefig(full, format="png")
    Image.open(full).convert("RGB").quantize(256).save(png, format="png", optimize=True)  # a third of the size
    plt.close(fig)
    image = base64.b64encode(png.getvalue()).decode()
    display({"image/png": image, "text/plain": alt}, metadata={"image/png": {"alt": alt}}, raw=True)
    display(Markdown(f"*{caption}*"))


def heatmap(
    ax: plt.Axes, matrix: Float[np.ndarray, "rows columns"], *, limit: float | None = None, numbers: bool = False
):
    """Draw a signed matrix: orange for positive, violet for negative, white for zero.

    Args:
        ax: the axes to draw on.
        matrix: (rows, columns), any real numbers.
        limit: the value of the deepest colour; None for the largest absolute entry.
        numbers: whether to write each entry into its square.

    Returns:
        The image, for `fig.colorbar`.

    Example:
        >>> fig, ax = plt.subplots()
        >>> heatmap(ax, np.eye(3), numbers=True).get_clim()
        (-1.0, 1.0)
    """
    limit = float(np.abs(matrix).max()) or 1.0 if limit is None else limit
    image = ax.imshow(matrix, cmap="PuOr_r", vmin=-limit, vmax=limit, aspect="auto")
    ax.grid(False)
    if numbers:
        for (i, j), value in np.ndenumerate(matrix):
            colour = "white" if abs(value) > 0.6 * limit else "black"
            ax.text(j, i, f"{value:z.2f}", ha="center", va="center", fontsize=10, color=colour)
    return image
