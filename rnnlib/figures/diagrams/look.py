"""How each node and edge of an unrolled graph is drawn: asked for by name, checked, and put into words."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from rnnlib.figures.diagrams.graph import Edge, Graph, Node
from rnnlib.figures.diagrams.paths import total_derivatives

BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#8a8a8a"
Pair = tuple[str, str]  # the ids of an edge's ends


class Look(NamedTuple):
    """What was asked of a drawing; edges by the ids of their ends."""

    lit: frozenset[Pair]
    swept: frozenset[Pair]  # where the sweep has been
    struck: frozenset[Pair]
    thickness: Mapping[Pair, float]  # in points
    dimmed: frozenset[str]
    totals: Mapping[str, float | None]  # d loss / d node where the sweep has been; None where that is no number
    notes: Mapping[str, str]
    labels: Mapping[Pair, str]
    numbers: bool

    @property
    def spoken_of(self) -> frozenset[Pair]:
        """The edges that are drawn even if they come from a weight."""
        return self.lit | self.struck | frozenset(self.thickness) | frozenset(self.labels)

    def outline(self, node: Node) -> str | None:
        """The colour around a node, where there is one."""
        if any(node.id in pair for pair in self.lit):
            return BLUE
        return ORANGE if node.id in self.totals and node.kind != "weight" else None

    def label(self, edge: Edge) -> str:
        """What stands on an edge: what was asked for, what it brings, or its local derivative."""
        key, number = edge[:2], edge.derivative
        if key in self.labels or not self.numbers or number is None or edge.target == "L":  # there it is 1
            return self.labels.get(key, "")
        if key in self.swept:
            return written(number * self.totals[edge.target])
        return written(number) if key in self.lit else ""

    def lines(self, node: Node) -> list[tuple[str, int, str]]:
        """What stands under a node's name: (text, size, colour)."""
        note = self.notes.get(node.id, self.notes.get(node.id.partition("[")[0]))
        value = written(node.value) if self.numbers and node.value is not None else None
        total = self.totals.get(node.id)
        under = [
            (note or value, 9 if len(note or "") > 8 else 10, "black"),
            (total if total is None else f"d {written(total)}", 9, ORANGE),
        ]
        return [line for line in under if line[0] is not None]


def look_at(graph: Graph, highlight, swept, loss, struck, thickness, dimmed, notes, labels, numbers) -> Look:
    """Check what `draw` was asked for, and gather it.

    Args:
        graph: the unrolled net.
        highlight: paths to light; this and the others as in `draw`.
        swept: how far back the sweep has come, a step.
        loss: where it begins.
        struck: edges that are crossed out.
        thickness: how much passes, by edge.
        dimmed: steps or ids.
        notes: words for nodes, by id or letter.
        labels: words for edges.
        numbers: whether there are any.

    Returns:
        The `Look`.

    Raises:
        ValueError: a node or an edge that is not there, a step that is none.

    Example:
        >>> look_at(Graph((), ()), (), None, "L", (), {}, set(), {}, {}, True).lit
        frozenset()
    """
    lit, crossed = ({edge[:2] for edge in edges} for edges in ((e for path in highlight for e in path), struck))
    widths, words = ({edge[:2]: it for edge, it in given.items()} for given in (thickness, labels))
    _require(graph, lit | crossed | set(widths) | set(words), dimmed, notes, swept, loss)
    most = max(widths.values(), default=0) or 1
    widths = {key: 0.6 + 8.4 * amount / most for key, amount in widths.items()}
    pale = {node.id for node in graph.nodes if node.id in dimmed or node.time in dimmed}
    been, totals = _sweep(graph, swept, loss, crossed)
    return Look(*map(frozenset, (lit, been, crossed)), widths, frozenset(pale), totals, notes, words, numbers)


def written(value: float) -> str:
    """Write a number as the drawings do: two decimals, a true minus, no minus before zero.

    Args:
        value: the number.

    Returns:
        The text.

    Example:
        >>> written(-0.456), written(-0.001)
        ('−0.46', '0.00')
    """
    text = f"{abs(value):.2f}"
    return f"−{text}" if value < 0 and float(text) else text


def _sweep(graph, swept, loss, struck):
    """Where the sweep has been when it has come back to a step, and what it has found there."""
    if swept is None:
        return set(), {}
    time = {node.id: node.time for node in graph.nodes if node.kind != "input"}
    edges = [edge for edge in graph.edges if edge[:2] not in struck and edge.source in time]
    leads_there, been = {loss}, set()
    for edge in reversed(edges):
        if edge.target in leads_there and _reached(time[edge.target], swept):
            leads_there.add(edge.source)
            been.add(edge[:2])
    kept = Graph(graph.nodes, tuple(edge for edge in edges if edge[:2] in been))
    nodes = {node.id for node in graph.nodes if node.id in leads_there and _reached(node.time, swept)}
    symbolic = any(edge.derivative is None for edge in kept.edges)
    totals = dict.fromkeys(nodes) if symbolic else total_derivatives(kept, loss)
    complete = {key for key in been if _reached(time[key[0]], swept)}
    return complete, {id: totals[id] for id in nodes}


def _reached(time, swept):
    return time is None or time >= swept or (swept == 1 and time == 0)


def _require(graph: Graph, pairs: Iterable[Pair], dimmed, notes, swept, loss):
    ids = {node.id for node in graph.nodes}
    letters, steps = {id.partition("[")[0] for id in ids}, {node.time for node in graph.nodes} - {None}
    for pair in sorted(pairs - {edge[:2] for edge in graph.edges}):
        raise ValueError(f"draw: edges must be the graph's, got {pair}. Try arrows(graph, 'h', 'h').")
    for name in [name for name in notes if name not in ids | letters] + [d for d in dimmed if d not in ids | steps]:
        known = "h[2,0] (h[2] for layers), for notes also h, for dimmed also a step"
        raise ValueError(f"draw: notes and dimmed must name nodes of the graph, got {name!r}. Names look like {known}.")
    if swept is not None and swept not in steps - {0}:
        raise ValueError(f"draw: swept must be a step from 1 to {max(steps)}, got {swept}.")
    if swept is not None and loss not in ids:
        raise ValueError(f"draw: loss must be a node of the graph, got {loss!r}. Try L, or L[{max(steps)}].")
