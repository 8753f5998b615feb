"""Which net a backward pass runs: the states are read off dW_hy, one loss at a time, and compared with those of known nets and starts."""

from collections.abc import Callable, Iterator
from itertools import permutations
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from rnnlib.cells import ElmanParams, GRUParams, LSTMParams
from rnnlib.clinic.xray import variants
from rnnlib.clinic.xray.probe import Subject, blocks
from rnnlib.clinic.xray.reference import Run, gradients, leaves, like, run

STRANGE = "its states are not those of this net: is its forward pass another, or the state that it starts from?"


class Net(NamedTuple):
    """A net that a pass may have run, in place of the one it was given."""

    says: str  # how it differs; empty for the net as given
    params: Any  # the cell with that difference
    start: Any  # its first state, arrays (B, H)
    since: tuple[int, ...]  # for the loss of each step, the step that its states begin with, from 0
    order: tuple[int, ...]  # where each of its gates stands among the given ones
    transposed: bool  # whether its W_hh is the given one's transpose

    def trace(self, xs: np.ndarray) -> Run:
        """Run it over all steps."""
        return run(self.params, xs, self.start)

    def states(self, xs: np.ndarray) -> np.ndarray:
        """Return (T, B, H), the state at each loss."""
        if not any(self.since):
            return self.trace(xs).hs[1:]
        ends = (run(self.params, xs[first : t + 1], self.start).hs[-1] for t, first in enumerate(self.since))
        return np.stack(list(ends))

    def gradients(self, subject: Subject) -> dict[str, np.ndarray]:
        """Return its right gradients, one loss at a time, in the order of the gates that the pass was given."""
        T, B, K = subject.d_ys.shape
        d_ys, xs, parts = subject.one_at_a_time.reshape(T, B, T, B, K), subject.xs, []
        for first in sorted(set(self.since)):
            losses = [t for t in range(T) if self.since[t] == first]
            some = d_ys[losses].reshape(-1, T, B, K)[:, first:]
            parts.append(gradients(self.params, xs[first:], some, self.start))
        whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        return {name: self._given(name, g) for name, g in whole.items()}

    def _given(self, name, g):
        if name == "W_hh" and self.transposed:
            return g.swapaxes(1, 2)
        return reorder(g, np.argsort(self.order)) if name in ("W_xh", "W_hh", "b_h") else g


def reorder(columns: np.ndarray, order: Any) -> np.ndarray:
    """Put the gates, blocks of columns, into another order."""
    parts = np.split(columns, len(order), axis=-1)
    return np.concatenate([parts[k] for k in order], axis=-1)


def read_states(d_W_hy: Float[np.ndarray, "N H K"], d_ys: Float[np.ndarray, "T B K"]) -> np.ndarray | None:
    """Read h_t off dW_hy = h_tᵀ dL/dy_t, one loss at a time.

    Args:
        d_W_hy: the pass's gradients of the N = T B losses.
        d_ys: what they were.

    Returns:
        (T, B, H), or None where they are no such product.
    """
    T, B, K = d_ys.shape
    d_y = d_ys.reshape(T * B, 1, K)
    hs = (d_W_hy * d_y).sum(-1) / (d_y**2).sum(-1)
    rest = np.abs(d_W_hy - hs[..., None] * d_y).max()
    return hs.reshape(T, B, -1) if rest <= 1e-3 * np.abs(d_W_hy).max() else None


def find(subject: Subject, states: Float[np.ndarray, "T B H"], tolerance: float) -> Net | None:
    """Find the net whose states these are, up to a factor; steps whose state is zero are left out.

    Args:
        subject: what the pass was shown.
        states: what it has for h_1 ... h_T.
        tolerance: relative.

    Returns:
        The `Net`, or None if none fits.
    """
    live = np.abs(states).max((1, 2)) > 0
    if not live.any():
        return None
    seen = states[live]

    def fits(net, pick: Callable):
        with np.errstate(all="ignore"):
            want = pick(net.states(subject.xs), net)[live]
            factor = (seen * want).sum() / (want * want).sum()
            return np.abs(seen - factor * want).max() <= tolerance * np.abs(seen).max()

    given = as_given(subject)
    for pick in (_as_it_is, _before, _last, _squared, _slope):
        if fits(given, pick):
            return given
    return next((net for net in (*_others(subject), *_solved(subject, states)) if fits(net, _as_it_is)), None)


def as_given(subject: Subject) -> Net:
    """Return the net that the pass was given."""
    start = subject.params.h0 if subject.state is None else subject.state
    gates = range(len(blocks(subject.params, subject.params.b_h)))
    return Net("", subject.params, start, (0,) * len(subject.xs), tuple(gates), False)


