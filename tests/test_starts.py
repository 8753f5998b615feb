"""Recurrent matrices to begin with: what their names promise."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnlib import starts


@given(st.integers(1, 30), st.integers(0, 99))
def test_orthogonal_keeps_every_length(H, seed):
    W = starts.orthogonal(H, rng=np.random.default_rng(seed))
    np.testing.assert_allclose(W @ W.T, np.eye(H), atol=1e-12)


def test_orthogonal_is_uniform_which_qr_alone_is_not():
    rng = np.random.default_rng(0)
    traces = [np.trace(starts.orthogonal(3, rng=rng)) for _ in range(4000)]
    assert abs(np.mean(traces)) < 0.05, "the mean trace is 0"
    assert abs(np.var(traces) - 1) < 0.1, "and its variance 1"


@given(st.integers(2, 40), st.data())
def test_sparse_has_its_connections_and_its_radius(H, data):
    connections = data.draw(st.integers(1, H))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    W = starts.sparse(H, rng=rng, connections=connections, radius=0.9)
    assert ((W != 0).sum(axis=0) == connections).all(), "a column for each unit that listens"
    assert np.abs(np.linalg.eigvals(W)).max() == pytest.approx(0.9, rel=1e-6)


@pytest.mark.parametrize("start", [starts.orthogonal, starts.sparse])
def test_the_dtype_and_the_generator_decide(start):
    W = start(20, rng=np.random.default_rng(1), dtype=np.float32)
    assert W.dtype == np.float32
    np.testing.assert_array_equal(W, start(20, rng=np.random.default_rng(1), dtype=np.float32))


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: starts.orthogonal(0, rng=np.random.default_rng(0)), "orthogonal: H must be at least 1, got 0"),
        (lambda: starts.orthogonal(4, rng=0), "orthogonal: rng must be a np.random.Generator, got int"),
        (lambda: starts.sparse(4, rng=np.random.default_rng(0)), "sparse: connections must be between 1 and 4, got 15"),
        (
            lambda: starts.sparse(20, rng=np.random.default_rng(0), radius=0.0),
            "sparse: radius must be above 0, got 0.0",
        ),
    ],
)
def test_bad_input_is_told(call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call()
