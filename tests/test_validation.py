import re

import jax.numpy as jnp
import numpy as np
import pytest

from rnnlib.validation import axes_hint, require_array, require_finite, require_floating, require_shape, require_size


def test_good_input_passes():
    xs = np.zeros((5, 2, 3), np.float32)
    require_array("f", xs=xs)
    require_floating("f", xs=xs)
    require_finite("f", xs=xs)
    require_shape("f", "xs", xs, ("T", "B", 3), match="to match W_xh (3, 4)")
    require_size("f", "window", np.int64(5), most=5)


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (lambda: require_array("f", xs=[1.0]), r"f: xs must be an array, got list. Try np.asarray\(xs\)."),
        (
            lambda: require_floating("f", b_h=np.zeros(2, bool)),
            r"f: b_h must hold .* got bool. Numbers with b_h.astype\(float\).",
        ),
        (
            lambda: require_floating("f", xs=np.zeros(2, int)),
            r"got int64. Symbols become vectors with datasets.one_hot\(xs, D\)",
        ),
        (lambda: require_size("f", "T", 2.5), "f: T must be a whole number, at least 1, got 2.5"),
        (
            lambda: require_size("f", "T", True, most=3, hint="Try 2."),
            "f: T must be .*, between 1 and 3, got True. Try 2.",
        ),
    ],
)
def test_wrong_types_are_named(check, message):
    with pytest.raises(TypeError, match=message):
        check()


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (
            lambda: require_finite("f", d=np.array([[0, 1], [np.inf, 2]])),
            r"f: d must be finite, got inf at d\[1, 0\]. Try",
        ),
        (
            lambda: require_shape("f", "xs", np.zeros((5, 3)), ("T", "B", 3), match="m"),
            r"f: xs must be \(T, B, 3\) m, got \(5, 3\).$",
        ),
        (
            lambda: require_shape("f", "b", np.zeros(3), (4,), match="m", hint="Hm?"),
            r"f: b must be \(4,\) m, got \(3,\). Hm\?",
        ),
        (
            lambda: require_shape("f", "xs", np.zeros((0, 2)), ("T", "B"), match="m"),
            r"got \(0, 2\). T must be at least 1.$",
        ),
        (
            lambda: require_shape("f", "xs", np.zeros((2, 0)), ("T", 4), match="m"),
            r"must be \(T, 4\) m, got \(2, 0\).$",
        ),
        (lambda: require_size("f", "window", 9, most=8), "f: window must be between 1 and 8, got 9."),
        (lambda: require_size("f", "H", 0), "f: H must be at least 1, got 0."),
    ],
)
def test_wrong_values_are_named(check, message):
    with pytest.raises(ValueError, match=message):
        check()


@pytest.mark.parametrize("dtype", [np.float16, jnp.bfloat16, np.float32, np.float64, np.longdouble, jnp.float8_e4m3fn])
def test_every_floating_point_type_is_one(dtype):
    require_floating("f", xs=np.zeros(3, dtype))
    require_floating("f", xs=np.zeros(3, dtype)[0])


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint64, complex, object, "U3", "M8[s]", "V8", jnp.int4])
def test_no_other_type_is_one(dtype):
    with pytest.raises(TypeError, match=r"^f: xs must hold floating-point numbers, got "):
        require_floating("f", xs=np.zeros(3, dtype))


@pytest.mark.parametrize(
    ("shape", "hint"),
    [
        (
            (8, 3, 20),
            "Inputs come last. Try xs.transpose(2, 0, 1) if it is (B, D, T), xs.transpose(0, 2, 1) if it is (T, D, B).",
        ),
        (
            (3, 8, 20),
            "Inputs come last. Try xs.transpose(2, 1, 0) if it is (D, B, T), xs.transpose(1, 2, 0) if it is (D, T, B).",
        ),
        ((20, 3, 1), "Inputs come last. Try xs.transpose(0, 2, 1) if it is (T, D, B)."),
        ((1, 3, 20), "Inputs come last. Try xs.transpose(2, 0, 1) if it is (B, D, T)."),
        ((3, 20, 1), "Inputs come last. Try xs.transpose(1, 2, 0) if it is (D, T, B)."),
        ((3, 1, 20), "Inputs come last. Try xs.transpose(2, 1, 0) if it is (D, B, T)."),
        (
            (3, 3, 20),
            "Inputs come last, and which of the axes of 3 they are, the sizes don't tell. Try np.transpose to (T, B, D).",
        ),
        ((20, 3), "One sequence alone is xs[:, None]."),
        ((3, 20), "One sequence alone, inputs first, is xs.T[:, None]."),
        ((20, 8, 4), "Time comes first, then batch, then inputs."),
        ((20, 8, 3, 1), "Time comes first, then batch, then inputs."),
        ((20,), "Time comes first, then batch, then inputs."),
        ((0, 8, 3), "Time comes first, then batch, then inputs."),
    ],
)
def test_the_transposition_that_is_advised_gives_time_batch_inputs(shape, hint):
    assert axes_hint(shape, 3) == hint
    letters = dict(re.findall(r"transpose\(([\d, ]+)\) if it is \(([TBD, ]+)\)", hint))
    for axes, named in letters.items():
        assert [named.split(", ")[int(axis)] for axis in axes.split(", ")] == ["T", "B", "D"]
