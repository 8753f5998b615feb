"""What `make bench` measures. Nothing here runs in a test: a clock never decides one."""

import json
import os
import subprocess
import sys

CORES = (
    sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [*range(os.cpu_count())]
)  # the first on Linux
PIN = "import os, sys; os.sched_setaffinity(0, map(int, sys.argv[1].split(','))); os.execv(sys.argv[2], sys.argv[2:])"


def environment(threads):
    """Libraries with so many threads, and a malloc that keeps its memory: else page faults are timed, for all ways alike."""
    pools = ("OMP", "OPENBLAS", "MKL", "NUMBA")
    one = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1" if threads == 1 else ""
    malloc = {"ARENA_MAX": "1", "MMAP_MAX_": "0", "TRIM_THRESHOLD_": "2147483647", "TOP_PAD_": "268435456"}
    return {
        **os.environ,
        **{f"{pool}_NUM_THREADS": str(threads) for pool in pools},
        **{f"MALLOC_{name}": value for name, value in malloc.items()},
        "XLA_FLAGS": f"{os.environ.get('XLA_FLAGS', '')} {one}".strip(),
    }


def measured(module, args, threads=1):
    """The row that a module of this package prints, run in a process of its own on so many cores."""
    command = [sys.executable, "-m", f"tests.benchmarks.{module}", *map(str, args)]
    if hasattr(os, "sched_setaffinity"):
        command = [sys.executable, "-c", PIN, ",".join(map(str, CORES[-threads:])), *command]
    return json.loads(subprocess.run(command, env=environment(threads), stdout=subprocess.PIPE, check=True).stdout)
