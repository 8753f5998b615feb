"""A torch net as a function on NumPy arrays: its own forward pass, its own backward pass, with whatever they do on the way.

The function works on a copy in float64. Parameters of a cell of ours change the copy's sizes where they must, so that the X-ray can hand
over a small net of its own; a dict of arrays by the net's own names serves nets that have no counterpart here.
"""

import copy
import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from rnnlib.cells import LSTMState
from rnnlib.clinic.adapters.torch import as_array, first_states, pair, read, read_gradient, recurrent, write
from rnnlib.clinic.adapters.weights import gradient_of, to_weights

STATES = r"h|c|hx|hc|h_?[0ct]|hidden\w*|state\w*|\w*_state|carry|prev\w*|h_\w*|initial\w*|memory"


class Runner(NamedTuple):
    """A copy of a net, and how it is called."""

    modules: tuple  # the net, or the layer and its readout
    forward: Callable  # forward(*modules, xs, state) -> ys or (ys, state), tensors as the net is fed
    takes_state: bool
    layered: bool  # torch's layers have a state (1, B, H), its cells (B, H)
    batch_first: bool

    @property
    def whole(self) -> tuple:
        """The net and its readout, or None for that."""
        return (*self.modules, None)[:2]


def runner(net: Any, readout: Any, forward: Callable | None, batch_first: bool | None) -> Runner:
    """Copy a net and find out how it is called; arguments as for `adapters.run`."""
    modules = tuple(m for m in pair(net, readout) if m is not None)
    layers = recurrent(modules[0])
    rnn = next(iter(layers.values()), None)
    turned = bool(getattr(rnn, "batch_first", False)) if batch_first is None else batch_first
    layered = hasattr(rnn, "weight_ih_l0")
    takes = True
    if forward is None and len(modules) == 2:
        forward = _layer_and_readout if layered else _cell_and_readout
    elif forward is None:
        forward, takes = (lambda net, xs, state: net(xs) if state is None else net(xs, state)), _takes_state(modules[0])
    return Runner(tuple(m.double().cpu() for m in copy.deepcopy(modules)), forward, takes, layered, turned)


def run(self: Runner, params: Any, xs: np.ndarray, state: Any = None) -> tuple[np.ndarray, Any]:
    """Run it; as the function that `adapters.run` returns."""
    import torch

    with torch.no_grad(), _float64():
        ys, last = _forward(self, params, xs, _first(self, params, state, xs.shape[1]))
    return as_array(ys), _last(self, last)


def backward(self: Runner, params: Any, xs: np.ndarray, d_ys: np.ndarray, state: Any = None) -> Any:
    """Send errors back through it; as the function that `adapters.backward` returns."""
    import torch

    with _float64():
        first = _first(self, params, state, xs.shape[1])
        for s in first or ():
            s.requires_grad_()
        ys, _ = _forward(self, params, xs, first)
        for module in self.modules:
            module.zero_grad(set_to_none=True)
        if ys.requires_grad:
            ys.backward(torch.as_tensor(np.array(d_ys, np.float64)))
    if isinstance(params, Mapping):
        of = {name: p.grad if p.grad is not None else 0 * p for name, p in named(*self.whole).items()}
        return {name: as_array(of[name]) for name in params}
    grads = gradient_of(read_gradient(*self.whole))
    if first is None:
        return grads
    d_first = [np.zeros(s.shape[-1]) if s.grad is None else as_array(s.grad).sum(0) for s in first]
    return grads._replace(h0=LSTMState(*d_first) if len(d_first) > 1 else d_first[0])


def named(net: Any, readout: Any = None) -> dict[str, Any]:
    """Return a net's parameters by their own names, those of a readout beside it as `readout.weight`."""
    net, readout = pair(net, readout)
    more = {} if readout is None else {f"readout.{name}": p for name, p in readout.named_parameters()}
    return dict(net.named_parameters()) | more


@contextmanager
def _float64() -> Iterator[None]:
    """What a forward pass makes anew, such as a first state of torch.zeros, is float64 as well."""
    import torch

    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def _first(self, params, state, B):
    """The first state as tensors (B, H), or of the net's own form; None where the net has its own."""
    import torch

    if state is not None and not self.takes_state:
        raise ValueError(
            "adapters: forward must take a state to start from one, got forward(xs) alone. "
            "Try forward=lambda net, xs, state: ..., or def forward(self, xs, state=None)."
        )
    if not self.takes_state:
        return None
    if state is None:
        if isinstance(params, Mapping) or first_states(self.modules[0]):
            return None
        state = params.h0
        state = tuple(np.broadcast_to(s, (B, len(s))) for s in (state if isinstance(state, tuple) else (state,)))
    arrays = state if isinstance(state, tuple | list) else (state,)
    return tuple(torch.as_tensor(np.array(s, np.float64)) for s in arrays)


