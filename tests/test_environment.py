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
EXTRAS = PROJECT["optional-dependencies"]
ALONE = {"jaxlib"}  # jax's own compiled half: jax accepts a range of it, results should not depend on which


def requirements(lines):
    return [Requirement(line) for line in lines if not line.startswith("#")]


def file(name):
    return requirements((ROOT / ".ci" / name).read_text().splitlines())


# who needs a set: what is pinned for them, what pyproject.toml asks for
PINS = {
    "learn": requirements(ENVIRONMENT[-1]["pip"]),
    "teach": file("teach.txt"),
    "test": file("test.txt"),
    "bench": file("bench.txt"),
}
NEEDS = {
    "learn": requirements(PROJECT["dependencies"] + EXTRAS["course"]),
    "teach": requirements(EXTRAS["teach"] + EXTRAS["cluster"]),
    "test": requirements(EXTRAS["test"]),
    "bench": requirements(EXTRAS["bench"]),
}


def test_binder_reads_the_same_environment():
    assert (ROOT / "binder/environment.yml").read_bytes() == (ROOT / "environment.yml").read_bytes(), (
        "binder/environment.yml must be a copy: cp environment.yml binder/"
    )


def test_every_extra_belongs_to_a_set():
    assert set(EXTRAS) == {"course", "teach", "cluster", "test", "bench"}


@pytest.mark.parametrize(("group", "need"), [(g, n) for g, needs in NEEDS.items() for n in needs], ids=str)
def test_every_dependency_is_pinned_within_its_range(group, need):
    pin = next((pin for pin in PINS[group] if pin.name == need.name), None)
    assert pin, f"the pins of {group} must hold {need.name}, which pyproject.toml asks for"
    exact, version = str(pin.specifier)[:2], str(pin.specifier)[2:]
    assert exact == "==", f"{pin} must name one version"
    assert need.specifier.contains(version), f"{pin} does not satisfy {need}"


def test_every_pin_stands_once_and_has_a_reason():
    names = [pin.name for pins in PINS.values() for pin in pins]
    assert not (twice := {name for name in names if names.count(name) > 1}), f"pinned in two places: {twice}"
    for group, pins in PINS.items():
        needless = {pin.name for pin in pins} - {need.name for need in NEEDS[group]} - ALONE
        assert not needless, f"{group} does not ask for {needless}: drop the pin, or name it in pyproject.toml"


def test_what_runs_the_tests_is_what_is_pinned():
    from importlib.metadata import version

    pins = [pin for group in ("learn", "teach", "test") for pin in PINS[group]]
    drift = {pin.name: version(pin.name) for pin in pins if not pin.specifier.contains(version(pin.name))}
    assert not drift, f"installed versions differ from what is pinned: {drift}. Try touch environment.yml && make check"


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
    (folder / ".ci").mkdir(exist_ok=True)
    for name in ("Makefile", "environment.yml", "pyproject.toml", ".ci/teach.txt", ".ci/test.txt", ".ci/bench.txt"):
        if not (folder / name).exists():
            shutil.copy(ROOT / name, folder / name)
    commands = folder / "commands"
    commands.mkdir(exist_ok=True)
    script = PYTHON.format(version=version, too_old=int(version < "3.11"))
    for name in ("python", "python3", "python3.11", "python3.12", "python3.13"):
        (commands / name).write_text(script)
        (commands / name).chmod(0o755)
    for name in ("make", "sh", "bash", "id", "tail", "sed", "touch", "mkdir", "cp", "rm"):
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
    assert (tmp_path / ".venv/learn.txt").read_text().split() == [str(pin) for pin in PINS["learn"]]
    calls = (tmp_path / "calls.txt").read_text()
    assert "-r .venv/learn.txt" in calls
    assert "-r .ci/" not in calls  # a learner gets no more
    assert "--no-deps -e ." in calls

    assert make(tmp_path, "3.12.1", ".venv/ready", "--question").returncode == 0
    assert make(tmp_path, "3.12.1").returncode == 0
    assert (tmp_path / "calls.txt").read_text() == calls  # nothing was done

    later = (tmp_path / ".venv/ready").stat().st_mtime + 10
    os.utime(tmp_path / "environment.yml", (later, later))
    assert make(tmp_path, "3.12.1", ".venv/ready", "--question").returncode == 1


@pytest.mark.parametrize(
    ("target", "more"),
    [("lab", ""), ("release", "teach"), ("grade", "teach"), ("check", "teach test"), ("test", "teach test")],
)
def test_each_target_installs_what_it_needs_on_top_of_the_learners_pins(tmp_path, target, more):
    plan = make(tmp_path, "3.12.1", target, "--dry-run", "--always-make")
    assert plan.returncode == 0, plan.stderr
    installs = [line for line in plan.stdout.splitlines() if " -r " in line]
    assert set(re.findall(r"-r \.ci/(\w+)\.txt", plan.stdout)) == set(more.split())
    assert all("-r .venv/learn.txt" in line for line in installs)
    for line in installs:  # what is not asked for yet binds already: a later set only adds
        assert {name for name in ("teach", "test") if f".ci/{name}.txt" in line} == {"teach", "test"}, line


def test_make_test_says_first_and_last_what_is_left_out(tmp_path):
    lines = make(tmp_path, "3.12.1", "test", "--dry-run").stdout.splitlines()
    steps = [(i, line.split("tests.parts ")[1]) for i, line in enumerate(lines) if "tests.parts " in line]
    failed = "left_out; exit $code; }"  # said after a failure too
    assert [step for _, step in steps] == ["say browser sandbox", "install browser sandbox", failed, "left_out"]
    assert steps[0][0] == 0
    assert steps[-1][0] == len(lines) - 1
