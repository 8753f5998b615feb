"""The ways in which the error may flow back through time, right and wrong: one mistake, or two, and what each leaves at every step."""

from collections.abc import Iterator
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from rnnlib.cells import ElmanParams
from rnnlib.clinic.diagnosis.net import Net

Names = frozenset[str]  # keys of the catalogue, and sentences for causes that are no mistakes, such as a truncation
MOST = 20  # steps, up to which a truncation is also tried together with a mistake of the flow


class Change(NamedTuple):
    """One thing that is done otherwise on the way back."""

    key: str  # of the catalogue, or a sentence
    says: str  # what is done in particular; empty where the key says it all
    effects: dict[Any, Any]  # on the flow, as `elman.errors` and `gated.errors` take them


class Flow(NamedTuple):
    """The errors that a way back leaves."""

    names: Names
    says: dict[str, str]  # by name, what in particular
    driven: Float[np.ndarray, "T B P"]  # dL/dp, at what x W_xh feeds
    recurrent: Float[np.ndarray, "T B P"]  # dL/dp, at what h W_hh feeds
    before: Float[np.ndarray, "T B H"] | None  # dL/dh, before the slope, of an Elman net
    hs: Float[np.ndarray, "states B H"]  # the states that the sums read
    start: dict[
        str, list[tuple[str, np.ndarray]]
    ]  # by the first state's name: key and (B, H), what may be summed to its gradient


def flows(net: Net, limit: int, only: Names | None = None) -> Iterator[Flow]:
    """List the ways back that at most `limit` changes make, the right one first, fewer changes before more.

    Args:
        net: the net.
        limit: 0, 1 or 2.
        only: the names that changes may have; None for any.

    Yields:
        The flows.
    """
    from rnnlib.clinic.diagnosis import elman, gated

    cell = elman if isinstance(net.params, ElmanParams) else gated
    known = cell.look(net)
    changes = [*cell.changes(net, known), *truncations(len(net.xs))]
    changes = [change for change in changes if only is None or change.key in only]
    for number in range(limit + 1):
        for some in combinations(changes, number):
            keys = [key for change in some for key in change.effects]
            reach = any("reach" in change.effects for change in some)
            if len(set(keys)) < len(keys) or len({c.key for c in some}) < number:
                continue
            strides = any(change.effects.get("reach", "-")[0] == "strides" for change in some)
            if number > 1 and (strides or (reach and len(net.xs) > MOST)):
                continue
            effects = {key: value for change in some for key, value in change.effects.items()}
            names = frozenset(change.key for change in some)
            says = {change.key: change.says for change in some if change.says}
            yield Flow(names, says, *cell.errors(net, known, effects))


def truncations(T: int) -> Iterator[Change]:
    """List the truncations of a sequence of T steps; a window of one step is a mistake of the catalogue."""
    for k in range(2, T):
        says = f"Truncated: every loss looks back through a window of {k} steps, its own included"
        yield Change(says, "", {"reach": ("windows", k)})
    for k in range(2, T):
        yield Change(f"Truncated: the error is cut at the borders of chunks of {k} steps", "", {"reach": ("chunks", k)})
    for stride in range(2, min(T, MOST)):  # "k1, k2" of Williams and Peng
        for k in range(stride + 1, T):
            says = f"Truncated: every {stride} steps the error of their losses is sent back through the last {k} steps"
            yield Change(says, "", {"reach": ("strides", k, stride)})


def groups(T: int, reach: tuple | None) -> tuple[Bool[np.ndarray, "N T"], Bool[np.ndarray, "N T"]]:
    """Sort the losses into groups that a single sweep can send back together, whatever they reach.

    A window of k steps gives k groups: the losses t with the same t mod k, whose windows do not overlap. With a stride, the losses of
    so many steps go back together, and k / stride groups are enough.

    Args:
        T: steps.
        reach: ("windows", k), ("chunks", k), ("strides", k, stride), or None where every loss reaches every step before it.

    Returns:
        `(own, cut)`: which losses are in which group, and at which steps what is carried from later is dropped.

    Example:
        >>> own, cut = groups(4, ("windows", 2))
        >>> own.astype(int)
        array([[1, 0, 1, 0],
               [0, 1, 0, 1]])
    """
    kind, k, *stride = reach or ("all", T)
    steps = np.arange(T)
    if kind in ("windows", "strides"):
        (stride,) = stride or [1]
        count = -(-k // stride)
        group = np.arange(count)[:, None]
        own = steps // stride % count == group
        before = steps + k  # a step lies just before the window that ends there
        return own, (before % stride == stride - 1) & (before // stride % count == group) & (before >= k)
    own = np.ones((1, T), bool)
    return own, (steps[None] + 1) % k == 0 if kind == "chunks" else ~own
