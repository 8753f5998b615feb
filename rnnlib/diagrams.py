"""Unrolled graphs: every number that an Elman net computes is a node, every use of it an edge, and a gradient is a sum over paths.

Plain Python over tuples, slow on purpose: what `bptt.backward` does in a few matrix products can be followed here edge by edge.
"""

import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Float

from rnnlib import bptt
from rnnlib.cells import ElmanParams
from rnnlib.validation import require_finite, require_floating, require_shape

Point = tuple[float, float]
WIDTH, CARD = 860, (62, 54)  # of the drawing and of one node in it, in pixels; y runs down the page
FILLS = {"weight": "#ffffff", "input": "#f3f3f3", "state": "#e8f2f9", "output": "#e7f5f0", "loss": "#fdf3e1"}
BLUE, GREY = "#0072B2", "#8a8a8a"


class Node(NamedTuple):
    """One number of the unrolled net."""

    id: str  # its place in the arrays, time from 1 and units from 0: "W_hh[0,1]", "h[3,0]" is tape.hs[3, 0, 0], "L[3]"; "L" is the sum
    label: str  # how it is written, units from 1, a subscript after "_": "h_3,1"
    kind: str  # weight, input, state, output or loss
    time: int | None  # its step, 0 for h0; None for what belongs to no step: the other weights, and L
    unit: tuple[int, ...]  # its indices in the array of its step, or in the weight's
    position: Point  # the centre of its card
    value: float


class Edge(NamedTuple):
    """One use of a number: the target was computed from the source."""

    source: str
    target: str
    derivative: float  # the local one, d target / d source with the target's other sources held still
    route: tuple[Point, ...]  # the line from card to card
    label_at: Point  # where its derivative is written, centred


