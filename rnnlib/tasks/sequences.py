"""What a task makes, how it is judged, and what tasks share."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from rnnlib.validation import require_floating, require_shape, require_size


class Sequences(NamedTuple):
    """A batch of a task: what goes in, what should come out, and which steps count."""

    xs: Float[Any, "T B D"]  # inputs
    targets: Float[Any, "T B K"] | Int[Any, "T B"]  # numbers, or symbols 0 ... K−1; zero where no step counts
    weights: Float[Any, "T B"]  # equal over the steps that count, zero elsewhere; they sum to one


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
        >>> from rnnlib.tasks import adding
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


def check(where: str, T: Any, B: Any, *sources: Any, least: int = 1) -> None:
    """Raise, in the name of a task, unless T and B are sizes and each source is one of randomness."""
    for name, size, smallest in (("T", T, least), ("B", B, 1)):
        require_size(where, name, size, least=smallest, hint="The order is (T, B): steps, then sequences.")
    for rng in sources:
        if not isinstance(rng, np.random.Generator):
            got = f"got {type(rng).__name__}. Try np.random.default_rng(0)."
            raise TypeError(f"{where}: rng must be a np.random.Generator, {got}")


def places_in(where: str, tenths: Any, T: Any, B: Any, rng: Any) -> Int[np.ndarray, "N B"]:
    """Draw a step for each sequence in each range, [first, stop) in tenths of T."""
    check(where, T, B, rng, least=10)
    return np.stack([rng.integers(T * first // 10, T * stop // 10, size=B) for first, stop in tenths])


def asked_at_the_end(xs: Float[Any, "T B D"], answers: Any) -> Sequences:
    """Ask for answers, (B, K) or (B,), at the last step alone."""
    last = np.arange(len(xs)) == len(xs) - 1
    weights = np.outer(last, np.full(len(answers), 1 / len(answers)))
    return Sequences(xs, np.multiply.outer(last, answers), weights)
