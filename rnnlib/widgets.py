"""Explorables: figures that answer to the reader's hand.

Python computes once, in plain functions; JavaScript draws, and computes what has to follow the hand. Nothing is asked of the kernel
afterwards, so an explorable lives on in an exported page.
"""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import anywidget
import numpy as np
import traitlets

from rnnlib import batching, bptt, diagrams, layout
from rnnlib.cells import ElmanParams, init_elman
from rnnlib.validation import require_shape, require_size

_JS = Path(__file__).parent / "js"


class Explorable(anywidget.AnyWidget):
    """An interactive figure: `data` for its JavaScript, `alt` for those who can't see it.

    A subclass names its script in `js/`; `common.js` goes in front of it.
    """

    data = traitlets.Dict().tag(sync=True)  # what the script draws, JSON
    alt = traitlets.Unicode().tag(sync=True)  # what is to be seen and done, one or two sentences

    def __repr__(self) -> str:
        """Describe the figure where it can't be drawn."""
        return f"{type(self).__name__}: {self.alt}"


def _script(name):
    return "\n".join((_JS / f"{part}.js").read_text(encoding="utf-8") for part in ("common", name))


class EpsilonError(Explorable):
    """The error of a difference quotient against its step ε."""

    _esm = _script("epsilon")


def epsilon_error(loss: Callable[[np.floating], np.floating], weight: float, slope: float) -> EpsilonError:
    """Move the step ε of a difference quotient from 1 down to 1e-16, and see its secant and its error.

    Args:
        loss: the loss as a function of one weight, which computes in the precision of the number that it is given.
        weight: where the slope is wanted.
        slope: the exact slope there, dL/dw, from the backward pass.

    Returns:
        The explorable: the loss around the weight at 65 steps ε, in float64 and float32, with forward and central differences.

    Example:
        >>> epsilon_error(np.tanh, 0.5, 1 - np.tanh(0.5) ** 2).data["kinds"].keys()
        dict_keys(['float64', 'float32'])

    Source: Press et al. (2007), Numerical Recipes, section 5.7.
    """
    epsilons = 10.0 ** (np.arange(-64, 1) / 4)
    offsets = np.arange(-15, 16) / 10  # from the weight, in units of ε: -1, 0 and 1 are among them
    kinds = {d.__name__: _differences(loss, d(weight), slope, epsilons, offsets) for d in (np.float64, np.float32)}
    data = {"epsilons": epsilons.tolist(), "offsets": offsets.tolist(), "slope": float(slope), "kinds": kinds}
    alt = (
        "Left, a loss near one weight with its tangent and the secant of a difference quotient; right, the error of the secant's slope "
        "against the step ε, a curve shaped like a V. Move ε: rounding spoils small steps, curvature large ones."
    )
    return EpsilonError(data=data, alt=alt)


def _differences(loss, weight, slope, epsilons, offsets):
    """In one precision: the loss around the weight less its tangent, a row for each ε, and the error of each quotient."""
    dtype = type(weight)
    steps = epsilons[:, None] * offsets
    losses = np.array([[float(loss(weight + dtype(step))) for step in row] for row in steps]) - float(loss(weight))
    below, above = losses[:, offsets == -1].ravel(), losses[:, offsets == 1].ravel()
    unit = float(np.finfo(dtype).eps / 2)
    return {
        "curves": [[float(f"{x:.4g}") for x in row] for row in losses - slope * steps],
        "errors": {
            "forward": (above / epsilons - slope).tolist(),
            "central": ((above - below) / (2 * epsilons) - slope).tolist(),
        },
        "unit": unit,
        "balance": {"forward": unit ** (1 / 2), "central": unit ** (1 / 3)},
    }


class ErrorFlow(Explorable):
    """The error on its way back through time, step by step."""

    _esm = _script("error_flow")


