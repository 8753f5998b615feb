"""Time one training step in every way of `ways.py`, taking turns in one process: python -m tests.benchmarks.steps CASE SECONDS."""

import json
import statistics
import sys
import time

import numpy as np

from tests.benchmarks.ways import CASES, task


def prepare(ways, init, size):
    """The steps of all ways that are installed, warm and checked, and why the others are missing."""
    steps, missing, first = {}, {}, None
    for name, way in ways.items():
        try:
            step = way(task(*size, init))
        except ImportError as error:
            missing[name] = f"not installed ({error.name})"
            continue
        trained = step(), step(), step()
        first = first or trained
        np.testing.assert_allclose(trained, first, rtol=1e-4, err_msg=f"{name} trains something else at {size}")
        steps[name] = step
    return steps, missing


def milliseconds(step, repeat):
    begin = time.perf_counter()
    for _ in range(repeat):
        step()
    return 1e3 * (time.perf_counter() - begin) / repeat


def take_turns(steps, seconds):
    """Median milliseconds of each step."""
    repeat = {name: max(1, round(20 / milliseconds(step, 1))) for name, step in steps.items()}  # about 20 ms at once
    times = {name: [] for name in steps}
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times["rnnlib"]) < 7:
        for name, step in steps.items():
            times[name].append(milliseconds(step, repeat[name]))
    return {name: statistics.median(values) for name, values in times.items()}


def multiplications(H, B, T, D, P):
    """Floating-point operations of a step's products: forward, weight gradients, errors (none for the inputs); P columns in W_hh."""
    return 2 * T * B * (2 * D * P + 3 * H * P + 3 * H * D)


def peak(seconds=2.0, n=1024):
    """The fastest float32 product of two (n, n) matrices that NumPy or JAX reaches, in GFLOP/s."""
    import jax

    a = np.random.default_rng(0).standard_normal((n, n)).astype(np.float32)
    b, product = jax.numpy.asarray(a), jax.jit(jax.numpy.matmul)
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        best = min(best, milliseconds(lambda: a @ a, 1), milliseconds(lambda: product(b, b).block_until_ready(), 1))
    return 2e-6 * n**3 / best


def main(case, seconds):
    ways, init, size = CASES[case]
    steps, missing = prepare(ways, init, size)
    ms, cell, gflops = take_turns(steps, seconds), init.__name__.removeprefix("init_"), peak()
    columns = size[0] * {"elman": 1, "lstm": 4}[cell]
    share = multiplications(*size, columns) / ms["rnnlib"] / 1e6 / gflops
    print(json.dumps({"cell": cell, "size": size, "ms": ms, "peak": gflops, "share": share, "missing": missing}))


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
