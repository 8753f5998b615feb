"""How far back to look on real text: windows of 1, 5, 20 and 50 steps, and one that grows from 1 to 50, race on Python's help pages.

    python notebooks/experiments/window_race.py      (`make experiments`; about a quarter of an hour on two cores)

For each rate and seed all windows train side by side, a stretch each in turn, so that a busy machine slows them all alike. Each run reads 3
million characters in 16 streams: an Elman net of 128 tanh units, Adam, softmax cross-entropy. Results go to results/window_race.json, a list
of runs; what is there already is not run again.
"""

import json
import time
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax

from rnnlib import cells, datasets, losses, train, truncation

RESULTS = Path(__file__).parent / "results" / "window_race.json"
RATES, SEEDS = (1e-3, 3e-3), (0, 1, 2)
B, H, STRETCH, STRETCHES = 16, 128, 2000, 94
GROWTH = {0: 1, 2: 2, 4: 5, 10: 10, 20: 20, 40: 50}  # from this stretch on, this window


def growing(i):
    """The growing window's size in stretch i."""
    return GROWTH[max(begin for begin in GROWTH if begin <= i)]


def race(rate, seed):
    """Train every window with one rate and seed; a run's history is [characters, updates, seconds, held-out nats] a stretch."""
    ids, symbols = datasets.encode(datasets.text())
    K, one_hot = len(symbols), np.eye(len(symbols), dtype=np.float32)
    train_ids, valid_ids = np.split(ids, [len(ids) * 9 // 10])
    xs, targets = datasets.streams(train_ids, B)
    valid_xs, valid_targets = datasets.streams(valid_ids, B)

    @jax.jit
    def held_out(params):
        whole = partial(truncation.gated, losses.softmax_cross_entropy, cells.elman_step)
        return whole(params, jnp.asarray(one_hot)[valid_xs], valid_targets, gates=jnp.zeros(valid_xs.shape)).loss

    optimiser = optax.adam(rate)
    make = partial(train.stretch, truncation.chunked, losses.softmax_cross_entropy, cells.elman_step, optimiser)
    along = {w: make(window=w) for w in GROWTH.values()}
    windows = {"1": lambda i: 1, "5": lambda i: 5, "20": lambda i: 20, "50": lambda i: 50, "growing": growing}
    net = cells.init_elman(K, H, K, rng=np.random.default_rng(seed), dtype=np.float32)
    first = one_hot[xs[:STRETCH]], targets[:STRETCH]
    for w in along:
        jax.block_until_ready(along[w](train.start(optimiser, net, B), *first))  # compiled, and not timed
    learners = {name: train.start(optimiser, net, B) for name in windows}
    rows = {name: [[0, 0, 0.0, float(held_out(net))]] for name in windows}
    for i in range(STRETCHES):
        place = slice(i % (len(xs) // STRETCH) * STRETCH, None)
        chunk = one_hot[xs[place][:STRETCH]], targets[place][:STRETCH]
        for name, window in windows.items():
            clock = time.perf_counter()
            learners[name], updates = jax.block_until_ready(along[window(i)](learners[name], *chunk))
            spent = rows[name][-1][2] + time.perf_counter() - clock
            loss = float(held_out(learners[name].params))
            rows[name].append(
                [B * STRETCH * (i + 1), rows[name][-1][1] + len(updates), round(spent, 3), round(loss, 4)]
            )
    return [{"window": name, "rate": rate, "seed": seed, "history": history} for name, history in rows.items()]


if __name__ == "__main__":
    runs = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    for rate in RATES:
        for seed in SEEDS:
            if not any((run["rate"], run["seed"]) == (rate, seed) for run in runs):
                print(f"rate {rate:g}, seed {seed}", flush=True)
                runs += race(rate, seed)
                RESULTS.write_text(json.dumps(runs, separators=(",", ":")))
