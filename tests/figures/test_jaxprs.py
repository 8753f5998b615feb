"""What is read in a jaxpr is what the program does: values against a run of it, names and lines against loops written out here."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnlib import bptt, losses
from rnnlib.cells import elman_step
from rnnlib.figures import jaxprs
from tests.strategies import problem

T, B, D, H, K = 5, 2, 3, 4, 2
case = problem(T, B, D, H, K)


def total(params, xs):
    h0 = jnp.broadcast_to(params.h0, (B, H))
    ys = jax.lax.scan(lambda h, x: jax.vmap(partial(elman_step, params))(x, h)[::-1], h0, xs)[1]
    return losses.squared_error(ys, case.d_ys)


@pytest.fixture(scope="module")
def program():
    return jax.make_jaxpr(jax.grad(total))(case.params, case.xs)


def loop(body, carry, xs):
    (scan,) = jaxprs.scans(jax.make_jaxpr(lambda carry, xs: jax.lax.scan(body, carry, xs))(carry, xs))
    return scan


def lines(body, carry, xs, *names):
    scan = loop(body, carry, xs)
    return jaxprs.read(scan, dict(zip(scan.params["jaxpr"].jaxpr.invars, names, strict=True))).splitlines()


def test_a_gradient_has_two_scans_and_their_values_are_those_by_hand(program):
    tape = bptt.forward(case.params, case.xs)
    by_hand = bptt.backward(case.params, tape, losses.squared_error_grad(tape.ys, case.d_ys))
    ahead, back = jaxprs.scans(program)
    assert [scan.params["reverse"] for scan in (ahead, back)] == [False, True]
    last = jaxprs.values(program, ahead.outvars, case.params, case.xs)[0]
    np.testing.assert_allclose(last, tape.hs[-1], rtol=1e-10, atol=1e-12)
    W_xh, W_hh, b_h, W_hy, b_y, left = jaxprs.values(program, back.outvars, case.params, case.xs)[:6]
    for found, wanted in zip((W_xh, W_hh, b_h, W_hy, b_y, left.sum(0)), by_hand, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-10, atol=1e-12)


def test_what_enters_is_named_by_value_or_by_the_shape_of_zeros(program):
    tape = bptt.forward(case.params, case.xs)
    _, back = jaxprs.scans(program)
    entering = jaxprs.values(program, back.invars, case.params, case.xs)
    known = {"x": case.xs, "h": tape.hs[1:], "W_hh": case.params.W_hh, "dW_hh": (H, H), "carried": (B, H)}
    found = list(jaxprs.names(back, entering, known).values())
    assert len(found) == len(back.invars)
    consts, carry = back.params["num_consts"], back.params["num_carry"]
    assert "W_hh" in found[:consts]
    assert {"dW_hh", "carried"} <= set(found[consts : consts + carry])
    assert {"x", "h"} <= set(found[consts + carry :])
    assert "?" in found  # W_hy, say, was not among the known


def test_a_shape_names_zeros_only():
    scan = loop(lambda h, x: (h + x, None), np.ones(3), np.zeros((T, 3)))
    assert list(jaxprs.names(scan, [np.ones(3), np.zeros((T, 3))], {"sum": (3,), "x": (T, 3)}).values()) == ["?", "x"]


@pytest.mark.parametrize("length", [1, 10, 1000])
def test_count_counts_a_loop_once_however_long(length):
    def run(h, xs):
        return jax.lax.scan(lambda h, x: (jnp.tanh(h * x), None), h, xs)[0]

    assert jaxprs.count(jax.make_jaxpr(run)(np.float64(1), np.ones(length))) == 3  # the scan, and two inside


def test_count_looks_into_calls():
    assert jaxprs.count(jax.make_jaxpr(jax.jit(lambda x: 2 * x + 1))(1.0)) == 3


@pytest.mark.parametrize(
    ("product", "written"),
    [
        (lambda a, b: a @ b, "a @ b"),
        (lambda a, b: a @ b.T, "a @ bᵀ"),
        (lambda a, b: jax.lax.dot_general(a, b, (([0], [0]), ([], []))), "aᵀ @ b"),
        (lambda a, b: jax.lax.dot_general(a, b, (([1], [1]), ([], []))), "a @ bᵀ"),
        (lambda a, b: a + b, "a + b"),
        (lambda a, b: a - b, "a − b"),
        (lambda a, b: a * b, "a ⊙ b"),
        (lambda a, b: a / b, "a / b"),
        (lambda a, b: a + jnp.broadcast_to(b.sum(), (3, 3)), None),
    ],
)
def test_operations_are_written_as_one_would(product, written):
    found = lines(lambda a, b: (product(a, b), None), np.ones((3, 3)), np.ones((T, 3, 3)), "a", "b")
    if written is None:
        assert "Σ b" in found[0]
    else:
        assert found == [f" v1 = {written}", "handed on: v1"]


def test_carry_and_what_is_laid_aside_come_last():
    found = lines(lambda h, x: (jnp.tanh(h), h * 2.0), 1.0, np.ones(T), "h", "x")
    assert found == [" v1 = tanh h", " v2 = h ⊙ 2.0", "handed on: v1 v2"]


def test_more_than_one_result():
    def body(h, x):
        return jax.lax.top_k(h, 2)[0], None

    assert lines(body, np.ones(2), np.ones(T), "h", "x")[0] == "v1, v1b = top_k h"
