"""Products with J, H and G against these matrices written out, from a net that is a plain loop: with every cell, loss and mask."""

import re
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from jax.extend.core import jaxprs_in_params
from jax.flatten_util import ravel_pytree

from rnnlib import bptt, cells, losses
from rnnlib.curvature import as_matrix, gauss_newton, hessian_vector, jacobian_vector, vector_jacobian
from rnnlib.gradcheck import compare, finite_differences
from rnnlib.unroll import unroll_scan, unroll_states
from tests.strategies import problems

CELLS = {"elman": cells.init_elman, "lstm": cells.init_lstm, "gru": cells.init_gru}
LOSSES = ["softmax_cross_entropy", "squared_error"]
WHOLE, ONE_STEP, ONE_SEQUENCE = (3, 2, 2, 2, 2), (1, 2, 1, 2, 2), (3, 1, 2, 1, 2)
PROBLEMS = [
    *(("elman", loss, masked, WHOLE) for loss in LOSSES for masked in (False, True)),
    ("lstm", "squared_error", True, WHOLE),
    ("gru", "softmax_cross_entropy", True, WHOLE),
    ("lstm", "softmax_cross_entropy", False, ONE_STEP),
    ("gru", "squared_error", False, ONE_SEQUENCE),
]


class Case(NamedTuple):
    params: object  # none of them zero, h0 included
    outputs: object  # params to z, by unroll_scan
    plainly: object  # the same by a loop
    loss: object  # z to L


def case(cell, loss="squared_error", masked=False, sizes=WHOLE, dtype=np.float64):
    T, B, D, H, K = sizes
    rng = np.random.default_rng(T)
    params = CELLS[cell](D, H, K, rng=rng, dtype=dtype)
    params = jax.tree.map(lambda p: (p + 0.3 * rng.standard_normal(p.shape)).astype(dtype), params)
    xs, values = (rng.standard_normal((T, B, n)).astype(dtype) for n in (D, K))
    targets = {"softmax_cross_entropy": rng.integers(0, K, (T, B)), "squared_error": values}[loss]
    mask = np.arange(T)[:, None] < np.arange(T, T - B, -1) if masked else None  # of lengths T, T − 1 ...
    weights = {"softmax_cross_entropy": None, "squared_error": rng.random((T, B)).astype(dtype)}[loss]
    weights = losses.mean_over_steps(mask.astype(dtype)) if masked else weights

    def plainly(params):
        state = jax.tree.map(lambda h: jnp.stack([jnp.asarray(h)] * B), params.h0)
        ys = []
        for t in range(T):
            _, after = jax.vmap(cells.step, (None, 0, 0))(params, xs[t], state)
            keep = np.ones((B, 1), bool) if mask is None else mask[t, :, None]
            state = jax.tree.map(lambda new, old, keep=keep: jnp.where(keep, new, old), after, state)
            ys.append(jax.vmap(params.readout)(state))
        return jnp.stack(ys)

    return Case(
        params,
        lambda params: unroll_scan(params, xs, mask=mask)[0],
        plainly,
        lambda ys: getattr(losses, loss)(ys, targets, weights),
    )


def matrices(outputs, loss, params):
    """J, H and G as they are defined, by differentiation along every axis."""
    flat, restore = ravel_pytree(params)

    @jax.jit
    def explicit(flat):
        z, restore_z = ravel_pytree(outputs(restore(flat)))
        J = jax.jacobian(lambda flat: ravel_pytree(outputs(restore(flat)))[0])(flat)
        H = jax.hessian(lambda flat: loss(outputs(restore(flat))))(flat)
        return J, H, J.T @ jax.hessian(lambda z: loss(restore_z(z)))(z) @ J

    return explicit(flat)


def draw(like, seed=0):
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda a: rng.standard_normal(np.shape(a)).astype(a.dtype), like)


def vector(tree):
    return np.asarray(ravel_pytree(tree)[0])


def agree(a, b, tolerance=1e-10):
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(("cell", "loss", "masked", "sizes"), PROBLEMS, ids=str)
def test_products_are_those_of_the_matrices_written_out(cell, loss, masked, sizes):
    params, outputs, plainly, loss = case(cell, loss, masked, sizes)
    J, H, G = matrices(plainly, loss, params)
    v, u = draw(params), draw(jax.eval_shape(outputs, params))

    @jax.jit
    def products(p, v, u):
        hessian = as_matrix(lambda v: hessian_vector(lambda p: loss(outputs(p)), p, v), p)
        newton = as_matrix(gauss_newton(outputs, loss, p), p)
        return jacobian_vector(outputs, p, v), vector_jacobian(outputs, p, u), hessian, newton

    Jv, uJ, own_H, own_G = products(params, v, u)
    agree(vector(Jv), J @ vector(v))
    agree(vector(uJ), vector(u) @ J)
    agree(own_H, H)
    agree(own_G, G)
    agree(own_G, own_G.T, 1e-14)
    assert np.linalg.eigvalsh(own_G).min() > -1e-14, "both losses are convex in the outputs"
    h0 = vector(jax.tree.map(jnp.zeros_like, params)._replace(h0=jax.tree.map(jnp.ones_like, params.h0))) == 1
    assert np.abs(own_G[h0]).max(axis=1).all(), "the trained h0 has its rows"


