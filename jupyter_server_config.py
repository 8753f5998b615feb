"""JupyterLab's settings for the course: `jupyter lab --config=jupyter_server_config.py`, as `make lab` and Binder start it.

A notebook on disk doesn't say which Python ran it last. JupyterLab would write that down as soon as a chapter is open, and show it as
modified: so it is told when it reads the notebook, and what it was told is left out again when it saves.

Kernels inherit `MEMORY` unless their malloc was chosen before. XLA compiles on many threads; glibc gives each a heap of its own, which
keeps what was freed in it. With one heap for all, chapters peak 70 to 110 MiB lower. `make bench` also forbids glibc to give memory back:
that saves a sixth to a quarter of a training step's time in page faults, and costs it 40 to 130 MiB, which the chapters have not to spare.

They inherit `COMPILER` too, unless XLA_FLAGS is set, to nothing even. Without its newest code generator XLA compiles a quarter faster,
and most chapters peak 70 to 290 MiB lower (13: 791 to 505) and end 5 to 18 % earlier on one core. What it makes runs slower: a stretch of
chapter 06's training 7 % with a window of 1 and 29 % with one of 20 (medians of three, in turns, two cores). So for a long training of
your own: `XLA_FLAGS= make lab`. XLA ends a process that is told a flag it does not know, so only the releases it was tried with are told.
"""

import os
from importlib.metadata import version

from ipykernel.ipkernel import IPythonKernel
from jupyter_server.services.contents.largefilemanager import AsyncLargeFileManager

MEMORY = {"MALLOC_ARENA_MAX": "1"}
COMPILER = {"XLA_FLAGS": "--xla_cpu_use_fusion_emitters=false"} if version("jaxlib").startswith("0.10.") else {}


class Chapters(AsyncLargeFileManager):
    """The files of this folder, as they lie there but for the version of Python in a notebook's metadata."""

    async def get(self, path, *args, **options):
        """Read a file; a notebook's language is what a kernel here will say of itself."""
        return with_language(await super().get(path, *args, **options), IPythonKernel.language_info)

    async def save(self, model, path=""):
        """Write a file; a notebook's language is Python, of whatever version."""
        return await super().save(with_language(model, {"name": "python"}), path)


def with_language(model, language):
    """The contents model of a notebook in Python, with its language in so many words; any other model as it is."""
    if model.get("type") == "notebook" and model.get("content"):
        metadata = model["content"]["metadata"]
        if metadata.get("language_info", {}).get("name") == "python":
            metadata["language_info"] = dict(language)
    return model


def without_news(_, page):
    """JupyterLab's page, less the part that asks whether to fetch news."""
    left_out = [*page.get("disabledExtensions", []), "@jupyterlab/apputils-extension:announcements"]
    return {**page, "disabledExtensions": left_out}


if not any(name.startswith("MALLOC_") for name in os.environ):
    os.environ.update(MEMORY)
if "XLA_FLAGS" not in os.environ:
    os.environ.update(COMPILER)
c = get_config()
c.ServerApp.contents_manager_class = Chapters
c.ServerApp.tornado_settings = {"page_config_hook": without_news}
