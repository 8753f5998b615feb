"""An unrolled net: its numbers forward and back, and every path from a weight to a loss."""

from rnnlib.figures import diagrams, layout
from rnnlib.figures.widgets.explorable import Explorable, script


class UnrolledGraph(Explorable):
    """An unrolled net: its numbers forward and back, and every path from a weight to a loss."""

    _esm = script("unrolled_graph")


def unrolled_graph(nets: dict[str, diagrams.Graph]) -> UnrolledGraph:
    """Scrub through the forward and the backward pass; choose a weight and a loss, and see each path between them with its value.

    Args:
        nets: small unrolled nets by the names on their buttons, from `diagrams.unrolled_graph`.

    Returns:
        The explorable. Its nodes and edges are the graphs' own; sums over paths are taken in the page.

    Raises:
        ValueError: no net, or one too large to be read.

    Example:
        >>> import numpy as np
        >>> from rnnlib.cells import init_elman
        >>> net = init_elman(1, 1, 1, rng=np.random.default_rng(0))
        >>> graph = diagrams.unrolled_graph(net, np.ones((2, 1, 1)), np.zeros((2, 1, 1)))
        >>> list(unrolled_graph({"one neuron": graph}).data["nets"])
        ['one neuron']

    Source: Werbos (1990), Backpropagation through time, section II.
    """
    if not nets:
        raise ValueError(
            'unrolled_graph: nets must hold a graph, got none. Try {"one neuron": diagrams.unrolled_graph(...)}.'
        )
    for graph in nets.values():
        layout.require_drawable("unrolled_graph", graph)
    sizes = {"width": layout.WIDTH, "card": layout.CARD, "chip": layout.CHIP}
    alt = (
        "Weights in a row at the top, below them the net unrolled: inputs, states, outputs and losses, a column a step. Scrub time to see "
        "values appear forward and derivatives backward; choose a weight and a loss to light every path between them and read its product."
    )
    return UnrolledGraph(data={"nets": {name: _drawing(graph) for name, graph in nets.items()}, **sizes}, alt=alt)


def _drawing(graph):
    """A graph as JSON: edges name their nodes by place."""
    place = {node.id: i for i, node in enumerate(graph.nodes)}
    nodes = [
        {"id": n.id, "label": n.label, "kind": n.kind, "time": n.time, "at": n.position, "value": n.value}
        for n in graph.nodes
    ]
    edges = [
        {
            "from": place[e.source],
            "to": place[e.target],
            "derivative": e.derivative,
            "route": e.route,
            "label": e.label_at,
        }
        for e in graph.edges
    ]
    return {"nodes": nodes, "edges": edges, "height": graph.height}