@jax.jit
def newton_times(params, xs, targets, v):
    return gauss_newton(lambda p: unroll_scan(p, xs)[0], lambda ys: losses.squared_error(ys, targets), params)(v)


@settings(max_examples=6)
@given(problems(T=(1, 3), B=(1, 2), D=(2, 2), H=(1, 2), K=(2, 2)))  # JAX compiles anew for each shape
def test_a_gauss_newton_product_is_that_of_the_jacobian_by_hand(problem):
    params, xs, targets = problem
    tape = bptt.forward(params, xs)
    errors = np.eye(targets.size).reshape(-1, *targets.shape)  # each output alone
    J = np.stack([vector(bptt.backward(params, tape, error)) for error in errors])
    v = draw(params)
    agree(vector(newton_times(params, xs, targets, v)), J.T @ (J @ vector(v)) / targets[..., 0].size)


@pytest.mark.parametrize("cell", ["elman", "lstm"])  # states that are an array, and a pair
def test_outputs_may_be_a_pytree_with_a_loss_on_all_of_it(cell):
    params, xs = case(cell).params, np.random.default_rng(0).standard_normal((3, 2, 2))
    _, before = unroll_states(params, xs)

    def outputs(params):
        return unroll_states(params, xs)

    def loss(z):
        ys, states = z
        moved = jax.tree.map(lambda s, old: ((s - old) ** 2).sum(), states, before)
        return losses.softmax_cross_entropy(ys, np.ones((3, 2), int)) + 0.3 * sum(jax.tree.leaves(moved))

    J, _, G = matrices(outputs, loss, params)
    v, u = draw(params), draw(jax.eval_shape(outputs, params))

    @jax.jit
    def products(p, v, u):
        newton = as_matrix(gauss_newton(outputs, loss, p), p)
        return jacobian_vector(outputs, p, v), vector_jacobian(outputs, p, u), newton

    Jv, uJ, own_G = products(params, v, u)
    assert jax.tree.structure(Jv) == jax.tree.structure(u)
    agree(vector(Jv), J @ vector(v))
    agree(vector(uJ), vector(u) @ J)
    agree(own_G, G)


@pytest.mark.parametrize("cell", CELLS)
def test_a_hessian_product_is_the_difference_of_gradients(cell):
    params, outputs, _, loss = case(cell)
    flat, restore = ravel_pytree(params)
    v = draw(flat)
    gradient = jax.grad(lambda flat: loss(outputs(restore(flat))))
    numeric = finite_differences(jax.jit(lambda flat: gradient(flat) @ v), np.asarray(flat))
    exact = hessian_vector(lambda flat: loss(outputs(restore(flat))), flat, v)
    assert compare(exact, numeric).agree


def test_a_hessian_may_point_down_where_the_gauss_newton_matrix_does_not():
    params, w = jnp.array([1.0, 1.0]), jnp.array([-2.0, 1.0])
    H = as_matrix(lambda v: hessian_vector(lambda p: ((p[0] * p[1] - 3) ** 2) / 2, params, v), params)
    G = as_matrix(gauss_newton(lambda p: p[0] * p[1], lambda z: (z - 3) ** 2 / 2, params), params)
    agree(G, [[1, 1], [1, 1]], 0)
    agree(H, [[1, -1], [-1, 1]], 0)  # G, and the error −2 times the curvature of p_0 p_1
    assert w @ H @ w > 0
    params, outputs, _, loss = case("elman")
    H, G = jax.jit(
        lambda p: (
            as_matrix(lambda v: hessian_vector(lambda p: loss(outputs(p)), p, v), p),
            as_matrix(gauss_newton(outputs, loss, p), p),
        )
    )(params)
    assert np.linalg.eigvalsh(H).min() < -1e-3
    assert np.linalg.eigvalsh(G).min() > -1e-14


def test_a_loss_that_is_not_convex_has_a_gauss_newton_matrix_that_is_not_positive():
    product = gauss_newton(lambda p: 2 * p, lambda z: -(z**2).sum() / 2, jnp.ones(3))
    agree(as_matrix(product, jnp.ones(3)), -4 * np.eye(3), 0)


def test_products_are_linear_in_the_direction_also_under_vmap():
    def mix(rows):
        return 2 * rows[0] - 3 * rows[1] + rows[2]

    params, outputs, _, loss = case("lstm", "softmax_cross_entropy")
    vs = jax.tree.map(lambda *rows: np.stack(rows), *(draw(params, seed) for seed in range(3)))
    mixed = jax.tree.map(mix, vs)
    newton = gauss_newton(outputs, loss, params)

    def products(v):
        hessian = hessian_vector(lambda p: loss(outputs(p)), params, v)
        return jacobian_vector(outputs, params, v), hessian, newton(v)

    many, one = jax.jit(lambda vs, v: (jax.vmap(products)(vs), products(v)))(vs, mixed)
    for own, rows in zip(one, many, strict=True):
        agree(vector(own), vector(jax.tree.map(mix, rows)))
        assert np.abs(vector(own)).max() > 1e-3


