"""Chapters and problem sets as a reader meets them: in JupyterLab and as exported pages, in a real Chromium, by keyboard and mouse."""

import ast
import subprocess
import sys

import pytest
from playwright.sync_api import expect

from tests.notebook_style import CHAPTERS, PROBLEM_SETS, ROOT, explorables, read

pytestmark = pytest.mark.browser

SCREENSHOTS = ROOT / "build" / "screenshots"
INTERACTIVE = [path for path in CHAPTERS if explorables(read(path))]
WHOLE = ("00", "01", "ps1", "ps2")  # these run in seconds; of others, what an explorable needs
EXPECTED = {
    "mathjax/2.7.7": "an exported page asks a CDN for MathJax; without the network it shows the LaTeX",
}

# The notebook of the front tab, as JupyterLab holds it.
NOTEBOOK = "jupyterapp.shell.currentWidget.context.model.toJSON()"
MODIFIED = "jupyterapp.shell.currentWidget.context.model.dirty"
OPEN = "async path => { await jupyterapp.commands.execute('docmanager:open', { path }); }"
READY = '''path => globalThis.jupyterapp?.shell.currentWidget?.context?.path === path
  && jupyterapp.shell.currentWidget.sessionContext.session?.kernel?.status === "idle"'''
CLOSE = """async () => {
  await jupyterapp.shell.currentWidget.sessionContext.shutdown();
  jupyterapp.shell.currentWidget.context.model.dirty = false; // what was run here is not kept, and nobody is asked
  jupyterapp.shell.currentWidget.close();
}"""

# Runs the cells of these indices, one after the other.
RUN = """async cells => {
  for (const index of cells) {
    jupyterapp.shell.currentWidget.content.activeCellIndex = index;
    await jupyterapp.commands.execute("notebook:run-cell");
  }
}"""

# The kernel has said what language it speaks, and JupyterLab has written that into the notebook, if it was not there.
SAID = """jupyterapp.shell.currentWidget.sessionContext.session.kernel.info.then((info) =>
  info.language_info.version === jupyterapp.shell.currentWidget.context.model.getMetadata("language_info").version)"""

# What an explorable shows, its sliders' own labels left out: these change by themselves.
MARKUP = """root => {
  const copy = root.cloneNode(true);
  copy.querySelectorAll("label").forEach((label) => label.remove());
  return copy.innerHTML;
}"""

# Milliseconds from the next key press to the frame after the one that follows it.
WATCH = """() => { window.answered = new Promise((resolve) => addEventListener("keydown", () => {
  const start = performance.now();
  requestAnimationFrame(() => requestAnimationFrame(() => resolve(performance.now() - start)));
}, { capture: true, once: true })); }"""


@pytest.mark.parametrize("path", [*CHAPTERS, *PROBLEM_SETS], ids=lambda path: path.stem)
def test_in_jupyterlab(path, desk, measured):
    """What explorables need runs without a complaint, what is stored of the rest is shown, and they live. (nbval runs all cells.)"""
    notebook = read(path)
    whole = path.stem.split("_")[0] in WHOLE
    wanted = {cell.id for cell in notebook.cells} if whole else set(explorables(notebook))
    file = path.relative_to(ROOT / "notebooks").as_posix()
    desk.complaints.clear()
    desk.evaluate(OPEN, file)
    desk.wait_for_function(READY, arg=file, timeout=60_000)
    try:
        left_as_it_is(desk)
        run(desk, path, needed(notebook, wanted))
        expect(desk.locator(".explorable")).to_have_count(len(explorables(notebook)))
        play(desk, path.stem, measured, "JupyterLab")
        picture(desk, ".jp-OutputArea img", f"{path.stem}-figure")
        assert complaints(desk) == []
    finally:
        desk.evaluate(CLOSE)


def needed(notebook, wanted):
    """The indices of the code cells in `wanted`, and of those before them that make a name they use, or a name that one of these uses."""
    names, indices = set(), []
    for i, cell in reversed(list(enumerate(notebook.cells))):
        if cell.cell_type != "code":
            continue
        nodes = list(ast.walk(ast.parse(cell.source)))
        used = {node.id for node in nodes if isinstance(node, ast.Name)}
        made = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
        made |= {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)}
        made |= {node.asname or node.name.split(".")[0] for node in nodes if isinstance(node, ast.alias)}
        if cell.id in wanted or made & names or cell.id == "imports":
            names |= used
            indices.insert(0, i)
    return indices


