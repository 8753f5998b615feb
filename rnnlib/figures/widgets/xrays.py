"""X-rays of several backward passes, to choose from."""

from typing import Any

import numpy as np

from rnnlib.figures.widgets.explorable import Explorable, script
from rnnlib.figures.xray import LOOK


class XRays(Explorable):
    """X-rays of several backward passes, to choose from."""

    _esm = script("xrays")


def xrays(passes: dict[str, Any], *, guess: bool = False) -> XRays:
    """Show X-rays of backward passes: choose one, see which loss reaches which step, point at a square for its scale, read what is said.

    Args:
        passes: X-rays by name, with `squares`, `scale` and `message`, as `clinic.xray` returns them, all of one T.
        guess: whether they are called A, B, C, ... until a button tells name and message.

    Returns:
        The explorable.

    Raises:
        ValueError: none, or of different T.

    Example:
        >>> from types import SimpleNamespace
        >>> one = SimpleNamespace(squares=np.array([["right"]]), scale=np.array([[1.0]]), message="Right.")
        >>> xrays({"one step": one}).data["passes"][0]["squares"]
        [['right']]
    """
    if len({len(seen.squares) for seen in passes.values()}) != 1:
        raise ValueError(
            f"xrays: passes must hold X-rays of one T, got {[len(seen.squares) for seen in passes.values()]}."
        )
    data = {
        "guess": guess,
        "looks": {word: [symbol, colour, name] for word, (symbol, colour, _, name) in LOOK.items()},
        "passes": [
            {
                "name": name,
                "squares": seen.squares.tolist(),
                "scale": [[None if np.isnan(v) else round(float(v), 4) for v in row] for row in seen.scale],
                "message": seen.message,
            }
            for name, seen in passes.items()
        ],
    }
    alt = (
        "A triangle of squares, a row for each loss and a column for each step: right, missing, a multiple, wrong, or hearing the future. "
        "Buttons choose the backward pass; below is what the X-ray says of it, at once or when it is asked."
    )
    return XRays(data=data, alt=alt)
