"""What the problem sets share: mistakes made on request, and small nets to ask with."""

from collections.abc import Callable, Collection
from functools import partial

import numpy as np

from rnnlib.cells import ElmanParams, init_elman
from rnnlib.coursework.questions import Mistake


def wrong(function: Callable, says: str, **options) -> Mistake:
    """Give the mistake that a function makes when it is called with these options."""
    return Mistake(partial(function, **options), says)


def known(function: Callable, /, **says: str) -> dict[str, Mistake]:
    """Give the mistakes that a function makes when `bug=` tells it which, by name."""
    return {name: wrong(function, words, bug=name) for name, words in says.items()}


def cases(draw: Callable, options: dict[str, tuple]) -> dict[str, Callable]:
    """Give cases, each drawn by `draw(rng, *options)`, by name."""
    return {name: lambda rng, of=of: draw(rng, *of) for name, of in options.items()}


def usual(draw: Callable) -> dict[str, Callable]:
    """Give the three cases of most Questions."""
    return cases(draw, {"a batch of sequences": (6, 3), "one sequence": (5, 1), "a single step": (1, 2)})


SLOW = {
    "a large net": "This net is large, and its memory long, on purpose. A backward pass takes well under a second; to nudge every weight, "
    "or every unit at every step, runs the net anew for each, which takes minutes, also in batches."
}


def and_large(draw: Callable) -> dict[str, Callable]:
    """Give these, behind one that has to be derived: nudging all its units, H nets of H² products at T² pairs of steps, takes minutes."""
    return {"a large net": partial(draw, T=300, B=1, large=True)} | usual(draw)


def sizes(rng: np.random.Generator, count: int, *, apart_from: Collection[int] = ()) -> list[int]:
    """Draw sizes that differ from one another, and from those that are taken."""
    return rng.choice([n for n in range(3, 9) if n not in apart_from], size=count, replace=False).tolist()


def net(rng: np.random.Generator, D: int, H: int, K: int, *, scale: float = 0.3, gain: float = 1.0) -> ElmanParams:
    """Draw an Elman net, no array of it zero: a usual start, and normal numbers of this scale on top."""
    return ElmanParams(*(p + scale * rng.standard_normal(p.shape) for p in init_elman(D, H, K, rng=rng, gain=gain)))


def ragged_mask(rng: np.random.Generator, T: int, B: int, padding: str = "behind") -> np.ndarray:
    """Draw a mask (T, B), with a sequence of length T and, where there are others, one of length 1."""
    lengths = T if padding == "none" else rng.permutation([T, 1, *rng.integers(2, T, size=B)][:B])
    t = np.arange(T)[:: -1 if padding == "in front" else 1, None]
    return np.broadcast_to(t < lengths, (T, B)).copy()
