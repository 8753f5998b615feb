"""The pathological tasks at T = 50, 100, 200: who solves them? Five methods on one budget of processor time.

    python notebooks/experiments/pathological.py      (about three hours on two cores)

One net for all: 100 tanh units, recurrent weights orthogonal ("o") or sparse, 15 a unit, of spectral radius 1.1 ("s"), input weights drawn
with the scale in TASKS, readout with 0.1; the LSTM has 100 units, a forget bias of 1 and weights ~ N(0, 1 / fan-in). Solved: fewer than 1 %
of 1000 fresh sequences missed, confirmed on 10,000 (Pascanu et al., 2013; adding with their tolerance).

The budget of a run is BUDGET[T] seconds of processor time on one thread, without compilation and tests, the same for each method; beside
them are stored its gradients of one sequence. What a method and a seed did not solve at a shorter length is not tried at a longer one.
Results go to results/pathological.json, a list of runs; what is there already is not run again.
"""

import json
import os
import time
from collections.abc import Callable
from functools import partial
from itertools import count, product
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("TQDM_DISABLE", "1")
ONE = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {ONE}".strip()

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
import optax  # noqa: E402

from rnnlib import cells, hessian_free, losses, tasks, train  # noqa: E402
from rnnlib.starts import orthogonal, sparse  # noqa: E402
from rnnlib.unroll import unroll_scan, unroll_states  # noqa: E402

RESULTS = Path(__file__).parent / "results" / "pathological.json"
H, SEEDS, BUDGET = 100, (0, 1, 2), {50: 20, 100: 80, 200: 120}
STARTS = {"orthogonal": orthogonal, "sparse": sparse}


NOISY = {50: (1000, 300), 100: (3000, 500), 200: (3000, 500)}  # where all sequences differ: fewer are learnt by heart


class Task(NamedTuple):
    """A task, how its net begins, and on how many sequences Hessian-free training looks: for the gradient, for the curvature."""

    make: Callable
    K: int
    start: str
    inputs: float  # scale of the input weights
    batches: dict[int, tuple[int, int]]  # by T
    damping: float = 0.1  # λ at the start
    structural: float = 0.1  # μ
    tolerance: float = 0.04  # the largest squared error of a hit, where numbers are asked for


order3, bits20 = partial(tasks.temporal_order, symbols=3), partial(tasks.memorisation, bits=20)
TASKS = {
    "adding": Task(tasks.adding, 1, "sparse", 0.3, dict.fromkeys(BUDGET, (1000, 300)), tolerance=0.16),
    "multiplication": Task(tasks.multiplication, 1, "sparse", 0.3, dict.fromkeys(BUDGET, (1000, 300))),
    "temporal order": Task(tasks.temporal_order, 4, "orthogonal", 0.1, NOISY),
    "temporal order, 3 symbols": Task(order3, 8, "orthogonal", 0.1, NOISY),
    "5 bits": Task(tasks.memorisation, 3, "orthogonal", 0.05, dict.fromkeys(BUDGET, (50, 50)), 0.01, 30.0),
    "20 bits": Task(bits20, 6, "orthogonal", 0.05, dict.fromkeys(BUDGET, (100, 100)), 0.01, 30.0),
    "first bit": Task(tasks.first_bit, 2, "orthogonal", 0.05, dict.fromkeys(BUDGET, (1000, 200))),
}
FIRST_ORDER = {  # net, and what makes its optimiser; batches of 100, gradients clipped at a norm of 1
    "SGD": ("tanh", partial(optax.sgd, 0.03, momentum=0.9)),
    "Adam": ("tanh", partial(optax.adam, 1e-3)),
    "LSTM, Adam": ("LSTM", partial(optax.adam, 3e-3)),
}
SECOND_ORDER = {"HF": 0, "HF, structural": 1}  # whether with structural damping
METHODS = [*FIRST_ORDER, *SECOND_ORDER]
B, STRETCH = 100, 50  # sequences a batch, updates between two tests


def net(task, kind, T, seed):
    """The net as it begins: tanh as the task says, or an LSTM whose gates are nearly shut over T steps."""
    rng = np.random.default_rng(seed)
    D = task.make(10, 1, rng=rng).xs.shape[-1]
    if kind == "LSTM":
        params = cells.init_lstm(D, H, task.K, rng=rng, forget_bias=np.log(T), dtype=np.float32)
        params.b_h[:H] = -np.log(T)
        return params
    params = cells.init_elman(D, H, task.K, rng=rng, dtype=np.float32)
    W_xh, W_hy = rng.standard_normal((D, H)) * task.inputs, rng.standard_normal((H, task.K)) * 0.1
    W_hh = STARTS[task.start](H, rng=rng, dtype=np.float32)
    return params._replace(W_hh=W_hh, W_xh=W_xh.astype(np.float32), W_hy=W_hy.astype(np.float32))


def loss(ys, batch):
    """Squared error for numbers, cross-entropy for symbols."""
    of = losses.squared_error if batch.targets.ndim == 3 else losses.softmax_cross_entropy
    return of(ys, batch.targets, batch.weights)