def _last(self, state):
    """What the net returned as its state, in NumPy: (B, H), or h and c."""
    if state is None:
        return None
    arrays = [as_array(s) for s in (state if isinstance(state, tuple | list) else (state,))]
    arrays = [a[0] if self.layered and a.ndim == 3 and len(a) == 1 else a for a in arrays]
    return LSTMState(*arrays) if len(arrays) == 2 else arrays[0] if len(arrays) == 1 else tuple(arrays)


def _forward(self, params, xs, first):
    """The net's own forward pass, with these parameters: ys (T, B, K) and, where it says so, the last state."""
    import torch

    _load(self, params)
    symbols = np.asarray(xs).dtype.kind in "iu"
    inputs = torch.as_tensor(np.array(xs, np.int64 if symbols else np.float64))
    if first is not None:
        first = tuple(s[None] if self.layered and s.ndim == 2 else s for s in first)
        first = first if len(first) > 1 else first[0]
    answer = self.forward(*self.modules, inputs.swapaxes(0, 1) if self.batch_first else inputs, first)
    ys, last = answer if isinstance(answer, tuple | list) else (answer, None)
    T, B = xs.shape[:2]
    wanted = (B, T) if self.batch_first else (T, B)
    if ys.ndim != 3 or tuple(ys.shape[:2]) != wanted:
        raise ValueError(_misshapen(tuple(ys.shape), T, B, self.batch_first))
    return (ys.swapaxes(0, 1) if self.batch_first else ys), last


def _misshapen(got, T, B, batch_first):
    """What to do about outputs of another shape."""
    wanted = f"(B, T, K) = ({B}, {T}, K), as the net is batch first," if batch_first else f"(T, B, K) = ({T}, {B}, K)"
    hint = "One sequence alone needs a batch of one."
    if len(got) == 3 and got[:2] == ((T, B) if batch_first else (B, T)):
        hint = f"Are time and batch swapped? Try batch_first={not batch_first}."
    elif got[0] == T * B:
        hint = "Are they flattened? Try forward=lambda net, xs, state: net(xs).reshape(*xs.shape[:2], -1)."
    elif got[0] == B:
        hint = "Does it answer at the last step alone? Let its readout see every step; dL/dy is zero where there is no loss."
    return f"adapters: forward must return ys {wanted} got {got}. {hint}"


def _load(self, params):
    """Put parameters into the copy."""
    import torch

    if not isinstance(params, Mapping):
        write(*self.whole, to_weights(params, _resized(read(*self.whole), params)))
        return
    own = named(*self.whole)
    unknown = [name for name in params if name not in own]
    if unknown:
        raise ValueError(
            f"adapters: params must be named as the net's own, {', '.join(own)}, got {', '.join(unknown)}. "
            "Try params = adapters.as_dict(net)."
        )
    for name, array in params.items():
        own[name].data.copy_(torch.as_tensor(np.array(array, np.float64)))


def _resized(weights, params):
    """The same kind of net with the sizes of these parameters."""
    D, P = params.W_xh.shape
    H, K = params.W_hy.shape
    sizes = {"b_x": P, "b_h": P, "b_y": K}
    biases = {name: None if getattr(weights, name) is None else np.zeros(n) for name, n in sizes.items()}
    return weights._replace(W_x=np.zeros((D, P)), W_h=np.zeros((H, P)), W_y=np.zeros((H, K)), **biases)


def _layer_and_readout(layer, readout, xs, state):
    hs, last = layer(xs, state)
    return readout(hs), last


def _cell_and_readout(cell, readout, xs, state):
    import torch

    hs = []
    for x in xs:
        state = cell(x, state)
        hs.append(state[0] if isinstance(state, tuple) else state)
    return readout(torch.stack(hs)), state


def _takes_state(net):
    """Whether a module's forward takes a state after its inputs; an error where it wants something else."""
    takes = [p for p in inspect.signature(net.forward).parameters.values() if p.kind in (0, 1)][1:]
    stateful = bool(takes) and re.fullmatch(STATES, takes[0].name.lower()) is not None
    others = [p.name for p in takes[stateful:] if p.default is inspect.Parameter.empty]
    if others:
        raise ValueError(
            f"adapters: forward must take xs, and a state if it likes, got {', '.join(others)} too. "
            f"Try forward=lambda net, xs, state: net(xs, {'state, ' * stateful}{', '.join(others)})."
        )
    return stateful
