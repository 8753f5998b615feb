"""Temporal order by gradient descent: plain, clipped, clipped with a price on vanishing errors. How long may a sequence be?

    python notebooks/experiments/vanishing_penalty.py      (about two hours on two cores)

The comparison of Pascanu, Mikolov and Bengio (2013): 50 tanh units, recurrent weights sparse, 15 a unit, of spectral radius 0.95, the others
~ N(0, 0.01²); batches of 20, no momentum, gradients clipped at a norm of 1, a price of 4 on Ω. A task is solved when fewer than 1 % of 10,000
fresh sequences are missed. The budget is BUDGET gradients of one sequence, where theirs was a hundred million.

Each way's rate is chosen on the seed CHOSEN_ON at the length CHOSEN_AT: the one that solves it with the fewest gradients, or else misses least;
the seeds JUDGED_ON are judged. In "mixed" a net sees lengths of 50 to 200 in turn, and is tested on lengths up to 5000. Results go to
results/vanishing_penalty.json, a list of runs; what is there already is not run again.
"""

import json
from functools import partial
from itertools import count, product
from pathlib import Path

import jax
import numpy as np
import optax
from pathological import TASKS, in_parallel, tester

from rnnlib import cells, dynamics, losses, tasks
from rnnlib.starts import sparse
from rnnlib.unroll import unroll_scan

RESULTS = Path(__file__).parent / "results" / "vanishing_penalty.json"
H, B, STRETCH, BUDGET = 50, 20, 200, 2_000_000
WAYS = {"plain": (None, 0.0), "clipped": (1.0, 0.0), "clipped, priced": (1.0, 4.0)}  # largest norm, price on Ω
RATES = (0.003, 0.01, 0.03, 0.1)
LENGTHS, CHOSEN_AT, CHOSEN_ON, JUDGED_ON = (50, 100, 150, 200), 100, 100, (0, 1, 2)
LONGER = (50, 100, 200, 500, 1000, 2000, 5000)


def start(seed):
    """The net as it begins."""
    rng = np.random.default_rng(seed)
    net = cells.init_elman(6, H, 4, rng=rng, dtype=np.float32)
    W_xh, W_hy = (np.float32(0.01 * rng.standard_normal(W.shape)) for W in (net.W_xh, net.W_hy))
    return net._replace(W_hh=sparse(H, rng=rng, radius=0.95, dtype=np.float32), W_xh=W_xh, W_hy=W_hy)


def trainer(way, rate):
    """A compiled function that makes an update with each of many batches: parameters in, parameters out."""
    largest, price = WAYS[way]
    clip = optax.clip_by_global_norm(largest) if largest else optax.identity()
    optimiser = optax.chain(clip, optax.sgd(rate))

    def update(params, batch):
        loss = partial(losses.softmax_cross_entropy, targets=batch.targets, weights=batch.weights)
        if price:
            _, grads, _ = dynamics.penalised(loss, params, batch.xs, price)
        else:
            grads = jax.grad(lambda params: loss(unroll_scan(params, batch.xs)[0]))(params)
        steps, _ = optimiser.update(grads, optimiser.init(params), params)  # neither part keeps a state
        return optax.apply_updates(params, steps), None

    return jax.jit(lambda params, batches: jax.lax.scan(update, params, batches)[0])


def drawn(T, rng):
    """STRETCH batches, the first axis theirs."""
    whole = tasks.temporal_order(T, B * STRETCH, rng=rng)
    xs, targets, weights = (np.moveaxis(a.reshape(T, STRETCH, B, *a.shape[2:]), 1, 0) for a in whole)
    return tasks.Sequences(xs.astype(np.float32), targets, (weights * STRETCH).astype(np.float32))


def run(setting):
    """Train until the task is solved or the budget is spent; in "mixed", say what is missed at other lengths."""
    way, T, rate, seed = setting.values()
    lengths, test = (range(50, 201, 10), 200) if T == "mixed" else ([T], T)
    train, missed, params, best = trainer(way, rate), tester(TASKS["temporal order"], test, seed), start(seed), 1.0
    for n in count(1):
        rng = np.random.default_rng([seed, n])
        params = train(params, drawn(int(rng.choice(lengths)), rng))
        now = missed(params)
        best = min(best, now)
        if now < 0.01 or not np.isfinite(params.W_hh).all() or n * STRETCH * B >= BUDGET:
            break
    result = {"solved": now < 0.01, "gradients": n * STRETCH * B, "best": round(best, 4)}
    if T == "mixed":
        result["longer"] = {str(T): round(tester(TASKS["temporal order"], T, seed)(params), 4) for T in LONGER}
    return setting | result


def at_the_best_rate(runs, way):
    """The rate that solved it with the fewest gradients, or else missed least."""
    mine = [r for r in runs if r["way"] == way and r["seed"] == CHOSEN_ON]
    return min(mine, key=lambda r: (not r["solved"], r["gradients"] if r["solved"] else r["best"]))["rate"]


def main():
    """Run what is not stored yet: first what the rates are chosen by."""
    runs = json.loads(RESULTS.read_text()) if RESULTS.exists() else []

    def settings(ways, lengths, rates, seeds):
        every = product(seeds, lengths, ways, rates)
        return [{"way": way, "T": T, "rate": rate, "seed": seed} for seed, T, way, rate in every]

    def go(wanted):
        in_parallel(run, [s for s in wanted if not any(s.items() <= r.items() for r in runs)], runs, RESULTS)

    go(settings(WAYS, [CHOSEN_AT], RATES, [CHOSEN_ON]))
    best = {way: at_the_best_rate(runs, way) for way in WAYS}
    judged = settings(WAYS, LENGTHS, [None], JUDGED_ON) + settings(list(WAYS)[1:], ["mixed"], [None], JUDGED_ON)
    go([s | {"rate": best[s["way"]]} for s in judged])


if __name__ == "__main__":
    main()
