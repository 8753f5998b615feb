"""Along the edges: paths, their values and their number, the sweep that sums them, and edges by name."""

import math
from collections.abc import Iterable, Iterator

from rnnlib.figures.diagrams.graph import Edge, Graph


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
        >>> import numpy as np
        >>> from rnnlib.cells import init_elman
        >>> from rnnlib.figures.diagrams import unrolled_graph
        >>> one = init_elman(1, 1, 1, rng=np.random.default_rng(0))
        >>> graph = unrolled_graph(one, np.ones((2, 1, 1)), np.zeros((2, 1, 1)))
        >>> for path in paths(graph, "W_hh[0,0]", "L[2]"):
        ...     print([edge.target for edge in path])
        ['h[1,0]', 'h[2,0]', 'y[2,0]', 'L[2]']
        ['h[2,0]', 'y[2,0]', 'L[2]']

    Source: Bauer (1974), Computational graphs and rounding error, SIAM J. Numer. Anal. 11, pp. 87-96.
    """
    _require_nodes("paths", graph, source, target)
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

    Source: Bauer (1974).
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
        >>> import numpy as np
        >>> from rnnlib.cells import init_elman
        >>> from rnnlib.figures.diagrams import unrolled_graph
        >>> net = init_elman(1, 2, 1, rng=np.random.default_rng(0))
        >>> count_paths(unrolled_graph(net, np.ones((20, 1, 1)), np.zeros((20, 1, 1))), "W_hh[0,0]", "L")
        2097130
    """
    _require_nodes("count_paths", graph, source, target)
    count = {node.id: int(node.id == source) for node in graph.nodes}
    for edge in graph.edges:
        count[edge.target] += count[edge.source]
    return count[target]


def total_derivatives(graph: Graph, target: str = "L") -> dict[str, float]:
    """Sweep back over the edges, each used once: d target / d node = Σ over the edges out of it, ∂ end / ∂ node · d target / d end.

    Args:
        graph: the unrolled net.
        target: a node's id, such as "L[3]", or "L" for the sum over all steps.

    Returns:
        The total derivative with respect to every node, by id; 0 where no path leads to the target.

    Raises:
        ValueError: no such node.

    Example:
        >>> import numpy as np
        >>> from rnnlib.cells import init_elman
        >>> from rnnlib.figures.diagrams import unrolled_graph
        >>> one = init_elman(1, 1, 1, rng=np.random.default_rng(0))
        >>> graph = unrolled_graph(one, np.ones((2, 1, 1)), np.zeros((2, 1, 1)))
        >>> total_derivatives(graph)["L[1]"]
        1.0

    Source: Werbos (1990), Backpropagation through time, Proc. IEEE 78, section II.
    """
    _require_nodes("total_derivatives", graph, target)
    total = {node.id: float(node.id == target) for node in graph.nodes}
    for edge in reversed(graph.edges):
        total[edge.source] += edge.derivative * total[edge.target]
    return total


def arrows(graph: Graph, source: str, target: str = "") -> tuple[Edge, ...]:
    """Pick edges by where they come from and where they go: ids, or the letters before the brackets for all steps and units.

    Args:
        graph: the unrolled net.
        source: an id such as "h[2,0]", or a letter such as "h" or "W_hh".
        target: the same; nothing for all that the source enters.

    Returns:
        The edges, in the graph's order.

    Raises:
        ValueError: no such edge.

    Example:
        >>> import numpy as np
        >>> from rnnlib.cells import init_elman
        >>> from rnnlib.figures.diagrams import unrolled_graph
        >>> one = init_elman(1, 1, 1, rng=np.random.default_rng(0))
        >>> graph = unrolled_graph(one, np.ones((3, 1, 1)), np.zeros((3, 1, 1)))
        >>> [edge.target for edge in arrows(graph, "h", "h")]
        ['h[2,0]', 'h[3,0]']
    """

    def fits(wanted, id):
        return wanted in ("", id, id.partition("[")[0])

    found = tuple(edge for edge in graph.edges if fits(source, edge.source) and fits(target, edge.target))
    if not found:
        wanted = f"from {source!r} to {target!r}" if target else f"out of {source!r}"
        raise ValueError(f"arrows: there must be an edge {wanted}, got none. Try arrows(graph, 'h', 'h').")
    return found


def _require_nodes(where, graph, *names):
    for name in names:
        if name not in {node.id for node in graph.nodes}:
            hint = "Ids look like W_hh[0,1], h[3,0], L[3] and L; time counts from 1, units from 0."
            raise ValueError(f"{where}: source and target must be nodes of the graph, got {name!r}. {hint}")