class Graph(NamedTuple):
    """An unrolled net. Edges come in the order in which they are used: all edges into a node before any edge out of it."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]


def unrolled_graph(
    params: ElmanParams, xs: Float[np.ndarray, "T B D"], targets: Float[np.ndarray, "T B K"]
) -> Graph:
    """Write an Elman net out, number by number, with L = Σ_t L_t and L_t = ½ Σ_k (y_tk − target_tk)².

    Args:
        params: the parameters, of NumPy arrays.
        xs: (T, 1, D), the inputs of one sequence, time first.
        targets: (T, 1, K), what the outputs should have been, in the same units.

    Returns:
        The `Graph`: a node for each entry of each array, an edge for each use, and the local derivatives.

    Raises:
        ValueError: shapes that disagree, more than one sequence, NaN or infinite numbers.
        TypeError: inputs or targets that are not floating point.

    Example:
        >>> from rnnlib.cells import init_elman
        >>> one = init_elman(1, 1, 1, rng=np.random.default_rng(0))
        >>> graph = unrolled_graph(one, np.ones((2, 1, 1)), np.zeros((2, 1, 1)))
        >>> [edge.source for edge in graph.edges if edge.target == "h[2,0]"]
        ['b_h[0]', 'W_xh[0,0]', 'x[2,0]', 'W_hh[0,0]', 'h[1,0]']

    Source: Werbos (1990), Backpropagation through time, Proc. IEEE 78, section II, on ordered derivatives.
    """
    _check("unrolled_graph", params, xs, targets)
    tape = bptt.forward(params, xs)
    nodes = tuple(_nodes(params, tape, targets))
    place = {node.id: node for node in nodes}
    return Graph(nodes, tuple(_edge(place[s], place[t], float(d)) for s, t, d in _uses(params, tape, targets)))


def paths(graph: Graph, source: str, target: str) -> Iterator[tuple[Edge, ...]]:
    """Walk every path from one node to another. There may be very many: see `count_paths`.

    Args:
        graph: the unrolled net.
        source: a node's id, such as "W_hh[0,0]".
        target: another's, such as "L[3]", or "L" for the sum over all steps.

    Returns:
        An iterator over the paths, each a tuple of edges.

    Raises:
        ValueError: no such node.

    Example:
        >>> from rnnlib.cells import init_elman
        >>> one = init_elman(1, 1, 1, rng=np.random.default_rng(0))
        >>> graph = unrolled_graph(one, np.ones((2, 1, 1)), np.zeros((2, 1, 1)))
        >>> for path in paths(graph, "W_hh[0,0]", "L[2]"):
        ...     print([edge.target for edge in path])
        ['h[1,0]', 'h[2,0]', 'y[2,0]', 'L[2]']
        ['h[2,0]', 'y[2,0]', 'L[2]']

    Source: Bauer (1974), Computational graphs and rounding error, SIAM J. Numer. Anal. 11, section 2.
    """
    count_paths(graph, source, target)  # it knows both names, or says so
    leads_there, onward = {target}, {}
    for edge in reversed(graph.edges):
        if edge.target in leads_there:
            leads_there.add(edge.source)
            onward.setdefault(edge.source, []).insert(0, edge)

    def walk(here, path):
        if here == target:
            yield path
            return
        for edge in onward.get(here, ()):
            yield from walk(edge.target, (*path, edge))

    return walk(source, ())


def path_value(path: Iterable[Edge]) -> float:
    """Multiply the local derivatives along a path: Π d target / d source. Their sum over all paths is the derivative.

    Args:
        path: its edges, as `paths` gives them.

    Returns:
        The product, in the units of the end over those of the beginning; 1 for a path of no edge.

    Example:
        >>> path_value([])
        1.0

    Source: Bauer (1974), section 2.
    """
    return math.prod((edge.derivative for edge in path), start=1.0)


def count_paths(graph: Graph, source: str, target: str) -> int:
    """Count the paths without walking them: count(node) = Σ count(its sources), one addition an edge.

    Args:
        graph: the unrolled net.
        source: a node's id.
        target: another's.

    Returns:
        How many paths there are, exactly.

    Raises:
        ValueError: no such node.

    Example:
        >>> from rnnlib.cells import init_elman
        >>> net = init_elman(1, 2, 1, rng=np.random.default_rng(0))
        >>> count_paths(unrolled_graph(net, np.ones((20, 1, 1)), np.zeros((20, 1, 1))), "W_hh[0,0]", "L")
        2097130
    """
    count = {node.id: 0 for node in graph.nodes}
    for name in (source, target):
        if name not in count:
            hint = "Ids look like W_hh[0,1], h[3,0], L[3] and L; time counts from 1, units from 0."
            raise ValueError(f"paths: source and target must be nodes of the graph, got {name!r}. {hint}")
    count[source] = 1
    for edge in graph.edges:
        count[edge.target] += count[edge.source]
    return count[target]


def require_drawable(where: str, graph: Graph) -> None:
    """Raise a `ValueError` if the graph is too large to be read as a drawing: up to 6 steps, 2 units, 1 input and 1 output.

    Args:
        where: the function that asks.
        graph: the unrolled net.

    Raises:
        ValueError: too many steps or nodes a step.

    Example:
        >>> require_drawable("draw", Graph((), ()))
    """
    T = max((node.time or 0 for node in graph.nodes), default=0)
    D, H, K = (sum(node.kind == kind and node.time == 1 for node in graph.nodes) for kind in ("input", "state", "output"))
    if T > 6 or H > 2 or D > 1 or K > 1:
        raise ValueError(
            f"{where}: the net must be small enough to read (T ≤ 6, D = 1, H ≤ 2, K = 1), got T={T}, D={D}, H={H}, K={K}. "
            "Its paths can be counted at any size: count_paths."
        )


def draw(graph: Graph, ax: plt.Axes, *, highlight: Iterable[tuple[Edge, ...]] = ()) -> None:
    """Draw an unrolled net, time to the right, with some paths lit; a weight's edges are drawn only on a lit path.

    Args:
        graph: the unrolled net, small.
        ax: the axes to draw on; about 8.6 inches wide, its frame and aspect are set.
        highlight: the paths to light, as `paths` gives them; their edges carry their local derivatives.

    Raises:
        ValueError: a net too large to be read.

    Example:
        >>> from rnnlib.cells import init_elman
        >>> one = init_elman(1, 1, 1, rng=np.random.default_rng(0))
        >>> graph = unrolled_graph(one, np.ones((2, 1, 1)), np.zeros((2, 1, 1)))
        >>> fig, ax = plt.subplots(figsize=(8.6, 4.7))
        >>> draw(graph, ax, highlight=paths(graph, "W_hh[0,0]", "L[2]"))
    """
    require_drawable("draw", graph)
    lit = {edge for path in highlight for edge in path}
    named = {name for edge in lit for name in (edge.source, edge.target)}
    weights = {node.id for node in graph.nodes if node.kind == "weight" and node.time is None}
    for edge in graph.edges:
        if edge in lit or edge.source not in weights:
            _draw_edge(ax, edge, edge in lit)
    for node in graph.nodes:
        _draw_card(ax, node, node.id in named)
    ax.set(xlim=(0, WIDTH), ylim=(height(graph), 0), aspect="equal")
    ax.axis("off")
