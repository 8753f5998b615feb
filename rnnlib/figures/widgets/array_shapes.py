"""Every array of one forward pass, drawn to scale, and what it costs."""

import math

from rnnlib.figures.widgets.explorable import Explorable, script
from rnnlib.validation import require_size


class ArrayShapes(Explorable):
    """Every array of one forward pass, drawn to scale, and what it costs."""

    _esm = script("array_shapes")


def array_shapes(T: int = 4, B: int = 3, D: int = 5, H: int = 6, K: int = 4) -> ArrayShapes:
    """Change T, B, D, H, K and watch each array of an Elman net's forward pass; parameters and multiply-adds are counted.

    Args:
        T: time steps to begin with, 1 to 8.
        B: sequences, 1 to 5.
        D: inputs, 1 to 8.
        H: hidden units, 1 to 8.
        K: outputs, 1 to 6.

    Returns:
        The explorable: a slider for each letter, and the role, shape and line of NumPy of the array that is pointed at.

    Raises:
        ValueError: a size outside its slider's range.
        TypeError: a size that is not whole.

    Example:
        >>> [array["name"] for array in array_shapes().data["arrays"] if array["kind"] == "parameter"]
        ['W_xh', 'W_hh', 'b_h', 'W_hy', 'b_y', 'h0']
    """
    sizes = {"T": T, "B": B, "D": D, "H": H, "K": K}
    for letter, size in sizes.items():
        require_size("array_shapes", letter, size, most=_AXES[letter][0], hint="Try array_counts for larger nets.")
    data = {
        "sizes": sizes,
        "axes": {letter: {"low": 1, "high": high, "words": words} for letter, (high, words) in _AXES.items()},
        "arrays": [dict(zip(("name", "axes", "kind", "role", "line"), array, strict=True)) for array in _ARRAYS],
        "products": [{"name": name, "axes": axes} for name, axes in _PRODUCTS.items()],
    }
    alt = (
        "The ten arrays of a forward pass as grids to scale: xs, a, hs and ys in stacks of B sheets, the weights and vectors below. Move "
        "a slider to change T, B, D, H or K, point at an array for its role and shape; bars count parameters and multiply-adds."
    )
    return ArrayShapes(data=data, alt=alt)


def array_counts(T: int, B: int, D: int, H: int, K: int) -> dict[str, dict[str, int]]:
    """Count what one forward pass of an Elman net holds and does: a product of axis sizes for each array and each product.

    Args:
        T: time steps.
        B: sequences.
        D: inputs a step.
        H: hidden units.
        K: outputs a step.

    Returns:
        `{"data": ..., "parameters": ..., "multiply_adds": ...}`: entries by array, and multiply-adds by matrix product.

    Example:
        >>> sum(array_counts(T=4, B=3, D=5, H=6, K=4)["parameters"].values())
        106
    """
    sizes = {"T": T, "B": B, "D": D, "H": H, "K": K, "T+1": T + 1}

    def entries(axes):
        return math.prod(sizes[axis] for axis in axes)

    counts = {"data": {}, "parameters": {}, "multiply_adds": {n: entries(axes) for n, axes in _PRODUCTS.items()}}
    for name, axes, kind, *_ in _ARRAYS:
        counts["parameters" if kind == "parameter" else "data"][name] = entries(axes)
    return counts


_AXES = {"T": (8, "steps"), "B": (5, "batch"), "D": (8, "inputs"), "H": (8, "hidden"), "K": (6, "outputs")}
_ARRAYS = [
    ("xs", ["T", "B", "D"], "data", "the inputs of all steps, time first.", "xs = one_hot(ids, D)"),
    ("W_xh", ["D", "H"], "parameter", "input to hidden: one row for each input.", "W_xh = rng.standard_normal((D, H)) / np.sqrt(D)"),
    ("a", ["T", "B", "H"], "data", "the pre-activations: what tanh is given.", "a[t] = xs[t] @ W_xh + hs[t] @ W_hh + b_h"),
    ("W_hh", ["H", "H"], "parameter", "the recurrence: what a state does to the next.", "W_hh = rng.standard_normal((H, H)) / np.sqrt(H)"),
    ("b_h", ["H"], "parameter", "the hidden bias, added at every step to every sequence.", "b_h = np.zeros(H)"),
    ("hs", ["T+1", "B", "H"], "data", "the states, h0 in front: one more than the steps.", "hs[0] = h0; hs[t + 1] = np.tanh(a[t])"),
    ("W_hy", ["H", "K"], "parameter", "hidden to output, the readout.", "W_hy = rng.standard_normal((H, K)) / np.sqrt(H)"),
    ("ys", ["T", "B", "K"], "data", "the outputs: unnormalised log-probabilities, for a text.", "ys = hs[1:] @ W_hy + b_y"),
    ("b_y", ["K"], "parameter", "the output bias, added at every step to every sequence.", "b_y = np.zeros(K)"),
    ("h0", ["H"], "parameter", "the initial carry: the state before the first step, the same for every sequence.", "h0 = np.zeros(H)"),
]  # fmt: skip
_PRODUCTS = {"xs W_xh": ["T", "B", "D", "H"], "h W_hh": ["T", "B", "H", "H"], "hs W_hy": ["T", "B", "H", "K"]}
