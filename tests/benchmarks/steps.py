"""Time one training step in every way of `ways.py`, taking turns in one process: python -m tests.benchmarks.steps THREADS."""

import importlib.metadata
import statistics
import sys
import time

import numpy as np

from tests.benchmarks import REFERENCE, report
from tests.benchmarks.ways import WAYS, task

SIZES = [(32, 1, 50, 32), (100, 32, 100, 100), (256, 32, 200, 64), (512, 64, 100, 128)]  # H, B, T, D = K


def prepare(size):
    """The steps of all ways that are installed, warm and checked, and why the others are missing."""
    steps, missing, first = {}, {}, None
    for name, way in WAYS.items():
        try:
            step = way(task(*size))
        except ImportError as error:
            missing[name] = f"not installed ({error.name})"
            continue
        trained = step(), step(), step()
        first = first or trained
        np.testing.assert_allclose(trained, first, rtol=2e-3, err_msg=f"{name} trains something else at {size}")
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
    while time.perf_counter() < end or len(times[REFERENCE]) < 7:
        for name, step in steps.items():
            times[name].append(milliseconds(step, repeat[name]))
    return {name: statistics.median(values) for name, values in times.items()}


def multiplications(H, B, T, D):
    """Floating-point operations of a step's products: forward, weight gradients, errors (none for the inputs)."""
    return 2 * T * B * (2 * D * H + 3 * H * H + 3 * H * D)


def peak(seconds=2.0, n=1024):
    """The fastest float32 product of two (n, n) matrices that NumPy or JAX reaches, in GFLOP/s."""
    import jax

    a = np.random.default_rng(0).standard_normal((n, n)).astype(np.float32)
    b, product = jax.numpy.asarray(a), jax.jit(jax.numpy.matmul)
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        best = min(best, milliseconds(lambda: a @ a, 1), milliseconds(lambda: product(b, b).block_until_ready(), 1))
    return 2e-6 * n**3 / best


def main(threads, seconds=8.0):
    rows, missing = [], {}
    for size in SIZES:
        steps, missing = prepare(size)
        rows.append({"size": size, "ms": take_turns(steps, seconds)})
        print(f"{threads} thread(s), {size}: {rows[-1]['ms'][REFERENCE]:.3f} ms", file=sys.stderr, flush=True)
    gflops = peak()
    for row in rows:
        row["share of peak"] = multiplications(*row["size"]) / row["ms"][REFERENCE] / 1e6 / gflops
    versions = {p: importlib.metadata.version(p) for p in ("jax", "numpy", "torch", "flax", "pytensor") if found(p)}
    report("steps", f"{threads}_threads", {"peak": gflops, "versions": versions, "missing": missing, "rows": rows})


def found(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


if __name__ == "__main__":
    main(int(sys.argv[1]))
