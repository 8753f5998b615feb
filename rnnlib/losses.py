"""Losses: outputs and targets to one number, and its gradient with respect to the outputs.

Every loss here is a weighted sum over steps, L = Σ_{t,b} w_tb ℓ_tb, and the weights say which sum: by default w = 1/(TB), the
mean over all steps; ones give the plain sum; a mask divided by its own sum gives the mean over the steps that count.

A step of weight 0 is not looked at. Whatever stands there, NaN, infinity, the symbol −1 or −100, loss and gradients are what they would be
with anything else in its place, and the gradient there is 0. (0 · NaN would be NaN: so what is not heard is replaced before anything
is computed of it.) Where the weight is not 0 such a symbol is an error, which names the place; under `jax.jit`, where values can't be
seen, it makes the loss and the gradient NaN.

Each loss is written once and serves NumPy and JAX alike, because both speak the array-API standard. The gradients are by hand, in
NumPy; `jax.grad` of the loss is their second opinion.
"""

from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from rnnlib.validation import require_array, require_floating, require_shape


def softmax(ys: Float[Any, "*steps K"]) -> Float[Any, "*steps K"]:
    """Turn outputs into probabilities: p_k = exp(y_k) / Σ_j exp(y_j), over the last axis.

    The largest output is subtracted first, which changes nothing but keeps exp from overflowing.

    Args:
        ys: (..., K), outputs of any size, in nats up to a constant.

    Returns:
        Probabilities of the same shape, which sum to one over the last axis.

    Example:
        >>> softmax(np.array([0.0, np.log(3.0)]))
        array([0.25, 0.75])

    Source: Bridle (1990), Probabilistic interpretation of feedforward classification network outputs, equation 3.
    """
    exp = ys.__array_namespace__().exp(ys - _largest(ys))
    return exp / exp.sum(axis=-1, keepdims=True)


def softmax_cross_entropy(
    ys: Float[Any, "T B K"],
    targets: Int[Any, "T B"],
    weights: Float[Any, "T B"] | None = None,
) -> Float[Any, ""] | float:
    """Score predicted symbols: L = Σ_{t,b} w_tb (log Σ_j exp y_tbj − y_tb,target), in nats.

    Args:
        ys: (T, B, K), unnormalised log-probabilities.
        targets: (T, B), the symbol that came, 0 ... K−1; anything, such as −1 or −100, where the weight is 0.
        weights: (T, B), what each step counts; None for the mean over all steps.

    Returns:
        The loss, a scalar.

    Raises:
        ValueError: shapes that disagree, or a target outside 0 ... K−1 that counts. (Under `jax.jit`: NaN in place of the error.)
        TypeError: outputs that are not floating point, targets that are not integers.

    Example:
        >>> float(softmax_cross_entropy(np.zeros((5, 2, 4)), np.ones((5, 2), int)).round(6))  # log 4: it knows nothing
        1.386294

    Source: Goodfellow, Bengio, Courville (2016), Deep Learning, section 6.2.2.3.
    """
    _check_symbols("softmax_cross_entropy", ys, targets, weights)
    xp = ys.__array_namespace__()
    ys, targets = _heard(ys, weights), _heard(targets, weights)
    known = (targets >= 0) & (targets < ys.shape[-1])
    largest = _largest(ys)
    log_total = xp.log(xp.exp(ys - largest).sum(axis=-1))
    own = (xp.take_along_axis(ys, xp.where(known, targets, 0)[..., None], axis=-1) - largest)[..., 0]
    own = own * xp.where(known, 1, xp.nan).astype(ys.dtype)
    return (_weights(weights, targets) * (log_total - own)).sum()


