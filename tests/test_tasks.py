import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnlib import losses, tasks


def temporal_order_3(T, B, *, rng):
    return tasks.temporal_order(T, B, symbols=3, rng=rng)


def memorisation_20(T, B, *, rng):
    return tasks.memorisation(T, B, bits=20, rng=rng)


# name: task, least T, steps beyond T, D, K
ALL = {
    "adding": (tasks.adding, 10, 0, 2, 1),
    "multiplication": (tasks.multiplication, 10, 0, 2, 1),
    "xor": (tasks.xor, 10, 0, 2, 2),
    "temporal_order": (tasks.temporal_order, 10, 0, 6, 4),
    "temporal_order_3": (temporal_order_3, 10, 0, 6, 8),
    "permutation": (tasks.permutation, 2, 0, 100, 100),
    "first_bit": (tasks.first_bit, 2, 0, 1, 2),
    "memorisation": (tasks.memorisation, 1, 10, 4, 3),
    "memorisation_20": (memorisation_20, 1, 20, 7, 6),
    "copy": (tasks.copy, 1, 20, 10, 9),
}
each_task = pytest.mark.parametrize("name", ALL)
sizes = {"T": st.integers(0, 25), "B": st.integers(1, 4), "seed": st.integers(0, 2**16)}


def draw(name, T=50, B=1000, seed=0):
    return ALL[name][0](T, B, rng=np.random.default_rng(seed))


def perfect(batch, K):
    """Outputs without a fault."""
    return batch.targets if batch.targets.ndim == 3 else np.eye(K)[batch.targets]


def answer(name, xs):
    """Read one sequence, xs (T, D), step by step, as a person would: the targets of all steps, None where nothing is asked."""
    silence = [None] * (len(xs) - 1)
    if name in ("adding", "multiplication"):
        first, second = (float(u) for u, mark in xs if mark == 1)
        return [*silence, first + second if name == "adding" else first * second]
    if name == "xor":
        return [*silence, len({float(bit) for bit, mark in xs if mark == 1}) - 1]
    if name == "permutation":
        return [*silence, next(symbol for symbol in range(100) if xs[0, symbol])]
    if name.startswith("temporal"):
        order = "".join("XYabcd"[list(x).index(1)] for x in xs)
        seen = "".join(letter for letter in order if letter in "XY")
        return [*silence, int(seen.replace("X", "0").replace("Y", "1"), 2)]
    if name == "first_bit":
        return [*silence, int(xs[0, 0])]
    kinds = xs.shape[-1] - 2
    symbols = [int(x.argmax()) for x in xs]
    cue = symbols.index(kinds + 1)
    word = symbols[: len(xs) - cue - 1]
    assert all(symbol < kinds for symbol in word)
    assert all(symbol == kinds for t, symbol in enumerate(symbols) if t >= len(word) and t != cue)
    return [kinds] * (cue + 1) + word


@each_task
@given(**sizes)
def test_shapes_types_and_weights(name, T, B, seed):
    _, least, extra, D, K = ALL[name]
    batch = draw(name, T := T + least, B, seed)
    assert batch.xs.shape == (T + extra, B, D)
    assert batch.xs.dtype == batch.weights.dtype == np.float64
    assert batch.weights.shape == (T + extra, B)
    np.testing.assert_allclose(batch.weights.sum(), 1)
    counting = batch.weights[batch.weights > 0]
    assert (counting == counting[0]).all()
    if batch.targets.ndim == 3:
        assert batch.targets.shape == (T + extra, B, K)
        assert batch.targets.dtype == np.float64
    else:
        assert batch.targets.shape == (T + extra, B)
        assert np.issubdtype(batch.targets.dtype, np.integer)
        assert batch.targets.min() >= 0
        assert batch.targets.max() < K


@each_task
@given(**sizes)
def test_targets_are_what_a_slow_reader_finds(name, T, B, seed):
    batch = draw(name, T + ALL[name][1], B, seed)
    for b in range(B):
        for t, expected in enumerate(answer(name, batch.xs[:, b])):
            assert (batch.weights[t, b] > 0) == (expected is not None)
            assert batch.targets[t, b] == pytest.approx(0 if expected is None else expected)


