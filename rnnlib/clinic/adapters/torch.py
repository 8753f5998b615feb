"""Nets of torch: nn.RNN, nn.LSTM, nn.GRU or their cells, with an nn.Linear, or a module of one's own that holds both.

torch keeps weight_ih (gates · H, D) and weight_hh, to be used as x Wᵀ, two biases that are added, and its gates in the order i, f, g, o and
r, z, n, as `cells` does. The candidate's second bias stands inside of the reset gate.

Source: torch.nn.RNN, torch.nn.LSTM, torch.nn.GRU in torch's documentation.
"""

import copy
import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from rnnlib.cells import ElmanParams, GRUParams, LSTMParams, LSTMState
from rnnlib.clinic.adapters.weights import Weights, check, gradient_of, to_weights

CELLS = {
    "RNN": ElmanParams,
    "RNNCell": ElmanParams,
    "LSTM": LSTMParams,
    "LSTMCell": LSTMParams,
    "GRU": GRUParams,
    "GRUCell": GRUParams,
}


def read(net: Any, readout: Any = None) -> Weights:
    """Read a net's parameters; as `adapters.params`."""
    return _read(*_parts(net, readout), lambda parameter: parameter)


def read_gradient(net: Any, readout: Any = None) -> Weights:
    """Read a net's .grad, zeros where there is none yet; as `adapters.gradient`."""
    return _read(*_parts(net, readout), lambda p: p.grad if p.grad is not None else p.detach() * 0)


def write(net: Any, readout: Any, weights: Weights) -> Any:
    """Put weights into a net, whatever its sizes have been; return it."""
    import torch

    rnn, linear = _parts(net, readout)
    (D, H, K), suffix = weights.sizes, "_l0" if hasattr(rnn, "weight_ih_l0") else ""
    arrays = {"weight_ih": weights.W_x.T, "weight_hh": weights.W_h.T, "bias_ih": weights.b_x, "bias_hh": weights.b_h}
    named = [(rnn, f"{name}{suffix}", array) for name, array in arrays.items()]
    named += [(linear, "weight", weights.W_y.T), (linear, "bias", weights.b_y)]
    for module, name, array in named:
        old = getattr(module, name, None)
        if old is None:
            continue
        new = torch.as_tensor(np.array(array), dtype=old.dtype, device=old.device)
        if new.shape == old.shape:
            old.data.copy_(new)
        else:
            setattr(module, name, torch.nn.Parameter(new))
    rnn.input_size, rnn.hidden_size, linear.in_features, linear.out_features = D, H, H, K
    return net


def run(net: Any, readout: Any = None) -> Callable:
    """Make it a function `(params, xs, state) -> (ys, state)`; as `adapters.run`."""
    return partial(_run, *_copied(net, readout))


def backward(net: Any, readout: Any = None) -> Callable:
    """Make its backward pass a function `(params, xs, d_ys, state=None) -> grads`; as `adapters.backward`."""
    return partial(_backward, *_copied(net, readout))


def _copied(net, readout):
    """A copy of a net in float64, so that it can be looked at closely."""
    _parts(net, readout)
    modules = copy.deepcopy([*net] if isinstance(net, list | tuple) else [net, readout])
    return [module if module is None else module.double() for module in modules]


def _run(net, readout, params, xs, state=None):
    import torch

    with torch.no_grad():
        ys, last = _forward(net, readout, params, xs, _tensors(params.h0 if state is None else state, xs.shape[1]))
    arrays = tuple(
        s.reshape(-1, s.shape[-1]).numpy() for s in (last if isinstance(last, tuple) else (last,)) if s is not None
    )
    return ys.numpy(), (LSTMState(*arrays) if len(arrays) > 1 else arrays[0] if arrays else None)


def _backward(net, readout, params, xs, d_ys, state=None):
    import torch

    first = _tensors(params.h0 if state is None else state, xs.shape[1])
    for s in first:
        s.requires_grad_()
    ys, _ = _forward(net, readout, params, xs, first)
    for parameter in [*net.parameters(), *(readout.parameters() if readout is not None else ())]:
        parameter.grad = None
    if ys.requires_grad:
        ys.backward(torch.as_tensor(np.array(d_ys)))
    d_first = [np.zeros(params.W_hy.shape[0]) if s.grad is None else s.grad.numpy().sum(0) for s in first]
    grads = gradient_of(read_gradient(net, readout))
    return grads._replace(h0=LSTMState(*d_first) if len(d_first) > 1 else d_first[0])


