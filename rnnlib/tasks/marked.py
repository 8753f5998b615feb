"""Two of the inputs are marked, and the answer at the end is made of these."""

import numpy as np

from rnnlib.tasks.sequences import Sequences, asked_at_the_end, places_in


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
    return asked_at_the_end(inputs.astype(float), bits.sum(0) % 2)


def _marked_numbers(where, combine, T, B, rng):
    inputs, marked = _marked(where, T, B, rng, lambda shape: rng.random(shape))
    return asked_at_the_end(inputs, combine(marked, axis=0)[:, None])


def _marked(where, T, B, rng, draw):
    """What is drawn, two of each sequence marked, (T, B, 2), and the marked ones, (2, B)."""
    places = places_in(where, ((0, 1), (1, 5)), T, B, rng)
    drawn, marks = draw((T, B)), np.zeros((T, B))
    np.put_along_axis(marks, places, 1.0, axis=0)
    return np.stack([drawn, marks], axis=-1), np.take_along_axis(drawn, places, axis=0)
