"""How a backward pass behaves as a function: is it linear in dL/dy, the same at every call, and does it leave its arguments alone?"""

from typing import NamedTuple

import numpy as np

from rnnlib.clinic.xray.probe import Pass, Unreadable
from rnnlib.clinic.xray.reference import gradients, leaves, like, run

SMALL, LARGE = -1e-6, 1e6  # times dL/dy: where nothing is clipped, with the other sign, and where everything is
Arrays = dict[str, np.ndarray]


class Behaviour(NamedTuple):
    """How the pass behaves; each text is empty where nothing is amiss."""

    linear: bool  # k times dL/dy gives k times the gradient
    clipped: str  # how a large gradient is cut, such as "entry by entry to ±5"
    decay: str  # what is there without any loss, such as "0.1 times the parameters"
    repeat: str  # what a second call with the same arguments does otherwise
    changes: tuple[str, ...]  # arguments that it writes into
    notes: tuple[str, ...]  # what went wrong at extremes alone
    scale: float  # of dL/dy, at which it can be read
    noise: float  # relative rounding error of its answers
    offset: Arrays  # the gradient without any loss
    whole: Arrays  # that of all losses at once, without it
    batch: int  # B

    @property
    def one_length(self) -> bool:
        """Whether its answers are normalised."""
        return "whatever" in self.clipped

    @property
    def random(self) -> bool:
        """Whether its answers differ from call to call in a way that can't be told."""
        return self.repeat.startswith("gives another")


def observe(ask: Pass) -> Behaviour:
    """Ask for the same losses again, for none, for minus a millionth and for a million times them.

    Args:
        ask: the pass.

    Returns:
        Its `Behaviour`.

    Raises:
        Unreadable: as `Pass`.
    """
    d_ys = ask.subject.d_ys
    first = ask(d_ys, "all losses at once")
    repeat = _repeat(ask, first, ask(d_ys, "all losses at once, again"))
    notes, extremes = [], {}
    for times, what in {
        0.0: "d_ys all zero",
        SMALL: "d_ys minus a millionth of it",
        LARGE: "d_ys a million times as large",
    }.items():
        try:
            with np.errstate(all="ignore"):
                extremes[times] = ask(times * d_ys, what)
        except Unreadable as trouble:
            notes.append(str(trouble))
    zero = extremes.get(0.0, {name: 0 * g for name, g in first.items()})
    first = {name: first[name] - zero[name] for name in first}
    small = {name: (g - zero[name]) / SMALL for name, g in extremes.get(SMALL, {}).items()} or first
    large = {name: (g - zero[name]) / LARGE for name, g in extremes.get(LARGE, {}).items()} or first
    noise = apart(small, first)
    linear, clipped = noise < 1e-3, ""
    if linear and apart(large, small) < 1e-3:
        pass
    elif apart({name: g * abs(SMALL) for name, g in small.items()}, first) < 1e-3:
        clipped = "to one length, whatever d_ys is"
    else:
        clipped = _clipping({name: g * LARGE for name, g in large.items()}, small)
    decay = _decay(ask, zero) if any(g.any() for g in zero.values()) else ""
    return Behaviour(
        linear=linear and not clipped,
        clipped=clipped,
        decay=decay,
        repeat=repeat,
        changes=tuple(sorted(ask.changes)),
        notes=tuple(notes),
        scale=1.0 if linear else abs(SMALL),
        noise=noise if linear else 1e-7,  # what is not linear is read to first order
        offset=zero,
        whole=first,
        batch=d_ys.shape[1],
    )


def _repeat(ask, first, again):
    if apart(again, first) < 1e-4:
        return ""
    if apart(again, {name: 2 * g for name, g in first.items()}) < 1e-4:
        ask.accumulates, ask.before = True, again
        return "adds to the gradients of the call before: the arrays are not zeroed in between"
    params, xs, d_ys, state = ask.subject
    for start in (state, params.h0, like(params.h0, tuple(0 * s for s in leaves(params.h0)))):
        if start is None:
            continue
        end = like(params.h0, run(params, xs, start).states[-1])
        right, after = (gradients(params, xs, d_ys[None], s)["W_hy"][0] for s in (start, end))
        if apart({"": first.get("W_hy")}, {"": right}) < 1e-4 and apart({"": again.get("W_hy")}, {"": after}) < 1e-4:
            return "starts where the call before ended: it keeps its state from call to call"
    return "gives another gradient: is something drawn at random, or kept from call to call?"


def _clipping(large, small):
    """What bounds a gradient that should have been huge: an entry, all of it together, or an array by itself; empty if nothing plain."""
    cut = [name for name in large if np.abs(large[name]).max() < 0.5 * LARGE * np.abs(small[name]).max()]
    if not cut:
        return ""
    which = "" if len(cut) == len(large) else f"{', '.join(cut)} alone, "
    value = max(np.abs(large[name]).max() for name in cut)
    if all(np.isclose(np.abs(large[name])[small[name] != 0], value, rtol=1e-3).all() for name in cut):
        return f"{which}entry by entry to ±{value:.3g}"
    norms, straight = {name: np.linalg.norm(large[name]) for name in cut}, {}
    for name in cut:  # by its length alone?
        straight[name] = norms[name] / np.linalg.norm(small[name])
        if not np.allclose(large[name], straight[name] * small[name], atol=1e-3 * np.abs(large[name]).max()):
            return ""
    if len(cut) == len(large) and np.allclose(list(straight.values()), straight[cut[0]], rtol=1e-3):
        return f"as a whole to a norm of {np.linalg.norm(list(norms.values())):.3g}"
    if np.allclose(list(norms.values()), norms[cut[0]], rtol=1e-3):
        return f"{which}array by array to a norm of {norms[cut[0]]:.3g}"
    return ""


def _decay(ask, zero):
    arrays = {}
    for name, value in ask.subject.params._asdict().items():
        names = [f"{name}.{part}" for part in value._fields] if isinstance(value, tuple) else [name]
        arrays |= dict(zip(names, leaves(value), strict=True))
    arrays = {name: array for name, array in arrays.items() if zero.get(name, np.zeros(1)).any()}
    if all(zero[name].shape == array.shape for name, array in arrays.items()) and arrays:
        shares = [(zero[name] * array).sum() / (array * array).sum() for name, array in arrays.items()]
        named = [np.allclose(zero[n], shares[0] * array, atol=1e-6) for n, array in arrays.items()]
        if all(named):
            return f"{shares[0]:.3g} times the parameters"
    return "something"


def apart(a: Arrays, b: Arrays) -> float:
    """Return the largest relative difference of two gradients, array by array; infinite where they can't be compared."""
    worst = 0.0
    for name in b:
        if a.get(name) is None or a[name].shape != b[name].shape:
            return np.inf
        largest = max(np.abs(a[name]).max(initial=0.0), np.abs(b[name]).max(initial=0.0))
        worst = max(worst, np.abs(a[name] - b[name]).max(initial=0.0) / largest if largest else 0.0)
    return float(worst)
