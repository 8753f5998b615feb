"""Collections of sequences: tagged sentences and piano rolls from your files, handwritten digits read a pixel a step."""

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from rnnlib.datasets.files import kind_of, read_text


class Sentence(NamedTuple):
    """Words, and a tag for each: O outside, B-x where a chunk of kind x begins, I-x where it goes on."""

    words: tuple[str, ...]
    tags: tuple[str, ...]


class Digits(NamedTuple):
    """Pictures of digits, read a pixel a step, row by row."""

    xs: Float[np.ndarray, "T N 1"]  # T = 64 pixels, from 0 to 1
    labels: Int[np.ndarray, " N"]  # 0 ... 9


def iob(path: str | Path) -> dict[str, tuple[Sentence, ...]]:
    r"""Read tagged sentences: a folder of pairs such as train.seq.in, one sentence a line, and train.seq.out, their tags.

    Lines end at \n or \r\n, words at spaces and tabs, and nowhere else: other characters that count as space in Unicode belong to words.

    Args:
        path: the folder, with train.seq.in and train.seq.out or with train/seq.in and train/seq.out. ATIS is at hand in both forms in
            many places; its licence does not allow us to bring it along.

    Returns:
        The sentences of each pair, by the name in front of `.seq.in` or `/seq.in`.

    Raises:
        FileNotFoundError: no such folder, no pair in it, or half a pair.
        ValueError: with file and line: as many tags as words are wanted, no empty line but at the end, tags O, B-x or I-x, and I-x only
            behind B-x or I-x. Also where a file is not UTF-8, or no text at all.

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
    inputs = sorted([*folder.glob("*.seq.in"), *folder.glob("*/seq.in")])
    if not inputs:
        there = "no such folder"
        if folder.is_dir():
            names = sorted(file.name for file in folder.iterdir())
            there = f"a folder with {', '.join(names[:3])}{' ...' if names[3:] else ''}" if names else "an empty folder"
        elif folder.exists():
            there = "a file. Is it in columns, a word and its tag a line? Then write each sentence's words and tags on a line each"
        raise FileNotFoundError(f"iob: {path} must hold files such as train.seq.in and train.seq.out, got {there}.")
    return {
        file.parent.name if file.name == "seq.in" else file.name.removesuffix(".seq.in"): _tagged(
            file, file.with_suffix(".out")
        )
        for file in inputs
    }


def piano_roll(path: str | Path) -> dict[str, tuple[Float[np.ndarray, "T 88"], ...]]:
    """Read piano rolls from a .mat file: of each piece, which of the 88 keys sound at each step.

    Args:
        path: such as JSB_Chorales.mat or Nottingham.mat, with the cell arrays traindata, validdata and testdata.

    Returns:
        `{"train": ..., "valid": ..., "test": ...}`, tuples of arrays (T, 88) of 0 and 1, in float32.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no .mat file, which it then says, or cut off; a part is missing; a piece has another shape or other numbers
            than 0 and 1, with what it looks like and what would make it fit.

    Example:
        >>> piano_roll("no_such.mat")
        Traceback (most recent call last):
        FileNotFoundError: piano_roll: no_such.mat must be a .mat file of piano rolls, got nothing there.

    Source: Boulanger-Lewandowski, Bengio, Vincent (2012), Modeling temporal dependencies in high-dimensional sequences, arXiv 1206.6392.
    """
    from scipy.io import loadmat

    if not Path(path).is_file():
        there = "a folder" if Path(path).is_dir() else "nothing there"
        raise FileNotFoundError(f"piano_roll: {path} must be a .mat file of piano rolls, got {there}.")
    kind = kind_of(path)
    if kind:
        hint = "Take the .mat file of the same name. " if kind[0] == "a pickle" else ""
        raise ValueError(f"piano_roll: {path} must be a .mat file, got {kind[0]}. {hint}{kind[1]}")
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
        pieces = content[f"{part}data"]
        if pieces.dtype != object:
            hint = f"In MATLAB, {part}data = {{{part}data}} makes one."
            raise ValueError(f"piano_roll: {path}, {part}data must be a cell array of pieces, got one array. {hint}")
        parts[part] = tuple(
            _piece(f"piano_roll: {path}, {part}data, piece {n}", p) for n, p in enumerate(pieces.ravel())
        )
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


def _tagged(words_file, tags_file):
    """The sentences of one pair of files."""
    if not tags_file.is_file():
        raise FileNotFoundError(
            f"iob: {words_file.name} must have its tags beside it in {tags_file.name}, got nothing there."
        )
    rows = [read_text("iob", file).rstrip("\n").split("\n") for file in (words_file, tags_file)]
    if len(rows[0]) != len(rows[1]):
        raise ValueError(
            f"iob: {tags_file.name} must have a line for each of {words_file.name}, got {len(rows[1])} for {len(rows[0])}."
        )
    sentences = []
    for number, (words, tags) in enumerate(zip(*rows, strict=True), 1):
        sentence, at = Sentence(_words(words), _words(tags)), f"iob: {tags_file.name}, line {number}"
        if not sentence.words or len(sentence.words) != len(sentence.tags):
            got = f"{len(sentence.tags)} for {len(sentence.words)}"
            raise ValueError(f"{at}: there must be a tag for each word, and one word at least, got {got}.")
        for before, tag in zip(("O", *sentence.tags), sentence.tags, strict=False):
            if tag != "O" and (tag[:2] not in ("B-", "I-") or len(tag) < 3):
                hint = (
                    " Is it IOBES? Then write B- for S- and U-, I- for E- and L-."
                    if tag[:2] in ("S-", "E-", "U-", "L-")
                    else ""
                )
                raise ValueError(f"{at}: a tag must be O, B-kind or I-kind, got {tag!r}.{hint}")
            if tag[:2] == "I-" and before[2:] != tag[2:]:
                raise ValueError(
                    f"{at}: {tag} must follow B-{tag[2:]} or {tag}, got it behind {before}. Is it IOB1? Then write B- there."
                )
        sentences.append(sentence)
    return tuple(sentences)


def _words(line):
    """What stands between spaces and tabs."""
    return tuple(word for word in re.split("[ \t]+", line) if word)


def _piece(where, piece):
    """One piano roll in float32."""
    piece = np.asarray(piece.toarray() if hasattr(piece, "toarray") else piece)  # some are sparse
    if piece.ndim != 2 or piece.shape[1] != 88 or not len(piece):
        hint = ""
        if piece.ndim == 2 and piece.shape[1] == 128:
            hint = " Are these MIDI's 128 notes? The piano's are piece[:, 21:109]."
        elif piece.ndim == 2 and piece.shape[0] == 88:
            hint = " Is time last? Then piece.T."
        raise ValueError(f"{where} must be (T, 88) of 0 and 1, got {piece.shape}.{hint}")
    odd = np.argwhere(~np.isin(piece, (0, 1)))
    if len(odd):
        t, key = odd[0]
        hint = " Are these velocities? Then (piece > 0)." if piece.dtype.kind in "iuf" and piece.max() > 1 else ""
        raise ValueError(f"{where} must hold 0 and 1 alone, got {piece[t, key]} at step {t}, key {key}.{hint}")
    return piece.astype(np.float32)
