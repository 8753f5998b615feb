"""Remember the first of a hundred bits: ten starts of three cells, each at its own best rate, with the same biases for both gated cells.

    python notebooks/experiments/first_bit.py      (`make experiments`; about ten minutes of one core)

All nets have about 2,600 numbers. Each is trained on 600 batches of 16 sequences with Adam, clipped at 1, at seven rates and from five seeds;
nets of one seed see the same bits. The rate of a start is the one whose mean loss on fresh sequences is lowest over seeds 0 and 1, and the
others judge it. What is stored of each run is its loss and the share that it misses, on 1000 fresh sequences: for choosing other ones than for
judging, after 300 updates and after 600. Results go to results/first_bit.json, a list of runs; a start and rate that are there are not run again.
"""

import json
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax

from rnnlib import cells, losses, starts, tasks, train
from rnnlib.unroll import unroll_scan

RESULTS = Path(__file__).parent / "results" / "first_bit.json"
T, B, UPDATES, STRETCH = 100, 16, 600, 100
RATES, SEEDS, CHOSEN_ON = (3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1), range(5), (0, 1)
LOG_T = float(np.log(T))


def elman(rng, quiet):
    """48 tanh units as drawn, or with an orthogonal matrix and inputs ten times smaller."""
    net = cells.init_elman(1, 48, 2, rng=rng, dtype=np.float32)
    W_hh = starts.orthogonal(48, rng=rng, dtype=np.float32)
    return net._replace(W_hh=W_hh, W_xh=net.W_xh / 10) if quiet else net


def lstm(rng, forget, into=0.0):
    """24 cells."""
    net = cells.init_lstm(1, 24, 2, rng=rng, forget_bias=forget, dtype=np.float32)
    net.b_h[:24] = into
    return net


def chrono(rng):
    """24 cells, each with biases for a lag of its own: Tallec and Ollivier (2018)."""
    net, u = lstm(rng, 1.0), rng.uniform(1, T - 1, size=24)
    net.b_h[:24], net.b_h[24:48] = -np.log(u), np.log(u)
    return net


def gru(rng, keep):
    """28 units; 1 - z is tied to z, so a bias to keep is one not to write."""
    net = cells.init_gru(1, 28, 2, rng=rng, dtype=np.float32)
    net.b_h[28:56] = keep
    return net


STARTS = {
    "Elman, as drawn": partial(elman, quiet=False),
    "Elman, orthogonal and quiet": partial(elman, quiet=True),
    "LSTM, bias 0": partial(lstm, forget=0.0),
    "LSTM, bias 1": partial(lstm, forget=1.0),
    "LSTM, bias log T": partial(lstm, forget=LOG_T),
    "LSTM, paired": partial(lstm, forget=LOG_T, into=-LOG_T),
    "GRU, bias 0": partial(gru, keep=0.0),
    "GRU, bias 1": partial(gru, keep=1.0),
    "GRU, bias log T": partial(gru, keep=LOG_T),
    "LSTM, chrono": chrono,
}


def batches(stretch, seed):
    """xs (STRETCH, T, B, 1) and the answers (STRETCH, B)."""
    batch = tasks.first_bit(T, STRETCH * B, rng=np.random.default_rng((stretch, seed)))
    xs = batch.xs.astype(np.float32).reshape(T, STRETCH, B, 1)
    return np.moveaxis(xs, 1, 0), batch.targets[-1].astype(np.int32).reshape(STRETCH, B)


def objective(params, state, xs, answers):
    """Softmax cross-entropy after the last step."""
    ys, _ = unroll_scan(params, xs)
    return losses.softmax_cross_entropy(ys[-1:], answers[None]), None


def optimiser(rate):
    """The rate is part of the optimiser's state, so that nets of all rates train side by side."""
    return optax.chain(optax.clip_by_global_norm(1.0), optax.inject_hyperparams(optax.adam)(learning_rate=rate))


@jax.jit
def judged(params, xs, answers):
    """Of one net: the loss, and the share of sequences it misses."""
    ys = unroll_scan(params, xs)[0][-1:]
    return losses.softmax_cross_entropy(ys, answers[None]), (ys[0].argmax(-1) != answers).mean()


def run(name, rates):
    """Train one start at some rates, from all seeds, side by side."""
    pairs = [(rate, seed) for rate in rates for seed in SEEDS]
    learners = [train.start(optimiser(rate), STARTS[name](np.random.default_rng(seed))) for rate, seed in pairs]
    learners = jax.tree.map(lambda *leaves: jnp.stack(leaves), *learners)
    along = jax.jit(jax.vmap(train.updates(objective, optimiser(0.0))))
    runs = [{"start": name, "rate": rate, "seed": seed} for rate, seed in pairs]
    for stretch in range(UPDATES // STRETCH):
        of_seed = [batches(stretch, seed) for seed in SEEDS]
        data = [np.stack([of_seed[seed][k] for _, seed in pairs]) for k in (0, 1)]
        learners, _ = along(learners, *data)
        made = STRETCH * (stretch + 1)
        if made in (300, UPDATES):
            for i, one in enumerate(runs):
                params = jax.tree.map(lambda leaf, i=i: leaf[i], learners.params)
                one[f"after {made}"] = _scores(params, one["seed"])
    return runs


def _scores(params, seed):
    fresh = tasks.first_bit(T, 1000, rng=np.random.default_rng(98 if seed in CHOSEN_ON else 99))
    loss, missed = judged(params, fresh.xs.astype(np.float32), fresh.targets[-1].astype(np.int32))
    return {"loss": round(float(loss), 4), "missed": round(float(missed), 4)}


def main():
    """Run the starts that are not stored yet."""
    runs = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    for name in STARTS:
        done = {one["rate"] for one in runs if one["start"] == name}
        if missing := [rate for rate in RATES if rate not in done]:
            runs += run(name, missing)
            RESULTS.write_text("[\n" + ",\n".join(map(json.dumps, runs)) + "\n]\n")
            solved = sum(one[f"after {UPDATES}"]["missed"] < 0.01 for one in runs if one["start"] == name)
            print(f"{name}: solved by {solved} of {len(RATES) * len(SEEDS)} runs, over all rates", flush=True)


if __name__ == "__main__":
    main()
