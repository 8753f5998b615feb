"""The fewest causes that explain a gradient: under every flow, for every parameter, a sum that has the value in question."""

from collections.abc import Callable
from itertools import product

import numpy as np

from rnnlib.cells import ElmanParams
from rnnlib.clinic.diagnosis import causes
from rnnlib.clinic.diagnosis.flows import Flow, Names, flows
from rnnlib.clinic.diagnosis.net import Arrays, Net
from rnnlib.clinic.diagnosis.sums import options, scaled

Explains = Callable[[str, np.ndarray], bool]  # whether the gradient in question has, for a parameter, this value
Found = dict[Names, dict[str, str]]  # sets of causes, each with what it does in particular
READOUT = ("W_hy", "b_y")


def smallest(explains: Explains, net: Net, given: Arrays) -> Found:
    """Find the smallest sets of causes that explain a gradient, all of that size.

    Args:
        explains: whether the gradient in question has, for a parameter, this value.
        net: the net.
        given: that gradient.

    Returns:
        The sets; the empty set alone if the gradient is right, none at all if two causes do not explain it.
    """
    if found := within(explains, net, 0) or within(explains, net, 1):
        return found
    beside = [*causes.views(net), *_afterwards(net, given)]
    for size in (1, 2):
        found = within(explains, net, size) if size == 2 else {}
        for cause in beside:
            found |= _with(cause, explains, size - 1)
        if found:
            return found
    for cause in causes.multiples(net, given, _readouts(net)):
        for size in (0, 1):
            if found := _with(cause, explains, size):
                return found
    if net.start is not None:
        return {}
    other = causes.swapped(net)
    both = [*_afterwards(other, given), *causes.multiples(other, given, _readouts(other))]
    return {names | {"time_and_batch_swapped"}: says for c in both for names, says in _with(c, explains, 0).items()}


def within(explains: Explains, net: Net, size: int) -> Found:
    """Find the sets of so many mistakes in flow and sums, as `smallest`."""
    found, readout = {}, {}
    names = sorted(set(net.names) - {*READOUT}, key=lambda name: name[0] != "b")  # biases first, their sums are cheap
    for flow in flows(net, size):
        ways = readout.setdefault(id(flow.hs), {})
        for name in READOUT:
            if name not in ways:
                ways[name] = _ways(explains, name, net, flow._replace(names=frozenset()), size)
        some = [[flow.names | way for way in ways[name]] for name in READOUT]
        if not all(some) and not isinstance(net.params, ElmanParams):
            return {}  # no flow of theirs changes what the readout sees
        for name in names if all(some) else ():
            some.append(_ways(explains, name, net, flow, size))
            if not some[-1]:
                break
        if len(some) < len(net.names) or not all(some):
            continue
        for way in product(*some):
            together = frozenset().union(*way)
            if len(together) == size:
                found.setdefault(together, flow.says)
    swap = {"overwritten_not_summed", "bias_not_summed_over_time"}  # on a bias alone they are one: the latter says more
    return {s: says for s, says in found.items() if not ("overwritten_not_summed" in s and s ^ swap in found)}


def _ways(explains, name, net, flow, size):
    """The smallest sets of mistakes, the flow's included, with which a parameter is explained."""
    made = {
        together
        for option in options(name, net, flow, size)
        for together, gradient in scaled(flow.names, option, net, size)
        if explains(name, gradient)
    }
    return [way for way in made if not any(other < way for other in made)]


def _with(cause, explains, size):
    """What a cause explains together with so many mistakes."""
    found = within(lambda name, g: explains(name, cause.does(name, g)), cause.net, size)
    return {names | {cause.name}: says for names, says in found.items() if cause.name not in names}


def _afterwards(net, given):
    return [*causes.afterwards(net, given), *causes.decays(net, given, _readouts(net))]


def _readouts(net):
    """What the gradients of the readout may be, with a mistake or without: they owe nothing to the flow."""
    flow = next(flows(net, 0))
    return {
        name: [g for option in options(name, net, flow, 1) for _, g in scaled(frozenset(), option, net, 1)]
        for name in READOUT
    }


def made(names: Names, net: Net) -> Arrays:
    """Make the gradient that these mistakes of the catalogue lead to, each wherever it applies.

    Args:
        names: at most two keys of the catalogue.
        net: the net.

    Returns:
        The gradient, by parameter.
    """

    def fullest(some, key):  # of what these mistakes can do, the first that as many as possible of them do
        return max((each for each in some if key(each) <= names), key=lambda each: len(key(each)))

    if "time_and_batch_swapped" in names:
        net = causes.swapped(net)
    flow: Flow = fullest(flows(net, 2, names), lambda flow: flow.names)
    gradient = {}
    for name in net.names:
        some = (way for option in options(name, net, flow, 2) for way in scaled(flow.names, option, net, 2))
        gradient[name] = fullest(some, lambda way: way[0])[1]
    if "gates_reordered" in names:
        does = next(c.does for c in causes.afterwards(net, gradient) if c.name == "gates_reordered")
        gradient = {name: does(name, g) for name, g in gradient.items()}
    return gradient
