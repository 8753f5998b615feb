import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings

from rnnlib import bptt
from rnnlib.dynamics import penalised, total_errors, vanishing_penalty
from rnnlib.gradcheck import finite_differences
from tests.strategies import problem, problems

few = settings(max_examples=10, deadline=None)


def parts(p):
    """States, and dL/dh_t of the loss Σ y · d_y, in NumPy, one step after another."""
    hs = bptt.forward(p.params, p.xs).hs[1:]
    direct = p.d_ys @ p.params.W_hy.T
    errors, arrived = np.zeros_like(hs), 0
    for t in reversed(range(len(hs))):
        errors[t] = direct[t] + arrived
        arrived = errors[t] * (1 - hs[t] ** 2) @ p.params.W_hh.T
    return hs, direct, errors


def by_hand(W_hh, hs, errors):
    """Ω as it is written, one step of one sequence after another."""
    ratios = [
        np.linalg.norm((1 - h**2) * d @ W_hh.T) / np.linalg.norm(d)
        for h, d in zip(hs.reshape(-1, hs.shape[-1]), errors.reshape(-1, hs.shape[-1]), strict=True)
        if d @ d > 1e-20
    ]
    return np.mean([(ratio - 1) ** 2 for ratio in ratios])


@few
@given(problems(T=(1, 4), B=(1, 3), D=(1, 2), H=(1, 3), K=(1, 2)))
def test_total_errors_are_gradients_by_a_nudge_of_each_state(p):
    hs, direct, errors = parts(p)

    def loss(nudges):
        h, total = jnp.broadcast_to(p.params.h0, hs.shape[1:]), 0.0
        for x, nudge, d_y in zip(p.xs, nudges, p.d_ys, strict=True):
            h = jnp.tanh(x @ p.params.W_xh + h @ p.params.W_hh + p.params.b_h[None]) + nudge
            total += (h @ p.params.W_hy * d_y).sum()
        return total

    np.testing.assert_allclose(errors, jax.grad(loss)(jnp.zeros_like(hs)), atol=1e-12)
    np.testing.assert_allclose(total_errors(p.params.W_hh, hs, direct), errors, atol=1e-12)


@few
@given(problems(T=(1, 5), B=(1, 3), D=(1, 2), H=(1, 4), K=(1, 2)))
def test_the_penalty_is_what_is_written(p):
    hs, _, errors = parts(p)
    np.testing.assert_allclose(
        vanishing_penalty(p.params.W_hh, hs, errors), by_hand(p.params.W_hh, hs, errors), rtol=1e-9, atol=1e-12
    )


def test_its_derivative_holds_states_and_errors_still():
    """Finite differences of Ω by W_hh where that stands in J_t, and not of what W_hh made before."""
    p = problem(6, 3, 2, 5, 2, seed=3)
    hs, _, errors = parts(p)
    d_W_hh = finite_differences(lambda W: by_hand(W, hs, errors), p.params.W_hh)
    _, gradient, price = penalised(lambda ys: (ys * p.d_ys).sum(), p.params, p.xs, weight=4.0)
    plain = jax.grad(lambda params: (bptt_outputs(params, p.xs) * p.d_ys).sum())(p.params)
    np.testing.assert_allclose(price, by_hand(p.params.W_hh, hs, errors), rtol=1e-9)
    np.testing.assert_allclose(gradient.W_hh, plain.W_hh + 4 * d_W_hh, atol=1e-7)
    for name in ("W_xh", "b_h", "W_hy", "b_y", "h0"):
        np.testing.assert_allclose(getattr(gradient, name), getattr(plain, name), atol=1e-12)

    def whole(W):  # states and errors move as well: another number
        moved = p._replace(params=p.params._replace(W_hh=W))
        hs, _, errors = parts(moved)
        return by_hand(W, hs, errors)

    assert abs(finite_differences(whole, p.params.W_hh) - d_W_hh).max() > 0.01


def bptt_outputs(params, xs):
    h, ys = jnp.broadcast_to(params.h0, (xs.shape[1], len(params.h0))), []
    for x in xs:
        h = jnp.tanh(x @ params.W_xh + h @ params.W_hh + params.b_h[None])
        ys.append(h @ params.W_hy + params.b_y[None])
    return jnp.stack(ys)


def test_where_nothing_comes_back_nothing_counts():
    """No error, one that W_hh takes away whole, and one that keeps its length."""
    still = np.zeros((2, 1, 2))
    up = np.tile([1.0, 0.0], (2, 1, 1))
    for W_hh, errors, expected in (
        (np.eye(2), still, 0.0),
        (np.zeros((2, 2)), up, 1.0),
        (np.eye(2)[::-1], up, 0.0),
        (2 * np.eye(2), np.stack([up[0], still[0]]), 1.0),
    ):
        value, slope = jax.value_and_grad(vanishing_penalty)(W_hh, still, errors)
        assert value == pytest.approx(expected)
        assert np.isfinite(slope).all()


@pytest.mark.bad_input
def test_bad_input_is_explained():
    p = problem(3, 2, 2, 4, 2)
    hs, direct, errors = parts(p)
    with pytest.raises(ValueError, match="total_errors: states must be"):
        total_errors(p.params.W_hh, hs[..., :2], direct)
    with pytest.raises(ValueError, match="vanishing_penalty: errors must be"):
        vanishing_penalty(p.params.W_hh, hs, errors[1:])
    with pytest.raises(ValueError, match="vanishing_penalty: W_hh must be"):
        vanishing_penalty(p.params.W_xh, hs, errors)
    with pytest.raises(TypeError, match="vanishing_penalty: errors must hold floating-point numbers"):
        vanishing_penalty(p.params.W_hh, hs, np.ones(hs.shape, int))