def softmax_cross_entropy_grad(
    ys: Float[Any, "T B K"],
    targets: Int[Any, "T B"],
    weights: Float[Any, "T B"] | None = None,
) -> Float[Any, "T B K"]:
    """Differentiate `softmax_cross_entropy` by its outputs: dL/dy_tb = w_tb (softmax(y_tb) − onehot(target_tb)).

    Args:
        ys: (T, B, K), as for the loss.
        targets: (T, B), as for the loss.
        weights: (T, B) or None, as for the loss.

    Returns:
        dL/dys (T, B, K), in the floating-point type of `ys`.

    Raises:
        ValueError: as for the loss.
        TypeError: as for the loss.

    Example:
        >>> softmax_cross_entropy_grad(np.zeros((1, 1, 2)), np.array([[1]]))
        array([[[ 0.5, -0.5]]])

    Source: Goodfellow, Bengio, Courville (2016), Deep Learning, section 6.2.2.3.
    """
    _check_symbols("softmax_cross_entropy_grad", ys, targets, weights)
    ys, targets = _heard(ys, weights), _heard(targets, weights)
    d_ys = np.asarray(softmax(ys)) - np.eye(ys.shape[-1], dtype=ys.dtype)[targets]
    return d_ys * np.asarray(_weights(weights, targets), ys.dtype)[..., None]


def squared_error(
    ys: Float[Any, "T B K"],
    targets: Float[Any, "T B K"],
    weights: Float[Any, "T B"] | None = None,
) -> Float[Any, ""] | float:
    """Score real-valued outputs: L = Σ_{t,b} w_tb ½ ‖y_tb − target_tb‖².

    Args:
        ys: (T, B, K), outputs.
        targets: (T, B, K), what they should have been, in the same units.
        weights: (T, B), what each step counts; None for the mean over all steps.

    Returns:
        The loss, a scalar, in the square of the outputs' units.

    Raises:
        ValueError: shapes that disagree.
        TypeError: arrays that are not floating point.

    Example:
        >>> float(squared_error(np.ones((5, 2, 3)), np.zeros((5, 2, 3))))  # half of 1² + 1² + 1² at each step
        1.5

    Source: Bishop (2006), Pattern Recognition and Machine Learning, equation 5.11.
    """
    _check_values("squared_error", ys, targets, weights)
    errors = _heard(ys, weights) - _heard(targets, weights)
    return (_weights(weights, ys[..., 0]) * (errors**2).sum(axis=-1)).sum() / 2


def squared_error_grad(
    ys: Float[Any, "T B K"],
    targets: Float[Any, "T B K"],
    weights: Float[Any, "T B"] | None = None,
) -> Float[Any, "T B K"]:
    """Differentiate `squared_error` by its outputs: dL/dy_tb = w_tb (y_tb − target_tb).

    Args:
        ys: (T, B, K), as for the loss.
        targets: (T, B, K), as for the loss.
        weights: (T, B) or None, as for the loss.

    Returns:
        dL/dys (T, B, K), in the floating-point type of `ys`.

    Raises:
        ValueError: as for the loss.
        TypeError: as for the loss.

    Example:
        >>> squared_error_grad(np.ones((1, 2, 1)), np.zeros((1, 2, 1))).ravel()
        array([0.5, 0.5])

    Source: Bishop (2006), Pattern Recognition and Machine Learning, equation 5.18.
    """
    _check_values("squared_error_grad", ys, targets, weights)
    errors = _heard(ys, weights) - _heard(targets, weights)
    return errors * np.asarray(_weights(weights, ys[..., 0]), ys.dtype)[..., None]


def mean_over_steps(mask: Float[Any, "T B"] | Int[Any, "T B"] | Bool[Any, "T B"]) -> Float[Any, "T B"]:
    """Weigh all steps that count alike: w_tb = m_tb / Σ m. Long sequences have more to say than short ones.

    Args:
        mask: (T, B), 1 where a step counts, of NumPy or JAX.

    Returns:
        Weights (T, B) for a loss, which sum to one.

    Raises:
        ValueError: a mask of another shape than (T, B).
        TypeError: a mask that is not an array.

    Example:
        >>> mean_over_steps(np.array([[1, 1], [1, 0], [1, 0]])).tolist()
        [[0.25, 0.25], [0.25, 0.0], [0.25, 0.0]]

    Source: the definition; known as the micro average.
    """
    _check_mask("mean_over_steps", mask)
    return mask / mask.sum()


