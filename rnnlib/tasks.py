"""Invented sequences, each made to need a long memory, and the criterion by which a paper calls it solved.

A task makes `Sequences`, ready for `losses`, from T, B and `rng`: one answer at the end (`adding`, `multiplication`, `xor`,
`temporal_order`, `permutation`, `first_bit`), a word again after a pause (`memorisation`, `copy`), or, with nothing random in it,
`influence_balancing`.
"""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from rnnlib.datasets import one_hot
from rnnlib.validation import require_floating, require_shape, require_size


class Sequences(NamedTuple):
    """A batch of a task: what goes in, what should come out, and which steps count."""

    xs: Float[Any, "T B D"]  # inputs
    targets: Float[Any, "T B K"] | Int[Any, "T B"]  # numbers, or symbols 0 ... K−1; zero where no step counts
    weights: Float[Any, "T B"]  # equal over the steps that count, zero elsewhere; they sum to one


def adding(T: int, B: int, *, rng: np.random.Generator) -> Sequences:
    """Add two marked numbers: x_t = (u_t, m_t) with u_t ~ U[0, 1], the answer after T steps is Σ m_t u_t.

    One step of the first tenth has m_t = 1, and one between there and the middle. Always answering 1 costs a mean squared error of 1/6.

    Args:
        T: steps, at least 10.
        B: sequences.
        rng: the source of randomness.

    Returns:
        `Sequences` with D = 2 and K = 1; only the last step counts.

    Raises:
        ValueError: T, B or what else is asked outside its range.
        TypeError: sizes that are not whole, a seed in place of a generator.

    Example:
        >>> adding(50, 20, rng=np.random.default_rng(0)).xs.shape
        (50, 20, 2)

    Source: Hochreiter and Schmidhuber (1997), experiment 4, whose target is half this sum, whose T varies by a tenth and whose ends are
    marked −1; marks where Pascanu, Mikolov, Bengio (2013) put them; numbers and target of Le, Jaitly, Hinton (2015), the adding problem.
    """
    return _marked_numbers("adding", np.sum, T, B, rng)


def multiplication(T: int, B: int, *, rng: np.random.Generator) -> Sequences:
    """Multiply two marked numbers: `adding` with the product of the two for an answer, with its arguments, result and errors.

    Example:
        >>> bool((multiplication(50, 20, rng=np.random.default_rng(0)).targets < 1).all())
        True

    Source: Hochreiter and Schmidhuber (1997), experiment 5; marks where Pascanu, Mikolov, Bengio (2013) put them.
    """
    return _marked_numbers("multiplication", np.prod, T, B, rng)


def xor(T: int, B: int, *, rng: np.random.Generator) -> Sequences:
    """Say whether two marked bits differ: `adding` with random bits for numbers; its arguments and errors.

    Returns:
        `Sequences`: a bit and a mark, so D = 2; symbols to predict, 0 where the bits are alike and 1 where not, K = 2; only the last
        step counts.

    Example:
        >>> xor(50, 4, rng=np.random.default_rng(1)).targets[-1]
        array([1, 1, 0, 0])

    Source: Martens and Sutskever (2011), the XOR problem, whose layout is adding's; marks where Pascanu, Mikolov, Bengio (2013) put them.
    """
    inputs, bits = _marked("xor", T, B, rng, lambda shape: rng.integers(2, size=shape))
    return _asked_at_the_end(inputs.astype(float), bits.sum(0) % 2)


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
    places = _places("temporal_order", tenths[symbols], T, B, rng)
    shown = rng.integers(2, size=(symbols, B))  # 0 is X, 1 is Y
    inputs = rng.integers(2, 6, size=(T, B))  # a, b, c, d
    np.put_along_axis(inputs, places, shown, axis=0)
    return _asked_at_the_end(one_hot(inputs, 6), 2 ** np.arange(symbols)[::-1] @ shown)


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
    _check("permutation", T, B, rng, least=2)
    symbols = rng.integers(2, 100, size=(T, B))
    symbols[0] = rng.integers(2, size=B)
    return _asked_at_the_end(one_hot(symbols, 100), symbols[0])


def first_bit(T: int, B: int, *, rng: np.random.Generator) -> Sequences:
    """Remember the first of T ≥ 2 random bits: x_t is 0 or 1, and the answer after the last is x_1. Arguments and errors as for `adding`.

    Returns:
        `Sequences` with D = 1; symbols to predict, K = 2; only the last step counts.

    Example:
        >>> first_bit(100, 20, rng=np.random.default_rng(0)).xs.shape
        (100, 20, 1)

    Source: the example of Boulanger-Lewandowski's theano-hf (2013), T = 100, which has one sigmoid output: the difference of our two.
    """
    _check("first_bit", T, B, rng, least=2)
    bits = rng.integers(2, size=(T, B))
    return _asked_at_the_end(bits[..., None].astype(float), bits[0])


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


