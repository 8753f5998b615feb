"""What a flow of errors can be summed up to, for each parameter: right, with one sum spoilt, and times a factor."""

import math
from collections.abc import Callable, Iterator
from functools import partial
from itertools import combinations, product

import numpy as np

from rnnlib.clinic.diagnosis.flows import Flow, Names
from rnnlib.clinic.diagnosis.net import Net

STEPS = [
    ((), slice(None)),
    (("overwritten_not_summed",), slice(0, 1)),
    (("overwritten_not_summed",), slice(-1, None)),
]
Option = tuple[tuple[str, ...], Callable[[], np.ndarray]]  # keys of the catalogue, and what makes the gradient


def options(name: str, net: Net, flow: Flow, limit: int) -> Iterator[Option]:
    """List what the gradient of one parameter may be under a flow, the right sum first; nothing is computed yet.

    A sum has four places where it can be spoilt: what the errors are paired with, which errors they are, which steps are left of it, and
    whether it is turned round.

    Args:
        name: of the parameter; "h0.h" and "h0.c" of a pair.
        net: the net.
        flow: the errors.
        limit: how many causes there may be in all, the flow's included.

    Yields:
        Keys, and a function that returns the array.
    """
    if name.startswith("h0"):
        yield from _first_state(net, flow.start[name])
        return
    left, right = _factors(name, net, flow)
    if limit == len(flow.names) and "tape_corrupted" not in flow.names:  # nothing more may be amiss
        yield (), partial(_sum, left, right, slice(None))
        return
    lefts, rights, whens = [((), left), *_others(name, net, flow)], [((), right)], list(STEPS)
    if name in ("W_xh", "W_hh", "b_h"):
        rights += [(("error_before_slope",), flow.before)] if flow.before is not None else []
        whens.append((("h0_dropped",), slice(1, None)))
    turned = [(), ("gradient_transposed",)] if left is not None and left.shape[-1] == right.shape[-1] > 1 else [()]
    for (a, paired), (b, error), (c, when), d in product(lefts, rights, whens, turned):
        if len(flow.names.union(keys := a + b + c + d)) <= limit:
            yield keys, partial(_sum, *((error, paired) if d else (paired, error)), when)
    if name.startswith("b_"):
        for axes in (1, 0, ()):
            yield ("bias_not_summed_over_time",), partial(np.sum, right, axes)
        for step in (0, -1):
            yield ("bias_not_summed_over_time",), partial(np.sum, right[step], 0)
    if name == "W_xh":
        for keys, error in rights:
            yield from ((keys + symbols, lost) for symbols, lost in _symbols(net.xs, error))


def scaled(names: Names, option: Option, net: Net, limit: int) -> Iterator[tuple[Names, np.ndarray]]:
    """List an option with the wrong factors that so many causes in all allow."""
    keys, gradient = option
    if len(names | set(keys)) > limit:
        return
    T, B, _ = net.d_ys.shape
    factors, gradient = {"wrong_sign": -1, "mean_over_time": 1 / T, "mean_over_batch": 1 / B}, gradient()
    for number in range(limit + 1):
        for scales in combinations(factors, number):
            together = names | {*keys, *scales}
            if len(together) <= limit:
                yield together, gradient * math.prod(factors[scale] for scale in scales)


def _factors(name, net, flow):
    """Both sides of the product, dW = Σ leftᵀ right; a bias has nothing on the left."""
    return {
        "W_xh": (net.xs, flow.driven),
        "W_hh": (flow.hs[:-1], flow.recurrent),
        "b_h": (None, flow.driven),
        "b_n": (None, flow.recurrent[..., -flow.hs.shape[-1] :]),
        "W_hy": (flow.hs[1:], net.d_ys),
        "b_y": (None, net.d_ys),
    }[name]


def _others(name, net, flow):
    """What may stand on the left in its place."""
    hs = flow.hs
    squared = [
        np.concatenate([hs[:1], broken]) for broken in (hs[1:] ** 2, 1 - hs[1:] ** 2)
    ]  # what *= leaves in a view
    if name == "W_hh":
        yield ("h_t_for_h_prev",), hs[1:]
        yield from ((("wrong_first_state",), np.concatenate([other, hs[1:-1]])) for other in (hs[1:2], hs[-1:]))
        yield from ((("tape_corrupted",), broken[:-1]) for broken in squared)
    elif name == "W_hy":
        yield ("h_t_for_h_prev",), hs[:-1]
        yield from ((("tape_corrupted",), broken[1:]) for broken in squared)
    elif name == "W_xh":
        xs, none = net.xs, np.zeros_like(net.xs[:1])
        shifted = ([none, xs[:-1]], [xs[-1:], xs[:-1]], [xs[1:], none], [xs[1:], xs[:1]])
        yield from ((("input_of_another_step",), np.concatenate(both)) for both in shifted)


def _first_state(net, found):
    for key, per_sequence in found:
        keys = (key,) if key else ()
        yield keys, partial(np.sum, per_sequence, 0)
        if net.handed:
            yield keys, partial(np.asarray, per_sequence)
        if not key:
            for part in (per_sequence, per_sequence[0], per_sequence[-1]):
                yield ("dh0_not_summed_over_batch",), partial(np.asarray, part)
    yield () if net.constant else ("h0_dropped",), partial(np.zeros_like, found[0][1][0])


def _symbols(xs, right):
    """One-hot inputs, and W[symbols] += δ: of symbols that come more than once the last alone counts."""
    if not (((xs == 0) | (xs == 1)).all() and (xs.sum(-1) == 1).all()):
        return
    symbols, D = xs.argmax(-1), xs.shape[-1]
    yield ("repeated_symbols_lost",), partial(_indexed, D, symbols, right)  # step by step
    yield (
        ("repeated_symbols_lost",),
        partial(_indexed, D, symbols.reshape(1, -1), right.reshape(1, -1, right.shape[-1])),
    )


def _indexed(D, symbols, right):
    total = np.zeros((D, right.shape[-1]), right.dtype)
    for rows, errors in zip(symbols, right, strict=True):
        total[rows] += errors
    return total


def _sum(left, right, steps):
    """Σ_{t,b} left_tbᵀ right_tb over some steps; of a bias, whose left is None, Σ right_tb."""
    return right[steps].sum((0, 1)) if left is None else np.tensordot(left[steps], right[steps], ((0, 1), (0, 1)))
