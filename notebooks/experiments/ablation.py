"""What of Hessian-free training matters where: one part left out or changed at a time.

    python notebooks/experiments/ablation.py      (about a quarter of an hour on two cores)

Nets, tasks, settings and success are those of pathological.py with structural damping; a budget of BUDGET seconds of processor time on one
thread. Results go to results/ablation.json, a list of runs; what is there already is not run again.
"""

import json
from itertools import product
from pathlib import Path

from pathological import SEEDS, TASKS, in_parallel, reached, second_order, tester

RESULTS = Path(__file__).parent / "results" / "ablation.json"
CASES, BUDGET = (("5 bits", 100), ("temporal order, 3 symbols", 50)), 30
CHANGES = {
    "as it is": {},
    "no structural damping": {"structural": 0.0},
    "no preconditioner": {"exponent": 0.0},
    "no warm start": {"warm_start": 0.0},
    "a fifth of the sequences": {"batches": 1 / 5},
    "three times the sequences": {"batches": 3},
    "at most 30 iterations": {"iterations": 30},
}


def run(setting):
    """One run: what it reached within its budget."""
    return changed(setting, CHANGES, seconds=BUDGET)


def changed(setting, changes, **budget):
    """One run with a change, of which "batches" is a factor for the task's own."""
    name, T, change, seed = setting.values()
    task, options = TASKS[name], dict(changes[change])
    if "batches" in options:
        options["batches"] = [round(size * options["batches"]) for size in task.batches[T]]
    return setting | reached(second_order(task, T, seed, **options), tester(task, T, seed), **budget)


def main():
    """Run what is not stored yet."""
    runs = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    settings = [{"task": n, "T": T, "setting": c, "seed": s} for s, (n, T), c in product(SEEDS, CASES, CHANGES)]
    in_parallel(run, [s for s in settings if not any(s.items() <= r.items() for r in runs)], runs, RESULTS)


if __name__ == "__main__":
    main()
