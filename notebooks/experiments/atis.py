"""Slot filling on ATIS by an Elman tagger: a tag for each word of what people ask of an airline, scored by the F1 of whole chunks.

    RNN_DATA=/path/to/data python notebooks/experiments/atis.py      (or with the path as argument; about ten minutes on two cores)

The data folder holds atis/train.seq.in, train.seq.out and so on; its licence does not let us bring it along. Words are embedded, seven
neighbours laid end to end, and read by a tanh net with a trained h0; softmax cross-entropy at each word, Adam. Words seen once in training
are <unk>, as are all that were never seen; digits become DIGIT. The epoch, and all settings, were chosen on the validation part alone. Results
go to results/atis.json, a list of runs; what is there already is not run again.
"""

import json
import os
import re
import sys
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from seqeval.metrics import f1_score

from rnnlib import batching, cells, datasets, losses, train
from rnnlib.unroll import unroll_scan

RESULTS = Path(__file__).parent / "results" / "atis.json"
NETS = {"window alone": (), "Elman": (False,), "both directions": (False, True)}  # of each direction: reversed?
ROWS = [(net, dropout) for dropout in (0.5, 0.0) for net in NETS if dropout or net == "Elman"]
SEEDS, EPOCHS, RATE = (0, 1, 2), 30, 1e-3
WINDOW, M, H, B = 7, 100, 100, 16


class Tagger(NamedTuple):
    """Embeddings, and a net that reads them, or one for each direction."""

    E: Any  # (words, M)
    nets: tuple[cells.ElmanParams, ...]


class Corpus(NamedTuple):
    """Sentences as numbers."""

    windows: dict[str, list]  # of each part, (T, WINDOW) word numbers a sentence
    targets: dict[str, list]  # of each part, (T,) tag numbers a sentence
    tags: dict[str, list]  # of each part, the tags themselves
    names: list[str]  # tag numbers to tags
    words: int  # how many word numbers there are


def corpus(folder):
    """Number words and tags by what the training part holds: 0 is padding, 1 is <unk>."""
    parts = datasets.iob(folder)
    plain = {
        part: [[re.sub(r"\d", "DIGIT", w) for w in s.words] for s in sentences] for part, sentences in parts.items()
    }
    seen = Counter(word for words in plain["train"] for word in words)
    number = {word: i for i, word in enumerate(sorted(w for w in seen if seen[w] > 1), 2)}
    names = sorted({tag for s in parts["train"] for tag in s.tags})
    places = {tag: i for i, tag in enumerate(names)}

    def windows(words):
        ids = np.pad([number.get(word, 1) for word in words], WINDOW // 2)
        return np.lib.stride_tricks.sliding_window_view(ids, WINDOW).astype(np.int32)

    return Corpus(
        {part: [windows(words) for words in sentences] for part, sentences in plain.items()},
        {"train": [np.array([places[tag] for tag in s.tags], np.int32) for s in parts["train"]]},
        {part: [list(s.tags) for s in sentences] for part, sentences in parts.items()},
        names,
        len(number) + 2,
    )


def tagger(net, words, tags, rng):
    """Draw the parameters."""
    draw = partial(cells.init_elman, WINDOW * M, H, tags, rng=rng, gain=0.5, dtype=np.float32)
    E = 0.2 * rng.standard_normal((words, M)).astype(np.float32)
    return Tagger(E, tuple(draw() for _ in NETS[net] or [None]))


def outputs(net, params, windows, mask, keep=1.0):
    """Scores of each tag at each word, (T, B, K); `keep` scales the embeddings, by 0 or more."""
    xs = (params.E[windows] * keep).reshape(*mask.shape, -1)  # (T, B, WINDOW * M)
    if not NETS[net]:
        return params.nets[0].readout(jnp.tanh(params.nets[0].drive(xs)))
    runs = zip(params.nets, NETS[net], strict=True)
    return sum(unroll_scan(one, xs, mask=mask, reverse=backwards)[0] for one, backwards in runs)


def trainer(net, dropout):
    """Make the optimiser and the compiled updates."""

    def objective(params, state, windows, targets, mask, key):
        keep = jax.random.bernoulli(key, 1 - dropout, (*windows.shape, M)) / (1 - dropout)
        ys = outputs(net, params, windows, mask, keep)
        return losses.softmax_cross_entropy(ys, targets, losses.mean_over_steps(mask)), state

    optimiser = optax.chain(optax.clip_by_global_norm(5.0), optax.adam(RATE))
    return optimiser, train.updates(objective, optimiser)


def f1(data, part, best):
    """F1 in percent of the chunks that the best tags spell; `best` is (T, N)."""
    guesses = [[data.names[k] for k in best[: len(tags), n]] for n, tags in enumerate(data.tags[part])]
    return 100 * f1_score(data.tags[part], guesses)


def one_run(data, net, dropout, seed):
    """Train one net; the epoch with the best validation F1 counts."""
    optimiser, along = trainer(net, dropout)
    learner = train.start(optimiser, tagger(net, data.words, len(data.names), np.random.default_rng(seed)))
    best = jax.jit(lambda params, windows, mask: outputs(net, params, windows, mask).argmax(-1))
    columns = data.windows["train"], data.targets["train"]
    edges = batching.buckets([len(one) for one in columns[0]], 4)
    history, kept = [], None
    for key in jax.random.split(jax.random.key(seed), EPOCHS):
        for i, batch in enumerate(batching.batches(columns, B, edges=edges, key=key)):
            learner, _ = along(learner, *(array[None] for array in batch), jax.random.fold_in(key, i)[None])
        history.append(round(f1(data, "valid", best(learner.params, *batching.pad(data.windows["valid"]))), 2))
        if history[-1] == max(history):
            kept = jax.tree.map(np.array, learner.params)
    test = round(f1(data, "test", best(kept, *batching.pad(data.windows["test"]))), 2)
    return {"net": net, "dropout": dropout, "seed": seed, "valid": history, "test": test}


def main():
    """Run what is not stored yet."""
    folder = Path(*sys.argv[1:2] or [os.environ.get("RNN_DATA", "")]) / "atis"
    if not folder.is_dir():
        print("atis: skipped, there is no folder atis in $RNN_DATA, nor in a path given as argument.")
        return
    runs, data = json.loads(RESULTS.read_text()) if RESULTS.exists() else [], corpus(folder)
    for net, dropout in ROWS:
        for seed in SEEDS:
            if not any((run["net"], run["dropout"], run["seed"]) == (net, dropout, seed) for run in runs):
                runs.append(one_run(data, net, dropout, seed))
                print(f"{net}, dropout {dropout}, seed {seed}: F1 {runs[-1]['test']}", flush=True)
                RESULTS.write_text("[\n" + ",\n".join(map(json.dumps, runs)) + "\n]\n")


if __name__ == "__main__":
    main()
