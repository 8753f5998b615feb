import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnlib.cells import ElmanParams, elman_step, init_elman
from tests.strategies import problem, problems


@given(*[st.integers(1, 6)] * 3, st.sampled_from([np.float64, np.float32]))
def test_init_elman_gives_every_array_its_shape_and_type(D, H, K, dtype):
    params = init_elman(D, H, K, rng=np.random.default_rng(0), dtype=dtype)
    assert ElmanParams((D, H), (H, H), (H,), (H, K), (K,), (H,)) == ElmanParams(*(p.shape for p in params))
    assert {p.dtype for p in params} == {np.dtype(dtype)}
    assert not np.concatenate([params.b_h, params.b_y, params.h0]).any()


def test_init_elman_scales_weights_by_gain_and_fan_in():
    params = init_elman(400, 500, 300, rng=np.random.default_rng(0), gain=1.5)
    for weights in (params.W_xh, params.W_hh, params.W_hy):
        assert weights.std() == pytest.approx(1.5 / np.sqrt(len(weights)), rel=0.02)
        assert abs(weights.mean()) < 0.002
    assert np.abs(np.linalg.eigvals(params.W_hh)).max() == pytest.approx(1.5, rel=0.1)


def test_init_elman_draws_the_same_from_the_same_seed():
    one, same, other = (init_elman(3, 4, 2, rng=np.random.default_rng(seed)) for seed in (1, 1, 2))
    for a, b in zip(one, same, strict=True):
        np.testing.assert_array_equal(a, b)
    assert (one.W_hh != other.W_hh).all()


@pytest.mark.parametrize(("sizes", "name", "size"), [((0, 4, 2), "D", 0), ((3, -1, 2), "H", -1), ((3, 4, 0), "K", 0)])
def test_init_elman_explains_a_size_below_one(sizes, name, size):
    message = rf"init_elman: {name} must be at least 1, got {size}. The order is \(D, H, K\)."
    with pytest.raises(ValueError, match=message):
        init_elman(*sizes, rng=np.random.default_rng(0))


@given(problems())
def test_elman_step_is_its_equation_unit_by_unit(p):
    x, h = p.xs[0], np.tanh(p.d_ys[0, :, :1] + p.params.h0)  # any states will do
    y, new = elman_step(p.params, x, h)
    for b, i in np.ndindex(*new.shape):
        a = sum(x[b, d] * p.params.W_xh[d, i] for d in range(x.shape[1]))
        a += sum(h[b, j] * p.params.W_hh[j, i] for j in range(h.shape[1])) + p.params.b_h[i]
        assert new[b, i] == pytest.approx(np.tanh(a), rel=1e-12, abs=1e-13)
    for b, k in np.ndindex(*y.shape):
        value = sum(new[b, i] * p.params.W_hy[i, k] for i in range(new.shape[1])) + p.params.b_y[k]
        assert y[b, k] == pytest.approx(value, rel=1e-11, abs=1e-12)


@given(problems(T=(1, 1), B=(1, 1), D=(1, 2), H=(1, 3), K=(1, 2)))  # JAX compiles anew for each shape
def test_elman_step_gives_the_same_in_numpy_and_jax(p):
    x, h = p.xs[0, 0], p.params.h0  # one sequence, without its batch axis, as under jax.vmap
    ours = elman_step(p.params, x, h)
    theirs = elman_step(ElmanParams(*map(jnp.asarray, p.params)), jnp.asarray(x), jnp.asarray(h))
    for a, b in zip(ours, theirs, strict=True):
        assert isinstance(a, np.ndarray)
        assert isinstance(b, jax.Array)
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)


@given(problems())
def test_elman_step_of_a_batch_is_the_step_of_each_sequence(p):
    h = np.broadcast_to(p.params.h0, (p.xs.shape[1], p.params.h0.size))
    batch = elman_step(p.params, p.xs[0], h)
    for b in range(len(h)):
        for all_of_them, one in zip(batch, elman_step(p.params, p.xs[0, b], h[b]), strict=True):
            np.testing.assert_allclose(all_of_them[b], one, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_elman_step_keeps_the_type_and_leaves_its_inputs_alone(dtype):
    p = problem(T=1, B=3, D=2, H=4, K=2, dtype=dtype)
    h = np.zeros((3, 4), dtype)
    before = [array.copy() for array in (*p.params, p.xs, h)]
    y, new = elman_step(p.params, p.xs[0], h)
    assert {y.dtype, new.dtype} == {np.dtype(dtype)}
    assert (y.shape, new.shape) == ((3, 2), (3, 4))
    for array, old in zip((*p.params, p.xs, h), before, strict=True):
        np.testing.assert_array_equal(array, old)
