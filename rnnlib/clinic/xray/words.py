"""What an X-ray says: everything that was found, in sentences, and the keys of the catalogue that it explains."""

import numpy as np

from rnnlib.clinic.catalogue import CATALOGUE
from rnnlib.clinic.xray.behaviour import Behaviour
from rnnlib.clinic.xray.elman import CARRIED, READOUT, SLOPE, WEIGHT, Flow
from rnnlib.clinic.xray.gates import ALONG_H, ORDER, WHAT_GATES_SEND
from rnnlib.clinic.xray.identify import Identity
from rnnlib.clinic.xray.parts import Fault
from rnnlib.clinic.xray.squares import FIRST, Reach
from rnnlib.clinic.xray.sums import Sum

SILENT = ("only the loss", "no loss is heard")  # how a reach begins where own errors are missing
LOWER = ("h0", "b_", "dc", "dh")  # names that keep their case at the start of a sentence
CHANNELS = {
    "what is carried along c": "dc",
    "what is carried along h": "dh",
    "what is carried along h itself": "dh, along h itself,",
}
Found = tuple[str, str]  # words, and a key of the catalogue or nothing


def behaviour(seen: Behaviour) -> list[Found]:
    """Say how the pass behaves as a function, if not as it should."""
    said = []
    if seen.repeat:
        said.append((f"called again with the same arguments it {seen.repeat}", ""))
    if seen.random:
        return said
    if seen.changes:
        said.append((f"it writes into its arguments: {', '.join(seen.changes)}", ""))
    if seen.clipped:
        inside = "" if seen.one_length else "; what is said here was read off smaller ones"
        which = "gradients are brought" if seen.one_length else "large gradients are cut,"
        said.append((f"{which} {seen.clipped}{inside}", ""))
    elif not seen.linear and not seen.repeat:
        said.append(("it is not linear in d_ys: is something cut, or are weights updated, on the way back?", ""))
    if seen.decay:
        said.append((f"without any loss it still gives {seen.decay}", ""))
    return said + [(note, "") for note in seen.notes]


def truncation(reach: Reach, T: int) -> list[Found]:
    """Say which steps the losses reach, if not all."""
    if not reach.says:
        return []
    keys = ["h0_dropped"] if reach.says.startswith(FIRST) else []
    keys += ["error_not_carried"] if reach.kind == "windows" and reach.window == 1 else []
    keys += ["own_error_left_out"] if reach.says.startswith(SILENT) else []
    if reach.kind == "columns" or (reach.says == "only the last step is reached" and T > 2):
        return [(f"{reach.says} (= for += in the sums?)", "overwritten_not_summed")]
    return [(reach.says, " ".join(keys))]


def faults(flow: Flow, sums: dict[str, Sum]) -> list[Found]:
    """Say what is wrong with the flow of the error; a slope of the last state is a broken tape if the sums have it too."""
    said = [_fault(fault) for fault in flow.faults]
    if any(s.key == "tape_corrupted" for s in sums.values()):
        said = [(words, "tape_corrupted" if "of the last step" in words else key) for words, key in said]
    return said


def _fault(fault: Fault) -> Found:
    where, found, belongs = fault
    if where == SLOPE:
        return f"the slope is {found} where {belongs} belongs", "tanh_slope_misplaced"
    if where == f"{SLOPE} of what is carried":
        return f"on what is carried the slope is {found} where {belongs} belongs", "tanh_slope_misplaced"
    if where == WEIGHT:
        return f"{WEIGHT} counts {found}", ""
    if where == READOUT:
        return f"an output's error goes back through {found} where {belongs} belongs", "W_hy_not_transposed"
    if where.startswith("what is carried along") and found == "nothing":
        key = "error_not_carried" if where == ALONG_H else "cell_error_not_carried"
        return f"{CHANNELS[where]} is not carried: step t lacks {belongs}", key
    if where in WHAT_GATES_SEND.values():
        return fault.says, "error_not_carried" if found == "nothing" else "W_hh_not_transposed"
    if where != CARRIED:
        return fault.says, "gates_reordered" if where == ORDER else "gate_derivative_wrong"
    if found == "no one matrix":
        return "what it carries between steps is no one matrix times the error", ""
    if found == "no matrix":
        return "between steps it carries the error as it is where W_hh.T belongs", ""
    key = "W_hh_not_transposed" if found.split()[0] == "W_hh" else ""
    if "+=" in found:
        return f"between steps the errors pile up: it carries {found}", f"{key} errors_accumulated"
    key = "tanh_slope_misplaced" if "before its slope" in found and not key else key
    return f"between steps it multiplies by {found} where {belongs} belongs", key


