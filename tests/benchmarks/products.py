"""Time one Gauss-Newton product beside one gradient, taking turns in one process: python -m tests.benchmarks.products CASE SECONDS."""

import json
import sys

import jax
import jax.numpy as jnp
import numpy as np

from rnnlib import losses
from rnnlib.cells import elman_step
from rnnlib.curvature import gauss_newton
from rnnlib.unroll import unroll_scan
from tests.benchmarks.steps import take_turns
from tests.benchmarks.ways import task

SIZES = [(100, 32, 100, 100), (100, 300, 110, 4), (256, 32, 200, 64)]  # (H, B, T, D=K)
COUNT = 10  # products in a row on one forward pass, as conjugate gradients ask for them


def plain_scan(params, xs):
    """Outputs by a scan with everything inside the step."""
    h = jnp.broadcast_to(params.h0, (xs.shape[1], *params.h0.shape))

    def body(h, x):
        y, h = jax.vmap(elman_step, (None, 0, 0))(params, x, h)
        return h, y

    return jax.lax.scan(body, h, xs)[1]


def in_a_row(one, params):
    """COUNT calls, each from what the last one gave."""
    return jax.jit(lambda p: jax.lax.fori_loop(0, COUNT, lambda _, v: jax.tree.map(lambda a: 0.1 * a, one(p)(v)), p))


def ways(problem):
    """Functions that do COUNT gradients or products each, all of one net and loss."""
    params, xs, targets = jax.tree.map(jnp.asarray, problem)

    def gradient(run):
        return lambda _: jax.grad(lambda p: losses.softmax_cross_entropy(run(p, xs), targets))

    def product(run):
        return lambda p: gauss_newton(lambda p: run(p, xs), lambda ys: losses.softmax_cross_entropy(ys, targets), p)

    made = {
        "rnnlib": in_a_row(product(lambda p, xs: unroll_scan(p, xs)[0]), params),
        "rnnlib, gradient": in_a_row(gradient(lambda p, xs: unroll_scan(p, xs)[0]), params),
        "plain scan, product": in_a_row(product(plain_scan), params),
        "plain scan, gradient": in_a_row(gradient(plain_scan), params),
    }
    return {name: lambda way=way: jax.block_until_ready(way(params)) for name, way in made.items()} | peer(problem)


def peer(problem):
    """The hessianfree package, with a squared error."""
    try:
        import hessianfree
    except ImportError:
        return {}
    D = problem.xs.shape[-1]
    layers = [hessianfree.nl.Linear(), hessianfree.nl.Tanh(), hessianfree.nl.Linear()]
    net = hessianfree.RNNet([D, problem.params.h0.size, D], layers=layers, debug=False)
    xs = np.ascontiguousarray(problem.xs.swapaxes(0, 1))
    net.cache_minibatch(xs, np.zeros_like(xs))
    v = net.W.copy()
    return {"hessianfree package, product": lambda: [net.calc_G(v) for _ in range(COUNT)]}


def main(case, seconds):
    ms = take_turns(ways(task(*SIZES[case])), seconds)
    print(json.dumps({"size": SIZES[case], "ms": {name: value / COUNT for name, value in ms.items()}}))


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
