"""What carries the error back in an LSTM or a GRU: the derivative of each gate, and what goes from step to step along h and along c."""

from functools import reduce
from itertools import groupby, permutations
from typing import Any

import numpy as np

from rnnlib.cells import LSTMParams
from rnnlib.clinic.xray import formulas
from rnnlib.clinic.xray.elman import CARRIED, READOUT, Carried, Flow, neighbours
from rnnlib.clinic.xray.parts import Fault, Part, explain
from rnnlib.clinic.xray.probe import blocks
from rnnlib.clinic.xray.reference import Run

NAMES = {
    "i": "the input gate",
    "f": "the forget gate",
    "g": "the candidate",
    "o": "the output gate",
    "r": "the reset gate",
    "z": "the update gate",
    "n": "the candidate",
}
WHAT_GATES_SEND = {letter: f"what {name} sends back to h" for letter, name in NAMES.items()}
ORDER, ALONG_H, ALONG_C = "the gates' order in the gradients", "what is carried along h", "what is carried along c"


def flow(params: Any, trace: Run, d_ys: np.ndarray, R: np.ndarray, tolerance: float) -> Flow:
    """Identify every gate's derivative from the diagonal, and what is carried from neighbouring squares.

    Args:
        params: `LSTMParams` or `GRUParams`.
        trace: the forward pass that it belongs to.
        d_ys: (T, B, K).
        R: (T, B, T, P), the errors that the pass sends from the loss of step t in sequence b to the gates of step s.
        tolerance: relative.

    Returns:
        The `Flow`.
    """
    T, gates = len(d_ys), blocks(params, R)
    own = {"W_hy.T": d_ys @ params.W_hy.T}
    own |= {"W_hy": d_ys @ params.W_hy} if own["W_hy.T"].shape == d_ys.shape else {}
    rules = (formulas.lstm if isinstance(params, LSTMParams) else formulas.gru)(params, trace)
    diagonal = {letter: block[np.arange(T), :, np.arange(T)] for letter, block in gates.items()}
    live = np.abs(np.stack(list(diagonal.values()))).max((0, 2, 3)) > 0
    if not live.any():
        return Flow((), 1.0, None, Carried("not seen", True, 1.0, None), None, False)
    order = _order(diagonal, own["W_hy.T"], rules, live, tolerance)
    faults = [] if list(order) == list(gates) else [Fault(ORDER, ", ".join(order), ", ".join(gates))]
    gates = dict(zip(order, gates.values(), strict=True))
    diagonal = dict(zip(order, diagonal.values(), strict=True))
    found = {}
    for letter, parts in rules.items():
        parts = [Part(p.where, {n: a[live] for n, a in p.options.items()}) for p in (Part(READOUT, own), *parts)]
        found[letter] = explain(diagonal[letter][live], parts, np.multiply, tolerance)
    derivative, more, factor = _read(found, rules, diagonal, own["W_hy.T"], tolerance)
    carried, carry_faults, known = _carried(params, trace, gates, derivative, rules, found, tolerance)
    everything = all(found.values()) and known
    return Flow(tuple(faults + more + carry_faults), factor, None, carried, None, everything)


def _order(diagonal, own, rules, live, tolerance):
    """In which order the gates come, if every one of them is right but in another place."""
    right = {}
    for letter, parts in rules.items():
        right[letter] = own * reduce(np.multiply, [next(iter(part.options.values())) for part in parts])

    def fits(block, letter):
        return explain(block[live], [Part("", {"": right[letter][live]})], np.multiply, tolerance) is not None

    table = {(at, letter): fits(block, letter) for at, block in enumerate(diagonal.values()) for letter in right}
    orders = (order for order in permutations(right) if all(table[at, letter] for at, letter in enumerate(order)))
    return next(orders, tuple(right))  # the right order comes first


def _read(found, rules, diagonal, own, tolerance):
    """Each gate's derivative as the pass has it, what is wrong with them, and how often the step's own error counts."""
    derivative, wrong, factors = {}, [], []
    for letter, explanation in found.items():
        name = NAMES[letter]
        if explanation is None:
            zero = not diagonal[letter].any()
            found_here = "nothing" if zero else "another derivative"
            wrong.append((name, Fault("", found_here, "its derivative" if not zero else "everything")))
            derivative[letter] = diagonal[letter] / np.where(own == 0, np.nan, own)
            continue
        names = explanation.chosen[1:]
        arrays = [part.options[chosen] for part, chosen in zip(rules[letter], names, strict=True)]
        derivative[letter] = reduce(np.multiply, arrays)
        factors.append(explanation.factor)
        wrong += [(name, fault) for fault in explanation.faults]
    factor = max(set(factors), key=factors.count) if factors else 1.0
    for letter, explanation in found.items():
        if explanation and not np.isclose(explanation.factor, factor, rtol=10 * tolerance):
            wrong.append((NAMES[letter], Fault("", _times(explanation.factor / factor), "its derivative")))
    return derivative, _merged(wrong), factor


def _times(factor):
    return "its derivative with the other sign" if np.isclose(factor, -1) else f"{factor:.3g} times its derivative"


def _merged(wrong):
    """One fault for what is wrong in several gates alike."""
    key = lambda pair: (pair[1].where == READOUT, pair[1].found, pair[1].belongs)  # noqa: E731
    faults = []
    for (readout, found, belongs), pairs in groupby(sorted(wrong, key=key), key):
        names = list(dict.fromkeys(name for name, _ in pairs))
        listed = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
        where = f"the error of {listed}" if len(names) == 1 else f"the errors of {listed}"
        faults.append(Fault(READOUT if readout else where, found, belongs))
    return faults