def factors(flow: Flow, sums: dict[str, Sum], T: int, B: int) -> list[Found]:
    """Say what is a multiple: everything, a step's own error, or single parameters."""
    own, readout, said = flow.factor, [sums[name].factor for name in ("W_hy", "b_y") if name in sums], []
    common = readout[0] if readout and np.allclose(readout, readout[0], rtol=1e-4) else 1.0
    together = 1 not in (own, common) and np.isclose(own / common, (1, 2), rtol=1e-4).any()
    if together:
        words, key = multiple(common, T, B)
        said, own = [(f"every gradient is {words}", key)], own / common
    if np.isclose(own, 2, rtol=1e-4):
        said.append(("a step's own error counts twice", "output_error_twice"))
    elif not np.isclose(own, 1, rtol=1e-4):
        words, key = multiple(own, T, B)
        said.append((f"a step's own error is {words}", key))
    alone = {}
    for name, s in sums.items():
        if s.factor not in (0.0, 1.0) and np.isfinite(s.factor) and not (together and name in ("W_hy", "b_y")):
            alone.setdefault(multiple(s.factor, T, B), []).append(name)
    return said + [(f"{listed(n)} {'is' if len(n) == 1 else 'are'} {words}", key) for (words, key), n in alone.items()]


def multiple(factor: float, T: int, B: int) -> Found:
    """Name a factor: a mean over time, over the batch, a sign.

    Args:
        factor: the number.
        T: steps.
        B: sequences.

    Returns:
        Words and key.

    Example:
        >>> multiple(1 / 6, 6, 2)
        ('1/6 of the right one (a mean over the T = 6 steps where the sum belongs)', 'mean_over_time')
    """
    where, known = "where the sum belongs", {-1.0: ("the right one with the other sign", "wrong_sign")}
    means = {
        T: (f"a mean over the T = {T} steps", "mean_over_time"),
        B: (f"a mean over the B = {B} sequences", "mean_over_batch"),
        T * B: ("a mean over time and batch", "mean_over_time mean_over_batch"),
    }
    if T == B:
        means[T] = (f"a mean over time or over the batch, T = B = {T},", "mean_over_time mean_over_batch")
    for n, (words, key) in means.items():
        known[1 / n] = (f"1/{n} of the right one ({words} {where})", key)
        known[-1 / n] = (f"−1/{n} of the right one ({words} {where}, and the other sign)", f"wrong_sign {key}")
    close = (said for value, said in known.items() if value != 1 and np.isclose(factor, value, rtol=1e-4))
    return next(close, (f"{factor:.3g} times the right one", ""))


def pairings(sums: dict[str, Sum]) -> list[Found]:
    """Say what is wrong with the sums, parameters with the same fault together."""
    together, keys = {}, {}
    for name, s in sums.items():
        if s.says:
            together.setdefault(s.says, []).append(name)
            keys[s.says] = s.key if s.key != "bias_not_summed_over_time" else keys.get(s.says, s.key)
    plural = {"is": "are", "keeps": "keep", "leaves": "leave", "pairs": "pair", "takes": "take"}
    said = []
    for says, names in together.items():
        verb, rest = says.split(" ", 1)
        said.append((f"{listed(names)} {verb if len(names) == 1 else plural.get(verb, verb)} {rest}", keys[says]))
    return said


def shapes(misshapen: dict, missing: tuple[str, ...]) -> list[Found]:
    """Say which arrays have another shape than their parameter, or did not come."""
    said = []
    for name, (got, want) in misshapen.items():
        key, hint = "", "is a sum over an axis missing?"
        if name.startswith("b_"):
            key = "bias_not_summed_over_time" if got != (1, *want) else ""
            hint = "is it not summed over time and batch?" if key else "was the sum taken with keepdims=True?"
        elif name.startswith("h0"):
            key, hint = "dh0_not_summed_over_batch", "is it not summed over the batch?"
        elif got == want[::-1]:
            hint = "is it the transpose?"
        said.append((f"{name} has the shape {got} where {want} belongs: {hint}", key))
    if missing:
        said.append((f"no gradient came for {listed(list(missing))}", ""))
    return said


def identity(found: Identity, T: int, B: int) -> list[Found]:
    """Say all that was identified.

    Args:
        found: from `identify`.
        T: steps.
        B: sequences.

    Returns:
        Words and keys.
    """
    said = [(found.mixes, "")] if found.mixes else []
    said += truncation(found.reach, T) + faults(found.flow, found.sums)
    said += factors(found.flow, found.sums, T, B) + pairings(found.sums)
    if any(key == "overwritten_not_summed" for _, key in said):  # on a bias it is the same mistake
        said = [(w, "overwritten_not_summed" if key == "bias_not_summed_over_time" else key) for w, key in said]
    return said or [("it is not right, in a way that has no name here", "")]


def message(found: list[Found], whole: bool, T: int, B: int) -> tuple[str, tuple[str, ...]]:
    """Put what was found into sentences, and its keys in the catalogue's order.

    Args:
        found: words and keys.
        whole: whether beyond that all is right.
        T: steps.
        B: sequences.

    Returns:
        The message and the names.
    """
    if not found:
        poor = " and ".join(f"{name} = 1" for name, size in {"T": T, "B": B}.items() if size == 1)
        blind = f" With {poor} some mistakes do not show." if poor else ""
        return f"Right: every loss reaches every step up to its own, and every sum is as it should be.{blind}", ()
    keys = {key for _, some in found for key in some.split()}
    sentences = [words if words.startswith(LOWER) else words[0].upper() + words[1:] for words, _ in found]
    sentences = [words if words[-1] in "?." else f"{words}." for words in sentences]
    told = " ".join([*sentences, *(["The rest is right."] if whole else [])])
    return told, tuple(name for name in CATALOGUE if name in keys)


def listed(names: list[str]) -> str:
    """Write a list as in a sentence."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
