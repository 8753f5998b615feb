"""The unrolled graph on paper, the one picture that every chapter draws."""

from collections.abc import Iterable, Mapping

import matplotlib.pyplot as plt
from matplotlib.patches import FancyBboxPatch

from rnnlib.figures import layout
from rnnlib.figures.diagrams.graph import Graph
from rnnlib.figures.diagrams.look import BLUE, GREY, ORANGE, Look, look_at

FILLS = {"weight": "#ffffff", "input": "#f3f3f3", "state": "#e8f2f9", "output": "#e7f5f0", "loss": "#fdf3e1"}
PALE = "#d6d6d6"


def draw(
    graph: Graph,
    ax: plt.Axes | None = None,
    *,
    numbers: bool = True,
    highlight: Iterable[Iterable[tuple]] = (),
    swept: int | None = None,
    loss: str = "L",
    struck: Iterable[tuple] = (),
    thickness: Mapping[tuple, float] | None = None,
    dimmed: Iterable[int | str] = (),
    notes: Mapping[str, str] | None = None,
    labels: Mapping[tuple, str] | None = None,
) -> plt.Figure:
    """Draw an unrolled net, weights at the top, time to the right; a weight's edges are drawn only where something is said of them.

    Wherever edges are asked for, an `Edge` will do, and so will a pair of ids, `("h[1,0]", "h[2,0]")`.

    Args:
        graph: the unrolled net, small: numbers, from `unrolled_graph`, or arrays, from `layers`.
        ax: the axes to draw on, about 8.6 inches wide; None for a figure of its own.
        numbers: whether values stand in the nodes and local derivatives on lit edges.
        highlight: paths to light, as `paths` gives them: blue, with the local derivatives ∂.
        swept: how far back the sweep has come, a step: from there on edges are orange, dashed, point backward and carry what they bring,
            and each node but the inputs has its total derivative d loss / d node, which is the sum of what comes in.
        loss: the node that the sweep begins at.
        struck: edges that are crossed out; a weight's too.
        thickness: for some edges, how much passes: the largest is drawn 9 points wide, the others in proportion.
        dimmed: steps, or ids of nodes, that are drawn pale, with the edges into them.
        notes: what to write into a node in place of its value, by id or, for all steps and units, by the letters before the bracket.
        labels: what to write on an edge in place of its derivative.

    Returns:
        The figure, for `show`.

    Raises:
        ValueError: a net too large to be read, a node or an edge that is not there, a step that is none.

    Example:
        >>> import numpy as np
        >>> from rnnlib.cells import init_elman
        >>> from rnnlib.figures.diagrams import arrows, layers, paths, total_derivatives, unrolled_graph
        >>> one = init_elman(1, 1, 1, rng=np.random.default_rng(0))
        >>> graph = unrolled_graph(one, np.ones((4, 1, 1)), np.zeros((4, 1, 1)))
        >>> fig = draw(graph, highlight=paths(graph, "W_hh[0,0]", "L[2]"))  # every path from a weight to a loss
        >>> fig = draw(graph, highlight=[arrows(graph, "W_hh")], numbers=False)  # one weight, used at every step
        >>> fig = draw(layers(3), notes={"h": "(B, H)", "W_hh": "(H, H)"})  # shapes
        >>> fig = draw(graph, swept=3)  # the sweep has come back to step 3: two terms meet in h_3
        >>> fig = draw(graph, struck=[("h[2,0]", "h[3,0]")])  # what a truncation, or a mistake, leaves out
        >>> reach = total_derivatives(graph, "L[4]")
        >>> survives = {edge: abs(reach[edge.target]) for edge in arrows(graph, "h", "h")}
        >>> fig = draw(graph, swept=1, loss="L[4]", thickness=survives)  # how much of a loss arrives
        >>> fig = draw(graph, dimmed=[3, 4], notes={"h[3,0]": "= h₂", "h[4,0]": "= h₂"})  # masked steps
        >>> lstm = layers(3, cell=True)
        >>> road = arrows(lstm, "c", "c")  # the road of the cell
        >>> fig = draw(lstm, highlight=[road], labels={edge: f"$f_{t}$" for t, edge in enumerate(road, 2)})
    """
    layout.require_drawable("draw", graph)
    look = look_at(
        graph, highlight, swept, loss, struck, thickness or {}, set(dimmed), notes or {}, labels or {}, numbers
    )
    if ax is None:
        height = layout.WIDTH / 100 * graph.height / layout.WIDTH
        ax = plt.figure(figsize=(layout.WIDTH / 100, height), layout="none").add_axes((0, 0, 1, 1))
    weights = {node.id for node in graph.nodes if node.kind == "weight" and node.time is None}
    for edge in graph.edges:
        if edge.source not in weights or edge[:2] in look.spoken_of:
            _draw_edge(ax, edge, look)
    for node in graph.nodes:
        _draw_card(ax, node, look)
    _draw_rows(ax, graph)
    ax.set(xlim=(0, layout.WIDTH), ylim=(graph.height, 0), aspect="equal")
    ax.axis("off")
    return ax.figure


