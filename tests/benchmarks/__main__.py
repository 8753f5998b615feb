"""One training step of the NumPy Elman net, products hoisted out of the time loop against one product a step: `make bench`.

Both ways run side by side in one process, pinned to one thread, in float32; the table gives medians of interleaved repetitions.
"""

import json
import os
import platform
import statistics
import time
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")  # before NumPy is imported

import numpy as np

from rnnlib import bptt
from rnnlib.cells import ElmanParams, init_elman

SIZES = [(32, 1, 50, 32), (100, 32, 100, 100), (256, 32, 200, 64), (512, 64, 100, 128)]  # H, B, T, D = K
RESULTS = Path("build/benchmarks/numpy_step.json")


def hoisted(params, xs, d_ys):
    """Forward and backward as rnnlib does them."""
    return bptt.backward(params, bptt.forward(params, xs), d_ys)


def per_step(params, xs, d_ys):
    """Forward and backward with every product inside the loop over time."""
    tape = bptt.forward_per_step(params, xs)
    g = ElmanParams(*(np.zeros_like(p) for p in params))
    carried = np.zeros_like(tape.hs[0])
    for t in reversed(range(len(xs))):
        delta = (d_ys[t] @ params.W_hy.T + carried) * (1 - tape.hs[t + 1] ** 2)
        carried = delta @ params.W_hh.T
        terms = (xs[t].T @ delta, tape.hs[t].T @ delta, delta.sum(0), tape.hs[t + 1].T @ d_ys[t], d_ys[t].sum(0))
        for total, term in zip(g, terms, strict=False):  # all but h0
            total += term
    g.h0[:] = carried.sum(0)
    return g


def milliseconds(function, *args):
    begin = time.perf_counter()
    function(*args)
    return 1e3 * (time.perf_counter() - begin)


def measure(size, seconds=4.0):
    """Medians in milliseconds of both ways at one size, repetitions taking turns until the time is up."""
    H, B, T, D = size
    rng = np.random.default_rng(0)
    xs, d_ys = (rng.standard_normal((T, B, D)).astype(np.float32) for _ in range(2))
    data = init_elman(D, H, D, rng=rng, gain=0.5, dtype=np.float32), xs, d_ys
    ways = {"per step": per_step, "hoisted": hoisted}
    for a, b in zip(*(way(*data) for way in ways.values()), strict=True):  # the same gradient, and both ways warm
        np.testing.assert_allclose(a, b, rtol=1e-2, atol=1e-3 * np.abs(b).max())
    times = {name: [] for name in ways}
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times["hoisted"]) < 5:
        for name, way in ways.items():
            times[name].append(milliseconds(way, *data))
    return {name: statistics.median(values) for name, values in times.items()}


def main():
    rows = {size: measure(size) for size in SIZES}
    print(
        f"NumPy {np.__version__}, {platform.processor() or platform.machine()}, one thread, float32; milliseconds a step, medians"
    )
    print(f"{'H, B, T, D=K':>18}  {'per step':>9}  {'hoisted':>9}  ratio")
    for size, row in rows.items():
        print(
            f"{', '.join(map(str, size)):>18}  {row['per step']:9.3f}  {row['hoisted']:9.3f}  {row['hoisted'] / row['per step']:.2f}"
        )
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(
        json.dumps([{"H": s[0], "B": s[1], "T": s[2], "D": s[3], **row} for s, row in rows.items()], indent=1)
    )
    print(f"written to {RESULTS}")


if __name__ == "__main__":
    main()
