"""A net, the data that it runs on and the state that it starts from; its right gradient, and how far rounding may move that."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from rnnlib import bptt
from rnnlib.cells import ElmanParams, GRUParams, LSTMParams
from rnnlib.clinic.xray import reference
from rnnlib.clinic.xray.reference import Run, leaves, like
from rnnlib.validation import axes_hint, require_finite, require_floating, require_shape

CELLS = {ElmanParams: "an Elman net", LSTMParams: "an LSTM", GRUParams: "a GRU"}
Arrays = dict[str, np.ndarray]


class Net(NamedTuple):
    """What a gradient is the gradient of: Σ_t dL/dy_t · y_t, with dL/dy held still."""

    params: Any  # of a cell, NumPy arrays
    xs: Float[np.ndarray, "T B D"]
    d_ys: Float[np.ndarray, "T B K"]
    start: Any = None  # the first state, arrays (B, H); None for params.h0
    constant: bool = False  # whether the start may as well be a constant, whose gradient is zero
    handed: bool = False  # whether it was handed over, so that its gradient may be one for each sequence

    @property
    def trace(self) -> Run:
        """Run it."""
        return reference.run(self.params, self.xs, self.start)

    @property
    def names(self) -> tuple[str, ...]:
        """Return the parameters' names; of a first state (h, c) h0.h and h0.c."""
        return tuple(arrays(self.params))


def arrays(params: Any) -> Arrays:
    """Take parameters or gradients apart, by name; a first state (h, c) is h0.h and h0.c.

    Args:
        params: a cell's named tuple.

    Returns:
        Whatever it holds, by name.

    Example:
        >>> from rnnlib.cells import init_lstm
        >>> ", ".join(arrays(init_lstm(3, 4, 2, rng=np.random.default_rng(0))))
        'W_xh, W_hh, b_h, W_hy, b_y, h0.h, h0.c'
    """
    named = {}
    for name, value in params._asdict().items():
        parts = value._asdict().items() if hasattr(value, "_asdict") else [("", value)]
        named |= {f"{name}.{part}".rstrip("."): array for part, array in parts}
    return named


def assembled(params: Any, named: Arrays) -> Any:
    """Put arrays back into the form of these parameters: the inverse of `arrays`."""
    first = like(params.h0, tuple(array for name, array in named.items() if name.startswith("h0")))
    return type(params)(**{name: first if name == "h0" else named[name] for name in params._fields})


def require_net(where: str, params: Any, xs: Any, d_ys: Any, state: Any) -> Net:
    """Raise unless these make a net that runs; return it.

    Args:
        where: the function that was called, for messages.
        params: of a cell.
        xs: (T, B, D).
        d_ys: (T, B, K).
        state: (B, H), for an LSTM a pair of them, or None.

    Returns:
        The `Net`.

    Raises:
        TypeError: other parameters, arrays that are not floating point.
        ValueError: shapes that disagree, NaN or infinity.
    """
    if type(params) not in CELLS:
        known = ", ".join(cell.__name__ for cell in CELLS)
        hint = "rnnlib.clinic.adapters brings other people's nets into this form."
        raise TypeError(f"{where}: params must be one of {known}, got {type(params).__name__}. {hint}")
    named = arrays(params)
    require_floating(where, xs=xs, d_ys=d_ys, **named)
    (D, width), (H, K) = params.W_xh.shape, params.W_hy.shape
    gates = width // H
    shapes = {"W_hh": (H, width), "b_h": (width,), "b_n": (H,), "b_y": (K,), "h0": (H,), "h0.h": (H,), "h0.c": (H,)}
    for name in named.keys() & shapes.keys():
        require_shape(where, name, named[name], shapes[name], match=f"to match W_xh ({D}, {width}) and W_hy ({H}, {K})")
    if gates != {ElmanParams: 1, LSTMParams: 4, GRUParams: 3}[type(params)]:
        raise ValueError(f"{where}: W_xh must have as many columns as the cell has gates times H = {H}, got {width}.")
    require_shape(where, "xs", xs, ("T", "B", D), match=f"to match W_xh ({D}, {width})", hint=axes_hint(xs.shape, D))
    T, B, _ = xs.shape
    swapped = "Are time and batch swapped?" if d_ys.shape == (B, T, K) != (T, B, K) else ""
    hint = swapped or "It is dL/dy at every step; zeros where a step has no loss."
    require_shape(where, "d_ys", d_ys, (T, B, K), match="a row for each output", hint=hint)
    require_finite(where, xs=xs, d_ys=d_ys, **named)
    if state is not None:
        if len(leaves(state)) != len(leaves(params.h0)):
            got = type(state).__name__
            raise ValueError(f"{where}: state must be a state of {CELLS[type(params)]}, as params.h0 is, got {got}.")
        for name, part in zip([n for n in named if n.startswith("h0")], leaves(state), strict=True):
            label = name.replace("h0", "state")
            require_floating(where, **{label: part})
            require_shape(where, label, part, (B, H), match="(B, H)", hint="One state for each sequence.")
            require_finite(where, **{label: part})
    return Net(params, xs, d_ys, state, constant=state is not None, handed=state is not None)


def right(net: Net) -> Arrays:
    """Return its right gradient, by name."""
    if isinstance(net.params, ElmanParams):
        tape = bptt.forward(net.params, net.xs, net.start)
        return arrays(bptt.backward(net.params, tape, net.d_ys))
    found = reference.gradients(net.params, net.xs, net.d_ys[None], net.start)
    return {name: found[name][0] for name in net.names}


def tolerance(given: Arrays, net: Net, wanted: Arrays) -> dict[str, float]:
    """Find what rounding may do to the right gradient, by doing it: parameter by parameter, an absolute error.

    Args:
        given: the gradient in question.
        net: the net.
        wanted: its right gradient.

    Returns:
        1e-6 of the largest entry (1e-4 where anything is in float32), or twenty times what a rounding error everywhere does, where that is
        more.
    """
    named = arrays(net.params)
    eps = max(np.finfo(a.dtype).eps for a in (*given.values(), *named.values(), net.xs, net.d_ys))
    rng, noise = np.random.default_rng(0), dict.fromkeys(wanted, 0.0)
    nudge = lambda array: array * (1 + eps * rng.standard_normal(array.shape))  # noqa: E731
    for _ in range(3):
        start = None if net.start is None else like(net.params.h0, tuple(map(nudge, leaves(net.start))))
        params = assembled(net.params, {name: nudge(array) for name, array in named.items()})
        nudged = Net(params, nudge(net.xs), nudge(net.d_ys), start)
        if isinstance(params, ElmanParams):
            tape = bptt.forward(params, nudged.xs, start)
            again = arrays(bptt.backward(params, tape._replace(hs=nudge(tape.hs)), nudged.d_ys))
        else:
            again = right(nudged)
        noise = {name: max(noise[name], np.abs(again[name] - wanted[name]).max()) for name in wanted}
    relative = 1e-6 if eps < 1e-12 else 1e-4
    return {name: float(max(relative * np.abs(wanted[name]).max(), 20 * noise[name])) for name in wanted}
