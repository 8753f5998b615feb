"""Next-step prediction of music: which of 88 keys sound next, on the chorales of JSB and the folk tunes of Nottingham.

    RNN_DATA=/path/to/data python notebooks/experiments/music.py      (or with the path as argument; about 20 minutes on two cores)

The data folder holds music/JSB_Chorales.mat and music/Nottingham.mat. A net of 150 units, tanh or LSTM, reads one piece from its trained h0
and gives each key a probability; the loss of a step is the sum of 88 binary cross-entropies, and what is stored is its mean over all
predicted steps of a part, in nats: steps 2 to T of whole pieces. In training pieces are cut into parts of at most 200 steps. SGD
(momentum 0.9) without and with clipping of the gradient's norm at 1, and Adam with it, each at several rates; the rate and the epoch are to be
chosen on "valid". Results go to results/music.json, a list of runs; what is there already is not run again.
"""

import json
import os
import sys
from itertools import product
from pathlib import Path

import jax
import numpy as np
import optax

from rnnlib import batching, cells, datasets, train
from rnnlib.unroll import unroll_scan

RESULTS = Path(__file__).parent / "results" / "music.json"
NETS = {"tanh": cells.init_elman, "LSTM": cells.init_lstm}
WAYS = [("tanh", "SGD", None), ("tanh", "SGD", 1.0), ("tanh", "Adam", 1.0), ("LSTM", "Adam", 1.0)]  # with clipping at
RATES = {"SGD": (0.03, 0.1, 0.3), "Adam": (2e-3, 5e-3)}
SEEDS, EPOCHS = {"JSB_Chorales": (0, 1, 2), "Nottingham": (0,)}, {"JSB_Chorales": 100, "Nottingham": 40}
LONGEST, H, B = 200, 150, 16


def steps(pieces, longest):
    """Inputs and targets, (T, 88) each, of parts of at most `longest` predicted steps."""
    starts = [(piece, i) for piece in pieces for i in range(0, len(piece) - 1, longest)]
    return tuple([piece[i + shift : i + shift + longest] for piece, i in starts] for shift in (0, 1))


def matched(inputs, targets):
    """The last part of a piece has no target for its last step: leave that out."""
    return [x[: len(y)] for x, y in zip(inputs, targets, strict=True)], targets


def loss(params, xs, targets, mask):
    """Nats summed over keys and steps, and how many steps."""
    ys, _ = unroll_scan(params, xs, mask=mask)
    return (optax.sigmoid_binary_cross_entropy(ys, targets).sum(-1) * mask).sum(), mask.sum()


def objective(params, state, *batch):
    """Nats a step, averaged over the steps of a batch."""
    nats, count = loss(params, *batch)
    return nats / count, state


def scorer(pieces):
    """Make a function of the parameters: nats a step on whole pieces."""
    columns = matched(*steps(pieces, 10**6))
    edges = batching.buckets([len(x) for x in columns[0]], 3)
    batches = list(batching.batches(columns, 32, edges=edges, key=jax.random.key(0)))
    summed = jax.jit(loss)

    def score(params):
        nats, count = zip(*(summed(params, *batch) for batch in batches), strict=True)
        return float(sum(nats) / sum(count))

    return score


def run(parts, epochs, net, way, clip, rate, seed):
    """Train one net; its nats on the validation part after each epoch, and on the test part after the best."""
    optimiser = optax.adam(rate) if way == "Adam" else optax.sgd(rate, momentum=0.9)
    if clip:
        optimiser = optax.chain(optax.clip_by_global_norm(clip), optimiser)
    along, columns = train.updates(objective, optimiser), matched(*steps(parts["train"], LONGEST))
    edges = batching.buckets([len(x) for x in columns[0]], 3)
    valid, test = scorer(parts["valid"]), scorer(parts["test"])
    params = NETS[net](88, H, 88, rng=np.random.default_rng(seed), gain=0.9, dtype=np.float32)
    learner, history, best = train.start(optimiser, params), [], None
    for key in jax.random.split(jax.random.key(seed), epochs):
        for batch in batching.batches(columns, B, edges=edges, key=key):
            learner, _ = along(learner, *(array[None] for array in batch))
        history.append(round(valid(learner.params), 3))
        if history[-1] == min(history):
            best = round(test(learner.params), 3)
    return {"valid": history, "test": best}


def main():
    """Run what is not stored yet."""
    folder = Path(*sys.argv[1:2] or [os.environ.get("RNN_DATA", "")]) / "music"
    if not folder.is_dir():
        print("music: skipped, there is no folder music in $RNN_DATA, nor in a path given as argument.")
        return
    runs = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    for name, seeds in SEEDS.items():
        parts = datasets.piano_roll(folder / f"{name}.mat")
        for (net, way, clip), seed in product(WAYS, seeds):
            for rate in RATES[way]:
                setting = {"data": name, "net": net, "way": way, "clip": clip, "rate": rate, "seed": seed}
                if not any(setting.items() <= stored.items() for stored in runs):
                    runs.append(setting | run(parts, EPOCHS[name], net, way, clip, rate, seed))
                    print(*setting.values(), "test", runs[-1]["test"], flush=True)
                    RESULTS.write_text("[\n" + ",\n".join(map(json.dumps, runs)) + "\n]\n")


if __name__ == "__main__":
    main()
