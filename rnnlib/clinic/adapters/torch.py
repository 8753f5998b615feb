"""Nets of torch: nn.RNN, nn.LSTM, nn.GRU or their cells, with an nn.Linear, or a module of one's own that holds both.

torch keeps weight_ih (gates · H, D) and weight_hh, to be used as x Wᵀ, two biases that are added, and its gates in the order i, f, g, o and
r, z, n, as `cells` does. The candidate's second bias stands inside of the reset gate.

Source: torch.nn.RNN, torch.nn.LSTM, torch.nn.GRU in torch's documentation.
"""

import re
from collections.abc import Callable
from typing import Any

import numpy as np

from rnnlib.cells import ElmanParams, GRUParams, LSTMParams
from rnnlib.clinic.adapters.weights import Weights, check

CELLS = {"RNN": ElmanParams, "LSTM": LSTMParams, "GRU": GRUParams}
FIRST = {"h": r"(h_?0|h_init|init_h|hidden_?0|initial_state|h_start)", "c": r"(c_?0|c_init|init_c|cell_?0|c_start)"}
AS_IT_IS = "Examine it as it is: run(net) takes as_dict(net) for parameters."


def read(net: Any, readout: Any = None) -> Weights:
    """Read a net's parameters; as `adapters.params`."""
    return _read(net, readout, lambda parameter: parameter)


def read_gradient(net: Any, readout: Any = None) -> Weights:
    """Read a net's .grad, zeros where there is none yet; as `adapters.gradient`."""
    weights = _read(net, readout, _gradient)
    rnn, _ = parts(net, readout)
    own = {name.removesuffix("_l0"): parameter.grad is None for name, parameter in rnn.named_parameters()}
    if own.get("bias_ih") and not own.get("bias_hh"):  # the first is frozen: the second tells, but for the candidate
        return weights._replace(b_x=weights.b_h)
    return weights


def write(net: Any, readout: Any, weights: Weights) -> Any:
    """Put weights into a net, whatever its sizes have been; return it."""
    import torch

    rnn, linear = parts(net, readout)
    (D, H, K), suffix = weights.sizes, "_l0" if hasattr(rnn, "weight_ih_l0") else ""
    arrays = {"weight_ih": weights.W_x.T, "weight_hh": weights.W_h.T, "bias_ih": weights.b_x, "bias_hh": weights.b_h}
    named = [(rnn, f"{name}{suffix}", array) for name, array in arrays.items()]
    named += [(linear, "weight", weights.W_y.T), (linear, "bias", weights.b_y)]
    own = first_states(net)
    named += [(*own[letter], array) for letter, array in zip("hc", weights.h0, strict=False) if letter in own]
    for module, name, array in named:
        old = getattr(module, name, None)
        if old is None:
            continue
        shape = (*old.shape[:-1], array.shape[-1]) if array.ndim < old.ndim else array.shape
        new = torch.as_tensor(np.array(array), dtype=old.dtype, device=old.device).reshape(shape)
        if new.shape == old.shape:
            old.data.copy_(new)
        else:
            setattr(module, name, torch.nn.Parameter(new, requires_grad=old.requires_grad))
    rnn.input_size, rnn.hidden_size, linear.in_features, linear.out_features = D, H, H, K
    return net


def parts(net: Any, readout: Any = None) -> tuple[Any, Any]:
    """Return the recurrent layer and its linear readout, or raise an error that says why there is none."""
    from torch import nn

    net, readout = pair(net, readout)
    found = recurrent(net)
    if len(found) != 1:
        got = f"got {', '.join(found) if found else 'none'}"
        hint = "Hand over one of them and its readout: params(net.rnn, net.out)."
        own = "Cells of your own, from nn.Linear? Hand over a dict: params({'W_xh': ..., 'W_hh': ..., 'W_hy': ...})."
        raise ValueError(f"adapters: the net must hold one recurrent layer, {got}. {hint if found else own} {AS_IT_IS}")
    (rnn,) = found.values()
    _require_plain(rnn)
    H = rnn.hidden_size
    place, inside = ("net", net) if readout is None else ("readout", readout)
    linears = {name or place: m for name, m in inside.named_modules() if isinstance(m, nn.Linear)}
    if len(linears) != 1 or next(iter(linears.values())).in_features != H:
        got = ", ".join(f"{name} ({m.in_features}, {m.out_features})" for name, m in linears.items()) or "none"
        hint = "Several? Hand over the layer and the one that reads it: params(net.rnn, net.out)."
        raise ValueError(f"adapters: the {place} must hold one nn.Linear with {H} inputs, got {got}. {hint} {AS_IT_IS}")
    (linear,) = linears.values()
    _require_no_more(net, readout, rnn, linear)
    return rnn, linear


