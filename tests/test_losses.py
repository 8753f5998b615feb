import re
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnlib import losses
from rnnlib.gradcheck import compare, finite_differences


class Outputs(NamedTuple):
    ys: np.ndarray  # (T, B, K)
    symbols: np.ndarray  # (T, B), targets of the cross-entropy
    values: np.ndarray  # (T, B, K), targets of the squared error
    weights: np.ndarray | None  # (T, B), some of them zero; None is the mean


def outputs(T, B, K, seed=0, *, weighted=False, dtype=np.float64):
    rng = np.random.default_rng(seed)
    ys, values = (3 * rng.standard_normal((T, B, K)).astype(dtype) for _ in "yv")
    weights = rng.random((T, B)).astype(dtype) * (rng.random((T, B)) < 0.7) if weighted else None
    return Outputs(ys, rng.integers(0, K, (T, B)), values, weights)


def any_size(*most):
    return st.builds(outputs, *(st.integers(1, n) for n in most), st.integers(0, 2**16), weighted=st.booleans())


any_outputs = any_size(6, 4, 5)
few_shapes = any_size(2, 2, 3)  # JAX compiles anew for each shape
LOSSES = {
    "softmax_cross_entropy": (losses.softmax_cross_entropy, losses.softmax_cross_entropy_grad, "symbols"),
    "squared_error": (losses.squared_error, losses.squared_error_grad, "values"),
}
each_loss = pytest.mark.parametrize("name", LOSSES)


@each_loss
@given(data=few_shapes)
def test_gradient_equals_autodiff(name, data):
    loss, grad, kind = LOSSES[name]
    targets = getattr(data, kind)
    ours = grad(data.ys, targets, data.weights)
    weights = None if data.weights is None else jnp.asarray(data.weights)
    theirs = jax.grad(loss)(jnp.asarray(data.ys), jnp.asarray(targets), weights)
    assert ours.shape == data.ys.shape
    np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)


@each_loss
@given(data=any_outputs)
def test_gradient_equals_finite_differences(name, data):
    loss, grad, kind = LOSSES[name]
    targets = getattr(data, kind)
    numeric = finite_differences(lambda ys: loss(ys, targets, data.weights), data.ys)
    ours = grad(data.ys, targets, data.weights)
    assert compare(ours, numeric)["value"].absolute < 1e-8 * max(1, np.abs(ours).max())


@each_loss
@given(data=few_shapes)
def test_numpy_and_jax_give_the_same_loss(name, data):
    loss, _, kind = LOSSES[name]
    targets = getattr(data, kind)
    weights = None if data.weights is None else jnp.asarray(data.weights)
    theirs = loss(jnp.asarray(data.ys), jnp.asarray(targets), weights)
    assert float(loss(data.ys, targets, data.weights)) == pytest.approx(float(theirs), rel=1e-12, abs=1e-13)


@given(any_outputs)
def test_cross_entropy_is_its_sum_step_by_step(data):
    T, B, _ = data.ys.shape
    total = 0.0
    for t, b in np.ndindex(T, B):
        p = np.exp(data.ys[t, b]) / np.exp(data.ys[t, b]).sum()
        weight = 1 / (T * B) if data.weights is None else data.weights[t, b]
        total -= weight * np.log(p[data.symbols[t, b]])
    ours = losses.softmax_cross_entropy(data.ys, data.symbols, data.weights)
    assert float(ours) == pytest.approx(total, rel=1e-11, abs=1e-12)


@given(any_outputs)
def test_squared_error_is_its_sum_step_by_step(data):
    T, B, K = data.ys.shape
    total = 0.0
    for t, b, k in np.ndindex(T, B, K):
        weight = 1 / (T * B) if data.weights is None else data.weights[t, b]
        total += weight * (data.ys[t, b, k] - data.values[t, b, k]) ** 2 / 2
    ours = losses.squared_error(data.ys, data.values, data.weights)
    assert float(ours) == pytest.approx(total, rel=1e-11, abs=1e-12)


