"""How an X-ray looks as text and as HTML: a symbol in every square, a colour beside it."""

from html import escape

import numpy as np

SYMBOLS = {"right": "✓", "missing": "·", "scaled": "×", "wrong": "✗", "future": "!"}
MEANS = {
    "right": "right",
    "missing": "missing",
    "scaled": "a multiple",
    "wrong": "wrong",
    "future": "a loss that hears a later step",
}
COLOURS = {  # behind, and of the symbol: Okabe and Ito's, light enough for black text
    "right": "#bfe3d6",
    "missing": "#f2f2f2",
    "scaled": "#cfe6f5",
    "wrong": "#f6c9a8",
    "future": "#f0cfe0",
}


def symbol(square: str, scale: float) -> str:
    """Return what stands in a square: a symbol, or × and the multiple.

    Example:
        >>> symbol("scaled", 1 / 6)
        '×0.17'
    """
    return f"×{scale:.2g}" if square == "scaled" and np.isfinite(scale) else SYMBOLS.get(square, "")


def legend(squares: np.ndarray) -> dict[str, str]:
    """Return the symbols that occur and what they mean."""
    return {SYMBOLS[name]: MEANS[name] for name in SYMBOLS if (squares == name).any()}


def text(squares: np.ndarray, scale: np.ndarray, message: str) -> str:
    """Write the triangle of squares, its legend and the message.

    Args:
        squares: (T, T), words.
        scale: (T, T), multiples.
        message: what to say below.

    Returns:
        Lines.
    """
    T = len(squares)
    if not (squares != "").any():
        return message
    cells = [[symbol(squares[t, s], scale[t, s]) for s in range(T)] for t in range(T)]
    width = max(5, *(len(cell) + 2 for row in cells for cell in row))
    head = " " * 8 + "".join(f"{s + 1:>{width}}" for s in range(T)) + "  step"
    lines = [f"loss {t + 1:<3}" + "".join(f"{cell:>{width}}" for cell in row).rstrip() for t, row in enumerate(cells)]
    meanings = "   ".join(f"{mark} {means}" for mark, means in legend(squares).items())
    return "\n".join([head, *lines, meanings, message])


def html(squares: np.ndarray, scale: np.ndarray, message: str, title: str) -> str:
    """Write the same as a table that a screen reader can walk through.

    Args:
        squares: (T, T), words.
        scale: (T, T), multiples.
        message: what to say below.
        title: of the table.

    Returns:
        HTML.
    """
    T, body = len(squares), []
    if not (squares != "").any():
        return f"<p>✗ {escape(message)}</p>"
    for t in range(T):
        row = "".join(_cell(squares[t, s], scale[t, s]) for s in range(T))
        body.append(f'<tr><th scope="row" style="text-align:left;font-weight:normal">loss {t + 1}</th>{row}</tr>')
    head = "".join(f'<th scope="col" style="text-align:center;font-weight:normal">{s + 1}</th>' for s in range(T))
    meanings = " &nbsp; ".join(f"{mark} {escape(means)}" for mark, means in legend(squares).items())
    cut = set(np.unique(squares)) <= {"", "right", "missing"} and message.endswith("The rest is right.")
    mark = "✓" if message.startswith("Right") else SYMBOLS["missing"] if cut else "✗"
    caption = f'<caption style="text-align:left;white-space:nowrap">{escape(title)}</caption>'
    corner = '<th scope="col" style="text-align:left;font-weight:normal">at step</th>'
    table = f"{caption}<thead><tr>{corner}{head}</tr></thead><tbody>{''.join(body)}</tbody>"
    style = "border-collapse:separate;border-spacing:2px"
    return f'<table style="{style}">{table}</table><p>{meanings}</p><p>{mark} {escape(message)}</p>'


def _cell(square, scale):
    if not square:
        return "<td></td>"
    colour, means = COLOURS[square], MEANS[square]
    style = f"background:{colour};color:#000;text-align:center;min-width:2.6em;padding:.25em"
    return (
        f'<td style="{style}" title="{means}" aria-label="{means} {symbol(square, scale)}">{symbol(square, scale)}</td>'
    )
