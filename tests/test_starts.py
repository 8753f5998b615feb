"""Recurrent matrices to begin with: what their names promise."""

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnlib import dynamics, starts
from rnnlib.cells import elman_step, init_elman


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


@pytest.fixture(scope="module")
def left_at_20():
    """What is left of the gradient after 20 steps, for six starts, quiet and loud inputs and three seeds each (chapter 05)."""

    def one(name, loud, seed, T=50, B=8, H=32):
        rng = np.random.default_rng(seed)
        p = init_elman(4, H, 3, rng=rng)
        xs, d_ys = loud * rng.standard_normal((T, B, 4)), rng.standard_normal((T, B, 3))
        W = {"orthogonal": starts.orthogonal(H, rng=rng), "identity": np.eye(H)}.get(name)
        p = p._replace(W_hh=float(name) * p.W_hh if W is None else W)
        Js = dynamics.jacobians(relu_step if name == "identity" else elman_step, p, xs, p.h0)
        g = np.asarray(dynamics.gradient_by_lag(Js, d_ys @ p.W_hy.T))
        return g[20] / g[0]

    names = ("0.5", "1", "2", "4", "orthogonal", "identity")
    return {(name, loud): [one(name, loud, seed) for seed in range(3)] for name in names for loud in (0.1, 1.0)}


def relu_step(params, x, h):
    h = jax.nn.relu(x @ params.W_xh + h @ params.W_hh + params.b_h)
    return h @ params.W_hy + params.b_y, h


def test_a_small_gain_vanishes_and_a_large_one_explodes(left_at_20):
    assert max(left_at_20["0.5", 0.1]) < 1e-4
    assert min(left_at_20["4", 1.0]) > 10
    assert max(left_at_20["2", 1.0]) < 2**20 / 1000, "2 to the power of the lag? Far from it"


def test_at_radius_one_the_inputs_decide(left_at_20):
    assert max(*left_at_20["1", 1.0], *left_at_20["orthogonal", 1.0]) < 1e-2, "loud: the slopes are small"
    assert min(left_at_20["orthogonal", 0.1]) > 0.1, "quiet: the slopes are near 1"


def test_a_relu_from_the_identity_only_switches_off(left_at_20):
    assert min(*left_at_20["identity", 0.1], *left_at_20["identity", 1.0]) > 0.3
