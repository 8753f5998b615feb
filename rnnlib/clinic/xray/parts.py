"""What a pass computed, explained: a product, or a sum, of parts, of each of which one of a few known versions was used."""

from collections.abc import Callable
from itertools import product
from typing import NamedTuple

import numpy as np


class Part(NamedTuple):
    """A factor, or a term, and its versions; the right one comes first."""

    where: str  # such as "the slope of tanh"
    options: dict[str, np.ndarray]


class Fault(NamedTuple):
    """A part that is another one than belongs there."""

    where: str
    found: str
    belongs: str

    @property
    def says(self) -> str:
        """It in words."""
        many = self.where.startswith("the errors")
        if self.found == "nothing":
            return f"{self.where} {'lack' if many else 'lacks'} {self.belongs}"
        return f"{self.where} {'have' if many else 'has'} {self.found} where {self.belongs} belongs"


class Explanation(NamedTuple):
    """The versions that give what was observed."""

    chosen: tuple[str, ...]  # one for each part
    factor: float  # times which it is what was observed
    array: np.ndarray  # what they give, without the factor
    faults: tuple[Fault, ...]  # the parts that are not right


def explain(observed: np.ndarray, parts: list[Part], combine: Callable, tolerance: float) -> Explanation | None:
    """Find the fewest wrong versions that give, up to a factor, what was observed.

    Args:
        observed: any shape.
        parts: factors or terms, whose versions have that shape.
        combine: np.multiply or np.add.
        tolerance: relative to the largest entry.

    Returns:
        The `Explanation`, or None if there is none.

    Example:
        >>> h = np.linspace(-0.9, 0.9, 7)
        >>> slope = Part("the slope", {"1 - h²": 1 - h**2, "h": h})
        >>> explain(2 * h, [slope], np.multiply, 1e-9).chosen
        ('h',)
    """
    largest = np.abs(observed).max(initial=0.0)
    if not largest:
        return None
    versions = [list(enumerate(part.options.items())) for part in parts]
    orders = sorted(product(*versions), key=lambda version: sum(place > 0 for place, _ in version))
    with np.errstate(all="ignore"):
        for version in orders:
            array = version[0][1][1]
            for _, (_, other) in version[1:]:
                array = combine(array, other)
            square = float((array * array).sum())
            if not 0 < square < np.inf:
                continue
            factor = float((observed * array).sum() / square)
            if np.abs(observed - factor * array).max() <= tolerance * largest:
                factor = 1.0 if abs(factor - 1) <= 10 * tolerance else factor
                names = tuple(name for _, (name, _) in version)
                wrong = zip(parts, names, version, strict=True)
                faults = tuple(Fault(p.where, name, next(iter(p.options))) for p, name, (place, _) in wrong if place)
                return Explanation(names, factor, array, faults)
    return None