def mean_over_sequences(mask: Float[Any, "T B"] | Int[Any, "T B"] | Bool[Any, "T B"]) -> Float[Any, "T B"]:
    """Weigh all sequences alike: w_tb = m_tb / (N Σ_s m_sb), N the sequences with a step. The mean of each one's own mean.

    A column of zeros is no sequence. Argument, result and errors are else those of `mean_over_steps`.

    Example:
        >>> mean_over_sequences(np.array([[1, 1], [1, 0]])).tolist()
        [[0.25, 0.5], [0.25, 0.0]]

    Source: the definition; known as the macro average.
    """
    _check_mask("mean_over_sequences", mask)
    steps = mask.sum(axis=0, keepdims=True)
    own = mask / (steps + (steps == 0))  # each sequence's steps sum to one
    return own / (steps > 0).astype(own.dtype).sum()


def _largest(ys):
    """The largest output of each step, (..., 1): subtracted from all it changes no softmax, so it has no part in a derivative."""
    largest = ys.max(axis=-1, keepdims=True)
    if isinstance(ys, np.ndarray | np.generic):
        return largest
    from jax.lax import stop_gradient  # here, so that NumPy alone does not wait for JAX

    return stop_gradient(largest)


def _weights(weights, steps):
    """The weight of each step: the caller's, or one over the number of steps."""
    return 1 / steps.size if weights is None else weights


def _heard(array, weights):
    """The array (T, B) or (T, B, K) with zeros where the weight is 0."""
    if weights is None:
        return array
    heard = (weights != 0).reshape(*weights.shape, *[1] * (array.ndim - 2))
    xp = (weights if isinstance(array, np.ndarray) else array).__array_namespace__()
    return xp.where(heard, array, 0)


def _check_mask(where, mask):
    require_array(where, mask=mask)
    require_shape(where, "mask", mask, ("T", "B"), match="(time, batch)", hint="One sequence alone is mask[:, None].")


def _check_steps(where, ys, weights):
    require_floating(where, ys=ys)
    require_shape(where, "ys", ys, ("T", "B", "K"), match="(time, batch, outputs)", hint="Is an axis missing?")
    if weights is not None:
        require_array(where, weights=weights)
        hint = "Are time and batch swapped?"
        require_shape(where, "weights", weights, ys.shape[:2], match=f"to match ys {ys.shape}", hint=hint)


def _check_values(where, ys, targets, weights):
    _check_steps(where, ys, weights)
    require_floating(where, targets=targets)
    hint = "Are time and batch swapped?"
    require_shape(where, "targets", targets, ys.shape, match=f"to match ys {ys.shape}", hint=hint)


def _check_symbols(where, ys, targets, weights):
    _check_steps(where, ys, weights)
    require_array(where, targets=targets)
    hint = "Are time and batch swapped, or the targets one-hot already? Try targets.argmax(-1)."
    require_shape(where, "targets", targets, ys.shape[:2], match=f"to match ys {ys.shape}", hint=hint)
    if not np.issubdtype(targets.dtype, np.integer):
        raise TypeError(f"{where}: targets must be integers (symbols), got {targets.dtype}. Try targets.astype(int).")
    if _visible(targets) and _visible(weights):
        _require_known(where, np.asarray(targets), weights, ys.shape[-1])


def _visible(array):
    """Whether the values are there to be looked at, as they are not where JAX is tracing."""
    if array is None or isinstance(array, np.ndarray | np.generic):
        return True
    from jax.core import Tracer

    return not isinstance(array, Tracer)


def _require_known(where, targets, weights, K):
    unknown = (targets < 0) | (targets >= K)
    if weights is not None:
        unknown &= np.asarray(weights) != 0
    if unknown.any():
        t, b = (int(i) for i in np.argwhere(unknown)[0])
        hint = "Do the symbols count from 1, or has ys too few columns?"
        if targets[t, b] < 0:
            hint = "Is it padding? Give such steps weight 0: weights=mean_over_steps(targets >= 0)."
        got = f"{targets[t, b]} at targets[{t}, {b}]"
        raise ValueError(f"{where}: targets must lie in 0 ... {K - 1} for {K} outputs, got {got}. {hint}")
