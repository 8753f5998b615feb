"""A control group for each submission, where systemd gives one: the kernel itself counts memory, also what no process seems to hold."""

import os
import shutil
import subprocess
from functools import cache

MIB = 2**20
SHOWN = "cd /sys/fs/cgroup$(sed -n s/^0:://p /proc/self/cgroup) && cat memory.max pids.max cpu.max"
SESSION = ("XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS")  # how systemd-run finds who makes the group


def scope(memory: int, tasks: int) -> list[str]:
    """Give what stands before a command to run it in a group of its own, on one core's time.

    Args:
        memory: MiB of all kinds, files in memory included; none of it is swapped out.
        tasks: threads of all processes.

    Returns:
        The beginning of a command line.

    Source: systemd-run(1); systemd.resource-control(5).
    """
    limits = {"MemoryMax": f"{memory}M", "MemorySwapMax": "0", "CPUQuota": "100%", "TasksMax": str(tasks)}
    properties = [part for name, value in limits.items() for part in ("-p", f"{name}={value}")]
    return ["systemd-run", "--user", "--scope", "--quiet", "--collect", *properties, "--"]


def kept(shown: str, memory: int, tasks: int) -> bool:
    """Say whether a group keeps what `scope` asked of it: where a controller is not delegated, systemd says nothing.

    Args:
        shown: what `SHOWN` printed in it: its memory.max, pids.max and cpu.max.
        memory: MiB, as asked.
        tasks: as asked.

    Returns:
        Whether all three are in force.

    Example:
        >>> kept("536870912 32 100000 100000", 512, 32), kept("max 32 max 100000", 512, 32)
        (True, False)
    """
    found = shown.split()
    return found[:2] == [str(memory * MIB), str(tasks)] and len(set(found[2:])) == 1 and len(found) == 4


@cache
def available() -> bool:
    """Whether this machine gives groups: one is made, and looked at."""
    if shutil.which("systemd-run") is None:
        return False
    try:
        tried = subprocess.run(
            [*scope(512, 32), "sh", "-c", SHOWN], capture_output=True, text=True, check=False, timeout=20
        )
    except subprocess.TimeoutExpired:
        return False
    return kept(tried.stdout, 512, 32)


def session() -> dict[str, str]:
    """The environment variables that `scope` needs; bubblewrap hands none of them on."""
    return {name: os.environ[name] for name in SESSION if name in os.environ}
