"""Finite differences against derivatives known in closed form, and every verdict and every error of `gradcheck`."""

import re
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rnnlib import bptt, losses
from rnnlib.cells import elman_step, init_elman
from rnnlib.gradcheck import compare, complex_step, directional_check, finite_differences, frozen_prefix
from tests.strategies import problem

SHAPES = st.sampled_from([(), (1,), (3,), (2, 3), (1, 2, 2)])
SEEDS = st.integers(0, 2**32 - 1)
NET = problem(T=5, B=2, D=2, H=3, K=2)


class Pair(NamedTuple):
    left: object
    right: object


def arrays():
    """Arrays of many shapes, some of no axis at all, with entries of order one."""

    def draw(shape, seed):
        return np.random.default_rng(seed).uniform(-2, 2, shape)

    return st.builds(draw, SHAPES, SEEDS)


TREES = st.recursive(
    arrays() | st.floats(-2, 2),
    lambda inner: (
        st.lists(inner, min_size=1, max_size=2)
        | st.tuples(inner, inner)
        | st.builds(Pair, inner, inner)
        | st.dictionaries(st.sampled_from(["W", "b", "h0"]), inner, min_size=1)
    ),
    max_leaves=4,
)


def sum_of(function, tree):
    return float(sum(np.sum(function(leaf)) for leaf in jax.tree.leaves(tree)))


def assert_close(got, wanted, tolerance):
    assert jax.tree.structure(got) == jax.tree.structure(wanted)
    for g, w in zip(jax.tree.leaves(got), jax.tree.leaves(wanted), strict=True):
        assert g.dtype == np.float64
        np.testing.assert_allclose(g, w, rtol=0, atol=tolerance)


# --- finite_differences -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("f", "slope"), [(np.sin, np.cos), (np.tanh, lambda x: 1 - np.tanh(x) ** 2), (np.exp, np.exp)])
@given(tree=TREES)
def test_it_finds_known_derivatives_in_any_tree(f, slope, tree):
    got = finite_differences(lambda p: sum_of(f, p), tree)
    assert_close(got, jax.tree.map(slope, tree), 1e-8)


@given(tree=TREES)
def test_params_are_left_as_they_were(tree):
    before = jax.tree.map(np.copy, tree)
    finite_differences(lambda p: sum_of(np.sin, p), tree)
    jax.tree.map(np.testing.assert_array_equal, tree, before)


def test_params_are_left_as_they_were_even_when_the_loss_fails():
    params = {"w": np.array([1.0, 2.0])}
    with pytest.raises(ZeroDivisionError):
        finite_differences(lambda p: 1 / 0, params)
    np.testing.assert_array_equal(params["w"], [1.0, 2.0])


@given(seed=SEEDS)
def test_a_line_has_the_same_slope_at_any_step(seed):
    a, w = np.random.default_rng(seed).standard_normal((2, 3))
    for step in (1e-3, 1.0, 64.0):
        np.testing.assert_allclose(finite_differences(lambda p: float(a @ p), w, step=step), a, atol=1e-9)


def test_a_cubic_is_off_by_the_square_of_the_step():
    got = [finite_differences(lambda w: float(w) ** 3, 1.0, step=step) for step in (0.1, 0.01)]
    np.testing.assert_allclose(np.array(got) - 3, [1e-2, 1e-4], rtol=1e-6)


def test_the_step_that_was_taken_is_the_one_divided_by():
    w = np.array(1e6)  # w ± 1e-9 lies between the numbers that float64 has there
    assert finite_differences(float, w, step=1e-9) == 1.0


def test_float32_params_are_checked_in_float64():
    w = np.array([0.5, 2.0], np.float32)
    got = finite_differences(lambda p: (p**3).sum(), w)
    np.testing.assert_allclose(got, 3 * w.astype(float) ** 2, rtol=1e-9)


def test_a_loss_may_be_of_jax():
    w = np.array([0.3, -0.7])
    loss = jax.jit(lambda p: jnp.sum(jnp.tanh(p["w"]) ** 2))
    got, wanted = finite_differences(loss, {"w": w}), jax.grad(loss)({"w": w})
    np.testing.assert_allclose(got["w"], wanted["w"], atol=1e-10)