def missed(ys: Float[Any, "T B K"], batch: Sequences, *, tolerance: float = 0.04) -> Bool[np.ndarray, " B"]:
    """Say which sequences were got wrong: at a step that counts, ‖y − target‖² > tolerance, or the largest output is not the target's.

    Args:
        ys: (T, B, K), a network's outputs. One that is NaN or infinite at a step that counts is a miss.
        batch: the sequences it read.
        tolerance: the largest squared error allowed, for numbers. The papers' own for `adding`, on the scale of the whole sum:
            0.16 (Pascanu et al., a squared error of 0.04 in half the sum), 0.0064 (Hochreiter and Schmidhuber, an absolute one).

    Returns:
        (B,), True for each miss. A task is solved when fewer than 1 % of 10,000 fresh sequences are missed.

    Raises:
        ValueError: shapes that disagree.
        TypeError: outputs that are not floating point.

    Example:
        >>> batch = adding(50, 4, rng=np.random.default_rng(0))
        >>> missed(batch.targets + 0.1, batch), missed(batch.targets + 0.3, batch)
        (array([False, False, False, False]), array([ True,  True,  True,  True]))

    Source: Pascanu, Mikolov, Bengio (2013), section on the pathological synthetic problems and its supplement.
    """
    require_floating("missed", ys=ys)
    ys, targets = np.asarray(ys), np.asarray(batch.targets)
    numbers, shape = targets.ndim == 3, targets.shape
    expected = shape if numbers else (*shape, "K")
    require_shape("missed", "ys", ys, expected, match=f"to match targets {shape}", hint="Another batch?")
    right = ((ys - targets) ** 2).sum(-1) <= tolerance if numbers else ys.argmax(-1) == targets
    return ((np.asarray(batch.weights) > 0) & ~(right & np.isfinite(ys).all(-1))).any(0)


def influence_balancing(T: int, B: int) -> Sequences:
    """Hold one unit at 1 with a parameter θ whose influence is good at first and bad in the end; `influence_step` is the network.

    θ pushes 10 of 23 units up and 13 down. The first unit feels only the ups at once, but y = 2 (10 − 13) θ in the end: up is down.
    The B sequences are all alike; the paper runs one, without end, at a learning rate of 1e-4. Errors are those of `adding`.

    Returns:
        `Sequences`: xs (T, B, 23), the sign with which θ reaches each unit; targets 1, so K = 1; every step counts.

    Example:
        >>> influence_balancing(2, 1).xs.sum(-1).ravel()
        array([-3., -3.])

    Source: Tallec and Ollivier (2017), Unbiased online recurrent optimization, influence balancing.
    """
    _check("influence_balancing", T, B)
    signs = np.repeat([1.0, -1.0], [10, 13])
    return Sequences(np.tile(signs, (T, B, 1)), np.ones((T, B, 1)), np.full((T, B), 1 / (T * B)))


def influence_step(
    theta: Float[Any, ""] | float, x: Float[Any, "*batch H"], h: Float[Any, "*batch H"]
) -> tuple[Float[Any, "*batch 1"], Float[Any, "*batch H"]]:
    """Take one step of the linear network of `influence_balancing`: h'_i = (h_i + h_{i+1}) / 2 + θ x_i, and y = h'_1.

    The signs x and the state h are (B, 23) or (23,). Returns `(y, h')`, as `cells.elman_step` does, with one output: (B, 1) or (1,).

    Example:
        >>> influence_step(0.5, np.array([1.0, -1.0]), np.ones(2))
        (array([1.5]), array([1.5, 0. ]))

    Source: Tallec and Ollivier (2017), influence balancing. Vicol, Metz, Sohl-Dickstein (2021) start at θ = 1/2 and a state of ones.
    """
    h = h @ ((np.eye(h.shape[-1]) + np.eye(h.shape[-1], k=-1)) / 2).astype(h.dtype) + theta * x
    return h[..., :1], h


def influence_loss(theta: float) -> float:
    """Return what θ costs in the end, ½ (y − 1)² at the fixed point y = −6 θ. Solved: zero, at θ = −1/6."""
    return (2 * (10 - 13) * theta - 1) ** 2 / 2


def _marked_numbers(where, combine, T, B, rng):
    inputs, marked = _marked(where, T, B, rng, lambda shape: rng.random(shape))
    return _asked_at_the_end(inputs, combine(marked, axis=0)[:, None])


def _marked(where, T, B, rng, draw):
    """What is drawn, two of each sequence marked, (T, B, 2), and the marked ones, (2, B)."""
    places = _places(where, ((0, 1), (1, 5)), T, B, rng)
    drawn, marks = draw((T, B)), np.zeros((T, B))
    np.put_along_axis(marks, places, 1.0, axis=0)
    return np.stack([drawn, marks], axis=-1), np.take_along_axis(drawn, places, axis=0)


def _places(where, tenths, T, B, rng):
    _check(where, T, B, rng, least=10)
    return np.stack([rng.integers(T * first // 10, T * stop // 10, size=B) for first, stop in tenths])


def _asked_at_the_end(xs, answers):
    last = np.arange(len(xs)) == len(xs) - 1
    weights = np.outer(last, np.full(len(answers), 1 / len(answers)))
    return Sequences(xs, np.multiply.outer(last, answers), weights)


def _repeated_word(where, length, kinds, T, B, rng):
    _check(where, T, B, rng)
    word, blank = rng.integers(kinds, size=(length, B)), np.full((T + length, B), kinds)
    inputs = np.concatenate([word, blank])
    inputs[length + T - 1] = kinds + 1  # the cue
    targets = np.concatenate([blank, word])
    return Sequences(one_hot(inputs, kinds + 2), targets, np.full(targets.shape, 1 / targets.size))


def _check(where, T, B, *sources, least=1):
    for name, size, smallest in (("T", T, least), ("B", B, 1)):
        require_size(where, name, size, least=smallest, hint="The order is (T, B): steps, then sequences.")
    for rng in sources:
        if not isinstance(rng, np.random.Generator):
            got = f"got {type(rng).__name__}. Try np.random.default_rng(0)."
            raise TypeError(f"{where}: rng must be a np.random.Generator, {got}")
