"""Two gradients side by side, parameter by parameter, and which of them differ, and how."""

from html import escape
from typing import Any, NamedTuple

import numpy as np

from rnnlib.gradcheck import trees


class Row(NamedTuple):
    """How one parameter's two gradients compare."""

    name: str  # the parameter
    absolute: float  # max |a - b|, in the gradient's units
    relative: float  # max |a - b| / max(|a|, |b|): 0 equal, 2 opposite
    angle: float  # between the two as vectors, in degrees; NaN where one of them has no direction
    length: float  # |a| / |b|
    verdict: str  # "agree", "opposite", "scaled by ...", "one is zero", "not finite" or "differ"


class Comparison(NamedTuple):
    """Two gradients compared, a row for each parameter; prints as a table, and as an HTML table in a notebook."""

    rows: tuple[Row, ...]
    tolerance: float

    @property
    def agree(self) -> bool:
        """Whether every parameter agrees."""
        return all(row.verdict == "agree" for row in self.rows)

    def __getitem__(self, key):
        """Look a row up by its parameter's name; by position as any tuple."""
        if not isinstance(key, str):
            return tuple.__getitem__(self, key)
        rows = {row.name: row for row in self.rows}
        if key not in rows:
            raise KeyError(f"Comparison: the parameter must be one of {', '.join(rows)}, got {key!r}.")
        return rows[key]

    def __str__(self) -> str:
        """Write the table in plain text."""
        width = max([9, *(len(row.name) for row in self.rows)])
        head = f"{'parameter':<{width}}  {'max |a-b|':>9}  {'relative':>9}  {'angle':>8}  verdict"
        return "\n".join([head, *(f"{row.name:<{width}}  " + "  ".join(_cells(row)) for row in self.rows)])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{h}</th>" for h in ("parameter", "max |a−b|", "relative", "angle", "verdict"))
        body = "".join(
            f"<tr><td><code>{escape(row.name)}</code></td>"
            + "".join(f"<td>{cell.strip()}</td>" for cell in _cells(row)[:-1])
            + f"<td>{'✓' if row.verdict == 'agree' else '✗'} {escape(row.verdict)}</td></tr>"
            for row in self.rows
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def compare(a: Any, b: Any, *, tolerance: float = 1e-6) -> Comparison:
    """Compare two gradients parameter by parameter: max |a − b|, max |a − b| / max(|a|, |b|), and the angle between them.

    Nothing is summed with its sign, so nothing can cancel.

    Args:
        a: a gradient, any pytree of real arrays.
        b: another of the same structure and shapes.
        tolerance: the relative error up to which two gradients agree. 1e-6 suits central differences, 1e-10 two exact methods in
            float64, 1e-4 float32.

    Returns:
        A `Comparison`, whose `rows` hold the numbers, `agree` the verdict on the whole, and `["W_hh"]` one parameter's row.

    Raises:
        ValueError: structures or shapes that differ, a negative tolerance.
        TypeError: complex gradients.

    Example:
        >>> compare({"w": np.array([1.0, 2.0])}, {"w": np.array([2.0, 4.0])})["w"].verdict
        'scaled by 0.5'

    Source: the relative error is that of Karpathy's CS231n notes on gradient checks, taken over a whole parameter.
    """
    if not tolerance >= 0:
        raise ValueError(f"compare: tolerance must be 0 or more, got {tolerance}. Try 1e-6.")
    for tree in (a, b):
        trees.require_real("compare", tree)
    (xs, structure), (ys, other) = trees.flatten(a), trees.flatten(b)
    if structure != other:
        hint = "Is one of them a different NamedTuple, or short of a parameter?"
        raise ValueError(f"compare: both gradients must have one structure, got {structure} and {other}. {hint}")
    rows = []
    for name, x, y in zip(trees.names(structure), xs, ys, strict=True):
        x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
        if x.shape != y.shape:
            raise ValueError(
                f"compare: {name} must have one shape, got {x.shape} and {y.shape}. Is a sum over an axis missing?"
            )
        rows.append(_row(name, x, y, tolerance))
    return Comparison(tuple(rows), tolerance)


def _row(name, x, y, tolerance):
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        return Row(name, np.nan, np.nan, np.nan, np.nan, "not finite")
    a, b = (float(np.abs(z).max(initial=0.0)) for z in (x, y))
    if a == 0 or b == 0:
        length = 1.0 if a == b else 0.0 if a == 0 else np.inf
        return Row(name, max(a, b), float(a != b), np.nan, length, "agree" if a == b else "one is zero")
    with np.errstate(over="ignore"):
        absolute = float(np.abs(x - y).max())
    relative = float(np.abs(x / max(a, b) - y / max(a, b)).max())
    u, v = x / a, y / b  # each by its own largest entry, so that no square overflows or underflows
    nu, nv = float(np.linalg.norm(u)), float(np.linalg.norm(v))
    u, v = u / nu, v / nv
    angle = float(
        np.degrees(2 * np.arctan2(np.linalg.norm(u - v), np.linalg.norm(u + v)))
    )  # exact near 0, unlike arccos
    length = nu / nv * (a / b)
    return Row(name, absolute, relative, angle, length, _verdict(relative, angle, length, tolerance))


def _verdict(relative, angle, length, tolerance):
    if relative <= tolerance:
        return "agree"
    if angle <= np.degrees(tolerance):
        return f"scaled by {length:.4g}"
    if angle >= 180 - np.degrees(tolerance):
        return "opposite" if abs(length - 1) <= tolerance else f"scaled by {-length:.4g}"
    return "differ"


def _cells(row):
    angle = "-" if np.isnan(row.angle) else f"{row.angle:.2g}°" if row.angle < 10 else f"{row.angle:.0f}°"
    return f"{row.absolute:9.1e}", f"{row.relative:9.1e}", f"{angle:>8}", row.verdict
