"""Hessian-free training: each part against its slow twin, then trouble of every kind, then that it learns."""

import os
import signal
import threading
from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from rnnlib import cells, cg, curvature, hessian_free, losses, quadratic, starts, tasks
from rnnlib.hessian_free import HessianFree
from rnnlib.unroll import unroll_states

SMALL = 6


def same(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


def run(params, batch):
    return unroll_states(params, batch.xs)


def loss(ys, batch):
    return losses.squared_error(ys, batch.targets, batch.weights)


def sample(n):
    batch = tasks.adding(10, 12, rng=np.random.default_rng([7, n]))
    return batch, batch


def net(seed=0, init=cells.init_elman, H=SMALL):
    return init(2, H, 1, rng=np.random.default_rng(seed))


@lru_cache
def update_by(settings):
    """Compiled once for all tests."""
    return hessian_free.updates(run, loss, settings)


def problem(settings=HessianFree(), params=None):  # noqa: B008
    params = net() if params is None else params
    return update_by(settings), hessian_free.start(params, settings), sample


def matrices(params, batch):
    """G of the loss and of the mean squared distance of the states, from explicit Jacobians; and the gradient."""
    flat, unravel = ravel_pytree(params)
    J_y = jax.jit(jax.jacobian(lambda p: run(unravel(p), batch)[0]))(flat)
    H_L = jax.hessian(lambda ys: loss(ys, batch))(run(params, batch)[0])
    T, B, K = batch.targets.shape
    G = jnp.einsum("aN,ab,bM->NM", J_y.reshape(T * B * K, -1), H_L.reshape(T * B * K, -1), J_y.reshape(T * B * K, -1))
    states = jax.jit(jax.jacobian(lambda p: ravel_pytree(run(unravel(p), batch)[1])[0]))(flat)
    grads = jax.jit(jax.grad(lambda p: loss(run(unravel(p), batch)[0], batch)))(flat)
    return G, states.T @ states / (T * B), grads


@pytest.mark.parametrize(
    ("init", "structural", "decay"),
    [
        (cells.init_elman, 3.0, 0.0),
        (cells.init_lstm, 3.0, 0.2),
        (cells.init_gru, 0.0, 0.2),
    ],
)
def test_an_update_is_the_damped_newton_step(init, structural, decay):
    params, batch = net(init=init, H=3), jax.tree.map(jnp.asarray, sample(0)[0])
    settings = HessianFree(0.1, structural, decay, iterations=400, progress=0.0)
    update, begin, _ = problem(settings, params)
    learner, report = update(begin.learner, batch, batch)
    G, S, grads = matrices(params, batch)
    flat = ravel_pytree(params)[0]
    A = G + 0.1 * (jnp.eye(flat.size) + structural * S) + decay * jnp.eye(flat.size)
    solution = -jnp.linalg.solve(A, grads + decay * flat)
    np.testing.assert_allclose(ravel_pytree(learner.direction)[0], solution, rtol=1e-5, atol=1e-8)
    step = ravel_pytree(learner.params)[0] - flat
    np.testing.assert_allclose(step, solution * report["scale"], rtol=1e-2, atol=1e-3 * abs(solution).max())
    predicted = (grads + decay * flat) @ step + step @ (G + decay * jnp.eye(flat.size)) @ step / 2
    if report["scale"] == 1:
        assert float(report["ratio"]) == pytest.approx(float((report["after"] - report["loss"]) / predicted), rel=1e-6)


def test_a_mask_in_the_batch_is_heeded():
    batch = jax.tree.map(jnp.asarray, sample(0)[0])
    mask = jnp.arange(10)[:, None] < (jnp.arange(12) % 10 + 1)[None]

    def masked(params, both):
        return unroll_states(params, both[0].xs, mask=both[1])

    def scored(ys, both):
        return losses.squared_error(ys, both[0].targets + 1.0, losses.mean_over_steps(both[1]))

    update = hessian_free.updates(masked, scored, HessianFree(0.1, 1.0))
    learners = []
    for noise in (0.0, 5.0):  # what is masked may be anything
        noisy = batch._replace(xs=batch.xs + noise * ~mask[..., None])
        learners.append(update(hessian_free.start(net()).learner, (noisy, mask), (noisy, mask))[0])
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12), *learners)
    assert not np.allclose(learners[0].params.W_hh, net().W_hh), "and it learnt something"


