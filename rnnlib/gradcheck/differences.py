"""Central differences, the judge of a gradient; and the function that a truncated gradient is the gradient of."""

from collections.abc import Callable
from typing import Any

import numpy as np

from rnnlib.gradcheck import trees


def finite_differences(loss: Callable[[Any], float], params: Any, *, step: float = 1e-5) -> Any:
    """Estimate the gradient of a loss by central differences, (L(θ + ε e_i) − L(θ − ε e_i)) / 2ε, entry by entry.

    Two evaluations an entry, in float64: slow, and hard to get wrong. The error is about ε² |L'''| / 6 from the curve and
    1e-16 |L| / ε from rounding; ε = 1e-5 is near the best for losses and parameters of order one.

    Args:
        loss: parameters to a number, pure.
        params: any pytree of real arrays; it is copied, not changed.
        step: ε, in the parameters' units.

    Returns:
        The gradient, a pytree like `params` in float64.

    Raises:
        ValueError: a step that is not positive or lost beside a large parameter, a loss that is no single number or not finite.
        TypeError: a loss computed in float32, whose rounding would drown the difference; complex parameters.

    Example:
        >>> finite_differences(lambda p: (p["w"] ** 2).sum(), {"w": np.array([1.0, 3.0])})["w"].round(6)
        array([2., 6.])

    Source: Press et al. (2007), Numerical Recipes, section 5.7.
    """
    if not step > 0:
        raise ValueError(f"finite_differences: step must be positive, got {step}. Try 1e-5.")
    trees.require_real("finite_differences", params)
    leaves, structure = trees.flatten(params)
    leaves = [np.array(leaf, np.float64) for leaf in leaves]

    def value(entry):
        where = f"finite_differences: at {entry} ± {step:g} the loss must be"
        return _one_number(loss(trees.unflatten(structure, leaves)), where)

    grads = []
    for name, leaf in zip(trees.names(structure), leaves, strict=True):
        grad = np.empty_like(leaf)
        for index in np.ndindex(leaf.shape):
            entry = f"{name}[{', '.join(map(str, index))}]" if index else name
            centre = leaf[index]
            up, down = centre + step, centre - step  # their distance is 2ε, but for rounding
            if up == down:
                raise ValueError(f"finite_differences: {entry} = {centre:g} ± {step:g} must differ. Try a larger step.")
            leaf[index] = up
            above = value(entry)
            leaf[index] = down
            below = value(entry)
            leaf[index] = centre
            grad[index] = (above - below) / (up - down)
        grads.append(grad)
    return trees.unflatten(structure, grads)


def _one_number(loss, where):
    if loss is None:
        raise TypeError(f"{where} one number, got None. Does the loss return its value?")
    loss = np.asarray(loss)
    if loss.shape != ():
        raise ValueError(f"{where} one number, got shape {loss.shape}. Try summing it.")
    if loss.dtype != np.float64:
        hint = 'Try float64 inputs; a loss of JAX needs jax.config.update("jax_enable_x64", True) too.'
        raise TypeError(f"{where} float64, got {loss.dtype}. {hint}")
    if not np.isfinite(loss):
        raise ValueError(f"{where} finite, got {loss}. Try smaller parameters or a smaller step.")
    return float(loss)


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
