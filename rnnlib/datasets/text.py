"""Text: real English or a file of yours, characters as numbers and as vectors, strips that are read side by side."""

from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from rnnlib.datasets.files import read_text
from rnnlib.validation import require_array, require_shape, require_size


def text(path: str | Path | None = None) -> str:
    """Return real text: the English of Python's own help topics, or a file of yours.

    Without a path it is `pydoc_data.topics`, the pages that `help("topics")` lists: about 465,000 characters, on every machine, a
    little different in each version of Python.

    Args:
        path: a UTF-8 file; None for Python's help topics.

    Returns:
        The text, one string.

    Raises:
        FileNotFoundError: there is no such file, or it is a folder.
        ValueError: the file is empty, not UTF-8, or no text: a pointer of git-lfs, a web page, something packed.
        ModuleNotFoundError: this Python came without its help topics, as in a browser or an embedded one.

    Example:
        >>> len(text()) > 100_000
        True

    Source: Python's standard library, `pydoc_data/topics.py`.
    """
    if path is None:
        try:
            from pydoc_data.topics import topics
        except ModuleNotFoundError:
            hint = "Give a file of yours: text('mine.txt'); in Pyodide, await pyodide.loadPackage('pydoc_data')."
            raise ModuleNotFoundError(
                f"text: Python's help topics must be there, got a Python without them. {hint}"
            ) from None
        return "\n".join(topics[name] for name in sorted(topics))
    path = Path(path)
    if not path.is_file():
        there = "a folder" if path.is_dir() else "nothing there"
        raise FileNotFoundError(f"text: {path} must be a text file, got {there}. You are in {Path.cwd().name}/.")
    content = read_text("text", path)
    if not content:
        raise ValueError(f"text: {path} must hold some text, got an empty file. Did the download or the save finish?")
    return content


def encode(content: str, symbols: str | None = None) -> tuple[Int[np.ndarray, " N"], str]:
    """Number the characters of a text: ids[n] is the place of character n in `symbols`.

    Args:
        content: the text.
        symbols: the alphabet; None for the text's own characters, sorted.

    Returns:
        `(ids, symbols)`: integers (N,) and the alphabet, a string, so that `symbols[ids[n]] == content[n]`.

    Raises:
        ValueError: an empty text, a character that the alphabet lacks, an alphabet with repeats.
        TypeError: something else than a string.

    Example:
        >>> encode("abba")
        (array([0, 1, 1, 0]), 'ab')
    """
    if not isinstance(content, str):
        raise TypeError(f"encode: content must be a string, got {type(content).__name__}. Try ''.join(content).")
    if symbols is not None and len(set(symbols)) < len(symbols):
        hint = "Try ''.join(sorted(set(content)))."
        raise ValueError(f"encode: symbols must be a string without repeats, got {symbols!r}. {hint}")
    if not content:
        raise ValueError("encode: content must hold some text, got an empty string. Try datasets.text().")
    symbols = "".join(sorted(set(content))) if symbols is None else symbols
    place = {character: i for i, character in enumerate(symbols)}
    try:
        return np.array([place[character] for character in content]), symbols
    except KeyError as error:
        raise ValueError(
            f"encode: content must use the {len(symbols)} given symbols, got {error.args[0]!r}. "
            "Try the alphabet of the whole text, before it is split."
        ) from None


def decode(ids: Int[np.ndarray, " N"], symbols: str) -> str:
    """Spell numbers out again: the inverse of `encode`.

    Args:
        ids: (N,), integers 0 ... len(symbols) − 1.
        symbols: the alphabet.

    Returns:
        The text.

    Raises:
        ValueError: a number outside the alphabet.

    Example:
        >>> decode(np.array([0, 1, 1, 0]), "ab")
        'abba'
    """
    _check_ids("decode", ids, len(symbols))
    return "".join(symbols[i] for i in ids)


def one_hot(ids: Int[np.ndarray, "*steps"], D: int, *, dtype: type = np.float64) -> Float[np.ndarray, "*steps {D}"]:
    """Turn symbols into vectors: row `ids[...]` of the D × D identity.

    Args:
        ids: integers 0 ... D−1, of any shape.
        D: the size of the alphabet.
        dtype: the floating-point type of the vectors.

    Returns:
        Zeros with a single one along the new last axis.

    Raises:
        ValueError: a symbol outside 0 ... D−1, or D below 1.
        TypeError: symbols or D that are not integers.

    Example:
        >>> one_hot(np.array([2, 0]), 3)
        array([[0., 0., 1.],
               [1., 0., 0.]])
    """
    require_size("one_hot", "D", D, hint="It is the size of the alphabet.")
    _check_ids("one_hot", ids, D)
    return np.eye(D, dtype=dtype)[ids]


def streams(ids: Int[np.ndarray, " N"], B: int) -> tuple[Int[np.ndarray, "M B"], Int[np.ndarray, "M B"]]:
    """Cut a text into B strips that are read side by side: inputs, and for each the symbol that follows it.

    Args:
        ids: (N,), the text as numbers.
        B: how many strips; what does not fill them is left out at the end.

    Returns:
        `(inputs, targets)`: (M, B) each, M = (N − 1) // B, time first; a strip goes on where the one before it ends.

    Raises:
        ValueError: fewer than B + 1 symbols, ids of more than one axis, or B below 1.
        TypeError: B that is not whole, ids that are no array.

    Example:
        >>> inputs, targets = streams(np.arange(7), 2)
        >>> inputs.T.tolist(), targets.T.tolist()
        ([[0, 1, 2], [3, 4, 5]], [[1, 2, 3], [4, 5, 6]])
    """
    require_array("streams", ids=ids)
    require_shape("streams", "ids", ids, ("N",), match="one text, or several in a row", hint="Try ids.ravel().")
    if len(ids) < 2:
        raise ValueError("streams: ids must hold 2 symbols or more, got 1: nothing follows it, so there is no target.")
    require_size("streams", "B", B, most=len(ids) - 1, hint=f"There are {len(ids)} symbols.")
    M = (len(ids) - 1) // B
    return ids[: M * B].reshape(B, M).T, ids[1 : M * B + 1].reshape(B, M).T


def _check_ids(where, ids, D):
    if not np.issubdtype(np.asarray(ids).dtype, np.integer):
        raise TypeError(f"{where}: ids must be integers, got {np.asarray(ids).dtype}. Try ids.astype(int).")
    if np.size(ids) and not (np.min(ids) >= 0 and np.max(ids) < D):
        raise ValueError(
            f"{where}: ids must lie in 0 ... {D - 1}, got {np.min(ids)} ... {np.max(ids)}. Is D the size of the alphabet?"
        )
