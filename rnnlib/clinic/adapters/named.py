"""A dict of arrays by name: the nets that people write themselves, whatever they call their matrices, and whichever way these stand."""

import re
from typing import Any

import numpy as np

from rnnlib.cells import ElmanParams, GRUParams, LSTMParams
from rnnlib.clinic.adapters.weights import Weights, blocks, check

NAMES = {  # lower case, without underscores and other signs
    "W_x": ("wxh", "wih", "wx", "win", "u", "kernel", "wxi", "weightih", "weightihl0", "wi", "wxs", "wax"),
    "W_h": ("whh", "wh", "wrec", "w", "recurrentkernel", "weighthh", "weighthhl0", "wr", "waa", "wss"),
    "W_y": ("why", "wy", "wout", "v", "who", "weight", "wo", "wya", "wsy"),
    "b_x": ("bih", "biasih", "biasihl0"),
    "b_h": ("bhh", "biashh", "biashhl0"),
    "b": ("bh", "bias", "b", "ba", "bs", "brec"),
    "b_n": ("bn",),
    "b_y": ("by", "bout", "c", "bo", "biasy"),
    "h0": ("h0", "hprev", "hinit"),
    "c0": ("c0", "cinit"),
}
TORCH = r"(weight|bias)_(ih|hh|hr)(_l\d+)?(_reverse)?$"  # the ends of names in a state_dict
ORDERS = {1: "a", 3: "rzn", 4: "ifgo"}
CELLS = {1: ElmanParams, 3: GRUParams, 4: LSTMParams}


def read(net: Any, readout: Any = None, *, transposed: bool | None = None, gates: str | None = None) -> Weights:
    """Read a dict of arrays.

    Args:
        net: arrays by name, of the input's, the state's and the output's matrix and, where there are any, biases. Names are those in use:
            W_xh, Wxh, U, kernel, weight_ih_l0, ... .
        readout: must be None: a dict holds its readout.
        transposed: whether matrices are (outputs, inputs), as for `W @ x`; None to tell by their shapes, where these tell.
        gates: the order of the columns' gates, such as "ifog"; "ifgo" and "rzn" where it is None.

    Returns:
        The `Weights`.

    Raises:
        ValueError: a matrix that is missing, shapes that do not tell, an order that is none.
    """
    if readout is not None:
        raise ValueError("adapters: a dict holds its own readout. Try adding W_hy and b_y to it.")
    found, unknown = _recognised(net)
    missing = [name for name in ("W_x", "W_h", "W_y") if name not in found]
    if missing:
        others = f" Not recognised: {', '.join(unknown)}." if unknown else ""
        names = {"W_x": "W_xh", "W_h": "W_hh", "W_y": "W_hy"}
        raise ValueError(
            f"adapters: the dict lacks {', '.join(names[name] for name in missing)}.{others} Try these names."
        )
    arrays = {role: _plain(role, net[name]) for role, name in found.items()}
    if _stands(arrays, _of_torch(net, transposed)):
        arrays |= {role: arrays[role].T for role in ("W_x", "W_h", "W_y")}
    count = arrays["W_h"].shape[1] // len(arrays["W_h"])
    if count not in CELLS or arrays["W_h"].shape[1] != count * len(arrays["W_h"]):
        raise ValueError(
            f"adapters: {found['W_h']} must be (H, H), (H, 3 H) or (H, 4 H), got {arrays['W_h'].shape}. "
            "Gates in matrices of their own? Concatenate them: np.concatenate([W_i, W_f, W_g, W_o], axis=-1)."
        )
    order = gates or ORDERS[count]
    if sorted(order) != sorted(ORDERS[count]):
        raise ValueError(f"adapters: gates must be an order of the letters {ORDERS[count]}, got {gates!r}.")
    placed = {r: blocks(arrays[r], order, ORDERS[count]) for r in ("W_x", "W_h", "b_x", "b_h", "b") if r in arrays}
    b_x, b_h = placed.get("b", placed.get("b_x")), placed.get("b_h")
    if "b_n" in arrays:
        zero = np.zeros(2 * len(placed["W_h"]), placed["W_h"].dtype)
        b_h = np.concatenate([zero, arrays["b_n"]])
    h0 = tuple(arrays[name] for name in ("h0", "c0") if name in arrays)
    weights = Weights(CELLS[count], placed["W_x"], placed["W_h"], b_x, b_h, arrays["W_y"], arrays.get("b_y"), h0)
    return check("adapters", weights)


