"""Every way to unroll, with every cell: the same outputs, states and derivatives as the obvious loop; and where things are computed."""

import re
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.extend.core import jaxprs_in_params
from jax.flatten_util import ravel_pytree

from rnnlib import bptt, cells, losses, unroll
from rnnlib.gradcheck import compare, finite_differences
from rnnlib.unroll import checkpointed, recurrence
from tests.strategies import problems

CELLS = {"elman": cells.init_elman, "lstm": cells.init_lstm, "gru": cells.init_gru}
FAST = {"scan": unroll.unroll_scan, "checkpointed": unroll.unroll_checkpointed}
ONE, SEVERAL = (1, 1, 1, 1, 1), (5, 3, 4, 5, 2)
CASES = [(cell, sizes, np.float64, 1e-10) for cell in CELLS for sizes in (ONE, SEVERAL)]
CASES += [("lstm", SEVERAL, np.float32, 5e-4)]  # its state is a pair; types go one way for all cells


def case(cell, T, B, D, H, K, dtype=np.float64):
    """A net none of whose parameters is zero, inputs, a state that is not h0, and errors."""
    rng = np.random.default_rng(T)
    params = CELLS[cell](D, H, K, rng=rng, dtype=dtype)
    params = jax.tree.map(lambda p: (p + 0.3 * rng.standard_normal(p.shape)).astype(dtype), params)
    state = jax.tree.map(lambda h: rng.standard_normal((B, H)).astype(dtype), params.h0)
    return params, rng.standard_normal((T, B, D)).astype(dtype), state, rng.standard_normal((T, B, K)).astype(dtype)


def agree(a, b, tolerance=1e-10):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance), a, b)


def score(run, d_ys):
    """A number that every output and the last state have a part in."""

    def of(params, xs, state):
        ys, last = run(params, xs, state)
        return (ys**2 * d_ys).sum() + sum((h**3).sum() for h in jax.tree.leaves(last))

    return of


@pytest.mark.parametrize(("cell", "sizes", "dtype", "tolerance"), CASES, ids=str)
def test_outputs_states_and_gradients_are_the_loop_s(cell, sizes, dtype, tolerance):
    params, xs, state, d_ys = case(cell, *sizes, dtype)

    def all_of(run):
        """Outputs, last states and gradients, from a given state and from h0, in one compilation."""
        given, own = jax.grad(score(run, d_ys), (0, 1, 2)), jax.grad(score(run, d_ys), (0, 1))
        both = jax.jit(lambda *at: (run(*at), run(*at[:2]), given(*at), own(*at[:2], None)))
        return both(params, xs, state)

    plain = all_of(unroll.unroll_loop)
    for run in (unroll.unroll_scan, partial(unroll.unroll_checkpointed, chunk=min(2, len(xs)))):
        fast = all_of(run)
        agree(fast, plain, tolerance)
        assert {leaf.dtype for leaf in jax.tree.leaves(fast)} == {np.dtype(dtype)}


@settings(max_examples=8)  # each shape is a compilation
@given(problems(), st.booleans())
def test_it_is_the_backward_pass_by_hand(problem, carried):
    params, xs, d_ys = problem
    state = np.full((xs.shape[1], len(params.b_h)), 0.3) if carried else None
    tape = bptt.forward(params, xs, state)
    ys, pull = jax.vjp(lambda p: unroll.unroll_scan(p, xs, state)[0], params)
    grads = pull(jnp.asarray(d_ys))[0]
    by_hand = bptt.backward(params, tape, d_ys)
    agree(ys, tape.ys)
    agree(grads, by_hand._replace(h0=0 * by_hand.h0) if carried else by_hand)


@pytest.mark.parametrize("cell", CELLS)
def test_it_passes_finite_differences(cell):
    params, xs, _, d_ys = case(cell, 4, 2, 3, 3, 2)
    objective = score(unroll.unroll_scan, d_ys)
    flat, restore = ravel_pytree(params)
    compiled = jax.jit(lambda flat: objective(restore(flat), xs, None))
    assert compare(jax.grad(compiled)(flat), finite_differences(compiled, np.asarray(flat))).agree