def test_the_preconditioner_is_the_mean_of_squared_gradients_of_single_sequences():
    params, batch = net(), jax.tree.map(jnp.asarray, tasks.adding(10, 35, rng=np.random.default_rng(0)))
    settings = HessianFree(exponent=0.5, weight_decay=0.2)  # which is no part of it
    model = quadratic.Model(run, loss, settings, params, batch)
    objective = lambda p, b: loss(run(p, b)[0], b)  # noqa: E731
    scale = model.preconditioner(0.3)(jax.tree.map(jnp.ones_like, params))
    alone = [jax.tree.map(lambda a, b=b: a[:, b : b + 1], batch) for b in range(35)]
    alone = [one._replace(weights=one.weights * 35) for one in alone]
    squares = [jax.tree.map(jnp.square, jax.grad(objective)(params, one)) for one in alone]
    mean = jax.tree.map(lambda *g: sum(g) / 35, *squares)
    jax.tree.map(lambda s, m: np.testing.assert_allclose(s, (m + 0.3) ** -0.5, rtol=1e-10), scale, mean)


@pytest.mark.parametrize("distance", [quadratic.squared_distance, quadratic.matching_distance])
def test_the_preconditioner_may_know_the_structural_term(distance):
    """One sequence, many times over: the mean over random signs is the diagonal of S."""
    params, one = net(), jax.tree.map(jnp.asarray, tasks.adding(10, 1, rng=np.random.default_rng(0)))
    batch = jax.tree.map(lambda a: jnp.repeat(a, 4000, axis=1), one)
    settings = HessianFree(structural=5.0, structural_diagonal=True, exponent=1.0, distance=distance)
    model = quadratic.Model(run, lambda ys, batch: 0.0 * ys.sum(), settings, params, batch)
    found = ravel_pytree(model.preconditioner(0.3)(jax.tree.map(jnp.ones_like, params)))[0]
    flat, unravel = ravel_pytree(params)
    states = lambda p: run(unravel(p), one)[1]  # noqa: E731
    J, here = jax.jacobian(states)(flat), states(flat)
    bends = 1.0 if distance is quadratic.squared_distance else 1 / (1 - here[..., None] ** 2)
    diagonal = (bends * J**2).sum((0, 1, 2)) / 10
    np.testing.assert_allclose(1 / found, 0.3 + 0.3 * 5 * diagonal, rtol=0.15)
    assert (1.5 * diagonal > 0.1).any()
    assert not np.allclose(1 / found, 0.3)


def test_the_matching_distance_bends_as_tanhs_own_loss_does():
    """By pre-activations a, Jᵀ diag(1 − h²) J and not its square; and it stays finite where a unit is saturated."""
    params, batch = net(), jax.tree.map(jnp.asarray, sample(0)[0])
    v = jax.tree.map(jnp.ones_like, params)
    hs = run(params, batch)[1]
    T, B, _ = hs.shape

    def preactivations(p):
        hs = run(p, batch)[1]
        before = jnp.concatenate([jnp.broadcast_to(p.h0, (1, *hs.shape[1:])), hs[:-1]])
        return batch.xs @ p.W_xh + before @ p.W_hh + p.b_h[None, None]

    moved, pull = jax.jvp(preactivations, (params,), (v,))[1], jax.vjp(preactivations, params)[1]
    expected = pull((1 - hs**2) * moved / (T * B))[0]
    product = curvature.gauss_newton(
        lambda p: run(p, batch)[1], lambda states: quadratic.matching_distance(states, hs), params
    )
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12), product(v), expected)
    assert jnp.isfinite(quadratic.matching_distance(jnp.zeros((1, 1, 2)), jnp.ones((1, 1, 2))))


def test_neither_preconditioner_nor_start_moves_the_solution():
    settings = HessianFree(0.1, 0.5, iterations=400, progress=0.0)
    reference, other = (problem(s) for s in (settings, settings._replace(exponent=0.0, warm_start=0.0)))
    batch = jax.tree.map(jnp.asarray, sample(0)[0])
    begin = reference[1].learner._replace(direction=jax.tree.map(jnp.ones_like, net()))
    a, b = (update(begin, batch, batch)[0].direction for update, _, _ in (reference, other))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-7), a, b)


@pytest.mark.parametrize(
    ("losses_at", "taken"),
    [
        ([5, 4, 3, 2], 3),
        ([5, 2, 3, 4], 1),
        ([1, 9, 5, 6], 2),
        ([1, 2, 3, 4], 0),
        ([3, 3, 3, 3], 0),
        ([4, 3, 2, np.inf], 2),
    ],
)
def test_backtracking_stops_at_the_first_that_is_lower(losses_at, taken):
    kept = jnp.arange(6.0)[
        :, None
    ]  # iterates 0 ... 5 that are their own names; three of six places are used, then the solution
    solution = cg.Solution(jnp.array([3.0]), jnp.array(8), 0, None, None, kept, jnp.array([1, 2, 4, -1, -1, -1]))
    table = jnp.array([*losses_at, np.nan, np.nan])
    step, at, here, tries = quadratic.backtrack(lambda step: table[step[0].astype(int)], solution)
    assert int(step[0]) == taken
    assert int(at) == [1, 2, 4, 8][taken]
    best, _, lowest, tried = quadratic.backtrack(lambda step: table[step[0].astype(int)], solution, everywhere=True)
    assert int(best[0]) == int(np.argmin(losses_at))
    assert (float(lowest), int(tried)) == (min(losses_at), 4)
    assert float(here) == losses_at[taken]
    assert int(tries) == min(5 - taken, 4)


