"""The long short-term memory: its two states, its parameters and how they are drawn."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from rnnlib.cells.gates import blocks, sigmoid
from rnnlib.cells.initialise import drawing


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
        i, f, g, o = blocks(p, 4)
        i, f, g, o = sigmoid(i), sigmoid(f), tanh(g), sigmoid(o)
        c = f * state.c + i * g
        seen = tanh(c)
        return LSTMState(o * seen, c), (i, f, g, o, seen)

    @staticmethod
    def tangent(d_p, d_state, state, new_state, kept):
        """Return dc' = f dc + c df + g di + i dg: what c carries is scaled by the forget gate alone."""
        (i, f, g, o, seen), (d_i, d_f, d_g, d_o) = kept, blocks(d_p, 4)
        d_c = f * d_state.c + state.c * f * (1 - f) * d_f + g * i * (1 - i) * d_i + i * (1 - g * g) * d_g
        return LSTMState(o * (1 - seen * seen) * d_c + seen * o * (1 - o) * d_o, d_c)

    def readout(self, state: LSTMState) -> Float[Any, "*batch K"]:
        """Return y = h W_hy + b_y."""
        return state.h @ self.W_hy + self.b_y


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
    weights, zeros = drawing("init_lstm", D, H, K, rng, gain, dtype)
    b_h = zeros(4 * H)
    b_h[H : 2 * H] = forget_bias
    return LSTMParams(weights(D, 4 * H), weights(H, 4 * H), b_h, weights(H, K), zeros(K), LSTMState(zeros(H), zeros(H)))
