"""The gated recurrent unit: its parameters and how they are drawn."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from rnnlib.cells.gates import blocks, sigmoid
from rnnlib.cells.initialise import drawing


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
        r, z, n = blocks(h @ self.W_hh, 3)
        xp = n.__array_namespace__()
        return xp.concat([r, z, xp.zeros_like(n), n], axis=-1)

    @staticmethod
    def advance(p: Float[Any, "*batch P"], h: Float[Any, "*batch H"]) -> tuple[Float[Any, "*batch H"], tuple]:
        """Return h' = (1 − z) ⊙ n + z ⊙ h with n = tanh(n_x + r ⊙ n_h), where r and z are σ of their blocks of p."""
        r, z, n_x, n_h = blocks(p, 4)
        r, z = sigmoid(r), sigmoid(z)
        n = p.__array_namespace__().tanh(n_x + r * n_h)
        return n + z * (h - n), (r, z, n, n_h)

    @staticmethod
    def tangent(d_p, d_h, h, new_h, kept):
        """Return dh' = z dh + (h − n) dz + (1 − z) dn."""
        (r, z, n, n_h), (d_r, d_z, d_x, d_n) = kept, blocks(d_p, 4)
        d_n = (1 - n * n) * (d_x + r * d_n + n_h * r * (1 - r) * d_r)
        return z * d_h + (h - n) * z * (1 - z) * d_z + (1 - z) * d_n

    def readout(self, h: Float[Any, "*batch H"]) -> Float[Any, "*batch K"]:
        """Return y = h W_hy + b_y."""
        return h @ self.W_hy + self.b_y


def init_gru(
    D: int, H: int, K: int, *, rng: np.random.Generator, gain: float = 1.0, dtype: type = np.float64
) -> GRUParams:
    """Draw the parameters of a GRU: weights ~ N(0, gain² / fan-in), biases and h0 zero; as `init_elman`, whose arguments and errors it has.

    Example:
        >>> init_gru(3, 16, 2, rng=np.random.default_rng(0)).W_hh.shape
        (16, 48)

    Source: as for `init_elman`.
    """
    weights, zeros = drawing("init_gru", D, H, K, rng, gain, dtype)
    return GRUParams(weights(D, 3 * H), weights(H, 3 * H), zeros(3 * H), zeros(H), weights(H, K), zeros(K), zeros(H))