@settings(max_examples=30)
@given(st.integers(1, 4), st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), SEEDS)
def test_backward_is_right_by_this_judge(T, B, D, H, K, seed):
    rng = np.random.default_rng(seed)
    params = init_elman(D, H, K, rng=rng)
    params = params._replace(b_h=rng.standard_normal(H), b_y=rng.standard_normal(K), h0=rng.standard_normal(H))
    xs, targets = rng.standard_normal((T, B, D)), rng.standard_normal((T, B, K))
    tape = bptt.forward(params, xs)
    grads = bptt.backward(params, tape, losses.squared_error_grad(tape.ys, targets))
    judge = finite_differences(lambda p: losses.squared_error(bptt.forward(p, xs).ys, targets), params)
    assert_close(judge, grads, 1e-6)


@pytest.mark.parametrize(("step", "said"), [(0, "0"), (-1e-5, "-1e-05"), (float("nan"), "nan")])
@pytest.mark.bad_input
def test_a_step_must_be_positive(step, said):
    with pytest.raises(ValueError, match=f"^finite_differences: step must be positive, got {said}. Try 1e-5.$"):
        finite_differences(float, 1.0, step=step)


@pytest.mark.bad_input
def test_a_step_must_not_drown_in_its_parameter():
    with pytest.raises(
        ValueError, match=r"^finite_differences: w\[1\] = 1e\+16 ± 1e-05 must differ. Try a larger step.$"
    ):
        finite_differences(lambda p: float(p["w"].sum()), {"w": np.array([1.0, 1e16])})


@pytest.mark.bad_input
def test_a_loss_must_be_one_number():
    expected = (
        r"^finite_differences: at W\[0, 1\] ± 1e-05 the loss must be one number, got shape \(2,\). Try summing it.$"
    )
    with pytest.raises(ValueError, match=expected):  # a loss that goes wrong at the second entry only
        finite_differences(lambda p: 1.0 if p["W"][0, 1] == 1.0 else p["W"][0], {"W": np.ones((1, 2))})


@pytest.mark.parametrize("kind", [np.float32, np.float16, np.int64])
@pytest.mark.bad_input
def test_a_loss_must_be_float64(kind):
    expected = (
        rf"^finite_differences: at the parameters as given the loss must be float64, got {kind.__name__}. "
        r'Try float64 inputs; a loss of JAX needs jax.config.update\("jax_enable_x64", True\) too.$'
    )
    with pytest.raises(TypeError, match=expected):
        finite_differences(lambda p: kind(3), {"W_hh": np.ones(1)}, step=1e-3)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.bad_input
def test_a_loss_must_be_finite(bad):
    expected = rf"^finite_differences: at the parameters as given the loss must be finite, got {bad}. Try smaller parameters or"
    with pytest.raises(ValueError, match=expected):
        finite_differences(lambda p: bad, 1.0)


@pytest.mark.bad_input
def test_an_entry_is_named_by_its_path():
    params = {"cell": Pair(np.ones(1), [np.ones(1), np.ones((2, 2))])}
    with pytest.raises(ValueError, match=r"at cell\.right\.1\[1, 0\] ± 1e-05 the loss must be finite"):
        finite_differences(lambda p: 0.0 if p["cell"].right[1][1, 0] == 1 else np.nan, params)


# --- finite_differences: can the judge be trusted here? ---------------------------------------------------------------


def net_loss(dtype):
    """A small Elman net's loss, computed in this precision from its float64 parameters, as a plain Python float."""
    xs, targets = NET.xs.astype(dtype), NET.d_ys.astype(dtype)

    def loss(params):
        params = jax.tree.map(lambda p: p.astype(dtype), params)
        return float(losses.squared_error(bptt.forward(params, xs).ys, targets))

    return loss


WRAPPED = {  # losses of an array in which everything, or one part, is float32 on the way
    "float()": lambda w: float((w.astype(np.float32) ** 3).sum()),
    "np.float64()": lambda w: np.float64(np.sin(w.astype(np.float32)).sum()),
    "a mean of floats": lambda w: np.mean([float(np.tanh(k * w.astype(np.float32)).sum()) for k in range(8)]),
    "a factor": lambda w: float((w.astype(np.float32) ** 2).mean()) / 3,
    "beside weight decay": lambda w: float(np.exp(w.astype(np.float32)).sum()) + 0.01 * (w**2).sum(),
    "the parameters alone": lambda w: (w.astype(np.float32).astype(float) ** 2).sum(),
    "in jax": lambda w: float(jnp.square(jnp.asarray(w, jnp.float32)).sum()),
}


