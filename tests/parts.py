"""What some tests need beside Python's packages, a browser and a sandbox: whether it is there, how it is installed, what was left out.

`make test` begins with `python -m tests.parts say browser sandbox`, goes on with `install` once .venv stands, and ends with `left_out`.
The tests ask `why_not`. Nothing here needs more than Python itself.
"""

import json
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
RECORD = ROOT / "build" / "left_out.json"
PACKAGES = {"browser": "chromium", "sandbox": "bubblewrap"}
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
OPEN = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --dump-dom about:blank"
BOX = "--unshare-all --unshare-user --ro-bind / / --proc /proc --dev /dev true"
PLAYWRIGHT = (str(ROOT / ".venv" / "bin" / "python"), "-m", "playwright")
NAMESPACES = (
    "let it make namespaces (a container: start it with --security-opt seccomp=unconfined; "
    "Ubuntu: sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0)"
)


@cache
def browser() -> str:
    """Path of a Chromium that opens a page: the system's, or the headless shell that Playwright has installed; "" for none."""
    return next((path for path in _browsers() if "</html>" in (_output(path, *OPEN.split()) or "")), "")


@cache
def why_not(part: str) -> str:
    """Say why the tests of a part can't run here; "" if they can."""
    if part == "browser":
        return "" if browser() else "no Chromium or Chrome is installed that starts"
    if not shutil.which("bwrap"):
        return "bubblewrap is not installed"
    return (
        ""
        if _output("bwrap", *BOX.split()) is not None
        else "bubblewrap is installed, but may not make namespaces here"
    )


def say(parts: list[str]) -> None:
    """Before anything is done: what is there, what will be installed by whom, what is left out."""
    RECORD.unlink(missing_ok=True)
    for part in parts:
        print(f"{part:8} {_plan(part)}")


def install(parts: list[str]) -> None:
    """Install what is missing and needs no password; where CI is set, what is missing even then is a failure."""
    for part in parts:
        for command in _ways(part) if why_not(part) else ():
            print(f"{part:8} {_short(command)}", flush=True)
            trouble = _trouble(command)
            for known in (browser, why_not, _packages_may_help):
                known.cache_clear()
            if trouble:
                print(f"{part:8} failed: {trouble}", flush=True)
            elif not why_not(part):
                break
    missing = [part for part in parts if why_not(part)]
    for part in missing:
        print(f"{part:8} LEFT OUT: {why_not(part)}. To add it: {remedy([part])}", flush=True)
    if missing and "CI" in os.environ:
        sys.exit("CI is set, so that nothing may be left out.")


def left_out() -> None:
    """At the end: what the record of this run says."""
    counts = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    print("\n".join(told(counts)) if counts else "Nothing was left out.")


def told(counts: dict[str, int]) -> list[str]:
    """Say in lines how many tests were not run, why, and which command adds them."""
    lines = [f"Left out: {count} tests that need a {part}: {why_not(part)}." for part, count in counts.items()]
    return [*lines, f"To add them: {remedy(list(counts))}"]


def remedy(parts: list[str]) -> str:
    """Name the command that adds these parts."""
    if "sandbox" in parts and shutil.which("bwrap"):  # no package helps
        return "; then ".join([*(remedy([part]) for part in parts if part != "sandbox"), NAMESPACES])
    if shutil.which("apt-get"):
        return " ".join([*_as_root("sudo"), *_apt(parts)])
    ways = {
        "browser": f"{_short(PLAYWRIGHT)} install --with-deps --only-shell chromium",
        "sandbox": "install bubblewrap by your system's package manager (there is none for macOS and Windows)",
    }
    return "; then ".join(ways[part] for part in parts)


def _plan(part):
    if not why_not(part):
        return f"there: {browser() if part == 'browser' else shutil.which('bwrap')}"
    ways = ["Playwright's installer is tried (once .venv stands)"] if part == "browser" else []
    ways += ["apt-get is tried"] if _packages_may_help(part) else []
    tried = f"Next {', then '.join(ways)}; if that fails, its tests" if ways else "Its tests"
    return f"MISSING: {why_not(part)}. {tried} are left out. To add it yourself: {remedy([part])}"


def _ways(part):
    """Commands that may bring a part, the next where one did not."""
    if part == "browser":
        yield [*PLAYWRIGHT, "install", "--only-shell", "chromium"]
        if _packages_may_help(part) and any(map(os.path.exists, _browsers())):  # it came, and lacks libraries
            yield [*PLAYWRIGHT, "install-deps", "chromium"]
    if _packages_may_help(part):
        yield [*_as_root("sudo", "-n"), "apt-get", "update", "-qq"]
        yield [*_as_root("sudo", "-n"), *_apt([part])]


def _apt(parts):
    return ["apt-get", "install", "-y", "--no-install-recommends", *(PACKAGES[part] for part in parts)]


@cache
def _packages_may_help(part):
    """Whether apt-get needs no password here, and the part is not there already and merely forbidden."""
    if not shutil.which("apt-get") or (part == "sandbox" and shutil.which("bwrap")):
        return False
    return not _as_root("sudo") or _output("sudo", "-n", "true") is not None


def _as_root(*sudo):
    return [] if os.geteuid() == 0 else list(sudo)


def _browsers():
    """Where a Chromium may be, the system's first."""
    yield from filter(None, map(shutil.which, BROWSERS))
    home = os.environ.get("PLAYWRIGHT_BROWSERS_PATH") or Path.home() / (
        "Library/Caches/ms-playwright" if sys.platform == "darwin" else ".cache/ms-playwright"
    )
    yield from map(str, sorted(Path(home).glob("chromium_headless_shell-*/*/*headless[-_]shell"), reverse=True))


def _output(*command, seconds=20):
    """What a command prints, None if it fails or takes too long."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None


def _trouble(command, seconds=300):
    """Run a command; the line that says how it failed, "" if it did not."""
    try:
        ran = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=seconds)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    lines = [line.strip() for line in ran.stdout.splitlines() if line.strip()]
    told = [line for line in lines if "rror" in line or line.startswith("E:")] or lines or ["it does not say why"]
    return told[0][:200] if ran.returncode else ""


def _short(command):
    return " ".join(command).replace(f"{ROOT}/", "")


if __name__ == "__main__":
    order, *names = sys.argv[1:]
    left_out() if order == "left_out" else {"say": say, "install": install}[order](names)
