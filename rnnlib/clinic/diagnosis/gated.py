"""The ways back through an LSTM and a GRU: the derivative of every gate, what goes along the cell, and what goes through W_hh."""

from collections.abc import Iterator
from functools import reduce
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from rnnlib.cells import LSTMParams
from rnnlib.clinic.diagnosis.flows import Change, groups
from rnnlib.clinic.diagnosis.net import Net
from rnnlib.clinic.xray import formulas
from rnnlib.clinic.xray.gates import NAMES
from rnnlib.clinic.xray.parts import Part
from rnnlib.clinic.xray.probe import blocks

GATE, PATH = (
    "gate_derivative_wrong",
    2,
)  # in an LSTM the first two factors of i, f and g lead from dh to dc, all the same


class Known(NamedTuple):
    """What every flow begins with."""

    lstm: bool  # or a GRU
    hs: Float[np.ndarray, "states B H"]
    kept: list[
        Float[np.ndarray, "T B H"]
    ]  # i, f, g, o, tanh(c); or r, z, n, and what the reset gate is multiplied with
    rules: dict[str, list[Part]]  # by gate, the factors of its derivative and their versions
    W_hh: dict[str, Float[np.ndarray, "H H"]]  # by gate


def look(net: Net) -> Known:
    """Run the net, and keep what its flows share."""
    lstm, trace = isinstance(net.params, LSTMParams), net.trace
    kept = [np.stack(array) for array in zip(*trace.kept, strict=True)]
    rules = (formulas.lstm if lstm else formulas.gru)(net.params, trace)
    return Known(lstm, trace.hs, kept, rules, blocks(net.params, net.params.W_hh))


def changes(net: Net, known: Known) -> Iterator[Change]:
    """List what may be done otherwise, each by its key in the catalogue."""
    W, lstm = known.W_hh, known.lstm
    yield Change("cell_error_not_carried", "", {"along the cell": 0.0})
    yield Change("error_not_carried", "nothing goes back through W_hh.T", {"through W_hh": {}})
    yield Change("W_hh_not_transposed", "", {"through W_hh": W})
    right = {letter: block.T for letter, block in W.items()}
    for letter, block in W.items():
        without = {other: block for other, block in right.items() if other != letter}
        yield Change("error_not_carried", f"what {NAMES[letter]} sends back to h is missing", {"through W_hh": without})
        says = f"in the block of {NAMES[letter]}"
        yield Change("W_hh_not_transposed", says, {"through W_hh": right | {letter: block}})
    for name, array in _carriers(known).items():
        belongs = "f_{t+1} dc_{t+1}" if lstm else "z_{t+1} dh_{t+1}"
        yield Change(GATE, f"along the cell goes {name} where {belongs} belongs", {"along the cell": array})
    yield from _parts(known)
    if not lstm:
        bare = "the candidate's error {} without the reset gate"
        yield Change(GATE, bare.format("goes back to h"), {"reset on the way": False})
        yield Change(GATE, bare.format("is summed for W_hh and b_n"), {"reset in the sums": False})
        both = {"reset on the way": False, "reset in the sums": False}
        yield Change(GATE, bare.format("goes back to h, and into the sums for W_hh and b_n,"), both)
    yield Change("output_error_twice", "", {"own": 2.0})
    yield Change("own_error_left_out", "at every step", {"own": 0.0})
    if net.params.W_hy.shape[0] == net.params.W_hy.shape[1]:
        yield Change("W_hy_not_transposed", "", {"read": net.params.W_hy})


def _carriers(known):
    """What may stand in the place of f_{t+1}, or of z_{t+1}, as factors of the step t + 1."""
    keeps = known.kept[1]
    one = np.ones_like(keeps)
    if not known.lstm:
        return {"(1 − z_{t+1}) dh_{t+1}": one - keeps, "dh_{t+1}": one}
    before = np.concatenate([keeps[:1], keeps[:-1]])
    others = {"f_t dc_{t+1}": before, "dc_{t+1}": one}
    return others | {"i_{t+1} dc_{t+1}": known.kept[0], "(1 − f_{t+1}) dc_{t+1}": one - keeps}


