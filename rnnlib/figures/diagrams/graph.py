"""The unrolled graph: a node for every number that was computed, an edge for every use of it."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from rnnlib import bptt
from rnnlib.cells import ElmanParams
from rnnlib.figures import layout
from rnnlib.validation import require_finite, require_floating, require_shape


class Node(NamedTuple):
    """One number of the unrolled net."""

    id: str  # its place in the arrays, time from 1 and units from 0: "W_hh[0,1]", "h[3,0]" is tape.hs[3, 0, 0], "L[3]"; "L" is the sum
    label: str  # how it is written, units from 1, a subscript after "_": "h_3,1"
    kind: str  # weight, input, state, output or loss
    time: int | None  # its step, 0 for h0; None for what belongs to no step: the other weights, and L
    unit: tuple[int, ...]  # its indices in the array of its step, or in the weight's
    position: layout.Point  # the centre of its card
    value: float | None  # None where the node is an array


class Edge(NamedTuple):
    """One use of a number: the target was computed from the source."""

    source: str
    target: str
    derivative: (
        float | None
    )  # the local one, ∂ target / ∂ source: the target's other sources are held still; None between arrays
    route: tuple[layout.Point, ...]  # the line from card to card
    label_at: layout.Point  # where its derivative is written, centred


class Graph(NamedTuple):
    """An unrolled net. Edges come in the order in which they are used: all edges into a node before any edge out of it."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]

    @property
    def height(self) -> float:
        """How tall its drawing is, in pixels, at the width of 860."""
        return max((node.position[1] for node in self.nodes), default=0) + 58


def unrolled_graph(params: ElmanParams, xs: Float[np.ndarray, "T B D"], targets: Float[np.ndarray, "T B K"]) -> Graph:
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
    beside = 32 + 18 * len(params.b_h)
    edges = []
    for source, target, derivative in _uses(params, tape, targets):
        lane = layout.column(len(xs), place[target].time or 0) - beside
        edges.append(Edge(source, target, float(derivative), *layout.line(place[source], place[target], lane)))
    return Graph(nodes, tuple(edges))


def _check(where, params, xs, targets):
    require_floating(where, xs=xs, targets=targets)
    D, K = len(params.W_xh), len(params.b_y)
    require_shape(where, "xs", xs, ("T", 1, D), match="(one sequence, time first)", hint="Try xs[:, :1].")
    require_shape(where, "targets", targets, (len(xs), 1, K), match="to match xs and b_y", hint="One for each output.")
    require_finite(where, targets=targets)


def _nodes(params, tape, targets):
    """Every number, in an order in which it can be computed."""
    (T, _, D), H, K = tape.xs.shape, len(params.b_h), len(params.b_y)
    letters = {"W_xh": "w_x", "W_hh": "w_h", "b_h": "b", "W_hy": "w_y"} if D == H == K == 1 else {}
    weights = [(name, index) for name, array in params._asdict().items() for index in np.ndindex(array.shape)]
    for place, (name, index) in enumerate(weights):
        array, initial = getattr(params, name), name == "h0"
        label = _sub("h_0" if initial else letters.get(name, name), index, array.shape)
        group = list(params._fields).index(name)
        position = layout.position(T, H, "state", 0, index[0]) if initial else layout.chip(place, group, len(weights))
        id = f"{name}[{','.join(map(str, index))}]"
        yield Node(id, label, "weight", 0 if initial else None, index, position, float(array[index]))
    arrays = {"input": ("x", tape.xs), "state": ("h", tape.hs[1:]), "output": ("y", tape.ys)}
    losses = ((tape.ys - targets) ** 2).sum((1, 2)) / 2
    for t in range(1, T + 1):
        for kind, (letter, array) in arrays.items():
            for (unit,), value in np.ndenumerate(array[t - 1, 0]):
                label, position = _sub(f"{letter}_{t}", (unit,), array.shape[2:]), layout.position(T, H, kind, t, unit)
                yield Node(f"{letter}[{t},{unit}]", label, kind, t, (unit,), position, float(value))
        yield Node(f"L[{t}]", f"L_{t}", "loss", t, (), layout.position(T, H, "loss", t, 0), float(losses[t - 1]))
    yield Node("L", "L", "loss", None, (), (layout.column(T, T), layout.ROWS["weight"]), float(losses.sum()))


def _uses(params, tape, targets):
    """Every (source, target, local derivative), in the order of computation."""
    (T, _, D), H, K = tape.xs.shape, len(params.b_h), len(params.b_y)
    xs, hs, ys = (array[:, 0] for array in tape)
    for t in range(1, T + 1):
        for j in range(H):
            state, slope = f"h[{t},{j}]", 1 - hs[t, j] ** 2  # tanh'(a) = 1 - tanh(a)²
            yield f"b_h[{j}]", state, slope
            for d in range(D):
                yield f"W_xh[{d},{j}]", state, slope * xs[t - 1, d]
                yield f"x[{t},{d}]", state, slope * params.W_xh[d, j]
            for i in range(H):
                yield f"W_hh[{i},{j}]", state, slope * hs[t - 1, i]
                yield f"h[{t - 1},{i}]" if t > 1 else f"h0[{i}]", state, slope * params.W_hh[i, j]
        for k in range(K):
            output = f"y[{t},{k}]"
            yield f"b_y[{k}]", output, 1.0
            for j in range(H):
                yield f"W_hy[{j},{k}]", output, hs[t, j]
                yield f"h[{t},{j}]", output, params.W_hy[j, k]
            yield output, f"L[{t}]", ys[t - 1, k] - targets[t - 1, 0, k]
        yield f"L[{t}]", "L", 1.0


def _sub(label, index, shape):
    """Add the indices, from 1, of the axes that are longer than 1: W_hh,12."""
    digits = "".join(str(i + 1) for i, size in zip(index, shape, strict=True) if size > 1)
    return f"{label},{digits}" if digits else label