@each_loss
def test_weights_choose_the_sum(name):
    loss, grad, kind = LOSSES[name]
    data = outputs(5, 3, 4)
    targets, ones = getattr(data, kind), np.ones((5, 3))
    mean, total = loss(data.ys, targets), loss(data.ys, targets, ones)
    assert float(total) == pytest.approx(15 * float(mean), rel=1e-12)
    np.testing.assert_allclose(grad(data.ys, targets, ones), 15 * grad(data.ys, targets), rtol=1e-12)
    mask = ones.copy()
    mask[3:, 1] = 0  # the second sequence is over after three steps
    kept = np.concatenate([np.arange(15).reshape(5, 3)[mask == 1]])
    flat = [array.reshape(15, 1, *array.shape[2:])[kept] for array in (data.ys, targets)]
    assert float(loss(data.ys, targets, mask / mask.sum())) == pytest.approx(float(loss(*flat)), rel=1e-12)
    assert not grad(data.ys, targets, mask)[3:, 1].any()


@each_loss
def test_float32_stays_float32(name):
    loss, grad, kind = LOSSES[name]
    for weighted in (False, True):
        data = outputs(5, 3, 4, weighted=weighted, dtype=np.float32)
        targets = getattr(data, kind)
        assert grad(data.ys, targets, data.weights).dtype == np.float32
        assert np.asarray(loss(data.ys, targets, data.weights)).dtype == np.float32


@each_loss
def test_nothing_the_caller_owns_is_changed(name):
    loss, grad, kind = LOSSES[name]
    data = outputs(5, 3, 4, weighted=True)
    before = [array.copy() for array in data]
    loss(data.ys, getattr(data, kind), data.weights)
    grad(data.ys, getattr(data, kind), data.weights)
    for array, old in zip(data, before, strict=True):
        np.testing.assert_array_equal(array, old)


@given(any_outputs, st.floats(-1000, 1000))
def test_softmax_sums_to_one_and_ignores_a_constant(data, constant):
    p = losses.softmax(data.ys)
    assert (p > 0).all()
    np.testing.assert_allclose(p.sum(-1), 1, rtol=1e-12)
    np.testing.assert_allclose(losses.softmax(data.ys + constant), p, rtol=1e-9)


