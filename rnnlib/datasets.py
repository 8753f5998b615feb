"""Real data to arrays. What reads a file says what was wrong with it; nothing is downloaded."""

import ast
import sysconfig
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from rnnlib.figures import highlight
from rnnlib.validation import require_size


class Code(NamedTuple):
    """A piece of Python source and what each of its characters is."""

    name: str  # the file it is from
    text: str
    classes: Int[np.ndarray, " N"]  # of every character, a place in highlight.CLASSES


class Sentence(NamedTuple):
    """Words, and a tag for each: O outside, B-x where a chunk of kind x begins, I-x where it goes on."""

    words: tuple[str, ...]
    tags: tuple[str, ...]


class Digits(NamedTuple):
    """Pictures of digits, read a pixel a step, row by row."""

    xs: Float[np.ndarray, "T N 1"]  # T = 64 pixels, from 0 to 1
    labels: Int[np.ndarray, " N"]  # 0 ... 9


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
        ValueError: the file is empty or not UTF-8.

    Example:
        >>> len(text()) > 100_000
        True

    Source: Python's standard library, `pydoc_data/topics.py`.
    """
    if path is None:
        from pydoc_data.topics import topics

        return "\n".join(topics[name] for name in sorted(topics))
    path = Path(path)
    if not path.is_file():
        there = "a folder" if path.is_dir() else "nothing there"
        raise FileNotFoundError(f"text: {path} must be a text file, got {there}. You are in {Path.cwd().name}/.")
    try:
        content = path.read_text(encoding="utf-8-sig")  # without a byte-order mark, if there is one
    except UnicodeDecodeError as error:
        raise ValueError(
            f"text: {path} must be UTF-8, got byte 0x{error.object[error.start]:02x} at position {error.start}. "
            "Save it as UTF-8 in an editor, or try iconv -t utf-8."
        ) from None
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
        ValueError: fewer than B + 1 symbols, or B below 1.
        TypeError: B that is not whole.

    Example:
        >>> inputs, targets = streams(np.arange(7), 2)
        >>> inputs.T.tolist(), targets.T.tolist()
        ([[0, 1, 2], [3, 4, 5]], [[1, 2, 3], [4, 5, 6]])
    """
    require_size("streams", "B", B, most=max(1, len(ids) - 1), hint=f"There are {len(ids)} symbols.")
    M = (len(ids) - 1) // B
    return ids[: M * B].reshape(B, M).T, ids[1 : M * B + 1].reshape(B, M).T


def _check_ids(where, ids, D):
    if not np.issubdtype(np.asarray(ids).dtype, np.integer):
        raise TypeError(f"{where}: ids must be integers, got {np.asarray(ids).dtype}. Try ids.astype(int).")
    if np.size(ids) and not (np.min(ids) >= 0 and np.max(ids) < D):
        raise ValueError(
            f"{where}: ids must lie in 0 ... {D - 1}, got {np.min(ids)} ... {np.max(ids)}. Is D the size of the alphabet?"
        )


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
        text = path.read_text(encoding="utf-8")
        if not 4000 < len(text) < 80_000:
            continue
        if read >= characters and number >= 10:
            break
        part, number = {8: "valid", 9: "test"}.get(number % 10, "train"), number + 1
        parts[part] += _PIECES[unit](Code(path.name, text, highlight.classes(text)))
        read += len(text)
    return {part: tuple(pieces) for part, pieces in parts.items()}


def iob(path: str | Path) -> dict[str, tuple[Sentence, ...]]:
    r"""Read tagged sentences: a folder of pairs such as train.seq.in, one sentence a line, and train.seq.out, their tags.

    Args:
        path: the folder. ATIS in this form is at hand in many places; its licence does not allow us to bring it along.

    Returns:
        The sentences of each pair, by the name in front of `.seq.in`.

    Raises:
        FileNotFoundError: no such folder, no pair in it, or half a pair.
        ValueError: with file and line: as many tags as words are wanted, no empty line, tags O, B-x or I-x, and I-x only behind B-x or I-x.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = (Path(folder) / "train.seq.in").write_text("to new york\n")
        ...     _ = (Path(folder) / "train.seq.out").write_text("O B-city I-city\n")
        ...     iob(folder)["train"][0].tags
        ('O', 'B-city', 'I-city')

    Source: Ramshaw and Marcus (1995), Text chunking using transformation-based learning, section 4.2, in the form of CoNLL-2002 (IOB2).
    """
    folder = Path(path)
    inputs = sorted(folder.glob("*.seq.in"))
    if not inputs:
        there = "a folder without it" if folder.is_dir() else "no such folder"
        raise FileNotFoundError(f"iob: {path} must hold files such as train.seq.in and train.seq.out, got {there}.")
    return {file.name.removesuffix(".seq.in"): _tagged(file, file.with_suffix(".out")) for file in inputs}


