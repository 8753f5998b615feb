"""Python source and what each of its characters is, by Python's own `tokenize`; and a page that shows it in colour."""

import html
import io
import keyword
import token as kinds
import tokenize
from itertools import pairwise

import numpy as np
from jaxtyping import Int

CLASSES = ("space", "name", "keyword", "number", "operator", "string", "comment")

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
_KINDS = {
    kinds.NUMBER: "number",
    kinds.STRING: "string",
    kinds.OP: "operator",
    kinds.COMMENT: "comment",
    kinds.NAME: "name",
}


def classes(source: str) -> Int[np.ndarray, " N"]:
    """Say of each character of a Python source what it belongs to, as a place in `CLASSES`.

    An f-string is a string from end to end, what it embeds included, as in Python 3.11.

    Args:
        source: a whole file, or any text that `tokenize` can read.

    Returns:
        (N,), one number for each character.

    Raises:
        ValueError: with the line: the source is not complete Python.

    Example:
        >>> [CLASSES[k] for k in classes("if x:")]
        ['keyword', 'keyword', 'space', 'name', 'operator']

    Source: the Python language reference, section 2, Lexical analysis.
    """
    result = np.zeros(len(source), np.int32)
    starts, opened = line_starts(source), []  # where the f-strings begin that are not closed yet
    try:
        for kind, text, (row, column), (end_row, end_column), _ in tokenize.generate_tokens(
            io.StringIO(source).readline
        ):
            begin = starts[row - 1] + column
            if kinds.tok_name[kind].endswith("STRING_START"):
                opened.append(begin)
            if kinds.tok_name[kind].endswith("STRING_END"):
                kind, begin = kinds.STRING, opened.pop()
            if kind in _KINDS and not opened:
                label = "keyword" if kind == kinds.NAME and keyword.iskeyword(text) else _KINDS[kind]
                result[begin : starts[end_row - 1] + end_column] = CLASSES.index(label)
    except (tokenize.TokenError, SyntaxError) as error:
        raise ValueError(f"classes: source must be complete Python, got {error}.") from None
    return result


def line_starts(source: str) -> Int[np.ndarray, " lines"]:
    r"""Say where each line begins, and behind them where a further one would.

    Example:
        >>> line_starts("if x:\n  y").tolist()
        [0, 6, 10]

    Source: the Python language reference, section 2.1.2: only the end-of-line sequences end a line, a form feed does not.
    """
    return np.cumsum([0, *(len(line) + 1 for line in source.split("\n"))])


def page(source: str, labels: Int[np.ndarray, " N"], *, title: str = "") -> str:
    """Render source as HTML, each character in the style of its class; runs of one class share an element.

    Args:
        source: the text.
        labels: (N,), for each character a place in `CLASSES`.
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
