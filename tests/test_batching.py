import re
from itertools import combinations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnlib import batching

KEY = jax.random.key(0)
many_lengths = st.lists(st.integers(1, 9), min_size=1, max_size=12)


def sequences(lengths, *shape, dtype=float):
    """For each length an array of its own, without zeros, so that padding can be told from data."""
    within = [np.arange(T).reshape(T, *[1] * len(shape)) for T in lengths]
    return [
        (np.full((T, *shape), n + 1) + t).astype(dtype) for n, (T, t) in enumerate(zip(lengths, within, strict=True))
    ]


@given(many_lengths, st.sampled_from([(), (3,), (2, 2)]), st.integers(0, 3))
def test_pad_puts_each_sequence_into_its_column_and_zeros_behind(lengths, shape, more):
    arrays = sequences(lengths, *shape)
    for length in (None, max(lengths) + more):
        padded, mask = batching.pad(arrays, length)
        T = max(lengths) if length is None else length
        assert (padded.shape, mask.shape, mask.dtype) == ((T, len(lengths), *shape), (T, len(lengths)), bool)
        for b, array in enumerate(arrays):
            np.testing.assert_array_equal(padded[: len(array), b], array)
            assert not padded[len(array) :, b].any()
            assert mask[:, b].tolist() == [t < len(array) for t in range(T)]


@pytest.mark.parametrize("dtype", [np.int32, np.float32, np.float64, bool])
def test_pad_keeps_the_type_and_takes_arrays_of_jax(dtype):
    arrays = sequences([2, 3], dtype=dtype)
    assert batching.pad(arrays)[0].dtype == dtype
    padded, mask = batching.pad([jnp.asarray(array) for array in arrays])
    np.testing.assert_array_equal(padded, batching.pad(arrays)[0])
    assert mask.sum() == 5


def padding(lengths, edges):
    """Steps of padding, by looking for each sequence's bucket."""
    return sum(min(edge for edge in edges if edge >= T) - T for T in lengths)


@given(many_lengths, st.integers(1, 10))
def test_buckets_pad_as_little_as_any_choice_of_edges(lengths, count):
    edges = batching.buckets(lengths, count)
    sizes = sorted(set(lengths))
    assert list(edges) == sorted(set(edges))
    assert set(edges) <= set(sizes), "a bucket ends where a sequence does"
    assert edges[-1] == max(lengths)
    assert len(edges) <= count
    every = [(*few, sizes[-1]) for k in range(min(count, len(sizes))) for few in combinations(sizes[:-1], k)]
    assert padding(lengths, edges) == min(padding(lengths, choice) for choice in every)
    if count >= len(sizes):
        assert padding(lengths, edges) == 0


def test_more_buckets_never_pad_more_and_the_order_of_lengths_is_of_no_matter():
    lengths = np.random.default_rng(0).geometric(0.05, 500)
    pads = [padding(lengths, batching.buckets(lengths, count)) for count in range(1, 17)]
    assert pads == sorted(pads, reverse=True)
    assert pads[0] == (lengths.max() - lengths).sum()
    for count in (1, 4, 16):
        assert batching.buckets(lengths.tolist(), count) == batching.buckets(np.sort(lengths), count)


@settings(max_examples=50)
@given(many_lengths, st.integers(1, 4), st.integers(1, 5))
def test_waste_is_counted_on_the_arrays_of_batches(lengths, count, B):
    edges = batching.buckets(lengths, count)
    masks = [mask for _, mask in batching.batches([sequences(lengths)], B, edges=edges, key=KEY)]
    counted = batching.waste(lengths, edges, B)
    assert counted.real == sum(lengths) == sum(mask.sum() for mask in masks)
    assert counted.padded == sum(mask.size for mask in masks)
    assert counted.share == pytest.approx(1 - counted.real / counted.padded)
    assert counted.shapes == len({mask.shape for mask in masks})


def test_waste_of_an_unused_bucket_is_nothing():
    assert batching.waste([3, 3], (3, 7), 2) == batching.waste([3, 3], (3,), 2) == (6, 6, 0.0, 1)


@settings(max_examples=50)
@given(many_lengths, st.integers(1, 4), st.integers(1, 5), st.integers(0, 2**16))
def test_batches_hold_each_sequence_exactly_once(lengths, count, B, seed):
    edges = batching.buckets(lengths, count)
    columns = [sequences(lengths, 2), sequences(lengths, dtype=np.int32)]
    seen = []
    for xs, ids, mask in batching.batches(columns, B, edges=edges, key=jax.random.key(seed)):
        T = len(mask)
        assert T in edges
        assert (xs.shape, ids.shape, mask.shape) == ((T, B, 2), (T, B), (T, B))
        assert (xs.dtype, ids.dtype, mask.dtype) == (float, np.int32, bool)
        assert mask.any(), "no batch is empty"
        for b in range(B):
            own = int(mask[:, b].sum())
            assert not mask[own:, b].any()
            assert not xs[own:, b].any()
            assert not ids[own:, b].any()
            if own:
                n = ids[0, b] - 1  # the first entry tells which sequence it is
                seen.append(n)
                assert edges[np.searchsorted(edges, own)] == T, "in the smallest bucket that it fits into"
                np.testing.assert_array_equal(xs[:own, b], columns[0][n])
                np.testing.assert_array_equal(ids[:own, b], columns[1][n])
    assert sorted(seen) == list(range(len(lengths)))


def order(seed, lengths):
    """Which sequences come in which batch, in which row."""
    each = batching.batches([sequences(lengths)], 4, edges=(5, 9), key=jax.random.key(seed))
    return [(xs.shape, xs[0].tolist()) for xs, _ in each]