def piano_roll(path: str | Path) -> dict[str, tuple[Float[np.ndarray, "T 88"], ...]]:
    """Read piano rolls from a .mat file: of each piece, which of the 88 keys sound at each step.

    Args:
        path: such as JSB_Chorales.mat or Nottingham.mat, with the cell arrays traindata, validdata and testdata.

    Returns:
        `{"train": ..., "valid": ..., "test": ...}`, tuples of arrays (T, 88) of 0 and 1, in float32.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no .mat file or cut off, a part is missing, a piece has another shape or other numbers than 0 and 1.

    Example:
        >>> piano_roll("no_such.mat")
        Traceback (most recent call last):
        FileNotFoundError: piano_roll: no_such.mat must be a .mat file of piano rolls, got nothing there.

    Source: Boulanger-Lewandowski, Bengio, Vincent (2012), Modeling temporal dependencies in high-dimensional sequences, arXiv 1206.6392.
    """
    from scipy.io import loadmat

    if not Path(path).is_file():
        raise FileNotFoundError(f"piano_roll: {path} must be a .mat file of piano rolls, got nothing there.")
    try:
        content = loadmat(path)
    except Exception as error:  # a damaged file fails in many ways
        raise ValueError(
            f"piano_roll: {path} must be a .mat file, got something damaged ({error}). Load it again?"
        ) from None
    parts = {}
    for part in ("train", "valid", "test"):
        if f"{part}data" not in content:
            raise ValueError(
                f"piano_roll: {path} must hold {part}data, got {sorted(k for k in content if k[0] != '_')}."
            )
        pieces = [np.asarray(piece, np.float32) for piece in content[f"{part}data"].ravel()]
        for n, piece in enumerate(pieces):
            if piece.ndim != 2 or piece.shape[1] != 88 or not np.isin(piece, (0, 1)).all():
                raise ValueError(
                    f"piano_roll: {path}, {part}data, piece {n} must be (T, 88) of 0 and 1, got {piece.shape}."
                )
        parts[part] = tuple(pieces)
    return parts


def digits() -> Digits:
    """Return 1797 handwritten digits of 8 × 8 pixels as sequences of 64 steps: a small task with a long memory, on real data.

    Returns:
        `Digits`: xs (64, 1797, 1) from 0 to 1, and labels (1797,), in the order of the collection.

    Example:
        >>> digits().xs.shape
        (64, 1797, 1)

    Source: Alpaydin and Kaynak (1998), Optical recognition of handwritten digits, UCI repository. Pixel by pixel:
    Le, Jaitly, Hinton (2015), A simple way to initialize recurrent networks of rectified linear units, arXiv 1504.00941, section 4.2.
    """
    from sklearn.datasets import load_digits

    collection = load_digits()
    return Digits((collection.data.T[..., None] / 16).astype(np.float32), collection.target)


def _lines(code):
    for begin, line in zip(highlight.line_starts(code.text), code.text.split("\n"), strict=False):
        if line.strip():
            yield Code(code.name, line, code.classes[begin : begin + len(line)])


def _functions(code):
    starts = highlight.line_starts(code.text)
    for node in ast.walk(ast.parse(code.text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            piece = slice(starts[first - 1], starts[node.end_lineno])
            yield Code(code.name, code.text[piece], code.classes[piece])


_PIECES = {"file": lambda code: [code], "function": _functions, "line": _lines}


def _tagged(words_file, tags_file):
    """The sentences of one pair of files."""
    if not tags_file.is_file():
        raise FileNotFoundError(
            f"iob: {words_file.name} must have its tags beside it in {tags_file.name}, got nothing there."
        )
    rows = [file.read_text(encoding="utf-8").splitlines() for file in (words_file, tags_file)]
    if len(rows[0]) != len(rows[1]):
        raise ValueError(
            f"iob: {tags_file.name} must have a line for each of {words_file.name}, got {len(rows[1])} for {len(rows[0])}."
        )
    sentences = []
    for number, (words, tags) in enumerate(zip(*rows, strict=True), 1):
        sentence, at = Sentence(tuple(words.split()), tuple(tags.split())), f"iob: {tags_file.name}, line {number}"
        if not sentence.words or len(sentence.words) != len(sentence.tags):
            got = f"{len(sentence.tags)} for {len(sentence.words)}"
            raise ValueError(f"{at}: there must be a tag for each word, and one word at least, got {got}.")
        for before, tag in zip(("O", *sentence.tags), sentence.tags, strict=False):
            if tag != "O" and (tag[:2] not in ("B-", "I-") or len(tag) < 3):
                raise ValueError(f"{at}: a tag must be O, B-kind or I-kind, got {tag!r}.")
            if tag[:2] == "I-" and before[2:] != tag[2:]:
                raise ValueError(
                    f"{at}: {tag} must follow B-{tag[2:]} or {tag}, got it behind {before}. Is it IOB1? Then write B- there."
                )
        sentences.append(sentence)
    return tuple(sentences)