def run(page, path, indices):
    """As a reader does, cell by cell: these run, and none complains."""
    page.evaluate(RUN, indices)
    cells = page.evaluate(NOTEBOOK)["cells"]
    for cell in (cells[i] for i in indices):
        assert cell["execution_count"], f"{path.name}, cell {cell['id']} did not run"
        kinds = {output.get("name", output["output_type"]) for output in cell["outputs"]}
        assert not kinds & {"error", "stderr"}, f"{path.name}, cell {cell['id']}: {cell['outputs']}"


def left_as_it_is(page):
    """Opened, with a kernel that has said what it is: not modified, and nothing is asked."""
    page.wait_for_function(SAID)
    assert not page.evaluate(MODIFIED), (
        "JupyterLab changed something on opening: compare its model.toJSON() with the file"
    )
    assert page.locator(".Toastify__toast").all_inner_texts() == []


@pytest.fixture(scope="module")
def site():
    """The exported pages."""
    subprocess.run([sys.executable, ".ci/site.py", *map(str, CHAPTERS)], cwd=ROOT, check=True)
    return ROOT / "build" / "site"


@pytest.mark.parametrize("path", INTERACTIVE, ids=lambda path: path.stem)
def test_exported_page(path, site, page, measured):
    """No kernel, no server, no network: the explorables live."""
    page.goto((site / f"{path.stem}.html").as_uri())
    expect(page.locator(".explorable")).to_have_count(len(explorables(read(path))))
    assert page.locator("img:not([alt]), img[alt='']").count() == 0
    folded = [cell for cell in read(path).cells if cell.metadata.get("jupyter", {}).get("source_hidden")]
    expect(page.locator("details:not([open]) > summary", has_text="code")).to_have_count(len(folded))
    play(page, path.stem, measured, "page")
    assert complaints(page) == []


def test_exported_index(site, page):
    page.goto((site / "index.html").as_uri())
    links = [link.get_attribute("href") for link in page.locator("a").all()]
    assert links == [f"{path.stem}.html" for path in CHAPTERS]
    assert all((site / link).is_file() for link in links)


def play(page, chapter, measured, place):
    """Every slider, button and clickable part of every explorable does something, at once, and without complaint."""
    for i, root in enumerate(page.locator(".explorable").all()):
        name = f"{chapter}-explorable-{i}"
        root.scroll_into_view_if_needed()
        assert root.is_visible(), f"{name} can't be seen"
        assert root.bounding_box()["height"] > 50, f"{name} is empty"
        if place == "JupyterLab":
            screenshot(root, name)
        milliseconds = [move(page, root, slider) for slider in root.locator("input[type=range]").all()]
        buttons = root.locator("button:enabled")
        for k in range(buttons.count()):
            buttons.nth(k % buttons.count()).click()
        enter(page, root, name)
        if milliseconds:
            measured(
                "explorables",
                explorable=name,
                place=place,
                slowest_ms=round(max(milliseconds)),
                sliders=len(milliseconds),
            )
        assert complaints(page) == [], name


def move(page, root, slider):
    """One step by keyboard, timed, then to both ends."""
    label = slider.get_attribute("aria-label")
    assert label, "a slider without aria-label: use slider() of common.js"
    slider.focus()
    at_end = slider.evaluate("slider => slider.value === slider.max")
    before = root.evaluate(MARKUP)
    page.evaluate(WATCH)
    page.keyboard.press("ArrowLeft" if at_end else "ArrowRight")
    milliseconds = page.evaluate("answered")
    assert root.evaluate(MARKUP) != before, f"the slider {label!r} changes nothing"
    assert milliseconds < 500, f"the slider {label!r} took {milliseconds:.0f} ms to answer: 50 is the aim"
    page.keyboard.press("End")
    page.keyboard.press("Home")
    return milliseconds


def enter(page, root, name):
    """Each clickable part answers Enter; the first comes twice, as it may have been chosen from the start."""
    parts = root.locator("svg [role=button]")
    silent = set()
    for k in [*range(parts.count()), 0][: parts.count() and None]:
        before = root.evaluate(MARKUP)
        parts.nth(k).focus()
        page.keyboard.press("Enter")
        page.evaluate("new Promise(requestAnimationFrame)")
        silent = silent - {k} if root.evaluate(MARKUP) != before else silent | {k}
    assert not silent, f"{name}: Enter does nothing on the clickable parts {sorted(silent)}"


def picture(page, selector, name):
    for i, figure in enumerate(page.locator(selector).all()):
        screenshot(figure, f"{name}-{i}")


def screenshot(element, name):
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    element.screenshot(path=SCREENSHOTS / f"{name}.png")


def complaints(page):
    return [text for text in page.complaints if not any(known in text for known in EXPECTED)]
