"""The function that a truncated gradient is the gradient of: all that the window does not reach is frozen."""

from collections.abc import Callable
from typing import Any

import numpy as np


def frozen_prefix(
    step: Callable[[Any, Any, Any], tuple[Any, Any]], params: Any, xs: Any, state: Any = None, *, starts: Any
) -> Callable[..., np.ndarray]:
    """Make the function that a truncated gradient is the gradient of: y_t(θ; h̄_s), run from step s + 1 on, all before it frozen.

    A truncated gradient fails a plain check, rightly; to nudge `outputs(params)` of this one is to check it.

    Args:
        step: a cell's `step(params, x, h) -> (y, h)`, which takes a batch of NumPy arrays.
        params: the parameters at which all that is frozen takes its value.
        xs: (T, B, D), inputs, time first.
        state: (B, H), the state to begin with, a constant; None for `params.h0`, which stays alive.
        starts: (T,), how many steps lie before the window of each output, its s: zeros freeze nothing, t // window * window
            is the start of a chunk, with t = 0 ... T − 1. Where it is t + 1 the output is itself frozen.

    Returns:
        `outputs(params, xs=xs)`, the ys (T, B, K).

    Raises:
        ValueError: starts that are not T whole numbers, each in 0 ... t + 1.

    Example:
        >>> from rnnlib.gradcheck import finite_differences
        >>> w, xs, h = np.float64(0.5), np.ones((3, 1, 1)), np.zeros((1, 1))
        >>> outputs = frozen_prefix(lambda w, x, h: (w * h + x, w * h + x), w, xs, h, starts=[0, 1, 2])
        >>> finite_differences(lambda xs: outputs(w, xs).sum(), xs).ravel().round(6)
        array([1., 1., 1.])

    Source: the gradient of a function with some of its arguments held constant; Williams and Peng (1990) for windows.
    """
    T, starts = len(xs), np.asarray(starts)
    if (
        starts.shape != (T,)
        or starts.dtype.kind not in "iu"
        or not ((starts >= 0) & (starts <= np.arange(T) + 1)).all()
    ):
        expected = f"T = {T} whole numbers, each in 0 ... t + 1 for t = 0 ... {T - 1}"
        raise ValueError(
            f"frozen_prefix: starts must be {expected}, got {starts.tolist()}. Try np.arange({T}) // 2 * 2."
        )

    def begin(params):
        return np.tile(params.h0, (xs.shape[1], 1)) if state is None else state

    frozen = [(None, begin(params))]  # (y_t, h_t) after t steps
    for x in xs:
        frozen.append(step(params, x, frozen[-1][1]))

    def outputs(params, xs=xs):
        ys = []
        for t, start in enumerate(starts):
            y, h = frozen[start] if start > 0 else (None, begin(params))
            for x in xs[start : t + 1]:
                y, h = step(params, x, h)
            ys.append(y)
        return np.stack(ys)

    return outputs