@given(few_shapes)
def test_softmax_gives_the_same_in_numpy_and_jax(data):
    np.testing.assert_allclose(losses.softmax(jnp.asarray(data.ys)), losses.softmax(data.ys), rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_outputs_of_a_thousand_neither_overflow_nor_give_nan(dtype):
    ys = np.array([[[1000, -1000, 0]], [[-1000, -1000, -1000]]], dtype)
    np.testing.assert_allclose(losses.softmax(ys), [[[1, 0, 0]], [[1 / 3, 1 / 3, 1 / 3]]], rtol=1e-6)
    for target, nats in {0: 0, 1: 2000, 2: 1000}.items():
        targets = np.array([[target], [target]])
        assert losses.softmax_cross_entropy(ys, targets) == pytest.approx((nats + np.log(3)) / 2, rel=1e-6)
        grad = losses.softmax_cross_entropy_grad(ys, targets)
        assert np.isfinite(grad).all()
        np.testing.assert_allclose(grad.sum(-1), 0, atol=1e-6)


def test_knowing_nothing_costs_log_k_and_knowing_all_costs_nothing():
    targets = np.arange(8).reshape(4, 2) % 4
    assert losses.softmax_cross_entropy(np.zeros((4, 2, 4)), targets) == pytest.approx(np.log(4), rel=1e-12)
    assert losses.softmax_cross_entropy(100.0 * np.eye(4)[targets], targets) < 1e-12
    assert losses.squared_error(np.eye(4)[targets], np.eye(4)[targets]) == 0


GOOD = outputs(5, 2, 4)
SYMBOL_ERRORS = {
    "wrong rank": (
        (GOOD.ys[:, 0], GOOD.symbols),
        ValueError,
        "ys must be (T, B, K) (time, batch, outputs), got (5, 4). Is an axis missing?",
    ),
    "no steps": (
        (GOOD.ys[:0], GOOD.symbols[:0]),
        ValueError,
        "ys must be (T, B, K) (time, batch, outputs), got (0, 2, 4). T must be at least 1. Is an axis missing?",
    ),
    "time and batch swapped": (
        (GOOD.ys, GOOD.symbols.T),
        ValueError,
        "targets must be (5, 2) to match ys (5, 2, 4), got (2, 5). Are time and batch swapped, or the targets one-hot already? "
        "Try targets.argmax(-1).",
    ),
    "one-hot targets": (
        (GOOD.ys, np.eye(4)[GOOD.symbols]),
        ValueError,
        "targets must be (5, 2) to match ys (5, 2, 4), got (5, 2, 4). Are time and batch swapped, or the targets one-hot already? "
        "Try targets.argmax(-1).",
    ),
    "counted from one": (
        (GOOD.ys, np.full((5, 2), 4)),
        ValueError,
        "targets must lie in 0 ... 3 for 4 outputs, got 4 at targets[0, 0]. Do the symbols count from 1, or has ys too few columns?",
    ),
    "a target of -1": (
        (GOOD.ys, np.where(np.arange(2) == 1, -1, GOOD.symbols * 0)),
        ValueError,
        "targets must lie in 0 ... 3 for 4 outputs, got -1 at targets[0, 1]. Is it padding? Give such steps weight 0: "
        "weights=mean_over_steps(targets >= 0).",
    ),
    "float targets": (
        (GOOD.ys, GOOD.symbols.astype(float)),
        TypeError,
        "targets must be integers (symbols), got float64. Try targets.astype(int).",
    ),
    "integer outputs": (
        (GOOD.ys.astype(int), GOOD.symbols),
        TypeError,
        "ys must hold floating-point numbers, got int64. ",
    ),
    "outputs in a list": (
        (GOOD.ys.tolist(), GOOD.symbols),
        TypeError,
        "ys must be an array, got list. Try np.asarray(ys).",
    ),
    "weights swapped": (
        (GOOD.ys, GOOD.symbols, np.ones((2, 5))),
        ValueError,
        "weights must be (5, 2) to match ys (5, 2, 4), got (2, 5). Are time and batch swapped?",
    ),
}
VALUE_ERRORS = {
    "wrong rank": (
        (GOOD.ys[0], GOOD.values[0]),
        ValueError,
        "ys must be (T, B, K) (time, batch, outputs), got (2, 4). Is an axis missing?",
    ),
    "time and batch swapped": (
        (GOOD.ys, GOOD.values.swapaxes(0, 1)),
        ValueError,
        "targets must be (5, 2, 4) to match ys (5, 2, 4), got (2, 5, 4). Are time and batch swapped?",
    ),
    "integer outputs": (
        (GOOD.ys.astype(int), GOOD.values),
        TypeError,
        "ys must hold floating-point numbers, got int64. ",
    ),
    "integer targets": (
        (GOOD.ys, GOOD.values.astype(int)),
        TypeError,
        "targets must hold floating-point numbers, got int64. ",
    ),
    "weights swapped": (
        (GOOD.ys, GOOD.values, np.ones((2, 5))),
        ValueError,
        "weights must be (5, 2) to match ys (5, 2, 4), got (2, 5). Are time and batch swapped?",
    ),
}
CASES = [
    pytest.param(function, *case, id=f"{function.__name__}: {label}")
    for name, errors in {"softmax_cross_entropy": SYMBOL_ERRORS, "squared_error": VALUE_ERRORS}.items()
    for function in LOSSES[name][:2]
    for label, case in errors.items()
]


@pytest.mark.bad_input
@pytest.mark.parametrize(("function", "args", "error", "message"), CASES)
def test_bad_input_is_explained(function, args, error, message):
    with pytest.raises(error, match="^" + re.escape(f"{function.__name__}: {message}")):
        function(*args)


@st.composite
def masks(draw):
    """(T, B) of 0 and 1, a step in it somewhere; columns may be empty."""
    T, B = draw(st.integers(1, 6)), draw(st.integers(1, 4))
    mask = np.arange(T)[:, None] < np.array(draw(st.lists(st.integers(0, T), min_size=B, max_size=B)))
    if draw(st.booleans()):  # not only padding behind: any step may be left out
        mask = np.array(draw(st.lists(st.booleans(), min_size=T * B, max_size=T * B))).reshape(T, B)
    mask[draw(st.integers(0, T - 1)), draw(st.integers(0, B - 1))] = True
    return mask


@given(masks(), st.sampled_from([bool, np.int64, np.float64]))
def test_mean_over_steps_weighs_all_steps_alike(mask, dtype):
    weights = losses.mean_over_steps(mask.astype(dtype))
    assert weights.sum() == pytest.approx(1, rel=1e-12)
    np.testing.assert_allclose(weights, mask / np.count_nonzero(mask), rtol=1e-12)


@given(masks(), st.sampled_from([bool, np.int64, np.float64]))
def test_mean_over_sequences_weighs_all_sequences_alike(mask, dtype):
    weights, alive = losses.mean_over_sequences(mask.astype(dtype)), mask.any(axis=0)
    assert weights.sum() == pytest.approx(1, rel=1e-12)
    for b in range(mask.shape[1]):
        own = weights[:, b]
        assert own.sum() == pytest.approx(1 / alive.sum() if alive[b] else 0, rel=1e-12)
        np.testing.assert_allclose(own, own.max() * mask[:, b], rtol=1e-12)  # within a sequence all steps count alike


@given(masks(), st.integers(0, 2**16))
def test_both_means_are_those_of_a_loop(mask, seed):
    T, B = mask.shape
    data = outputs(T, B, 3, seed)
    alone = [
        [
            float(losses.softmax_cross_entropy(data.ys[t : t + 1, b : b + 1], data.symbols[t : t + 1, b : b + 1]))
            for t in np.flatnonzero(mask[:, b])
        ]
        for b in range(B)
    ]
    for mean, expected in {
        losses.mean_over_steps: np.mean([loss for own in alone for loss in own]),
        losses.mean_over_sequences: np.mean([np.mean(own) for own in alone if own]),
    }.items():
        ours = losses.softmax_cross_entropy(data.ys, data.symbols, mean(mask))
        assert float(ours) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("mean", [losses.mean_over_steps, losses.mean_over_sequences])
@given(mask=masks())
def test_means_are_the_same_in_numpy_and_jax_and_under_jit(mean, mask):
    ours = mean(mask)
    assert isinstance(ours, np.ndarray)
    theirs, jitted = mean(jnp.asarray(mask)), jax.jit(mean)(mask)
    assert isinstance(theirs, jax.Array)
    np.testing.assert_allclose(theirs, ours, rtol=1e-12)
    np.testing.assert_allclose(jitted, ours, rtol=1e-12)


def test_means_agree_where_all_sequences_are_as_long_and_ignore_empty_columns():
    full = np.ones((4, 3), bool)
    np.testing.assert_allclose(losses.mean_over_steps(full), losses.mean_over_sequences(full), rtol=1e-12)
    mask = np.array([[1, 1], [1, 0], [1, 0]])
    assert losses.mean_over_steps(mask)[:, 1].tolist() == [1 / 4, 0, 0]
    assert losses.mean_over_sequences(mask)[:, 1].tolist() == [1 / 2, 0, 0]
    for mean in (losses.mean_over_steps, losses.mean_over_sequences):
        filled = mean(np.pad(mask, [(0, 0), (0, 2)]))
        np.testing.assert_allclose(filled[:, :2], mean(mask), rtol=1e-12)
        assert not filled[:, 2:].any()


@pytest.mark.bad_input
@pytest.mark.parametrize("mean", [losses.mean_over_steps, losses.mean_over_sequences])
def test_a_mask_of_another_kind_is_explained(mean):
    message = f"{mean.__name__}: mask must be (T, B) (time, batch), got (5,). One sequence alone is mask[:, None]."
    with pytest.raises(ValueError, match="^" + re.escape(message)):
        mean(np.ones(5))
    with pytest.raises(ValueError, match=re.escape("got (0, 2). T must be at least 1.")):
        mean(np.ones((0, 2)))
    with pytest.raises(
        TypeError, match=rf"^{mean.__name__}: mask must be an array, got list\. Try np\.asarray\(mask\)\."
    ):
        mean([[1, 1]])


@pytest.mark.parametrize("mean", [losses.mean_over_steps, losses.mean_over_sequences])
def test_weights_keep_the_type_of_a_floating_mask(mean):
    mask = np.array([[1, 1], [1, 0]], np.float32)
    assert mean(mask).dtype == mean(jnp.asarray(mask)).dtype == np.float32


NOTHING = {"symbols": [-1, -100, 4, 2**31 - 1], "values": [np.nan, np.inf, -np.inf, 1e300]}
WEIGHTS = np.where(np.arange(10).reshape(5, 2) % 3 == 0, 0.0, 0.7)


@each_loss
@pytest.mark.parametrize("kind", [0, 1, 2, 3])
def test_what_stands_at_weight_0_is_not_looked_at(name, kind):
    loss, grad, targets_name = LOSSES[name]
    targets, nothing = getattr(GOOD, targets_name), NOTHING[targets_name][kind]
    expected, right = loss(GOOD.ys, targets, WEIGHTS), grad(GOOD.ys, targets, WEIGHTS)
    unheard = WEIGHTS == 0
    spoilt = GOOD.ys.copy(), targets.copy()
    spoilt[0][unheard], spoilt[1][unheard] = NOTHING["values"][kind], nothing
    assert loss(*spoilt, WEIGHTS) == expected
    np.testing.assert_array_equal(grad(*spoilt, WEIGHTS), right)
    assert not right[unheard].any()
    arrays = [jnp.asarray(a) for a in (*spoilt, WEIGHTS)]
    for run in (jax.value_and_grad(loss), jax.jit(jax.value_and_grad(loss))):
        theirs, d_ys = run(*arrays)
        assert float(theirs) == pytest.approx(float(expected), rel=1e-12)
        np.testing.assert_allclose(d_ys, right, rtol=1e-12, atol=1e-15)
    mixed = jax.jit(jax.grad(lambda ys, weights: loss(ys, spoilt[1], weights)))  # the targets of NumPy, the rest traced
    np.testing.assert_allclose(mixed(arrays[0], arrays[2]), right, rtol=1e-12, atol=1e-15)


@pytest.mark.bad_input
@pytest.mark.parametrize("kind", [np.asarray, jnp.asarray])
@pytest.mark.parametrize("bad", [-1, -100, 4])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_symbol_that_is_none_is_named_with_its_place_in_numpy_and_jax_alike(kind, bad, weighted):
    weights = np.where(np.arange(10).reshape(5, 2) == 3, 0.0, 1.0)  # at [1, 1]
    targets = GOOD.symbols.copy()
    targets[1, 1] = targets[3, 0] = bad
    at = "[3, 0]" if weighted else "[1, 1]"
    hint = "Is it padding? Give such steps weight 0" if bad < 0 else "Do the symbols count from 1"
    arrays = [kind(a) for a in (GOOD.ys, targets, weights)[: 3 if weighted else 2]]
    message = f"targets must lie in 0 ... 3 for 4 outputs, got {bad} at targets{at}. {hint}"
    for function in LOSSES["softmax_cross_entropy"][:2]:
        with pytest.raises(ValueError, match="^" + re.escape(f"{function.__name__}: {message}")):
            function(*arrays)
    with pytest.raises(ValueError, match=re.escape(message)):  # ys is traced, the targets can be seen
        jax.grad(losses.softmax_cross_entropy)(jnp.asarray(GOOD.ys), *arrays[1:])


@pytest.mark.parametrize("bad", [-1, -100, 4])
def test_under_jit_where_no_place_can_be_named_loss_and_gradient_are_nan(bad):
    targets = GOOD.symbols.copy()
    targets[3, 0] = bad
    loss, d_ys = jax.jit(jax.value_and_grad(losses.softmax_cross_entropy))(jnp.asarray(GOOD.ys), jnp.asarray(targets))
    assert np.isnan(loss)
    assert np.isnan(d_ys[3, 0]).any()
    assert np.isfinite(np.delete(d_ys, 3, axis=0)).all()


def test_the_weights_that_the_message_proposes_are_right():
    targets = np.where(np.arange(2) == 1, -100, GOOD.symbols)
    weights = losses.mean_over_steps(targets >= 0)
    ours = losses.softmax_cross_entropy(GOOD.ys, targets, weights)
    assert float(ours) == pytest.approx(
        float(losses.softmax_cross_entropy(GOOD.ys[:, :1], GOOD.symbols[:, :1])), rel=1e-12
    )


def test_a_nan_that_counts_is_not_hidden():
    ys = GOOD.ys.copy()
    ys[2, 1] = np.nan
    for name, (loss, grad, kind) in LOSSES.items():
        assert np.isnan(loss(ys, getattr(GOOD, kind), WEIGHTS)), name
        assert np.isnan(grad(ys, getattr(GOOD, kind), WEIGHTS)[2, 1]).all(), name


@each_loss
@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_outputs_of_sixteen_bits_are_floating_point(name, dtype):
    loss, grad, kind = LOSSES[name]
    targets = getattr(GOOD, kind)
    ys = GOOD.ys.astype(dtype)
    small = targets if kind == "symbols" else targets.astype(dtype)
    expected, right = loss(GOOD.ys, targets), grad(GOOD.ys, targets)
    assert float(loss(ys, small)) == pytest.approx(float(expected), rel=0.03)
    assert float(loss(jnp.asarray(ys), jnp.asarray(small))) == pytest.approx(float(expected), rel=0.03)
    assert grad(ys, small).dtype == dtype
    np.testing.assert_allclose(grad(ys, small).astype(float), right, atol=0.02)
