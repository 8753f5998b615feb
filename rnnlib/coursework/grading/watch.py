"""What a worker's processes take: memory, a core's time; and which core is theirs."""

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Lock

import psutil

SOCKET = 416 * 1024  # bytes that wait in one at the most, where the system's settings are Linux's own
_taken, _lock = Counter(), Lock()  # how many workers of this process are on each core


def family(pid: int) -> list[psutil.Process]:
    """List a process and all that descend from it; nobody once it is gone."""
    with suppress(psutil.Error):
        first = psutil.Process(pid)
        return [first, *first.children(recursive=True)]
    return []


def held(processes: list[psutil.Process]) -> int:
    """Count the bytes of memory of processes: resident, swapped out, in sockets, and in files that are memory and have no name."""
    total, files = 0, {}
    for process in processes:
        with suppress(psutil.Error, OSError):
            total += process.memory_info().rss
            total += _swapped(process.pid)
            for entry in os.scandir(f"/proc/{process.pid}/fd"):
                with suppress(OSError):
                    leads = os.readlink(entry.path)
                    total += SOCKET * leads.startswith("socket:")
                    if leads.startswith("/memfd:"):
                        found = entry.stat()
                        files[found.st_ino] = 512 * found.st_blocks
    return total + sum(files.values())


def worked(processes: list[psutil.Process]) -> float:
    """Add up the seconds that processes, and those of theirs that have ended, had a core."""
    total = 0.0
    for process in processes:
        with suppress(psutil.Error):
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


def busy(core: int | None) -> float:
    """Tell for how many seconds, since the machine was started, a core has had something to do; infinity where it is not known which."""
    if core is None or not hasattr(psutil, "cpu_times"):
        return float("inf")
    times = psutil.cpu_times(percpu=True)[core]
    return sum(times[:8]) - times.idle - getattr(times, "iowait", 0.0)


def cores() -> int:
    """Count the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def on_a_core() -> Iterator[int | None]:
    """Keep what is started within to one core, the one with the fewest workers.

    Yields:
        The core, to be given to `leave`; None where no process can be kept to one (macOS).
    """
    if not hasattr(os, "sched_setaffinity"):
        yield None
        return
    allowed = os.sched_getaffinity(0)  # of this thread, and so of what it starts
    with _lock:
        core = min(sorted(allowed, key=lambda one: (one + os.getpid()) % len(allowed)), key=_taken.__getitem__)
        _taken[core] += 1
    try:
        os.sched_setaffinity(0, {core})
        yield core
    except BaseException:
        leave(core)
        raise
    finally:
        os.sched_setaffinity(0, allowed)


def leave(core: int | None) -> None:
    """Say that a worker on this core has ended."""
    with _lock:
        _taken[core] -= 1


def _swapped(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as file:
        return sum(int(line.split()[1]) * 1024 for line in file if line.startswith("VmSwap:"))
