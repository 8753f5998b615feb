"""The Elman net: its parameters, how they are drawn and checked, and its step written out."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from rnnlib.cells.initialise import drawing
from rnnlib.validation import require_floating, require_shape


class ElmanParams(NamedTuple):
    """The parameters of an Elman net, or anything of their shape: a gradient, a velocity, a difference.

    A NamedTuple of arrays is a pytree already: JAX can differentiate with respect to it as it is.

    Source: Elman (1990), Finding structure in time, Cognitive Science 14, figure 2.
    """

    W_xh: Float[Any, "D H"]  # input to hidden
    W_hh: Float[Any, "H H"]  # hidden to hidden: the recurrence
    b_h: Float[Any, " H"]  # hidden bias
    W_hy: Float[Any, "H K"]  # hidden to output
    b_y: Float[Any, " K"]  # output bias
    h0: Float[Any, " H"]  # the state before the first step, trained like the rest

    def drive(self, x: Float[Any, "*batch D"]) -> Float[Any, "*batch H"]:
        """Return x W_xh + b_h."""
        return x @ self.W_xh + self.b_h

    def recur(self, h: Float[Any, "*batch H"]) -> Float[Any, "*batch H"]:
        """Return h W_hh."""
        return h @ self.W_hh

    @staticmethod
    def advance(p: Float[Any, "*batch H"], h: Float[Any, "*batch H"]) -> tuple[Float[Any, "*batch H"], None]:
        """Return h' = tanh(p)."""
        return p.__array_namespace__().tanh(p), None

    @staticmethod
    def tangent(d_p, d_h, h, new_h, kept):
        """Return dh' = (1 − h'²) dp."""
        return (1 - new_h * new_h) * d_p

    def readout(self, h: Float[Any, "*batch H"]) -> Float[Any, "*batch K"]:
        """Return y = h W_hy + b_y."""
        return h @ self.W_hy + self.b_y


def init_elman(
    D: int, H: int, K: int, *, rng: np.random.Generator, gain: float = 1.0, dtype: type = np.float64
) -> ElmanParams:
    """Draw the parameters of an Elman net: weights ~ N(0, gain² / fan-in), biases and h0 zero.

    Args:
        D: inputs a step.
        H: hidden units.
        K: outputs a step.
        rng: the source of randomness.
        gain: standard deviation of a unit's summed input when its inputs have variance one. Near 1 the recurrent
            matrix has a spectral radius near 1.
        dtype: np.float64 to check gradients, np.float32 to train in half the time.

    Returns:
        `ElmanParams` of NumPy arrays.

    Raises:
        ValueError: a size below 1.
        TypeError: a size that is not whole, a seed in place of a generator, a dtype that is not floating point.

    Example:
        >>> init_elman(3, 16, 2, rng=np.random.default_rng(0)).W_hh.shape
        (16, 16)

    Source: LeCun, Bottou, Orr, Müller (1998), Efficient BackProp, section 4.6.
    """
    weights, zeros = drawing("init_elman", D, H, K, rng, gain, dtype)
    return ElmanParams(weights(D, H), weights(H, H), zeros(H), weights(H, K), zeros(K), zeros(H))


def check_elman(where: str, params: ElmanParams) -> None:
    """Raise unless the six arrays are floating point and fit together.

    Args:
        where: the function that asks, named at the start of the message.
        params: the parameters.

    Raises:
        ValueError: shapes that disagree.
        TypeError: something else than `ElmanParams` of floating-point arrays.

    Example:
        >>> check_elman("forward", init_elman(3, 16, 2, rng=np.random.default_rng(0)))
    """
    if not isinstance(params, ElmanParams):
        hint = "Try init_elman(D, H, K, rng=rng)."
        raise TypeError(f"{where}: params must be ElmanParams, got {type(params).__name__}. {hint}")
    require_floating(where, **params._asdict())
    require_shape(where, "W_xh", params.W_xh, ("D", "H"), match="(inputs, hidden units)", hint="Is an axis missing?")
    (D, H), K = params.W_xh.shape, params.b_y.size
    shapes = ElmanParams((D, H), (H, H), (H,), (H, K), (K,), (H,))
    for name, shape in shapes._asdict().items():
        hint = "The order of sizes is init_elman(D, H, K)."
        require_shape(where, name, getattr(params, name), shape, match=f"to match W_xh ({D}, {H})", hint=hint)


def elman_step(
    params: ElmanParams, x: Float[Any, "*batch D"], h: Float[Any, "*batch H"]
) -> tuple[Float[Any, "*batch K"], Float[Any, "*batch H"]]:
    """Take one step: h' = tanh(x W_xh + h W_hh + b_h), y = h' W_hy + b_y.

    Args:
        params: the parameters, of NumPy or JAX arrays.
        x: (B, D), this step's inputs; or (D,), those of a single sequence, as under `jax.vmap`.
        h: (B, H) or (H,), the state that the step before left behind.

    Returns:
        `(y, h')`: outputs (B, K) or (K,), and the new state, of the shape of `h`.

    Example:
        >>> params = init_elman(3, 16, 2, rng=np.random.default_rng(0))
        >>> y, h = elman_step(params, np.ones((5, 3)), np.zeros((5, 16)))
        >>> y.shape, h.shape
        ((5, 2), (5, 16))

    Source: Elman (1990), figure 2; in the notation of Pascanu, Mikolov, Bengio (2013), equation 2, tanh taken last.
    """
    a = x @ params.W_xh + h @ params.W_hh + params.b_h  # (B, H), the pre-activation
    h = a.__array_namespace__().tanh(a)
    return h @ params.W_hy + params.b_y, h
