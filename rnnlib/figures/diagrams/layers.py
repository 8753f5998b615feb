"""The unrolled net of whole layers: a node for every array."""

from rnnlib.figures import layout
from rnnlib.figures.diagrams.graph import Edge, Graph, Node

WEIGHTS = ("W_xh", "W_hh", "b_h", "W_hy", "b_y")


def layers(T: int, *, cell: bool = False) -> Graph:
    """Write a net out array by array, h_t from x_t and h_{t-1}, y_t from h_t, L_t from y_t: what is true at any size.

    Args:
        T: the number of steps.
        cell: whether there is a second state c_t beside h_t, as in an LSTM: c_{t-1}, h_{t-1} and x_t enter c_t, and c_t enters h_t.

    Returns:
        The `Graph`. Ids have no units: "W_hh", "h0", "h[2]", "L". Values and derivatives are None: `draw` takes notes and labels.

    Raises:
        ValueError: no step.

    Example:
        >>> [edge.source for edge in layers(2).edges if edge.target == "h[2]"]
        ['W_xh', 'W_hh', 'b_h', 'x[2]', 'h[1]']
        >>> [edge.source for edge in layers(2, cell=True).edges if edge.target == "c[2]"]
        ['W_xh', 'W_hh', 'b_h', 'x[2]', 'h[1]', 'c[1]']
    """
    if T < 1:
        raise ValueError(f"layers: T must be at least 1, got {T}. Try layers(3).")
    states = ("c", "h") if cell else ("h",)
    nodes = tuple(_nodes(T, states))
    place = {node.id: node for node in nodes}
    edges = []
    for source, target in _uses(T, states):
        lane = layout.column(T, place[target].time or 0) - 32 - 18 * len(states)
        edges.append(Edge(source, target, None, *layout.line(place[source], place[target], lane)))
    return Graph(nodes, tuple(edges))


def _nodes(T, states):
    H = len(states)
    for i, name in enumerate(WEIGHTS):
        yield Node(name, name, "weight", None, (), layout.chip(i, i, len(WEIGHTS) + 1), None)
    for unit, letter in enumerate(states):
        yield Node(f"{letter}0", f"{letter}_0", "weight", 0, (unit,), layout.position(T, H, "state", 0, unit), None)
    for t in range(1, T + 1):
        kinds = [("x", "input", 0), *((letter, "state", unit) for unit, letter in enumerate(states))]
        for letter, kind, unit in [*kinds, ("y", "output", 0), ("L", "loss", 0)]:
            yield Node(f"{letter}[{t}]", f"{letter}_{t}", kind, t, (unit,), layout.position(T, H, kind, t, unit), None)
    yield Node("L", "L", "loss", None, (), (layout.column(T, T), layout.ROWS["weight"]), None)


def _uses(T, states):
    for t in range(1, T + 1):
        for letter in states:
            before = [f"{state}[{t - 1}]" if t > 1 else f"{state}0" for state in ("h", letter)]
            inside = [f"c[{t}]"] if states == ("c", "h") and letter == "h" else []
            for source in dict.fromkeys(["W_xh", "W_hh", "b_h", f"x[{t}]", *before, *inside]):
                yield source, f"{letter}[{t}]"
        for source in ("W_hy", "b_y", f"h[{t}]"):
            yield source, f"y[{t}]"
        yield f"y[{t}]", f"L[{t}]"
        yield f"L[{t}]", "L"
