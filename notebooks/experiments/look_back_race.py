"""Look-back or update frequency? Every pair of the two, each at its own best rate, on Python's help pages.

    python notebooks/experiments/look_back_race.py      (`make experiments`; about an hour of one core)

A window of 1 looks back one step *and* updates twenty times as often as a window of 20. Here the two are apart: an update every `every`
steps, and behind each loss a window of `look_back` steps, or fewer where the update's stretch of steps begins sooner. Nets, text and
optimiser are those of window_race.py: 3 million characters in 16 streams, an Elman net of 128 tanh units, Adam, softmax cross-entropy.

The rate is chosen on seed 0, from a grid that is made longer until the best rate is inside it; seeds 1, 2 and 3 are trained at that rate, and
judged. A loss is the mean over the last pass through the text. Results go to results/look_back_race.json, a list of runs; what is there
already is not run again.
"""

import json
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax

from rnnlib import cells, datasets, losses, train, truncation

RESULTS = Path(__file__).parent / "results" / "look_back_race.json"
PAIRS = [(1, 1), (1, 5), (5, 5), (1, 20), (5, 20), (20, 20), (1, 50), (5, 50), (20, 50), (50, 50)]
GROWING = {
    0: 1,
    2: 2,
    4: 5,
    10: 10,
    20: 20,
    40: 50,
}  # from this stretch of 2000 steps on, this window: look-back and updates alike
GRID = [1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2]
CHOSEN_ON, JUDGED_ON = 0, (1, 2, 3)
B, H, STRETCH, STRETCHES = 16, 128, 2000, 94


def text():
    """The training streams and the held-out ones, and how many symbols there are."""
    ids, symbols = datasets.encode(datasets.text())
    parts = np.split(ids, [len(ids) * 9 // 10])
    return [datasets.streams(part, B) for part in parts], len(symbols)


def trainer(look_back, every, rate):
    """An update each `every` steps; behind each loss `look_back` steps of the stretch between two updates."""
    cut = truncation.chunked if look_back == every else _within(look_back)
    return train.stretch(cut, losses.softmax_cross_entropy, cells.elman_step, optax.adam(rate), window=every)


def _within(look_back):
    def cut(*arguments, window):
        return truncation.windowed(*arguments, window=look_back, stride=1)

    return cut


@jax.jit
def held_out(params, ids, targets):
    """Nats a symbol, over whole streams."""
    whole = partial(truncation.gated, losses.softmax_cross_entropy, cells.elman_step)
    return whole(params, jax.nn.one_hot(ids, len(params.W_xh)), targets, gates=jnp.zeros(ids.shape)).loss


def run(pair, rate, seed):
    """Train one net: its history, [characters, updates, held-out nats], dense at first and over the last pass."""
    ((xs, targets), valid), K = text()
    one_hot = np.eye(K, dtype=np.float32)
    pairs = [pair] * STRETCHES if pair != "growing" else [_grown(i) for i in range(STRETCHES)]
    along = {each: trainer(*each, rate) for each in set(pairs)}
    learner = train.start(
        optax.adam(rate), cells.init_elman(K, H, K, rng=np.random.default_rng(seed), dtype=np.float32), B
    )
    per_pass, updates, history = len(xs) // STRETCH, 0, []
    for i, each in enumerate(pairs):
        place = slice(i % per_pass * STRETCH, None)
        learner, made = along[each](learner, one_hot[xs[place][:STRETCH]], targets[place][:STRETCH])
        updates += len(made)
        if i < 12 or i % 6 == 5 or i >= STRETCHES - per_pass:
            loss = float(held_out(learner.params, *valid))
            history.append([B * STRETCH * (i + 1), updates, round(loss, 4) if np.isfinite(loss) else None])
    return history


def _grown(i):
    window = GROWING[max(begin for begin in GROWING if begin <= i)]
    return window, window


def late(history):
    """The mean loss over the last pass through the text; infinite where training broke down."""
    losses = [loss for _, _, loss in history[-13:]]
    return float("inf") if None in losses else float(np.mean(losses))


def main():
    """Run what is missing: first the grid on one seed, then the others at the best rate."""
    runs = json.loads(RESULTS.read_text()) if RESULTS.exists() else []

    def result(pair, rate, seed):
        for one in runs:
            if (one["pair"], one["rate"], one["seed"]) == (list(pair) if pair != "growing" else pair, rate, seed):
                return late(one["history"])
        history = run(pair, rate, seed)
        runs.append({"pair": pair if pair == "growing" else list(pair), "rate": rate, "seed": seed, "history": history})
        RESULTS.write_text("[\n" + ",\n".join(json.dumps(one, separators=(",", ":")) for one in runs) + "\n]\n")
        print(f"{pair}, rate {rate:g}, seed {seed}: {late(history):.3f}", flush=True)
        return late(history)

    for pair in [*PAIRS, "growing"]:
        low, high = 2, 3  # from the middle of the grid outwards, until the best is inside
        while True:
            at = {rate: result(pair, rate, CHOSEN_ON) for rate in GRID[low : high + 1]}
            best = GRID.index(min(at, key=at.get))
            if low < best < high or (best == low == 0) or (best == high == len(GRID) - 1):
                break
            low, high = min(low, max(best - 1, 0)), max(high, min(best + 1, len(GRID) - 1))
        for seed in JUDGED_ON:
            result(pair, GRID[best], seed)


if __name__ == "__main__":
    main()
