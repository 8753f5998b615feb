"""Finite differences against derivatives known in closed form, and every verdict and every error of `gradcheck`."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rnnlib import bptt, losses
from rnnlib.cells import elman_step, init_elman
from rnnlib.gradcheck import compare, finite_differences, frozen_prefix
from tests.strategies import problem

SHAPES = st.sampled_from([(), (1,), (3,), (2, 3), (1, 2, 2)])
SEEDS = st.integers(0, 2**32 - 1)


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
        rf"^finite_differences: at W_hh\[0\] ± 0.001 the loss must be float64, got {kind.__name__}. "
        r'Try float64 inputs; a loss of JAX needs jax.config.update\("jax_enable_x64", True\) too.$'
    )
    with pytest.raises(TypeError, match=expected):
        finite_differences(lambda p: kind(3), {"W_hh": np.ones(1)}, step=1e-3)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.bad_input
def test_a_loss_must_be_finite(bad):
    expected = rf"^finite_differences: at value ± 1e-05 the loss must be finite, got {bad}. Try smaller parameters or"
    with pytest.raises(ValueError, match=expected):
        finite_differences(lambda p: bad, 1.0)


@pytest.mark.bad_input
def test_an_entry_is_named_by_its_path():
    params = {"cell": Pair(np.ones(1), [np.ones(1), np.ones((2, 2))])}
    with pytest.raises(ValueError, match=r"at cell\.right\.1\[1, 0\] ± 1e-05 the loss must be finite"):
        finite_differences(lambda p: 0.0 if p["cell"].right[1][1, 0] == 1 else np.nan, params)


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

NET = problem(T=5, B=2, D=2, H=3, K=2)
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
