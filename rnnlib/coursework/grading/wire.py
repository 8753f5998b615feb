"""Values to bytes and back, for two processes of which one is not trusted: JSON and raw arrays, no pickle.

A frame is two lengths, 8 bytes each, then JSON, then the bytes of all arrays. Decoding builds nothing but dicts, lists, tuples, texts,
numbers and arrays, and allocates no more than what came.
"""

import importlib
import json
import math
import struct
from typing import Any

import numpy as np

HEAD = struct.Struct(">QQ")
MOST, DEEPEST, LONGEST = (
    10_000,
    20,
    100,
)  # values in a frame, levels, characters of a name: more would take its reader long
DTYPES = {
    np.dtype(name).str for name in ("?", *(f"{kind}{n}" for kind in "iu" for n in (1, 2, 4, 8)), "f2", "f4", "f8")
}


class BrokenFrameError(ValueError):
    """These bytes are not what `encode` makes."""


def encode(value: Any) -> bytes:
    """Write a value as one frame.

    Args:
        value: dicts, lists, tuples, NamedTuples, texts, numbers, None and arrays.

    Returns:
        The bytes.

    Raises:
        TypeError: anything else.
    """
    blocks = []
    text = json.dumps(_described(value, blocks)).encode()
    return HEAD.pack(len(text), sum(map(len, blocks))) + text + b"".join(blocks)


def decode(frame: bytes, *, classes: bool = False) -> Any:
    """Read what `encode` wrote.

    Args:
        frame: the bytes.
        classes: whether NamedTuples are made again; dicts otherwise. Only for frames of a process that is trusted.

    Returns:
        The value.

    Raises:
        BrokenFrameError: the bytes are not a frame's.

    Example:
        >>> frame = encode({"xs": np.arange(3.0), "window": 2})
        >>> decode(frame)
        {'xs': array([0., 1., 2.]), 'window': 2}
    """
    try:
        size, _ = HEAD.unpack_from(frame)
        text, raw = frame[HEAD.size : HEAD.size + size], frame[HEAD.size + size :]
        reader = _Reader(raw, classes)
        value = reader.built(json.loads(text))
        if reader.at != len(raw):
            raise ValueError(f"{len(raw) - reader.at} bytes are nobody's")
    except (struct.error, ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError) as error:
        raise BrokenFrameError(f"wire: not a frame: {type(error).__name__}") from error
    return value


def _described(value, blocks):
    """A value in JSON: every container as {kind: content}, arrays by dtype and shape, their bytes put aside."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if hasattr(value, "_asdict"):
        name = f"{type(value).__module__}:{type(value).__qualname__}"
        return {"class": name, "fields": _described(value._asdict(), blocks)}
    if isinstance(value, dict):
        return {"dict": {str(key): _described(item, blocks) for key, item in value.items()}}
    if isinstance(value, tuple | list):
        return {type(value).__name__: [_described(item, blocks) for item in value]}
    array = np.array(value, order="C", subok=False)  # keeps a number's shape, ()
    if array.dtype.str not in DTYPES:
        raise TypeError(f"wire: only numbers can be sent, got {type(value).__name__} of dtype {array.dtype}")
    blocks.append(array.tobytes())
    return {"dtype": array.dtype.str, "shape": list(array.shape)}


class _Reader:
    def __init__(self, raw, classes):
        self.raw, self.classes, self.at, self.left = raw, classes, 0, MOST

    def built(self, node, depth=0):
        self.left -= 1
        if self.left < 0 or depth > DEEPEST:
            raise ValueError(f"more than {MOST} values, or {DEEPEST} levels")
        if not isinstance(node, dict):
            if node is not None and not isinstance(node, str | int | float | bool):
                raise ValueError(f"a bare {type(node).__name__}")
            return node
        if "dtype" in node:
            return self.array(node["dtype"], node["shape"])
        if "class" in node:
            fields = self.built(node["fields"], depth)
            module, _, name = node["class"].partition(":")
            return getattr(importlib.import_module(module), name)(**fields) if self.classes else fields
        ((kind, content),) = node.items()
        if kind == "dict":
            if max(map(len, content), default=0) > LONGEST:
                raise ValueError(f"a name of more than {LONGEST} characters")
            return {key: self.built(item, depth + 1) for key, item in content.items()}
        return {"list": list, "tuple": tuple}[kind](self.built(item, depth + 1) for item in content)

    def array(self, dtype, shape):
        if dtype not in DTYPES or len(shape) > 32 or not all(type(n) is int and 0 <= n < 2**48 for n in shape):
            raise ValueError(f"no array: {dtype!r} {shape!r}")
        dtype = np.dtype(dtype)
        start, self.at = self.at, self.at + math.prod(shape) * dtype.itemsize
        if self.at > len(self.raw):
            raise ValueError("an array is cut off")
        return np.frombuffer(self.raw[start : self.at], dtype).reshape(shape).copy()
