"""Which mistakes of the catalogue explain a gradient: every wrong gradient that up to two of them can make, and the search among these.

A mistake acts in one of two places. It bends the *error* on its way back, and then every gradient that the error feeds is off; or it
spoils one of the *sums* over time and batch, and then only that parameter is. So a gradient is explained in two steps: an error flow for
all parameters, and for each parameter a way of summing it up. The fewest mistakes that explain all six are the answer.
"""

from collections.abc import Callable, Iterator
from itertools import combinations, product

import numpy as np

from rnnlib.bptt import Tape
from rnnlib.cells import ElmanParams

Names = frozenset[str]


def flows(params: ElmanParams, tape: Tape) -> Iterator[tuple[Names, dict]]:
    """List the ways in which at most two mistakes let the error flow back, the right way first.

    Args:
        params: the parameters.
        tape: the right forward pass.

    Returns:
        Pairs of the mistakes' names and what they change about the flow, for `candidates`.
    """
    hs = tape.hs
    a = tape.xs @ params.W_xh + hs[:-1] @ params.W_hh + params.b_h
    last = np.broadcast_to(hs[-1:], hs.shape)  # a forward pass that wrote every state into one array
    ways = {
        "error_not_carried": [{"carry": "nothing"}],
        "tanh_slope_misplaced": [
            *(
                {"slopes": s}
                for s in (1 - np.tanh(hs[1:]) ** 2, 1 - a**2, 1 - hs[:-1] ** 2, 1 - hs[1:], np.ones_like(a))
            ),
            {"slopes carried": np.ones_like(a)},
            {"slopes": np.ones_like(a), "slopes carried": 1 - hs[1:] ** 2},
            {"carry": "before the slope"},
        ],
        "W_hh_not_transposed": [{"back": params.W_hh}],
        "output_error_twice": [{"own": 2}],
        "tape_corrupted": [{"hs": last}, {"hs": np.concatenate([hs[:1], last[1:]])}],
    }
    for number in range(3):
        for names in combinations(ways, number):
            for changes in product(*(ways[name] for name in names)):
                yield frozenset(names), {key: value for change in changes for key, value in change.items()}


def candidates(names: Names, flow: dict, params: ElmanParams, tape: Tape, d_ys: np.ndarray) -> dict[str, list]:
    """List, for each parameter, the gradients that an error flow can be summed up to with at most two mistakes in all.

    Args:
        names: the mistakes in the flow.
        flow: what they change about it, from `flows`.
        params: the parameters.
        tape: the right forward pass.
        d_ys: (T, B, K), dL/dy at every step.

    Returns:
        By parameter, pairs of names (those of the flow included) and gradient; the right sum first.
    """
    hs, back = flow.get("hs", tape.hs), flow.get("back", params.W_hh.T)
    deltas, carried = _deltas(params, d_ys, hs, back, flow)  # (T, B, H), and what is in hand at the end (B, H)
    d_h0 = deltas[0] @ back  # (B, H)
    before, after, ones = hs[:-1], hs[1:], np.ones((*d_ys.shape[:2], 1), hs.dtype)
    squared = [np.concatenate([hs[:1], broken]) for broken in (after**2, 1 - after**2)]  # what *= leaves in a view
    sums = {
        "W_xh": [*_sums("", tape.xs, deltas), *_sums("h0_dropped", tape.xs[1:], deltas[1:])],
        "W_hh": [
            *_sums("", before, deltas),
            *_sums("h_t_for_h_prev", after, deltas),
            *_sums("h0_dropped", before[1:], deltas[1:]),
            *_sums("h_t_for_h_prev h0_dropped", after[1:], deltas[1:]),
            *(s for broken in squared for s in _sums("tape_corrupted", broken[:-1], deltas)),
        ],
        "b_h": [
            *_bias_sums(ones, deltas),
            *((made, total[0]) for made, total in _sums("h0_dropped", ones[1:], deltas[1:])),
        ],
        "W_hy": [
            *_sums("", after, d_ys),
            *_sums("h_t_for_h_prev", before, d_ys),
            *(s for broken in squared for s in _sums("tape_corrupted", broken[1:], d_ys)),
        ],
        "b_y": [*_bias_sums(ones, d_ys)],
        "h0": [
            ("", d_h0.sum(0)),
            *(("dh0_not_summed_over_batch", part) for part in (d_h0, d_h0[0], d_h0[-1])),
            ("", carried.sum(0)),  # what the loop has in hand when it ends
            ("h0_dropped", 0 * d_h0[0]),
            ("", (deltas[0] @ params.W_hh.T).sum(0)),  # a right last stride after a wrong way
            ("W_hh_not_transposed", (deltas[0] @ params.W_hh).sum(0)),  # and the other way round
        ],
    }
    return {parameter: _scaled(names, options, d_ys.shape) for parameter, options in sums.items()}


