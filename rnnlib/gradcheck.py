"""Is this gradient right? Central differences as the judge, and a comparison that names the parameter that is wrong."""

import math
import warnings
from collections.abc import Callable
from functools import partial
from html import escape
from typing import Any, NamedTuple

import jax
import numpy as np

from rnnlib.validation import require_size


def finite_differences(loss: Callable[[Any], float], params: Any, *, step: float = 1e-5) -> Any:
    """Estimate the gradient of a loss by central differences, (L(θ + ε e_i) − L(θ − ε e_i)) / 2ε, entry by entry.

    Two evaluations an entry, in float64: slow, and hard to get wrong. The error is about ε² |L'''| / 6 from the curve and
    1e-16 |L| / ε from rounding; ε = 1e-5 is near the best for losses and parameters of order one. Some twenty more evaluations ask
    whether such a judge can be trusted here: is the loss the same at two calls, computed in float64 however it is wrapped, and
    without a kink at θ? Where the slopes on both sides of an entry disagree, two further ones tell a kink from a curve.

    Args:
        loss: parameters to a number, pure.
        params: any pytree of real arrays; it is copied, not changed.
        step: ε, in the parameters' units.

    Returns:
        The gradient, a pytree like `params` in float64.

    Raises:
        ValueError: a step that is not positive or lost beside a large parameter; a loss that is no single number, not finite,
            another at a second call, or has a kink within ε of an entry.
        TypeError: a loss computed in float32, whose rounding would drown the difference; complex parameters.

    Example:
        >>> finite_differences(lambda p: (p["w"] ** 2).sum(), {"w": np.array([1.0, 3.0])})["w"].round(6)
        array([2., 6.])

    Source: Press et al. (2007), Numerical Recipes, section 5.7. The noise of a loss, by third differences: Moré and Wild (2011),
    Estimating computational noise, SIAM Journal on Scientific Computing 33, section 3.
    """
    where = "finite_differences"
    leaves, value = _nudgeable(where, loss, params, step)
    values, noise = _require_judge(where, value, leaves, step)
    grads = []
    for name, leaf in zip(_names(params), leaves, strict=True):
        grad = np.empty_like(leaf)
        for index in np.ndindex(leaf.shape):
            entry = f"{name}[{', '.join(map(str, index))}]" if index else name
            nudge = partial(_nudged, where, value, leaf, index, entry)
            above, below = nudge(step), nudge(-step)
            grad[index] = (above.loss - below.loss) / (above.at - below.at)  # their distance is 2ε, but for rounding
            _require_no_kink(where, entry, nudge, Nudge(leaf[index], values[0]), above, below, noise)
            values += [above.loss, below.loss]
        grads.append(grad)
    _require_double(where, values)
    _require_same(where, values[0], value(f"{where}: at the parameters as given the loss must be"))
    return jax.tree.unflatten(jax.tree.structure(params), grads)


class Nudge(NamedTuple):
    """One evaluation of a loss with one entry nudged."""

    at: float  # the entry's value, as it was rounded
    loss: float


