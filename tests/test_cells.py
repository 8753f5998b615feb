import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnlib.cells import ElmanParams, LSTMState, elman_step, init_elman, init_gru, init_lstm, step
from rnnlib.unroll import unroll_scan
from tests.strategies import problem, problems


@given(*[st.integers(1, 6)] * 3, st.sampled_from([np.float64, np.float32]))
def test_init_elman_gives_every_array_its_shape_and_type(D, H, K, dtype):
    params = init_elman(D, H, K, rng=np.random.default_rng(0), dtype=dtype)
    assert ElmanParams((D, H), (H, H), (H,), (H, K), (K,), (H,)) == ElmanParams(*(p.shape for p in params))
    assert {p.dtype for p in params} == {np.dtype(dtype)}
    assert not np.concatenate([params.b_h, params.b_y, params.h0]).any()


@pytest.mark.parametrize("init", [init_elman, init_lstm, init_gru])
@pytest.mark.parametrize("dtype", [np.float16, jnp.bfloat16])
def test_sixteen_bits_are_a_floating_point_type(init, dtype):
    params = init(2, 4, 3, rng=np.random.default_rng(0), dtype=dtype)
    assert {p.dtype for p in jax.tree.leaves(params)} == {np.dtype(dtype)}
    ys, _ = unroll_scan(params, np.ones((5, 1, 2), dtype))
    exact, _ = unroll_scan(jax.tree.map(lambda p: p.astype(np.float64), params), np.ones((5, 1, 2)))
    assert ys.dtype == dtype
    np.testing.assert_allclose(ys.astype(float), exact, atol=0.05)


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


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def lstm_by_hand(p, x, h, c):
    """One unit at a time, as the equations say it."""
    new_h, new_c = np.zeros_like(h), np.zeros_like(c)
    H = len(h)
    for k in range(H):
        i, f, g, o = (x @ p.W_xh[:, j] + h @ p.W_hh[:, j] + p.b_h[j] for j in (k, H + k, 2 * H + k, 3 * H + k))
        new_c[k] = sigmoid(f) * c[k] + sigmoid(i) * np.tanh(g)
        new_h[k] = sigmoid(o) * np.tanh(new_c[k])
    return new_h @ p.W_hy + p.b_y, new_h, new_c


def gru_by_hand(p, x, h):
    new_h, H = np.zeros_like(h), len(h)
    for k in range(H):
        r, z = (sigmoid(x @ p.W_xh[:, j] + h @ p.W_hh[:, j] + p.b_h[j]) for j in (k, H + k))
        n = np.tanh(x @ p.W_xh[:, 2 * H + k] + p.b_h[2 * H + k] + r * (h @ p.W_hh[:, 2 * H + k] + p.b_n[k]))
        new_h[k] = (1 - z) * n + z * h[k]
    return new_h @ p.W_hy + p.b_y, new_h


def gated(init, D=3, H=4, K=2, dtype=np.float64):
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda p: (p + rng.standard_normal(p.shape)).astype(dtype), init(D, H, K, rng=rng))
    return params, rng.standard_normal((5, D)).astype(dtype), rng.standard_normal((2, 5, H)).astype(dtype)


def test_step_is_each_cell_s_equations_row_by_row():
    params, xs, (hs, cs) = gated(init_lstm)
    ys, new = step(params, xs, LSTMState(hs, cs))
    for b in range(len(xs)):
        for ours, by_hand in zip((ys[b], new.h[b], new.c[b]), lstm_by_hand(params, xs[b], hs[b], cs[b]), strict=True):
            np.testing.assert_allclose(ours, by_hand, rtol=1e-12)
    params, xs, (hs, _) = gated(init_gru)
    ys, new = step(params, xs, hs)
    for b in range(len(xs)):
        for ours, by_hand in zip((ys[b], new[b]), gru_by_hand(params, xs[b], hs[b]), strict=True):
            np.testing.assert_allclose(ours, by_hand, rtol=1e-12)
    problem_ = problem(1, 5, 3, 4, 2)
    for ours, by_hand in zip(*(f(problem_.params, problem_.xs[0], hs) for f in (step, elman_step)), strict=True):
        np.testing.assert_allclose(ours, by_hand, rtol=1e-12)


