"""One Chromium and one JupyterLab for all browser tests; the chapters are served from a copy."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager

import pytest
from playwright.sync_api import sync_playwright

from rnnlib.coursework import handout
from tests import parts
from tests.notebook_style import CHAPTERS, PROBLEM_SETS, ROOT, read

FLAGS = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync"
SETTINGS = {
    "@jupyterlab/notebook-extension/tracker": '{"windowingMode": "none"}',  # keep every cell in the page, seen or not
}


@pytest.fixture(scope="package")  # its event loop ends with the package: other tests have their own
def chromium():
    """The Chromium that `parts` finds; without one, the tests that are marked `browser` have been left out before."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=parts.browser(), args=FLAGS.split())
        yield browser
        browser.close()


@pytest.fixture
def page(chromium):
    """A tall page that reaches this machine alone; `page.complaints` collects what its console says is wrong."""
    with _opened(chromium) as page:
        yield page


@pytest.fixture(scope="module")
def desk(chromium, lab):
    """A page with JupyterLab in it, for notebooks to be opened in one after the other: to load it takes longer than they do."""
    with _opened(chromium) as page:
        page.goto(f"{lab.removesuffix('/tree')}?token=t&reset")
        page.wait_for_function("globalThis.jupyterapp")
        page.evaluate("jupyterapp.restored")
        yield page


@contextmanager
def _opened(chromium):
    context = chromium.new_context(viewport={"width": 1280, "height": 2000})
    local = ("http://127.0.0.1:", "file:", "blob:", "data:")
    context.route("**/*", lambda route: route.continue_() if route.request.url.startswith(local) else route.abort())
    page = context.new_page()
    page.complaints = []
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on("console", lambda message: message.type == "error" and page.complaints.append(_worded(message)))
    yield page
    context.close()


def _worded(message):
    return f"{message.text} ({message.location['url']})"


@pytest.fixture(scope="package")  # its event loop ends with the package: other tests have their own
def lab(tmp_path_factory):
    """The address of a JupyterLab that serves a copy of the chapters and a released problem set, with settings of its own."""
    folder = tmp_path_factory.mktemp("lab")
    shutil.copytree(CHAPTERS[0].parent, folder / "notebooks", ignore=shutil.ignore_patterns("problem_sets"))
    source = next(path for path in PROBLEM_SETS if path.stem == "ps2_backward")
    handout.lay_out(folder, handout.handout(read(source)), source.stem)
    kinds = ("JUPYTER_CONFIG", "JUPYTER_DATA", "JUPYTER_RUNTIME", "JUPYTERLAB_SETTINGS", "JUPYTERLAB_WORKSPACES")
    environment = {
        **os.environ,
        **{f"{kind}_DIR": str(folder / kind) for kind in kinds},
        "IPYTHONDIR": str(folder / "ipython"),
    }
    for name, content in SETTINGS.items():
        file = folder / "JUPYTERLAB_SETTINGS" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = "--allow-root --no-browser --ip=127.0.0.1 --IdentityProvider.token=t --LabApp.expose_app_in_browser=True"
    ours = [f"--config={ROOT / 'jupyter_server_config.py'}", f"--port={port}", "--ServerApp.root_dir=notebooks"]
    command = [sys.executable, "-m", "jupyterlab", *options.split(), *ours]
    with (folder / "log.txt").open("w") as log:
        server = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
    try:
        _wait_for(f"http://127.0.0.1:{port}/api?token=t", server, folder / "log.txt")
        yield f"http://127.0.0.1:{port}/lab/tree"
    finally:
        server.terminate()
        server.wait(30)


def _wait_for(url, server, log):
    for _ in range(300):
        if server.poll() is not None:
            break
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except urllib.error.URLError:
            time.sleep(0.2)
    pytest.fail(f"JupyterLab did not start:\n{log.read_text()[-3000:]}", pytrace=False)
