"""Problem set 1, forward: looking up, stepping, reading, scoring and writing with an Elman net, and one sum over paths."""

from functools import partial

import numpy as np

from rnnlib import bptt, losses
from rnnlib.cells import ElmanParams, elman_step, init_elman
from rnnlib.datasets import one_hot
from rnnlib.questions import Mistake, Question


def _net(rng, D, H, K, gain=1.0):
    """Draw a net, no array of it zero."""
    params = init_elman(D, H, K, rng=rng, gain=gain)
    return ElmanParams(*(p + 0.3 * rng.standard_normal(p.shape) for p in params))


def _sizes(rng, count, low=2, high=7):
    return rng.choice(np.arange(low, high), size=count, replace=False)  # sizes that differ


def _known(wrong, /, **says):
    """Mistakes that a function makes when it is told which."""
    return {name: Mistake(partial(wrong, bug=name), words) for name, words in says.items()}


# One step, on symbols


def _symbols(rng, B, H=None):
    D, other, K = _sizes(rng, 3, 3, 8)
    H = other if H is None else H
    return {"params": _net(rng, D, H, K), "ids": rng.integers(0, D, B), "h": rng.uniform(-1, 1, (B, H))}


def _step(params, ids, h, *, bug=None):
    p = {"no_bias": params._replace(b_h=0 * params.b_h), "transposed": params._replace(W_hh=params.W_hh.T)}.get(bug, params)
    y, after = elman_step(p, one_hot(ids, len(p.W_xh), dtype=h.dtype), h)
    if bug == "no_tanh":
        after = np.arctanh(after)
        y = after @ p.W_hy + p.b_y
    y = {"y_from_h_before": h @ p.W_hy + p.b_y, "tanh_of_y": np.tanh(y)}.get(bug, y)
    return {"y": y, "h": after}
