"""Recurrent cells: their parameters, how these are drawn, and one step. Time lives elsewhere.

A cell is a NamedTuple of its parameters, which knows the parts of its step, each for a single sequence or a batch:

    drive(x)             what the input says, alone: it need not wait for the state, so all T steps can be done at once
    recur(state)         what the state says; linear in the state and in the parameters: all that has to wait its turn
    advance(p, state)    the new state, from p = drive(x) + recur(state), and what its derivative will ask for; elementwise, no parameters
    tangent(...)         the derivative of advance, linear in the small changes d_p and d_state
    readout(state)       the outputs y, which may wait until all states are there

and a field `h0`, the first state: an array (H,), or a pytree of them. `step` puts the parts together for any cell; `elman_step` is the
same, written out. All serve NumPy and JAX: they ask their arrays which library they belong to.
"""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from rnnlib.validation import is_floating, require_floating, require_shape, require_size


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
    weights, zeros = _drawing("init_elman", D, H, K, rng, gain, dtype)
    return ElmanParams(weights(D, H), weights(H, H), zeros(H), weights(H, K), zeros(K), zeros(H))


class LSTMState(NamedTuple):
    """What an LSTM hands from step to step."""

    h: Float[Any, " H"]  # what the gates and the readout see
    c: Float[Any, " H"]  # the cell: what is kept


class LSTMParams(NamedTuple):
    """The parameters of a long short-term memory with forget gate and without peepholes, in the order of torch.nn.LSTM.

    The columns of W_xh, W_hh and b_h are four blocks of H: input gate i, forget gate f, candidate g, output gate o.

    Source: Hochreiter and Schmidhuber (1997), Long short-term memory, Neural Computation 9; the forget gate: Gers, Schmidhuber, Cummins
    (2000), Learning to forget, Neural Computation 12.
    """

    W_xh: Float[Any, "D 4*H"]  # input to gates
    W_hh: Float[Any, "H 4*H"]  # hidden to gates: the recurrence
    b_h: Float[Any, " 4*H"]  # gate biases
    W_hy: Float[Any, "H K"]  # hidden to output
    b_y: Float[Any, " K"]  # output bias
    h0: LSTMState  # the state before the first step, h and c, trained like the rest

    def drive(self, x: Float[Any, "*batch D"]) -> Float[Any, "*batch P"]:
        """Return x W_xh + b_h."""
        return x @ self.W_xh + self.b_h

    def recur(self, state: LSTMState) -> Float[Any, "*batch P"]:
        """Return h W_hh."""
        return state.h @ self.W_hh

    @staticmethod
    def advance(p: Float[Any, "*batch P"], state: LSTMState) -> tuple[LSTMState, tuple]:
        """Return c' = f ⊙ c + i ⊙ g, h' = o ⊙ tanh(c'), where i, f, o are σ of their blocks of p, and g is tanh of its own."""
        tanh = p.__array_namespace__().tanh
        i, f, g, o = _blocks(p, 4)
        i, f, g, o = _sigmoid(i), _sigmoid(f), tanh(g), _sigmoid(o)
        c = f * state.c + i * g
        seen = tanh(c)
        return LSTMState(o * seen, c), (i, f, g, o, seen)

    @staticmethod
    def tangent(d_p, d_state, state, new_state, kept):
        """Return dc' = f dc + c df + g di + i dg: what c carries is scaled by the forget gate alone."""
        (i, f, g, o, seen), (d_i, d_f, d_g, d_o) = kept, _blocks(d_p, 4)
        d_c = f * d_state.c + state.c * f * (1 - f) * d_f + g * i * (1 - i) * d_i + i * (1 - g * g) * d_g
        return LSTMState(o * (1 - seen * seen) * d_c + seen * o * (1 - o) * d_o, d_c)

    def readout(self, state: LSTMState) -> Float[Any, "*batch K"]:
        """Return y = h W_hy + b_y."""
        return state.h @ self.W_hy + self.b_y


class GRUParams(NamedTuple):
    """The parameters of a gated recurrent unit whose reset gate comes after the product, as in cuDNN and torch.nn.GRU.

    There are two GRUs. In the paper's the reset gate picks what of the state enters the candidate, tanh(x W + (r ⊙ h) U); here it picks
    what comes out of it, tanh(x W + r ⊙ (h U + b)). The second needs one product a step where the first needs two in a row.
    The columns of W_xh and W_hh are three blocks of H: reset gate r, update gate z, candidate n.

    Source: Cho et al. (2014), Learning phrase representations using RNN encoder-decoder, arXiv 1406.1078, equations 5 to 8.
    """

    W_xh: Float[Any, "D 3*H"]  # input to gates
    W_hh: Float[Any, "H 3*H"]  # hidden to gates: the recurrence
    b_h: Float[Any, " 3*H"]  # gate biases
    b_n: Float[Any, " H"]  # the candidate's bias inside the reset gate
    W_hy: Float[Any, "H K"]  # hidden to output
    b_y: Float[Any, " K"]  # output bias
    h0: Float[Any, " H"]  # the state before the first step, trained like the rest

    def drive(self, x: Float[Any, "*batch D"]) -> Float[Any, "*batch P"]:
        """Return x W_xh + b_h, and b_n beside it."""
        p = x @ self.W_xh + self.b_h
        xp = p.__array_namespace__()
        return xp.concat([p, xp.broadcast_to(self.b_n, (*p.shape[:-1], self.b_n.size))], axis=-1)

    def recur(self, h: Float[Any, "*batch H"]) -> Float[Any, "*batch P"]:
        """Return h W_hh, its candidate beside the input's."""
        r, z, n = _blocks(h @ self.W_hh, 3)
        xp = n.__array_namespace__()
        return xp.concat([r, z, xp.zeros_like(n), n], axis=-1)

    @staticmethod
    def advance(p: Float[Any, "*batch P"], h: Float[Any, "*batch H"]) -> tuple[Float[Any, "*batch H"], tuple]:
        """Return h' = (1 − z) ⊙ n + z ⊙ h with n = tanh(n_x + r ⊙ n_h), where r and z are σ of their blocks of p."""
        r, z, n_x, n_h = _blocks(p, 4)
        r, z = _sigmoid(r), _sigmoid(z)
        n = p.__array_namespace__().tanh(n_x + r * n_h)
        return n + z * (h - n), (r, z, n, n_h)

    @staticmethod
    def tangent(d_p, d_h, h, new_h, kept):
        """Return dh' = z dh + (h − n) dz + (1 − z) dn."""
        (r, z, n, n_h), (d_r, d_z, d_x, d_n) = kept, _blocks(d_p, 4)
        d_n = (1 - n * n) * (d_x + r * d_n + n_h * r * (1 - r) * d_r)
        return z * d_h + (h - n) * z * (1 - z) * d_z + (1 - z) * d_n

    def readout(self, h: Float[Any, "*batch H"]) -> Float[Any, "*batch K"]:
        """Return y = h W_hy + b_y."""
        return h @ self.W_hy + self.b_y