def pair(net: Any, readout: Any) -> tuple[Any, Any]:
    """Return the net and its readout, which may be handed over as one pair."""
    return tuple(net) if isinstance(net, list | tuple) else (net, readout)


def recurrent(net: Any) -> dict[str, Any]:
    """Return the recurrent layers and cells in a module, by name."""
    from torch import nn

    return {name or "itself": m for name, m in net.named_modules() if isinstance(m, nn.RNNBase | nn.RNNCellBase)}


def first_states(net: Any) -> dict[str, tuple[Any, str]]:
    """Return where a module keeps a first state that is trained: the module and the name, by the letters h and c."""
    net, _ = pair(net, None)
    found = {}
    for module in net.modules():
        for name, _ in module.named_parameters(recurse=False):
            found |= {letter: (module, name) for letter, names in FIRST.items() if re.fullmatch(names, name.lower())}
    return found


def _read(net, readout, pick: Callable) -> Weights:
    rnn, linear = parts(net, readout)
    suffix = "_l0" if hasattr(rnn, "weight_ih_l0") else ""

    def array(module, name):
        parameter = getattr(module, name, None)
        return None if parameter is None else as_array(pick(parameter))

    W_x, W_h, b_x, b_h = (array(rnn, f"{name}{suffix}") for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
    W_y, b_y, own = array(linear, "weight"), array(linear, "bias"), first_states(net)
    cell = _cell(rnn)
    h0 = tuple(array(*own[letter]).ravel() for letter in "hc"[: 1 + (cell is LSTMParams)] if letter in own)
    if cell is LSTMParams and len(h0) == 1:
        h0 = (h0[0], 0 * h0[0]) if "h" in own else (0 * h0[0], h0[0])
    return check("adapters", Weights(cell, W_x.T, W_h.T, b_x, b_h, W_y.T, b_y, h0))


def as_array(tensor: Any) -> np.ndarray:
    """Return a tensor of any device as a new array; numbers of 16 bits, which NumPy may not know, as float32."""
    tensor = tensor.detach().cpu()
    small = tensor.is_floating_point() and tensor.itemsize < 4
    return np.array((tensor.float() if small else tensor).numpy())


def _gradient(parameter):
    return parameter.grad if parameter.grad is not None else parameter.detach() * 0


def _cell(rnn):
    from torch import nn

    kinds = {nn.RNN: "RNN", nn.RNNCell: "RNN", nn.LSTM: "LSTM", nn.LSTMCell: "LSTM", nn.GRU: "GRU", nn.GRUCell: "GRU"}
    return next(CELLS[name] for kind, name in kinds.items() if isinstance(rnn, kind))


def _require_no_more(net, readout, rnn, linear):
    """Refuse parameters that would be lost: an embedding, a norm."""
    own = {id(getattr(*place)) for place in first_states(net).values()}
    known = own | {id(parameter) for module in (rnn, linear) for parameter in module.parameters()}
    modules = [net] if readout is None else [net, readout]
    more = [name for module in modules for name, parameter in module.named_parameters() if id(parameter) not in known]
    if more:
        raise ValueError(
            f"adapters: the net must hold a recurrent layer and its readout alone, got {', '.join(more)} too. "
            f"Hand over these two, and what the layer reads as its inputs: params(net.rnn, net.out). {AS_IT_IS}"
        )


def _require_plain(rnn):
    refused = {
        "num_layers": (1, "Look at one layer at a time, with what the layer below gives as its input."),
        "bidirectional": (False, "Look at each direction by itself, the second on xs[::-1]."),
        "proj_size": (0, "It is a matrix between the steps that no cell here has."),
        "nonlinearity": ("tanh", "No cell here has such units."),
    }
    for name, (wanted, hint) in refused.items():
        if getattr(rnn, name, wanted) != wanted:
            got = getattr(rnn, name)
            raise ValueError(f"adapters: {name} must be {wanted!r}, got {got!r}. {hint} {AS_IT_IS}")
