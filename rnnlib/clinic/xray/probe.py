"""What a backward pass is shown, and how it is asked: a small net, one-hot inputs, one loss at a time, and answers as plain arrays."""

import inspect
import traceback
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from rnnlib.cells import GRUParams, LSTMParams, LSTMState, init_elman, init_gru, init_lstm
from rnnlib.clinic.xray.reference import leaves, like
from rnnlib.validation import require_finite, require_floating, require_shape, require_size

CELLS = {"elman": init_elman, "lstm": init_lstm, "gru": init_gru}
BLOCKS = {"elman": ("a",), "lstm": ("i", "f", "g", "o"), "gru": ("r", "z", "n")}  # the columns of W_xh, H wide each


class Unreadable(Exception):  # noqa: N818
    """A pass that gave no gradient; says at which call, and its cause is what the pass raised."""


class Subject(NamedTuple):
    """The net and the data that a backward pass is shown."""

    params: Any  # a cell whose biases and first state are not zero
    xs: Float[np.ndarray, "T B D"]  # one symbol for each step and sequence, D = T B
    d_ys: Float[np.ndarray, "T B K"]  # dL/dy, all losses at once
    state: Any  # where every sequence starts, arrays (B, H), or None for h0

    @property
    def one_at_a_time(self) -> Float[np.ndarray, "N T B K"]:
        """The N = T B losses, each alone."""
        T, B = self.d_ys.shape[:2]
        return np.eye(T * B).reshape(T * B, T, B, 1) * self.d_ys


def draw(cell: str, T: int, B: int, H: int, K: int, state: Any, rng: np.random.Generator) -> Subject:
    """Draw the net, its inputs and its errors.

    Args:
        cell: "elman", "lstm" or "gru".
        T: steps.
        B: sequences.
        H: hidden units.
        K: outputs.
        state: the state to start from, (B, H), for an LSTM a pair of them; None for h0.
        rng: the source of randomness.

    Returns:
        The `Subject`.

    Raises:
        ValueError: a cell that is not known, a size below 1, a state of another shape.
        TypeError: a seed in place of a generator, a state that is not floating point.
    """
    if cell not in CELLS:
        raise ValueError(f"xray: cell must be one of {', '.join(CELLS)}, got {cell!r}.")
    for name, size in {"T": T, "B": B, "H": H, "K": K}.items():
        require_size("xray", name, size)
    params = CELLS[cell](T * B, H, K, rng=rng)  # says if rng is none
    arrays = {name: 0.3 * rng.standard_normal(np.shape(a)) for name, a in params._asdict().items() if name != "h0"}
    h0 = like(params.h0, tuple(0.5 * rng.standard_normal(H) for _ in leaves(params.h0)))
    shapes = (params.W_xh.shape, params.W_hh.shape, params.W_hy.shape)
    W_xh, W_hh, W_hy = (rng.standard_normal(shape) for shape in shapes)
    arrays |= {"W_xh": 0.7 * W_xh, "W_hh": W_hh / np.sqrt(H), "W_hy": W_hy}
    params = type(params)(**arrays, h0=h0)
    if state is not None:
        state = _checked_state(state, params, B)
    return Subject(params, np.eye(T * B).reshape(T, B, T * B), rng.standard_normal((T, B, K)), state)