def _draw_edge(ax, edge, look: Look):
    key, route = edge[:2], edge.route
    colour, width, dash = GREY, 0.9, "-"
    if key in look.lit or key in look.thickness:
        colour, width = BLUE, 2.4
    if key in look.swept:
        colour, width, dash, route = ORANGE, 2.0, (0, (4, 1.5)), edge.route[::-1]
    if key in look.struck:
        colour, width, dash = GREY, 1.2, ":"
    if key in look.thickness:
        width, dash = look.thickness[key], "-"
    if edge.target in look.dimmed or edge.source in look.dimmed:
        colour = PALE
    z = 2 + (colour != GREY)
    ax.plot(*zip(*route[:-1], strict=True), color=colour, lw=width, ls=dash, solid_joinstyle="round", zorder=z)
    head = {"arrowstyle": "-|>", "color": colour, "lw": width, "ls": dash, "shrinkA": 0, "shrinkB": 0}
    ax.annotate("", route[-1], route[-2], arrowprops=head | {"mutation_scale": 8 + 4 * width}, zorder=z)
    if key in look.struck:
        (a, b), (c, d) = edge.route[-2:]
        ax.plot((a + c) / 2, (b + d) / 2, "x", color="#222", ms=13, mew=3, zorder=6)
    elif text := look.label(edge):
        _draw_label(ax, edge, text, ORANGE if key in look.swept else "black", 4 + 0.7 * width)


def _draw_label(ax, edge, text, ink, gap):
    """Write beside an edge that runs straight up or across, and onto any other."""
    (x, y), (a, b), (c, d) = edge.label_at, *edge.route[-2:]
    across, up = {}, {}
    if a == c != x:
        x, across = (a + gap, {"ha": "left"}) if x > a else (a - gap, {"ha": "right"})
    elif b == d != y and len(edge.route) == 2:
        y, up = (b - gap, {"va": "bottom"}) if y < b else (b + gap, {"va": "top"})
    halo = {"boxstyle": "square,pad=0.05", "fc": "white", "ec": "none"}
    ax.text(x, y, text, fontsize=10, color=ink, bbox=halo, zorder=5, **{"ha": "center", "va": "center"} | across | up)


def _draw_card(ax, node, look: Look):
    (x, y), (w, h) = node.position, layout.CHIP if node.kind == "weight" else layout.CARD
    shape = "square,pad=0" if node.kind == "weight" else "round,pad=0,rounding_size=12"
    pale, edge = node.id in look.dimmed, look.outline(node)
    outline = {"ec": edge or (PALE if pale else GREY), "lw": 2.2 if edge else 0.9, "ls": "--" if pale else "-"}
    fill = "white" if pale else FILLS[node.kind]
    ax.add_patch(FancyBboxPatch((x - w / 2, y - h / 2), w, h, boxstyle=shape, fc=fill, zorder=4, **outline))
    base, _, sub = node.label.partition("_")
    name = f"${base}_{{{sub}}}$" if sub else f"${base}$"
    lines = [(name, 12 if len(sub) < 4 else 11, "black"), *look.lines(node)]
    for (text, size, ink), shift in zip(lines, {1: (0,), 2: (-10, 14), 3: (-17, 2, 18)}[len(lines)], strict=True):
        ink = "#6b6b6b" if pale else ink
        ax.text(x, y + shift, text, ha="center", va="center", fontsize=size, color=ink, zorder=5)


def _draw_rows(ax, graph):
    for node in graph.nodes:
        if node.time == 1 and node.kind != "state":
            row = "losses" if node.kind == "loss" else f"{node.kind}s"
            ax.text(12, node.position[1], row, va="center", fontsize=11, color="#555")
        if node.kind == "input" and node.unit in ((), (0,)):
            ax.text(node.position[0], graph.height - 10, f"step {node.time}", ha="center", fontsize=11, color="#555")
