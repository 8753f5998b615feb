import numpy as np
import pytest

from rnnlib.validation import require_array, require_finite, require_floating, require_shape, require_size


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
