"""A window over the unrolled graph of one neuron: which paths live, and the gradient that is left."""

import numpy as np

from rnnlib import bptt
from rnnlib.cells import ElmanParams
from rnnlib.figures.widgets.explorable import Explorable, script
from rnnlib.validation import require_shape, require_size


class TruncationWindow(Explorable):
    """A window over the unrolled graph of one neuron: which paths live, and the gradient that is left."""

    _esm = script("truncation_window")


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
