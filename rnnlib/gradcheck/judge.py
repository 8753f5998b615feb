"""Can differences judge this loss? It must be the same at two calls, computed in float64 throughout, and without a kink."""

import math
from functools import partial
from typing import NamedTuple

import numpy as np


class Nudge(NamedTuple):
    """One evaluation of a loss with one entry nudged."""

    at: float  # the entry's value, as it was rounded
    loss: float


def one_number(loss, expected, kind):
    """What a loss returned, as one finite number of this type, or an error that begins with what was expected."""
    if loss is None:
        raise TypeError(f"{expected} one number, got None. Does the loss return its value?")
    loss = np.asarray(loss)
    if loss.shape != ():
        raise ValueError(f"{expected} one number, got shape {loss.shape}. Try summing it.")
    if loss.dtype != kind:
        raise TypeError(f"{expected} {np.dtype(kind)}, got {loss.dtype}. {HINTS[kind]}")
    if not np.isfinite(loss):
        raise ValueError(f"{expected} finite, got {loss}. Try smaller parameters or a smaller step.")
    return loss.item()


HINTS = {
    np.float64: 'Try float64 inputs; a loss of JAX needs jax.config.update("jax_enable_x64", True) too.',
    np.complex128: "Does it take abs, .real or float(), or write into an array of real numbers?",
}


def require_judge(where, value, leaves, step):
    """Raise unless the loss repeats itself and is computed in float64; return its values so far, and how noisy it is."""
    expected = f"{where}: at the parameters as given the loss must be"
    first = value(expected)
    require_same(where, first, value(expected))
    wide, near = (_walk(partial(value, expected), leaves, first, length) for length in (10 * step, step))
    values, noise = np.concatenate([wide, near, [first]]), 0.0
    scale = np.abs(values).max()
    if len(wide) and len(near):
        size = max((np.abs(leaf).max(initial=0.0) for leaf in leaves), default=0.0)
        scale += abs(wide[-1] - wide[1]) / (8 * step) * size  # what the rounding of the parameters themselves is worth
        noise = _noise(near)
        falls = 10 * noise < _noise(wide)  # where it is a curve, by a factor of a thousand
        require_double(where, values)
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


def require_double(where, values):
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
    hint = "Is a part of it float32, or rounded? " + HINTS[np.float64]
    raise TypeError(f"{where}: the loss must be computed in float64 throughout, got {got}. {hint}")


def require_same(where, first, again):
    """Raise unless two calls at one place gave one number."""
    if not abs(first - again) <= 1e-12 * max(abs(first), abs(again)):
        hint = "Try without dropout, with one batch and one seed; does the loss keep or change something between calls?"
        raise ValueError(
            f"{where}: two calls of the loss at one place must give one number, got {first:.12g} and {again:.12g}. {hint}"
        )


def require_no_kink(where, entry, nudge, middle, above, below, noise):
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


def require_analytic(where, value, leaves, step):
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
