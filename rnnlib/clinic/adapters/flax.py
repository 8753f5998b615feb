"""Nets of flax: trees of parameters as linen has them, or nnx modules.

linen keeps a kernel for each gate, nnx some of them side by side; all are (inputs, outputs). An LSTM has its biases at the state's
kernels, a GRU and a simple cell at the input's, and linen's GRU one more inside of the reset gate.

Source: flax.linen and flax.nnx, recurrent cells, in flax's documentation and code.
"""

from typing import Any

import numpy as np

from rnnlib.cells import ElmanParams, GRUParams, LSTMParams
from rnnlib.clinic.adapters.weights import Weights, check

GATES = {LSTMParams: "ifgo", GRUParams: "rzn"}
JOINED = {1: ElmanParams, 3: GRUParams, 4: LSTMParams}


def read(net: Any, readout: Any = None) -> Weights:
    """Read a tree of parameters or of their gradients, or nnx modules; as `adapters.params`."""
    flat = {path: np.asarray(array) for path, array in _flat(_tree(net, readout)).items()}
    x, h, cell, base = _cell(flat)
    W_y, b_y = _readout(flat, base, len(_joined(flat, h, "kernel")))
    W_x, W_h, b_x, b_h = (_joined(flat, places, kind) for kind in ("kernel", "bias") for places in (x, h))
    return check("adapters", Weights(cell, W_x, W_h, b_x, b_h, flat[W_y], flat.get(b_y)))


def read_gradient(net: Any, readout: Any = None) -> Weights:
    """Read a tree of gradients; as `adapters.gradient`."""
    if not hasattr(net, "items") and not (isinstance(net, list | tuple) and hasattr(net[0], "items")):
        raise ValueError(
            f"adapters.gradient: a module of flax keeps no gradients, got {type(net).__name__}. "
            "Hand over what nnx.grad or jax.grad returned: gradient(grads)."
        )
    return read(net, readout)


def write(net: Any, readout: Any, weights: Weights) -> Any:
    """Return a new tree, or pair of trees, with these weights; nnx modules are changed."""
    flat = _flat(_tree(net, readout))
    x, h, _, base = _cell(flat)
    W_y, b_y = _readout(flat, base, len(weights.W_h))
    new = dict(flat) | {W_y: weights.W_y} | ({b_y: weights.b_y} if b_y in flat else {})
    for places, kernel, bias in ((x, weights.W_x, weights.b_x), (h, weights.W_h, weights.b_h)):
        for kind, joined in (("kernel", kernel), ("bias", bias)):
            parts = [None] * len(places) if joined is None else np.split(joined, len(places), axis=-1)
            for place, part in zip(places, parts, strict=True):
                if (*place, kind) in flat and part is not None:
                    new[(*place, kind)] = part
    net, readout = _pair(net, readout)
    if not hasattr(net, "items"):
        _update(net, readout, new)
        return net
    tree = _nested({path: np.asarray(array, np.asarray(flat[path]).dtype) for path, array in new.items()})
    return _like(net, tree) if readout is None else (_like(net, tree["net"]), _like(readout, tree["readout"]))


def _pair(net, readout):
    return tuple(net) if isinstance(net, list | tuple) else (net, readout)


def _like(given, tree):
    """Put a tree of parameters where the given one had it."""
    return {**given, "params": tree} if "params" in given else tree


def _tree(net, readout):
    """A tree of arrays; of nnx modules their parameters."""
    net, readout = _pair(net, readout)
    of = _inner if hasattr(net, "items") else _parameters
    return of(net) if readout is None else {"net": of(net), "readout": of(readout)}


def _inner(tree):
    return tree.get("params", tree)


def _parameters(module):
    """The parameters of an nnx module, whose cell is one of ours."""
    from flax import nnx

    if not isinstance(module, nnx.Module):
        raise TypeError(
            f"adapters: a module of linen keeps no parameters, got {type(module).__name__}. "
            "Hand over its variables: params(variables), from variables = module.init(key, xs)."
        )
    for _, part in nnx.iter_graph(module):
        _require_plain(part)
    return nnx.to_pure_dict(nnx.state(module, nnx.Param))