@pytest.mark.parametrize("name", WRAPPED)
def test_a_loss_in_float32_is_noticed_however_it_is_wrapped(name):
    for seed in range(5):
        w = np.random.default_rng(seed).standard_normal((3, 4))
        with pytest.raises(
            TypeError, match=r"^finite_differences: the loss must be computed in float64 throughout, got "
        ) as error:
            finite_differences(WRAPPED[name], w)
        assert "Is a part of it float32, or rounded? Try float64 inputs" in str(error.value)


def test_the_derivative_of_a_float32_loss_is_refused_rather_than_wrong():
    with pytest.raises(TypeError, match=r"got (a noise of|float32 numbers alone)"):  # it said 2.1935 for 2.2
        finite_differences(lambda w: float(np.float32(w) ** 2), 1.1)


def test_a_net_in_float32_is_noticed_and_the_same_in_float64_is_right():
    with pytest.raises(TypeError, match="float64 throughout"):
        finite_differences(net_loss(np.float32), NET.params)
    tape = bptt.forward(NET.params, NET.xs)
    grads = bptt.backward(NET.params, tape, losses.squared_error_grad(tape.ys, NET.d_ys))
    assert compare(grads, finite_differences(net_loss(np.float64), NET.params)).agree


LEGITIMATE = {  # losses and their derivatives, entry by entry
    "constant": (lambda w: 2.5, lambda w: 0 * w),
    "zero": (lambda w: 0.0, lambda w: 0 * w),
    "integers": (lambda w: float((w > 0).sum() + 7), lambda w: 0 * w),
    "rounded": (lambda w: float(np.round(w).sum()), lambda w: 0 * w),
    "one entry": (lambda w: w.ravel()[0] ** 2, lambda w: 2 * w * (np.arange(w.size) == 0).reshape(w.shape)),
    "linear": (lambda w: 3 * w.sum(), lambda w: 3 + 0 * w),
    "tiny": (lambda w: 1e-20 * np.sin(w).sum(), lambda w: 1e-20 * np.cos(w)),
    "huge": (lambda w: 1e20 * np.sin(w).sum(), lambda w: 1e20 * np.cos(w)),
    "far from zero": (lambda w: 1e6 + np.sin(w).sum(), lambda w: np.cos(w)),
    "steep": (lambda w: np.exp(8 * w).sum(), lambda w: 8 * np.exp(8 * w)),
    "saturated": (lambda w: np.tanh(30 * w).sum(), lambda w: 30 / np.cosh(30 * w) ** 2),
    "cancelling": (lambda w: ((w + 1) ** 2 - w**2 - 2 * w - 1).sum(), lambda w: 0 * w),
    "a cube": (lambda w: (w**3).sum(), lambda w: 3 * w**2),
    "float32 data": (lambda w: (np.float32(0.1) * w).sum() + float(np.float32(0.3)), lambda w: np.float32(0.1) + 0 * w),
    "log of a sum": (lambda w: np.log(np.exp(w).sum()), lambda w: np.exp(w) / np.exp(w).sum()),
}


@pytest.mark.parametrize("name", LEGITIMATE)
@given(w=arrays())
def test_a_loss_in_float64_raises_no_alarm(name, w):
    loss, slope = LEGITIMATE[name]
    got, wanted = finite_differences(loss, w), slope(w)
    size = max(abs(float(loss(w))), np.abs(wanted).max())
    np.testing.assert_allclose(got, wanted, rtol=1e-6, atol=1e-8 * size + 1e-9 * (name != "tiny"))


@pytest.mark.parametrize("at", [0.0, 1.0, -2.0, 100.0])
def test_nor_does_one_at_its_least_or_at_round_numbers(at):
    w = np.full((2, 2), at)
    for loss in (
        lambda p: (p * p - 2 * at * p + at * at).sum(),
        lambda p: ((p - at) ** 2).sum(),
        lambda p: ((p - at) ** 4).sum(),
        lambda p: p.sum() - 4 * at + 0.1,
        lambda p: (np.abs(p - at) ** 1.5).sum() / 10,
    ):
        got = finite_differences(loss, w)
        assert np.abs(got).max() == pytest.approx(1 if got[0, 0] > 0.5 else 0, abs=1e-7)


