"""Each of pytest's workers, and whatever it starts, keeps to one core: XLA's threads on shared cores wait for each other.

A plugin, named in pyproject.toml. On two cores, chapter 06 takes 117 s of processor time on one of them and 172 s on both.
"""

import os


def pytest_configure(config):
    """Take the core whose turn it is, where the system lets a process choose."""
    worker = getattr(config, "workerinput", {}).get("workerid", "")
    if worker and hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[int(worker.removeprefix("gw")) % len(cores)]})
