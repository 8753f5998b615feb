"""The course's environment is written down once, and everything that sets it up agrees: conda, Binder, pip, make, CI."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
ENVIRONMENT = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PINNED_WITHOUT_NEED = {
    "jaxlib"
}  # jax's own compiled half: jax accepts a range of it, results should not depend on which


def pins():
    return [Requirement(line) for line in ENVIRONMENT[-1]["pip"]]


def needs():
    return [Requirement(line) for group in (PROJECT["dependencies"], *extras().values()) for line in group]


def extras():
    """All but the peers that `make bench` compares with."""
    return {name: group for name, group in PROJECT["optional-dependencies"].items() if name != "bench"}


def test_binder_reads_the_same_environment():
    assert (ROOT / "binder/environment.yml").read_bytes() == (ROOT / "environment.yml").read_bytes(), (
        "binder/environment.yml must be a copy: cp environment.yml binder/"
    )


@pytest.mark.parametrize("need", needs(), ids=lambda need: need.name)
def test_every_dependency_is_pinned_within_its_range(need):
    pin = next((pin for pin in pins() if pin.name == need.name), None)
    assert pin, f"environment.yml must pin {need.name}, which pyproject.toml asks for"
    exact, version = str(pin.specifier)[:2], str(pin.specifier)[2:]
    assert exact == "==", f"{pin} must name one version"
    assert need.specifier.contains(version), f"{pin} does not satisfy {need}"


def test_every_pin_has_a_reason():
    needless = {pin.name for pin in pins()} - {need.name for need in needs()} - PINNED_WITHOUT_NEED
    assert not needless, f"no chapter or check asks for {needless}: drop the pin, or name it in pyproject.toml"


def test_peers_stay_out_of_the_course():
    peers = [Requirement(line) for line in PROJECT["optional-dependencies"]["bench"]]
    assert not {peer.name for peer in peers} & {pin.name for pin in pins()}
    assert all(str(peer.specifier).startswith("==") for peer in peers), "what was measured has to be known"


def test_what_runs_the_tests_is_what_is_pinned():
    from importlib.metadata import version

    drift = {pin.name: version(pin.name) for pin in pins() if not pin.specifier.contains(version(pin.name))}
    assert not drift, (
        f"installed versions differ from environment.yml: {drift}. Try touch environment.yml && make check"
    )


def test_one_minimum_python():
    minimum = PROJECT["requires-python"].removeprefix(">=")
    assert "python=3.12" in ENVIRONMENT
    assert re.findall(r"Python (3\.\d+) or newer", (ROOT / "README.md").read_text())[:1] == [minimum], (
        f"README.md must say: Python {minimum} or newer"
    )
    assert f"sys.version_info < ({minimum.replace('.', ', ')})" in (ROOT / "Makefile").read_text()
    assert f'"{minimum}"' in (ROOT / ".github/workflows/test.yml").read_text()


def test_binder_would_build_it(tmp_path):
    """repo2docker, asked on a clean copy of the tree what it would build, names conda, Python 3.12 and our postBuild."""
    listing = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True)
    if listing.returncode:
        pytest.skip("not a git checkout: no list of the files that Binder would see")
    for name in filter(lambda name: (ROOT / name).is_file(), listing.stdout.splitlines()):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    command = [sys.executable, "-m", "repo2docker", "--no-build", "--debug", "."]
    plan = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    said = plan.stdout + plan.stderr
    assert plan.returncode == 0, said
    assert "Building conda environment for python=3.12" in said
    assert '--file "binder/environment.yml"' in said
    assert "RUN ./binder/postBuild" in said
    assert os.access(tmp_path / "binder/postBuild", os.X_OK)


# A Python of some version. When it is new enough it plays pip too, and writes down what it is asked to do.
PYTHON = """#!/bin/sh
case "$1 $2" in
  "--version ") echo "Python {version}";;
  "-c import"*) exit {too_old};;
  "-m venv") mkdir -p "$3/bin"; cp "$0" "$3/bin/python";;
  *) echo "$@" >> calls.txt;;
esac
"""


def make(folder, version, target=".venv/ready", *options):
    """Run the Makefile's set-up in a folder of its own, where every python there is has this version."""
    for name in ("Makefile", "environment.yml", "pyproject.toml"):
        if not (folder / name).exists():
            shutil.copy(ROOT / name, folder)
    commands = folder / "commands"
    commands.mkdir(exist_ok=True)
    script = PYTHON.format(version=version, too_old=int(version < "3.11"))
    for name in ("python", "python3", "python3.11", "python3.12", "python3.13"):
        (commands / name).write_text(script)
        (commands / name).chmod(0o755)
    for name in ("make", "sh", "bash", "id", "tail", "sed", "touch", "mkdir", "cp"):
        if not (commands / name).exists():
            (commands / name).symlink_to(shutil.which(name))
    environment = {"PATH": str(commands)}
    return subprocess.run(
        ["make", target, *options], cwd=folder, env=environment, capture_output=True, text=True, timeout=60
    )


def test_make_refuses_an_old_python_in_one_line(tmp_path):
    result = make(tmp_path, "3.10.4")
    ours, *rest = result.stderr.splitlines()
    assert result.returncode
    assert re.fullmatch(r"This course needs Python 3\.11 or newer.* 3\.10\.4\..*PYTHON=.*", ours)
    assert len(rest) == 1, result.stderr  # make's own last word
    assert not (tmp_path / ".venv").exists()


def test_make_sets_up_once_and_again_when_the_environment_changes(tmp_path):
    first = make(tmp_path, "3.12.1")
    assert first.returncode == 0, first.stderr
    requirements = (tmp_path / ".venv/requirements.txt").read_text().split()
    assert requirements == [str(pin) for pin in pins()]
    calls = (tmp_path / "calls.txt").read_text()
    assert "-r .venv/requirements.txt" in calls
    assert "--no-deps -e ." in calls

    assert make(tmp_path, "3.12.1", ".venv/ready", "--question").returncode == 0
    assert make(tmp_path, "3.12.1").returncode == 0
    assert (tmp_path / "calls.txt").read_text() == calls  # nothing was done

    later = (tmp_path / ".venv/ready").stat().st_mtime + 10
    os.utime(tmp_path / "environment.yml", (later, later))
    assert make(tmp_path, "3.12.1", ".venv/ready", "--question").returncode == 1