@pytest.mark.parametrize("cell", CELLS)
def test_forward_mode_vmap_and_second_derivatives(cell):
    params, xs, state, d_ys = case(cell, 3, 2, 3, 4, 2)
    direction = jax.tree.map(lambda p: np.random.default_rng(1).standard_normal(p.shape), (params, xs, state))
    many = jax.tree.map(lambda p: jnp.stack([p, 2 * p]), params)

    def derivatives(run):
        f = score(run, d_ys)
        forward = lambda *at: jax.jvp(f, at, direction)  # noqa: E731
        forward_over_reverse = lambda *at: jax.jvp(jax.grad(f, (0, 1, 2)), at, direction)[1]  # noqa: E731
        reverse_over_forward = jax.grad(lambda *at: forward(*at)[1], (0, 1, 2))
        every = (forward, forward_over_reverse, reverse_over_forward)
        batched = jax.vmap(jax.grad(f), (0, None, None))
        return jax.jit(lambda *at: (*(derive(*at) for derive in every), batched(many, *at[1:])))(params, xs, state)

    plain = derivatives(unroll.unroll_loop)
    for run in FAST.values() if cell == "lstm" else [unroll.unroll_scan]:  # chunks go one way for all cells
        agree(derivatives(run), plain)


@pytest.mark.parametrize("cell", CELLS)
def test_a_gauss_newton_product_is_the_explicit_matrix_s(cell):
    params, xs, _, _ = case(cell, 4, 2, 2, 3, 2)
    flat, restore = ravel_pytree(params)
    v = np.random.default_rng(0).standard_normal(flat.shape)

    def outputs(flat):
        return unroll.unroll_scan(restore(flat), xs)[0]

    _, push = jax.linearize(outputs, flat)
    _, pull = jax.vjp(outputs, flat)
    J = jax.jit(jax.jacfwd(lambda flat: unroll.unroll_loop(restore(flat), xs)[0]))(flat).reshape(-1, flat.size)
    agree(pull(push(v))[0], J.T @ (J @ v))


@pytest.mark.parametrize("cell", CELLS)
def test_a_mask_freezes_the_state(cell):
    params, xs, state, d_ys = case(cell, 7, 3, 4, 5, 2)
    lengths = np.array([7, 4, 1])
    mask = np.arange(7)[:, None] < lengths
    ys, last = unroll.unroll_scan(params, xs, state, mask=mask)
    grads = jax.grad(
        lambda p, s: score(lambda *at: unroll.unroll_scan(*at, mask=mask), d_ys * mask[..., None])(p, xs, s), (0, 1)
    )(params, state)
    total = jax.tree.map(jnp.zeros_like, params)
    for b, length in enumerate(lengths):
        alone = xs[:length, b : b + 1], jax.tree.map(lambda s, b=b: s[b : b + 1], state)
        own_ys, own_last = unroll.unroll_loop(params, *alone)
        agree(ys[:length, b : b + 1], own_ys)
        agree(jax.tree.map(lambda s, b=b: s[b : b + 1], last), own_last)
        np.testing.assert_array_equal(ys[length:, b], np.tile(ys[length - 1, b], (7 - length, 1)))
        g, g_state = jax.grad(score(unroll.unroll_loop, d_ys[:length, b : b + 1]), (0, 2))(params, *alone)
        total = jax.tree.map(jnp.add, total, g)
        agree(jax.tree.map(lambda s, b=b: s[b : b + 1], grads[1]), g_state)
    agree(grads[0], total)


