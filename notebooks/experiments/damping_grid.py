"""What the two dampings of chapter 13 do to its small task: the first λ, the price μ on the states, and which states have the price.

    python notebooks/experiments/damping_grid.py      (about five minutes on one core)

Five bits over a pause of 10 steps, 12 tanh units, one fixed batch of 64 sequences, no warm start and no preconditioner, as in the chapter;
a run ends when no sequence of its batch is missed, or after UPDATES updates. What it cost is counted in gradients of the whole batch.
Results go to results/damping_grid.json, a list of runs; what is there already is not run again.
"""

import json
from itertools import product
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from rnnlib import hessian_free, losses, starts, tasks
from rnnlib.cells import init_elman
from rnnlib.unroll import unroll_states

RESULTS = Path(__file__).parent / "results" / "damping_grid.json"
DAMPINGS, PRICES, SEEDS = (0.001, 0.01, 0.1, 1.0, 10.0), (0.0, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0), range(6)
HELD = {  # at μ = 10, λ = 0.1; of 20 steps 5 show the word, 10 are the pause and the cue, 5 the answer
    "states": lambda ys, hs: hs,
    "outputs": lambda ys, hs: ys,
    "pause": lambda ys, hs: hs[5:15],
    "answer": lambda ys, hs: hs[15:],
}
UPDATES, B, H = 40, 64, 12
PLAIN = hessian_free.HessianFree(iterations=100, warm_start=0.0, exponent=0.0)


def small(seed, pause=10):
    """The net as it begins, and its batch."""
    rng = np.random.default_rng(seed)
    net = init_elman(4, H, 3, rng=rng)
    net = net._replace(W_hh=starts.orthogonal(H, rng=rng), W_xh=0.3 * rng.standard_normal((4, H)))
    return net, jax.tree.map(jnp.asarray, tasks.memorisation(pause, B, rng=rng))


def outputs(params, batch):
    """Outputs and states, all steps."""
    return unroll_states(params, batch.xs)


def loss(ys, batch):
    """The loss of the task."""
    return losses.softmax_cross_entropy(ys, batch.targets, batch.weights)


@jax.jit
def all_right(params, batch):
    """Whether no sequence of the batch is missed."""
    return (outputs(params, batch)[0].argmax(-1) == batch.targets).all()


def run(update, damping, seed):
    """Train one net; say whether it got there, in how many updates, at what cost."""
    params, batch = small(seed)
    learner = hessian_free.start(params, PLAIN._replace(damping=damping)).learner
    made, spent, solved = 0, 0.0, False
    while made < UPDATES and not solved:
        learner, report = update(learner, batch, batch)
        made, spent, solved = made + 1, spent + float(report["evaluations"]) / B, bool(all_right(learner.params, batch))
    return {"solved": solved, "updates": made, "gradients": round(spent)}


def updater(price, held):
    """The compiled update with this price on that."""

    def run_and_hold(params, batch):
        ys, hs = outputs(params, batch)
        return ys, HELD[held](ys, hs)

    return hessian_free.updates(run_and_hold, loss, PLAIN._replace(structural=price))


def main():
    """Run what is not stored yet."""
    runs = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    cases = [(price, "states", DAMPINGS) for price in PRICES] + [(10.0, held, (0.1,)) for held in HELD]
    for price, held, dampings in cases:
        update = updater(price, held)
        for damping, seed in product(dampings, SEEDS):
            setting = {"structural": price, "held": held, "damping": damping, "seed": seed}
            if not any(setting.items() <= done.items() for done in runs):
                runs.append(setting | run(update, damping, seed))
        RESULTS.write_text("[\n" + ",\n".join(f" {json.dumps(done)}" for done in runs) + "\n]\n")
        some = [done["solved"] for done in runs if (done["structural"], done["held"]) == (price, held)]
        print(f"μ = {price:g} on the {held}: {sum(some)} of {len(some)} solved")


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    main()
