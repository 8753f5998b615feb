"""Kernels for tests: fresh, with settings of their own, and without the network."""

import asyncio
import os
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
from nbclient import NotebookClient

SETTINGS = {
    "MALLOC_ARENA_MAX": "1",
    "XLA_FLAGS": "--xla_cpu_use_fusion_emitters=false",
}  # as in jupyter_server_config.py
DEAD_END = "http://127.0.0.1:9"  # nobody listens there

# IPython runs this before a notebook's first cell.
OFFLINE = """
import sys

def _offline(event, arguments):
    if event not in ("socket.connect", "socket.getaddrinfo"):
        return
    host = arguments[1][0] if event == "socket.connect" and isinstance(arguments[1], tuple) else arguments[0]
    if isinstance(host, str) and host not in ("localhost", "127.0.0.1", "::1"):
        raise OSError(f"chapters run without the network, and this one wants {host}")

sys.addaudithook(_offline)
"""


def offline(folder: Path) -> dict[str, str]:
    """The environment of a kernel that keeps its settings in `folder` and can't reach the network."""
    startup = folder / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "offline.py").write_text(OFFLINE)
    proxies = {f"{name}_proxy": DEAD_END for name in ("http", "https", "all")}
    own = {"IPYTHONDIR": str(folder), "no_proxy": "localhost,127.0.0.1"}
    return {**SETTINGS, **os.environ, **proxies, **{name.upper(): DEAD_END for name in proxies}, **own}


def compiled_in(folder: Path) -> dict[str, str]:
    """The settings with which JAX keeps in `folder` whatever it compiles, and looks there first."""
    least = {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0", "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1"}
    return {"JAX_COMPILATION_CACHE_DIR": str(folder), **least}


@asynccontextmanager
async def running(notebook, where: Path, folder: Path):
    """A client with a fresh kernel for `notebook`, working in `where`; `await client.async_execute_cell(cell, i)` runs a cell."""
    resources = {"metadata": {"path": str(where)}}
    client = NotebookClient(notebook, timeout=300, record_timing=False, resources=resources)
    client.reset_execution_trackers()
    async with client.async_setup_kernel(env=offline(folder)):
        yield client


def run(notebook, where: Path, folder: Path):
    """Run all cells as `running` does, on to the end whatever fails; errors are among the outputs."""

    async def run_all():
        async with running(notebook, where, folder) as client:
            client.allow_errors = True
            for i, cell in enumerate(notebook.cells):
                await client.async_execute_cell(cell, i)

    asyncio.run(run_all())


def peak_mib(pid: int) -> float:
    """The most memory a process has held so far, in MiB; where the system does not tell, what it holds now."""
    status = Path(f"/proc/{pid}/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    return psutil.Process(pid).memory_info().rss / 2**20
