"""What may be amiss beside the way back and its sums: another net, or something done to the whole gradient afterwards."""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import permutations
from typing import NamedTuple

import numpy as np

from rnnlib.cells import ElmanParams, GRUParams, LSTMParams
from rnnlib.clinic.diagnosis.net import Arrays, Net, arrays
from rnnlib.clinic.xray import variants
from rnnlib.clinic.xray.forward import reorder
from rnnlib.clinic.xray.probe import blocks
from rnnlib.clinic.xray.reference import leaves, like

GATES = ("W_xh", "W_hh", "b_h")  # whose columns are gates


class Cause(NamedTuple):
    """Something that acts on all parameters at once."""

    name: str  # a key of the catalogue, or a sentence
    net: Net  # that the gradient is of
    does: Callable[[str, np.ndarray], np.ndarray]  # what becomes of a parameter's gradient


def as_it_is(name: str, gradient: np.ndarray) -> np.ndarray:
    """Do nothing to it."""
    return gradient


def views(net: Net) -> Iterator[Cause]:
    """List the nets that a pass may have run in place of the one it was given."""
    T, B, _ = net.d_ys.shape
    if net.start is None and max(T, B) > 1:
        yield Cause("time_and_batch_swapped", swapped(net), as_it_is)
    for says, other in (*_starts(net), *_times(net)):
        yield Cause(says, other, as_it_is)
    yield from _cells(net)


def swapped(net: Net) -> Net:
    """Take time for the batch."""
    return net._replace(xs=net.xs.swapaxes(0, 1), d_ys=net.d_ys.swapaxes(0, 1))


def afterwards(net: Net, given: Arrays) -> Iterator[Cause]:
    """List what may have been done to a gradient, as far as the gradient in question shows it: clipping, decay, another order of gates."""
    largest = max(np.abs(g).max(initial=0.0) for g in given.values())
    at_bound = sum(int((np.abs(g) >= (1 - 1e-6) * largest).sum()) for g in given.values())
    if at_bound > 1:
        says = f"Clipped: every entry is cut at ±{largest:.4g}, and all entries inside agree"
        yield Cause(says, net, lambda name, g: np.clip(g, -largest, largest))
    norms = [np.linalg.norm(g) for g in given.values()]
    if sum(norm >= (1 - 1e-6) * max(norms) for norm in norms) > 1:
        bound = max(norms)
        says = f"Clipped: each array is scaled down to a norm of {bound:.4g}, where it was longer"
        yield Cause(says, net, lambda name, g: g * min(1.0, bound / max(np.linalg.norm(g), 1e-300)))
    letters = tuple(blocks(net.params, net.params.b_h))
    for order in list(permutations(range(len(letters))))[1:]:
        yield Cause("gates_reordered", net, partial(_ordered, order))


def decays(net: Net, given: Arrays, readouts: dict[str, list[np.ndarray]]) -> Iterator[Cause]:
    """List the multiples of the parameters that may have been added: those that the readout's gradients show.

    Args:
        net: the net.
        given: the gradient in question.
        readouts: what the gradients of W_hy and b_y may be without it.
    """
    theta, seen = arrays(net.params), set()
    for name, candidates in readouts.items():
        for wanted in candidates:
            share = _multiple(given[name] - wanted, theta[name]) if given[name].shape == wanted.shape else 0.0
            if abs(share) > 1e-9 and f"{share:.4g}" not in seen:
                seen.add(f"{share:.4g}")
                says = f"All differ by {share:.4g} θ, θ the parameters: a weight decay on one side"
                for some in ("W_", "Wb", "Wbh"):
                    yield Cause(says, net, partial(_decayed, share, theta, some))


def multiples(net: Net, given: Arrays, readouts: dict[str, list[np.ndarray]]) -> Iterator[Cause]:
    """List the factors that all of the gradient may have been multiplied by, as the readout's gradients show them; as for `decays`."""
    theta = arrays(net.params)
    seen, norm = set(), np.sqrt(sum(np.sum(np.square(g)) for g in given.values()))
    for name, candidates in readouts.items():
        for wanted in candidates:
            if given[name].shape != wanted.shape:
                continue
            yield from _updated(net, theta, given[name], wanted, theta[name])
            factor = _multiple(given[name], wanted)
            if factor in (0.0, 1.0) or f"{factor:.4g}" in seen:
                continue
            seen.add(f"{factor:.4g}")
            says = f"Every parameter is scaled by {factor:.4g}"
            if 0 < factor < 1 and abs(norm / float(f"{norm:.2g}") - 1) < 1e-6:
                says = f"Clipped: all arrays together are scaled down to a norm of {norm:.4g}, by {factor:.4g}"
            yield Cause(says, net, lambda name, g, factor=factor: factor * g)


def _updated(net, theta, given, wanted, parameter):
    """New parameters in place of gradients: θ − η g."""
    step = _multiple(parameter - given, wanted)
    if step > 0 and parameter.any():
        says = f"These are updated parameters, θ − {step:.4g} g, and not gradients g"
        yield Cause(says, net, lambda name, g: theta[name] - step * g)


