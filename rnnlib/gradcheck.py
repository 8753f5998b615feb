"""Is this gradient right? Central differences as the judge, and a comparison that names the parameter that is wrong."""

from collections.abc import Callable
from html import escape
from typing import Any, NamedTuple

import jax
import numpy as np


def finite_differences(loss: Callable[[Any], float], params: Any, *, step: float = 1e-5) -> Any:
    """Estimate the gradient of a loss by central differences, (L(θ + ε e_i) − L(θ − ε e_i)) / 2ε, entry by entry.

    Two evaluations an entry, in float64: slow, and hard to get wrong. The error is about ε² |L'''| / 6 from the curve and
    1e-16 |L| / ε from rounding; ε = 1e-5 is near the best for losses and parameters of order one.

    Args:
        loss: parameters to a number, pure.
        params: any pytree of real arrays; it is copied, not changed.
        step: ε, in the parameters' units.

    Returns:
        The gradient, a pytree like `params` in float64.

    Raises:
        ValueError: a step that is not positive or lost beside a large parameter, a loss that is no single number or not finite.
        TypeError: a loss computed in float32, whose rounding would drown the difference; complex parameters.

    Example:
        >>> finite_differences(lambda p: (p["w"] ** 2).sum(), {"w": np.array([1.0, 3.0])})["w"].round(6)
        array([2., 6.])

    Source: Press et al. (2007), Numerical Recipes, section 5.7.
    """
    if not step > 0:
        raise ValueError(f"finite_differences: step must be positive, got {step}. Try 1e-5.")
    _require_real("finite_differences", params)
    leaves, structure = jax.tree.flatten(params)
    leaves = [np.array(leaf, np.float64) for leaf in leaves]
    names = _names(params)

    def value(entry):
        where = f"finite_differences: at {entry} ± {step:g} the loss must be"
        return _one_number(loss(jax.tree.unflatten(structure, leaves)), where)

    grads = []
    for name, leaf in zip(names, leaves, strict=True):
        grad = np.empty_like(leaf)
        for index in np.ndindex(leaf.shape):
            entry = f"{name}[{', '.join(map(str, index))}]" if index else name
            centre = leaf[index]
            up, down = centre + step, centre - step  # their distance is 2ε, but for rounding
            if up == down:
                raise ValueError(f"finite_differences: {entry} = {centre:g} ± {step:g} must differ. Try a larger step.")
            leaf[index] = up
            above = value(entry)
            leaf[index] = down
            below = value(entry)
            leaf[index] = centre
            grad[index] = (above - below) / (up - down)
        grads.append(grad)
    return jax.tree.unflatten(structure, grads)


def _require_real(where, tree):
    for name, leaf in zip(_names(tree), jax.tree.leaves(tree), strict=True):
        if np.iscomplexobj(leaf):
            raise TypeError(
                f"{where}: {name} must be real, got complex numbers. Try its real and imaginary parts apart."
            )


def _one_number(loss, where):
    if loss is None:
        raise TypeError(f"{where} one number, got None. Does the loss return its value?")
    loss = np.asarray(loss)
    if loss.shape != ():
        raise ValueError(f"{where} one number, got shape {loss.shape}. Try summing it.")
    if loss.dtype != np.float64:
        hint = 'Try jax.config.update("jax_enable_x64", True), or float64 inputs.'
        raise TypeError(f"{where} float64, got {loss.dtype}. {hint}")
    if not np.isfinite(loss):
        raise ValueError(f"{where} finite, got {loss}. Try smaller parameters or a smaller step.")
    return float(loss)


def frozen_prefix(
    step: Callable[[Any, Any, Any], tuple[Any, Any]], params: Any, xs: Any, state: Any = None, *, starts: Any
) -> Callable[..., np.ndarray]:
    """Make the function that a truncated gradient is the gradient of: y_t(θ; h̄_s), run from step s + 1 on, all before it frozen.

    A truncated gradient fails a plain check, rightly; to nudge `outputs(params)` of this one is to check it.

    Args:
        step: a cell's `step(params, x, h) -> (y, h)`, which takes a batch of NumPy arrays.
        params: the parameters at which all that is frozen takes its value.
        xs: (T, B, D), inputs, time first.
        state: (B, H), the state to begin with, a constant; None for `params.h0`, which stays alive.
        starts: (T,), how many steps lie before the window of each output, its s: zeros freeze nothing, t // window * window
            is the start of a chunk, with t = 0 ... T − 1. Where it is t + 1 the output is itself frozen.

    Returns:
        `outputs(params, xs=xs)`, the ys (T, B, K).

    Raises:
        ValueError: starts that are not T whole numbers, each in 0 ... t + 1.

    Example:
        >>> w, xs, h = np.float64(0.5), np.ones((3, 1, 1)), np.zeros((1, 1))
        >>> outputs = frozen_prefix(lambda w, x, h: (w * h + x, w * h + x), w, xs, h, starts=[0, 1, 2])
        >>> finite_differences(lambda xs: outputs(w, xs).sum(), xs).ravel().round(6)
        array([1., 1., 1.])

    Source: the gradient of a function with some of its arguments held constant; Williams and Peng (1990) for windows.
    """
    T, starts = len(xs), np.asarray(starts)
    if (
        starts.shape != (T,)
        or starts.dtype.kind not in "iu"
        or not ((starts >= 0) & (starts <= np.arange(T) + 1)).all()
    ):
        expected = f"T = {T} whole numbers, each in 0 ... t + 1 for t = 0 ... {T - 1}"
        raise ValueError(
            f"frozen_prefix: starts must be {expected}, got {starts.tolist()}. Try np.arange({T}) // 2 * 2."
        )

    def begin(params):
        return np.tile(params.h0, (xs.shape[1], 1)) if state is None else state

    frozen = [(None, begin(params))]  # (y_t, h_t) after t steps
    for x in xs:
        frozen.append(step(params, x, frozen[-1][1]))

    def outputs(params, xs=xs):
        ys = []
        for t, start in enumerate(starts):
            y, h = frozen[start] if start > 0 else (None, begin(params))
            for x in xs[start : t + 1]:
                y, h = step(params, x, h)
            ys.append(y)
        return np.stack(ys)

    return outputs


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
        _require_real("compare", tree)
    if jax.tree.structure(a) != jax.tree.structure(b):
        raise ValueError(
            f"compare: both gradients must have one structure, got {jax.tree.structure(a)} and {jax.tree.structure(b)}. "
            "Is one of them a different NamedTuple, or short of a parameter?"
        )
    rows = []
    for name, x, y in zip(_names(a), jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
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


def _names(tree):
    return [
        jax.tree_util.keystr(path, simple=True, separator=".") or "value" for path, _ in jax.tree.leaves_with_path(tree)
    ]
