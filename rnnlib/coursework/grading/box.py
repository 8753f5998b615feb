"""The command line of bubblewrap: no network, no files but Python's and rnnlib's, read only, and the kernel's own limits."""

import json
import os
import shutil
import site
import subprocess
import sys
import sysconfig
import tempfile
from functools import cache
from pathlib import Path

from rnnlib.coursework import withheld

MIB = 2**20
SHARED = 64  # MiB of /dev/shm


@cache
def require_sandbox() -> None:
    """Raise unless bubblewrap works on this machine.

    Raises:
        RuntimeError: it is not installed, or may not make namespaces; the message says what to do.
    """
    what_then = "Or grade without it, for code that you trust as your own: --without-sandbox."
    if shutil.which("bwrap") is None:
        raise RuntimeError(f"grading: bubblewrap (bwrap) is not installed. Try apt install bubblewrap. {what_then}")
    tried = subprocess.run(
        [*_BOX, *_no_namespaces(), *_mounts(1), sys.executable, "-c", ""], capture_output=True, text=True, check=False
    )
    if tried.returncode:
        raise RuntimeError(f"grading: bubblewrap does not work here: {tried.stderr.strip()[:300]}. {what_then}")


_BOX = [
    "bwrap",
    "--unshare-all",
    "--unshare-user",
    "--die-with-parent",
    "--new-session",
    "--cap-drop",
    "ALL",
    "--clearenv",
]


@cache
def _no_namespaces():
    """What keeps it from namespaces of its own, in which it could mount memory that nobody counts; bubblewrap has it from 0.8 on."""
    said = subprocess.run(["bwrap", "--help"], capture_output=True, text=True, check=False)
    return ["--disable-userns"] if "--disable-userns" in said.stdout + said.stderr else []


def command(limits, folder: str, sandboxed: bool, bare: str = "") -> list[str]:
    """Give the command line that starts a worker.

    Args:
        limits: see `sandbox.Limits`.
        folder: for its files, where there is no sandbox.
        sandboxed: whether bubblewrap is around it.
        bare: a problem set, whose answers must not use all of rnnlib; "" for all of it.

    Returns:
        The command and its arguments.
    """
    kernel = {
        "RLIMIT_AS": (limits.memory + 4096) * MIB,  # XLA asks for far more addresses than it touches
        "RLIMIT_CPU": int(limits.total) * 4,
        "RLIMIT_FSIZE": limits.files * MIB,
        "RLIMIT_CORE": 0,
        "RLIMIT_NOFILE": 256,
        "RLIMIT_NPROC": 4096,  # of a user, threads included; root has none, and is watched alone
    }
    worker = [sys.executable, "-m", "rnnlib.coursework.grading.worker", json.dumps(kernel)]
    if not sandboxed:
        return worker
    settings = [part for item in environment("/tmp", bare).items() for part in ("--setenv", *item)]
    return [*_BOX, *_no_namespaces(), *settings, *_mounts(limits.files, bare), *worker]


@cache
def _package(bare):
    """The folder that rnnlib is imported from; of a bare one, written once, what holds it as long as this process lives."""
    if not bare:
        return Path(__file__).parents[3], None
    folder = tempfile.TemporaryDirectory(prefix=f"rnnlib-{bare}-", ignore_cleanup_errors=True)
    withheld.write_bare(bare, Path(folder.name))
    return Path(folder.name), folder


def _mounts(files, bare=""):
    """What can be seen inside: Python, its packages and rnnlib, read only, and some MiB for files; no home and no course."""
    package, whole = _package(bare)[0], Path(__file__).parents[2]
    seen = {"/usr", sys.prefix, sys.base_prefix, str(Path(sys.executable).resolve().parents[1])}
    seen |= {path for path in (*sysconfig.get_paths().values(), *site.getsitepackages()) if Path(path).exists()}
    seen |= {str(package / "rnnlib")}
    mounts = ["--size", str(files * MIB), "--tmpfs", "/tmp"]
    for path in sorted(seen):  # a folder comes before what lies in it, /tmp before all
        mounts += ["--ro-bind", path, path]
    for name in withheld.outside(bare) if bare else ():  # over what is withheld there is something that says so
        for site_packages in map(Path, sorted({*site.getsitepackages(), sysconfig.get_path("purelib")})):
            inside = not any(Path(name).is_relative_to(other) for other in withheld.outside(bare) if other != name)
            if inside and (site_packages / name).is_dir():
                mounts += ["--ro-bind", str(package / name), str(site_packages / name)]
    if bare and any(whole.is_relative_to(path) for path in seen):
        mounts += ["--ro-bind", str(package / "rnnlib"), str(whole)]
    for path in ("/lib", "/lib64", "/bin"):
        if Path(path).is_symlink():
            mounts += ["--symlink", os.readlink(path), path]
        elif Path(path).exists():
            mounts += ["--ro-bind", path, path]
    mounts += ["--proc", "/proc", "--ro-bind", "/proc/sys", "/proc/sys"]
    mounts += ["--dev", "/dev", "--size", str(SHARED * MIB), "--tmpfs", "/dev/shm"]
    return [*mounts, "--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/tmp"]


def environment(folder: str, bare: str = "") -> dict[str, str]:
    """Give all environment variables of a worker."""
    return {
        "PYTHONPATH": str(_package(bare)[0]),
        "PATH": "/usr/bin:/bin",
        "HOME": folder,
        "TMPDIR": folder,
        "MPLCONFIGDIR": f"{folder}/matplotlib",
        "IPYTHONDIR": f"{folder}/ipython",
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "OPENBLAS_NUM_THREADS": "1",
        "JAX_PLATFORMS": "cpu",
        "LC_ALL": "C.UTF-8",
        "PYTHONSAFEPATH": "1",
    }