def directional_check(
    loss: Callable[[Any], float],
    params: Any,
    grads: Any,
    *,
    directions: int = 3,
    step: float = 1e-5,
    tolerance: float = 1e-6,
    rng: np.random.Generator,
) -> "Comparison":
    """Check a gradient along random directions, (L(θ + εv) − L(θ − εv)) / 2ε against g · v, a few for each parameter.

    What one can afford for a large net: two evaluations a direction, however many entries a parameter has. A direction v ~ N(0, 1) moves
    all entries of one parameter and no other, so that a row that differs still names the parameter. What no direction tells is
    which entry is wrong: go on with `finite_differences` on a small net. One wrong entry shows if it is off by more than about
    `tolerance` times the length of the parameter's whole gradient.

    Args:
        loss: parameters to a number, pure.
        params: any pytree of real arrays.
        grads: the gradient to check, a pytree like `params`.
        directions: how many for each parameter, 2 or more: with one, every mistake would look like a factor.
        step: ε, in the parameters' units.
        tolerance: the relative error up to which both agree.
        rng: draws the directions.

    Returns:
        A `Comparison` of what `grads` says (a) with the differences (b): a row for each parameter, the worst over its directions.

    Raises:
        ValueError: structures or shapes that disagree, fewer than two directions, and as for `finite_differences`, kinks excepted.
        TypeError: as for `finite_differences`.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> params = {"w": rng.standard_normal(100_000)}
        >>> wrong = {"w": 3 * params["w"]}
        >>> directional_check(lambda p: (p["w"] ** 2).sum() / 2, params, wrong, rng=rng)["w"].verdict
        'scaled by 3'

    Source: SciPy's documentation of `scipy.optimize.check_grad`, direction="random"; PyTorch's, Gradcheck mechanics, fast mode.
    """
    require_size(
        "directional_check", "directions", directions, least=2, hint="With one, all mistakes look like a factor."
    )
    where = "directional_check"
    _require_alike(where, params, grads)
    leaves, value = _nudgeable(where, loss, params, step)
    _require_judge(where, value, leaves, step)
    given, differences = [], []
    for name, leaf, grad in zip(_names(params), leaves, jax.tree.leaves(grads), strict=True):
        vs = list(rng.standard_normal((directions, *leaf.shape)))
        expected = f"{where}: along a direction of {name} the loss must be"
        given.append(np.array([np.sum(np.asarray(grad, np.float64) * v) for v in vs]))
        differences.append(np.array([_slope_along(value, leaf, step * v, expected) / step for v in vs]))
    structure = jax.tree.structure(params)
    return compare(*(jax.tree.unflatten(structure, rows) for rows in (given, differences)), tolerance=tolerance)


def complex_step(loss: Callable[[Any], complex], params: Any, *, step: float = 1e-20) -> Any:
    """Take the gradient of an analytic loss by complex steps, Im L(θ + iε e_i) / ε, entry by entry: exact to rounding.

    L(θ + iε) = L(θ) + iε L'(θ) − ε² L''(θ) / 2 − ...: the imaginary part is the derivative, nothing is subtracted, and so ε may be as small
    as one likes. The loss has to take complex numbers, and to be analytic in them: +, *, @, exp, tanh, division, whole powers. It is
    not where it takes abs, a complex conjugate, a norm, real parts, or an array of real numbers to write to; all that is found out
    by a comparison with a central difference along one direction.

    Args:
        loss: parameters to a number, pure; complex for complex parameters.
        params: any pytree of real arrays; it is copied, not changed.
        step: ε, in the parameters' units.

    Returns:
        The gradient, a pytree like `params` in float64.

    Raises:
        ValueError: a step that is not positive; a loss that is no single number, not finite, or not analytic.
        TypeError: a loss that refuses complex numbers, or returns a real one; complex parameters.

    Example:
        >>> float(complex_step(lambda p: np.tanh(p["w"]).sum(), {"w": np.zeros(1)})["w"][0])
        1.0

    Source: Squire and Trapp (1998), Using complex variables to estimate derivatives of real functions, SIAM Review 40, equation 3.
    """
    where = "complex_step"

    def guarded(params):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", np.exceptions.ComplexWarning)
                return loss(params)
        except (TypeError, np.exceptions.ComplexWarning) as error:
            raise TypeError(
                f"{where}: the loss must take complex numbers, got: {error}. {_HINTS[np.complex128]}"
            ) from error

    leaves, value = _nudgeable(where, guarded, params, step)
    leaves[:] = [leaf.astype(complex) for leaf in leaves]
    _require_analytic(where, value, leaves, step)
    grads = []
    for name, leaf in zip(_names(params), leaves, strict=True):
        grad = np.empty(leaf.shape)
        for index in np.ndindex(leaf.shape):
            entry = f"{name}[{', '.join(map(str, index))}]" if index else name
            leaf[index] += 1j * step
            grad[index] = value(f"{where}: at {entry} + {step:g}i the loss must be", np.complex128).imag / step
            leaf[index] = leaf[index].real
        grads.append(grad)
    return jax.tree.unflatten(jax.tree.structure(params), grads)


def _nudgeable(where, loss, params, step):
    """Copies of the leaves in float64, free to be changed in place, and `value(expected)`, the loss at them as they are."""
    if not step > 0:
        raise ValueError(f"{where}: step must be positive, got {step}. Try 1e-5.")
    _require_real(where, params)
    leaves, structure = jax.tree.flatten(params)
    leaves = [np.array(leaf, np.float64) for leaf in leaves]

    def value(expected, kind=np.float64):
        return _one_number(loss(jax.tree.unflatten(structure, leaves)), expected, kind)

    return leaves, value


