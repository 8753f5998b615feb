"""What goes over the wire comes back the same; what is no frame builds nothing."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnlib.cells import ElmanParams, init_elman
from rnnlib.coursework.grading.wire import HEAD, BrokenFrameError, decode, encode

KINDS = ["?", "i1", "u2", "i8", "f2", "f4", "f8"]


def back(value, **options):
    return decode(encode(value), **options)


@settings(max_examples=25)
@given(
    st.lists(st.tuples(st.sampled_from(KINDS), st.lists(st.integers(0, 3), max_size=3))),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    ),
)
def test_values_come_back(arrays, rest):
    value = {"arrays": tuple(np.ones(shape, kind) for kind, shape in arrays), "rest": rest}
    again = back(value)
    assert again["rest"] == rest
    for one, two in zip(value["arrays"], again["arrays"], strict=True):
        assert one.dtype == two.dtype
        np.testing.assert_array_equal(one, two)


def test_named_tuples_come_back_where_classes_are_trusted_alone():
    params = init_elman(2, 3, 1, rng=np.random.default_rng(0))
    assert isinstance(back(params, classes=True), ElmanParams)
    assert type(back(params)) is dict


def test_what_is_no_number_is_refused():
    with pytest.raises(TypeError, match="only numbers can be sent, got object"):
        encode(object())


def frame(node, raw=b""):
    text = node if isinstance(node, bytes) else json.dumps(node).encode()
    return HEAD.pack(len(text), len(raw)) + text + raw


@pytest.mark.parametrize(
    "bytes_",
    [
        b"short",
        frame(b"{]"),
        frame({"dtype": "O", "shape": [1]}, bytes(8)),
        frame({"dtype": "<f8", "shape": [10**12]}, bytes(8)),
        frame({"dtype": "<f8", "shape": [-1]}, bytes(8)),
        frame({"dtype": "<f8", "shape": [True]}, bytes(8)),
        frame({"dtype": "<f8", "shape": "12"}, bytes(8)),
        frame({"dtype": ["<f8"], "shape": [1]}, bytes(8)),
        frame({"dtype": "<f8", "shape": [1]}, bytes(16)),
        frame({"list": 3}),
        frame({"set": []}),
        frame({"dict": {}, "list": []}),
        frame(b"[" * 100_000),
        frame({"dtype": "<f8", "shape": [10**4200] * 800}),
        frame({"dtype": "<f8", "shape": [1] * 100}, bytes(8)),
        frame({"list": [1] * 100_000}),
        frame({"dict": {"x" * 101: 1}}),
        frame({"list": [[1] * 100_000]}),
        frame(b'{"list": [' * 22 + b"1" + b"]}" * 22),
    ],
    ids=range(19),
)
def test_what_is_no_frame_builds_nothing(bytes_):
    with pytest.raises(BrokenFrameError, match="not a frame"):
        decode(bytes_)


def test_no_class_is_looked_up_for_an_untrusted_frame():
    whole = frame({"class": "os:system", "fields": {"dict": {"command": "true"}}})
    assert decode(whole) == {"command": "true"}


def test_the_head_tells_both_lengths():
    whole = encode({"x": np.zeros(3)})
    assert HEAD.unpack_from(whole) == (len(whole) - HEAD.size - 24, 24)
