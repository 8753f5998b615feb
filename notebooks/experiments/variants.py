"""Hessian-free training as it was published, as others built it, and with what might be better: one part changed at a time.

    python notebooks/experiments/variants.py      (about an hour on two cores)

As ablation.py, with more parts, and counted in gradients: nets, tasks, settings and success are those of pathological.py with structural
damping, and a run ends when its task is solved or BUDGET gradients of one sequence are spent. Results go to results/variants.json, a list of
runs; what is there already is not run again.
"""

import json
from itertools import product
from pathlib import Path

from ablation import changed
from pathological import in_parallel

from rnnlib.quadratic import matching_distance

RESULTS = Path(__file__).parent / "results" / "variants.json"
CASES, SEEDS = (("5 bits", 100), ("temporal order, 3 symbols", 50)), (0, 1, 2)
BUDGET = 300_000
CHANGES = {
    "as it is": {},
    "no structural damping": {"structural": 0.0},
    "structural damping by the matching loss": {"distance": matching_distance},
    "no preconditioner": {"exponent": 0.0},
    "a preconditioner that knows the structural term": {"structural_diagonal": True},
    "no warm start": {"warm_start": 0.0},
    "all iterates tried": {"everywhere": True},
    "the published stop, a progress of 5e-4": {"progress": 5e-4},
    "at most 30 iterations": {"iterations": 30},
    "at most 300 iterations": {"iterations": 300},
    "a fifth of the sequences": {"batches": 1 / 5},
    "three times the sequences": {"batches": 3},
}


def run(setting):
    """One run: what it reached within its budget."""
    return changed(setting, CHANGES, gradients=BUDGET)


def main():
    """Run what is not stored yet."""
    runs = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    settings = [{"task": n, "T": T, "setting": c, "seed": s} for s, (n, T), c in product(SEEDS, CASES, CHANGES)]
    in_parallel(run, [s for s in settings if not any(s.items() <= r.items() for r in runs)], runs, RESULTS)


if __name__ == "__main__":
    main()