@each_task
def test_the_seed_decides_everything(name):
    one, same, other = draw(name, B=5), draw(name, B=5), draw(name, B=5, seed=1)
    for ours, theirs in zip(one, same, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert (one.xs != other.xs).any()


@each_task
def test_the_losses_take_a_batch_as_it_is(name):
    K = ALL[name][-1]
    batch = draw(name, B=7)
    loss = losses.squared_error if batch.targets.ndim == 3 else losses.softmax_cross_entropy
    gain = 1 if batch.targets.ndim == 3 else 50
    assert loss(gain * perfect(batch, K), batch.targets, batch.weights) < 1e-12
    if batch.targets.ndim == 2:
        np.testing.assert_allclose(loss(np.zeros((*batch.targets.shape, K)), batch.targets, batch.weights), np.log(K))


def evenly(places, first, stop):
    """Every step from first up to, but not including, stop comes equally often: within 5 standard deviations."""
    counts = np.bincount(places, minlength=stop)
    share = 1 / (stop - first)
    spread = np.sqrt(len(places) * share * (1 - share))
    assert counts[:first].sum() == 0
    assert len(counts) == stop
    np.testing.assert_allclose(counts[first:], len(places) * share, atol=5 * spread)


@pytest.mark.parametrize(
    ("name", "bounds"),
    [
        ("adding", [(0, 10), (10, 50)]),
        ("multiplication", [(0, 10), (10, 50)]),
        ("xor", [(0, 10), (10, 50)]),
        ("temporal_order", [(10, 20), (50, 60)]),
        ("temporal_order_3", [(10, 20), (30, 40), (60, 70)]),
    ],
)
def test_what_matters_comes_where_the_paper_puts_it(name, bounds):
    xs = draw(name, T=100, B=4000).xs
    marked = xs[..., 1] == 1 if xs.shape[-1] == 2 else xs[..., :2].any(-1)  # (T, B)
    steps = np.nonzero(marked.T)[1].reshape(4000, len(bounds))  # in order of time
    for places, (first, stop) in zip(steps.T, bounds, strict=True):
        evenly(places, first, stop)


@pytest.mark.parametrize(
    ("name", "kinds"), [("temporal_order", 4), ("temporal_order_3", 8), ("first_bit", 2), ("xor", 2)]
)
def test_answers_are_equally_frequent(name, kinds):
    evenly(draw(name, B=4000).targets[-1], 0, kinds)


def test_what_comes_between_never_asks():
    """The first symbol is one of two, evenly; the others are the 98 that no target is, evenly."""
    batch = draw("permutation", T=50, B=4000)
    symbols = batch.xs.argmax(-1)
    evenly(symbols[0], 0, 2)
    evenly(symbols[1:].ravel(), 2, 100)


@pytest.mark.parametrize(
    ("name", "length", "kinds"), [("memorisation", 5, 2), ("memorisation_20", 10, 5), ("copy", 10, 8)]
)
def test_words_are_drawn_evenly_and_cued_at_the_right_step(name, length, kinds):
    batch = draw(name, T=7, B=2000)
    evenly(batch.targets[-length:].ravel(), 0, kinds)
    np.testing.assert_array_equal(np.nonzero(batch.xs[:, 0, -1])[0], [length + 7 - 1])


def test_adding_and_multiplication_cost_what_they_should_without_memory():
    """Var(u + v) = 2/12 = 1/6 and Var(uv) = 1/9 − 1/16."""
    for name, constant, expected in (("adding", 1.0, 1 / 6), ("multiplication", 0.25, 7 / 144)):
        batch = draw(name, T=10, B=100_000)
        trivial = 2 * losses.squared_error(np.full(batch.targets.shape, constant), batch.targets, batch.weights)
        assert trivial == pytest.approx(expected, rel=0.02)


def test_copy_costs_what_it_should_without_memory():
    """Sure of a blank at first, and even over the eight symbols afterwards: 10 log 8 / (T + 20)."""
    batch = draw("copy", T=30, B=20)
    ys = np.zeros((50, 20, 9))
    ys[:40, :, 8], ys[40:, :, 8] = 100, -100
    loss = losses.softmax_cross_entropy(ys, batch.targets, batch.weights)
    assert loss == pytest.approx(10 * np.log(8) / 50)


@each_task
def test_perfect_outputs_miss_nothing_and_poor_ones_miss(name):
    K = ALL[name][-1]
    batch = draw(name)
    ys = perfect(batch, K)
    assert not tasks.missed(ys, batch).any()
    assert not tasks.missed(jnp.asarray(ys), batch).any()
    noise = 3 * np.random.default_rng(1).standard_normal(ys.shape)
    for poor in (np.ones_like(ys), noise, np.full_like(ys, np.nan)):
        assert tasks.missed(poor, batch).mean() > 0.25
    assert tasks.missed(np.where(batch.weights[..., None] > 0, ys, np.nan), batch).sum() == 0  # nobody looks there


def test_one_wrong_symbol_is_a_miss_for_its_sequence_alone():
    batch = draw("memorisation", B=6)
    for t in (0, 30, -1):
        ys = np.eye(3)[batch.targets]
        ys[t, 4] = np.roll(ys[t, 4], 1)
        np.testing.assert_array_equal(np.nonzero(tasks.missed(ys, batch))[0], [4])


def test_constant_answers_to_adding_miss_as_often_as_the_area_says():
    """|u + v − 1| stays within r for a share 1 − (1 − r)² of the square, where r² is the tolerance."""
    batch = draw("adding", B=50_000)
    for tolerance in (0.0016, 0.0064, 0.04, 0.16):
        rate = tasks.missed(np.ones_like(batch.targets), batch, tolerance=tolerance).mean()
        assert rate == pytest.approx((1 - np.sqrt(tolerance)) ** 2, abs=0.012)


def test_the_tolerance_is_a_squared_error():
    batch = draw("adding", B=3)
    assert not tasks.missed(batch.targets + 0.199, batch).any()
    assert tasks.missed(batch.targets + 0.201, batch).all()


@pytest.mark.bad_input
def test_missed_explains_shapes_that_disagree():
    batch = draw("adding", B=3)
    message = "missed: ys must be (50, 3, 1) to match targets (50, 3, 1), got (3, 50, 1). Another batch?"
    with pytest.raises(ValueError, match=re.escape(message)):
        tasks.missed(np.zeros((3, 50, 1)), batch)
    with pytest.raises(ValueError, match=re.escape("missed: ys must be (50, 3, K) to match targets (50, 3)")):
        tasks.missed(np.zeros((50, 4, 2)), draw("first_bit", B=3))
    with pytest.raises(TypeError, match="missed: ys must hold floating-point numbers, got int64"):
        tasks.missed(np.zeros((50, 3, 1), int), batch)


@pytest.mark.bad_input
@each_task
def test_impossible_sizes_are_explained(name):
    task, least, *_ = ALL[name]
    rng = np.random.default_rng(0)
    where = name.removesuffix("_3").removesuffix("_20")
    order = re.escape("The order is (T, B): steps, then sequences.")
    with pytest.raises(ValueError, match=f"^{where}: T must be at least {least}, got {least - 1}. {order}$"):
        task(least - 1, 4, rng=rng)
    with pytest.raises(ValueError, match=f"^{where}: B must be at least 1, got 0. {order}$"):
        task(50, 0, rng=rng)
    with pytest.raises(TypeError, match=f"^{where}: T must be a whole number"):
        task(50.0, 4, rng=rng)
    for seed in (0, None):
        with pytest.raises(
            TypeError, match=f"^{where}: rng must be a np.random.Generator, got {type(seed).__name__}. Try"
        ):
            task(50, 4, rng=seed)


@pytest.mark.bad_input
def test_impossible_choices_are_explained():
    rng = np.random.default_rng(0)
    with pytest.raises(
        ValueError, match=r"^temporal_order: symbols must be 2 or 3, got 4\. It counts X and Y together\.$"
    ):
        tasks.temporal_order(50, 4, symbols=4, rng=rng)
    with pytest.raises(
        ValueError, match=r"^memorisation: bits must be 5 or 20, got 6\. Those are the papers'; copy has 30\.$"
    ):
        tasks.memorisation(50, 4, bits=6, rng=rng)
    with pytest.raises(ValueError, match=r"^influence_balancing: T must be at least 1, got 0"):
        tasks.influence_balancing(0, 1)


# Influence balancing: the network of the paper written down once more, as a matrix, column vectors and all.
SIGNS = np.array([1.0] * 10 + [-1.0] * 13)
MATRIX = np.diag([0.5] * 23) + np.diag([0.5] * 22, 1)


def influence(window):
    """dy/dθ through the last `window` steps: Σ_{j < window} e_1ᵀ A^j signs."""
    return sum((np.linalg.matrix_power(MATRIX, j) @ SIGNS)[0] for j in range(window))


def run(theta, xs, h):
    _, (ys, hs) = jax.lax.scan(
        lambda h, x: (tasks.influence_step(theta, x, h)[1], tasks.influence_step(theta, x, h)), h, xs
    )
    return ys, hs[-1]


def test_influence_balancing_is_the_papers_network():
    batch = tasks.influence_balancing(4, 2)
    assert batch.xs.shape == (4, 2, 23)
    assert batch.targets.shape == (4, 2, 1)
    assert batch.weights.sum() == pytest.approx(1)
    np.testing.assert_array_equal(batch.xs[3, 1], SIGNS)
    state = np.random.default_rng(0).standard_normal((2, 23))
    y, h = tasks.influence_step(0.3, batch.xs[0], state)
    np.testing.assert_allclose(h, state @ MATRIX.T + 0.3 * SIGNS)
    np.testing.assert_array_equal(y, h[:, :1])
    y, h = tasks.influence_step(0.3, batch.xs[0, 0].astype(np.float32), state[0].astype(np.float32))
    assert y.shape == (1,)
    assert h.dtype == np.float32


@pytest.mark.parametrize("theta", [-1.0, -1 / 6, 0.5])
def test_influence_loss_is_where_a_long_run_ends(theta):
    batch = tasks.influence_balancing(400, 1)
    ys, _ = run(theta, jnp.asarray(batch.xs), jnp.ones((1, 23)))
    assert tasks.influence_loss(theta) == pytest.approx(float((ys[-1, 0, 0] - 1) ** 2) / 2, abs=1e-9)
    np.testing.assert_allclose(np.linalg.solve(np.eye(23) - MATRIX, theta * SIGNS)[0], -6 * theta)


def test_short_windows_have_the_wrong_sign_and_long_ones_the_right_one():
    """The windows of the paper, 1, 10 and 100, seen from the start of its long run: θ should fall, and short windows raise it."""
    theta, settled = 0.5, jnp.asarray(np.linalg.solve(np.eye(23) - MATRIX, 0.5 * SIGNS))[None]
    y = float(settled[0, 0])
    assert tasks.influence_loss(theta - 0.01) < tasks.influence_loss(theta)
    for window, wrong in ((1, True), (10, True), (100, False)):
        xs = jnp.asarray(tasks.influence_balancing(window, 1).xs)
        gradient = jax.grad(lambda theta, xs=xs: (run(theta, xs, settled)[0][-1, 0, 0] - 1) ** 2 / 2)(theta)
        assert float(gradient) == pytest.approx((y - 1) * influence(window), rel=1e-6)
        assert (gradient < 0) == wrong
    assert float(gradient) == pytest.approx((y - 1) * -6, rel=1e-6)


@pytest.mark.parametrize(("window", "converges"), [(1, False), (10, False), (100, True)])
def test_descent_runs_away_on_a_short_window_and_arrives_on_a_long_one(window, converges):
    """Stateful chunks of the last `window` steps, the loss after each chunk, at the paper's learning rate of 1e-4."""
    power = np.linalg.matrix_power(MATRIX, window)
    push = sum(np.linalg.matrix_power(MATRIX, j) @ SIGNS for j in range(window))
    theta, h = 0.5, np.ones(23)
    for _ in range(4000):
        h = power @ h + theta * push
        theta -= 1e-4 * (h[0] - 1) * push[0]
    loss = tasks.influence_loss(theta)
    assert loss < 1e-6 if converges else loss > 2 * tasks.influence_loss(0.5)