def _forward(net, readout, params, xs, first):
    """The net's own forward pass, with these parameters: ys (T, B, K) and, where it says so, the last state."""
    import torch

    write(net, readout, to_weights(params, _resized(read(net, readout), params)))
    xs = torch.as_tensor(np.array(xs, np.float64))
    if readout is None:
        return _own_forward(net, xs, first)
    if hasattr(net, "weight_ih"):  # a cell
        state, hs = first if len(first) > 1 else first[0], []
        for x in xs:
            state = net(x, state)
            hs.append(state[0] if len(first) > 1 else state)
        return readout(torch.stack(hs)), state
    state = tuple(s[None] for s in first)
    hs, last = net(xs.swapaxes(0, 1) if net.batch_first else xs, state if len(state) > 1 else state[0])
    ys = readout(hs)
    return (ys.swapaxes(0, 1) if net.batch_first else ys), last


def _own_forward(net, xs, first):
    """A module's own forward, with a state if it takes one."""
    rnn, _ = _parts(net, None)
    turned = getattr(rnn, "batch_first", False)
    layered = not hasattr(rnn, "weight_ih")
    takes = [p for p in inspect.signature(net.forward).parameters.values() if p.kind in (0, 1)]
    state = tuple(s[None] if layered else s for s in first)
    given = [state if len(state) > 1 else state[0]] if len(takes) > 1 else []
    answer = net(xs.swapaxes(0, 1) if turned else xs, *given)
    ys, last = answer if isinstance(answer, tuple) else (answer, None)
    T, B = xs.shape[:2]
    ys = ys.swapaxes(0, 1) if turned else ys
    if ys.ndim != 3 or tuple(ys.shape[:2]) != (T, B):
        raise ValueError(
            f"adapters: forward must return ys (T, B, K) = ({T}, {B}, K){' batch first' if turned else ''}, got {tuple(ys.shape)}. "
            "A net that answers at the last step alone? Let its readout see every step; dL/dy is zero where there is no loss."
        )
    return ys, last


def _tensors(state, B):
    """Our state as tensors (B, H)."""
    import torch

    parts = state if isinstance(state, tuple) else (state,)
    return tuple(torch.as_tensor(np.array(np.broadcast_to(s, (B, np.shape(s)[-1])), np.float64)) for s in parts)


def _resized(weights, params):
    """The same kind of net with the sizes of these parameters."""
    empty = lambda bias, n: None if bias is None else np.zeros(n)  # noqa: E731
    D, P = params.W_xh.shape
    H, K = params.W_hy.shape
    biases = {"b_x": empty(weights.b_x, P), "b_h": empty(weights.b_h, P), "b_y": empty(weights.b_y, K)}
    return weights._replace(W_x=np.zeros((D, P)), W_h=np.zeros((H, P)), W_y=np.zeros((H, K)), **biases)


def _read(rnn, linear, pick):
    suffix = "_l0" if hasattr(rnn, "weight_ih_l0") else ""

    def array(module, name):
        parameter = getattr(module, name, None)
        return None if parameter is None else np.array(pick(parameter).detach().cpu().numpy())

    W_x, W_h, b_x, b_h = (array(rnn, f"{name}{suffix}") for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
    W_y, b_y = array(linear, "weight"), array(linear, "bias")
    return check("adapters", Weights(CELLS[type(rnn).__name__], W_x.T, W_h.T, b_x, b_h, W_y.T, b_y))


def _parts(net, readout):
    """The recurrent layer and its readout, or an error that says why there is none."""
    from torch import nn

    if isinstance(net, list | tuple):
        net, readout = net
    found = {name: module for name, module in net.named_modules() if type(module).__name__ in CELLS}
    if len(found) != 1:
        several = f"got {len(found)}{': ' if found else ''}{', '.join(found)}"
        raise ValueError(
            f"adapters: the net must hold one recurrent layer, {several}. Several? Hand over one: params(net.rnn, net.out)."
        )
    (rnn,) = found.values()
    if readout is None:
        H = rnn.hidden_size
        linears = {n: m for n, m in net.named_modules() if isinstance(m, nn.Linear) and m.in_features == H}
        if len(linears) != 1:
            raise ValueError(
                f"adapters: the net must hold one nn.Linear with {H} inputs, got {', '.join(linears) or 'none'}. "
                "Hand it over beside the layer: params(net.rnn, net.out)."
            )
        (readout,) = linears.values()
    _require_plain(rnn)
    return rnn, readout


def _require_plain(rnn):
    refused = {
        "num_layers": (1, "Look at one layer at a time, with what the layer below gives as its input."),
        "bidirectional": (False, "Look at each direction by itself, the second on xs[::-1]."),
        "proj_size": (0, "Leave the projection out: it is a readout between the steps that no cell here has."),
        "nonlinearity": ("tanh", "No cell here has such units. Try nonlinearity='tanh'."),
    }
    for name, (wanted, hint) in refused.items():
        if getattr(rnn, name, wanted) != wanted:
            raise ValueError(f"adapters: {name} must be {wanted!r}, got {getattr(rnn, name)!r}. {hint}")