class Pass:
    """A backward pass that is asked for gradients: on copies, with its answers as arrays by name, and its behaviour noted."""

    def __init__(self, backward: Callable, subject: Subject):
        """Begin with no calls."""
        self.backward, self.subject = backward, subject
        self.calls, self.changes, self.misshapen, self.missing = 0, set(), {}, ()
        self.accumulates, self.before = False, None
        self.takes_state = subject.state is not None and _takes_state(backward)

    def __call__(self, d_ys: Float[np.ndarray, "T B K"], what: str) -> dict[str, np.ndarray]:
        """Ask for the gradient of some losses.

        Args:
            d_ys: (T, B, K), dL/dy.
            what: the losses in words, for messages.

        Returns:
            The arrays that came, in float64, by name; of a state (h, c) as "h0.h" and "h0.c".

        Raises:
            Unreadable: it raised, or gave nothing that can be read.
        """
        self.calls += 1
        where = f"in call {self.calls} ({what})"
        given = {f"params.{name}": value for name, value in self.subject.params._asdict().items()}
        given |= {"xs": self.subject.xs, "d_ys": d_ys} | ({"state": self.subject.state} if self.takes_state else {})
        copies = {name: like(value, tuple(leaf.copy() for leaf in leaves(value))) for name, value in given.items()}
        params = type(self.subject.params)(*list(copies.values())[: len(self.subject.params)])
        try:
            result = self.backward(params, *list(copies.values())[len(params) :])
        except Exception as error:
            raise Unreadable(f"It raised {type(error).__name__} {where}: {error}{_line(error)}.") from error
        for name, value in given.items():
            if any((a != b).any() for a, b in zip(leaves(value), leaves(copies[name]), strict=True)):
                self.changes.add(name)
        answer = self._read(result, where)
        if not self.accumulates:
            return answer
        since = {name: answer[name] - self.before[name] for name in answer}
        self.before = answer
        return since

    def _read(self, result, where):
        fields = self.subject.params._fields
        named = _by_name(result, fields, where)
        self.missing = tuple(name for name in fields if named.get(name) is None)
        if "W_xh" in self.missing:
            raise Unreadable(f"It gave no gradient for W_xh {where}, whose rows are the errors. Try {fields[0]}=... .")
        arrays = {}
        for name in fields:
            if name in self.missing:
                continue
            value, right = named[name], getattr(self.subject.params, name)
            if isinstance(right, tuple):
                parts = _by_name(value, right._fields, where)
                arrays |= {f"{name}.{part}": (parts.get(part), getattr(right, part)) for part in right._fields}
            else:
                arrays[name] = (value, right)
        arrays = {name: (_numbers(name, value, where), right.shape) for name, (value, right) in arrays.items()}
        return {name: self._shaped(name, array, shape, where) for name, (array, shape) in arrays.items()}

    def _shaped(self, name, array, shape, where):
        if array.shape != shape:
            self.misshapen[name] = (array.shape, shape)
            if name != "W_xh":
                return array
            if array.shape != shape[::-1]:
                raise Unreadable(f"W_xh must have shape {shape} {where}, got {array.shape}.")
            array = array.T
        if not np.isfinite(array).all():
            at = ", ".join(map(str, np.argwhere(~np.isfinite(array))[0]))
            raise Unreadable(f"{name} must be finite {where}, got {array[~np.isfinite(array)][0]} at {name}[{at}].")
        return array


def _line(error):
    """The last line of the pass's own file that the error came through."""
    frames = traceback.extract_tb(error.__traceback__)[1:]  # the first is the call
    lines = [frame.line for frame in frames if frame.filename == frames[0].filename and frame.line]
    if not lines:
        return ""
    return f", at the line `{lines[-1] if len(lines[-1]) < 90 else lines[-1][:87] + '...'}`"


def _takes_state(backward):
    """Whether the pass wants a state: a fourth argument without a default, or any called `state`."""
    try:
        parameters = list(inspect.signature(backward).parameters.values())
    except (TypeError, ValueError):
        return False
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return len(positional) > 3 and (positional[3].default is inspect.Parameter.empty or positional[3].name == "state")


def _by_name(result, fields, where):
    """What came, by the names of the fields: from a mapping, a named tuple, an object, or a plain sequence in their order."""
    if result is None:
        raise Unreadable(f"It returned None {where}. Is the return missing?")
    if isinstance(result, dict):
        named = result
    elif isinstance(result, tuple | list) and not hasattr(result, "_fields"):
        if len(result) != len(fields):
            raise Unreadable(
                f"It returned {len(result)} things {where}; wanted are {len(fields)}: {', '.join(fields)}."
            )
        named = dict(zip(fields, result, strict=True))
    else:
        named = {name: getattr(result, name) for name in fields if hasattr(result, name)}
    if not any(name in named for name in fields):
        got = ", ".join(map(str, named)) or type(result).__name__
        raise Unreadable(f"It returned {got} {where}; wanted are gradients by name: {', '.join(fields)}.")
    return named


def _numbers(name, value, where):
    try:
        value = value.detach().cpu() if hasattr(value, "detach") else value
        return np.asarray(value).astype(np.float64)
    except Exception as error:
        raise Unreadable(f"{name} is no array of numbers {where}, but {type(value).__name__}.") from error


def _checked_state(state, params, B):
    arrays, names = leaves(state), params.h0._fields if isinstance(params.h0, tuple) else ("state",)
    if len(arrays) != len(names):
        raise ValueError(f"xray: state must be {len(names)} array(s), {', '.join(names)}, got {len(arrays)}.")
    for name, array in zip(names, arrays, strict=True):
        require_floating("xray", **{name: array})
        require_shape("xray", name, array, (B, params.W_hy.shape[0]), match="(B, H)", hint="One for each sequence.")
        require_finite("xray", **{name: array})
    return LSTMState(*arrays) if isinstance(params, LSTMParams) else arrays[0]


def blocks(params: Any, columns: np.ndarray) -> dict[str, np.ndarray]:
    """Split (..., gates · H) into its gates, by the letters of `cells`: i, f, g, o, or r, z, n, or a for an Elman net."""
    letters = BLOCKS["lstm" if isinstance(params, LSTMParams) else "gru" if isinstance(params, GRUParams) else "elman"]
    return dict(zip(letters, np.split(columns, len(letters), axis=-1), strict=True))
