import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnlib import bptt
from rnnlib.cells import elman_step
from rnnlib.dynamics import gradient_by_lag, jacobians, lyapunov_exponents, products, singular_values, spectral_radius
from tests.strategies import problem, problems

few = settings(max_examples=12)  # JAX compiles anew for each shape


def by_hand(p):
    """Row vectors: h_t = tanh(... + h_{t-1} W_hh), so dh_t[i] / dh_{t-1}[j] = (1 - h_t[i]²) W_hh[j, i]."""
    tape = bptt.forward(p.params, p.xs)
    return (1 - tape.hs[1:, :, :, None] ** 2) * p.params.W_hh.T


def of(p):
    return jacobians(elman_step, p.params, p.xs, p.params.h0)


@few
@given(problems(T=(1, 4), B=(1, 2), D=(1, 2), H=(1, 3), K=(1, 2)))
def test_jacobians_are_those_written_by_hand(p):
    Js = of(p)
    assert Js.shape == (*p.xs.shape[:2], *p.params.W_hh.shape)
    np.testing.assert_allclose(Js, by_hand(p), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(("T", "B"), [(1, 1), (1, 3), (4, 1), (4, 3)])
def test_jacobians_are_finite_differences_of_one_step(T, B):
    p = problem(T, B, 2, 3, 2, seed=T)
    hs, Js = bptt.forward(p.params, p.xs).hs, of(p)
    for t, b, j in np.ndindex(T, B, 3):
        nudge = 1e-6 * np.eye(3)[j]
        above, below = (elman_step(p.params, p.xs[t, b], hs[t, b] + sign * nudge)[1] for sign in (1, -1))
        np.testing.assert_allclose(Js[t, b, :, j], (above - below) / 2e-6, atol=1e-9)


def test_jacobians_serve_any_cell_and_a_first_state_of_each_sequence():
    def gated(params, x, h):
        gate = jax.nn.sigmoid(x @ params["U"] + h @ params["V"])
        return h.sum(), gate * h + (1 - gate) * x

    p = problem(3, 2, 4, 4, 4)
    params, h0 = {"U": p.params.W_xh, "V": p.params.W_hh}, p.d_ys[0]
    Js = jacobians(gated, params, p.xs, h0)
    h = h0
    for x, J in zip(p.xs, Js, strict=True):
        for b in range(2):
            nudge = np.array([0.3, -0.2, 0.5, 0.1]) * 1e-6
            above, below = (gated(params, x[b], h[b] + sign * nudge)[1] for sign in (1, -1))
            np.testing.assert_allclose(J[b] @ nudge, (above - below) / 2, atol=1e-14)
        h = np.stack([gated(params, x[b], h[b])[1] for b in range(2)])


@few
@given(problems(T=(1, 5), B=(1, 2), D=(1, 2), H=(1, 3), K=(1, 1)))
def test_products_are_the_plain_ones_and_the_derivative_of_the_whole_run(p):
    Js, P = by_hand(p), products(of(p))
    T, B, H = Js.shape[:3]
    assert P.shape == (T + 1, B, H, H)
    for b in range(B):
        expected = np.eye(H)
        np.testing.assert_array_equal(P[T, b], expected)
        for s in reversed(range(T)):
            expected = expected @ Js[s, b]
            np.testing.assert_allclose(P[s, b], expected, rtol=1e-10, atol=1e-13)

    def last_state(h):
        for x in p.xs[:, 0]:
            h = elman_step(p.params, x, h)[1]
        return h

    np.testing.assert_allclose(P[0, 0], jax.jacobian(last_state)(jnp.asarray(p.params.h0)), rtol=1e-10, atol=1e-13)


def test_products_of_fewer_jacobians_end_at_an_earlier_step():
    Js = of(problem(5, 2, 2, 3, 1))
    np.testing.assert_allclose(products(Js[:4])[1, 0], Js[3, 0] @ Js[2, 0] @ Js[1, 0], rtol=1e-12)


@few
@given(problems(T=(1, 5), B=(1, 3), D=(1, 1), H=(1, 3), K=(1, 2)))
def test_gradient_by_lag_is_the_mean_over_losses_taken_one_by_one(p):
    Js, d_hs = by_hand(p), p.d_ys @ p.params.W_hy.T
    T, B, _ = d_hs.shape
    lengths = {lag: [] for lag in range(T + 1)}
    for t, b in np.ndindex(T, B):
        error = d_hs[t, b]
        lengths[0].append(np.linalg.norm(error))
        for lag in range(1, t + 2):
            error = error @ Js[t + 1 - lag, b]
            lengths[lag].append(np.linalg.norm(error))
    got = gradient_by_lag(of(p), d_hs)
    np.testing.assert_allclose(got, [np.mean(each) for each in lengths.values()], rtol=1e-10, atol=1e-14)


def test_gradient_by_lag_is_what_backpropagation_carries():
    """One loss, at the last step: the lengths are those of dL/dh, taken from δ; and of dL/dh0 at the end."""
    p = problem(6, 1, 2, 4, 3)
    d_ys = np.where(np.arange(6)[:, None, None] == 5, p.d_ys, 0)
    tape = bptt.forward(p.params, p.xs)
    deltas = bptt.deltas(p.params, tape, d_ys)[:, 0]
    d_h = deltas / (1 - tape.hs[1:, 0] ** 2)
    d_h0 = bptt.backward(p.params, tape, d_ys).h0
    got = gradient_by_lag(of(p), d_ys @ p.params.W_hy.T)
    steps = np.array([6, 6, 5, 4, 3, 2, 1])  # the mean is over all losses, and five of them are zero
    np.testing.assert_allclose(got * steps, np.linalg.norm([*d_h[::-1], d_h0], axis=1), rtol=1e-10)


@given(st.integers(1, 6), st.integers(0, 99))
def test_radius_and_singular_values_are_those_of_the_definitions(H, seed):
    W = np.random.default_rng(seed).standard_normal((H, H))
    values = np.asarray(singular_values(W))
    np.testing.assert_allclose(values**2, np.linalg.eigvalsh(W @ W.T)[::-1], rtol=1e-9, atol=1e-11)
    assert spectral_radius(W) <= values[0] * (1 + 1e-12)
    assert spectral_radius(3 * W) == pytest.approx(3 * spectral_radius(W))
    limit = np.linalg.norm(np.linalg.matrix_power(W / spectral_radius(W), 400), 2) ** (1 / 400)
    assert limit == pytest.approx(1, abs=0.03)


@few
@given(problems(T=(1, 5), B=(1, 2), D=(1, 1), H=(1, 3), K=(1, 1)))
def test_lyapunov_exponents_sum_to_the_growth_of_volume(p):
    Js = of(p)
    volumes = np.log(np.abs(np.linalg.det(np.asarray(Js)))).mean(0)
    np.testing.assert_allclose(lyapunov_exponents(Js).sum(-1), volumes, rtol=1e-9, atol=1e-11)


def test_the_largest_exponent_is_the_growth_of_a_change_and_a_long_run_does_not_overflow():
    W = np.diag([3.0, 1.5, 0.2]) + np.triu(np.ones((3, 3)), 1)
    exponents = lyapunov_exponents(np.tile(W, (2000, 1, 1, 1)))[0]
    np.testing.assert_allclose(exponents, np.log([3.0, 1.5, 0.2]), atol=2e-3)
    p = problem(60, 1, 2, 4, 1)
    longest = np.linalg.norm(products(of(p))[0, 0] @ np.array([0.3, -0.2, 0.5, 0.1]))
    np.testing.assert_allclose(lyapunov_exponents(of(p))[0, 0], np.log(longest) / 60, atol=0.1)


P = problem(5, 2, 3, 4, 3)
H0 = P.params.h0
BAD = {
    "a string for a step": (
        lambda: jacobians("tanh", P.params, P.xs, H0),
        r"jacobians: step must be a function \(params, x, h\) -> \(y, h\), got str\. Try",
    ),
    "no batch axis": (
        lambda: jacobians(elman_step, P.params, P.xs[0], H0),
        r"jacobians: xs must be \(T, B, D\) .* got \(2, 3\)\. Is an axis missing\?",
    ),
    "h0 of another batch": (
        lambda: jacobians(elman_step, P.params, P.xs, np.zeros((4, 5))),
        r"jacobians: h0 must be \(2, H\) to match xs \(5, 2, 3\), got \(4, 5\)\. Try params\.h0\.",
    ),
    "whole numbers": (
        lambda: jacobians(elman_step, P.params, P.xs.astype(int), H0),
        r"jacobians: xs must hold floating-point numbers, got int64\.",
    ),
    "a state that shrinks": (
        lambda: jacobians(lambda params, x, h: (h, h[:2]), None, P.xs, H0),
        r"jacobians: step must return a state of shape \(4,\), as h0, got \(2,\)\. Does it return \(y, h\)\?",
    ),
    "a single matrix": (
        lambda: products(np.zeros((4, 4))),
        r"products: jacobians must be \(T, B, H, 4\) .* got \(4, 4\)\. Try jacobians\(step, params, xs, h0\)\.",
    ),
    "no time": (
        lambda: lyapunov_exponents(np.zeros((2, 4, 4))),
        r"lyapunov_exponents: jacobians must be \(T, B, H, 4\) .* got \(2, 4, 4\)\. Try jacobians",
    ),
    "errors of outputs": (
        lambda: gradient_by_lag(np.zeros((5, 2, 4, 4)), P.d_ys),
        r"gradient_by_lag: d_hs must be \(5, 2, 4\) to match .* got \(5, 2, 3\)\. Errors of outputs become",
    ),
    "not square": (
        lambda: spectral_radius(np.zeros((3, 4))),
        r"spectral_radius: matrix must be \(H, H\), got \(3, 4\)\. Is it W_hh\?",
    ),
    "a stack for the radius": (
        lambda: spectral_radius(np.zeros((2, 3, 3))),
        r"spectral_radius: matrix must be \(H, H\), got \(2, 3, 3\)\. Is it W_hh\?",
    ),
    "not a number": (
        lambda: singular_values(np.full((2, 2), np.nan)),
        r"singular_values: matrices must be finite, got nan at matrices\[0, 0\]\.",
    ),
}


@pytest.mark.bad_input
@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_answered_in_one_line(name):
    call, message = BAD[name]
    with pytest.raises((ValueError, TypeError), match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