def _carried(params, trace, gates, derivative, rules, found, tolerance):
    t, b, s = neighbours(np.concatenate(list(gates.values()), axis=-1))
    if not len(t):
        return Carried("nothing", len(trace.kept) == 1, 1.0, None), [], True
    read = _lstm_carried if isinstance(params, LSTMParams) else _gru_carried
    after = {letter: block[t, b, s + 1] for letter, block in gates.items()}
    here = {letter: block[t, b, s] for letter, block in gates.items()}
    with np.errstate(all="ignore"):
        return read(params, trace, here, after, derivative, rules, found, (b, s), tolerance)


def _lstm_carried(params, trace, here, after, derivative, rules, found, at, tolerance):
    """Along h through W_hh from all gates, read off the output gate; along c through the forget gate, read off the candidate."""
    (b, s), reader = at, next((letter for letter in "gif" if found[letter]), "g")
    path = _path(rules[reader], found[reader])
    d_h = here["o"] / derivative["o"][s, b]
    d_c, d_c_after = (path[k, b] * x[reader] / derivative[reader][k, b] for k, x in ((s, here), (s + 1, after)))
    along_c = d_c - path[s, b] * d_h
    i, f = (np.stack([kept[k] for kept in trace.kept]) for k in (0, 1))
    options = {"f_{t+1} dc_{t+1}": f[s + 1, b], "f_t dc_{t+1}": f[s, b], "dc_{t+1}": np.ones_like(d_c)}
    options |= {"i_{t+1} dc_{t+1}": i[s + 1, b], "(1 − f_{t+1}) dc_{t+1}": 1 - f[s + 1, b]}
    part = Part(ALONG_C, {name: d_c_after * array for name, array in options.items()})
    faults, known = _term(along_c, part, np.abs(d_c).max(), tolerance)
    terms = _through(params, after)
    more, right, also = _terms(d_h, terms, np.abs(d_c).max() * tolerance, tolerance)
    return Carried(right, right == "W_hh.T" and not faults, 1.0, None), [*faults, *more], known and also


def _gru_carried(params, trace, here, after, derivative, rules, found, at, tolerance):
    """Along h itself through the update gate, and through W_hh from all gates; read off the candidate."""
    b, s = at
    d_h, d_h_after = (x["n"] / derivative["n"][k, b] for k, x in ((s, here), (s + 1, after)))
    r, z = (np.stack([kept[k] for kept in trace.kept])[s + 1, b] for k in (0, 1))
    direct = {"z dh_{t+1}": z * d_h_after, "nothing": 0 * d_h, "(1 − z) dh_{t+1}": (1 - z) * d_h_after}
    terms = [Part(f"{ALONG_H} itself", direct | {"dh_{t+1}": d_h_after})]
    through = _through(params, after | {"n": r * after["n"]})
    W_n = blocks(params, params.W_hh)["n"]
    through[-1].options["δ_n W_n.T without r"] = after["n"] @ W_n.T
    more, right, known = _terms(d_h, [*terms, *through], 0.0, tolerance)
    return Carried(right, right == "W_hh.T", 1.0, None), more, known


def _through(params, after):
    """A term for each gate: what it sends back to h through its columns of W_hh."""
    columns = blocks(params, params.W_hh)
    terms = []
    for letter, W in columns.items():
        error = after[letter]
        right = f"(r δ_n) W_{letter}.T" if letter == "n" else f"δ_{letter} W_{letter}.T"
        options = {right: error @ W.T, "nothing": 0 * error, f"δ_{letter} W_{letter}": error @ W}
        terms.append(Part(WHAT_GATES_SEND[letter], options))
    return terms


def _term(observed, part, size, tolerance):
    """The one thing that is carried: faults, and whether it is known."""
    belongs = next(iter(part.options))
    if not np.abs(observed).max() > 10 * tolerance * size:
        return [Fault(part.where, "nothing", belongs)], True
    found = explain(observed, [part], np.multiply, 10 * tolerance)
    if found is None:
        return [Fault(part.where, "something else", belongs)], False
    scaled = [] if found.factor == 1 else [Fault(part.where, f"{found.factor:.3g} times {found.chosen[0]}", belongs)]
    return [*found.faults, *(scaled if not found.faults else [])], True


def _terms(observed, terms, floor, tolerance):
    """The sum of what the gates send back: faults, what it is in a word, and whether it is known."""
    nothing, other = (
        Fault(ALONG_H, found, "what the gates send back through W_hh.T") for found in ("nothing", "something else")
    )
    if not np.abs(observed).max() > floor:
        return [nothing], "nothing", True
    found = explain(observed, terms, np.add, 10 * tolerance)
    if found is None:
        return [other], "no one matrix", False
    gates = [fault for fault in found.faults if fault.where in WHAT_GATES_SEND.values()]
    rest = [fault for fault in found.faults if fault not in gates]
    rest += [] if found.factor == 1 else [Fault(CARRIED, f"{found.factor:.3g} W_hh.T", "W_hh.T")]
    if len(gates) == sum(term.where in WHAT_GATES_SEND.values() for term in terms):  # in all of them alike?
        if all(fault.found == "nothing" for fault in gates):
            return [nothing, *rest], "nothing", True
        if all(fault.found == fault.belongs.removesuffix(".T").replace("(r δ_n)", "δ_n") for fault in gates):
            return [Fault(CARRIED, "W_hh", "W_hh.T"), *rest], "W_hh", True
    return [*gates, *rest], "parts of W_hh.T" if gates else "W_hh.T", True


def _path(parts, explanation):
    """What leads from dh to dc as the pass has it: the first two factors of the formula of i, f and g."""
    chosen = explanation.chosen[1:] if explanation else [next(iter(part.options)) for part in parts]
    return parts[0].options[chosen[0]] * parts[1].options[chosen[1]]
