"""What a learner's function gave back when it was called: plain arrays, or in words why there are none."""

import contextlib
import linecache
import signal
import threading
import traceback
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

UNANSWERED = "Not answered yet: the function raises NotImplementedError."
LATE = "It did not return within"
STOPPED = "It was stopped after"
FORM = "Its program is not what was asked for. "


class Answer(NamedTuple):
    """One call of a learner's function, in nothing but dicts, tuples and arrays."""

    value: Any  # what came back; None where nothing did
    inputs: Any  # the inputs, as they were after the call
    trouble: str | None = None  # why there is no value


class RefusedError(Exception):
    """What came is not what was asked for; the message is the whole of what a learner reads."""


class LateError(BaseException):
    """The time is up. Not an Exception, so that `except Exception` in a learner's loop lets it through."""


def attempt(call: Callable[[Any], Any], inputs: dict[str, Any], *, seconds: float) -> Answer:
    """Call a learner's function, whatever it does.

    Args:
        call: calls the function with the inputs.
        inputs: by name, arrays, numbers and tuples of them; the function may spoil them, so hand in a copy.
        seconds: when to stop it; kept in the main thread of a Unix process, elsewhere there is no limit.

    Returns:
        The `Answer`. KeyboardInterrupt alone comes through.

    Example:
        >>> attempt(lambda inputs: inputs["x"] / inputs["x"].sum(), {"x": np.ones(4)}, seconds=5.0).value
        array([0.25, 0.25, 0.25, 0.25])
        >>> print(attempt(lambda inputs: inputs["y"], {"x": np.ones(4)}, seconds=5.0).trouble)
        It raised KeyError: 'y'
    """
    value, trouble = None, None
    try:
        with deadline(seconds):
            returned = call(inputs)
            if returned is None:
                raise TypeError("the function returned None: is return missing?")
            value = plain(returned)
    except KeyboardInterrupt:
        raise
    except NotImplementedError:
        trouble = UNANSWERED
    except RefusedError as error:
        trouble = str(error)
    except LateError:
        trouble = f"{LATE} {seconds:g} s. Does a loop never end?"
    except BaseException as error:
        trouble = f"It raised {_exception_line(error)}"
    return Answer(value, plain(inputs), trouble)


def plain(value: Any) -> Any:
    """Turn a result into dicts (of NamedTuples too), tuples and arrays.

    Args:
        value: arrays of NumPy or JAX, numbers, and tuples, lists and dicts of them.

    Returns:
        The same, of plain `np.ndarray` throughout; what is no array (a function, a text, None) as a `TypeError`.

    Raises:
        TypeError: something that is not made of real numbers.
    """
    if hasattr(value, "_asdict"):
        return {name: plain(field) for name, field in value._asdict().items()}
    if isinstance(value, dict):
        return {str(name): plain(field) for name, field in value.items()}
    if isinstance(value, tuple | list):
        return tuple(plain(field) for field in value)
    if not isinstance(value, bool | int | float | np.generic) and not hasattr(value, "__array__"):
        raise TypeError(f"the result must be an array, or a tuple of arrays: found {type(value).__name__}")
    array = np.array(value, subok=False)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"the result must hold real numbers: found dtype {array.dtype}")
    return array


def leaves(tree: Any, prefix: str = "") -> dict[str, np.ndarray]:
    """List the arrays of a plain tree by name: `hs`, `grads.W_hh`, `[1]`.

    Args:
        tree: what `plain` gives.
        prefix: the name so far.

    Returns:
        The arrays, in order.
    """
    if isinstance(tree, dict):
        named = {f"{prefix}.{name}" if prefix else name: field for name, field in tree.items()}
    elif isinstance(tree, tuple):
        named = {f"{prefix}[{i}]": field for i, field in enumerate(tree)}
    else:
        return {prefix: tree}
    return {name: leaf for start, field in named.items() for name, leaf in leaves(field, start).items()}


def finite(tree: Any) -> Any:
    """Put numbers that can be compared in place of NaN and infinity.

    Args:
        tree: what `plain` gives.

    Returns:
        The same; its names stay in order.
    """
    if isinstance(tree, dict):
        return {name: finite(field) for name, field in tree.items()}
    if isinstance(tree, tuple):
        return tuple(map(finite, tree))
    return np.asarray(np.nan_to_num(tree, nan=7e29, posinf=1e30, neginf=-1e30))


def describe(inputs: dict[str, Any]) -> str:
    """Say in a line what a function was called with: names, shapes, dtypes, and numbers as they are.

    Args:
        inputs: by name.

    Returns:
        The line.

    Example:
        >>> describe({"xs": np.zeros((5, 1, 3)), "window": 2})
        'xs (5, 1, 3) float64, window = 2'
    """
    return ", ".join(one for name, value in inputs.items() for one in _described(name, value))


def _described(name, value):
    if hasattr(value, "_asdict"):
        return [one for field, inner in value._asdict().items() for one in _described(f"{name}.{field}", inner)]
    if isinstance(value, tuple | list):
        return [one for i, inner in enumerate(value) for one in _described(f"{name}[{i}]", inner)]
    if hasattr(value, "shape") and value.shape:
        return [f"{name} {tuple(value.shape)} {value.dtype}"]
    return [f"{name} = {value}"]


def _exception_line(error):
    """An exception in a line, with the learner's own line where Python still knows it."""
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    frames = [f for f in traceback.extract_tb(error.__traceback__) if "rnnlib" not in f.filename.replace("\\", "/")]
    for frame in reversed([f for f in frames if "site-packages" not in f.filename]):
        line = linecache.getline(frame.filename, frame.lineno).strip()
        if line:
            return f"{text} (in {frame.name}, line {frame.lineno}: {line})"
    return text


@contextlib.contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Raise `LateError` in the block after so many seconds, where the platform can."""
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(signum, frame):
        raise LateError

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