def test_the_key_decides_the_order():
    lengths = np.random.default_rng(1).integers(1, 10, 60)
    assert order(0, lengths) == order(0, lengths)
    assert order(0, lengths) != order(1, lengths)
    assert sorted(shape for shape, _ in order(0, lengths)) == sorted(shape for shape, _ in order(1, lengths))
    lengths_in_turn = [shape[0] for shape, _ in order(0, lengths)]
    assert lengths_in_turn != sorted(lengths_in_turn), "buckets come mixed"


def test_the_callers_arrays_are_not_changed_and_not_handed_out():
    arrays = sequences([4])
    before = arrays[0].copy()
    padded, _ = batching.pad(arrays)
    (batch, _), *_ = batching.batches([arrays], 1, edges=(4,), key=KEY)
    padded[:], batch[:] = 0, 0
    np.testing.assert_array_equal(arrays[0], before)


TWO = sequences([3, 5])
ERRORS = {
    "pad nothing": (lambda: batching.pad([]), ValueError, "pad: sequences must be one or more, got none."),
    "pad an empty one": (
        lambda: batching.pad([TWO[0], np.zeros(0)]),
        ValueError,
        "pad: sequences[1] must have at least one step, got (0,). Leave it out.",
    ),
    "pad a number": (
        lambda: batching.pad([np.array(3.0)]),
        ValueError,
        "pad: sequences[0] must have at least one step, got ().",
    ),
    "pad a list": (lambda: batching.pad([TWO[0], [1, 2]]), TypeError, "pad: sequences[1] must be an array, got list."),
    "too short": (
        lambda: batching.pad(TWO, 4),
        ValueError,
        "pad: length must be at least 5, got 4. The longest sequence has to fit.",
    ),
    "half a length": (
        lambda: batching.pad(TWO, 5.5),
        TypeError,
        "pad: length must be a whole number, at least 5, got 5.5.",
    ),
    "other shapes": (
        lambda: batching.pad([np.zeros((2, 3)), np.zeros((2, 4))]),
        ValueError,
        "pad: sequences[1] must be (T, 3) like sequences[0], got (2, 4). Only the first axis, time, may differ.",
    ),
    "no lengths": (lambda: batching.buckets([], 2), ValueError, "buckets: lengths must be 1 or more, got none at all."),
    "length 0": (lambda: batching.buckets([3, 0], 2), ValueError, "buckets: lengths must be 1 or more, got 0."),
    "no buckets": (lambda: batching.buckets([3], 0), ValueError, "buckets: count must be at least 1, got 0."),
    "half a bucket": (lambda: batching.buckets([3], 1.5), TypeError, "buckets: count must be a whole number"),
    "waste beyond": (
        lambda: batching.waste([3, 9], (3, 5)),
        ValueError,
        "waste: sequence 1 has 9 steps, more than the last bucket's 5. Cut it, or add a bucket.",
    ),
    "falling edges": (
        lambda: batching.waste([3], (5, 3)),
        ValueError,
        "waste: edges must be ascending lengths, got (5, 3). Try buckets(lengths, 4).",
    ),
    "no edges": (lambda: batching.waste([3], ()), ValueError, "waste: edges must be ascending lengths, got ()."),
    "no rows": (lambda: batching.waste([3], (3,), 0), ValueError, "waste: B must be at least 1, got 0."),
    "half a row": (
        lambda: batching.waste([3], (3,), 0.5),
        TypeError,
        "waste: B must be a whole number, at least 1, got 0.5.",
    ),
    "batches of none": (
        lambda: batching.batches([TWO], 0, edges=(5,), key=KEY),
        ValueError,
        "batches: B must be at least 1, got 0.",
    ),
    "waste of nothing": (
        lambda: batching.waste([], (4,)),
        ValueError,
        "waste: lengths must be those of one sequence or more, got none.",
    ),
    "a seed for a key": (
        lambda: batching.batches([TWO], 2, edges=(5,), key=0),
        TypeError,
        "batches: key must be a JAX key, got int. Try jax.random.key(0).",
    ),
    "columns of other numbers": (
        lambda: batching.batches([TWO, TWO[:1]], 2, edges=(5,), key=KEY),
        ValueError,
        "batches: columns must hold the same sequences, got 2 and 1 of them.",
    ),
    "columns of other lengths": (
        lambda: batching.batches([TWO, sequences([3, 4])], 2, edges=(5,), key=KEY),
        ValueError,
        "batches: columns must agree in length, got 5 and 4 steps for sequence 1. Is a target missing, or was one column shifted?",
    ),
    "batches beyond": (
        lambda: batching.batches([TWO], 2, edges=(4,), key=KEY),
        ValueError,
        "batches: sequence 1 has 5 steps, more than the last bucket's 4.",
    ),
    "batches of nothing": (
        lambda: batching.batches([[]], 2, edges=(4,), key=KEY),
        ValueError,
        "batches: sequences must be one or more, got none.",
    ),
}


@pytest.mark.bad_input
@pytest.mark.parametrize(("call", "error", "message"), ERRORS.values(), ids=ERRORS)
def test_bad_input_is_explained_before_the_first_batch(call, error, message):
    with pytest.raises(error, match="^" + re.escape(message)):
        call()


def test_padding_loses_no_digits_where_the_types_differ():
    padded, _ = batching.pad([np.array([1, 2, 3]), np.array([0.5])])
    assert padded.T.tolist() == [[1, 2, 3], [0.5, 0, 0]]
    assert batching.pad([np.ones(2, np.float32), np.ones(1, np.float64)])[0].dtype == np.float64
    assert batching.pad([np.ones(2, np.float32), np.ones(1, np.float32)])[0].dtype == np.float32
    words, _ = batching.pad([np.array(["a"]), np.array(["longer", "b"])])
    assert words.T.tolist() == [["a", ""], ["longer", "b"]]