def _one_number(loss, expected, kind):
    if loss is None:
        raise TypeError(f"{expected} one number, got None. Does the loss return its value?")
    loss = np.asarray(loss)
    if loss.shape != ():
        raise ValueError(f"{expected} one number, got shape {loss.shape}. Try summing it.")
    if loss.dtype != kind:
        raise TypeError(f"{expected} {np.dtype(kind)}, got {loss.dtype}. {_HINTS[kind]}")
    if not np.isfinite(loss):
        raise ValueError(f"{expected} finite, got {loss}. Try smaller parameters or a smaller step.")
    return loss.item()


_HINTS = {
    np.float64: 'Try jax.config.update("jax_enable_x64", True), or float64 inputs.',
    np.complex128: "Does it take abs, .real or float(), or write into an array of real numbers?",
}


def _slope_along(value, leaf, nudge, expected):
    """Half of L(θ + nudge) − L(θ − nudge)."""
    centre = leaf.copy()
    leaf[...] = centre + nudge
    above = value(expected)
    leaf[...] = centre - nudge
    below = value(expected)
    leaf[...] = centre
    return (above - below) / 2


def _nudged(where, value, leaf, index, entry, step):
    """The loss with one entry of a leaf nudged."""
    centre = leaf[index]
    leaf[index] = at = centre + step
    if at == centre:
        raise ValueError(f"{where}: {entry} = {centre:g} ± {abs(step):g} must differ. Try a larger step.")
    try:
        return Nudge(at, value(f"{where}: at {entry} ± {abs(step):g} the loss must be"))
    finally:
        leaf[index] = centre


def _require_judge(where, value, leaves, step):
    """Raise unless the loss repeats itself and is computed in float64; return its values so far, and how noisy it is."""
    expected = f"{where}: at the parameters as given the loss must be"
    first = value(expected)
    _require_same(where, first, value(expected))
    wide, near = (_walk(partial(value, expected), leaves, first, length) for length in (10 * step, step))
    values, noise = np.concatenate([wide, near, [first]]), 0.0
    scale = np.abs(values).max()
    if len(wide) and len(near):
        size = max((np.abs(leaf).max(initial=0.0) for leaf in leaves), default=0.0)
        scale += abs(wide[-1] - wide[1]) / (8 * step) * size  # what the rounding of the parameters themselves is worth
        noise = _noise(near)
        falls = 10 * noise < _noise(wide)  # where it is a curve, by a factor of a thousand
        _require_double(where, values)
        if noise > 1e-10 * scale + 1e-11 and not falls:
            _not_double(where, f"a noise of {noise:.0e} in {first:.6g}")
    return list(values), max(noise, np.finfo(float).eps * max(scale, 1.0))


def _walk(value, leaves, first, length):
    """The loss at ten points in a row, θ + v k length / 10, v random and always the same; none where it leaves its domain."""
    rng, kept, values = np.random.default_rng(0), [leaf.copy() for leaf in leaves], [first]
    vs = [rng.uniform(0.5, 1, leaf.shape) * rng.choice([-1, 1], leaf.shape) for leaf in leaves]
    try:
        with np.errstate(all="ignore"):
            for k in range(1, 10):
                for leaf, centre, v in zip(leaves, kept, vs, strict=True):
                    leaf[...] = centre + v * (length * k / 10)
                values.append(value())
    except (ValueError, ArithmeticError):
        values = []
    finally:
        for leaf, centre in zip(leaves, kept, strict=True):
            leaf[...] = centre
    return np.array(values)


def _noise(values):
    """The scatter of equally spaced values about a smooth curve: third differences, whose median one kink or jump can't move."""
    return float(np.median(np.abs(np.diff(values, 3)))) / math.sqrt(20)