def test_nor_does_what_a_cancellation_leaves_over():
    w = np.random.default_rng(43).uniform(-2, 2, (2, 3))
    assert 1e-9 < abs(np.tanh(30 * w).sum()) < 4e-9  # ones that cancel: multiples of 2⁻⁵³, which float32 can hold
    assert np.abs(finite_differences(lambda w: np.tanh(30 * w).sum(), w)).max() < 1e-6


@pytest.mark.parametrize("at", ["w[0]", "w[2]"])
def test_a_kink_is_named_with_its_entry_and_both_slopes(at):
    w = np.where([at == "w[0]", False, at == "w[2]"], 0.0, 1.0)
    expected = (
        rf"^finite_differences: at {re.escape(at)} ± 1e-05 the loss must have one slope, got 0 below and 2 above. "
        r"A kink, such as a ReLU's at 0, has no gradient. Try random parameters, or a smaller step.$"
    )
    with pytest.raises(ValueError, match=expected):
        finite_differences(lambda p: 2 * np.maximum(p["w"], 0).sum(), {"w": w})


def test_a_net_of_relus_at_zero_pre_activation_is_noticed_and_elsewhere_right():
    rng = np.random.default_rng(0)
    W, x = rng.standard_normal((3, 4)), rng.standard_normal(3)

    def loss(b):
        return np.maximum(x @ W + b, 0).sum()

    np.testing.assert_allclose(finite_differences(loss, np.zeros(4)), x @ W > 0, atol=1e-9)
    with pytest.raises(
        ValueError, match=r"at value\[2\] ± 1e-05 the loss must have one slope, got 0 below and 1 above"
    ):
        finite_differences(loss, np.where(np.arange(4) == 2, -x @ W, 0))


@pytest.mark.parametrize("offset", [2e-6, -2e-6, 8e-6])
def test_a_kink_within_the_step_is_noticed_and_one_beyond_does_no_harm(offset):
    with pytest.raises(ValueError, match="must have one slope, got"):
        finite_differences(lambda w: max(w, 0.0), offset)
    assert finite_differences(lambda w: max(w, 0.0), offset, step=1e-7) == pytest.approx(float(offset > 0), abs=1e-6)


def test_a_jump_has_no_slope_either():
    with pytest.raises(ValueError, match=r"must have one slope, got 0 below and 1e\+05 above"):
        finite_differences(lambda w: float(w > 0), 0.0)


@pytest.mark.parametrize("kind", ["dropout", "a new batch", "a kept state", "a changed argument"])
def test_two_calls_that_differ_are_noticed(kind):
    rng, kept = np.random.default_rng(0), [0.0]

    def loss(w):
        if kind == "dropout":
            return float((w * (rng.random(3) < 0.5)).sum())
        if kind == "a new batch":
            return float((w * rng.standard_normal(3)).sum())
        if kind == "a kept state":
            kept[0] = np.tanh(kept[0] + w.sum())
            return float(kept[0])
        w *= 0.5
        return float(w.sum())

    expected = (
        r"^finite_differences: two calls of the loss at one place must give one number, got \S+ and \S+\. "
        r"Try without dropout, with one batch and one seed; does the loss keep or change something between calls\?$"
    )
    with pytest.raises(ValueError, match=expected):
        finite_differences(loss, np.ones(3))


def test_a_loss_that_drifts_late_is_noticed_in_the_end():
    calls = []

    def loss(w):
        calls.append(w)
        return float(w.sum()) + (0.5 if len(calls) > 28 else 0.0)

    with pytest.raises(ValueError, match=r"must give one number, got 4 and 4\.5\. Try without"):
        finite_differences(loss, np.ones(4))


def test_a_loss_with_a_border_close_by_is_still_differentiated():
    w = np.array([2e-5, 3.0])
    np.testing.assert_allclose(
        finite_differences(lambda w: np.sum(w * np.log(w)), w, step=1e-7), 1 + np.log(w), rtol=1e-5
    )


# --- directional_check ------------------------------------------------------------------------------------------------


def right_gradient():
    tape = bptt.forward(NET.params, NET.xs)
    return bptt.backward(NET.params, tape, losses.squared_error_grad(tape.ys, NET.d_ys))


def checked(grads, **options):
    return directional_check(net_loss(np.float64), NET.params, grads, rng=np.random.default_rng(0), **options)