def smallest(
    explains: Callable[[str, np.ndarray], bool], params: ElmanParams, tape: Tape, d_ys: np.ndarray
) -> list[Names]:
    """Find the smallest sets of at most two mistakes that explain a gradient, all of that size.

    Args:
        explains: whether the gradient in question has, for a parameter, this value.
        params: the parameters.
        tape: the right forward pass.
        d_ys: (T, B, K), dL/dy at every step.

    Returns:
        The sets; the empty set alone if the gradient is right, none at all if nothing explains it.
    """
    found = set()
    for names, flow in flows(params, tape):
        if found and len(names) > min(map(len, found)):
            break
        options = candidates(names, flow, params, tape, d_ys)
        ways = [
            {made for made, gradient in options[parameter] if explains(parameter, gradient)} for parameter in options
        ]
        minimal = [[way for way in some if not any(other < way for other in some)] for some in ways]
        found |= {made for made in (frozenset().union(*way) for way in product(*minimal)) if len(made) <= 2}
    fewest = {made for made in found if len(made) == min(map(len, found))}
    swap = {
        "overwritten_not_summed",
        "bias_not_summed_over_time",
    }  # on a bias alone the two are one: the latter says more
    return sorted((s for s in fewest if not ("overwritten_not_summed" in s and s ^ swap in fewest)), key=sorted)


def _deltas(params, d_ys, hs, back, flow):
    right = 1 - hs[1:] ** 2
    slopes, slopes_carried = flow.get("slopes", right), flow.get("slopes carried", flow.get("slopes", right))
    own = flow.get("own", 1) * (d_ys @ params.W_hy.T)
    deltas, carried = np.empty_like(own), np.zeros_like(own[0])
    for t in reversed(range(len(own))):
        d_h = own[t] + carried
        deltas[t] = own[t] * slopes[t] + carried * slopes_carried[t]
        carried = {"delta": deltas[t], "before the slope": d_h, "nothing": 0 * d_h}[flow.get("carry", "delta")] @ back
    return deltas, carried


def _sums(mistake, left, right):
    """Σ_{t,b} left_tbᵀ right_tb, and what is left of it where the steps are not added up."""
    for made, steps in (
        ("", slice(None)),
        ("overwritten_not_summed", slice(0, 1)),
        ("overwritten_not_summed", slice(-1, None)),
    ):
        yield f"{mistake} {made}", np.tensordot(left[steps], right[steps], ((0, 1), (0, 1)))


def _bias_sums(ones, right):
    for made, total in _sums("", ones, right):
        yield made, total[0]
    for unsummed in (right.sum(1), right.sum(0), right, right[0].sum(0), right[-1].sum(0)):
        yield "bias_not_summed_over_time", unsummed


def _scaled(names, options, shape):
    """The sums, each also with the wrong factors that at most two mistakes in all allow."""
    T, B, _ = shape
    factors = {"wrong_sign": -1, "mean_over_time": 1 / T, "mean_over_batch": 1 / B}
    scaled = []
    for made, gradient in options:
        for number in range(3):
            for scales in combinations(factors, number):
                together = names | {*made.split(), *scales}
                if len(together) <= 2:
                    scaled.append((together, gradient * np.prod([factors[scale] for scale in scales])))
    return scaled
