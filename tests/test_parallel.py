"""Recurrences at once: scans against loops, the backward pass against jax.grad, Newton against the run itself, many devices against one."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnlib import parallel
from rnnlib.dynamics import jacobians
from rnnlib.parallel import backward, newton
from rnnlib.parallel.elk import smoothed
from rnnlib.unroll import unroll_scan, unroll_states
from tests.test_unroll import CELLS, agree, case

few = settings(max_examples=6)  # each shape is a compilation
each_cell = pytest.mark.parametrize("cell", CELLS)


def recurrence(T, B, H, seed, diagonal):
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((T, B, H) if diagonal else (T, B, H, H)) * 0.7
    return A, rng.standard_normal((T, B, H)), rng.standard_normal((B, H)), rng.random((T, B)) < 0.3


def one_by_one(A, b, state, resets, reverse):
    """The recurrence in NumPy, one sequence and one step at a time."""
    T, B, H = b.shape
    states = np.zeros_like(b)
    for i in range(B):
        s = start = np.zeros(H) if state is None else state[i]
        for t in reversed(range(T)) if reverse else range(T):
            s = start if resets is not None and resets[t, i] else s
            s = states[t, i] = (np.diag(A[t, i]) if A.ndim == 3 else A[t, i]) @ s + b[t, i]
    return states


@few
@given(st.integers(1, 9), st.integers(1, 3), st.integers(1, 3), st.integers(0, 99), st.booleans(), st.booleans())
def test_both_scans_are_the_recurrence(T, B, H, seed, diagonal, reverse):
    A, b, state, resets = recurrence(T, B, H, seed, diagonal)
    for run in (parallel.linear_scan, parallel.linear_loop):
        agree(run(A, b, reverse=reverse), one_by_one(A, b, None, None, reverse))
        agree(run(A, b, state, resets=resets, reverse=reverse), one_by_one(A, b, state, resets, reverse))


def test_sequences_behind_one_another_with_resets_are_the_sequences_apart():
    A, b, state, _ = recurrence(7, 1, 3, 0, False)
    joined = parallel.linear_scan(A, b, state, resets=(np.arange(7) == 4)[:, None])
    agree(joined, jnp.concatenate([parallel.linear_scan(A[s], b[s], state) for s in (slice(4), slice(4, 7))]))


def test_what_a_reset_forgets_is_forgotten_for_good():
    A, b, state, _ = recurrence(6, 1, 2, 1, False)
    resets = (np.arange(6) == 3)[:, None]
    before = jax.grad(lambda b: parallel.linear_scan(A, b, state, resets=resets)[3:].sum())(jnp.asarray(b))
    assert not before[:3].any()
    assert before[3:].any()


@each_cell
@pytest.mark.parametrize("sizes", [(1, 1, 1, 1, 1), (7, 3, 4, 5, 2)], ids=str)
def test_the_backward_pass_is_jax_s(cell, sizes):
    params, xs, state, d_ys = case(cell, *sizes)

    def score(params, xs, state):
        return (unroll_scan(params, xs, state)[0] * d_ys).sum()

    for start in (state, None):
        grads = jax.jit(jax.grad(score, (0, 1)))(params, xs, start)
        back = parallel.parallel_backward(params, xs, d_ys, start)
        agree((back.grads, back.d_xs), grads)
    agree(parallel.parallel_backward(params, xs, d_ys, state).d_state, jax.jit(jax.grad(score, 2))(params, xs, state))


def test_errors_need_only_the_states_wherever_they_come_from():
    params, xs, state, d_ys = case("lstm", 6, 2, 3, 4, 2)
    solved = parallel.deer(params, xs, state, iterations=6)
    own = parallel.parallel_backward(params, xs, d_ys, state)
    agree(parallel.parallel_backward(params, xs, d_ys, state, states=solved.states), own)


@each_cell
def test_all_steps_at_once_have_jax_s_jacobians_and_their_diagonals(cell):
    params, xs, state, _ = case(cell, 3, 2, 4, 5, 2)
    before = backward.befores(state, unroll_states(params, xs, state)[1])
    after, Js = backward.linearised(params, xs, before)
    agree(after, unroll_states(params, xs, state)[1])
    flat = backward.flat(before)

    def step(params, x, s):
        after, _ = params.advance(params.drive(x) + params.recur(as_state(s)), as_state(s))
        return None, backward.flat(after)

    def as_state(s):
        return backward.like(s, jax.tree.map(lambda a: a[0, 0], before))

    for t in range(3):
        agree(Js[t], jacobians(step, params, xs[t][None], flat[t])[0])
    same, diagonals = newton.diagonals(params, xs, before)
    agree((same, diagonals), (after, jnp.diagonal(Js, axis1=-2, axis2=-1)))


SOLVERS = {"deer": parallel.deer, "quasi_deer": parallel.quasi_deer}


@each_cell
@pytest.mark.parametrize("name", SOLVERS)
def test_after_k_iterations_the_first_k_states_are_exact_and_after_all_the_run_is(cell, name):
    params, xs, state, _ = case(cell, 7, 2, 3, 4, 2)
    states = unroll_states(params, xs, state)[1]
    solved = SOLVERS[name](params, xs, state, iterations=3)
    agree(jax.tree.map(lambda s: s[:3], solved.states), jax.tree.map(lambda s: s[:3], states))
    solved = SOLVERS[name](params, xs, state, guess=solved.states, iterations=4)
    agree(solved.states, states)
    assert solved.residuals[-1] < 1e-12


def test_newton_doubles_the_digits_and_stops_where_it_is_told():
    params, xs, _, _ = case("elman", 40, 1, 3, 8, 2)
    params = params._replace(W_hh=params.W_hh * 0.5)
    residuals = np.asarray(parallel.deer(params, xs, iterations=8).residuals)
    small = residuals[(residuals < 0.1) & (residuals > 1e-7)]
    assert (residuals[1:][residuals[:-1] == small[-1]] < small[-1] ** 1.5).all()
    solved = parallel.deer(params, xs, iterations=40, tolerance=1e-6)
    assert solved.residuals[solved.iterations] <= 1e-6 < solved.residuals[solved.iterations - 1]
    assert np.isnan(solved.residuals[solved.iterations + 1 :]).all()


def test_what_overflows_begins_again_and_arrives():
    params, xs, state, _ = case("elman", 7, 2, 3, 4, 2)
    lost = np.where(np.arange(7)[:, None, None] < 2, 0.1, np.inf) * np.ones((7, 2, 4))
    solved = parallel.deer(params, xs, state, guess=lost, iterations=7)
    assert not np.isfinite(solved.residuals[0])
    agree(solved.states, unroll_states(params, xs, state)[1])


def test_a_damped_step_is_the_lowest_point_of_its_sum_of_squares():
    rng = np.random.default_rng(0)
    Js, r = rng.standard_normal((5, 2, 3, 3)), rng.standard_normal((5, 2, 3))
    for damping in (0.0, 0.3, 20.0):
        got = jax.jit(smoothed)(jnp.asarray(Js), jnp.asarray(r), damping)
        for b in range(2):
            F = np.eye(15)  # δ_t − J_t δ_{t-1} of all steps
            for t in range(1, 5):
                F[3 * t : 3 * t + 3, 3 * t - 3 : 3 * t] = -Js[t, b]
            expected = np.linalg.solve(F.T @ F + damping * np.eye(15), F.T @ r[:, b].ravel())
            agree(got[:, b].ravel(), expected)


def test_damping_is_a_road_from_deer_to_standing_still():
    params, xs, state, _ = case("gru", 6, 2, 3, 4, 2)
    agree(parallel.elk(params, xs, state, damping=0.0, iterations=2), parallel.deer(params, xs, state, iterations=2))
    moved = [jnp.abs(parallel.elk(params, xs, state, damping=d, iterations=1).states).max() for d in (0.0, 1.0, 1e6)]
    assert moved[0] > moved[1] > moved[2]
    assert moved[2] < 1e-5
    solved = parallel.elk(params, xs, state, damping=0.01, iterations=40)
    agree(solved.states, unroll_states(params, xs, state)[1], 1e-6)


FOUR = """
import json
import jax, jax.numpy as jnp, numpy as np
jax.config.update("jax_enable_x64", True)
from rnnlib import cells, losses, parallel, unroll