def _require_plain(part):
    """Refuse a cell of nnx that computes something else with the same arrays."""
    from flax import nnx

    cells = nnx.SimpleCell | nnx.LSTMCell | nnx.OptimizedLSTMCell | nnx.GRUCell
    usual = {
        "activation_fn": ("tanh", (nnx.tanh,)),
        "gate_fn": ("sigmoid", (nnx.sigmoid,)),
        "residual": (False, (False,)),
    }
    for name, (wanted, same) in usual.items() if isinstance(part, cells) else ():
        got = getattr(part, name, same[0])
        if got not in same:
            got = getattr(got, "__name__", got)
            raise ValueError(
                f"adapters: {type(part).__name__} must have {name}={wanted}, got {got}. No cell here has it otherwise."
            )


def _flat(tree, path=()):
    flat = {}
    for name, value in tree.items():
        flat |= _flat(value, (*path, name)) if hasattr(value, "items") else {(*path, name): value}
    return flat


def _nested(flat):
    tree = {}
    for path, value in flat.items():
        inner = tree
        for name in path[:-1]:
            inner = inner.setdefault(name, {})
        inner[path[-1]] = value
    return tree


def _cell(flat):
    """Where its kernels are: the input's and the state's, in the order of our gates; which cell it is; and the path that they share."""
    places = {path[:-1] for path in flat if path[-1] == "kernel"}
    ends = {}
    for place in places:
        ends.setdefault(place[:-1], set()).add(str(place[-1]))
    found = []
    for base, names in ends.items():
        if {"dense_i", "dense_h"} <= names:
            H, P = np.shape(flat[(*base, "dense_h", "kernel")])
            found.append(([(*base, "dense_i")], [(*base, "dense_h")], JOINED.get(P // H), base))
        elif {"i", "h"} <= names:
            found.append(([(*base, "i")], [(*base, "h")], ElmanParams, base))
        for cell, gates in GATES.items():
            inputs = [f"i{gate}_" if f"i{gate}_" in names else f"i{gate}" for gate in gates]
            if {*inputs, *(f"h{gate}" for gate in gates)} <= names:
                found.append(([(*base, name) for name in inputs], [(*base, f"h{gate}") for gate in gates], cell, base))
    if len(found) != 1 or found[0][2] is None:
        at = ", ".join("/".join(map(str, base)) or "the top" for *_, base in found) or "none"
        raise ValueError(
            f"adapters: the tree must hold one recurrent cell of flax, got {at}. Hand over the part with one cell, and its readout's part: "
            "params(tree['rnn'], tree['out'])."
        )
    return found[0]


def _readout(flat, base, H):
    """Where the linear readout's kernel and bias are."""
    kernels = [p for p, a in flat.items() if p[-1] == "kernel" and p[: len(base)] != base and np.shape(a)[0] == H]
    if not base:
        kernels = [
            p
            for p in flat
            if p[-1] == "kernel" and str(p[0]) not in ("i", "h") and len(p[0]) > 2 and "dense_" not in p[0]
        ]
    if len(kernels) == 1:
        _require_no_more(flat, base, kernels[0][:-1])
    else:
        got = ", ".join("/".join(map(str, path)) for path in kernels) or "none"
        raise ValueError(
            f"adapters: the tree must hold one readout with {H} inputs, got {got}. Hand it over: params(tree['rnn'], tree['out'])."
        )
    return kernels[0], (*kernels[0][:-1], "bias")


def _require_no_more(flat, base, readout):
    """Refuse parameters that would be lost: an embedding, a norm."""
    known = (base, readout) if base else (readout,)
    more = ["/".join(map(str, path)) for path in flat if base and not any(path[: len(k)] == k for k in known)]
    if more:
        raise ValueError(
            f"adapters: the tree must hold a recurrent cell and its readout alone, got {', '.join(more)} too. "
            "Hand over these two, and what the cell reads as its inputs: params(tree['rnn'], tree['out'])."
        )


def _joined(flat, places, kind):
    """Gates side by side; None where none of them has it, zeros for those that have not."""
    arrays = [np.asarray(flat[path]) if (path := (*place, kind)) in flat else None for place in places]
    if all(array is None for array in arrays):
        return None
    width = next(array.shape[-1] for array in arrays if array is not None)
    return np.concatenate([np.zeros(width) if array is None else array for array in arrays], axis=-1)


def _update(net, readout, new):
    import jax.numpy as jnp
    from flax import nnx

    tree = _nested({path: jnp.asarray(array) for path, array in new.items()})
    for module, part in [(net, tree)] if readout is None else [(net, tree["net"]), (readout, tree["readout"])]:
        state = nnx.state(module, nnx.Param)
        nnx.replace_by_pure_dict(state, part)
        nnx.update(module, state)
