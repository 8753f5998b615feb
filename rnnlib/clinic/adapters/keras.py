"""Nets of Keras 3: SimpleRNN, LSTM or GRU with a Dense layer, or a model that holds both.

Kernels are (inputs, outputs). An LSTM's gates come in the order of `cells`, under the names i, f, c, o; a GRU's as z, r, h, with two rows
of biases, the second inside of the reset gate where `reset_after` is on, as it is by default.

Source: keras.layers.LSTM and keras.layers.GRU in Keras's documentation and code.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from rnnlib.cells import ElmanParams, GRUParams, LSTMParams
from rnnlib.clinic.adapters.weights import Weights, blocks, check

CELLS = {"SimpleRNN": ElmanParams, "LSTM": LSTMParams, "GRU": GRUParams}


def read(net: Any, readout: Any = None) -> Weights:
    """Read layers or a model; as `adapters.params`."""
    layer, dense = _parts(net, readout)
    return _weights(layer, [np.asarray(array) for array in (*layer.get_weights(), *dense.get_weights())])


def read_gradient(net: Any, readout: Any = None, *, grads: Sequence | None = None) -> Weights:
    """Read the gradients of a net's trainable variables, in their order; as `adapters.gradient`."""
    layer, dense = _parts(net, readout)
    net, readout = net if isinstance(net, list | tuple) else (net, readout)
    variables = [*net.trainable_variables, *(readout.trainable_variables if readout is not None else ())]
    if grads is None or len(grads) != len(variables):
        got = "none" if grads is None else len(grads)
        raise ValueError(
            f"adapters.gradient: a net of Keras keeps no gradients; grads must be those of its {len(variables)} trainable variables, "
            f"in their order, got {got}. Try gradient(net, grads=grads)."
        )
    of = {id(variable): grad for variable, grad in zip(variables, grads, strict=True)}
    arrays = [of.get(id(v), 0 * np.asarray(v.numpy())) for v in (*layer.weights, *dense.weights)]
    return _weights(layer, [np.asarray(a.detach().cpu() if hasattr(a, "detach") else a) for a in arrays])


def _weights(layer, arrays):
    """The arrays of a layer and its readout, gates in our order."""
    (W_x, W_h, *bias), (W_y, *b_y) = arrays[: len(layer.weights)], arrays[len(layer.weights) :]
    b_x, b_h = (bias[0], None) if bias and bias[0].ndim == 1 else bias[0] if bias else (None, None)
    cell = CELLS[_kind(layer)]
    if cell is GRUParams:
        W_x, W_h, b_x, b_h = (None if a is None else blocks(a, "zrn", "rzn") for a in (W_x, W_h, b_x, b_h))
    return check("adapters", Weights(cell, W_x, W_h, b_x, b_h, W_y, b_y[0] if b_y else None))


def _kind(layer):
    """SimpleRNN, LSTM, GRU, also where it is an RNN around such a cell; or whatever else it is."""
    return type(getattr(layer, "cell", layer)).__name__.removesuffix("Cell")


def write(net: Any, readout: Any, weights: Weights) -> Any:
    """Put weights into the layers; return the net."""
    layer, dense = _parts(net, readout)
    arrays = [weights.W_x, weights.W_h, weights.b_x, weights.b_h]
    if weights.cell is GRUParams:
        arrays = [None if array is None else blocks(array, "rzn", "zrn") for array in arrays]
    W_x, W_h, b_x, b_h = arrays
    bias = [] if b_x is None else [b_x] if b_h is None else [np.stack([b_x, b_h])]
    layer.set_weights([W_x, W_h, *bias])
    dense.set_weights([weights.W_y] if weights.b_y is None else [weights.W_y, weights.b_y])
    return net


def _parts(net, readout):
    """The recurrent layer and its readout, or an error that says why there is none."""
    if isinstance(net, list | tuple):
        net, readout = net
    layers = net.layers if hasattr(net, "layers") else [net]
    recurrent = [layer for layer in layers if _kind(layer) in CELLS]
    if len(recurrent) != 1:
        got = ", ".join(layer.name for layer in recurrent) or ", ".join(type(layer).__name__ for layer in layers)
        raise ValueError(
            f"adapters: the model must hold one of {', '.join(CELLS)}, got {got}. Several? Hand over one: params(rnn, dense)."
        )
    (layer,) = recurrent
    if readout is None:
        inner = [getattr(each, "layer", each) for each in layers[layers.index(layer) + 1 :]]
        dense = [each for each in inner if type(each).__name__ == "Dense"]
        if len(dense) != 1:
            raise ValueError(
                f"adapters: the model must hold one Dense layer behind {layer.name}, got {len(dense)}. Hand it over: params(rnn, dense)."
            )
        (readout,) = dense
    _require_plain(layer, readout)
    known = {id(v) for v in (*layer.weights, *readout.weights)}
    more = [v.path for v in getattr(net, "weights", ()) if id(v) not in known and v.trainable]
    if more:
        raise ValueError(
            f"adapters: the model must hold a recurrent layer and its readout alone, got {', '.join(more)} too. "
            "Hand over these two, and what the layer reads as its inputs: params(rnn, dense)."
        )
    return layer, readout


def _require_plain(layer, dense):
    for each in (layer, dense):
        if not each.built:
            raise ValueError(
                f"adapters: {each.name} must have been built. Call the model once, or {each.name}.build(shape)."
            )
    cell = getattr(layer, "cell", layer).get_config()
    if cell.get("reset_after") is False:
        raise ValueError(
            f"adapters: {layer.name} must have reset_after=True, got False. That is another net, see GRUParams."
        )
    about = cell | {"go_backwards": layer.get_config().get("go_backwards", False)}
    wanted = {"activation": "tanh", "recurrent_activation": "sigmoid", "go_backwards": False}
    for name, value in wanted.items():
        if about.get(name, value) != value:
            raise ValueError(
                f"adapters: {layer.name} must have {name}={value!r}, got {about[name]!r}. No cell here has it otherwise."
            )
    if dense.get_config().get("activation", "linear") != "linear":
        raise ValueError(
            f"adapters: {dense.name} must be linear, got activation={dense.get_config()['activation']!r}. "
            "A softmax belongs into the loss: from_logits=True."
        )