rng, lengths = np.random.default_rng(0), np.array([9, 2, 3, 5, 1, 8, 0, 0])
params, mask = cells.init_lstm(3, 4, 2, rng=rng), np.arange(9)[:, None] < lengths
xs, targets = rng.standard_normal((9, 8, 3)), rng.standard_normal((9, 8, 2))
xs[~mask] = np.nan

def total(params, xs, targets, mask):
    ys, _ = unroll.unroll_scan(params, xs, mask=mask)
    return losses.squared_error(ys, targets, mask.astype(ys.dtype)), mask.sum()

def mean(params, *batch):
    value, count = total(params, *batch)
    return value / count

def distance(a, b):
    return max(float(abs(np.asarray(x) - np.asarray(y)).max()) for x, y in zip(*map(jax.tree.leaves, (a, b))))

batch = xs, targets, mask
one = jax.value_and_grad(mean)(params, *batch)
four = parallel.sharded_gradient(total)(params, *batch)
two = parallel.sharded_gradient(total, devices=jax.devices()[:2])(params, *batch)
full = parallel.sharded_gradient(lambda p, *b: (mean(p, *b), 1.0))(params, *(a[:, :4] for a in batch))  # pmean of means
exact = jax.value_and_grad(mean)(params, *(a[:, :4] for a in batch))
print(json.dumps([len(jax.devices()), distance(one, four), distance(one, two), distance(full, exact)]))
"""


def test_many_devices_have_one_device_s_gradient_and_the_mean_of_means_has_not():
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=4"
    environment = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    root = Path(__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", FOUR], cwd=root, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    devices, four, two, of_means = json.loads(done.stdout)
    assert devices == 4
    assert max(four, two) < 1e-10
    assert of_means > 1e-3, "each device's mean counts alike, though the devices have 9, 2, 3 and 5 steps"


PARAMS, XS, STATE, D_YS = case("elman", 5, 2, 3, 4, 2)
A, B_, S0, _ = recurrence(5, 2, 3, 0, False)
BAD = {
    "matrices of another size": (
        lambda: parallel.linear_scan(A[..., :2], B_),
        "linear_scan: A must be (5, 2, 3, 3) to match b (5, 2, 3), got (5, 2, 3, 2). Time first; a diagonal matrix",
    ),
    "no batch": (
        lambda: parallel.linear_scan(A[:, 0], B_[:, 0]),
        "linear_scan: b must be (T, B, H) (time, batch, state), got (5, 3). One sequence alone is b[:, None].",
    ),
    "a state without a batch": (
        lambda: parallel.linear_loop(A, B_, S0[0]),
        "linear_loop: state must be (2, 3) to match b (5, 2, 3), got (3,). One a sequence.",
    ),
    "whole numbers": (
        lambda: parallel.linear_scan(A, B_.astype(int)),
        "linear_scan: b must hold floating-point numbers, got int64.",
    ),
    "errors of a step less": (
        lambda: parallel.parallel_backward(PARAMS, XS, D_YS[1:]),
        "parallel_backward: d_ys must be (5, 2, 2) to match xs (5, 2, 3), got (4, 2, 2). Time first.",
    ),
    "no iterations": (
        lambda: parallel.deer(PARAMS, XS, iterations=0),
        "deer: iterations must be at least 1, got 0. T are always enough.",
    ),
    "a guess of one step": (
        lambda: parallel.quasi_deer(PARAMS, XS, guess=STATE[None]),
        "quasi_deer: guess must be (5, 2, 4) as the states, got (1, 2, 4). None begins with zeros.",
    ),
    "damping that pushes": (
        lambda: parallel.elk(PARAMS, XS, damping=-1.0),
        "elk: damping must be 0 or more, got -1.0. 0 is deer; try 1, and less where it works.",
    ),
    "one sequence alone for a device": (
        lambda: parallel.sharded_gradient(lambda w, xs: (w, 1))(1.0, np.ones(3)),
        "sharded_gradient: batch[0] must be (T, B, ...) with B a multiple of 1 devices, got (3,). Try batching.batches",
    ),
}


@pytest.mark.bad_input
@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_explained(name):
    call, message = BAD[name]
    with pytest.raises((ValueError, TypeError), match=re.escape(message)):
        call()