def error_flow(T: int = 12, H: int = 6, *, seed: int = 0) -> ErrorFlow:
    """Step back through time: see δ_t appear, what it is made of, and dW_hh grow by one term a step.

    Args:
        T: time steps.
        H: hidden units.
        seed: of the random net, inputs and errors.

    Returns:
        The explorable, for three gains of the recurrent weights, with a loss at every step or at the last alone.

    Raises:
        ValueError: T or H below 1.
        TypeError: T or H that is not whole.

    Example:
        >>> list(error_flow(T=3, H=2).data["runs"])
        ['gain 0.5', 'gain 1', 'gain 2']

    Source: Werbos (1990), Backpropagation through time, section III.
    """
    for letter, size in {"T": T, "H": H}.items():
        require_size("error_flow", letter, size)
    runs = {}
    for gain in (0.5, 1, 2):
        rng = np.random.default_rng(seed)
        params = init_elman(3, H, 2, rng=rng)
        params = params._replace(W_hh=gain * params.W_hh, h0=rng.standard_normal(H) / 2)
        tape = bptt.forward(params, 0.3 * rng.standard_normal((T, 1, 3)))
        every = rng.standard_normal(tape.ys.shape)
        last = np.where(np.arange(T)[:, None, None] == T - 1, every, 0)
        losses = {"at every step": every, "at the last step": last}
        runs[f"gain {gain:g}"] = {name: _error_trace(params, tape, d_ys) for name, d_ys in losses.items()}
    alt = (
        "Above, the error at each hidden unit, a column a step, filling up from the last step to the first; below, how much of it is the "
        "step's own and how much was carried back; right, the gradient of W_hh growing term by term. Move the slider to step back."
    )
    return ErrorFlow(data={"T": T, "H": H, "runs": runs}, alt=alt)


def _error_trace(params, tape, d_ys):
    """One sequence: the states, δ at every step, and the lengths of its two parts before the slope of tanh."""
    d_as = bptt.deltas(params, tape, d_ys)[:, 0]
    carried = np.concatenate([d_as[1:] @ params.W_hh.T, np.zeros((1, len(params.h0)))])
    return {
        "hs": tape.hs[:, 0].tolist(),
        "deltas": d_as.tolist(),
        "own": np.linalg.norm(d_ys[:, 0] @ params.W_hy.T, axis=1).tolist(),
        "carried": np.linalg.norm(carried, axis=1).tolist(),
        "d_h0": (d_as[0] @ params.W_hh.T).tolist(),
    }


class ArrayShapes(Explorable):
    """Every array of one forward pass, drawn to scale, and what it costs."""

    _esm = _script("shapes")


def array_shapes(T: int = 4, B: int = 3, D: int = 5, H: int = 6, K: int = 4) -> ArrayShapes:
    """Change T, B, D, H, K and watch each array of an Elman net's forward pass; parameters and multiply-adds are counted.

    Args:
        T: time steps to begin with, 1 to 8.
        B: sequences, 1 to 5.
        D: inputs, 1 to 8.
        H: hidden units, 1 to 8.
        K: outputs, 1 to 6.

    Returns:
        The explorable: a slider for each letter, and the role, shape and line of NumPy of the array that is pointed at.

    Raises:
        ValueError: a size outside its slider's range.
        TypeError: a size that is not whole.

    Example:
        >>> [array["name"] for array in array_shapes().data["arrays"] if array["kind"] == "parameter"]
        ['W_xh', 'W_hh', 'b_h', 'W_hy', 'b_y', 'h0']
    """
    sizes = {"T": T, "B": B, "D": D, "H": H, "K": K}
    for letter, size in sizes.items():
        require_size("array_shapes", letter, size, most=_AXES[letter][0], hint="Try array_counts for larger nets.")
    data = {
        "sizes": sizes,
        "axes": {letter: {"low": 1, "high": high, "words": words} for letter, (high, words) in _AXES.items()},
        "arrays": [dict(zip(("name", "axes", "kind", "role", "line"), array, strict=True)) for array in _ARRAYS],
        "products": [{"name": name, "axes": axes} for name, axes in _PRODUCTS.items()],
    }
    alt = (
        "The ten arrays of a forward pass as grids to scale: xs, a, hs and ys in stacks of B sheets, the weights and vectors below. Move "
        "a slider to change T, B, D, H or K, point at an array for its role and shape; bars count parameters and multiply-adds."
    )
    return ArrayShapes(data=data, alt=alt)