def _parts(known):
    """A factor of one gate's derivative, or of all that share it, in another version."""
    rules, lstm = known.rules, known.lstm
    shared = [("i", "f", "g")] if lstm else [("r", "n")]
    for letter, parts in rules.items():
        common = next((others for others in shared if letter in others), (letter,))
        for place, part in enumerate(parts):
            belongs, *others = part.options
            together = common if place < PATH else (letter,)
            if letter != together[0]:
                continue  # it was named with the first of them
            who = " and ".join(NAMES[each] for each in together)
            for name in others:
                effects = {(each, place): rules[each][place].options[name] for each in together}
                yield Change(GATE, f"the error of {who} has {name} where {belongs} belongs", effects)
    sigmoid = [(letter, len(rules[letter]) - 1) for letter in rules if letter not in "gn"]
    for version in range(1, len(rules[sigmoid[0][0]][-1].options)):
        versions = {place: list(rules[place[0]][place[1]].options.items())[version] for place in sigmoid}
        names = ", ".join(name for name, _ in versions.values())
        effects = {place: array for place, (_, array) in versions.items()}
        yield Change(GATE, f"the errors of all gates have {names} where σ' belongs", effects)


def errors(net: Net, known: Known, effects: dict[Any, Any]) -> tuple:
    """Send the error back with these effects.

    Args:
        net: the net.
        known: from `look`.
        effects: of the changes.

    Returns:
        The fields of a `Flow` from `driven` on.
    """
    path, slope = _slopes(known, effects)
    keeps = np.broadcast_to(effects.get("along the cell", known.kept[1]), known.kept[1].shape)  # f, or z
    through = effects.get("through W_hh", {letter: block.T for letter, block in known.W_hh.items()})
    own, cut = groups(len(net.xs), effects.get("reach"))
    own = own[:, :, None, None] * (effects.get("own", 1.0) * (net.d_ys @ effects.get("read", net.params.W_hy.T)))
    deltas = {letter: np.empty_like(own) for letter in slope}
    d_h_later, d_c_later = np.zeros_like(own[:, 0]), np.zeros_like(own[:, 0])
    for t in reversed(range(len(net.xs))):
        stop = cut[:, t, None, None]
        d_h = own[:, t] + np.where(stop, 0, d_h_later)
        d_c = d_h * path[t] + np.where(stop, 0, d_c_later) if known.lstm else d_h
        for letter in slope:
            deltas[letter][:, t] = (d_h if letter == "o" else d_c) * slope[letter][t]
        sent = {letter: deltas[letter][:, t] for letter in through}
        if not known.lstm and "n" in sent and effects.get("reset on the way", True):
            sent["n"] = known.kept[0][t] * sent["n"]
        d_c_later = d_c * keeps[t]
        d_h_later = sum((sent[letter] @ block for letter, block in through.items()), 0 if known.lstm else d_c_later)
        d_h_later = d_h_later + 0 * d_h  # also where nothing goes back
    return _flow(known, {letter: delta.sum(0) for letter, delta in deltas.items()}, d_h_later, d_c_later, effects)


def _slopes(known, effects):
    """What leads from dh to dc in an LSTM, and from dc, or dh, to each gate's error."""
    factors = {
        letter: [effects.get((letter, place), next(iter(part.options.values()))) for place, part in enumerate(parts)]
        for letter, parts in known.rules.items()
    }
    begin = {letter: PATH if known.lstm and letter in "ifg" else 0 for letter in factors}
    path = reduce(np.multiply, factors["i"][:PATH]) if known.lstm else None
    return path, {letter: reduce(np.multiply, factors[letter][begin[letter] :]) for letter in factors}


def _flow(known, deltas, d_h, d_c, effects):
    driven = np.concatenate(list(deltas.values()), axis=-1)
    if known.lstm:
        start = {"h0.h": [("", d_h.sum(0))], "h0.c": [("", d_c.sum(0))]}
        return driven, driven, None, known.hs, start
    inner = known.kept[0] * deltas["n"] if effects.get("reset in the sums", True) else deltas["n"]
    recurrent = np.concatenate([deltas["r"], deltas["z"], inner], axis=-1)
    return driven, recurrent, None, known.hs, {"h0": [("", d_h.sum(0))]}
