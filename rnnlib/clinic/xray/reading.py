"""The X-ray itself: a backward pass, asked and read."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from rnnlib.clinic.xray import elman, forward, gates, manners, show, squares, sums, words
from rnnlib.clinic.xray.elman import Carried, Flow, Slope
from rnnlib.clinic.xray.manners import Manners
from rnnlib.clinic.xray.probe import Pass, Subject, Unreadable, draw
from rnnlib.clinic.xray.squares import Reach
from rnnlib.clinic.xray.sums import Sum

TITLES = {"elman": "an Elman net", "lstm": "an LSTM", "gru": "a GRU"}


class XRay(NamedTuple):
    """What a backward pass does; prints as its squares and its message."""

    squares: np.ndarray  # (T, T) of "right", "missing", "scaled", "wrong", "future" or "": the loss of step t at step s
    scale: np.ndarray  # (T, T): the multiple of the right error; NaN where it is none
    names: tuple[str, ...]  # keys of the catalogue that explain it
    message: str  # what it does, in a sentence or more
    cell: str  # "elman", "lstm" or "gru"
    reach: Reach | None  # which steps the losses reach
    slope: Slope | None  # of an Elman net, unit by unit
    carried: Carried | None  # what takes the error from step to step
    flow: Flow | None  # all that is known of the way back
    net: str  # how the states differ from those of the net as given; empty where they don't
    mixes: str  # whether sequences of a batch hear each other; empty where they don't
    sums: dict[str, Sum]  # how each parameter's gradient is added up
    manners: Manners | None  # how it behaves as a function
    error: BaseException | None  # what it raised, where it could not be read

    @property
    def right(self) -> bool:
        """Whether it is the full gradient and nothing is amiss."""
        return self.message.startswith("Right")

    def __str__(self) -> str:
        """Give squares and message as text."""
        return show.text(self.squares, self.scale, self.message)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        title = f"X-ray of the backward pass of {TITLES[self.cell]}: what the loss of each step sends to each step"
        return show.html(self.squares, self.scale, self.message, title)


def xray(
    backward: Callable,
    *,
    cell: str = "elman",
    T: int = 6,
    B: int = 2,
    H: int = 5,
    K: int = 3,
    state: Any = None,
    rng: np.random.Generator,
) -> XRay:
    """Look into a backward pass: which loss reaches which step, how right, and what it does instead.

    It is called some T B + 5 times, with copies; nothing that is yours is changed. The truth is that of `cells`: for an Elman net
    δ_t = (dL/dy_t W_hyᵀ + δ_{t+1} W_hhᵀ) ⊙ (1 − h_t²), for the others their tangents, transposed.

    Args:
        backward: `(params, xs, d_ys) -> grads`, a function of NumPy arrays: parameters of the cell, inputs (T, B, D) and dL/dy (T, B, K)
            to gradients, as the parameters' own tuple, a dict with their names, or a sequence in their order.
        cell: "elman", "lstm" or "gru".
        T: steps; five and more tell windows from chunks.
        B: sequences; two and more show whether they mix.
        H: hidden units.
        K: outputs a step.
        state: where every sequence starts, (B, H), for an LSTM a pair (h, c), or None for `params.h0`. It is handed to `backward` as a fourth
            argument if that has one without a default, or one called `state`; else `backward` is taken to know it.
        rng: the source of randomness for net and data.

    Returns:
        The `XRay`. A pass that raises or returns no gradient is one too: its message says at which call, its `error` what was raised.

    Raises:
        ValueError: an unknown cell, a size below 1, a state of another shape.
        TypeError: a backward that can't be called, a seed in place of a generator.

    Example:
        >>> from rnnlib import bptt
        >>> def one_step(params, xs, d_ys):
        ...     return bptt.backward(params, bptt.forward(params, xs), d_ys, window=2)
        >>> print(xray(one_step, T=4, rng=np.random.default_rng(0)))
                    1    2    3    4  step
        loss 1      ✓
        loss 2      ✓    ✓
        loss 3      ·    ✓    ✓
        loss 4      ·    ·    ✓    ✓
        ✓ right   · missing
        Truncated to windows of 2 steps behind every loss. The rest is right.

    Source: one loss at a time after Williams and Peng (1990), An efficient gradient-based algorithm for on-line training of recurrent
    network trajectories, Neural Computation 2, equation 8; the one-hot inputs are those of a learner's question, Stack Overflow, December 2014.
    """
    if not callable(backward):
        raise TypeError(f"xray: backward must be a function (params, xs, d_ys), got {type(backward).__name__}.")
    subject = draw(cell, T, B, H, K, state, rng)
    ask, blank = Pass(backward, subject), np.full((T, T), "", dtype="<U7")
    try:
        behaviour = manners.observe(ask)
        single = _one_at_a_time(ask, behaviour)
    except Unreadable as trouble:
        nothing = (blank, np.full((T, T), np.nan), (), str(trouble), cell, None, None, None, None, "", "", {}, None)
        return XRay(*nothing, trouble.__cause__)
    behaviour = behaviour._replace(changes=tuple(sorted(ask.changes)))
    return _read(subject, ask, behaviour, single, cell)


def _one_at_a_time(ask, behaviour):
    answers = []
    T, B, _ = ask.subject.d_ys.shape
    for n, d_ys in enumerate(ask.subject.one_at_a_time):
        answers.append(ask(behaviour.scale * d_ys, f"the loss of step {n // B + 1} in sequence {n % B + 1} alone"))
    offset = behaviour.offset
    return {name: np.stack([a[name] - offset[name] for a in answers]) / behaviour.scale for name in answers[0]}


def _read(subject, ask, behaviour, single, cell):
    T, B, _ = subject.d_ys.shape
    tolerance = min(1e-3, max(1e-7, 1e3 * behaviour.noise))
    rows = single["W_xh"].reshape(T * B, T, B, -1)
    floor = (10 * behaviour.noise + 1e-14) * np.abs(rows).max() + _rounding(behaviour)
    given = forward.as_given(subject)
    triangle, scale = squares.compare(rows, _rows(given.gradients(subject), rows), tolerance, floor)
    hs = None if "W_hy" in ask.misshapen or "W_hy" not in single else forward.read_states(single["W_hy"], subject.d_ys)
    net = None if hs is None else forward.find(subject, hs, 10 * tolerance)
    says = "" if net else _strange(hs)
    net = net or given
    right = net.gradients(subject)
    usable = {name: g for name, g in single.items() if name not in ask.misshapen or name == "W_xh"}
    found = words.behaviour(behaviour) + words.shapes(ask.misshapen, ask.missing)
    found += [(net.says or says, "")] if net.says or says else []
    agree = _agree(usable, right, tolerance, floor)
    if agree and not found:
        everything = "Right: every loss reaches every step up to its own, and every sum is as it should be."
        result = (Reach("full", "", None), None, None, None)
        flow = _flow(net, subject, rows, tolerance)
        result = (result[0], flow.slope, flow.carried, flow)
        return XRay(triangle, scale, (), everything, cell, *result, "", "", {}, behaviour, None)
    if agree or any(net.since):
        more = [] if agree else [("beyond that it is not right", "")]
        told, names = words.message(found + more, "")
        told += " The rest is right." if agree else ""
        return XRay(triangle, scale, names, told, cell, None, None, None, None, net.says, "", {}, behaviour, None)
    return _identified(
        subject, behaviour, net, says, usable, right, rows, (triangle, scale, cell, found), tolerance, floor
    )


def _identified(subject, behaviour, net, says, single, right, rows, seen, tolerance, floor):
    T, B, _ = subject.d_ys.shape
    triangle, scale, cell, found = seen
    trace = net.trace(subject.xs)
    right_rows = _rows(right, rows)
    rows, culprit = _trusted(net, trace, single, right, rows, right_rows, tolerance, floor)
    judged, _ = squares.compare(rows, right_rows, tolerance, floor)
    mixes = _mixing(rows, tolerance, floor)
    reach = squares.reach(np.isin(judged, ["right", "scaled", "wrong", "future"]))
    flow = _flow(net, subject, rows, tolerance)
    added = _sums(net, trace, subject, single, right, rows, flow, culprit, tolerance, floor)
    found = found + ([(mixes, "")] if mixes else []) + words.truncation(reach, T) + words.faults(flow, added)
    found += words.factors(flow, added, T, B) + words.pairings(added)
    if not found:
        found = [("it is not right, in a way that has no name here", "")]
    message, names = words.message(found, "")
    if (
        not flow.faults
        and flow.factor == 1
        and reach.kind in ("windows", "chunks", "strided", "cuts", "part")
        and len(found) == 1
    ):
        message += " The rest is right."
    return XRay(
        triangle,
        scale,
        names,
        message,
        cell,
        reach,
        flow.slope,
        flow.carried,
        flow,
        net.says or says,
        mixes,
        added,
        behaviour,
        None,
    )


def _rows(gradients, rows):
    return gradients["W_xh"].reshape(rows.shape)


def _rounding(behaviour):
    largest = max((np.abs(g).max(initial=0.0) for g in behaviour.offset.values()), default=0.0)
    return 1e-13 * largest / behaviour.scale


def _agree(single, right, tolerance, floor):
    apart = (np.abs(g - right[name]).max() - tolerance * np.abs(right[name]).max() for name, g in single.items())
    return all(excess <= floor for excess in apart) and _squares_agree(single, right, tolerance, floor)


def _squares_agree(single, right, tolerance, floor):
    """Every row of dW_xh by itself, so that a small square counts as much as a large one."""
    got, want = single["W_xh"], right["W_xh"]
    return bool((np.abs(got - want).max(-1) <= 10 * tolerance * np.abs(want).max(-1) + floor).all())


def _strange(hs):
    return "" if hs is None or not hs.any() else "its states are not those of this net: is its forward pass another?"


def _flow(net, subject, rows, tolerance):
    T, B = rows.shape[1:3]
    own = np.stack([rows.reshape(T, B, T, B, -1)[:, b, :, b] for b in range(B)], axis=1)
    own = forward.reorder(own, net.order)
    identify = elman.flow if len(net.order) == 1 else gates.flow
    return identify(net.params, net.trace(subject.xs), subject.d_ys, own, 10 * tolerance)


def _trusted(net, trace, single, right, rows, right_rows, tolerance, floor):
    """The errors, if dW_xh is no plain sum of them but the other gradients are right: then they are the right ones."""

    def fits(name, error):
        if name not in single:
            return True
        lefts = sums.weights(trace.states[0][0][None], trace.hs)[name][:1]
        option = next(sums.options(name, lefts, sums.errors_of(net.params, trace, error)[name], None))
        return sums.identify(single[name], [option], name, 10 * tolerance, floor).factor == 1

    order = net.order
    theirs = forward.reorder(rows, order)
    if all(fits(name, theirs) for name in ("b_h",)) or not ("b_h" in single and "W_hh" in single):
        return rows, False
    others = all(
        np.abs(single[n] - right[n]).max() <= tolerance * np.abs(right[n]).max() + floor for n in ("b_h", "W_hh")
    )
    return (right_rows, True) if others else (rows, False)


def _mixing(rows, tolerance, floor):
    T, B = rows.shape[1:3]
    by = np.abs(rows.reshape(T, B, T, B, -1)).max(-1)  # (T, B, T, B)
    t, b, s, other = np.indices(by.shape)
    heard = by > tolerance * by.max() + floor
    if not (heard & (b != other)).any():
        return ""
    if not (heard & (t != s)).any() and not (heard & (other > b)).any():
        return "time and batch are swapped: a loss is heard in other sequences at its own step, and at no other step"
    return "sequences of the batch mix: a loss in one is heard in another"


def _sums(net, trace, subject, single, right, rows, flow, culprit, tolerance, floor):
    theirs = forward.reorder(rows, net.order)
    errors = sums.errors_of(net.params, trace, theirs)
    lefts = sums.weights(subject.xs, trace.hs)
    d_hs = None if flow.d_hs is None else sums.spread(flow.d_hs)
    d_ys = subject.one_at_a_time
    first = sums.first_state(net.params, trace, theirs, right, flow)
    added = {}
    for name, observed in single.items():
        bent = name.startswith("h0") and flow.faults and len(net.order) > 1  # it follows from what is carried
        if bent or (name == "W_xh" and not culprit):
            added[name] = Sum("", 1.0, "")
            continue
        observed = forward.reorder(observed, net.order) if name in errors and name != "b_n" else observed
        if name in first:
            choices = first[name]
        else:
            error = errors.get(name, d_ys)
            choices = sums.options(name, lefts[name], error, d_hs if name in ("W_xh", "W_hh", "b_h") else None)
        added[name] = sums.identify(observed, choices, name, 10 * tolerance, floor)
    return added