def array_counts(T: int, B: int, D: int, H: int, K: int) -> dict[str, dict[str, int]]:
    """Count what one forward pass of an Elman net holds and does: a product of axis sizes for each array and each product.

    Args:
        T: time steps.
        B: sequences.
        D: inputs a step.
        H: hidden units.
        K: outputs a step.

    Returns:
        `{"data": ..., "parameters": ..., "multiply_adds": ...}`: entries by array, and multiply-adds by matrix product.

    Example:
        >>> sum(array_counts(T=4, B=3, D=5, H=6, K=4)["parameters"].values())
        106
    """
    sizes = {"T": T, "B": B, "D": D, "H": H, "K": K, "T+1": T + 1}

    def entries(axes):
        return math.prod(sizes[axis] for axis in axes)

    counts = {"data": {}, "parameters": {}, "multiply_adds": {n: entries(axes) for n, axes in _PRODUCTS.items()}}
    for name, axes, kind, *_ in _ARRAYS:
        counts["parameters" if kind == "parameter" else "data"][name] = entries(axes)
    return counts


_AXES = {"T": (8, "steps"), "B": (5, "batch"), "D": (8, "inputs"), "H": (8, "hidden"), "K": (6, "outputs")}
_ARRAYS = [
    ("xs", ["T", "B", "D"], "data", "the inputs of all steps, time first.", "xs = one_hot(ids, D)"),
    ("W_xh", ["D", "H"], "parameter", "input to hidden: one row for each input.", "W_xh = rng.standard_normal((D, H)) / np.sqrt(D)"),
    ("a", ["T", "B", "H"], "data", "the pre-activations: what tanh is given.", "a[t] = xs[t] @ W_xh + hs[t] @ W_hh + b_h"),
    ("W_hh", ["H", "H"], "parameter", "the recurrence: what a state does to the next.", "W_hh = rng.standard_normal((H, H)) / np.sqrt(H)"),
    ("b_h", ["H"], "parameter", "the hidden bias, added at every step to every sequence.", "b_h = np.zeros(H)"),
    ("hs", ["T+1", "B", "H"], "data", "the states, h0 in front: one more than the steps.", "hs[0] = h0; hs[t + 1] = np.tanh(a[t])"),
    ("W_hy", ["H", "K"], "parameter", "hidden to output, the readout.", "W_hy = rng.standard_normal((H, K)) / np.sqrt(H)"),
    ("ys", ["T", "B", "K"], "data", "the outputs: unnormalised log-probabilities, for a text.", "ys = hs[1:] @ W_hy + b_y"),
    ("b_y", ["K"], "parameter", "the output bias, added at every step to every sequence.", "b_y = np.zeros(K)"),
    ("h0", ["H"], "parameter", "the initial carry: the state before the first step, the same for every sequence.", "h0 = np.zeros(H)"),
]  # fmt: skip
_PRODUCTS = {"xs W_xh": ["T", "B", "D", "H"], "h W_hh": ["T", "B", "H", "H"], "hs W_hy": ["T", "B", "H", "K"]}


class UnrolledGraph(Explorable):
    """An unrolled net: its numbers forward and back, and every path from a weight to a loss."""

    _esm = _script("unrolled")