def test_types_are_promoted_as_in_the_loop():
    params, xs, state, _ = case("elman", 5, 2, 3, 4, 2)
    narrow = jax.tree.map(lambda p: p.astype(np.float32), params)
    for arguments in ((narrow, xs, state), (narrow, xs), (params, xs.astype(np.float32), (10 * state).astype(int))):
        agree(unroll.unroll_scan(*arguments), unroll.unroll_loop(*arguments))
        assert unroll.unroll_scan(*arguments)[1].dtype == np.float64


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_what_stands_at_masked_steps_is_heard_by_nothing(cell, reverse):
    params, xs, state, d_ys = case(cell, 5, 3, 2, 4, 2)
    mask = np.arange(5)[:, None] < np.array([5, 3, 1])
    weights = losses.mean_over_steps(mask)

    def loss(params, xs, state, targets):
        ys, last = unroll.unroll_scan(params, xs, state, mask=mask, reverse=reverse)
        return losses.squared_error(ys, targets, weights) + sum(leaf.sum() for leaf in jax.tree.leaves(last))

    def spoilt(value):
        return params, np.where(mask[..., None], xs, value), state, np.where(mask[..., None], d_ys, value)

    run = jax.value_and_grad(loss, (0, 1, 2))
    compiled = jax.jit(run)
    right = compiled(*spoilt(0.0))
    for nothing in (np.nan, np.inf, -np.inf):
        agree(compiled(*spoilt(nothing)), right, 1e-12)
    agree(run(*spoilt(np.nan)), right, 1e-12)
    assert not right[1][1][~mask].any()


def test_a_mask_of_all_zeros_changes_nothing():
    params, xs, state, _ = case("lstm", 3, 2, 3, 4, 2)
    agree(unroll.unroll_scan(params, xs, state, mask=np.zeros((3, 2), int))[1], state, 0)


@pytest.mark.parametrize("masked", [False, True])
def test_reverse_is_the_flipped_sequence_with_outputs_in_order(masked):
    params, xs, state, _ = case("gru", 6, 2, 3, 4, 2)
    mask = np.array([[1, 1], [1, 1], [1, 1], [1, 0], [1, 0], [0, 0]]) if masked else None
    ys, last = unroll.unroll_scan(params, xs, state, mask=mask, reverse=True)
    flipped, flipped_last = unroll.unroll_scan(params, xs[::-1], state, mask=None if mask is None else mask[::-1])
    agree((ys, last), (flipped[::-1], flipped_last), 1e-14)


def states_one_by_one(params, xs, state, mask, reverse):
    T = len(xs)
    states = [None] * T
    for t in reversed(range(T)) if reverse else range(T):
        _, after = jax.vmap(cells.step, (None, 0, 0))(params, xs[t], state)
        keep = mask[t][:, None] == 1
        state = states[t] = jax.tree.map(lambda new, old, keep=keep: jnp.where(keep, new, old), after, state)
    return jax.tree.map(lambda *steps: jnp.stack(steps), *states)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(("reverse", "masked"), [(False, False), (True, False), (True, True)])
@pytest.mark.parametrize("sizes", [ONE, SEVERAL], ids=str)
def test_all_states_are_those_of_a_loop_and_the_last_is_the_scan_s(cell, reverse, masked, sizes):
    params, xs, state, _ = case(cell, *sizes)
    T, B = xs.shape[:2]
    mask = np.arange(T)[:, None] < np.array([3, 5, 1])[:B] if masked else None
    ys, states = unroll.unroll_states(params, xs, state, mask=mask, reverse=reverse)
    filled = np.ones((T, B), int) if mask is None else mask
    agree(states, states_one_by_one(params, xs, state, filled, reverse))
    scanned = unroll.unroll_scan(params, xs, state, mask=mask, reverse=reverse)
    agree((ys, jax.tree.map(lambda s: s[0 if reverse else -1], states)), scanned, 1e-14)


@pytest.mark.parametrize("cell", CELLS)
def test_a_loss_on_all_states_has_the_loop_s_gradient(cell):
    params, xs, state, _ = case(cell, 4, 2, 2, 3, 2)
    mask = np.array([[1, 1], [1, 1], [1, 0], [1, 0]])

    def gradient(states_of):
        def total(params, xs, state):
            return sum((s**3).sum() for s in jax.tree.leaves(states_of(params, xs, state)))

        return jax.jit(jax.grad(total, (0, 1, 2)))(params, xs, state)

    agree(
        gradient(lambda *at: unroll.unroll_states(*at, mask=mask)[1]),
        gradient(lambda *at: states_one_by_one(*at, mask, False)),
    )