@pytest.mark.parametrize("init", [init_elman, init_lstm, init_gru])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_step_is_the_same_in_numpy_and_jax_and_keeps_the_type(init, dtype):
    params, xs, (hs, cs) = gated(init, dtype=dtype)
    state = LSTMState(hs, cs) if init is init_lstm else hs
    in_numpy = step(params, xs, state)
    in_jax = jax.vmap(step, (None, 0, 0))(jax.tree.map(jnp.asarray, params), xs, state)
    for a, b in zip(jax.tree.leaves(in_numpy), jax.tree.leaves(in_jax), strict=True):
        assert (a.dtype, b.dtype) == (dtype, dtype)
        np.testing.assert_allclose(a, b, rtol=1e-5 if dtype == np.float32 else 1e-12)


@pytest.mark.parametrize("init", [init_elman, init_lstm, init_gru])
def test_tangent_is_the_derivative_of_advance(init):
    params, xs, (hs, cs) = gated(init)
    state = LSTMState(hs, cs) if init is init_lstm else hs
    p = params.drive(xs) + params.recur(state)
    d_p, d_state = jax.tree.map(np.cos, (p, state))
    (new, kept), (expected, _) = jax.jvp(params.advance, (p, state), (d_p, d_state))
    for a, b in zip(*map(jax.tree.leaves, (params.tangent(d_p, d_state, state, new, kept), expected)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)


def test_gates_don_t_overflow():
    params, xs, (hs, cs) = gated(init_lstm, dtype=np.float32)
    y, state = step(params, 1e4 * xs, LSTMState(hs, cs))
    assert all(np.isfinite(a).all() for a in (y, *state))


def test_the_forget_gate_begins_open():
    params = init_lstm(3, 4, 2, rng=np.random.default_rng(0), forget_bias=2.0)
    np.testing.assert_array_equal(params.b_h.reshape(4, 4), [[0] * 4, [2] * 4, [0] * 4, [0] * 4])


@pytest.mark.parametrize(("init", "name"), [(init_lstm, "LSTM"), (init_gru, "GRU")])
def test_gated_cells_are_torch_s(init, name):
    torch = pytest.importorskip("torch", reason="torch comes with the bench extra only")
    params, xs, (hs, cs) = gated(init)
    twin = getattr(torch.nn, name)(3, 4).double()
    inner = params.b_h if name == "LSTM" else np.concatenate([params.b_h[:8], 0 * params.b_n])
    outer = 0 * params.b_h if name == "LSTM" else np.concatenate([0 * params.b_h[:8], params.b_n])
    if name == "GRU":
        inner[8:] = params.b_h[8:]
    values = (params.W_xh.T, params.W_hh.T, inner, outer)
    with torch.no_grad():
        for weight, value in zip(twin.parameters(), values, strict=True):
            weight.copy_(torch.tensor(value))
    before = tuple(torch.tensor(s[None]) for s in (hs, cs))
    out, _ = twin(torch.tensor(xs[None]), before if name == "LSTM" else before[0])
    _, new = step(params, xs, LSTMState(hs, cs) if name == "LSTM" else hs)
    np.testing.assert_allclose(new.h if name == "LSTM" else new, out[0].detach().numpy(), rtol=1e-10)


@pytest.mark.bad_input
@pytest.mark.parametrize("init", [init_lstm, init_gru])
def test_gated_cells_explain_bad_sizes(init):
    with pytest.raises(ValueError, match=rf"{init.__name__}: H must be at least 1, got 0. The order is \(D, H, K\)."):
        init(3, 0, 2, rng=np.random.default_rng(0))
    with pytest.raises(TypeError, match=rf"{init.__name__}: rng must be a np.random.Generator, got int. Try"):
        init(3, 4, 2, rng=0)
