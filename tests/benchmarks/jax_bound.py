"""Whether pyproject.toml's bound on jax can go: `make jax-bound`. jax alone is imported, so that any version can be tried.

From jax 0.11.1 on, `lax.scan` with stacked outputs under 256 bytes a step takes time quadratic in T on a CPU: jax-ml/jax#40101. So a
scan is timed at two lengths; four times the length should take about four times as long, and takes sixteen times if it is quadratic.
"""

import sys
import time

import jax
import jax.numpy as jnp

SHORT, LONG, BOUND = 10_000, 40_000, 8.0  # steps, steps, and halfway between 4 and 16


def seconds(T):
    """The best of five runs of a compiled scan that stacks 4 bytes a step."""
    scan = jax.jit(lambda xs: jax.lax.scan(lambda h, x: (0.5 * h + x, h), jnp.float32(0), xs))
    xs, times = jnp.ones(T, jnp.float32), []
    for _ in range(6):
        begin = time.perf_counter()
        jax.block_until_ready(scan(xs))
        times.append(time.perf_counter() - begin)
    return min(times[1:])  # the first also compiles


def verdict(version, ratio):
    """What the ratio says of a version of jax, and whether it is well."""
    well = ratio < BOUND
    said = "linear: this jax needs no bound" if well else "quadratic: the bound stays (jax-ml/jax#40101)"
    return f"jax {version}: a scan {LONG // SHORT} times as long takes {ratio:.1f} times as long, {said}", well


if __name__ == "__main__":
    short, long = seconds(SHORT), seconds(LONG)
    print(f"{SHORT:,} steps {1e3 * short:.2f} ms, {LONG:,} steps {1e3 * long:.2f} ms")
    message, well = verdict(jax.__version__, long / short)
    print(message)
    sys.exit(not well)