@pytest.mark.parametrize(("T", "chunk"), [(1, 1), (5, 1), (5, 5), (6, 3), (8, 7)])
def test_any_chunk_gives_the_exact_result(T, chunk):
    params, xs, state, d_ys = case("elman", T, 2, 2, 3, 2)

    def run(params, xs, state):
        return unroll.unroll_checkpointed(params, xs, state, chunk=chunk)

    agree(*(jax.jit(jax.grad(score(f, d_ys)))(params, xs, state) for f in (run, unroll.unroll_scan)))
    targets = d_ys
    value, last = unroll.loss_checkpointed(losses.squared_error, params, xs, targets, state, chunk=chunk)
    ys, whole_last = unroll.unroll_scan(params, xs, state)
    agree((value, last), (losses.squared_error(ys, targets), whole_last))


@pytest.mark.parametrize("T", [1, 2, 7, 97, 100, 1000, 100_000])
def test_the_default_chunk_is_near_half_the_root_and_divides_if_it_can(T):
    size = np.sqrt(T) / 2
    chunk = checkpointed._divisor_near(size, T)
    assert 1 <= chunk <= T
    assert size / 2 <= chunk <= max(1, 2 * size)
    assert T % chunk == 0 or all(T % c for c in range(int(np.ceil(size / 2)), int(2 * size) + 1))


def temporaries(objective, *args):
    """Bytes that XLA takes for a gradient, arguments and result aside."""
    shapes = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), args)
    return jax.jit(jax.grad(objective)).lower(*shapes).compile().memory_analysis().temp_size_in_bytes


def test_checkpoints_take_the_memory_of_the_root():
    used = {}
    for T in (400, 10_000):
        params, xs, _, d_ys = case("elman", T, 4, 3, 20, 3, np.float32)
        used["plain", T] = temporaries(
            lambda p, xs, y: losses.squared_error(unroll.unroll_scan(p, xs)[0], y), params, xs, d_ys
        )
        used["kept", T] = temporaries(
            lambda p, xs, y: unroll.loss_checkpointed(losses.squared_error, p, xs, y)[0], params, xs, d_ys
        )
    assert used["plain", 10_000] > 20 * used["plain", 400], "25 times as long, as many times as large"
    assert used["kept", 10_000] < 7 * used["kept", 400], "five times, and some room"


def primitives(jaxpr, inside=()):
    """(primitive, the loops it is in) of every equation."""
    for equation in jaxpr.eqns:
        yield equation.primitive.name, inside
        for sub in jaxprs_in_params(equation.params):
            yield from primitives(sub, (*inside, equation.primitive.name))


def products(params, xs, length):
    """Matrix products of a gradient inside and outside of loops."""
    jaxpr = jax.make_jaxpr(jax.grad(lambda p: (unroll.unroll_scan(p, xs)[0] ** 2).sum()))(params)
    found = [inside for name, inside in primitives(jaxpr.jaxpr) if name == "dot_general"]
    return sum("scan" in inside for inside in found), sum("scan" not in inside for inside in found)


@pytest.mark.parametrize("cell", CELLS)
def test_only_the_recurrence_waits(cell):
    params, xs, _, _ = case(cell, 7, 3, 4, 5, 2)
    inside, outside = products(params, xs, 7)
    assert inside == 2, "h W_hh on the way there, its transpose on the way back"
    assert outside == 6, "inputs, outputs, the errors of the outputs, and one product for each of three weight matrices"


def test_the_program_is_as_long_for_a_thousand_steps_as_for_ten():
    def equations(run, T):
        params, xs, state, _ = case("elman", T, 2, 3, 4, 2)
        return len(list(primitives(jax.make_jaxpr(run)(params, xs, state).jaxpr)))

    assert equations(unroll.unroll_scan, 1000) == equations(unroll.unroll_scan, 10)
    assert equations(unroll.unroll_loop, 20) > 1.8 * equations(unroll.unroll_loop, 10)


