"""Measure gradients, speed and memory on this machine: `make bench`; `make peers` installs what rnnlib is compared with.

    python -m tests.benchmarks [--seconds 8] [PART ...]

Each case is a process of its own, and its row is written to build/bench.json as soon as it is there: a run that was cut off goes on
where it stopped, a finished one is followed by a new one. Parts that are named are measured anew, and nothing else. `make results
KEEP=bench` keeps the record and writes RESULTS.md.
"""

import argparse
import json
import os
from datetime import date
from typing import NamedTuple

from tests.benchmarks import CORES, figures, measured
from tests.benchmarks.compilation import LENGTHS
from tests.benchmarks.memory import FORMS
from tests.benchmarks.products import SIZES
from tests.benchmarks.ways import CASES
from tests.results.records import BENCH, machine, write

PARTS = ("gradients", "steps", "products", "memory", "compilation")


class Case(NamedTuple):
    """What one process measures."""

    part: str  # the module that does it
    args: tuple
    threads: int = 1


def cases(seconds):
    """All of them, in order."""
    counts = [1, 2] if len(CORES) > 1 else [1]
    return [
        Case("gradients", (30,)),
        *(Case("steps", (i, seconds), threads) for threads in counts for i in range(len(CASES))),
        *(Case("products", (i, seconds)) for i in range(len(SIZES))),
        *(Case("memory", (form, T)) for T in (1000, 10_000, 100_000) for form in FORMS),
        *(Case("compilation", (name, T)) for name, lengths in LENGTHS.items() for T in lengths),
    ]


def begun(seconds, parts):
    """The record to go on with: the last one, if it is not finished, or if only parts of it are asked for."""
    new = {"command": "make bench", "date": date.today().isoformat(), "machine": machine(), "seconds": seconds}
    old = json.loads(BENCH.read_text()) if BENCH.exists() else {"finished": True}
    same = all(old.get(key) == new[key] for key in ("machine", "seconds"))
    if not same or (old["finished"] and not parts):
        return new | {"finished": False, "rows": []}
    return old | {"rows": [row for row in old["rows"] if row["part"] not in parts]}


def main():
    """Measure what is not in the record yet."""
    parser = argparse.ArgumentParser()
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--seconds", type=float, default=8.0, help="how long a timed case takes, set-up apart")
    asked = parser.parse_args()
    if unknown := set(asked.parts) - set(PARTS):
        parser.error(f"there is no part {', '.join(unknown)}; there are {', '.join(PARTS)}")
    record, wanted = begun(asked.seconds, asked.parts), cases(asked.seconds)
    there = [row["case"] for row in record["rows"]]
    for i, case in enumerate(wanted, 1):
        key = [*case.args, case.threads]
        if (asked.parts and case.part not in asked.parts) or [case.part, *key] in there:
            continue
        print(f"{i} of {len(wanted)}: {case.part} {case.args}, {case.threads} thread(s)", flush=True)
        about = {"part": case.part, "case": [case.part, *key], "threads": case.threads, "load": os.getloadavg()[0]}
        record["rows"].append(about | measured(case.part, case.args, case.threads))
        record["finished"] = len(record["rows"]) == len(wanted)
        write(BENCH, record)
    if record["finished"]:
        figures.draw(record["rows"])
    print(f"in {BENCH.relative_to(BENCH.parents[1])}; make results KEEP=bench keeps it and writes RESULTS.md")


if __name__ == "__main__":
    main()
