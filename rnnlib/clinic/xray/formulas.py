"""The derivatives of an LSTM's and a GRU's gates, factor by factor, and what people write in place of each factor."""

import numpy as np

from rnnlib.cells import GRUParams, LSTMParams
from rnnlib.clinic.xray.parts import Part
from rnnlib.clinic.xray.reference import Run


def lstm(params: LSTMParams, trace: Run) -> dict[str, list[Part]]:
    """List the factors from dh to each gate's error: δ_o = dh tanh(c) σ', and from dc = dh o (1 − tanh(c)²) the three others.

    Args:
        params: the parameters.
        trace: the forward pass.

    Returns:
        By gate, i, f, g, o, its factors, arrays (T, B, H); of i, f and g the first two lead from dh to dc.

    Source: the transpose of `LSTMParams.tangent`.
    """
    i, f, g, o, seen = (np.stack(array) for array in zip(*trace.kept, strict=True))
    hs, cs = trace.hs, np.stack([state[1] for state in trace.states])
    c, one = cs[1:], np.ones_like(i)
    bend = {
        "1 − tanh(c)²": 1 - seen**2,
        "1 − tanh(tanh(c))² (a tanh of a tanh)": 1 - np.tanh(seen) ** 2,
        "1 (no slope)": one,
        "1 − c²": 1 - c**2,
        "1 − tanh(c)": 1 - seen,
        "tanh(c)": seen,
        "1 − h²": 1 - hs[1:] ** 2,
        "1 − exp(tanh(c))": 1 - np.exp(seen),
    }
    path = [Part("", {"o": o, "1": one, "tanh(c)": seen}), Part("", bend)]
    before = {
        "c_{t−1}": cs[:-1],
        "c_t": c,
        "h_{t−1}": hs[:-1],
        "tanh(c_{t−1})": np.tanh(cs[:-1]),
        "1": one,
        "i": i,
        "g": g,
    }
    return {
        "i": [
            *path,
            Part("", {"g": g, "tanh(g)": np.tanh(g), "c_{t−1}": cs[:-1], "c_t": c, "1": one, "i": i}),
            _sigmoid("i", i),
        ],
        "f": [*path, Part("", before), _sigmoid("f", f)],
        "g": [*path, Part("", {"i": i, "f": f, "g": g, "1": one, "1 − f": 1 - f}), _tanh("g", g)],
        "o": [
            Part("", {"tanh(c)": seen, "c": c, "tanh(tanh(c))": np.tanh(seen), "h": hs[1:], "1": one}),
            _sigmoid("o", o),
        ],
    }


def gru(params: GRUParams, trace: Run) -> dict[str, list[Part]]:
    """List the factors from dh to each gate's error: δ_z = dh (h_{t−1} − n) σ', δ_n = dh (1 − z) tanh', δ_r = δ_n n_h σ'.

    Args:
        params: the parameters.
        trace: the forward pass.

    Returns:
        By gate, r, z, n, its factors, arrays (T, B, H).

    Source: the transpose of `GRUParams.tangent`.
    """
    r, z, n, n_h = (np.stack(array) for array in zip(*trace.kept, strict=True))
    h, one, H = trace.hs[:-1], np.ones_like(r), r.shape[-1]
    bare = h @ params.W_hh[:, -H:]
    lets = {"1 − z": 1 - z, "z": z, "1": one}
    heard = {"h_{t−1} W_n + b_n": n_h, "h_{t−1} W_n (without b_n)": bare, "h_{t−1}": h, "n": n, "1": one}
    gap = {"h_{t−1} − n": h - n, "n − h_{t−1}": n - h, "h_{t−1}": h, "n": n, "h_t − n": trace.hs[1:] - n, "1": one}
    return {
        "r": [Part("", lets), _tanh("n", n), Part("", heard), _sigmoid("r", r)],
        "z": [Part("", gap), _sigmoid("z", z)],
        "n": [Part("", lets), _tanh("n", n)],
    }


def _sigmoid(name, v):
    s = 1 / (1 + np.exp(-v))
    return Part(
        "",
        {
            f"{name} (1 − {name})": v * (1 - v),
            f"{name} (σ itself, not its derivative)": v,
            f"σ({name}) (1 − σ({name})) (a σ of a σ)": s * (1 - s),
            f"σ({name}) (σ itself, not its derivative)": s,
            "1 (no slope)": np.ones_like(v),
            f"1 − {name}²": 1 - v**2,
            f"1 − {name}": 1 - v,
        },
    )


def _tanh(name, v):
    return Part(
        "",
        {
            f"1 − {name}²": 1 - v**2,
            f"1 − tanh({name})² (a tanh of a tanh)": 1 - np.tanh(v) ** 2,
            "1 (no slope)": np.ones_like(v),
            f"{name} (1 − {name})": v * (1 - v),
            f"{name} (tanh itself, not its derivative)": v,
            f"1 − {name}": 1 - v,
            f"1 + {name}²": 1 + v**2,
        },
    )
