"""What the libraries' recurrent layers have in common: a matrix for the input, one for the state, a bias at both, at one or at none."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from rnnlib.cells import ElmanParams, GRUParams, LSTMParams, LSTMState

GATES = {ElmanParams: 1, LSTMParams: 4, GRUParams: 3}
NAMES = {ElmanParams: "an Elman net (tanh)", LSTMParams: "an LSTM", GRUParams: "a GRU"}


class Weights(NamedTuple):
    """A recurrent layer and its readout, as (inputs, outputs), the gates in the order of `cells`; None for a bias that is not there."""

    cell: type  # ElmanParams, LSTMParams or GRUParams
    W_x: Float[np.ndarray, "D P"]
    W_h: Float[np.ndarray, "H P"]
    b_x: Float[np.ndarray, " P"] | None
    b_h: Float[np.ndarray, " P"] | None
    W_y: Float[np.ndarray, "H K"]
    b_y: Float[np.ndarray, " K"] | None
    h0: tuple = ()  # arrays (H,): (h,) or (h, c); empty where there is none

    @property
    def sizes(self) -> tuple[int, int, int]:
        """D, H and K."""
        return len(self.W_x), *self.W_y.shape


def check(where: str, weights: Weights) -> Weights:
    """Raise unless the shapes make a net; return it.

    Raises:
        ValueError: shapes that disagree.
    """
    (D, H, K), gates = weights.sizes, GATES[weights.cell]
    wanted = {"W_x": (D, gates * H), "W_h": (H, gates * H), "b_x": (gates * H,), "b_h": (gates * H,), "b_y": (K,)}
    for name, shape in wanted.items():
        array = getattr(weights, name)
        if array is not None and array.shape != shape:
            known = f"to match {NAMES[weights.cell]} with D = {D}, H = {H}, K = {K}"
            raise ValueError(
                f"{where}: {name} must have shape {shape} {known}, got {array.shape}. Does the readout read another layer?"
            )
    return weights


def from_weights(weights: Weights) -> ElmanParams | LSTMParams | GRUParams:
    """Return the parameters in our form: two biases are added up, but for that of a GRU's candidate inside the reset gate."""
    b_x, b_h = (_or_zeros(b, weights.W_h) for b in (weights.b_x, weights.b_h))
    return _assembled(weights, b_x + b_h, b_h, b_x)


def gradient_of(weights: Weights) -> ElmanParams | LSTMParams | GRUParams:
    """Return gradients in our form: of b = b_x + b_h both summands have the gradient of the sum, so either one is it."""
    given = weights.b_x if weights.b_x is not None else weights.b_h
    b = _or_zeros(given, weights.W_h)
    return _assembled(weights, b, _or_zeros(weights.b_h, weights.W_h), b)


def _assembled(weights, both, b_h, b_x):
    """Put it together; of a GRU's candidate the two biases stay apart."""
    H, zero = len(weights.W_h), np.zeros(len(weights.W_h), weights.W_h.dtype)
    h0 = weights.h0 or ((zero, zero) if weights.cell is LSTMParams else (zero,))
    b_y = weights.b_y if weights.b_y is not None else np.zeros(weights.W_y.shape[1], weights.W_y.dtype)
    if weights.cell is GRUParams:
        b = np.concatenate([both[: 2 * H], b_x[2 * H :]])
        return GRUParams(weights.W_x, weights.W_h, b, b_h[2 * H :], weights.W_y, b_y, h0[0])
    first = LSTMState(*h0) if weights.cell is LSTMParams else h0[0]
    return weights.cell(weights.W_x, weights.W_h, both, weights.W_y, b_y, first)


def to_weights(params: ElmanParams | LSTMParams | GRUParams, like: Weights) -> Weights:
    """Return our parameters in the form of a net that was read, its biases where it has them.

    Args:
        params: of a cell.
        like: what was read from the net.

    Returns:
        The `Weights`.

    Raises:
        ValueError: another cell, other sizes, a bias that the net has no place for.
    """
    if type(params) is not like.cell:
        raise ValueError(
            f"adapters.into: params must be {like.cell.__name__}, as the net is, got {type(params).__name__}."
        )
    shapes = params.W_xh.shape[0], *params.W_hy.shape
    if shapes != like.sizes:
        raise ValueError(f"adapters.into: params must have D, H, K = {like.sizes}, as the net has, got {shapes}.")
    b_x = np.array(params.b_h)
    b_h = np.zeros_like(b_x)
    if isinstance(params, GRUParams):
        b_h[-len(params.b_n) :] = params.b_n
    if like.b_x is None:
        b_x, b_h = None, b_x + b_h if like.cell is not GRUParams else b_h
    homeless = {"b_n" if like.cell is GRUParams else "b_h": b_h if like.b_h is None else None}
    homeless |= {"b_h": params.b_h if like.b_x is None and (like.b_h is None or like.cell is GRUParams) else None}
    homeless |= {"b_y": params.b_y if like.b_y is None else None}
    for name, bias in homeless.items():
        if bias is not None and np.any(bias):
            raise ValueError(
                f"adapters.into: the net has no place for {name}, which is not zero. Try bias=True, or set it to 0."
            )
    return like._replace(
        W_x=params.W_xh,
        W_h=params.W_hh,
        b_x=b_x,
        b_h=None if like.b_h is None else b_h,
        W_y=params.W_hy,
        b_y=None if like.b_y is None else params.b_y,
        h0=tuple(map(np.asarray, leaves(params.h0))) if like.h0 else (),
    )


def leaves(state: Any) -> tuple:
    """Return a state as a tuple of arrays, (h,) or (h, c)."""
    return tuple(state) if isinstance(state, tuple) else (state,)


def _or_zeros(bias, W_h):
    return np.zeros(W_h.shape[1], W_h.dtype) if bias is None else bias


def blocks(array: np.ndarray, order: str, wanted: str) -> np.ndarray:
    """Put gates, blocks of the last axis, from one order into another.

    Example:
        >>> blocks(np.array([1, 2, 3]), "zrn", "rzn").tolist()
        [2, 1, 3]
    """
    parts = dict(zip(order, np.split(array, len(order), axis=-1), strict=True))
    return np.concatenate([parts[letter] for letter in wanted], axis=-1)
