"""A word to be said again after a pause."""

import numpy as np

from rnnlib.datasets import one_hot
from rnnlib.tasks.sequences import Sequences, check


def memorisation(T: int, B: int, *, bits: int = 5, rng: np.random.Generator) -> Sequences:
    """Repeat a word after T steps: 5 symbols of two kinds (5 bits), or 10 of five kinds (the papers' "20 bits", 10 log₂ 5 = 23.2).

    The inputs are the word, T − 1 blanks, a cue, and as many blanks as the word is long; the outputs are blank until after the cue.
    `bits` is 5 or 20, T at least 1; the other arguments and the errors are those of `adding`.

    Returns:
        `Sequences` of T + 10 or T + 20 steps, all of which count: the kinds, blank and cue one-hot, so D = 4 or 7; symbols to
        predict, the last of them blank, K = 3 or 6.

    Example:
        >>> memorisation(3, 1, rng=np.random.default_rng(0)).targets[:, 0]
        array([2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 0, 0])

    Source: Martens and Sutskever (2011), noiseless memorisation; T as in Pascanu et al. (2013), who give the cue one step later.
    """
    words = {5: (5, 2), 20: (10, 5)}
    if bits not in list(words):
        raise ValueError(f"memorisation: bits must be 5 or 20, got {bits!r}. Those are the papers'; copy has 30.")
    return _repeated_word("memorisation", *words[bits], T, B, rng)


def copy(T: int, B: int, *, rng: np.random.Generator) -> Sequences:
    """Repeat 10 symbols of eight kinds after T steps: `memorisation` of 30 bits, with its arguments and errors, D = 10 and K = 9.

    Without memory the best mean cross-entropy is 10 log 8 / (T + 20): blanks, then a guess.

    Example:
        >>> copy(100, 20, rng=np.random.default_rng(0)).xs.shape
        (120, 20, 10)

    Source: Arjovsky, Shah, Bengio (2016), Unitary evolution recurrent neural networks, the copying memory problem.
    """
    return _repeated_word("copy", 10, 8, T, B, rng)


def _repeated_word(where, length, kinds, T, B, rng):
    check(where, T, B, rng)
    word, blank = rng.integers(kinds, size=(length, B)), np.full((T + length, B), kinds)
    inputs = np.concatenate([word, blank])
    inputs[length + T - 1] = kinds + 1  # the cue
    targets = np.concatenate([blank, word])
    return Sequences(one_hot(inputs, kinds + 2), targets, np.full(targets.shape, 1 / targets.size))
