"""Python source and what each of its characters is, by Python's own `tokenize`."""

import ast
import io
import keyword
import sysconfig
import token as kinds
import tokenize
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from rnnlib.validation import require_size

CLASSES = ("space", "name", "keyword", "number", "operator", "string", "comment")
_KINDS = {
    kinds.NUMBER: "number",
    kinds.STRING: "string",
    kinds.OP: "operator",
    kinds.COMMENT: "comment",
    kinds.NAME: "name",
}


class Code(NamedTuple):
    """A piece of Python source and what each of its characters is."""

    name: str  # the file it is from
    text: str
    classes: Int[np.ndarray, " N"]  # of every character, a place in CLASSES


def source_code(unit: str = "file", *, characters: int = 1_000_000) -> dict[str, tuple[Code, ...]]:
    """Return the standard library's own source with the class of each character, in three parts that share no file.

    Files of 4,000 to 80,000 characters are taken in an order that depends on their names alone, until there are enough; of each ten one
    goes to "valid" and one to "test". They differ a little between versions of Python. What is in a docstring is known from
    the file as a whole, also for a line.

    Args:
        unit: "file", "function" (with its decorators and its indentation) or "line" (with something on it, without its end).
        characters: about how many to read.

    Returns:
        `{"train": ..., "valid": ..., "test": ...}`, tuples of `Code`.

    Raises:
        ValueError: another unit, or fewer than one character.
        FileNotFoundError: this Python came without its source, as in a browser or an embedded one.
        TypeError: a number of characters that is not whole.

    Example:
        >>> parts = source_code("line", characters=50_000)
        >>> line = parts["train"][0]
        >>> len(line.text) == len(line.classes)
        True

    Source: the folder of Python's standard library; classes by `tokenize`.
    """
    if unit not in _PIECES:
        raise ValueError(f"source_code: unit must be one of {', '.join(map(repr, _PIECES))}, got {unit!r}.")
    require_size("source_code", "characters", characters)
    folder = Path(sysconfig.get_path("stdlib"))
    parts, read, number = {"train": [], "valid": [], "test": []}, 0, 0
    for path in sorted(folder.glob("*.py"), key=lambda path: zlib.crc32(path.name.encode())):
        with tokenize.open(path) as file:  # in the encoding that it declares
            text = file.read()
        if not 4000 < len(text) < 80_000:
            continue
        if read >= characters and number >= 10:
            break
        part, number = {8: "valid", 9: "test"}.get(number % 10, "train"), number + 1
        parts[part] += _PIECES[unit](Code(path.name, text, token_classes(text)))
        read += len(text)
    if number < 10:
        got = f"{number} in {folder.name}/"
        raise FileNotFoundError(
            f"source_code: ten files of Python's own source must be there, got {got}. Is it in a zip file?"
        )
    return {part: tuple(pieces) for part, pieces in parts.items()}


def token_classes(source: str) -> Int[np.ndarray, " N"]:
    """Say of each character of a Python source what it belongs to, as a place in `CLASSES`.

    An f-string is a string from end to end, what it embeds included, as in Python 3.11.

    Args:
        source: a whole file, or any text that `tokenize` can read.

    Returns:
        (N,), one number for each character.

    Raises:
        ValueError: with the line: the source is not complete Python.

    Example:
        >>> [CLASSES[k] for k in token_classes("if x:")]
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
        raise ValueError(f"token_classes: source must be complete Python, got {error}.") from None
    return result


def line_starts(source: str) -> Int[np.ndarray, " lines"]:
    r"""Say where each line begins, and behind them where a further one would.

    Example:
        >>> line_starts("if x:\n  y").tolist()
        [0, 6, 10]

    Source: the Python language reference, section 2.1.2: only the end-of-line sequences end a line, a form feed does not.
    """
    return np.cumsum([0, *(len(line) + 1 for line in source.split("\n"))])


def _lines(code):
    for begin, line in zip(line_starts(code.text), code.text.split("\n"), strict=False):
        if line.strip():
            yield Code(code.name, line, code.classes[begin : begin + len(line)])


def _functions(code):
    starts = line_starts(code.text)
    for node in ast.walk(ast.parse(code.text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            piece = slice(starts[first - 1], starts[node.end_lineno])
            yield Code(code.name, code.text[piece], code.classes[piece])


_PIECES = {"file": lambda code: [code], "function": _functions, "line": _lines}
