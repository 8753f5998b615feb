"""Memory and time of one gradient by T, in a process of its own: python -m tests.benchmarks.memory plain 10000."""

import json
import resource
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np

from rnnlib import cells, losses, unroll

H, B, D, K = 100, 16, 32, 32


def plain(params, xs, targets):
    return losses.softmax_cross_entropy(unroll.unroll_scan(params, xs)[0], targets)


def checkpointed(params, xs, targets):
    return unroll.loss_checkpointed(losses.softmax_cross_entropy, params, xs, targets)[0]


FORMS = {"plain": plain, "checkpointed": checkpointed}


def megabytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def main(form, T):
    rng = np.random.default_rng(0)
    params = jax.tree.map(jnp.asarray, cells.init_elman(D, H, K, rng=rng, gain=0.5, dtype=np.float32))
    xs = jnp.asarray(rng.standard_normal((T, B, D), np.float32))
    targets = jnp.asarray(rng.integers(0, K, (T, B), dtype=np.int32))
    begin = time.perf_counter()
    gradient = jax.jit(jax.grad(form)).lower(params, xs, targets).compile()
    seconds, before = [time.perf_counter() - begin], megabytes()
    for _ in range(5):
        begin = time.perf_counter()
        grads = jax.block_until_ready(gradient(params, xs, targets))
        seconds.append(time.perf_counter() - begin)
    result = {
        "form": form.__name__,
        "T": T,
        "temporaries": gradient.memory_analysis().temp_size_in_bytes / 1e6,
        "growth": megabytes() - before,
        "compile": seconds[0],
        "seconds": sorted(seconds[1:])[2],
        "gradient": np.concatenate([np.ravel(g) for g in grads])[:: 10 * H].tolist(),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main(FORMS[sys.argv[1]], int(sys.argv[2]))
