"""The way back through an Elman net, δ_t = (dL/dy_t W_hyᵀ + δ_{t+1} W_hhᵀ) ⊙ (1 − h_t²), and what people do in place of it."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from rnnlib.clinic.diagnosis.flows import Change, groups
from rnnlib.clinic.diagnosis.net import Net
from rnnlib.clinic.xray.elman import TANH, slopes

SLOPE = "tanh_slope_misplaced"


class Known(NamedTuple):
    """What every flow begins with."""

    hs: Float[np.ndarray, "states B H"]
    slopes: dict[str, Float[np.ndarray, "T B H"]]  # what is written in the place of 1 − h², by its formula
    belongs: str  # the right one's formula


def look(net: Net) -> Known:
    """Run the net, and keep what its flows share."""
    trace = net.trace
    return Known(trace.hs, slopes(trace.a, trace.hs), getattr(net.params, "slope", TANH))


def changes(net: Net, known: Known) -> Iterator[Change]:
    """List what may be done otherwise, each by its key in the catalogue."""
    params, hs = net.params, known.hs
    last = np.broadcast_to(hs[-1:], hs.shape)  # a forward pass that wrote every state into one array
    yield Change("error_not_carried", "", {"carry": "nothing"})
    yield from _slopes(known)
    yield Change("W_hh_not_transposed", "", {"back": params.W_hh})
    yield Change("output_error_twice", "", {"own": 2.0})
    yield Change("tape_corrupted", "every state is h_T", {"hs": last})
    yield Change("tape_corrupted", "every state but h_0 is h_T", {"hs": np.concatenate([hs[:1], last[1:]])})
    yield Change("errors_accumulated", "what is carried is never set back", {"carry": "accumulated"})
    yield Change("errors_accumulated", "what is carried keeps dL/dh too", {"carry": "accumulated whole"})
    only_last = (np.arange(len(hs) - 1) == len(hs) - 2)[:, None, None] * 1.0
    yield Change("own_error_left_out", "at every step but the last", {"own": only_last})
    yield Change("own_error_left_out", "at every step", {"own": 0.0})
    if params.W_hy.shape[0] == params.W_hy.shape[1]:
        yield Change("W_hy_not_transposed", "", {"read": params.W_hy})


def _slopes(known):
    one, right = np.ones_like(known.hs[1:]), known.slopes[known.belongs]
    for name, array in known.slopes.items():
        if name != known.belongs and "last step" not in name:  # that is a broken tape
            yield Change(SLOPE, f"the slope is {name} where {known.belongs} belongs", {"slopes": array})
    yield Change(SLOPE, "the carried error meets no slope", {"slopes carried": one})
    yield Change(SLOPE, "a step's own error meets no slope", {"slopes": one, "slopes carried": right})
    yield Change(SLOPE, "what is carried back has not met the slope", {"carry": "before the slope"})


def errors(net: Net, known: Known, effects: dict[Any, Any]) -> tuple:
    """Send the error back with these effects.

    Args:
        net: the net.
        known: from `look`.
        effects: of the changes.

    Returns:
        The fields of a `Flow` from `driven` on.
    """
    params = net.params
    hs, back = effects.get("hs", known.hs), effects.get("back", params.W_hh.T)
    slope = effects.get("slopes", 1 - hs[1:] ** 2 if "hs" in effects else known.slopes[known.belongs])
    slope_carried, carry = effects.get("slopes carried", slope), effects.get("carry", "delta")
    own, cut = groups(len(net.xs), effects.get("reach"))
    read = effects.get("own", 1.0) * (net.d_ys @ effects.get("read", params.W_hy.T))
    own = own[:, :, None, None] * read  # (N, T, B, H)
    deltas, before, carried = np.empty_like(own), np.empty_like(own), np.zeros_like(own[:, 0])
    for t in reversed(range(len(net.xs))):
        carried = np.where(cut[:, t, None, None], 0, carried)
        before[:, t] = d_h = own[:, t] + carried
        deltas[:, t] = own[:, t] * slope[t] + carried * slope_carried[t]
        carried = {
            "delta": lambda now, d_h, kept: now @ back,
            "nothing": lambda now, d_h, kept: 0 * now,
            "before the slope": lambda now, d_h, kept: d_h @ back,
            "accumulated": lambda now, d_h, kept: kept + now @ back,
            "accumulated whole": lambda now, d_h, kept: d_h + now @ back,
        }[carry](deltas[:, t], d_h, carried)
    deltas, before, carried = deltas.sum(0), before.sum(0), carried.sum(0)
    start = [
        ("", deltas[0] @ back),
        ("", carried),  # what the loop has in hand when it ends
        ("", deltas[0] @ params.W_hh.T),  # a right last stride after a wrong way
        ("W_hh_not_transposed", deltas[0] @ params.W_hh),  # and the other way round
        ("dh0_without_W_hh", deltas[0]),
        ("dh0_without_W_hh", before[0]),
    ]
    return deltas, deltas, before, hs, {"h0": start}
