"""Hessian-free training to the end: the pathological tasks at T = 200 on a budget of gradients, one net and one set of settings for all.

    python notebooks/experiments/long_lags.py      (hours on two cores)

Nets and success are those of pathological.py, with what it leaves to each task chosen once: recurrent weights orthogonal, at most 300
iterations of conjugate gradients an update. Input weights have a standard deviation of 0.3 where numbers or bits are marked, 0.1 where symbols
are random, 0.05 where they are blank; λ and μ begin at 0.1, but at 0.01 and 30 for the words and the first bit, as there.

A run ends when the task is solved or BUDGET gradients of one sequence are spent; a run that is interrupted is begun anew. Results go to
results/long_lags.json, a list of runs, each with what was missed along the way; what is there already is not run again.
"""

import json
from functools import partial
from itertools import product
from pathlib import Path

from pathological import SEEDS, TASKS, Task, in_parallel, second_order, tester

from rnnlib import tasks

RESULTS = Path(__file__).parent / "results" / "long_lags.json"
T, BUDGET = 200, 4_000_000
marked = partial(Task, start="orthogonal", inputs=0.3, batches={T: (1000, 500)})
LONG = {
    "first bit": TASKS["first bit"],
    "temporal order": TASKS["temporal order"],
    "5 bits": TASKS["5 bits"],
    "adding": marked(tasks.adding, 1, tolerance=0.16),
    "permutation": Task(tasks.permutation, 100, "orthogonal", 0.1, {T: (1000, 500)}),
    "20 bits": TASKS["20 bits"],
    "xor": marked(tasks.xor, 2),
    "temporal order, 3 symbols": TASKS["temporal order, 3 symbols"],
    "multiplication": marked(tasks.multiplication, 1),
}


def run(setting):
    """One run: the share of sequences missed after each update, until it is below 1 % or the budget is spent."""
    name, seed = setting.values()
    test, way = tester(LONG[name], T, seed), []
    for params, updates, gradients, seconds in second_order(LONG[name], T, seed, iterations=300):
        way.append([round(gradients), round(test(params), 4)])
        solved = way[-1][1] < 0.01
        spent = {"updates": updates, "gradients": way[-1][0], "seconds": round(seconds)}
        if solved or gradients > BUDGET:
            break
    return setting | {"solved": solved} | spent | {"missed": way}


def main():
    """Run what is not stored yet, one seed of all tasks before the next."""
    runs = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    settings = [{"task": name, "seed": seed} for seed, name in product(SEEDS, LONG)]
    in_parallel(run, [s for s in settings if not any(s.items() <= r.items() for r in runs)], runs, RESULTS)


if __name__ == "__main__":
    main()
