"""The X-ray itself: a backward pass, asked and read."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from rnnlib.clinic.xray import behaviour, forward, show, squares, words
from rnnlib.clinic.xray.behaviour import Behaviour
from rnnlib.clinic.xray.elman import Carried, Flow, Slope
from rnnlib.clinic.xray.identify import Identity, Margin, agree, identify
from rnnlib.clinic.xray.probe import Pass, Unreadable, draw
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
    reach: Reach | None = (
        None  # which steps the losses reach; here and below None where it was not, or could not be, read
    )
    slope: Slope | None = None  # of an Elman net, unit by unit
    carried: Carried | None = None  # what takes the error from step to step
    flow: Flow | None = None  # all that is known of the way back
    net: str = ""  # how the states differ from those of the net as given; empty where they don't
    mixes: str = ""  # whether sequences of a batch hear each other; empty where they don't
    sums: dict[str, Sum] | None = None  # how each parameter's gradient is added up
    behaviour: Behaviour | None = None  # how it behaves as a function
    error: BaseException | None = None  # what it raised, where it could not be read

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
        state: where every sequence starts, (B, H), for an LSTM a pair (h, c), or None for `params.h0`. It is handed to `backward` as a
            fourth argument if that has one without a default, or one called `state`; else `backward` is taken to know it.
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

    Source: one loss at a time: Williams and Peng (1990), An efficient gradient-based algorithm for on-line training of recurrent network
    trajectories, Neural Computation 2. The one-hot inputs: a question on Stack Overflow, December 2014, whose last row was right.
    """
    if not callable(backward):
        raise TypeError(f"xray: backward must be a function (params, xs, d_ys), got {type(backward).__name__}.")
    subject = draw(cell, T, B, H, K, state, rng)
    ask = Pass(backward, subject)
    try:
        behaves = behaviour.observe(ask)
        single = _one_at_a_time(ask, behaves)
    except Unreadable as trouble:
        blank = XRay(np.full((T, T), "", dtype="<U7"), np.full((T, T), np.nan), (), str(trouble), cell)
        return blank._replace(error=trouble.__cause__)
    return _read(subject, ask, behaves._replace(changes=tuple(sorted(ask.changes))), single, cell)


def _one_at_a_time(ask, behaves):
    answers, B = [], ask.subject.d_ys.shape[1]
    for n, d_ys in enumerate(ask.subject.one_at_a_time):
        answer = ask(behaves.scale * d_ys, f"the loss of step {n // B + 1} in sequence {n % B + 1} alone")
        answer = {name: (g - behaves.offset[name]) / behaves.scale for name, g in answer.items()}
        if behaves.one_length and answer.get("b_y") is not None:  # as long as its own b_y = dL/dy says
            length = (answer["b_y"] * d_ys.sum((0, 1))).sum() / (d_ys**2).sum()
            answer = {name: g / length for name, g in answer.items()}
        answers.append(answer)
    return {name: np.stack([answer[name] for answer in answers]) for name in answers[0]}


def _read(subject, ask, behaves, single, cell):
    """Compare with what is right, and where it is not, find out why."""
    rows = single["W_xh"].reshape(*subject.one_at_a_time.shape[:3], -1)
    largest = max((np.abs(g).max(initial=0.0) for g in behaves.offset.values()), default=0.0) / behaves.scale
    floor = (10 * behaves.noise + 1e-14) * np.abs(rows).max() + 1e-13 * largest
    margin = Margin(min(1e-3, max(1e-7, 1e3 * behaves.noise)), floor)
    right = forward.as_given(subject).gradients(subject)
    triangle, scale = squares.compare(rows, right["W_xh"].reshape(rows.shape), *margin)
    seen = XRay(triangle, scale, (), "", cell, behaviour=behaves)
    found = words.behaviour(behaves) + words.shapes(ask.misshapen, ask.missing)
    whole = {name: g.sum(0) for name, g in single.items()}
    if behaves.linear and not behaves.repeat and behaviour.apart(whole, behaves.whole) > 1e-3:
        found.append(("all losses at once give another gradient than one by one, added up", ""))
    if behaves.random:
        return _told(seen, found, whole=False)
    usable = {name: g for name, g in single.items() if name not in ask.misshapen or name == "W_xh"}
    for says, key, view in forward.views(subject):
        if not agree(usable, right, margin) and agree({"W_xh": usable["W_xh"]}, {"W_xh": view["W_xh"]}, margin):
            return _told(seen, [*found, (says, key)], whole=agree(usable, view, margin))
    return _identified(subject, usable, margin, found, seen)


def _identified(subject, usable, margin, found, seen):
    """Find the net that is run, and in it what is wrong."""
    hs = forward.read_states(usable["W_hy"], subject.d_ys) if "W_hy" in usable else None
    net = None if hs is None else forward.find(subject, hs, 10 * margin.relative)
    strange = net is None and hs is not None and hs.any()
    net = net or forward.as_given(subject)
    says = forward.STRANGE if strange else net.says
    seen, found = seen._replace(net=says), found + ([(says, "")] if says else [])
    right = net.gradients(subject)
    whole = agree(usable, right, margin)
    if whole and not found:
        return _told(seen, [], whole)._replace(**_parts(identify(subject, net, None, usable, right, margin)))
    if whole or any(net.since) or (strange and seen.cell != "elman"):
        again = [] if whole else [("beyond that it is not right: mend this first, then look again", "")]
        return _told(seen, found + again, whole)
    identity = identify(subject, net, hs if strange else None, usable, right, margin)
    more = words.identity(identity, *subject.d_ys.shape[:2])
    told = _told(seen, found + more, whole=len(more) == 1 and identity.truncated)
    return told._replace(**_parts(identity))


def _parts(identity: Identity) -> dict:
    flow = identity.flow
    return identity._asdict() | {"slope": flow.slope, "carried": flow.carried}


def _told(seen, found, whole):
    T, B = len(seen.squares), seen.behaviour.batch
    message, names = words.message(found, whole, T, B)
    return seen._replace(message=message, names=names)