@pytest.mark.parametrize("name", NET.params._fields)
def test_random_directions_name_the_parameter_that_is_wrong(name):
    right = right_gradient()
    assert checked(right).agree
    for wrong, verdict in ((2 * getattr(right, name), "scaled by 2"), (-getattr(right, name), "opposite")):
        comparison = checked(right._replace(**{name: wrong}))
        assert comparison[name].verdict == verdict
        assert [row.name for row in comparison.rows if row.verdict != "agree"] == [name]


def test_one_wrong_entry_among_many_shows():
    right = right_gradient()
    W_hh = right.W_hh.copy()
    W_hh[1, 2] += 1e-3 * np.linalg.norm(W_hh)
    assert checked(right._replace(W_hh=W_hh))["W_hh"].verdict == "differ"


@given(SEEDS, st.integers(2, 5))
def test_a_direction_says_what_the_finite_differences_say(seed, directions):
    rng = np.random.default_rng(seed)
    w = rng.standard_normal((3, 2))
    grads = finite_differences(lambda p: np.sin(p).sum(), w)
    assert directional_check(lambda p: np.sin(p).sum(), w, grads, directions=directions, rng=rng).agree


def test_two_evaluations_a_direction_however_large_the_net():
    def evaluations(size, directions):
        calls = []

        def loss(w):
            calls.append(w)
            return float((w**2).sum())

        directional_check(loss, np.ones(size), 2 * np.ones(size), directions=directions, rng=np.random.default_rng(0))
        return len(calls)

    assert evaluations(10_000, 2) == evaluations(10, 2)
    assert evaluations(10, 5) - evaluations(10, 2) == 6


def test_directions_leave_the_parameters_alone():
    before = jax.tree.map(np.copy, NET.params)
    checked(right_gradient())
    jax.tree.map(np.testing.assert_array_equal, NET.params, before)


@pytest.mark.bad_input
def test_what_directional_check_cannot_do_is_explained():
    right, rng = right_gradient(), np.random.default_rng(0)
    with pytest.raises(ValueError, match=r"^directional_check: directions must be at least 2, got 1. With one, all"):
        checked(right, directions=1)
    with pytest.raises(
        ValueError, match=r"^directional_check: grads must be built as params are, got .* Is a parameter"
    ):
        checked(tuple(right))
    with pytest.raises(ValueError, match=r"^directional_check: grads, h0 must be \(3,\), got \(2, 3\). Is a sum over"):
        checked(right._replace(h0=np.ones((2, 3))))
    with pytest.raises(TypeError, match=r"^directional_check: the loss must be computed in float64 throughout, got"):
        directional_check(net_loss(np.float32), NET.params, right, rng=rng)


# --- complex_step -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("f", "slope"), [(np.sin, np.cos), (np.tanh, lambda x: 1 - np.tanh(x) ** 2), (np.exp, np.exp)])
@given(tree=TREES)
def test_a_complex_step_is_exact_in_any_tree(f, slope, tree):
    got = complex_step(lambda p: sum(np.sum(f(leaf)) for leaf in jax.tree.leaves(p)), tree)
    assert_close(got, jax.tree.map(slope, tree), 1e-14)


def complex_loss(params):
    h, total = np.tile(params.h0, (2, 1)), 0.0
    for x, target in zip(NET.xs, NET.d_ys, strict=True):
        h = np.tanh(x @ params.W_xh + h @ params.W_hh + params.b_h)
        total = total + ((h @ params.W_hy + params.b_y - target) ** 2).sum() / 2
    return total / (5 * 2)


@pytest.mark.parametrize("step", [1e-10, 1e-20, 1e-100])
def test_a_complex_step_of_any_size_checks_a_net_to_fourteen_digits(step):
    assert compare(complex_step(complex_loss, NET.params, step=step), right_gradient(), tolerance=1e-13).agree
    assert not compare(finite_differences(complex_loss, NET.params), right_gradient(), tolerance=1e-13).agree


def test_complex_steps_leave_the_parameters_real_and_alone():
    before = jax.tree.map(np.copy, NET.params)
    complex_step(complex_loss, NET.params)
    jax.tree.map(np.testing.assert_array_equal, NET.params, before)


