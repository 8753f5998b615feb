"""Symbols among others that do not matter: which they were, or in which order they came, is asked at the end."""

import numpy as np

from rnnlib.datasets import one_hot
from rnnlib.tasks.sequences import Sequences, asked_at_the_end, check, places_in


def temporal_order(T: int, B: int, *, symbols: int = 2, rng: np.random.Generator) -> Sequences:
    """Tell in which order X and Y came: XX, XY, YX, YY are the answers 0, 1, 2, 3 after T steps; with three symbols XXX ... YYY, 0 ... 7.

    All other steps are drawn from a, b, c, d. Of two symbols, the first comes in the second tenth of the steps and the second in the
    sixth; three come in the second, fourth and seventh. `symbols` is 2 or 3; the other arguments and the errors are those of `adding`.

    Returns:
        `Sequences`: X, Y, a, b, c, d one-hot, so D = 6; symbols to predict, K = 4 or 8; only the last step counts.

    Example:
        >>> temporal_order(50, 20, rng=np.random.default_rng(0)).xs.shape
        (50, 20, 6)

    Source: Hochreiter and Schmidhuber (1997), experiments 6a and 6b, less their start and end symbols; places of Pascanu et al. (2013).
    """
    tenths = {2: ((1, 2), (5, 6)), 3: ((1, 2), (3, 4), (6, 7))}
    if symbols not in list(tenths):
        raise ValueError(f"temporal_order: symbols must be 2 or 3, got {symbols!r}. It counts X and Y together.")
    places = places_in("temporal_order", tenths[symbols], T, B, rng)
    shown = rng.integers(2, size=(symbols, B))  # 0 is X, 1 is Y
    inputs = rng.integers(2, 6, size=(T, B))  # a, b, c, d
    np.put_along_axis(inputs, places, shown, axis=0)
    return asked_at_the_end(one_hot(inputs, 6), 2 ** np.arange(symbols)[::-1] @ shown)


def permutation(T: int, B: int, *, rng: np.random.Generator) -> Sequences:
    """Remember which of two symbols came first, through T − 1 others drawn from the 98 that never matter. Arguments, errors: `adding`.

    Returns:
        `Sequences`: 100 symbols one-hot, so D = 100; symbols to predict, K = 100, of which 0 and 1 are asked for; only the last step,
        T ≥ 2, counts.

    Example:
        >>> batch = permutation(50, 20, rng=np.random.default_rng(0))
        >>> bool((batch.xs[0].argmax(-1) == batch.targets[-1]).all())
        True

    Source: Martens and Sutskever (2011), the random permutation problem; judged at the last step alone, as by Pascanu et al. (2013).
    """
    check("permutation", T, B, rng, least=2)
    symbols = rng.integers(2, 100, size=(T, B))
    symbols[0] = rng.integers(2, size=B)
    return asked_at_the_end(one_hot(symbols, 100), symbols[0])


def first_bit(T: int, B: int, *, rng: np.random.Generator) -> Sequences:
    """Remember the first of T ≥ 2 random bits: x_t is 0 or 1, and the answer after the last is x_1. Arguments and errors as for `adding`.

    Returns:
        `Sequences` with D = 1; symbols to predict, K = 2; only the last step counts.

    Example:
        >>> first_bit(100, 20, rng=np.random.default_rng(0)).xs.shape
        (100, 20, 1)

    Source: the example of Boulanger-Lewandowski's theano-hf (2013), T = 100, which has one sigmoid output: the difference of our two.
    """
    check("first_bit", T, B, rng, least=2)
    bits = rng.integers(2, size=(T, B))
    return asked_at_the_end(bits[..., None].astype(float), bits[0])