def objective(params, state, *batch):
    """As `train.updates` wants it."""
    batch = tasks.Sequences(*batch)
    return loss(unroll_scan(params, batch.xs)[0], batch), state


def tester(task, T, seed):
    """A function of the parameters: the share of sequences missed, of 1000, and if that is below 1 %, of 10,000."""
    rng = np.random.default_rng([seed, 10**6])
    batches = [task.make(T, 1000, rng=rng) for _ in range(10)]
    outputs = jax.jit(lambda params, xs: unroll_scan(params, xs)[0])

    def wrong(params, batch):
        return tasks.missed(outputs(params, jnp.asarray(batch.xs, jnp.float32)), batch, tolerance=task.tolerance).mean()

    def test(params):
        first = wrong(params, batches[0])
        return float(first) if first >= 0.01 else float(np.mean([wrong(params, batch) for batch in batches]))

    return test


def first_order(task, T, method, seed):
    """Train by an optimiser of optax; yields parameters, updates, gradients of one sequence and seconds after each stretch."""
    kind, make = FIRST_ORDER[method]
    optimiser = optax.chain(optax.clip_by_global_norm(1.0), make())
    along = train.updates(objective, optimiser)
    learner, seconds = train.start(optimiser, net(task, kind, T, seed)), 0.0
    for n in count(1):
        drawn = [task.make(T, B, rng=np.random.default_rng([seed, n, i])) for i in range(STRETCH)]
        batches = jax.tree.map(lambda *arrays: jnp.asarray(np.stack(arrays)), *drawn)
        if n == 1:
            jax.block_until_ready(along(jax.tree.map(jnp.array, learner), *batches))  # compiled, and not timed
        clock = time.process_time()
        learner, _ = jax.block_until_ready(along(learner, *batches))
        seconds += time.process_time() - clock
        yield learner.params, n * STRETCH, n * STRETCH * B, seconds


def second_order(task, T, seed, batches=None, **changes):
    """Train Hessian-free; yields the same after each update. The changes are those of an ablation."""
    chosen = {"structural": task.structural, "iterations": 150, "progress": 1e-4}
    settings = hessian_free.HessianFree(task.damping, **chosen | changes)
    update = hessian_free.updates(lambda params, batch: unroll_states(params, batch.xs), loss, settings)
    trained, seconds = hessian_free.start(net(task, "tanh", T, seed), settings), 0.0
    for n in count():
        rng = np.random.default_rng([seed, n])
        pair = tuple(jax.tree.map(jnp.asarray, task.make(T, size, rng=rng)) for size in batches or task.batches[T])
        if n == 0:
            hessian_free.train(update, trained, lambda n, pair=pair: pair, max_updates=1)  # compiled, and not timed
        clock = time.process_time()
        trained = hessian_free.train(update, trained, lambda n, pair=pair: pair, max_updates=n + 1)
        seconds += time.process_time() - clock
        yield trained.learner.params, n + 1, trained.history[-1].evaluations, seconds


def run(setting):
    """One run: what it reached within its budget."""
    name, T, method, seed = setting.values()
    task = TASKS[name]
    if method in FIRST_ORDER:
        way = first_order(task, T, method, seed)
    else:
        way = second_order(task, T, seed, structural=task.structural * SECOND_ORDER[method])
    return setting | reached(way, tester(task, T, seed), seconds=BUDGET[T])


def reached(way, test, *, seconds=float("inf"), gradients=float("inf")):
    """Train until the task is solved or the budget is spent."""
    best = 1.0
    for params, updates, evaluated, took in way:
        missed = test(params)
        best = min(best, missed)
        spent = {"updates": updates, "gradients": round(evaluated), "seconds": round(took, 1)}
        if missed < 0.01 or took > seconds or evaluated > gradients:
            break
    jax.clear_caches()
    return {"solved": missed < 0.01, "missed": round(missed, 4), "best": round(best, 4)} | spent


def in_parallel(run, waiting, runs, path):
    """Run what is waiting on all cores, and write the results down as they come."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    with get_context("spawn").Pool(cores) as pool:
        for result in pool.imap_unordered(run, waiting):
            runs.append(result)
            print(*result.values(), flush=True)
            path.write_text("[\n" + ",\n".join(map(json.dumps, runs)) + "\n]\n")


def main():
    """Run what is not stored yet, the short sequences first."""
    runs = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    for T, shorter in zip(BUDGET, [None, *BUDGET], strict=False):
        solved = {(r["task"], r["method"], r["seed"]) for r in runs if r["T"] == shorter and r["solved"]}
        tried = [(n, m, seed) for seed, n, m in product(SEEDS, TASKS, METHODS) if not shorter or (n, m, seed) in solved]
        settings = [{"task": n, "T": T, "method": m, "seed": seed} for n, m, seed in tried]
        in_parallel(run, [s for s in settings if not any(s.items() <= r.items() for r in runs)], runs, RESULTS)


if __name__ == "__main__":
    main()