def into_real_array(w):
    hs = np.zeros(3)
    hs[:] = w
    return hs.sum() + w.sum()


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("loss", "error", "message"),
    [
        (
            lambda w: (w * w.conj()).sum(),
            ValueError,
            "the loss must be analytic, got a slope of 0 by a complex step and",
        ),
        (
            lambda w: (w**2).sum() + np.abs(w).sum(),
            ValueError,
            "Does it take abs, a conjugate, a norm, or the real part?",
        ),
        (lambda w: (w**2).sum() + 1j * 0 + w.real.sum(), ValueError, "the loss must be analytic, got a slope of"),
        (lambda w: np.linalg.norm(w), TypeError, "along a direction the loss must be complex128, got float64. Does it"),
        (lambda w: float(w.sum()), TypeError, "the loss must take complex numbers, got: "),
        (into_real_array, TypeError, "the loss must take complex numbers, got: "),
        (lambda w: losses.squared_error(w[:, None, None], np.ones((3, 1, 1))), TypeError, "must take complex numbers"),
        (lambda w: w, ValueError, "must be one number, got shape (3,). Try summing it."),
        (lambda w: w.sum() * np.nan, ValueError, "must be finite, got"),
    ],
)
def test_a_loss_that_is_not_analytic_is_explained(loss, error, message):
    with pytest.raises(error, match=r"^complex_step: .*" + re.escape(message)):
        complex_step(loss, np.array([0.5, -1.0, 2.0]))


@pytest.mark.bad_input
def test_a_complex_step_must_be_positive():
    with pytest.raises(ValueError, match=r"^complex_step: step must be positive, got 0. Try 1e-5.$"):
        complex_step(np.sum, np.ones(2), step=0)


# --- compare: the numbers ---------------------------------------------------------------------------------------------


@given(SEEDS, st.integers(-250, 250))
@example(0, -307)
def test_the_measures_do_not_depend_on_the_unit(seed, exponent):
    x, y = np.random.default_rng(seed).standard_normal((2, 4))
    unit = 10.0**exponent
    here, there = compare(x, y)["value"], compare(x * unit, y * unit)["value"]
    assert there.absolute == pytest.approx(here.absolute * unit, rel=1e-12)
    assert there.relative == pytest.approx(here.relative, rel=1e-12)
    assert there.angle == pytest.approx(here.angle, rel=1e-12)
    assert there.length == pytest.approx(here.length, rel=1e-12)


@given(SEEDS)
def test_the_order_of_the_two_matters_to_the_length_alone(seed):
    x, y = np.random.default_rng(seed).standard_normal((2, 3, 2))
    one, other = compare(x, y)["value"], compare(y, x)["value"]
    assert one[1:3] == other[1:3]
    assert one.angle == pytest.approx(other.angle)
    assert one.length * other.length == pytest.approx(1)


@pytest.mark.parametrize("angle", [1e-12, 1e-9, 1e-6, 1e-3, 1.0, 45.0, 90.0, 135.0, 179.0, 180 - 1e-3, 180 - 1e-6])
@pytest.mark.parametrize("length", [1e-200, 1.0, 1e200])
def test_the_angle_is_exact_from_0_to_180(angle, length):
    turn = np.radians(angle) if angle <= 90 else np.pi - np.radians(180 - angle)
    row = compare(np.array([1.0, 0.0]), length * np.array([np.cos(turn), np.sin(turn)]))["value"]
    assert row.angle == pytest.approx(angle, rel=1e-12)
    assert 180 - row.angle == pytest.approx(180 - angle, rel=1e-6)
    assert row.length == pytest.approx(1 / length)


def test_signed_differences_cannot_cancel():
    g = np.array([[1.0, 5.0], [-2.0, 3.0]])
    assert (g - g.T).sum() == 0
    row = compare(g, g.T)["value"]
    assert (row.absolute, row.relative, row.verdict) == (7.0, 1.4, "differ")


def test_huge_numbers_neither_overflow_nor_pass():
    row = compare(np.full(3, 1.5e308), np.full(3, -1.5e308))["value"]
    assert (row.absolute, row.relative, row.verdict) == (np.inf, 2.0, "opposite")


def test_tiny_numbers_neither_vanish_nor_pass():
    row = compare(np.array([4e-320]), np.array([2e-320]))["value"]
    assert row.verdict == "scaled by 2"
    assert row.relative == pytest.approx(0.5)


def test_numbers_far_apart_are_scaled_and_not_zero():
    row = compare(np.array([1e300]), np.array([1e-300]))["value"]
    assert (row.length, row.angle, row.verdict) == (np.inf, 0.0, "scaled by inf")


