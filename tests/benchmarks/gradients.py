"""How right are the gradients, and who is called wrong? Drawn nets in float64: python -m tests.benchmarks.gradients NETS."""

import itertools
import json
import sys

import jax
import jax.numpy as jnp
import numpy as np

from rnnlib import bptt, cells, clinic, gradcheck, unroll
from rnnlib.clinic.catalogue import GATED

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_disable_most_optimizations", True)  # each shape is compiled and runs once
BOUNDS = {"T": 7, "B": 4, "D": 4, "H": 5, "K": 3}
CELLS = {"Elman": cells.init_elman, "LSTM": cells.init_lstm, "GRU": cells.init_gru}


def drawn(seed, init=cells.init_elman, longest=BOUNDS["T"]):
    """A small net with nothing zero, its inputs and the errors at its outputs; T = 1 and B = 1 included."""
    rng = np.random.default_rng(seed)
    T, B, D, H, K = (int(rng.integers(1, most + 1)) for most in (BOUNDS | {"T": longest}).values())
    params = jax.tree.map(lambda p: p + 0.3 * rng.standard_normal(p.shape), init(D, H, K, rng=rng))
    return params, rng.standard_normal((T, B, D)), rng.standard_normal((T, B, K))


def worst(pairs):
    """The largest relative error of a parameter's gradient, over all pairs of gradients."""
    return max(row.relative for a, b in pairs for row in gradcheck.compare(a, b).rows)


def by_hand(params, xs, d_ys):
    return bptt.backward(params, bptt.forward(params, xs), d_ys)


def through(run, params, xs, d_ys):
    """What JAX finds through `run`, for the loss Σ d_ys · y."""
    gradient = jax.jit(jax.grad(lambda params, xs, d_ys: (run(params, xs)[0] * d_ys).sum()))
    found = jax.tree.map(np.asarray, gradient(jax.tree.map(jnp.asarray, params), xs, d_ys))
    jax.clear_caches()  # no shape comes again
    return found


def by_differences(params, xs, d_ys):
    return gradcheck.finite_differences(lambda params: (bptt.forward(params, xs).ys * d_ys).sum(), params)


def agreement(nets):
    """Each way of taking a gradient beside another: the largest relative error."""
    elman = [drawn(seed) for seed in range(nets)]
    loop = [through(unroll.unroll_loop, *net) for net in elman]
    ours = [by_hand(*net) for net in elman]
    found = {
        "by hand (bptt.backward), with jax.grad of a Python loop": worst(zip(ours, loop, strict=True)),
        "by hand, with finite differences": worst(
            (a, by_differences(*net)) for a, net in zip(ours, elman, strict=True)
        ),
    }
    for name, init in CELLS.items():
        some = [drawn(seed, init) for seed in range(nets // 5)]
        pairs = ((through(unroll.unroll_scan, *net), through(unroll.unroll_loop, *net)) for net in some)
        found[f"{name}: unroll_scan's own derivative, with jax.grad of a Python loop"] = worst(pairs)
    return found


def alarms(nets):
    """How many right gradients `diagnose` calls wrong: of all cells, with a carried state or without, over scales, in both precisions."""
    verdicts = []
    for seed, dtype in itertools.product(range(10 * nets), (np.float32, np.float64)):
        params, xs, d_ys = drawn(seed, longest=30)
        scale = 10.0 ** (seed % 5 * 75 - 150) if dtype == np.float64 else 1.0
        net = [cells.ElmanParams(*(p.astype(dtype) for p in params)), xs.astype(dtype), (d_ys * scale).astype(dtype)]
        rng = np.random.default_rng(seed)
        state = rng.standard_normal((xs.shape[1], params.h0.size)).astype(dtype) if seed % 2 else None
        grads = bptt.backward_per_step(net[0], bptt.forward_per_step(*net[:2], state), net[2])
        verdicts.append(clinic.diagnose(grads, *net, state=state).verdict)
    for seed, init in itertools.product(range(7 * nets), (cells.init_lstm, cells.init_gru)):
        net = drawn(seed, init)
        verdicts.append(clinic.diagnose(through(unroll.unroll_loop, *net), *net).verdict)
    return {"drawn": len(verdicts), "called wrong": sum(verdict != "correct" for verdict in verdicts)}


def named(count):
    """How many sets of so many mistakes of the catalogue are named, all and no other: in an Elman net and, with gates, in an LSTM."""
    rng, names = np.random.default_rng(0), [name for name in clinic.CATALOGUE if name not in GATED]
    xs, d_ys = np.eye(7)[rng.integers(0, 7, (6, 4))], rng.standard_normal((6, 4, 5))  # symbols that come again; H = K
    nudge = lambda p: p + 0.3 * rng.standard_normal(p.shape)  # noqa: E731
    elman, lstm = (jax.tree.map(nudge, CELLS[cell](7, 5, 5, rng=rng)) for cell in ("Elman", "LSTM"))
    sets = [(elman, some) for some in itertools.combinations(names, count)]
    sets += [(lstm, some) for some in itertools.combinations(filter(GATED.__contains__, clinic.CATALOGUE), count)]
    hits = sum(clinic.diagnose(clinic.wrong_gradient(s, p, xs, d_ys), p, xs, d_ys).names == s for p, s in sets)
    return {"made": len(sets), "named": hits}


def main(nets):
    row = {"nets": nets, "agreement": agreement(nets), "alarms": alarms(nets)}
    print(json.dumps(row | {"one mistake": named(1), "two mistakes": named(2)}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
