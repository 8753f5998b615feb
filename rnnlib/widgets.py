"""Explorables: figures that answer to the reader's hand.

Python computes once, in plain functions; JavaScript draws, and computes what has to follow the hand. Nothing is asked of the kernel
afterwards, so an explorable lives on in an exported page.
"""

from pathlib import Path

import anywidget
import traitlets

_JS = Path(__file__).parent / "js"


class Explorable(anywidget.AnyWidget):
    """An interactive figure: `data` for its JavaScript, `alt` for those who can't see it.

    A subclass names its script in `js/`; `common.js` goes in front of it.
    """

    data = traitlets.Dict().tag(sync=True)  # what the script draws, JSON
    alt = traitlets.Unicode().tag(sync=True)  # what is to be seen and done, one or two sentences

    def __repr__(self) -> str:
        """Describe the figure where it can't be drawn."""
        return f"{type(self).__name__}: {self.alt}"


def _script(name):
    return "\n".join((_JS / f"{part}.js").read_text(encoding="utf-8") for part in ("common", name))