# --- compare: the verdicts --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("a", "b", "verdict"),
    [
        ([1.0, 2.0], [1.0, 2.0], "agree"),
        ([1.0, 2.0], [1.0, 2.0 + 1e-6], "agree"),
        ([1.0, 2.0], [1.0, 2.0 + 1e-5], "differ"),
        ([0.0, 0.0], [0.0, 0.0], "agree"),
        ([], [], "agree"),
        ([1.0, 2.0], [-1.0, -2.0], "opposite"),
        ([1.0, 2.0], [2.0, 4.0], "scaled by 0.5"),
        ([1.0, 2.0], [-3.0, -6.0], "scaled by -0.3333"),
        ([1.0, 2.0], [2.0, 1.0], "differ"),
        ([0.0, 0.0], [2.0, 1.0], "one is zero"),
        ([1e-300, 0.0], [0.0, 0.0], "one is zero"),
        ([1.0, np.nan], [1.0, 2.0], "not finite"),
        ([1.0, np.inf], [1.0, np.inf], "not finite"),
    ],
)
def test_the_verdict(a, b, verdict):
    comparison = compare({"w": np.array(a)}, {"w": np.array(b)})
    assert comparison["w"].verdict == verdict
    assert comparison.agree is (verdict == "agree")


@given(SEEDS, st.floats(1e-6, 1e6))
def test_a_factor_is_named(seed, factor):
    x = np.random.default_rng(seed).standard_normal((2, 2))
    wanted = "agree" if abs(factor - 1) <= 1e-6 else f"scaled by {factor:.4g}"
    row = compare(factor * x, x)["value"]
    assert row.verdict == wanted
    assert row.length == pytest.approx(factor)


def test_one_zero_has_no_angle():
    row = compare(np.zeros(2), np.ones(2))["value"]
    assert np.isnan(row.angle)
    assert (row.absolute, row.relative, row.length) == (1.0, 1.0, 0.0)
    assert compare(np.ones(2), np.zeros(2))["value"].length == np.inf


def test_the_tolerance_decides():
    a, b = np.array([1.0, 2.0]), np.array([1.0, 2.0002])
    assert not compare(a, b).agree
    assert compare(a, b, tolerance=1e-3).agree
    assert compare(a, b, tolerance=1e-3).tolerance == 1e-3


def test_one_wrong_parameter_spoils_the_whole():
    comparison = compare(Pair(np.ones(2), np.ones(2)), Pair(np.ones(2), np.zeros(2)))
    assert [row.verdict for row in comparison.rows] == ["agree", "one is zero"]
    assert not comparison.agree


@given(TREES)
def test_a_tree_agrees_with_itself(tree):
    comparison = compare(tree, jax.tree.map(np.copy, tree), tolerance=0.0)
    assert comparison.agree
    assert len(comparison.rows) == len(jax.tree.leaves(tree))


def test_jax_and_numpy_may_be_compared():
    assert compare(Pair(np.ones(2), 1), Pair(jnp.ones(2), jnp.float32(1))).agree


@pytest.mark.bad_input
def test_structures_must_match():
    with pytest.raises(ValueError, match=r"^compare: both gradients must have one structure, got .*'b'.* and .*'w'"):
        compare({"b": np.ones(1), "w": np.ones(1)}, {"w": np.ones(1)})
    with pytest.raises(ValueError, match=r"Is one of them a different NamedTuple, or short of a parameter\?$"):
        compare(Pair(1.0, 2.0), (1.0, 2.0))


@pytest.mark.bad_input
def test_shapes_must_match():
    expected = r"^compare: h0 must have one shape, got \(2, 4\) and \(4,\). Is a sum over an axis missing\?$"
    with pytest.raises(ValueError, match=expected):
        compare({"h0": np.ones((2, 4))}, {"h0": np.ones(4)})


# --- compare: how it reads --------------------------------------------------------------------------------------------

GOOD_AND_BAD = compare(
    Pair(np.array([3.0, 4.0]), {"<W>": np.array([2.0])}), Pair(np.array([4.0, 3.0]), {"<W>": np.array([2.0])})
)


def test_it_prints_as_a_table():
    assert str(GOOD_AND_BAD) == repr(GOOD_AND_BAD)
    assert str(GOOD_AND_BAD) == "\n".join(
        [
            "parameter  max |a-b|   relative     angle  verdict",
            "left         1.0e+00    2.5e-01       16°  differ",
            "right.<W>    0.0e+00    0.0e+00        0°  agree",
        ]
    )


