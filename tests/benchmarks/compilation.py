"""Seconds to compile one gradient by T, Python loop against scan: python -m tests.benchmarks.compilation unroll_scan 1000."""

import json
import sys
import time

import jax
import numpy as np

from rnnlib import cells, unroll

LENGTHS = {"unroll_loop": (10, 30, 100), "unroll_scan": (10, 30, 100, 1000, 10_000)}


def seconds(run, T, H=100, B=16, D=32):
    params = cells.init_elman(D, H, D, rng=np.random.default_rng(0), dtype=np.float32)
    gradient = jax.jit(jax.grad(lambda params, xs: (run(params, xs)[0] ** 2).mean()))
    begin = time.perf_counter()
    gradient.lower(params, jax.ShapeDtypeStruct((T, B, D), np.float32)).compile()
    return time.perf_counter() - begin


if __name__ == "__main__":
    seconds(unroll.unroll_scan, 5)  # the first of all compilations also starts the compiler
    name, T = sys.argv[1], int(sys.argv[2])
    print(json.dumps({"form": name, "T": T, "seconds": seconds(getattr(unroll, name), T)}))
