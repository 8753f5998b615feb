"""In a notebook of the course NumPy takes one thread; elsewhere, and where somebody has chosen, it is left alone."""

import asyncio
import json
import subprocess
import sys

import pytest
from nbformat.v4 import new_code_cell

from rnnlib import _threads as threads
from tests.kernels import running
from tests.notebook_style import CHAPTERS, read

INFO = """
import json, scipy.linalg, threadpoolctl
print(json.dumps([pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]))
"""


@pytest.fixture
def nothing_chosen(monkeypatch):
    """An environment that does not say how many threads, here and in all kernels."""
    for name in threads.CHOICES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("nothing_chosen")
def test_chapter_03_trains_with_one_blas_thread(tmp_path):
    """Three updates of the real cell in a fresh kernel; SciPy brings a second BLAS, loaded later."""
    path = next(path for path in CHAPTERS if path.stem.startswith("03"))
    notebook = read(path)
    last = next(i for i, cell in enumerate(notebook.cells) if cell.id == "train")
    assert notebook.cells[last].source.count("3001") == 1
    notebook.cells[last].source = notebook.cells[last].source.replace("3001", "4")
    notebook.cells[last + 1] = new_code_cell(INFO)

    async def run():
        async with running(notebook, path.parent, tmp_path) as client:
            for i, cell in enumerate(notebook.cells[: last + 2]):
                await client.async_execute_cell(cell, i)

    asyncio.run(run())
    (output,) = notebook.cells[last + 1].outputs
    assert set(json.loads(output["text"])) == {1}


def test_a_script_keeps_what_it_has():
    code = "import sys, rnnlib; print({'numpy', 'threadpoolctl'} & {*sys.modules}, rnnlib._threads.in_kernel())"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said == "set() False\n", "nothing is imported, and nothing limited"


@pytest.mark.parametrize("name", [None, *threads.CHOICES])
@pytest.mark.usefixtures("nothing_chosen")
def test_whoever_has_chosen_is_left_alone(name, monkeypatch):
    limited = []
    monkeypatch.setattr(threads, "in_kernel", lambda: True)
    monkeypatch.setattr(threads, "one_blas_thread", lambda: limited.append(True))
    if name:
        monkeypatch.setenv(name, "2")
    threads.settle()
    assert bool(limited) == (name is None)
