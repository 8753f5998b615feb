"""The command line of bubblewrap: no network, no files but Python's and rnnlib's, read only, and the kernel's own limits."""

import compileall
import json
import os
import shutil
import site
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from rnnlib.coursework import withheld
from rnnlib.coursework.grading import cgroup, packages, seccomp

MIB = 2**20
SHARED = 64  # MiB of /dev/shm
# What every worker imports sooner or later
IMPORTED = """
import matplotlib.pyplot, matplotlib_inline.backend_inline, rnnlib.figures, rnnlib.coursework.questions
from rnnlib.coursework.grading import worker
worker._shell()
"""


@cache
def require_sandbox() -> None:
    """Raise unless bubblewrap works on this machine.

    Raises:
        RuntimeError: it is not installed, or may not make namespaces; the message says what to do.
    """
    what_then = "Or grade without it, for code that you trust as your own: --without-sandbox."
    if shutil.which("bwrap") is None:
        raise RuntimeError(f"grading: bubblewrap (bwrap) is not installed. Try apt install bubblewrap. {what_then}")
    with kernel_filter() as calls:
        box = [*_BOX, *_no_namespaces(), *_refused(calls), *_mounts(1)]
        tried = subprocess.run(
            [*box, sys.executable, "-c", ""], capture_output=True, text=True, check=False, pass_fds=calls
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


@cache
def _made_ahead():
    """Compile beside their sources what all workers import, and list the fonts, which each would do anew in its box: seconds.

    Outside the box, but it is the course's own code that runs. The folder holds matplotlib's list; it is gone when this process ends.
    """
    folder = tempfile.TemporaryDirectory(prefix="ahead-", ignore_cleanup_errors=True)
    subprocess.run(
        [sys.executable, "-c", IMPORTED],
        env=environment(folder.name),
        cwd=folder.name,
        capture_output=True,
        check=False,
    )
    return folder


@contextmanager
def kernel_filter() -> Iterator[tuple[int, ...]]:
    """Open the filter of `seccomp` for bubblewrap to read: its descriptor, or none where this machine's calls are not known."""
    steps = seccomp.program()
    if not steps:
        yield ()
        return
    read, write = os.pipe()
    try:
        os.write(write, steps)
        os.close(write)
        yield (read,)
    finally:
        os.close(read)


def _refused(calls):
    return [part for fd in calls for part in ("--seccomp", str(fd))]


def command(limits, calls: tuple[int, ...], sandboxed: bool, bare: str = "") -> list[str]:
    """Give the command line that starts a worker.

    Args:
        limits: see `limits.Limits`.
        calls: what `kernel_filter` opened.
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
    # the watcher has the words and comes first; the group holds files in memory too
    group = cgroup.scope(limits.memory + limits.files + SHARED, 16 * limits.processes) if cgroup.available() else []
    return [*group, *_BOX, *_no_namespaces(), *_refused(calls), *settings, *_mounts(limits.files, bare), *worker]


def counted_by() -> str:
    """Say in a line how memory is kept within its limit here."""
    if cgroup.available():
        return "memory: a control group for each submission, made by systemd"
    return "memory: watched twenty times a second (systemd gives no control group here; see the guide for what is not seen)"


def require_hidden(*places: Path) -> None:
    """Raise if a sandbox would show one of these, or a home.

    Args:
        places: the course, the seed.

    Raises:
        RuntimeError: one lies in what every submission sees; the message says where, and what to try.
    """
    shown = [Path(path).resolve() for path in (*_seen(), "/lib", "/lib64", "/bin")]
    for place in (*places, *_homes()):
        for path in shown:
            if place.resolve().is_relative_to(path):
                raise RuntimeError(
                    f"grading: submissions would see {place}, as it lies in {path}, where Python or rnnlib is, which must be "
                    "seen. The course, the seed and every home must lie elsewhere. Move it, or set Python up in another folder."
                )


def _homes():
    """This user's home, and those of all people of this machine."""
    with suppress(ImportError):  # not a Unix
        import pwd

        yield from (Path(one.pw_dir) for one in pwd.getpwall() if one.pw_uid in (0, *range(1000, 60_000)))
    yield Path.home()


def _seen(package=Path(__file__).parents[3]):
    """Folders that are seen inside: of Python, its packages, and the rnnlib of this folder."""
    seen = {"/usr", sys.prefix, sys.base_prefix, str(Path(sys.executable).resolve().parents[1])}
    seen |= {path for path in (*sysconfig.get_paths().values(), *site.getsitepackages()) if Path(path).exists()}
    return seen | {str(package / "rnnlib")}


@cache
def _package(bare):
    """The folder that rnnlib is imported from; of a bare one, written once, what holds it as long as this process lives."""
    if not bare:
        return Path(__file__).parents[3], None
    folder = tempfile.TemporaryDirectory(prefix=f"rnnlib-{bare}-", ignore_cleanup_errors=True)
    withheld.write_bare(bare, Path(folder.name))
    compileall.compile_dir(folder.name, quiet=2)
    return Path(folder.name), folder


def _mounts(files, bare=""):
    """What can be seen inside: Python, its packages and rnnlib, read only, and some MiB for files; no home and no course."""
    package, whole = _package(bare)[0], Path(__file__).parents[2]
    seen = _seen(package)
    mounts = ["--size", str(files * MIB), "--tmpfs", "/tmp"]
    for path in sorted(seen):  # a folder comes before what lies in it, /tmp before all
        mounts += ["--ro-bind", path, path]
    if bare:
        mounts += _covers(bare, package, whole, seen)
    for path in ("/lib", "/lib64", "/bin"):
        if Path(path).is_symlink():
            mounts += ["--symlink", os.readlink(path), path]
        elif Path(path).exists():
            mounts += ["--ro-bind", path, path]
    for path in Path(_made_ahead().name, "matplotlib").glob("fontlist-*.json"):
        mounts += ["--ro-bind", str(path), f"/tmp/matplotlib/{path.name}"]
    mounts += ["--proc", "/proc", "--ro-bind", "/proc/sys", "/proc/sys"]
    mounts += ["--dev", "/dev", "--ro-bind", "/dev/null", "/dev/zero"]  # a map of zero is memory that nobody counts
    mounts += ["--size", str(SHARED * MIB), "--tmpfs", "/dev/shm"]
    return [*mounts, "--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/tmp"]


def _covers(bare, package, whole, seen):
    """Over what is withheld there is something that says so, and nothing over packages that are not this environment's."""
    ours, mounts = packages.own(), []
    for place in packages.others(seen, ours):
        mounts += ["--tmpfs", str(place), "--remount-ro", str(place)]
    for name in (*withheld.outside(bare), "rnnlib"):
        inside = not any(Path(name).is_relative_to(other) for other in withheld.outside(bare) if other != name)
        for place in ours:
            if inside and (place / name).is_dir():
                mounts += ["--ro-bind", str(package / name), str(place / name)]
    if any(whole.is_relative_to(path) for path in seen):
        mounts += ["--ro-bind", str(package / "rnnlib"), str(whole)]
    return mounts


def environment(folder: str, bare: str = "") -> dict[str, str]:
    """Give all environment variables of a worker; see `command`."""
    return {
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": str(
            _package(bare)[0]
        ),  # this rnnlib, whichever is installed; in the box, of that folder, no more
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