def _multiple(array, of):
    """The factor times which `of` is the array; 0 if it is no multiple."""
    square = float(np.sum(of * of))
    share = float(np.sum(array * of)) / square if square else 0.0
    return share if np.abs(array - share * of).max(initial=0.0) <= 1e-6 * np.abs(of).max(initial=0.0) else 0.0


def _decayed(share, theta, some, name, gradient):
    return gradient + share * theta[name] if name[0] in some else gradient


def _ordered(order, name, gradient):
    return reorder(gradient, np.argsort(order)) if name in GATES and gradient.shape[-1] % len(order) == 0 else gradient


def _starts(net):
    """Other first states, and other ends of the sequence."""
    params, T = net.params, len(net.xs)
    zero = like(params.h0, tuple(np.zeros_like(h) for h in leaves(params.h0)))
    belongs = "params.h0" if net.start is None else "the given state"
    if net.start is not None:
        yield f"The pass starts from params.h0 where {belongs} belongs", net._replace(start=None, constant=True)
    if net.start is not None or any(h.any() for h in leaves(params.h0)):
        yield f"The pass starts from zeros where {belongs} belongs", net._replace(start=zero, constant=True)
    states = net.trace.states
    for k in range(1, T):
        tail = net._replace(xs=net.xs[-k:], d_ys=net.d_ys[-k:], start=like(params.h0, states[T - k]), constant=True)
        yield f"Truncated: only the last {_steps(k)} {_count(k)}, as of a last chunk alone", tail
        if k > 1:  # one step alone is what = leaves for +=
            head = net._replace(xs=net.xs[:k], d_ys=net.d_ys[:k])
            yield f"Truncated: only the first {k} steps count, as of a first chunk alone", head
    for k in range(1, T):
        yield f"The state is set back to {belongs} every {_steps(k)}", _in_chunks(net, k)


def _in_chunks(net, k):
    """Chunks of k steps as sequences of their own, the last filled up with steps that have no loss."""

    def cut(array):
        padded = np.concatenate([array, np.zeros((-len(array) % k, *array.shape[1:]), array.dtype)])
        return padded.reshape(-1, k, *array.shape[1:]).swapaxes(0, 1).reshape(k, -1, array.shape[-1])

    count = -(-len(net.xs) // k)
    start = None if net.start is None else like(net.params.h0, tuple(np.tile(s, (count, 1)) for s in leaves(net.start)))
    return net._replace(xs=cut(net.xs), d_ys=cut(net.d_ys), start=start)


def _times(net):
    """Time otherwise: backwards, or errors at a neighbouring step."""
    xs, d_ys, none = net.xs, net.d_ys, np.zeros_like(net.d_ys[:1])
    if len(xs) == 1:
        return
    yield "Time runs backwards: the pass reads the inputs from the last to the first", net._replace(xs=xs[::-1])
    both = net._replace(xs=xs[::-1], d_ys=d_ys[::-1])
    yield "Time runs backwards: the pass reads inputs and errors from the last to the first", both
    late = "Each dL/dy_t is taken one step late, at h_{t+1}: are the targets shifted by one?"
    early = "Each dL/dy_t is taken one step early, at h_{t−1}: are the targets shifted by one?"
    for fill_late, fill_early in ((d_ys[-1:], d_ys[:1]), (none, none)):
        yield late, net._replace(d_ys=np.concatenate([fill_late, d_ys[:-1]]))
        yield early, net._replace(d_ys=np.concatenate([d_ys[1:], fill_early]))


def _cells(net):
    """Other forward passes with the same parameters."""
    params = net.params

    def run(says, cell, does=as_it_is):
        return Cause(f"The forward pass is another: {says}", net._replace(params=cell), does)

    for name in ("b_h", "b_n"):
        if hasattr(params, name) and getattr(params, name).any():
            yield run(f"it leaves out {name}", params._replace(**{name: 0 * getattr(params, name)}))
    if isinstance(params, ElmanParams):
        flipped = params._replace(W_hh=params.W_hh.T)
        yield run("it multiplies by W_hh transposed", flipped, lambda name, g: g.T if name == "W_hh" else g)
        for name, cell in variants.ACTIVATIONS.items():
            yield run(f"its units are {name} where tanh belongs", cell(*params))
        return
    if isinstance(params, LSTMParams):
        yield run("its h is o c where o tanh(c) belongs", variants.Bare(*params))
    if isinstance(params, GRUParams):
        yield run("its update gate is the other way round, z n + (1 − z) h_{t−1}", variants.Turned(*params))
    letters = tuple(blocks(params, params.b_h))
    for order in list(permutations(range(len(letters))))[1:]:
        columns = {name: reorder(getattr(params, name), order) for name in GATES}
        names = ", ".join(letters[order.index(k)] for k in range(len(letters)))
        says = f"its gates come in the order {names} where {', '.join(letters)} belongs"
        yield run(says, params._replace(**columns), partial(_ordered, order))


def _steps(count):
    return "step" if count == 1 else f"{count} steps"


def _count(count):
    return "counts" if count == 1 else "count"
