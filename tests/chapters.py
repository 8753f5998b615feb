"""Chapters and problem sets under pytest: nbval runs each once, in a kernel without the network, and then come its limits.

A plugin, named in pyproject.toml. A notebook on pytest's command line becomes one test for each code cell, which fails where the cell
fails or where a cell tagged `nbval-check-output` shows something else than what is stored, and a last one, `limits`. A notebook that
has passed is not run again until something that it could depend on has changed: it becomes one test, `unchanged`.
"""

import hashlib
import os
import sys
import tempfile
import time
from functools import cache
from importlib.metadata import distributions
from pathlib import Path
from unittest.mock import patch

import psutil
import pytest
from nbval.plugin import IPyNbFile

from tests.kernels import compiled_in, offline, peak_mib

# The aim is 60 s. Machines differ, and some are busy: so the processor's seconds decide, and leave room.
SECONDS, MIB = 120, 700
TIMES_COMPILATION = (
    "08_speed_and_memory",
    "09_ragged_sequences",
)  # what is compiled must not come out of a cache there


def pytest_collect_file(file_path, parent):
    if file_path.suffix == ".ipynb":
        return Notebook.from_parent(parent, path=file_path)


class Notebook(IPyNbFile):
    """A notebook whose cells nbval runs, all in one kernel."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.cells = []
        self.compare_outputs = False  # but those of tagged cells, as with --nbval-lax

    def collect(self):
        """The code cells, then the limits; of one that has passed and would be the same, nothing of that."""
        self.passed, self.stamp = 0, self.config.rootpath / "build" / "passed" / f"{self.path.stem}.txt"
        self.key = hashlib.sha256(_surroundings(self.config.rootpath) + self.path.read_bytes()).hexdigest()
        if self.stamp.exists() and self.stamp.read_text() == self.key:
            yield Unchanged.from_parent(self, name="unchanged")
            return
        self.cells = list(super().collect())
        yield from self.cells
        yield Limits.from_parent(self, name="limits")

    def setup(self):
        """Start the clock and the kernel."""
        if not self.cells:
            return
        self.folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self.cache = (
            None if self.path.stem in TIMES_COMPILATION else self.config.rootpath / "build/jax" / self.path.stem
        )
        self.cached = self.cache is not None and self.cache.exists()
        self.begin = time.perf_counter()
        with patch.dict(os.environ, offline(Path(self.folder.name)) | (compiled_in(self.cache) if self.cache else {})):
            super().setup()

    def teardown(self):
        """Stop the kernel; keep in mind that everything has passed, if it has."""
        if not self.cells:
            return
        super().teardown()
        self.folder.cleanup()
        if self.passed == len(self.cells) + 1:
            self.stamp.parent.mkdir(parents=True, exist_ok=True)
            self.stamp.write_text(self.key)


@cache
def _surroundings(root):
    """What a chapter is run with, in a hash: this Python, what is installed, the package, the tests' kernels, and the stored results."""
    installed = sorted(f"{one.name} {one.version}" for one in distributions())
    seen = hashlib.sha256("\n".join([sys.version, *installed]).encode())
    folders = (root / "rnnlib", root / "notebooks" / "experiments")
    files = {path for folder in folders for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"}
    for path in sorted(files | {Path(__file__), Path(__file__).with_name("kernels.py")}):
        seen.update(str(path).encode() + path.read_bytes())
    return seen.digest()


def pytest_runtest_makereport(item, call):
    """Count what passed of a notebook."""
    if call.when == "call" and call.excinfo is None and isinstance(item.parent, Notebook):
        item.parent.passed += 1


class Unchanged(pytest.Item):
    """That a notebook has passed as it is, with what surrounds it as it is."""

    def runtest(self):
        pass

    def reportinfo(self):
        return self.path, 0, f"{self.path.name}: unchanged since it passed"


def pytest_terminal_summary(terminalreporter):
    """Say which notebooks were not run."""
    same = [r.nodeid for r in terminalreporter.stats.get("passed", []) if r.nodeid.endswith(".ipynb::unchanged")]
    if same:
        terminalreporter.section("notebooks")
        says = f"{len(same)} notebooks have passed as they are, and were not run again. To run them all: rm -r build/passed"
        terminalreporter.write_line(says)


class Limits(pytest.Item):
    """That a notebook, run from top to bottom, kept within time and memory, and did not complain."""

    def runtest(self):
        notebook, path = self.parent, self.path
        pid = notebook.kernel.km.provisioner.pid
        seconds, mib = time.perf_counter() - notebook.begin, peak_mib(pid)
        busy = sum(psutil.Process(pid).cpu_times()[:2])
        table, kind = ("problem sets", "set") if "assignments" in path.parts else ("chapters", "chapter")
        row = {kind: path.stem, "seconds": round(seconds, 1), "busy": round(busy, 1), "peak_MiB": round(mib)}
        row |= {
            "cells": len(notebook.nb.cells),
            "cached": notebook.cached,
        }  # a compiler that is not asked takes no memory
        self.user_properties.append((table, row))
        for cell in notebook.cells:
            complaints = [output.text for output in cell.test_outputs or [] if output.get("name") == "stderr"]
            assert not complaints, f"{path.name}, cell {cell.cell.id} wrote to stderr: {complaints}"
        assert busy < SECONDS, f"{path.name} took {busy:.0f} s of processor time: make the slow cells smaller"
        assert mib < MIB, f"{path.name} held {mib:.0f} MiB: Binder gives 1 GB to server and kernels"

    def reportinfo(self):
        return self.path, 0, f"{self.path.name}: limits"
