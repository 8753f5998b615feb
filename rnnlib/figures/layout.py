"""Where the cards and lines of an unrolled graph go: one geometry for the figure on paper and for the explorable.

All in pixels, y runs down the page. One column a step, rows from top to bottom: weights, losses, outputs, states, inputs.
"""

from typing import Any

import numpy as np

Point = tuple[float, float]
WIDTH, PITCH = 860, 92  # of the whole drawing; from row to row
CARD, CHIP = (62, 58), (56, 58)  # width and height of a node, and of a weight
ROWS = {"weight": 40, "loss": 152, "output": 244, "state": 336}  # further states and the inputs below
BUS, RAIL = 86, 106  # between weights and losses: where weights run to their steps, and losses to their sum


def column(T: int, t: int) -> float:
    """Return how far to the right step t of T stands; h0 is step 0.

    Args:
        T: the number of steps.
        t: the step.

    Returns:
        The x of its centre.

    Example:
        >>> column(4, 0), column(4, 4)
        (62.0, 784.0)
    """
    return 62 + t * (WIDTH - 138) / T


def chip(place: int, group: int, count: int) -> Point:
    """Place a weight in the row at the top, with a gap between one array and the next.

    Args:
        place: how many weights stand before it.
        group: how many arrays stand before its own.
        count: how many weights there are in all; few stand further apart.

    Returns:
        Its centre.

    Example:
        >>> chip(1, 1, 6)
        (130.0, 40.0)
    """
    return (40.0 + place * (84 if count <= 6 else 65) + 6 * group, float(ROWS["weight"]))


def position(T: int, H: int, kind: str, t: int, unit: int) -> Point:
    """Place a node of one step; of two states one stands lower and a little to the right, so that lines upward have lanes.

    Args:
        T: the number of steps.
        H: hidden units.
        kind: input, state, output or loss.
        t: the step, 0 for h0.
        unit: its index in the array of its step.

    Returns:
        Its centre.

    Example:
        >>> position(4, 1, "state", 0, 0)
        (62.0, 336.0)
    """
    if kind == "state":
        return (column(T, t) + 36 * (unit - (H - 1) / 2), float(ROWS["state"] + PITCH * unit))
    row = ROWS["state"] + PITCH * H if kind == "input" else ROWS[kind]
    return (column(T, t) + 36 * unit, float(row))


def line(source: Any, target: Any, lane: float) -> tuple[tuple[Point, ...], Point]:
    """Lay the line from one node's card to another's, and find a place for its derivative.

    Args:
        source: a node with a `position`, a `kind` and a `time`.
        target: the node computed from it.
        lane: the x at which a weight's line comes down beside the target's column.

    Returns:
        `(route, label_at)`: the corners of the line, and the centre of its label.

    Example:
        >>> from types import SimpleNamespace as Node
        >>> x, h = Node(kind="input", time=1, position=(0, 428)), Node(kind="state", time=1, position=(0, 336), id="h")
        >>> line(x, h, 0.0)
        (((0.0, 399.0), (0.0, 365.0)), (24.0, 382.0))
    """
    (x, y), (u, v), half = source.position, target.position, CARD[1] / 2
    if target.id == "L":
        route, label_at = ((x, y - half), (x, RAIL), (u, RAIL), (u, v + half)), (x - 24, RAIL)
    elif source.kind == "weight" and source.time is None:
        route = ((x, y + half), (x, BUS), (lane, BUS), (lane, v - 18), (u - CARD[0] / 2, v - 18))
        label_at = (lane, ROWS["output"] - PITCH / 2)
    elif source.kind == target.kind == "state" and source.time == target.time:
        at = (x + u) / 2  # from a cell down to its state
        route, label_at = ((at, y + half), (at, v - half)), (at + 16, (y + v) / 2)
    elif target.kind == "state" and source.kind != "input":
        route, label_at = _step(source, target)
    else:
        route, label_at = _up(source, target)
    *route, label_at = ((float(a), float(b)) for a, b in (*route, label_at))
    return tuple(route), label_at


def _step(source, target):
    """From state to state, one step on in time."""
    (x, y), (u, v) = source.position, target.position
    tilt = 8 * np.sign(v - y)
    (a, b), (c, d) = route = (
        (x + (CHIP if source.kind == "weight" else CARD)[0] / 2, y + tilt),
        (u - CARD[0] / 2, v - tilt),
    )
    share, lift = (0.3, 0) if tilt else (0.5, 10 if v == ROWS["state"] else -11)
    return route, (a + share * (c - a), b + share * (d - b) - lift)


def _up(source, target):
    """Straight up within a step, beside a state that stands between."""
    (x, y), (u, v) = source.position, target.position
    lean, other = (x - u, target) if source.kind == "state" else (u - x, source)
    at = other.position[0] + lean * (1.5 if y - v > PITCH else 1)
    beside = y - PITCH / 2 if other is source else v + PITCH / 2  # next to the end that is no state
    return ((at, y - CARD[1] / 2), (at, v + CARD[1] / 2)), (at + (24 if lean >= 0 else -24), beside)


def require_drawable(where: str, graph: Any) -> None:
    """Raise a `ValueError` if a graph is too large to be read as a drawing: up to 6 steps, 2 units, 1 input and 1 output.

    Args:
        where: the function that asks.
        graph: the unrolled net, a `diagrams.Graph`.

    Raises:
        ValueError: too many steps or nodes a step.

    Example:
        >>> from types import SimpleNamespace as Graph
        >>> require_drawable("draw", Graph(nodes=()))
    """
    T = max((node.time or 0 for node in graph.nodes), default=0)
    kinds = [node.kind for node in graph.nodes if node.time == 1]
    D, H, K = (kinds.count(kind) for kind in ("input", "state", "output"))
    if T > 6 or H > 2 or D > 1 or K > 1:
        raise ValueError(
            f"{where}: the net must be small enough to read (T ≤ 6, D = 1, H ≤ 2, K = 1), got T={T}, D={D}, H={H}, K={K}. "
            "Its paths can be counted at any size: diagrams.count_paths."
        )
