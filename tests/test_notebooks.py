"""Every chapter keeps the rules of style, exports its explorables, and survives being interrupted. (tests/chapters.py runs them.)"""

import asyncio
import re

import pytest
from nbclient.exceptions import CellExecutionError
from nbconvert import HTMLExporter
from nbformat.v4 import new_code_cell, new_notebook

from tests.kernels import running
from tests.notebook_style import CHAPTERS, ROOT, STATE, broken_links, explorables, problems, read

each_chapter = pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)


@each_chapter
def test_style(path):
    found = problems(path)
    assert not found, "\n  ".join([f"{path.name} breaks rules:", *found])


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "notebooks/assignments/README.md"])
def test_links_of(name):
    found = broken_links((ROOT / name).read_text(encoding="utf-8"), ROOT / name)
    assert not found, "\n  ".join([f"{name}:", *found])


def test_the_glossary_says_where_a_word_is_at_home():
    """Its words are in order, and each stands in the chapters that it names; their links are in `test_style`."""
    cells = [cell.source for cell in read(CHAPTERS[0]).cells if cell.id.startswith("glossary")]
    entries = re.findall(r"^### (.+?)\n\n(.+?) \((\[\d\d\].*?\))\)$", "\n\n".join(cells), re.M)
    words = [word.lower() for word, *_ in entries]
    assert len(words) > 50
    assert words == sorted(words)
    texts = {path.name: " ".join(cell.source for cell in read(path).cells).lower() for path in CHAPTERS}
    for word, _, links in entries:
        for name in re.findall(r"\((\d\d_\w+\.ipynb)\)", links):
            stem = re.split(r"[- ]", word.lower())[0][:4]  # packing, packed
            assert stem in texts[name], f"{word}: {name} does not use it"


@each_chapter
def test_nbconvert_keeps_the_explorables(path):
    """`jupyter nbconvert --to html`, with nothing of ours, writes each widget's script and data into the page."""
    notebook = read(path)
    if not explorables(notebook):
        pytest.skip(f"{path.stem} has no explorable")
    page, _ = HTMLExporter().from_notebook_node(notebook)
    state = page.split(f'<script type="{STATE}">')[1].split("</script>")[0]
    assert state.count('"_esm"') == len(explorables(notebook))


def test_kernels_have_no_network(tmp_path):
    """urllib, names and bare addresses all fail."""
    asks = (
        "import socket, urllib.request; urllib.request.urlopen('http://example.org')",
        "socket.create_connection(('example.org', 80))",
        "socket.create_connection(('192.0.2.1', 80))",
    )
    notebook = new_notebook(cells=[new_code_cell(ask) for ask in asks])

    async def run():
        async with running(notebook, tmp_path, tmp_path / "settings") as client:
            for i, cell in enumerate(notebook.cells):
                with pytest.raises(CellExecutionError, match=r"Connection refused|without the network"):
                    await client.async_execute_cell(cell, i)

    asyncio.run(run())


KEPT = """
import jax, numpy
assert len(history) > 0, "nothing was kept"
for leaf in jax.tree.leaves((params, history)):
    assert numpy.isfinite(leaf).all(), "something kept is not finite"
"""


def test_training_can_be_interrupted(tmp_path):
    """The reader stops the cell `train`: it says so, keeps what it has learned, and the chapter can go on."""
    path = next((path for path in CHAPTERS if path.name.startswith("03")), None)
    if path is None:
        pytest.skip("chapter 03 is not there yet")
    notebook = read(path)
    ids = [cell.id for cell in notebook.cells]
    assert "train" in ids, f"{path.name} must have a code cell with the id train"
    before, train = ids.index("train"), notebook.cells[ids.index("train")]
    train.outputs = []

    async def run():
        async with running(notebook, path.parent, tmp_path) as client:
            for i, cell in enumerate(notebook.cells[:before]):
                await client.async_execute_cell(cell, i)
            training = asyncio.create_task(client.async_execute_cell(train, before))
            while not train.outputs and not training.done():
                await asyncio.sleep(0.05)
            await asyncio.sleep(1)
            assert not training.done(), "training was over before it could be stopped"
            await client.km.interrupt_kernel()
            await training
            notebook.cells.append(new_code_cell(KEPT))
            await client.async_execute_cell(notebook.cells[-1], len(notebook.cells) - 1)

    asyncio.run(run())
    words = "".join(output.get("text", "") for output in train.outputs)
    assert re.search("stopped.*(keep|kept)", words, re.I | re.S), (
        f"{path.name}, cell train: print that training stopped and what was kept, got {words!r}"
    )