def test_vmap_over_parameters_is_one_product_for_each_net():
    params, outputs, _, loss = case("gru")
    many, v = jax.tree.map(lambda p: np.stack([p, 2 * p]), params), draw(params)

    @jax.jit
    def product(params):
        return ravel_pytree(gauss_newton(outputs, loss, params)(v))[0]

    both = jax.jit(jax.vmap(product))(many)
    agree(both[0], product(params))
    agree(both[1], product(jax.tree.map(lambda p: 2 * p, params)))


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_float32_stays_float32(cell):
    def products(params, outputs, _, loss):
        v, u = draw(params), draw(jax.eval_shape(outputs, params))
        return jax.jit(
            lambda p: {
                "J v": jacobian_vector(outputs, p, v),
                "u J": vector_jacobian(outputs, p, u),
                "H v": hessian_vector(lambda p: loss(outputs(p)), p, v),
                "G": as_matrix(gauss_newton(outputs, loss, p), p),
            }
        )(params)

    narrow = products(*case(cell, dtype=np.float32))
    assert {leaf.dtype for leaf in jax.tree.leaves(narrow)} == {np.dtype(np.float32)}
    agree(vector(narrow), vector(products(*case(cell))), 1e-4)


def primitives(jaxpr):
    for equation in jaxpr.eqns:
        yield equation.primitive.name
        for sub in jaxprs_in_params(equation.params):
            yield from primitives(sub)


@pytest.mark.parametrize("cell", CELLS)
def test_the_forward_pass_is_run_once_however_many_products_follow(cell):
    params, outputs, _, loss = case(cell)
    calls = []

    def counted(params):
        calls.append(1)
        return outputs(params)

    def after(products):
        def run(params, v):
            product = gauss_newton(counted, loss, params)
            for _ in range(products):
                v = product(v)
            return v

        names = list(primitives(jax.make_jaxpr(run)(params, draw(params)).jaxpr))
        return names.count("scan"), names.count("tanh")

    (scans, tanhs), (more_scans, more_tanhs) = after(1), after(4)
    assert len(calls) == 2, "once each"
    assert (scans, more_scans) == (1 + 2, 1 + 4 * 2), "the net's own, then one there and one back for each product"
    assert tanhs == more_tanhs > 0
    product = gauss_newton(counted, loss, params)
    as_matrix(product, params)
    assert len(calls) == 3


def test_a_matrix_has_a_column_for_each_parameter_in_the_order_of_ravel_pytree():
    M = np.random.default_rng(0).standard_normal((5, 5))
    like = {"b": np.zeros(3), "a": np.zeros((1, 2))}

    def product(v):
        flat, restore = ravel_pytree(v)
        return restore(M @ flat)

    agree(as_matrix(product, like), M, 1e-14)
    assert product({"b": np.zeros(3), "a": np.array([[1.0, 0.0]])})["a"][0, 1] == M[1, 0]


@pytest.mark.bad_input
def test_bad_directions_are_explained():
    params = {"w": np.ones((2, 3)), "b": np.ones(3)}
    short, renamed = {"w": np.ones((2, 3)), "b": np.ones(2)}, {"w": np.ones((2, 3)), "c": np.ones(3)}

    def outputs(params):
        return params["w"] + params["b"][None]

    def loss(z):
        return (z**2).sum()

    for product, where in (
        (lambda v: jacobian_vector(outputs, params, v), "jacobian_vector"),
        (lambda v: hessian_vector(lambda p: loss(outputs(p)), params, v), "hessian_vector"),
        (gauss_newton(outputs, loss, params), "gauss_newton"),
    ):
        message = f"{where}: v must be shaped as params, {{'b': (3,), 'w': (2, 3)}}, got "
        for v, got in (
            (short, "{'b': (2,), 'w': (2, 3)}"),
            (renamed, "{'c': (3,), 'w': (2, 3)}"),
            (np.ones(9), "(9,)"),
        ):
            with pytest.raises(ValueError, match="^" + re.escape(f"{message}{got}. Try jax.tree.map.")):
                product(v)
    with pytest.raises(ValueError, match=r"^vector_jacobian: u must be shaped as outputs, \(2, 3\), got \(3, 2\)\."):
        vector_jacobian(outputs, params, np.ones((3, 2)))
    elman = cells.init_elman(2, 3, 1, rng=np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"^hessian_vector: v must be shaped as params, ElmanParams\("):
        hessian_vector(lambda p: p.W_hh.sum(), elman, tuple(elman))  # the same arrays, and no ElmanParams
