"""The course's JupyterLab: opening or saving a chapter leaves its metadata as they are."""

import asyncio
import json
import os
import shutil

import pytest
from ipykernel.ipkernel import IPythonKernel
from traitlets.config import PyFileConfigLoader

from tests.kernels import SETTINGS, offline
from tests.notebook_style import CHAPTERS, PROBLEM_SETS, ROOT

KERNELSPEC = {
    "display_name": "Python 3 (ipykernel)",
    "language": "python",
    "name": "python3",
}  # what ipykernel installs


@pytest.fixture
def settings(monkeypatch):
    """What the file sets for the server; what it leaves in `os.environ`, for the kernels, is taken back after the test."""
    monkeypatch.setattr(
        os,
        "environ",
        {name: value for name, value in os.environ.items() if "MALLOC" not in name and name != "XLA_FLAGS"},
    )
    return PyFileConfigLoader("jupyter_server_config.py", path=str(ROOT)).load_config().ServerApp


@pytest.mark.parametrize("path", [*CHAPTERS, *PROBLEM_SETS], ids=lambda path: path.stem)
def test_stored_as_jupyterlab_leaves_it(path):
    metadata = json.loads(path.read_text(encoding="utf-8"))["metadata"]
    assert metadata["kernelspec"] == KERNELSPEC
    assert metadata["language_info"] == {"name": "python"}


def test_reading_completes_the_language_and_saving_drops_it(settings, tmp_path):
    shutil.copy(CHAPTERS[0], tmp_path / "chapter.ipynb")
    files = settings.contents_manager_class(root_dir=str(tmp_path))
    before = (tmp_path / "chapter.ipynb").read_bytes()

    async def open_and_save():
        model = await files.get("chapter.ipynb")
        assert model["content"]["metadata"]["language_info"] == IPythonKernel.language_info
        await files.save(model, "chapter.ipynb")

    asyncio.run(open_and_save())
    assert (tmp_path / "chapter.ipynb").read_bytes() == before


def test_other_languages_and_files_are_left_alone(settings, tmp_path):
    files = settings.contents_manager_class(root_dir=str(tmp_path))
    other = json.loads(CHAPTERS[0].read_text(encoding="utf-8"))
    other["metadata"]["language_info"] = {"name": "julia", "version": "1.12"}
    (tmp_path / "other.ipynb").write_text(json.dumps(other))
    (tmp_path / "words.txt").write_text("words")

    async def read():
        return await files.get("other.ipynb"), await files.get("words.txt"), await files.get("")

    notebook, words, folder = asyncio.run(read())
    assert notebook["content"]["metadata"]["language_info"] == {"name": "julia", "version": "1.12"}
    assert words["content"] == "words"
    assert {entry["name"] for entry in folder["content"]} == {"other.ipynb", "words.txt"}


@pytest.mark.usefixtures("settings")
def test_kernels_of_the_tests_have_the_settings_of_the_course(tmp_path):
    assert {name: value for name, value in os.environ.items() if "MALLOC" in name or "XLA" in name} == SETTINGS
    assert SETTINGS.items() <= offline(tmp_path).items()


def test_no_question_about_news(settings):
    page = settings.tornado_settings["page_config_hook"](None, {"disabledExtensions": ["mine"], "token": "t"})
    assert page == {"disabledExtensions": ["mine", "@jupyterlab/apputils-extension:announcements"], "token": "t"}
