"""What hypothesis draws for the tests: small Elman nets with data, T = 1 and B = 1 included."""

from typing import NamedTuple

import hypothesis.strategies as st
import numpy as np

from rnnlib.cells import ElmanParams, init_elman


class Problem(NamedTuple):
    params: ElmanParams
    xs: np.ndarray  # (T, B, D)
    d_ys: np.ndarray  # (T, B, K)


def problem(T, B, D, H, K, seed=0, *, gain=1.0, dtype=np.float64):
    """A net whose biases and h0 are not zero, so that no term can hide."""
    rng = np.random.default_rng(seed)
    params = init_elman(D, H, K, rng=rng, gain=gain)
    params = ElmanParams(*((p + 0.3 * rng.standard_normal(p.shape)).astype(dtype) for p in params))
    return Problem(params, *(rng.standard_normal((T, B, n)).astype(dtype) for n in (D, K)))


def problems(*, T=(1, 7), B=(1, 4), D=(1, 4), H=(1, 5), K=(1, 3)):
    return st.builds(problem, *(st.integers(*bounds) for bounds in (T, B, D, H, K)), st.integers(0, 2**16))
