"""Python source in colour: each character in the style of its class."""

import html
from itertools import pairwise

import numpy as np
from jaxtyping import Int

from rnnlib.datasets import CLASSES

# Colours that differ in lightness too, on white; strings and comments are set apart by more than colour.
STYLES = {
    "space": "",
    "name": "color:#1a1a1a",
    "keyword": "color:#7b3294;font-weight:bold",
    "number": "color:#0571b0",
    "operator": "color:#777777",
    "string": "color:#1b7837;background:#eef7ee",
    "comment": "color:#a6611a;font-style:italic",
}


def page(source: str, labels: Int[np.ndarray, " N"], *, title: str = "") -> str:
    """Render source as HTML, each character in the style of its class; runs of one class share an element.

    Args:
        source: the text.
        labels: (N,), for each character a place in `datasets.CLASSES`.
        title: a line above it.

    Returns:
        HTML, with all that comes from the source escaped.

    Raises:
        ValueError: labels of another length.

    Example:
        >>> page("1", np.array([3])).count("<span")
        1

    Source: HTML Living Standard, section 4.4.3, the pre element.
    """
    if len(labels) != len(source):
        raise ValueError(f"page: labels must be one for each of {len(source)} characters, got {len(labels)}.")
    cuts = [0, *(np.flatnonzero(np.diff(labels)) + 1), len(source)] if len(source) else [0]
    spans = [f'<span style="{STYLES[CLASSES[labels[a]]]}">{html.escape(source[a:b])}</span>' for a, b in pairwise(cuts)]
    heading = f"<b>{html.escape(title)}</b>" if title else ""
    return (
        f'{heading}<pre style="background:#ffffff;color:#1a1a1a;padding:0.5em;line-height:1.35">{"".join(spans)}</pre>'
    )
