"""Bad input, answered in one line: where it was, what was expected, what came, and what to try."""

import numpy as np


def require_array(where: str, **arrays) -> None:
    """Raise a `TypeError` for what is not an array, of NumPy or JAX.

    Args:
        where: the function that asks, named at the start of the message.
        **arrays: the arrays, by the names that their caller knows.

    Raises:
        TypeError: one of them is a list, a number, None ...

    Example:
        >>> require_array("forward", xs=np.zeros((2, 1, 3)))
    """
    for name, array in arrays.items():
        if not (hasattr(array, "dtype") and hasattr(array, "shape")):
            raise TypeError(f"{where}: {name} must be an array, got {type(array).__name__}. Try np.asarray({name}).")


def require_size(where: str, name: str, value, *, least: int = 1, most: int | None = None, hint: str = "") -> None:
    """Raise unless a number is whole and in its range.

    Args:
        where: the function that asks.
        name: the name of the number.
        value: the number itself.
        least: the smallest value allowed.
        most: the largest value allowed; None for no limit.
        hint: what to try.

    Raises:
        TypeError: something else than a whole number.
        ValueError: a whole number outside the range.

    Example:
        >>> require_size("backward", "window", 3, most=8)
    """
    bounds = f"at least {least}" if most is None else f"between {least} and {most}"
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{where}: {name} must be a whole number, {bounds}, got {value!r}. {hint}".rstrip())
    if value < least or (most is not None and value > most):
        raise ValueError(f"{where}: {name} must be {bounds}, got {value}. {hint}".rstrip())


def require_floating(where: str, **arrays) -> None:
    """Raise a `TypeError` unless every array holds floating-point numbers, those of 16 bits and fewer included.

    Args:
        where: the function that asks, named at the start of the message.
        **arrays: the arrays, by the names that their caller knows.

    Raises:
        TypeError: an array holds integers, booleans or objects.

    Example:
        >>> require_floating("forward", xs=np.zeros((2, 1, 3)))
    """
    for name, array in arrays.items():
        require_array(where, **{name: array})
        if not is_floating(array.dtype):
            symbols = f"Symbols become vectors with datasets.one_hot({name}, D); numbers" if name == "xs" else "Numbers"
            hint = f"{symbols} with {name}.astype(float)."
            raise TypeError(f"{where}: {name} must hold floating-point numbers, got {array.dtype}. {hint}")


def is_floating(dtype) -> bool:
    """Say whether a type is of floating-point numbers: float16 ... float64, and those that NumPy knows as of no kind.

    Args:
        dtype: a NumPy type, or anything that np.dtype takes.

    Returns:
        True for NumPy's own, and for bfloat16, float8_e4m3fn and their like, which JAX and ml_dtypes bring.

    Example:
        >>> import jax.numpy as jnp
        >>> is_floating(np.float16), is_floating(jnp.bfloat16), is_floating(np.int8)
        (True, True, False)
    """
    dtype = np.dtype(dtype)
    return dtype.kind == "f" or dtype.name.startswith(("bfloat", "float"))


def require_finite(where: str, **arrays) -> None:
    """Raise a `ValueError` that points at the first NaN or infinity.

    Args:
        where: the function that asks.
        **arrays: floating-point arrays by name.

    Raises:
        ValueError: some entry is NaN or infinite.

    Example:
        >>> require_finite("forward", xs=np.ones(3))
    """
    for name, array in arrays.items():
        finite = np.isfinite(array)
        if not finite.all():
            at = tuple(int(i) for i in np.argwhere(~finite)[0])
            raise ValueError(
                f"{where}: {name} must be finite, got {array[at]} at {name}[{', '.join(map(str, at))}]. "
                f"Try np.isfinite({name}) upstream to see where it first appears."
            )


def require_shape(where: str, name: str, array, expected: tuple, *, match: str, hint: str = "") -> None:
    """Raise a `ValueError` unless the shape is the expected one; letters in `expected` stand for any size of at least 1.

    Args:
        where: the function that asks.
        name: the name of the array.
        array: the array itself.
        expected: sizes as numbers, or axis letters where any size will do, such as ("T", "B", 3).
        match: what the shape has to agree with, in words.
        hint: what to try.

    Raises:
        ValueError: another number of axes, another size, or an axis of length 0.

    Example:
        >>> require_shape("forward", "xs", np.zeros((5, 1, 3)), ("T", "B", 3), match="to match W_xh (3, 16)")
    """
    got = tuple(array.shape)
    fits = len(got) == len(expected) and all(
        size >= 1 if isinstance(want, str) else size == want for want, size in zip(expected, got, strict=True)
    )
    if not fits:
        shape = f"({', '.join(map(str, expected))}{',' if len(expected) == 1 else ''})"
        letters = [want for want, size in zip(expected, got, strict=False) if isinstance(want, str) and size == 0]
        empty = f" {letters[0]} must be at least 1." if letters and len(got) == len(expected) else ""
        raise ValueError(f"{where}: {name} must be {shape} {match}, got {got}.{empty} {hint}".rstrip())


def axes_hint(shape: tuple[int, ...], D: int) -> str:
    """Say which transposition makes an array of inputs (T, B, D), as far as its shape tells, where its last axis is not the inputs.

    Sizes alone cannot tell time from batch, so both readings are given; an axis of one is taken for a batch of one.

    Args:
        shape: of the array that came.
        D: inputs a step.

    Returns:
        A sentence or two for the end of a message.

    Example:
        >>> axes_hint((8, 3, 20), 3)
        'Inputs come last. Try xs.transpose(2, 0, 1) if it is (B, D, T), xs.transpose(0, 2, 1) if it is (T, D, B).'
    """
    places = [axis for axis, size in enumerate(shape) if size == D]
    if len(shape) == 2 and places:
        return (
            "One sequence alone is xs[:, None]."
            if shape[1] == D
            else "One sequence alone, inputs first, is xs.T[:, None]."
        )
    if len(shape) != 3 or not places or shape[2] == D:
        return "Time comes first, then batch, then inputs."
    if len(places) == 2:
        return f"Inputs come last, and which of the axes of {D} they are, the sizes don't tell. Try np.transpose to (T, B, D)."
    ways = []
    for time, batch in ((2, 1 - places[0]), (1 - places[0], 2)):
        letters = "".join({time: "T", batch: "B"}.get(axis, "D") for axis in range(3))
        ways.append((shape[time], f"xs.transpose({time}, {batch}, {places[0]}) if it is ({', '.join(letters)})"))
    sensible = [way for steps, way in ways if steps > 1] or [way for _, way in ways]
    return f"Inputs come last. Try {', '.join(sensible)}."
