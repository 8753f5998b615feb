"""Conjugate gradients against SciPy's, iterate by iterate, and against direct solutions; why they stop, what they keep and ask for."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse.linalg
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.flatten_util import ravel_pytree

from rnnlib.cg import REASONS, solve


def positive(N, seed=0, *, eigenvalues=None, dtype=np.float64):
    """A symmetric positive matrix with the eigenvalues given, between 1 and 10 by default, and a right-hand side."""
    rng = np.random.default_rng(seed)
    eigenvalues = rng.uniform(1, 10, N) if eigenvalues is None else eigenvalues
    axes = np.linalg.qr(rng.standard_normal((N, N)))[0]
    return ((axes * eigenvalues) @ axes.T).astype(dtype), rng.standard_normal(N).astype(dtype)


def run(A, b, x0=None, **settings):
    return solve(lambda v: A @ v, b, x0, **settings)


def why(solution):
    return REASONS[solution.reason]


def phi(A, b, x):
    return x @ A @ x / 2 - b @ x


def agree(a, b, tolerance=1e-10):
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


EVERY = {"growth": 1.01, "progress": 0.0}  # so slow that each iterate is kept


@pytest.mark.parametrize("warm", [False, True])
@pytest.mark.parametrize("preconditioned", [False, True])
def test_iterates_are_those_of_scipy(warm, preconditioned):
    A, b = positive(12, eigenvalues=np.geomspace(1, 100, 12))
    x0 = np.arange(12) / 10 if warm else None
    inverse = np.diag(1 / (np.diag(A) + np.arange(12))) if preconditioned else None
    precondition = (lambda r: inverse @ r) if preconditioned else None
    solution = run(A, b, x0, precondition=precondition, iterations=9, **EVERY)
    assert solution.kept_at.tolist() == list(range(1, 10))
    for k, x in enumerate(solution.kept, 1):
        agree(x, scipy.sparse.linalg.cg(A, b, x0, rtol=1e-300, maxiter=k, M=inverse)[0])
    agree(solution.x, solution.kept[-1], 1e-14)


@jax.jit
def solve_preconditioned(A, b, x0, inverse):
    return solve(lambda v: A @ v, b, x0, precondition=lambda r: inverse * r, iterations=20, residual=1e-11)


@settings(max_examples=50)
@given(st.integers(1, 6), st.integers(0, 2**16), st.booleans(), st.booleans())
def test_any_positive_system_is_solved_in_as_many_steps_as_it_has_unknowns(N, seed, warm, preconditioned):
    A, b = positive(N, seed)
    x0 = np.ones(N) if warm else np.zeros(N)
    solution = solve_preconditioned(A, b, x0, 1 / np.diag(A) if preconditioned else np.ones(N))
    assert solution.iterations <= N + 1, "and one for rounding"
    assert why(solution) == "residual below tolerance"
    agree(solution.x, np.linalg.solve(A, b), 1e-9)


def test_eigenvalues_in_three_places_ask_for_three_steps():
    A, b = positive(30, eigenvalues=np.repeat([1.0, 5.0, 20.0], 10))
    solution = run(A, b, residual=1e-10)
    assert (int(solution.iterations), why(solution)) == (3, "residual below tolerance")
    agree(solution.x, np.linalg.solve(A, b), 1e-9)


def test_the_exact_inverse_as_preconditioner_asks_for_one_step():
    A, b = positive(8)
    solution = run(A, b, residual=1e-10, precondition=lambda r: jnp.linalg.solve(A, r))
    assert int(solution.iterations) == 1
    agree(solution.x, np.linalg.solve(A, b))


def test_a_pytree_is_solved_as_the_vector_it_makes():
    A, b = positive(7)
    tree = {"w": jnp.zeros((2, 2)), "b": (jnp.zeros(2), jnp.zeros(()))}
    restore = ravel_pytree(tree)[1]

    def product(v):
        return restore(A @ ravel_pytree(v)[0])

    def halved(r):
        return jax.tree.map(lambda leaf: leaf / 2, r)

    as_tree = solve(product, restore(b), restore(np.ones(7)), precondition=halved, iterations=5)
    as_vector = run(A, b, np.ones(7), precondition=halved, iterations=5)
    assert jax.tree.structure(as_tree.x) == jax.tree.structure(as_tree.kept) == jax.tree.structure(tree)
    agree(ravel_pytree(as_tree.x)[0], as_vector.x, 1e-14)
    agree(jax.vmap(lambda x: ravel_pytree(x)[0])(as_tree.kept), as_vector.kept, 1e-14)
    for name in ("iterations", "reason", "values", "curvature", "kept_at"):
        agree(getattr(as_tree, name), getattr(as_vector, name), 1e-14)


def test_it_stops_at_the_first_residual_that_is_small_enough():
    A, b = positive(20, eigenvalues=np.geomspace(1, 100, 20))
    solution = run(A, b, residual=1e-3, iterations=40, **EVERY)
    relative = [np.linalg.norm(b - A @ x) / np.linalg.norm(b) for x in solution.kept]
    assert why(solution) == "residual below tolerance"
    assert 1 < solution.iterations == 1 + np.argmax(np.array(relative) <= 1e-3) < 20


def test_nothing_is_done_where_the_start_is_the_solution():
    A, b = np.diag([2.0, 4.0]), np.array([1.0, 1.0])
    for solution in (run(A, b, np.array([0.5, 0.25])), run(A, 0 * b)):
        assert (int(solution.iterations), why(solution)) == (0, "residual below tolerance")
        assert (solution.kept_at == -1).all()
    agree(run(A, b, np.array([0.5, 0.25])).x, [0.5, 0.25], 0)
    agree(run(A, 0 * b).x, [0, 0], 0)


@pytest.mark.parametrize(("progress", "after_a_hundred"), [(5e-3, False), (5e-4, True)])
def test_it_stops_when_the_last_steps_gained_too_little(progress, after_a_hundred):
    A, b = positive(300, eigenvalues=np.geomspace(1e-4, 1, 300))
    solution = run(A, b, progress=progress)
    values, last = np.asarray(solution.values), int(solution.iterations)

    def crawls(i):
        k = max(10, i // 10)
        return i > k and values[i] < 0 and (values[i] - values[i - k]) / values[i] < k * progress

    assert why(solution) == "progress below tolerance"
    assert [i for i in range(1, last + 1) if crawls(i)] == [last]
    assert (last > 110) == after_a_hundred, "where the last tenth is more than ten steps"


def test_it_stops_when_its_iterations_are_used_up():
    A, b = positive(20)
    solution = run(A, b, iterations=3)
    assert (int(solution.iterations), why(solution)) == (3, "iterations used up")
    assert solution.values.shape == (4,)


def test_a_direction_of_negative_curvature_is_not_taken():
    A, b = np.diag([3.0, 1.0, -1.0]), np.array([1.0, 1.0, 0.5])
    solution, before = run(A, b), run(A, b, iterations=1)
    assert (int(solution.iterations), why(solution)) == (1, "negative curvature")
    agree(solution.x, before.x, 1e-14)
    agree(solution.x, (b @ b) / (b @ A @ b) * b)
    r = b - A @ solution.x
    p = r + (r @ r) / (b @ b) * b
    agree(solution.curvature, (p @ A @ p) / (p @ p))
    assert solution.curvature < 0
    assert solution.kept_at[:2].tolist() == [1, -1]
    assert np.isfinite(solution.values).tolist()[:3] == [True, True, False]


@pytest.mark.parametrize("eigenvalue", [-2.0, 0.0])
def test_curvature_that_is_not_positive_at_once_leaves_the_start(eigenvalue):
    solution = solve(lambda v: eigenvalue * v, np.ones(3), np.full(3, 0.25))
    assert (int(solution.iterations), why(solution)) == (0, "negative curvature")
    agree(solution.x, np.full(3, 0.25), 0)
    agree(solution.curvature, eigenvalue, 1e-12)


def test_a_step_to_nan_is_not_taken():
    A, b = positive(6)
    spoilt = (
        solve(lambda v: jnp.where(jnp.all((v == 0) | (v == b)), A @ v, jnp.nan), b),  # right at the start and along b
        run(A, b, precondition=lambda r: jnp.where(jnp.all(r == b), r, jnp.nan)),  # right at the start
    )
    for solution, taken in zip(spoilt, (1, 0), strict=True):
        assert (int(solution.iterations), why(solution)) == (taken, "not finite")
        agree(solution.x, run(A, b, iterations=1).x * taken, 1e-14)
        assert np.isfinite(solution.values).sum() == taken + 1
        assert not np.isnan(solution.kept).any()


@pytest.mark.parametrize("odd", [np.nan, np.inf])
def test_a_right_hand_side_that_is_not_finite_leaves_the_start(odd):
    solution = run(np.eye(2), np.array([1.0, odd]), np.array([2.0, 3.0]))
    assert (int(solution.iterations), why(solution)) == (0, "not finite")
    agree(solution.x, [2, 3], 0)


@pytest.mark.parametrize(
    ("growth", "steps"), [(1.3, [1, 2, 3, 4, 5, 7, 9, 11, 14, 18, 24, 31, 40]), (2.0, [1, 2, 4, 8, 16, 32])]
)
def test_an_iterate_that_is_kept_is_where_a_run_would_have_ended(growth, steps):
    A, b = positive(60, eigenvalues=np.geomspace(1e-4, 1, 60))
    solution = run(A, b, iterations=40, growth=growth, progress=0.0)
    assert solution.kept_at.tolist() == steps
    for step, x in list(zip(steps, solution.kept, strict=True))[::3]:
        agree(x, run(A, b, iterations=step).x)


def test_places_that_were_not_reached_are_marked_and_zero():
    A, b = positive(60)
    solution = run(A, b, residual=0.1)
    reached = sum(step <= solution.iterations for step in (1, 2, 3, 4, 5, 7, 9, 11, 14))
    assert solution.kept_at.tolist()[:reached] == [1, 2, 3, 4, 5, 7, 9, 11, 14][:reached]
    assert (solution.kept_at[reached:] == -1).all()
    assert not solution.kept[reached:].any()
    assert solution.kept[:reached].any(axis=1).all()


def test_values_are_the_quadratic_s_and_fall():
    A, b = positive(30, eigenvalues=np.geomspace(1e-3, 1, 30))
    x0 = np.ones(30)
    solution = run(A, b, x0, iterations=20, residual=1e-2, **EVERY)
    last = int(solution.iterations)
    agree(solution.values[: last + 1], [phi(A, b, x) for x in (x0, *solution.kept[:last])])
    assert (np.diff(solution.values[: last + 1]) < 0).all()
    assert np.isnan(solution.values[last + 1 :]).all()


def test_each_iterate_is_the_lowest_point_of_its_krylov_subspace():
    A, b = positive(12, eigenvalues=np.geomspace(0.05, 1, 12))
    solution = run(A, b, iterations=6, **EVERY)
    for i, x in enumerate(solution.kept, 1):
        K = np.linalg.qr(np.stack([np.linalg.matrix_power(A, k) @ b for k in range(i)], axis=1))[0]
        agree(x, K @ np.linalg.solve(K.T @ A @ K, K.T @ b), 1e-9)


def test_directions_are_conjugate_and_residuals_at_right_angles():
    A, b = positive(12, eigenvalues=np.geomspace(0.05, 1, 12))
    xs = np.array([np.zeros(12), *run(A, b, iterations=12, **EVERY).kept])
    steps, residuals = np.diff(xs, axis=0), b - xs[:-1] @ A
    for gram in (steps @ A @ steps.T, residuals @ residuals.T):
        agree(gram, np.diag(np.diag(gram)), 1e-8)


def test_the_residual_may_grow_while_the_quadratic_falls():
    A, b = positive(12, 3, eigenvalues=np.geomspace(0.01, 1, 12))
    solution = run(A, b, iterations=11, **EVERY)
    residuals = [np.linalg.norm(b - A @ x) for x in solution.kept]
    assert max(np.diff(residuals)) > 0
    assert (np.diff(solution.values) < 0).all()


def test_it_gives_the_same_under_jit():
    A, b = positive(10)
    jax.tree.map(lambda a, b: agree(a, b, 1e-9), jax.jit(run)(A, b, np.ones(10)), run(A, b, np.ones(10)))


def test_each_system_of_a_batch_stops_by_itself():
    systems = [
        positive(6),
        positive(6, eigenvalues=np.repeat([1.0, 3.0], 3)),
        (np.diag([1.0, 1, 1, 1, 1, -0.5]), np.ones(6)),
        (np.eye(6), np.full(6, np.nan)),
        positive(6, eigenvalues=np.geomspace(1e-3, 1, 6)),
    ]

    def one(A, b):
        return run(A, b, iterations=5, residual=1e-8)

    batch = jax.jit(jax.vmap(one))(*map(np.stack, zip(*systems, strict=True)))
    for k, system in enumerate(systems):
        alone = one(*system)
        own = jax.tree.map(lambda leaf, k=k: leaf[k], batch)
        assert (int(own.iterations), why(own)) == (int(alone.iterations), why(alone))
        jax.tree.map(lambda a, b: agree(a, b, 1e-7), own, alone)
    assert len(set(batch.reason.tolist())) == 4
    assert len(set(batch.iterations.tolist())) >= 3


@pytest.mark.parametrize("ended", ["residual below tolerance", "iterations used up", "negative curvature"])
def test_a_step_asks_for_one_product(ended):
    A, b = positive(20)
    A = A - 2 * np.eye(20) if ended == "negative curvature" else A
    products = []

    def product(v):
        jax.debug.callback(lambda: products.append(1))
        return A @ v

    solution = jax.jit(lambda b: solve(product, b, iterations=8, residual=1e-2 * ("residual" in ended)))(b)
    jax.effects_barrier()
    assert why(solution) == ended
    assert len(products) == solution.iterations + 1 + (ended == "negative curvature"), (
        "one for the start, and one refused"
    )


def test_only_numbers_grow_with_the_iterations_and_kept_vectors_with_their_logarithm():
    A, b = positive(50)

    def shapes(iterations):
        solution = jax.eval_shape(lambda b: run(A, b, iterations=iterations), b)
        return {name: leaf.shape for name, leaf in solution._asdict().items()}

    few, many = shapes(100), shapes(10_000)
    assert few == {
        "x": (50,),
        "iterations": (),
        "reason": (),
        "values": (101,),
        "curvature": (),
        "kept": (16, 50),
        "kept_at": (16,),
    }
    assert many == few | {"values": (10_001,), "kept": (34, 50), "kept_at": (34,)}


@pytest.mark.parametrize("preconditioned", [False, True])
def test_float32_stays_float32(preconditioned):
    A, b = positive(10, dtype=np.float32)
    inverse = 1 / np.diag(A)
    solution = run(A, b, b, residual=1e-5, precondition=(lambda r: inverse * r) if preconditioned else None)
    assert {
        name: leaf.dtype.name for name, leaf in solution._asdict().items() if leaf.dtype.kind == "f"
    } == dict.fromkeys(("x", "values", "curvature", "kept"), "float32")
    assert why(solution) == "residual below tolerance"
    agree(solution.x, np.linalg.solve(A.astype(float), b), 1e-4)


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"iterations": 0}, ValueError, "iterations must be at least 1, got 0. Each asks for one product."),
        ({"iterations": 2.0}, TypeError, "iterations must be a whole number, at least 1, got 2.0. Each asks"),
        ({"growth": 1.0}, ValueError, "growth must be above 1, got 1.0. Try 1.3."),
        ({"growth": np.nan}, ValueError, "growth must be above 1, got nan. Try 1.3."),
        ({"progress": -1e-3}, ValueError, "progress must not be negative, got -0.001. It is relative: try 5e-4."),
        ({"residual": np.nan}, ValueError, "residual must not be negative, got nan. It is relative"),
    ],
    ids=str,
)
def test_bad_settings_are_explained(settings, error, message):
    with pytest.raises(error, match="^" + re.escape(f"solve: {message}")):
        solve(lambda v: v, np.ones(2), **settings)


@pytest.mark.bad_input
def test_a_wrong_start_or_right_hand_side_is_explained():
    with pytest.raises(
        ValueError, match=re.escape("solve: x0 must be shaped as b, (2,), got (3,). None begins at zero.")
    ):
        solve(lambda v: v, np.ones(2), np.ones(3))
    with pytest.raises(TypeError, match="solve: b must hold floating-point numbers, got int64"):
        solve(lambda v: v, np.ones(2, int))
