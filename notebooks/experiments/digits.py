"""Handwritten digits, read pixel by pixel: an Elman net, an LSTM and a GRU of one size, at five rates.

    python notebooks/experiments/digits.py      (`make experiments`; about two minutes of one core)

All nets have about 2,800 numbers, and no special biases. Each reads 1197 digits eight times, 456 batches of 21, with Adam, clipped at 1. What is
stored of each run are the shares of 300 validation and of 300 test digits that it gets right; the rate is chosen on the former. Results go
to results/digits.json, a list of runs; a cell that is there is not run again.
"""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax

from rnnlib import cells, datasets, losses, train
from rnnlib.unroll import unroll_scan

RESULTS = Path(__file__).parent / "results" / "digits.json"
CELLS = {"Elman": (cells.init_elman, 48), "LSTM": (cells.init_lstm, 24), "GRU": (cells.init_gru, 28)}
RATES, SEEDS, STRETCHES = (1e-3, 3e-3, 1e-2, 3e-2, 1e-1), (0, 1), 4


def objective(params, state, xs, answers):
    """Softmax cross-entropy after the last pixel."""
    ys, _ = unroll_scan(params, xs)
    return losses.softmax_cross_entropy(ys[-1:], answers[None]), None


def optimiser(rate):
    """The rate is part of the optimiser's state, so that nets of all rates train side by side."""
    return optax.chain(optax.clip_by_global_norm(1.0), optax.inject_hyperparams(optax.adam)(learning_rate=rate))


def run(name, pixels, labels):
    """Train one cell at all rates, from both seeds, side by side."""
    train_set, valid, test = np.split(np.random.default_rng(0).permutation(1797), [1197, 1497])
    init, H = CELLS[name]
    pairs = [(rate, seed) for rate in RATES for seed in SEEDS]
    nets = [init(1, H, 10, rng=np.random.default_rng(seed), dtype=np.float32) for _, seed in pairs]
    learners = [train.start(optimiser(rate), net) for (rate, _), net in zip(pairs, nets, strict=True)]
    learners = jax.tree.map(lambda *leaves: jnp.stack(leaves), *learners)
    along = jax.jit(jax.vmap(train.updates(objective, optimiser(0.0))))
    for stretch in range(STRETCHES):
        rows = np.stack([_twice(train_set, stretch, seed) for _, seed in pairs])  # (nets, 114, 21)
        learners, _ = along(learners, np.moveaxis(pixels[:, rows], 0, 2), labels[rows])
    last = jax.jit(lambda params, xs: unroll_scan(params, xs)[0][-1].argmax(-1))
    runs = []
    for i, (rate, seed) in enumerate(pairs):
        params = jax.tree.map(lambda leaf, i=i: leaf[i], learners.params)
        right = {
            part: float((last(params, pixels[:, r]) == labels[r]).mean())
            for part, r in (("valid", valid), ("test", test))
        }
        runs.append(
            {"cell": name, "rate": rate, "seed": seed} | {part: round(share, 4) for part, share in right.items()}
        )
    return runs


def _twice(train_set, stretch, seed):
    passes = [np.random.default_rng((stretch, seed, k)).permutation(train_set) for k in range(2)]
    return np.concatenate(passes).reshape(-1, 21)


def main():
    """Run the cells that are not stored yet."""
    runs = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    for name in CELLS:
        if not any(one["cell"] == name for one in runs):
            runs += run(name, *datasets.digits())
            RESULTS.write_text("[\n" + ",\n".join(map(json.dumps, runs)) + "\n]\n")
            print(
                f"{name}: best on validation {max(one['valid'] for one in runs if one['cell'] == name):.0%}", flush=True
            )


if __name__ == "__main__":
    main()