def unrolled_graph(nets: dict[str, diagrams.Graph]) -> UnrolledGraph:
    """Scrub through the forward and the backward pass; choose a weight and a loss, and see each path between them with its value.

    Args:
        nets: small unrolled nets by the names on their buttons, from `diagrams.unrolled_graph`.

    Returns:
        The explorable. Its nodes and edges are the graphs' own; sums over paths are taken in the page.

    Raises:
        ValueError: no net, or one too large to be read.

    Example:
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


class GradientLags(Explorable):
    """The gradient by lag of a small net, against the straight line of its spectral radius."""

    _esm = _script("lags")


def gradient_lags(H: int = 16, *, seed: int = 0) -> GradientLags:
    """Move the spectral radius and T, choose nonlinearity and initialisation, and see how much gradient arrives at each lag.

    Args:
        H: hidden units, at most 32, so that the page can follow the hand.
        seed: of the matrices, inputs and errors.

    Returns:
        The explorable. Embedded are two recurrent matrices of spectral radius one, 60 inputs as they enter the hidden units, and an
        error of length one for each step; the page multiplies and draws.

    Raises:
        ValueError: H outside 1 ... 32.
        TypeError: H that is not whole.

    Example:
        >>> list(gradient_lags(H=4).data["matrices"])
        ['normal', 'orthogonal']

    Source: Pascanu, Mikolov, Bengio (2013), On the difficulty of training recurrent neural networks, section 2.1.
    """
    require_size("gradient_lags", "H", H, most=32)
    rng = np.random.default_rng(seed)
    normal = rng.standard_normal((H, H))
    matrices = {
        "normal": normal / np.abs(np.linalg.eigvals(normal)).max(),
        "orthogonal": np.linalg.qr(rng.standard_normal((H, H)))[0],
    }
    errors = rng.standard_normal((60, H))
    data = {
        "matrices": {name: W.round(8).tolist() for name, W in matrices.items()},
        "inputs": (0.5 * rng.standard_normal((60, H))).round(4).tolist(),
        "errors": (errors / np.linalg.norm(errors, axis=1, keepdims=True)).round(6).tolist(),
    }
    alt = (
        "Gradient against lag on a logarithmic axis, with the straight line radius^lag beside it. Move the spectral radius and T, choose "
        "nonlinearity and initialisation: a linear net runs beside the line, tanh and ReLU fall below it."
    )
    return GradientLags(data=data, alt=alt)


class TruncationWindow(Explorable):
    """A window over the unrolled graph of one neuron: which paths live, and the gradient that is left."""

    _esm = _script("window")


def truncation_window() -> TruncationWindow:
    """Drag a window over one neuron unrolled, see which paths from w_h to a loss die, and what dL/dw_h becomes.

    The neuron is that of `misled_neuron`, its paths those of `path_values`; `living_from` says which of them live.

    Returns:
        The explorable, for three truncations and every window; `data["paths"]` and `data["living_from"]` are for other figures.

    Example:
        >>> list(truncation_window().data["living_from"])
        ['behind every loss', 'chunks', 'last k steps']

    Source: Williams and Peng (1990), An efficient gradient-based algorithm for on-line training of recurrent network trajectories.
    """
    params, xs, targets = misled_neuron()
    tape = bptt.forward(params, xs)
    errors, T = tape.ys - targets, len(xs)
    windows = [living_from(T, window) for window in range(1, T + 1)]
    data = {
        "hs": tape.hs.ravel().tolist(),
        "ys": tape.ys.ravel().tolist(),
        "losses": (errors**2 / 2).ravel().tolist(),
        "paths": path_values(params, tape, errors).tolist(),
        "living_from": {truncation: [window[truncation] for window in windows] for truncation in windows[0]},
    }
    alt = (
        "Above, one neuron unrolled over eight steps with a window to drag; below, a triangle of squares, a row for each loss, a column "
        "for each step at which w_h acts, dead paths hatched; right, the gradient that is left beside the full one. Short windows give "
        "it the wrong sign."
    )
    return TruncationWindow(data=data, alt=alt)


def misled_neuron() -> tuple[ElmanParams, np.ndarray, np.ndarray]:
    """Give one neuron, eight inputs and eight targets for which short windows give dL/dw_h the wrong sign.

    The numbers were searched for. Of nets drawn at random (weights, inputs and targets from N(0, 1), biases of deviation 0.3, h0 of
    0.5) three in two hundred are misled so by each of the windows 1, 2 and 3 behind every loss. In this one the shortest
    paths ask the weight to shrink, and the losses of steps 5 and 6, by way of steps 1 to 4, ask it to grow.

    Returns:
        `(params, xs, targets)`: an Elman net with D = H = K = 1, inputs (8, 1, 1) and targets (8, 1, 1), the loss Σ ½ (y_t − target_t)².

    Example:
        >>> params, xs, targets = misled_neuron()
        >>> tape = bptt.forward(params, xs)
        >>> [round(float(bptt.backward(params, tape, tape.ys - targets, window=k).W_hh[0, 0]), 2) for k in (1, 8)]
        [2.16, -3.84]
    """
    w_x, w_h, b, w_y, b_y, h0 = -0.3, 1.2, 0.3, -1.1, -0.3, -0.7
    params = ElmanParams(*map(np.array, ([[w_x]], [[w_h]], [b], [[w_y]], [b_y], [h0])))
    xs = np.array([0.6, 1.0, -0.5, 0.0, -0.9, 0.5, -0.9, 0.2])
    targets = np.array([0.1, -1.1, -0.8, -0.1, 1.1, 1.2, -1.6, 0.3])
    return params, xs[:, None, None], targets[:, None, None]


def path_values(params: ElmanParams, tape: bptt.Tape, d_ys: np.ndarray) -> np.ndarray:
    """Take dL/dw_h of one neuron apart, path by path: h_{s-1} · tanh'(a_s) · Π_{r=s+1..t} w_h tanh'(a_r) · dL_t/dh_t.

    Args:
        params: a net with D = H = K = 1.
        tape: what `bptt.forward` returned for one sequence.
        d_ys: (T, 1, 1), dL/dy at every step.

    Returns:
        (T, T): row t − 1, column s − 1 holds the path from w_h at step s to the loss of step t, zero for s > t. All of it sums
        to `bptt.backward(params, tape, d_ys).W_hh`.

    Raises:
        ValueError: more than one neuron, input, output or sequence.

    Example:
        >>> params, xs, targets = misled_neuron()
        >>> tape = bptt.forward(params, xs)
        >>> path_values(params, tape, tape.ys - targets).sum().round(2)
        np.float64(-3.84)

    Source: Werbos (1990), Backpropagation through time, section II.
    """
    for name, array in {"W_xh": params.W_xh, "W_hy": params.W_hy, "d_ys": d_ys[:1]}.items():
        require_shape("path_values", name, array, (1,) * array.ndim, match="for one neuron and one sequence")
    hs, w_h = tape.hs.ravel(), params.W_hh.item()
    slopes = 1 - hs[1:] ** 2
    values = np.zeros((len(slopes), len(slopes)))
    for t, d_h in enumerate((d_ys * params.W_hy).ravel()):
        for s in range(t, -1, -1):  # both counted from 0, so that hs[s] is the state before step s
            values[t, s] = hs[s] * slopes[s] * d_h
            d_h *= slopes[s] * w_h
    return values


def living_from(T: int, window: int) -> dict[str, list[int]]:
    """Say how far back each loss can see under three truncations.

    Args:
        T: time steps.
        window: how many applications of the recurrence an error goes back through, its own step's included.

    Returns:
        For each truncation, for each loss t = 1 ... T, the first step s whose path lives: all of s ... t do. Where a loss is dropped
        it is t + 1.

    Raises:
        ValueError: T below 1, a window outside 1 ... T.
        TypeError: sizes that are not whole.

    Example:
        >>> living_from(T=4, window=3)
        {'behind every loss': [1, 1, 1, 2], 'chunks': [1, 1, 1, 4], 'last k steps': [2, 2, 2, 2]}

    Source: Williams and Peng (1990) for the first two; the third is what Theano's `truncate_gradient` did.
    """
    require_size("living_from", "T", T)
    require_size("living_from", "window", window, most=T, hint="T is the full gradient.")
    steps = range(1, T + 1)
    return {
        "behind every loss": [max(1, t - window + 1) for t in steps],
        "chunks": [(t - 1) // window * window + 1 for t in steps],
        "last k steps": [T - window + 1 if t > T - window else t + 1 for t in steps],
    }


class Checkpointing(Explorable):
    """A backward pass that keeps few states and runs the steps between them again: what it holds, and what it costs."""

    _esm = _script("checkpointing")


def checkpointing(T: int = 400) -> Checkpointing:
    """Cut T steps into chunks, go back through them, and see which states are kept, what is run again, and the most that is held at once.

    Args:
        T: time steps, at most 1000; the chunks offered are its divisors.

    Returns:
        The explorable: for each chunk length, a `checkpoint_schedule` for each of three ways. The page adds up.

    Raises:
        ValueError: T outside 1 ... 1000.
        TypeError: T that is not whole.

    Example:
        >>> checkpointing(T=12).data["chunks"]
        [1, 2, 3, 4, 6, 12]

    Source: Griewank and Walther (2008), Evaluating Derivatives, chapter 12.
    """
    require_size("checkpointing", "T", T, most=1000)
    chunks = [chunk for chunk in range(1, T + 1) if T % chunk == 0]
    ways = {way: [checkpoint_schedule(T, chunk, way) for chunk in chunks] for way in _CUTS}
    alt = (
        "Above, the steps from 1 to T: diamonds for the states that are kept, a frame around the chunk in hand, an arrow over steps that "
        "are run again. Below, the most that is held at once, and the steps run, against the length of a chunk. Move the sliders."
    )
    return Checkpointing(data={"T": T, "chunks": chunks, "ways": ways}, alt=alt)


def checkpoint_schedule(T: int, chunk: int, way: str = "one level") -> dict[str, list[list[int]]]:
    """Plan a backward pass over T steps that works on one stretch of them at a time, from the last to the first.

    The forward pass keeps the states between the pieces it is cut into. Each stretch is then run again from the nearest state kept before
    it; where pieces are cut once more, this keeps further states.

    Args:
        T: time steps.
        chunk: the longest stretch to be worked on at once.
        way: "one level" cuts every `chunk` steps; "halving" cuts in the middle, and each half again; "keep everything" does not cut.

    Returns:
        `{"stretches": [[start, stop, since], ...], "kept": [[step, first, last], ...]}`. In order of work: each stretch holds steps
        start + 1 ... stop, for which the net was run again from the state after step `since`; since = stop where nothing was. Kept
        states, counted from 0 for h0, each with the first and the last stretch, by number, during which it has to be there.

    Raises:
        ValueError: a chunk outside 1 ... T, a way that is none of the three.
        TypeError: sizes that are not whole.

    Example:
        >>> checkpoint_schedule(T=6, chunk=3)
        {'stretches': [[3, 6, 3], [0, 3, 0]], 'kept': [[0, 0, 1], [3, 0, 0]]}

    Source: Chen, Xu, Zhang, Guestrin (2016), arXiv 1604.06174, section 4; Griewank and Walther (2008), chapter 12.
    """
    require_size("checkpoint_schedule", "T", T)
    require_size("checkpoint_schedule", "chunk", chunk, most=T, hint="T is a single chunk.")
    if way not in _CUTS:
        raise ValueError(f"checkpoint_schedule: way must be one of {list(_CUTS)}, got {way!r}.")
    stretches, kept = [], []

    def back(start, stop, since):  # since None: the forward pass has just been here
        pieces = list(pairwise([start, *_CUTS[way](start, stop, chunk), stop]))
        if len(pieces) == 1:
            stretches.append([start, stop, start if since is None else since])
            return
        first = len(stretches)
        for begin, end in reversed(pieces):
            back(begin, end, since if end == stop else begin)
            if begin > start:
                kept.append([begin, first, len(stretches) - 1])

    back(0, T, T if way == "keep everything" else None)
    return {"stretches": stretches, "kept": sorted([[0, 0, len(stretches) - 1], *kept])}


_CUTS = {
    "keep everything": lambda start, stop, chunk: [],
    "one level": lambda start, stop, chunk: range(start + chunk, stop, chunk),
    "halving": lambda start, stop, chunk: [(start + stop) // 2] if stop - start > chunk else [],
}


class Bucketing(Explorable):
    """Real lengths in buckets: what is computed for nothing, and how many shapes are compiled."""

    _esm = _script("bucketing")


def bucketing(lengths: Sequence[int] | np.ndarray) -> Bucketing:
    """Choose the number of buckets and the rows of a batch, and see what is padded, what rows stay empty, and how many shapes there are.

    Args:
        lengths: the steps of every sequence.

    Returns:
        The explorable: for 1 to 16 buckets their lengths and how many sequences each holds, and the waste for batches of 1 to 256 rows,
        all of it from `rnnlib.batching`. The page draws.

    Raises:
        ValueError: no lengths, or one below 1.

    Example:
        >>> [choice["edges"] for choice in bucketing([3, 3, 4, 9, 10]).data["choices"]]
        [[10], [4, 10], [3, 4, 10], [3, 4, 9, 10]]

    Source: Khomenko et al. (2016), Accelerating recurrent neural network training using sequence bucketing, arXiv 1708.05604.
    """
    rows = [2**k for k in range(9)]
    most = min(16, len(np.unique(np.asarray(lengths)))) or 1  # no lengths at all: let `buckets` say so
    edges = [batching.buckets(lengths, count) for count in range(1, most + 1)]
    data = {
        "counts": np.bincount(lengths).tolist(),
        "rows": rows,
        "choices": [
            {
                "edges": list(each),
                "held": np.bincount(np.searchsorted(each, lengths)).tolist(),
                "waste": [batching.waste(lengths, each, B)._asdict() for B in rows],
            }
            for each in edges
        ],
    }
    alt = (
        "Left, a histogram of lengths with the buckets' edges; middle, the sequences sorted by length under the staircase that they are "
        "padded to, with empty rows; right, the share of wasted steps against the number of buckets. Move buckets and rows."
    )
    return Bucketing(data=data, alt=alt)


class ForgetGate(Explorable):
    """The gradient that a memory cell lets through, by lag, for forget gates that the inputs move; an Elman net beside it."""

    _esm = _script("forget_gate")


def forget_gate(H: int = 24, *, seed: int = 0) -> ForgetGate:
    """Move the forget bias and the spread of the gates, and see how much gradient arrives along the cells, by lag.

    Args:
        H: cells, and hidden units of the Elman net.
        seed: of the pushes and the recurrent matrix.

    Returns:
        The explorable. Embedded, as powers of ten, are the lower quartile, median and upper quartile over the cells of `kept_by_cells`, the
        `half_life` of each, and `kept_by_elman` for recurrent matrices of radius 0.5 to 2, at lags up to 200.

    Raises:
        ValueError: H below 1.
        TypeError: H that is not whole.

    Example:
        >>> forget_gate(H=2).data["half_lives"][4][0]  # forget bias 0, gates that nothing moves
        1.0

    Source: Gers, Schmidhuber, Cummins (2000), Learning to forget, Neural Computation 12.
    """
    require_size("forget_gate", "H", H)
    rng = np.random.default_rng(seed)
    lags = [0, 1, 2, 5, *range(10, 201, 10)]
    biases, spreads, radii = np.arange(-4, 13) / 2, np.array([0, 0.5, 1, 2, 3]), np.arange(5, 21) / 10
    pushes, W = rng.standard_normal((lags[-1], H)), rng.standard_normal((H, H))
    W = W / np.abs(np.linalg.eigvals(W)).max()

    def quartiles(bias, spread):
        return np.quantile(kept_by_cells(bias, spread, pushes)[lags], [0.25, 0.5, 0.75], axis=1).round(2).tolist()

    data = {
        "lags": lags,
        "biases": biases.tolist(),
        "spreads": spreads.tolist(),
        "radii": radii.tolist(),
        "gates": [[quartiles(bias, spread) for spread in spreads] for bias in biases],
        "half_lives": [[half_life(bias, spread) for spread in spreads] for bias in biases],
        "tanh": [[kept_by_elman(radius * W, spread * pushes)[lags].round(2).tolist() for spread in spreads] for radius in radii],
    }  # fmt: skip
    alt = (
        "Share of the gradient that arrives against lag, log axis: a band of memory cells whose gates have a bias and are moved by inputs, "
        "their half-life marked, and an Elman net, dashed. Move bias, spread, T and the Elman net's spectral radius."
    )
    return ForgetGate(data=data, alt=alt)


def kept_by_cells(bias: float, spread: float, pushes: np.ndarray) -> np.ndarray:
    """Multiply forget gates back from the last step: log10 Π_{t > T−lag} σ(bias + spread · push_t), the road of each cell alone.

    Args:
        bias: of the forget gates.
        spread: how much a push of size one moves a gate's pre-activation.
        pushes: (T, H), what the inputs say to each gate.

    Returns:
        (T + 1, H): the share of dL/dc_T that arrives at each lag, 0 ... T, as a power of ten.

    Example:
        >>> kept_by_cells(0.0, 0.0, np.zeros((3, 1))).ravel().round(2).tolist()  # 1, 1/2, 1/4, 1/8
        [0.0, -0.3, -0.6, -0.9]

    Source: Hochreiter and Schmidhuber (1997), appendix A.2, with a forget gate in the cell's recurrence.
    """
    logs = -np.logaddexp(0, -(bias + spread * pushes)) / math.log(10)
    return np.concatenate([np.zeros_like(logs[:1]), np.cumsum(logs[::-1], axis=0)])


def half_life(bias: float, spread: float = 0.0) -> float:
    """Return after how many steps half of the gradient is left: ln 2 / −E[ln σ(bias + spread · n)] with n ~ N(0, 1).

    Args:
        bias: of the forget gate.
        spread: standard deviation of the gate's pre-activation.

    Returns:
        Steps, rounded to 4 digits. The mean is taken by Gauss-Hermite quadrature.

    Example:
        >>> [half_life(bias) for bias in (0.0, 1.0, 3.0, 5.0)]
        [1.0, 2.213, 14.27, 103.2]

    Source: the definition.
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(41)
    loss = np.logaddexp(0, -(bias + spread * nodes)) @ weights / weights.sum()
    return float(f"{math.log(2) / loss:.4g}")


def kept_by_elman(W_hh: np.ndarray, pushes: np.ndarray) -> np.ndarray:
    """Send errors of length one back through h_t = tanh(h_{t-1} W_hh + push_t): log10 of their root mean square, by lag.

    Args:
        W_hh: (H, H).
        pushes: (T, H), what the inputs say to each unit.

    Returns:
        (T + 1,): log10 (‖dh_T/dh_{T−lag}‖_F / √H), the share of a random error at the last step that arrives; at least −99.

    Example:
        >>> kept_by_elman(0.1 * np.eye(2), np.zeros((3, 2))).round(6).tolist()
        [0.0, -1.0, -2.0, -3.0]

    Source: Pascanu, Mikolov, Bengio (2013), equation 5.
    """
    h, hs = np.zeros(len(W_hh)), []
    for push in pushes:
        h = np.tanh(h @ W_hh + push)
        hs.append(h)
    errors, kept = np.eye(len(W_hh)), [0.0]
    for h in reversed(hs):
        errors = (errors * (1 - h * h)) @ W_hh.T
        size = np.linalg.norm(errors) / math.sqrt(len(W_hh))
        kept.append(math.log10(size) if size > 1e-99 else -99.0)
    return np.array(kept)