def write(
    net: Any, readout: Any, weights: Weights, *, transposed: bool | None = None, gates: str | None = None
) -> dict[str, np.ndarray]:
    """Return a new dict with the names, shapes and order of `net`, and these weights; arguments as for `read`."""
    found, _ = _recognised(net)
    arrays = {role: _plain(role, net[name]) for role, name in found.items()}
    turned = _stands(arrays, _of_torch(net, transposed))
    order = ORDERS[weights.W_h.shape[1] // len(weights.W_h)]
    values = {"W_x": weights.W_x, "W_h": weights.W_h, "b_x": weights.b_x, "b": weights.b_x, "b_h": weights.b_h}
    values = {role: blocks(array, order, gates or order) for role, array in values.items() if array is not None}
    values |= {"W_y": weights.W_y, "b_y": weights.b_y}
    values |= dict(zip(("h0", "c0"), weights.h0, strict=False))
    values |= {"b_n": weights.b_h[-len(weights.W_h) :]} if "b_n" in found else {}
    values |= {role: values[role].T for role in ("W_x", "W_h", "W_y") if turned}
    return dict(net) | {
        name: values[role].reshape(np.shape(net[name])) for role, name in found.items() if role in values
    }


def _recognised(net):
    """Which name plays which part, and those that play none."""
    if any(re.search(TORCH, str(name)) for name in net):
        return _state_dict(net)
    found, unknown = {}, []
    for name in net:
        plain = re.sub(r"[^a-z0-9]", "", str(name).lower())
        role = next((role for role, names in NAMES.items() if plain in names), None)
        if role is None or role in found:
            unknown.append(str(name))
        else:
            found[role] = name
    return _swapped(net, found), unknown


def _swapped(net, found):
    """U and W: some books call the state's matrix W, others U. It is the one that is square, where only one is."""
    if {str(found.get(role)).lower() for role in ("W_x", "W_h")} != {"u", "w"}:
        return found
    by_x, by_h = (np.shape(net[found[role]]) for role in ("W_x", "W_h"))
    square = [
        rows in (columns, 3 * columns, 4 * columns) or columns in (3 * rows, 4 * rows) for rows, columns in (by_x, by_h)
    ]
    if all(square):
        raise ValueError(
            f"adapters: of U {np.shape(net[found['W_x']])} and W {np.shape(net[found['W_h']])} either may be the state's matrix. "
            "Call the input's W_xh and the state's W_hh."
        )
    return found if square[1] else found | {"W_x": found["W_h"], "W_h": found["W_x"]}


def _state_dict(net):
    """The names of torch's state_dict: a layer's, with whatever stands before them, and a readout with as many inputs as it has units."""
    ends = [str(name) for name in net if re.search(TORCH, str(name))]
    starts = {re.sub(TORCH, "", name) for name in ends}
    refused = [name for name in ends if re.search(r"_l[1-9]|_reverse|_hr_", name)]
    if len(starts) != 1 or refused:
        got = ", ".join(refused or sorted(start.rstrip(".") for start in starts))
        raise ValueError(
            f"adapters: the state_dict must hold one layer, in one direction, without projection, got {got}. "
            "Hand over the entries of one layer and its readout."
        )
    (start,) = starts
    found = {}
    for role, name in {"W_x": "weight_ih", "W_h": "weight_hh", "b_x": "bias_ih", "b_h": "bias_hh"}.items():
        here = [key for key in net if re.fullmatch(rf"{re.escape(start)}{name}(_l0)?", str(key))]
        found |= {role: here[0]} if here else {}
    H = np.shape(net[found["W_h"]])[1]
    others = [key for key in net if str(key) not in ends]
    readouts = [key for key in others if np.ndim(net[key]) == 2 and np.shape(net[key])[1] == H]
    if len(readouts) != 1:
        raise ValueError(
            f"adapters: the state_dict must hold one readout with {H} inputs, got {', '.join(readouts) or 'none'}. "
            "Hand over the entries of one layer and its readout."
        )
    bias = re.sub(r"weight$", "bias", str(readouts[0]))
    found |= {"W_y": readouts[0]} | ({"b_y": bias} if bias in net and bias != readouts[0] else {})
    return found, [str(key) for key in others if key not in found.values()]


def _plain(role, array):
    """An array; a bias that is a column (H, 1) or a row (1, H) is one all the same."""
    array = np.asarray(array.detach().cpu().numpy() if hasattr(array, "detach") else array)
    return array if role.startswith("W") else array.ravel()


def _of_torch(net, transposed):
    """A state_dict has (outputs, inputs) always."""
    return True if any(re.search(TORCH, str(name)) for name in net) else transposed


def _stands(arrays, transposed):
    """Whether matrices are (outputs, inputs)."""
    if transposed is not None:
        return transposed
    (rows, columns), W_x, W_y = arrays["W_h"].shape, arrays["W_x"], arrays["W_y"]
    if rows != columns:
        return rows > columns
    by_x = {W_x.shape[1] == rows: False, W_x.shape[0] == rows: True}
    by_y = {W_y.shape[0] == rows: False, W_y.shape[1] == rows: True}
    for told in (by_x, by_y):
        if len(told) == 2 and True in told:
            return told[True]
    raise ValueError(
        f"adapters: shapes must tell whether matrices are (inputs, outputs), got {W_x.shape}, {arrays['W_h'].shape}, {W_y.shape}. "
        "Say transposed=True for W @ x, transposed=False for x @ W."
    )