def test_the_line_search_shrinks_until_the_loss_falls_enough():
    loss_at = lambda step: jnp.where(step[0] > 0.5, 3.0, 1.0 - 0.5 * step[0])  # noqa: E731
    found = quadratic.line_search(loss_at, HessianFree(), jnp.array([1.0]), 1.0, jnp.array(3.0), -1.0)
    assert [float(v) for v in found] == pytest.approx([0.8**4, 1 - 0.5 * 0.8**4, 4])
    refused = quadratic.line_search(
        lambda step: jnp.array(2.0), HessianFree(), jnp.array([1.0]), 1.0, jnp.array(2.0), -1.0
    )
    assert [float(v) for v in refused] == [0, 1, 30]
    lost = quadratic.line_search(
        lambda step: jnp.array(np.nan), HessianFree(), jnp.array([1.0]), np.nan, jnp.array(0.0), np.nan
    )
    assert float(lost[0]) == 0, "no step is taken from or to a NaN"


@pytest.mark.parametrize(("ratio", "factor"), [(0.1, 3 / 2), (0.5, 1), (0.9, 2 / 3)])
def test_damping_follows_the_ratio(ratio, factor):
    """A loss that falls by `ratio` of what its quadratic model says: a parabola whose bottom comes too soon."""
    batch = (jnp.ones((1, 1, 1)), jnp.zeros((1, 1)))

    def bent(params, batch):  # outputs whose tangent at 0 is the parameter itself
        w = params["w"]
        return jnp.where(w == 0, w, jnp.where(w > 0.5, 1 - jnp.sqrt(1 - ratio), w)).reshape(1, 1, 1), None

    update = hessian_free.updates(bent, lambda ys, batch: ((ys - 1) ** 2).sum() / 2, HessianFree(1e-6, exponent=0))
    learner, report = update(
        hessian_free.start({"w": jnp.zeros(())}).learner._replace(damping=jnp.array(1e-6)), batch, batch
    )
    assert float(report["ratio"]) == pytest.approx(ratio, rel=1e-3)
    assert float(learner.damping) == pytest.approx(1e-6 * factor)


@pytest.mark.parametrize("poison", ["gradient batch", "curvature batch", "loss after a step", "parameters"])
def test_nan_never_reaches_the_parameters(poison):
    batch = jax.tree.map(jnp.asarray, sample(0)[0])
    bad = batch._replace(xs=batch.xs.at[3, 4].set(jnp.nan))
    params, scored = net(), loss
    if poison == "loss after a step":
        scored = lambda ys, batch: loss(ys, batch) + jnp.where((ys == here).all(), 0.0, jnp.nan)  # noqa: E731
        here = run(params, batch)[0]
    if poison == "parameters":
        params = params._replace(b_y=params.b_y * jnp.nan)
    update = update_by(HessianFree()) if scored is loss else hessian_free.updates(run, scored)
    begin = hessian_free.start(params).learner
    pair = (bad if poison == "gradient batch" else batch, bad if poison == "curvature batch" else batch)
    learner, report = update(begin, *pair)
    same(learner.params, begin.params)
    assert float(report["scale"]) == 0
    assert float(learner.damping) == 1.5
    assert jnp.isfinite(ravel_pytree(learner.direction)[0]).all()
    if poison != "parameters":  # a good batch later, and it goes on
        assert update(learner, batch, batch)[1]["scale"] > 0 or poison == "loss after a step"


def test_a_loss_that_is_lost_ends_the_training_and_keeps_what_was_reached():
    update, begin, _ = problem()
    poisoned = lambda n: jax.tree.map(lambda a: a * (np.nan if n == 2 else 1.0), sample(n))  # noqa: E731
    trained = hessian_free.train(update, begin, poisoned, max_updates=5)
    same(trained.learner, hessian_free.train(update, begin, sample, max_updates=2).learner)
    assert trained.stopped.startswith("the loss is nan before update 3")