def init_lstm(
    D: int,
    H: int,
    K: int,
    *,
    rng: np.random.Generator,
    gain: float = 1.0,
    forget_bias: float = 1.0,
    dtype: type = np.float64,
) -> LSTMParams:
    """Draw the parameters of an LSTM: weights ~ N(0, gain² / fan-in), the forget gate's bias as given, all else zero.

    Arguments, errors and the source of the weights are those of `init_elman`, and one more:

    Args:
        D: inputs a step.
        H: hidden units.
        K: outputs a step.
        rng: the source of randomness.
        gain: standard deviation of a gate's summed input when its inputs have variance one.
        forget_bias: 1 begins by keeping σ(1) = 73 % of the cell a step, 0 half of it.
        dtype: of all arrays.

    Example:
        >>> init_lstm(3, 16, 2, rng=np.random.default_rng(0)).W_hh.shape
        (16, 64)

    Source: the bias: Jozefowicz, Zaremba, Sutskever (2015), An empirical exploration of recurrent network architectures, section 2.2.
    """
    weights, zeros = _drawing("init_lstm", D, H, K, rng, gain, dtype)
    b_h = zeros(4 * H)
    b_h[H : 2 * H] = forget_bias
    return LSTMParams(weights(D, 4 * H), weights(H, 4 * H), b_h, weights(H, K), zeros(K), LSTMState(zeros(H), zeros(H)))


def init_gru(
    D: int, H: int, K: int, *, rng: np.random.Generator, gain: float = 1.0, dtype: type = np.float64
) -> GRUParams:
    """Draw the parameters of a GRU: weights ~ N(0, gain² / fan-in), biases and h0 zero; as `init_elman`, whose arguments and errors it has.

    Example:
        >>> init_gru(3, 16, 2, rng=np.random.default_rng(0)).W_hh.shape
        (16, 48)

    Source: as for `init_elman`.
    """
    weights, zeros = _drawing("init_gru", D, H, K, rng, gain, dtype)
    return GRUParams(weights(D, 3 * H), weights(H, 3 * H), zeros(3 * H), zeros(H), weights(H, K), zeros(K), zeros(H))


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


def step(params: Any, x: Float[Any, "*batch D"], state: Any) -> tuple[Float[Any, "*batch K"], Any]:
    """Take one step of any cell: s' from advance(drive(x) + recur(s), s), y = readout(s').

    Args:
        params: the parameters of a cell of this module.
        x: (D,), this step's inputs; or (B, D).
        state: the state that the step before left behind, such as (H,); or (B, H).

    Returns:
        `(y, s')`: outputs (K,) or (B, K), and the new state, of the shape of the old one.

    Example:
        >>> params = init_elman(3, 16, 2, rng=np.random.default_rng(0))
        >>> bool(np.allclose(step(params, np.ones(3), np.zeros(16))[0], elman_step(params, np.ones(3), np.zeros(16))[0]))
        True

    Source: `elman_step`, taken apart.
    """
    state, _ = params.advance(params.drive(x) + params.recur(state), state)
    return params.readout(state), state


def _drawing(where, D, H, K, rng, gain, dtype):
    """Functions that draw weights and make zeros, once the arguments are known to be good."""
    for name, size in {"D": D, "H": H, "K": K}.items():
        require_size(where, name, size, hint="The order is (D, H, K).")
    if not isinstance(rng, np.random.Generator):
        raise TypeError(
            f"{where}: rng must be a np.random.Generator, got {type(rng).__name__}. Try np.random.default_rng(0)."
        )
    if not is_floating(dtype):
        raise TypeError(f"{where}: dtype must be a floating-point type, got {dtype}. Try np.float64.")

    def weights(fan_in, fan_out):
        return (rng.standard_normal((fan_in, fan_out)) * gain / np.sqrt(fan_in)).astype(dtype)

    return weights, lambda size: np.zeros(size, dtype)


def _blocks(p, count):
    """(..., count · H) to count arrays (..., H)."""
    H = p.shape[-1] // count
    return (p[..., k * H : (k + 1) * H] for k in range(count))


def _sigmoid(p):
    """σ(p) = 1 / (1 + exp(−p)), in a form that does not overflow."""
    return 0.5 + 0.5 * p.__array_namespace__().tanh(0.5 * p)