def test_it_is_compiled_once_for_each_shape():
    params, xs, state, _ = case("elman", 5, 2, 3, 4, 2)
    recurrence.unroll.clear_cache()
    for _ in range(3):
        unroll.unroll_scan(params, xs, state)
        unroll.unroll_scan(params, 2 * xs)
    assert recurrence.unroll._cache_size() == 1


@pytest.mark.bad_input
@pytest.mark.parametrize(
    "run", [unroll.unroll_loop, unroll.unroll_scan, unroll.unroll_states, unroll.unroll_checkpointed]
)
def test_bad_input_is_explained(run):
    params, xs, state, _ = case("elman", 8, 4, 3, 16, 2)
    where = run.__name__

    def refuses(error, message, *args, **options):
        with pytest.raises(error, match=re.escape(f"{where}: {message}")):
            run(*args, **options)

    refuses(
        ValueError,
        "xs must be (T, B, 3) to match W_xh (3, 16), got (8, 3, 20). Inputs come last. "
        "Try xs.transpose(2, 0, 1) if it is (B, D, T), xs.transpose(0, 2, 1) if it is (T, D, B).",
        params,
        np.zeros((8, 3, 20)),
    )
    refuses(
        ValueError,
        "xs must be (T, B, 3) to match W_xh (3, 16), got (8, 3). One sequence alone is xs[:, None].",
        params,
        xs[:, 0],
    )
    refuses(
        ValueError, "xs must be (T, B, 3) to match W_xh (3, 16), got (0, 4, 3). T must be at least 1.", params, xs[:0]
    )
    refuses(TypeError, "xs must hold floating-point numbers, got int64.", params, xs.astype(int))
    refuses(TypeError, "xs must be an array, got list.", params, xs.tolist())
    refuses(TypeError, "params must be a cell of rnnlib.cells, got dict. Try init_elman", {}, xs)
    refuses(
        ValueError,
        "state must be (4, 16) (B, H), as h0, got (3, 16). One state for each sequence",
        params,
        xs,
        state[:3],
    )
    lstm = case("lstm", 8, 4, 3, 16, 2)
    refuses(ValueError, "state must be built as params.h0 is, an LSTMState", lstm[0], xs, state)


@pytest.mark.bad_input
def test_a_bad_mask_or_chunk_is_explained():
    params, xs, _, d_ys = case("elman", 8, 4, 3, 16, 2)
    with pytest.raises(
        ValueError, match=r"unroll_scan: mask must be \(8, 4\) to match xs .*, got \(4, 8\)\. Are time and"
    ):
        unroll.unroll_scan(params, xs, mask=np.ones((4, 8)))
    with pytest.raises(ValueError, match=r"unroll_scan: mask must hold 0 and 1 only, got 0\.5\. Weights belong into"):
        unroll.unroll_scan(params, xs, mask=np.full((8, 4), 0.5))
    with pytest.raises(ValueError, match=r"unroll_states: mask must be \(8, 4\) to match xs .*, got \(8, 3\)"):
        unroll.unroll_states(params, xs, mask=np.ones((8, 3)))
    with pytest.raises(TypeError, match=r"unroll_scan: mask must be an array, got list"):
        unroll.unroll_scan(params, xs, mask=[[1]])
    with pytest.raises(ValueError, match=r"unroll_checkpointed: chunk must be between 1 and 8, got 9\. About"):
        unroll.unroll_checkpointed(params, xs, chunk=9)
    with pytest.raises(TypeError, match=r"unroll_checkpointed: chunk must be a whole number"):
        unroll.unroll_checkpointed(params, xs, chunk=2.0)
    with pytest.raises(
        ValueError, match=r"loss_checkpointed: targets must be \(8, 4, 2\) as long as xs, got \(7, 4, 2\)"
    ):
        unroll.loss_checkpointed(losses.squared_error, params, xs, d_ys[1:])
