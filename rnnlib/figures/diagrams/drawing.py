"""Drawings for the page: an unrolled graph with some of its paths lit; a scan and its derivative."""

from collections.abc import Iterable

import matplotlib.pyplot as plt
from matplotlib.patches import FancyBboxPatch

from rnnlib.figures import layout
from rnnlib.figures.diagrams.graph import Edge, Graph

FILLS = {"weight": "#ffffff", "input": "#f3f3f3", "state": "#e8f2f9", "output": "#e7f5f0", "loss": "#fdf3e1"}
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#8a8a8a"


def draw(graph: Graph, ax: plt.Axes, *, highlight: Iterable[tuple[Edge, ...]] = ()) -> None:
    """Draw an unrolled net, time to the right, with some paths lit; a weight's edges are drawn only on a lit path.

    Args:
        graph: the unrolled net, small.
        ax: the axes to draw on; about 8.6 inches wide, its frame and aspect are set.
        highlight: the paths to light, as `paths` gives them; their edges carry their local derivatives.

    Raises:
        ValueError: a net too large to be read.

    Example:
        >>> import numpy as np
        >>> from rnnlib.cells import init_elman
        >>> from rnnlib.figures.diagrams import paths, unrolled_graph
        >>> one = init_elman(1, 1, 1, rng=np.random.default_rng(0))
        >>> graph = unrolled_graph(one, np.ones((2, 1, 1)), np.zeros((2, 1, 1)))
        >>> fig, ax = plt.subplots(figsize=(8.6, 4.7))
        >>> draw(graph, ax, highlight=paths(graph, "W_hh[0,0]", "L[2]"))
    """
    layout.require_drawable("draw", graph)
    lit = {edge for path in highlight for edge in path}
    named = {name for edge in lit for name in (edge.source, edge.target)}
    weights = {node.id for node in graph.nodes if node.kind == "weight" and node.time is None}
    for edge in graph.edges:
        if edge in lit or edge.source not in weights:
            _draw_edge(ax, edge, edge in lit)
    for node in graph.nodes:
        _draw_card(ax, node, node.id in named)
        if node.time == 1 and node.kind != "state":
            row = "losses" if node.kind == "loss" else f"{node.kind}s"
            ax.text(12, node.position[1], row, va="center", fontsize=11, color="#555")
        if node.kind == "input":
            ax.text(node.position[0], graph.height - 10, f"step {node.time}", ha="center", fontsize=11, color="#555")
    ax.set(xlim=(0, layout.WIDTH), ylim=(graph.height, 0), aspect="equal")
    ax.axis("off")


def scan_and_derivative(ax: plt.Axes, *, steps: int = 3) -> None:
    """Draw a scan, and below it its derivative: a scan that runs back, h_{t-1} → h_t above, δ_t W_hhᵀ and the sums dW below.

    Args:
        ax: the axes to draw on; about 9 inches wide for three steps, its frame is set.
        steps: how many.

    Example:
        >>> fig, ax = plt.subplots(figsize=(9, 4.6))
        >>> scan_and_derivative(ax)
    """
    end = 2.65 * steps
    labels = [(0.9, 4.7, "the scan"), (0.9, -0.2, "its derivative"), (end + 1.3, 3.85, f"$h_{steps}$")]
    _arrows(ax, BLUE, "-", [(end + 0.4, 3.6, end + 1.95, 3.6)])
    _arrows(ax, ORANGE, "--", [(2.0, 0.9, 0.35, 0.9)])
    for t in range(1, steps + 1):
        x, back = 2.65 * t, rf"$\delta_{t} W_{{hh}}^\top, dW$"
        for y, word, colour in [(3.6, "step", BLUE), (0.9, "step back", ORANGE)]:
            box = {"boxstyle": "round,pad=0.5", "fc": "white", "ec": colour, "lw": 1.6}
            ax.text(x, y, word, ha="center", va="center", size=12, bbox=box)
        _arrows(ax, BLUE, "-", [(x, 2.65, x, 3.25), (x, 3.95, x, 4.5), (x - 2.25, 3.6, x - 0.4, 3.6)])
        _arrows(ax, ORANGE, "--", [(x, 0.0, x, 0.55), (x + 2.0, 0.9, x + 0.65, 0.9)])
        _arrows(ax, GREY, ":", [(x + 0.3, 3.2, x + 0.3, 1.3)])
        labels += [
            (x, 2.42, f"$x_{t}$"),
            (x, 4.7, f"$y_{t}$"),
            (x - 1.25, 3.85, f"$h_{t - 1}$"),
            (x, -0.2, f"$dy_{t}$"),
        ]
        labels += [(x + 0.65, 2.1, "tape"), (x - 1.32, 1.32, back)]
    for x, y, text in [*labels, (end + 1.32, 1.2, "0, 0")]:
        ax.text(x, y, text, ha="center", va="center", size=12)
    ax.set(xlim=(0, end + 2.25), ylim=(-0.5, 5))
    ax.axis("off")


def _arrows(ax, colour, dash, ends):
    look = {"arrowstyle": "-|>", "shrinkA": 0, "shrinkB": 0, "color": colour, "lw": 1.7, "ls": dash}
    for *tail, x, y in ends:
        ax.annotate("", (x, y), tail, arrowprops=look)


def _draw_edge(ax, edge, lit):
    colour, width = (BLUE, 2.4) if lit else (GREY, 0.9)
    ax.plot(*zip(*edge.route[:-1], strict=True), color=colour, lw=width, solid_joinstyle="round", zorder=2 + lit)
    arrow = {"arrowstyle": "-|>", "color": colour, "lw": width, "shrinkA": 0, "shrinkB": 0}
    ax.annotate("", edge.route[-1], edge.route[-2], arrowprops=arrow, zorder=2 + lit)
    if lit and edge.target != "L":  # there it is 1
        halo = {"boxstyle": "square,pad=0.05", "fc": "white", "ec": "none"}
        ax.text(*edge.label_at, _number(edge.derivative), ha="center", va="center", fontsize=10, bbox=halo, zorder=5)


def _draw_card(ax, node, lit):
    (x, y), (w, h) = node.position, layout.CHIP if node.kind == "weight" else layout.CARD
    shape = "square,pad=0" if node.kind == "weight" else "round,pad=0,rounding_size=12"
    outline = {"ec": BLUE if lit else GREY, "lw": 2.2 if lit else 0.9}
    ax.add_patch(FancyBboxPatch((x - w / 2, y - h / 2), w, h, boxstyle=shape, fc=FILLS[node.kind], zorder=4, **outline))
    base, _, sub = node.label.partition("_")
    label, size = f"${base}_{{{sub}}}$" if sub else f"${base}$", 12 if len(sub) < 4 else 11
    ax.text(x, y - 10, label, ha="center", va="center", fontsize=size, zorder=5)
    ax.text(x, y + 14, _number(node.value), ha="center", va="center", fontsize=10, zorder=5)


def _number(value):
    text = f"{abs(value):.2f}"
    return f"−{text}" if value < 0 and float(text) else text
