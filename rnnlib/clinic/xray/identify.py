"""What a backward pass does, read off its gradients one loss at a time: which steps it reaches, slope and matrix, mixing, sums."""

from typing import NamedTuple

import numpy as np

from rnnlib.clinic.xray import elman, forward, gates, squares, sums
from rnnlib.clinic.xray.elman import Flow
from rnnlib.clinic.xray.forward import Net
from rnnlib.clinic.xray.probe import Subject
from rnnlib.clinic.xray.reference import Run
from rnnlib.clinic.xray.squares import Reach
from rnnlib.clinic.xray.sums import Sum


class Margin(NamedTuple):
    """How far two numbers may be apart and still be one."""

    relative: float
    absolute: float


class Identity(NamedTuple):
    """What a backward pass does."""

    reach: Reach  # which steps its losses reach
    flow: Flow  # slope and matrix, or the gates' derivatives
    mixes: str  # whether sequences hear each other, in words
    sums: dict[str, Sum]  # by parameter

    @property
    def truncated(self) -> bool:
        """Whether it is a right gradient but for where it is cut."""
        kept = ("windows", "chunks", "strided", "cuts", "part")
        return self.reach.kind in kept and not self.flow.faults and self.flow.factor == 1


def agree(got: dict[str, np.ndarray], right: dict[str, np.ndarray], margin: Margin) -> bool:
    """Whether gradients are the right ones; in dW_xh every row counts by itself, so that small squares count as much as large ones.

    Args:
        got: arrays (N, ...) by name.
        right: the right ones, all names or more.
        margin: relative and absolute.

    Returns:
        Whether all agree.
    """
    for name, g in got.items():
        want, axis = right[name], -1 if name == "W_xh" else None
        apart, size = (np.abs(a).max(axis) for a in (g - want, want))
        if not (apart <= (10 if axis else 1) * margin.relative * size + margin.absolute).all():
            return False
    return True


def identify(
    subject: Subject,
    net: Net,
    hs: np.ndarray | None,
    single: dict[str, np.ndarray],
    right: dict[str, np.ndarray],
    margin: Margin,
) -> Identity:
    """Read off what a pass does.

    Args:
        subject: what it was shown.
        net: the net that it runs, from `forward.find`.
        hs: (T, B, H), its states where they are those of no net that is known; else None.
        single: its gradients of the N losses, by name; W_xh among them.
        right: the right ones of that net.
        margin: relative and absolute.

    Returns:
        The `Identity`.
    """
    trace = net.trace(subject.xs) if hs is None else _strange_trace(net, subject, hs)
    shape = subject.one_at_a_time.shape[:3]
    right_rows = right["W_xh"].reshape(*shape, -1)
    rows, mispaired = _errors(net, trace, single, right, right_rows, margin)
    judged, _ = squares.compare(rows, right_rows, *margin)
    reach = squares.reach(np.isin(judged, ["right", "scaled", "wrong", "future"]))
    flow, mixes = _flow(net, trace, subject, rows, margin), _mixing(rows, margin)
    if flow.slope and (flow.slope.table[:, 1] == 0).any():  # what is missing is what the slope shuts off
        reach = Reach("full", "", None)
    if mixes and not flow.explained:
        flow = flow._replace(faults=())
    return Identity(reach, flow, mixes, _sums(net, trace, subject, single, right, rows, flow, mispaired, margin))


def _strange_trace(net, subject, hs):
    first = np.broadcast_to(forward.leaves(net.start)[0], hs[:1].shape)
    every = np.concatenate([first, hs])
    a = net.params.drive(subject.xs) + net.params.recur(every[:-1])
    return Run(tuple((h,) for h in every), (None,) * len(hs), a)


def _errors(net, trace, single, right, right_rows, margin):
    """The rows of dW_xh, unless it is dW_xh that is summed wrongly: where b_h and W_hh are right and not its sums, the right errors."""
    rows = single["W_xh"].reshape(right_rows.shape)
    if not {"b_h", "W_hh"} <= single.keys():
        return rows, False
    errors = sums.errors_of(net.params, trace, forward.reorder(rows, net.order))
    lefts = sums.weights(right_rows[:, :, :, :1][0], trace.hs)
    fit = True
    for name in ("b_h", "W_hh"):
        option = next(sums.options(name, lefts[name][:1], errors[name], None))
        observed = forward.reorder(single[name], net.order)
        fit &= sums.identify(observed, [option], name, 10 * margin.relative, margin.absolute).factor == 1
    others = agree({name: single[name] for name in ("b_h", "W_hh")}, right, margin)
    return (right_rows, True) if others and not fit else (rows, False)


def _flow(net, trace, subject, rows, margin):
    T, B = rows.shape[1:3]
    own = np.stack([rows.reshape(T, B, T, B, -1)[:, b, :, b] for b in range(B)], axis=1)
    read = elman.flow if len(net.order) == 1 else gates.flow
    return read(net.params, trace, subject.d_ys, forward.reorder(own, net.order), 10 * margin.relative)


def _mixing(rows, margin):
    T, B = rows.shape[1:3]
    by = np.abs(rows.reshape(T, B, T, B, -1)).max((0, 2, 4))  # from sequence to sequence
    mixed = by > 10 * margin.relative * by.max() + margin.absolute
    if not (mixed & ~np.eye(B, dtype=bool)).any():
        return ""
    return "sequences of the batch mix: a loss in one is heard in another"


def _sums(net, trace, subject, single, right, rows, flow, mispaired, margin):
    errors = sums.errors_of(net.params, trace, forward.reorder(rows, net.order))
    lefts = sums.weights(subject.xs, trace.hs)
    first = sums.first_state(net.params, trace, errors["W_xh"], right, flow)
    d_hs = None if flow.d_hs is None else sums.spread(flow.d_hs)
    added = {}
    for name, observed in single.items():
        bent = name in first and flow.faults and len(net.order) > 1  # it follows from what is carried
        if bent or (name == "W_xh" and not mispaired):
            added[name] = Sum("", 1.0, "")
            continue
        if name in first:
            choices = first[name]
        else:
            before_slope = d_hs if name in ("W_xh", "W_hh", "b_h") else None
            choices = sums.options(name, lefts[name], errors.get(name, subject.one_at_a_time), before_slope)
        if name in ("W_xh", "W_hh", "b_h"):
            observed = forward.reorder(observed, net.order)
        added[name] = sums.identify(observed, choices, name, 10 * margin.relative, margin.absolute)
    return added