def test_a_long_name_keeps_its_column():
    lines = str(compare({"a_long_name_it_is": 1.0}, {"a_long_name_it_is": 0.0})).splitlines()
    assert lines[0].index("verdict") == lines[1].index("one is zero")


def test_an_angle_without_direction_is_a_dash():
    assert "        -  one is zero" in str(compare(np.zeros(1), np.ones(1)))
    assert "not finite" in str(compare(np.array([np.nan]), np.ones(1)))


def test_in_a_notebook_it_is_an_html_table():
    page = GOOD_AND_BAD._repr_html_()
    assert page.startswith("<table><thead><tr><th>parameter</th><th>max |a−b|</th>")
    assert "<td><code>right.&lt;W&gt;</code></td><td>0.0e+00</td><td>0.0e+00</td><td>0°</td><td>✓ agree</td>" in page
    assert "<td>✗ differ</td>" in page
    assert page.count("<tr>") == page.count("</tr>") == 3


def test_an_empty_tree_makes_an_empty_table():
    comparison = compare({}, {})
    assert comparison.agree
    assert str(comparison) == "parameter  max |a-b|   relative     angle  verdict"


def test_rows_are_found_by_name_and_fields_by_place():
    assert GOOD_AND_BAD["left"] is GOOD_AND_BAD.rows[0]
    assert GOOD_AND_BAD[0] is GOOD_AND_BAD.rows
    assert GOOD_AND_BAD[1] == 1e-6
    with pytest.raises(KeyError, match=r"Comparison: the parameter must be one of left, right\.<W>, got 'W_hx'\."):
        GOOD_AND_BAD["W_hx"]


# --- frozen_prefix ----------------------------------------------------------------------------------------------------

STEPS = np.arange(5)


def outputs_of(starts, state=None):
    return frozen_prefix(elman_step, NET.params, NET.xs, state, starts=starts)


@pytest.mark.parametrize("starts", [STEPS * 0, STEPS // 2 * 2, STEPS, STEPS + 1, [0, 1, 0, 2, 5]])
def test_freezing_changes_no_output_where_nothing_is_nudged(starts):
    np.testing.assert_allclose(outputs_of(starts)(NET.params), bptt.forward(NET.params, NET.xs).ys, rtol=1e-13)
    state = np.ones((2, 3))
    np.testing.assert_allclose(
        outputs_of(starts, state)(NET.params), bptt.forward(NET.params, NET.xs, state).ys, rtol=1e-13
    )


@pytest.mark.parametrize("window", [1, 2, 4, 5])
def test_a_truncated_gradient_fails_the_plain_check_and_passes_the_frozen_one(window):
    def loss(outputs):
        return lambda params: (outputs(params) * NET.d_ys).sum()

    tape = bptt.forward(NET.params, NET.xs)
    truncated = bptt.backward(NET.params, tape, NET.d_ys, window=window)
    frozen = finite_differences(loss(outputs_of(np.maximum(0, STEPS + 1 - window))), NET.params)
    plain = finite_differences(loss(outputs_of(STEPS * 0)), NET.params)
    assert compare(truncated, frozen).agree
    assert compare(truncated, plain).agree == (window == 5)
    assert compare(plain, bptt.backward(NET.params, tape, NET.d_ys)).agree


def test_what_is_frozen_does_not_move():
    nudged = NET.params._replace(W_hh=NET.params.W_hh + 0.1, b_y=NET.params.b_y + 0.1)
    here, there = (outputs_of([0, 1, 3, 3, 5])(params) for params in (NET.params, nudged))
    assert [bool(np.allclose(a, b)) for a, b in zip(here, there, strict=True)] == [False, False, True, False, True]


def test_frozen_inputs_do_not_move_either():
    outputs, other = outputs_of(STEPS // 2 * 2), NET.xs.copy()
    other[0] += 1
    moved = np.abs(outputs(NET.params, other) - outputs(NET.params)).max((1, 2)) > 0
    np.testing.assert_array_equal(moved, [True, True, False, False, False])


@pytest.mark.bad_input
@pytest.mark.parametrize("starts", [[0, 1, 2], [0, 1, 2, 3, 6], [-1, 0, 0, 0, 0], [0.0] * 5, 0])
def test_starts_must_lie_before_their_outputs(starts):
    with pytest.raises(
        ValueError, match=r"^frozen_prefix: starts must be T = 5 whole numbers, each in 0 \.\.\. t \+ 1 for"
    ):
        outputs_of(starts)