@pytest.fixture
def interruptible():
    """Python's own answer to SIGINT, also where the tests run in the background of a shell that ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_keeps_what_was_reached_and_resuming_changes_nothing():
    update, begin, _ = problem()
    whole = hessian_free.train(update, begin, sample, max_updates=4)

    def interrupted(n):
        if n == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return sample(n)

    half = hessian_free.train(update, begin, interrupted, max_updates=4)
    assert half.stopped == "stopped by hand after 2 updates, which are kept"
    again = hessian_free.train(update, half, sample, max_updates=4)
    same(again.learner, whole.learner)
    assert [row.evaluations for row in again.history] == [row.evaluations for row in whole.history]
    assert again.stopped is None


@pytest.mark.usefixtures("interruptible")
def test_a_signal_while_an_update_runs_loses_nothing():
    update, begin, _ = problem()
    timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
    hessian_free.train(update, begin, sample, max_updates=1)  # compiled
    timer.start()
    trained = hessian_free.train(update, begin, sample, max_updates=5000)
    assert trained.stopped.startswith("stopped by hand")
    same(trained.learner, hessian_free.train(update, begin, sample, max_updates=len(trained.history)).learner)


def test_goal_time_and_history():
    update, begin, _ = problem()
    heard = []
    trained = hessian_free.train(
        update, begin, sample, max_updates=9, evaluate=lambda p: heard.append(p) or 5.0 - len(heard), goal=2.0
    )
    assert [row.held_out for row in trained.history] == [4, 3, 2]
    assert trained.stopped == "the goal is reached after 3 updates"
    same(heard[-1], trained.learner.params)
    assert hessian_free.train(update, trained, sample, max_updates=9, seconds=0.0).stopped == "0 seconds are spent"
    for before, after in zip(trained.history, trained.history[1:], strict=False):
        assert after.seconds > before.seconds
        assert after.evaluations - before.evaluations >= 12 * (after.iterations + 3), (
            "a product for each iteration, at least"
        )
        assert min(abs(after.damping / before.damping - factor) for factor in (2 / 3, 1, 3 / 2)) < 1e-6
    assert all(row.reason in cg.REASONS and row.taken <= row.iterations for row in trained.history)


def test_it_is_compiled_once_for_each_shape():
    update, begin, _ = problem()
    hessian_free.train(update, begin, sample, max_updates=1)
    before = hessian_free._compiled.cache_info().misses
    hessian_free.train(update, begin, sample, max_updates=3)
    assert hessian_free._compiled.cache_info().misses == before


def test_structural_damping_holds_the_states():
    batch = jax.tree.map(jnp.asarray, tasks.adding(30, 20, rng=np.random.default_rng(0)))
    for seed in range(3):
        params = net(seed)._replace(W_hh=starts.sparse(SMALL, rng=np.random.default_rng(seed), connections=4))
        moved = []
        for structural in (0.0, 10.0):
            update, begin, _ = problem(HessianFree(0.01, structural), params)
            learner, _ = update(begin.learner, batch, batch)
            step = jax.tree.map(lambda new, old: new - old, learner.params, params)
            moved.append(curvature.jacobian_vector(lambda p: run(p, batch)[1], params, step))
        assert jnp.linalg.norm(moved[1]) < 0.7 * jnp.linalg.norm(moved[0])


def test_it_learns_the_first_bit_of_thirty_where_the_gradient_alone_has_hardly_begun():
    def drawn(n):
        batch = tasks.first_bit(30, 100, rng=np.random.default_rng([1, n]))
        return batch, batch

    def scored(ys, batch):
        return losses.softmax_cross_entropy(ys, batch.targets, batch.weights)

    test = tasks.first_bit(30, 500, rng=np.random.default_rng(99))
    update = hessian_free.updates(run, scored, HessianFree(0.1, iterations=100))
    for seed in range(3):
        rng = np.random.default_rng(seed)
        params = cells.init_elman(1, 20, 2, rng=rng, dtype=np.float32)
        W_hh = starts.orthogonal(20, rng=rng, dtype=np.float32)
        params = params._replace(W_hh=W_hh, W_xh=params.W_xh / 20, W_hy=params.W_hy / 2)
        evaluate = lambda p: tasks.missed(run(p, test)[0], test).mean()  # noqa: E731
        trained = hessian_free.train(
            update, hessian_free.start(params), drawn, max_updates=40, evaluate=evaluate, goal=0.009
        )
        assert trained.history[-1].held_out < 0.01, f"seed {seed}"
        assert {leaf.dtype for leaf in jax.tree.leaves(trained.learner)} == {np.dtype(np.float32)}


@pytest.mark.bad_input
def test_batches_that_are_none_are_told():
    update, begin, _ = problem()
    with pytest.raises(TypeError, match="sample\\(n\\) must return two batches, tuples of arrays, got Sequences"):
        hessian_free.train(update, begin, lambda n: sample(n)[0], max_updates=1)