def _require_double(where, values):
    """Raise where all values are float32 numbers with all their 24 bits in use: integers have fewer.

    What a cancellation leaves over has few bits too, and the last of them near 1e-16, unlike a float32 number's.
    """
    values = np.asarray(values)
    with np.errstate(over="ignore"):
        single = (values == values.astype(np.float32)).all()
    mantissas, exponents = np.frexp(np.abs(values[values != 0]))
    if single and len(set(values)) > 2:
        bits = (mantissas * 2**24).astype(np.int64)
        last = np.ldexp((bits & -bits).astype(float), exponents - 24).min()  # the least bit that is in use, as a number
        if np.abs(values).max() >= 2**22 * last and last > 8 * np.finfo(float).eps:
            _not_double(where, f"float32 numbers alone, such as {float(values[-1])!r}")


def _not_double(where, got):
    hint = "Is a part of it float32, or rounded? " + _HINTS[np.float64]
    raise TypeError(f"{where}: the loss must be computed in float64 throughout, got {got}. {hint}")


def _require_same(where, first, again):
    if not abs(first - again) <= 1e-12 * max(abs(first), abs(again)):
        hint = "Try without dropout, with one batch and one seed; does the loss keep or change something between calls?"
        raise ValueError(
            f"{where}: two calls of the loss at one place must give one number, got {first:.12g} and {again:.12g}. {hint}"
        )


def _require_no_kink(where, entry, nudge, middle, above, below, noise):
    """Raise where the slopes on both sides of an entry disagree, and go on to do so where the step is a tenth."""
    step = (above.at - below.at) / 2
    floor = 200 * noise / step
    left, right, central = _slopes(below, middle, above)
    bound = 0.01 * max(abs(left), abs(right)) + floor
    if abs(right - left) <= bound or step < 1e4 * np.spacing(abs(middle.at)):
        return
    near_left, near_right, near_central = _slopes(nudge(-step / 10), middle, nudge(step / 10))
    if abs(near_right - near_left) > abs(right - left) / 2 or abs(central - near_central) > bound:
        hint = "A kink, such as a ReLU's at 0, has no gradient. Try random parameters, or a smaller step."
        raise ValueError(
            f"{where}: at {entry} ± {step:.3g} the loss must have one slope, got {left:.4g} below and {right:.4g} above. {hint}"
        )


def _slopes(below, middle, above):
    return (
        (middle.loss - below.loss) / (middle.at - below.at),
        (above.loss - middle.loss) / (above.at - middle.at),
        (above.loss - below.loss) / (above.at - below.at),
    )


def _require_alike(where, params, grads):
    if jax.tree.structure(params) != jax.tree.structure(grads):
        got = f"{jax.tree.structure(grads)} for {jax.tree.structure(params)}"
        raise ValueError(f"{where}: grads must be built as params are, got {got}. Is a parameter missing?")
    for name, param, grad in zip(_names(params), jax.tree.leaves(params), jax.tree.leaves(grads), strict=True):
        if np.shape(param) != np.shape(grad):
            hint = "Is a sum over an axis missing?"
            raise ValueError(f"{where}: grads, {name} must be {np.shape(param)}, got {np.shape(grad)}. {hint}")


def _require_analytic(where, value, leaves, step):
    """Raise unless Im L(θ + iεv) / ε is what a central difference says, along one direction v."""
    rng, kept = np.random.default_rng(0), [leaf.copy() for leaf in leaves]
    vs = [rng.standard_normal(leaf.shape) for leaf in leaves]

    def at(length):
        for leaf, centre, v in zip(leaves, kept, vs, strict=True):
            leaf[...] = centre + length * v
        return value(f"{where}: along a direction the loss must be", np.complex128)

    slope, above, below = at(1j * step).imag / step, at(1e-5).real, at(-1e-5).real
    for leaf, centre in zip(leaves, kept, strict=True):
        leaf[...] = centre
    difference = (above - below) / 2e-5
    if not abs(slope - difference) <= 1e-4 * max(abs(slope), abs(difference)) + 1e-9 * max(abs(above), abs(below)):
        hint = "Does it take abs, a conjugate, a norm, or the real part?"
        got = f"a slope of {slope:.6g} by a complex step and {difference:.6g} by a real one"
        raise ValueError(f"{where}: the loss must be analytic, got {got}. {hint}")


def _require_real(where, tree):
    for name, leaf in zip(_names(tree), jax.tree.leaves(tree), strict=True):
        if np.iscomplexobj(leaf):
            raise TypeError(
                f"{where}: {name} must be real, got complex numbers. Try its real and imaginary parts apart."
            )


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
