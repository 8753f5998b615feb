"""Recurrent cells: their parameters, how these are drawn, and one step. Time lives elsewhere.

A cell is a NamedTuple of its parameters, which knows the parts of its step, each for a single sequence or a batch:

    drive(x)             what the input says, alone: it need not wait for the state, so all T steps can be done at once
    recur(state)         what the state says; linear in the state and in the parameters: all that has to wait its turn
    advance(p, state)    the new state, from p = drive(x) + recur(state), and what its derivative will ask for; elementwise, no parameters
    tangent(...)         the derivative of advance, linear in the small changes d_p and d_state
    readout(state)       the outputs y, which may wait until all states are there

and a field `h0`, the first state: an array (H,), or a pytree of them. `step` puts the parts together for any cell; `elman_step` is the
same, written out. All serve NumPy and JAX: they ask their arrays which library they belong to.

elman        the Elman net, and its step written out
lstm         the long short-term memory
gru          the gated recurrent unit
parts        `step`, for any cell
gates        what gated cells compute with
initialise   how weights are drawn
"""

from rnnlib.cells.elman import ElmanParams, check_elman, elman_step, init_elman
from rnnlib.cells.gru import GRUParams, init_gru
from rnnlib.cells.lstm import LSTMParams, LSTMState, init_lstm
from rnnlib.cells.parts import step

__all__ = [
    "ElmanParams",
    "GRUParams",
    "LSTMParams",
    "LSTMState",
    "check_elman",
    "elman_step",
    "init_elman",
    "init_gru",
    "init_lstm",
    "step",
]
