"""What every explorable is: data, a script that draws it, and words for those who can't see it."""

from pathlib import Path

import anywidget
import traitlets

_JS = Path(__file__).parents[1] / "js"


class Explorable(anywidget.AnyWidget):
    """An interactive figure: `data` for its JavaScript, `alt` for those who can't see it.

    A subclass names its script in `js/`; `common.js` goes in front of it.
    """

    data = traitlets.Dict().tag(sync=True)  # what the script draws, JSON
    alt = traitlets.Unicode().tag(sync=True)  # what is to be seen and done, one or two sentences

    def __repr__(self) -> str:
        """Describe the figure where it can't be drawn."""
        return f"{type(self).__name__}: {self.alt}"


def script(name: str) -> str:
    """Return the JavaScript of an explorable, with the helpers that all share in front of it."""
    return "\n".join((_JS / f"{part}.js").read_text(encoding="utf-8") for part in ("common", name))