def views(subject: Subject) -> Iterator[tuple[str, str, dict[str, np.ndarray]]]:
    """List the right gradients for inputs and errors that are looked at otherwise: in words, key, and one loss at a time."""
    d_ys, given = subject.one_at_a_time, as_given(subject)
    turned = gradients(given.params, subject.xs[::-1], d_ys[:, ::-1], given.start)
    if len(subject.xs) > 1:
        yield "time runs backwards: it reads the inputs from the last to the first", "", turned
    if subject.state is None and min(subject.xs.shape[:2]) > 1:
        swapped = gradients(given.params, subject.xs.swapaxes(0, 1), d_ys.swapaxes(1, 2), given.start)
        yield "time and batch are swapped: it takes axis 0 for the batch", "time_and_batch_swapped", swapped


def _as_it_is(states, net):
    return states


def _before(states, net):
    first = np.broadcast_to(leaves(net.start)[0], states[:1].shape)
    return np.concatenate([first, states[:-1]])


def _last(states, net):
    return np.broadcast_to(states[-1:], states.shape)


def _squared(states, net):
    return states**2


def _slope(states, net):
    return 1 - states**2


def _others(subject) -> Iterator[Net]:
    given, params, T = as_given(subject), subject.params, len(subject.xs)
    zero = like(params.h0, tuple(np.zeros_like(s) for s in leaves(params.h0)))
    starts = {"zeros": zero} if subject.state is None else {"zeros": zero, "params.h0": params.h0}
    belongs = "params.h0" if subject.state is None else "the given state"
    for where, start in starts.items():
        yield given._replace(says=f"it starts from {where} where {belongs} belongs", start=start)
    for where, start in {belongs: given.start, "zeros": zero}.items():
        for length in range(1, T):
            chunks = tuple(t // length * length for t in range(T))
            says = f"its state is set back to {where} every {_steps(length)}"
            says += ": is time taken for the batch?" if length == 1 else ""
            yield given._replace(says=says, start=start, since=chunks)
        for window in range(1, T):
            windows = tuple(max(0, t - window + 1) for t in range(T))
            says = f"every loss sees a window of {_steps(window)}, started anew from {where}"
            yield given._replace(says=says, start=start, since=windows)
    for net in _variants(given):
        yield net
        yield net._replace(says=f"{net.says}, and starts from zeros where {belongs} belongs", start=zero)


def _variants(given) -> Iterator[Net]:
    """Nets of the same parameters, used otherwise."""
    params, letters = given.params, tuple(blocks(given.params, given.params.b_h))

    def net(says, cell, **more):
        return given._replace(says=says, params=cell, **more)

    yield net("its forward pass leaves out b_h", params._replace(b_h=np.zeros_like(params.b_h)))
    if isinstance(params, ElmanParams):
        flipped = params._replace(W_hh=params.W_hh.T)
        yield net("its forward pass multiplies by W_hh transposed", flipped, transposed=True)
        for name, cell in variants.ACTIVATIONS.items():
            yield net(f"its units are {name} where tanh belongs", cell(*params))
    if isinstance(params, LSTMParams):
        yield net("its h is o c where o tanh(c) belongs", variants.Bare(*params))
    if isinstance(params, GRUParams):
        yield net("its forward pass leaves out b_n", params._replace(b_n=np.zeros_like(params.b_n)))
        yield net("its update gate is the other way round, z n + (1 − z) h_{t−1}", variants.Turned(*params))
    for order in list(permutations(range(len(letters))))[1:]:
        columns = {name: reorder(getattr(params, name), order) for name in ("W_xh", "W_hh", "b_h")}
        names = ", ".join(letters[order.index(k)] for k in range(len(letters)))
        says = f"its gates come in the order {names} where {', '.join(letters)} belongs"
        yield net(says, params._replace(**columns), order=order)


def _solved(subject, states) -> Iterator[Net]:
    """For an Elman net, the first state that its h_1 asks for."""
    params, h = subject.params, states[0]
    if isinstance(params, ElmanParams) and (np.abs(h) < 1).all() and np.linalg.cond(params.W_hh) < 1e6:
        start = (np.arctanh(h) - params.drive(subject.xs[0])) @ np.linalg.inv(params.W_hh)
        belongs = "params.h0" if subject.state is None else "the given state"
        says = f"it starts from another state than {belongs} (carried over? then hand it over, state=)"
        yield as_given(subject)._replace(says=says, start=start)


def _steps(count):
    return "step" if count == 1 else f"{count} steps"
