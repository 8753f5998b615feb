"""Five truncations, each against its definition run by a plain loop, against finite differences, and against bptt by hand."""

from functools import partial
from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnlib import bptt, losses, truncation
from rnnlib.cells import ElmanParams, elman_step
from rnnlib.gradcheck import compare, finite_differences, frozen_prefix
from tests.strategies import problem, problems

FEW = settings(max_examples=4)  # each example is a compilation
NETS = problems(T=(1, 4))
SMALL = problems(T=(1, 4), B=(1, 2), D=(1, 2), H=(1, 3), K=(1, 2))
TRUNCATIONS = {
    "chunked": truncation.chunked,
    "windowed": truncation.windowed,
    "last_steps": truncation.last_steps,
    "restarted": truncation.restarted,
    "randomised": partial(truncation.randomised, key=jax.random.key(0)),
}


def loss(ys, targets):
    """Not a sum over steps, and not symmetric in them."""
    error = ys - targets
    return (error**2).sum() / 2 + (error[0] * error[-1]).sum()


def starts(name, T, window, stride=1):
    """How many steps lie before the window of each output: the definitions of the module, word by word."""
    if name == "chunked":
        return np.array([(t - 1) // window * window for t in range(1, T + 1)])
    if name == "last_steps":
        return np.array([T - window if t > T - window else t for t in range(1, T + 1)])
    return np.array([max(0, -(-t // stride) * stride - window) for t in range(1, T + 1)])


def explicit(name, params, xs, state=None, *, window, stride=1):
    """The outputs that a truncation differentiates, each run by itself in a plain loop, the frozen parts stopped."""
    begin = np.zeros((xs.shape[1], 1)) + params.h0[None] if state is None else state
    step = jax.vmap(elman_step, (None, 0, 0))
    begins = starts(name, len(xs), window, stride)
    hs, real = [begin], []
    for x in xs:
        y, h = step(params, x, hs[-1])
        hs.append(h)
        real.append(y)
    ys = []
    for t, start in enumerate(begins):
        y = jax.lax.stop_gradient(real[t])
        h = begin if start == 0 or name == "restarted" else jax.lax.stop_gradient(hs[start])
        for x in xs[start : t + 1]:
            y, h = step(params, x, h)
        ys.append(y)
    return jnp.stack(ys)


def in_jax(p):
    return ElmanParams(*map(jnp.asarray, p.params))


def assert_equal(a, b, tolerance=1e-9):
    comparison = compare(a, b, tolerance=tolerance)
    for row in comparison.rows:  # a gradient of nearly zero has no relative error worth the name
        assert row.verdict == "agree" or row.absolute < tolerance, comparison


def options_of(name, data, T):
    window = data.draw(st.integers(1, T))
    if name not in ("windowed", "restarted"):
        return {"window": window}
    return {"window": window, "stride": data.draw(st.integers(1, window))}


def given_state(data, p):
    rng = np.random.default_rng(1)
    return data.draw(st.sampled_from([None, rng.standard_normal((p.xs.shape[1], p.params.h0.size))]))


def compiled(name, loss, p, state=None, **options):
    return jax.jit(partial(TRUNCATIONS[name], loss, elman_step, **options))(p.params, p.xs, p.d_ys, state)


DETERMINISTIC = ["chunked", "windowed", "last_steps", "restarted"]


@pytest.mark.parametrize("name", DETERMINISTIC)
@given(p=NETS, data=st.data())
@FEW
def test_each_equals_its_definition_run_by_a_plain_loop(name, p, data):
    options, state = options_of(name, data, len(p.xs)), given_state(data, p)
    ours = compiled(name, loss, p, state, **options)

    def plainly(params, xs):
        return loss(explicit(name, params, xs, state, **options), p.d_ys)

    value, twin = jax.jit(jax.value_and_grad(plainly, (0, 1)))(in_jax(p), jnp.asarray(p.xs))
    np.testing.assert_allclose(ours.loss, value, rtol=1e-12, atol=1e-12)
    assert_equal(ours.grads, twin[0])
    assert_equal(ours.d_xs, twin[1])


@pytest.mark.parametrize("name", ["chunked", "windowed", "last_steps"])
@given(p=SMALL, data=st.data())
@FEW
def test_each_passes_finite_differences_with_its_frozen_parts_held(name, p, data):
    options, state = options_of(name, data, len(p.xs)), given_state(data, p)
    ours = compiled(name, loss, p, state, **options)
    outputs = frozen_prefix(elman_step, p.params, p.xs, state, starts=starts(name, len(p.xs), **options))
    assert_equal(ours.grads, finite_differences(lambda params: loss(outputs(params), p.d_ys), p.params), 1e-6)
    assert_equal(ours.d_xs, finite_differences(lambda xs: loss(outputs(p.params, xs), p.d_ys), p.xs), 1e-6)


@given(p=SMALL, data=st.data())
@FEW
def test_restarted_passes_finite_differences_of_a_net_that_restarts(p, data):
    options, state = options_of("restarted", data, len(p.xs)), given_state(data, p)

    def restarting(params, xs):
        begin = np.tile(params.h0, (xs.shape[1], 1)) if state is None else state
        begins = starts("restarted", len(xs), **options)
        runs = [bptt.forward(params, xs[start : t + 1], begin) for t, start in enumerate(begins)]
        return loss(np.stack([run.ys[-1] for run in runs]), p.d_ys), np.stack([run.hs[-1] for run in runs])

    ours = compiled("restarted", loss, p, state, **options)
    np.testing.assert_allclose(ours.loss, restarting(p.params, p.xs)[0], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(ours.hs[1:], restarting(p.params, p.xs)[1], rtol=1e-12, atol=1e-12)
    assert_equal(ours.grads, finite_differences(lambda params: restarting(params, p.xs)[0], p.params), 1e-6)
    assert_equal(ours.d_xs, finite_differences(lambda xs: restarting(p.params, xs)[0], p.xs), 1e-6)


# --- the full gradient ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TRUNCATIONS)
@given(p=NETS)
@FEW
def test_the_whole_window_is_the_full_gradient(name, p):
    T = len(p.xs)
    options = {"window": 10**14} if name == "randomised" else {"window": T}
    ours = compiled(name, loss, p, **options)
    tape = bptt.forward(p.params, p.xs)
    d_ys = np.asarray(jax.grad(loss)(tape.ys, p.d_ys))
    assert_equal(ours.grads, bptt.backward(p.params, tape, d_ys))
    assert_equal(ours.d_xs, bptt.deltas(p.params, tape, d_ys) @ p.params.W_xh.T)
    np.testing.assert_allclose(ours.hs, tape.hs, rtol=1e-12, atol=1e-13)


@given(p=NETS, data=st.data())
@FEW
def test_windowed_with_stride_one_is_the_window_of_bptt(p, data):
    window = data.draw(st.integers(1, len(p.xs)))
    ours = compiled("windowed", losses.squared_error, p, window=window)
    tape = bptt.forward(p.params, p.xs)
    d_ys = losses.squared_error_grad(tape.ys, p.d_ys)
    assert_equal(ours.grads, bptt.backward(p.params, tape, d_ys, window=window))
    assert_equal(ours.d_xs, bptt.deltas(p.params, tape, d_ys, window=window) @ p.params.W_xh.T)


@given(p=NETS, data=st.data())
@FEW
def test_windowed_with_a_stride_of_its_window_is_chunked(p, data):
    window = data.draw(st.integers(1, len(p.xs)))
    assert_equal(
        compiled("windowed", loss, p, window=window, stride=window), compiled("chunked", loss, p, window=window)
    )


# --- the numbers of truncate_gradient ---------------------------------------------------------------------------------


def linear(w, x, h):
    h = w * h + x
    return h, h


def total(ys, targets):
    return ys.sum()


SIX_ONES = (total, linear, 0.5, np.ones((6, 1, 1)), None, np.zeros((1, 1)))


def test_the_last_two_steps_of_six():
    full = truncation.last_steps(*SIX_ONES, window=6)
    np.testing.assert_allclose(full.d_xs.ravel(), [1.96875, 1.9375, 1.875, 1.75, 1.5, 1], rtol=1e-15)
    cut = truncation.last_steps(*SIX_ONES, window=2)
    np.testing.assert_allclose(cut.d_xs.ravel(), [0, 0, 0, 0, 1.5, 1], rtol=1e-15)
    assert cut.loss == full.loss  # all losses count in the value


def test_no_two_truncations_have_one_gradient():
    grads = [float(f(*SIX_ONES, window=2).grads) for f in TRUNCATIONS.values()]
    grads.append(float(truncation.chunked(*SIX_ONES, window=6).grads))
    assert len({round(g, 9) for g in grads}) == 6, grads


# --- random gates -----------------------------------------------------------------------------------------------------


def gated_by_hand(params, tape, d_ys, gates):
    """Follow every loss back by itself, weighted by the product of the gates that it has passed."""
    g = ElmanParams(*(np.zeros_like(p) for p in params))
    g.W_hy[:] = np.einsum("tbh,tbk->hk", tape.hs[1:], d_ys)
    g.b_y[:] = d_ys.sum((0, 1))
    for t in range(len(d_ys)):
        d_h = d_ys[t] @ params.W_hy.T
        for s in range(t, -1, -1):
            delta = d_h * (1 - tape.hs[s + 1] ** 2)
            g.W_xh[:] += tape.xs[s].T @ delta
            g.W_hh[:] += tape.hs[s].T @ delta
            g.b_h[:] += delta.sum(0)
            d_h = gates[s][:, None] * (delta @ params.W_hh.T)
        g.h0[:] += d_h.sum(0)
    return g


@given(p=NETS, seed=st.integers(0, 99))
@FEW
def test_gated_equals_a_walk_back_from_every_loss(p, seed):
    gates = np.random.default_rng(seed).uniform(-1, 2, p.xs.shape[:2])
    ours = truncation.gated(losses.squared_error, elman_step, p.params, p.xs, p.d_ys, gates=gates)
    tape = bptt.forward(p.params, p.xs)
    assert_equal(ours.grads, gated_by_hand(p.params, tape, losses.squared_error_grad(tape.ys, p.d_ys), gates))


@pytest.mark.parametrize(("T", "B"), [(1, 1), (5, 1), (3, 2)])
@pytest.mark.parametrize("window", [2, 7])
def test_the_mean_over_all_draws_is_the_full_gradient(T, B, window):
    p, cut = problem(T, B, D=2, H=3, K=2), 1 / window
    args = loss, elman_step, p.params, p.xs, p.d_ys
    outcomes = np.array(list(product([0, 1], repeat=(T - 1) * B)), bool).reshape(
        2 ** ((T - 1) * B), T - 1, B
    )  # 1: not cut
    probabilities = np.where(outcomes, 1 - cut, cut).prod((1, 2))
    gates = np.concatenate([np.ones((len(outcomes), 1, B)), outcomes / (1 - cut)], 1)
    every = jax.vmap(lambda g: truncation.gated(*args, gates=g)[:3])(gates)
    mean = jax.tree.map(lambda a: np.tensordot(probabilities, a, 1), every)
    full = truncation.chunked(*args, window=T)
    np.testing.assert_allclose(probabilities.sum(), 1)
    for a, b in zip(jax.tree.leaves(mean), jax.tree.leaves(full[:3]), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-10)


def last_output(ys, targets):
    return ys[-1].sum()


def test_randomised_draws_those_gates():
    """h_t = x_t + h_{t-1} and the loss h_T: dL/dx_t is the product of the gates that the error has passed."""
    T, B, window = 5, 4000, 4
    args = last_output, linear, 1.0, np.ones((T, B, 1)), None, np.zeros((B, 1))
    passed = np.asarray(truncation.randomised(*args, window=window, key=jax.random.key(0)).d_xs[..., 0])
    np.testing.assert_array_equal(passed[-1], 1)
    for t in range(T - 1):
        lag = T - 1 - t
        weight = (1 - 1 / window) ** -lag
        assert set(passed[t].round(9)) == {0.0, round(weight, 9)}
        noise = np.sqrt((weight - 1) / B)
        assert abs(passed[t].mean() - 1) < 5 * noise
    other = truncation.randomised(*args, window=window, key=jax.random.key(1)).d_xs[..., 0]
    assert (other != passed).any()


def test_the_way_to_h0_is_never_cut():
    p = problem(T=1, B=2, D=2, H=3, K=2)
    args = loss, elman_step, p.params, p.xs, p.d_ys
    for f, options in [(truncation.chunked, {"window": 1}), (TRUNCATIONS["randomised"], {"window": 2})]:
        assert_equal(f(*args, **options).grads, truncation.gated(*args, gates=np.ones((1, 2))).grads)


# --- training loops ---------------------------------------------------------------------------------------------------


def squares(ys, targets):
    return ((ys - targets) ** 2).sum() / 2


def test_calls_that_hand_on_their_state_add_up_to_chunked():
    p = problem(T=9, B=2, D=2, H=3, K=2)
    whole = compiled("chunked", squares, p, window=3)
    call = jax.jit(partial(truncation.chunked, squares, elman_step, window=3))
    state, calls = jnp.zeros((2, 3)) + p.params.h0[None], []
    for t in range(0, 9, 3):
        calls.append(call(p.params, p.xs[t : t + 3], p.d_ys[t : t + 3], state))
        state = calls[-1].hs[-1]
    grads = jax.tree.map(lambda *a: sum(a), *[c.grads for c in calls])
    assert_equal(grads._replace(h0=0), whole.grads._replace(h0=0))  # each call takes its state for a constant
    np.testing.assert_allclose(sum(c.loss for c in calls), whole.loss)
    np.testing.assert_allclose(state, whole.hs[-1])


def test_calls_that_overlap_add_up_to_windowed():
    window, stride, T = 6, 2, 12
    p = problem(T, B=2, D=2, H=3, K=2)
    state, grads = None, []
    for t in range(0, T - window + 1, stride):
        now = slice(t, t + window)
        call = truncation.chunked(
            lambda ys, targets: squares(ys[-stride:], targets[-stride:]),
            *(elman_step, p.params, p.xs[now], p.d_ys[now], state),
            window=window,
        )
        grads.append(call.grads)
        state = call.hs[stride]
    whole = truncation.windowed(
        lambda ys, targets: squares(ys[window - stride :], targets[window - stride :]),
        *(elman_step, p.params, p.xs, p.d_ys),
        window=window,
        stride=stride,
    )
    assert_equal(jax.tree.map(lambda *a: sum(a), *grads), whole.grads)


# --- any cell, any precision, any amount of memory --------------------------------------------------------------------


def two_states(params, x, h):
    """A cell with a state of two arrays, and none of the shapes of an Elman net."""
    slow = 0.9 * h["slow"] + params["a"] * jnp.tanh(x @ params["W"] + h["fast"])
    return slow.sum() + h["fast"], {"slow": slow, "fast": jnp.sin(slow @ params["V"])}


@pytest.mark.parametrize("name", TRUNCATIONS)
def test_a_state_may_be_a_pytree(name):
    rng = np.random.default_rng(0)
    params = {"a": 0.5, "W": rng.standard_normal((2, 3)), "V": rng.standard_normal((3, 3))}
    xs, targets = rng.standard_normal((6, 4, 2)), rng.standard_normal((6, 4, 3))
    state = {"slow": rng.standard_normal((4, 3)), "fast": rng.standard_normal((4, 3))}
    window = 10**14 if name == "randomised" else 6
    ours = TRUNCATIONS[name](loss, two_states, params, xs, targets, state, window=window)

    def plainly(params):
        h, ys = state, []
        for x in xs:
            y, h = jax.vmap(two_states, (None, 0, 0))(params, x, h)
            ys.append(y)
        return loss(jnp.stack(ys), targets)

    assert_equal(ours.grads, jax.grad(plainly)(params))
    assert {name: h.shape for name, h in ours.hs.items()} == {"slow": (7, 4, 3), "fast": (7, 4, 3)}
    short = truncation.windowed(loss, two_states, params, xs, targets, state, window=2, stride=2)
    assert_equal(short, truncation.chunked(loss, two_states, params, xs, targets, state, window=2))


@pytest.mark.parametrize("name", TRUNCATIONS)
def test_float32_stays_float32(name):
    p = problem(T=5, B=2, D=3, H=4, K=2, dtype=np.float32)
    ours = compiled(name, losses.squared_error, p, window=2)
    assert {a.dtype for a in jax.tree.leaves(ours)} == {np.dtype(np.float32)}


def test_windowed_takes_the_memory_of_one_unroll_whatever_the_window():
    p = problem(T=200, B=2, D=2, H=8, K=2)

    def megabytes(window):
        run = jax.jit(partial(truncation.windowed, squares, elman_step, window=window))
        return run.lower(p.params, p.xs, p.d_ys).compile().memory_analysis().temp_size_in_bytes / 1e6

    state_and_tape = 200 * 2 * 8 * 8 / 1e6  # one (T, B, H) array of float64
    assert megabytes(200) < 1.1 * megabytes(20) < 20 * state_and_tape


# --- bad input --------------------------------------------------------------------------------------------------------

P = problem(T=8, B=3, D=4, H=5, K=2)
ARGS = (loss, elman_step, P.params, P.xs, P.d_ys)


@pytest.mark.bad_input
@pytest.mark.parametrize("name", DETERMINISTIC)
@pytest.mark.parametrize("window", [0, 9, -1])
def test_a_window_outside_the_sequence(name, window):
    message = rf"^{name}: window must be between 1 and 8, got {window}\. T is the full gradient\.$"
    with pytest.raises(ValueError, match=message):
        TRUNCATIONS[name](*ARGS, window=window)


@pytest.mark.bad_input
@pytest.mark.parametrize("name", DETERMINISTIC)
@pytest.mark.parametrize("window", [2.5, True, None, "3"])
def test_a_window_that_is_not_whole(name, window):
    if window is None:
        with pytest.raises(TypeError, match="window"):
            TRUNCATIONS[name](*ARGS)
        return
    message = rf"^{name}: window must be a whole number, between 1 and 8, got {window!r}\. T is the full gradient\.$"
    with pytest.raises(TypeError, match=message):
        TRUNCATIONS[name](*ARGS, window=window)


@pytest.mark.bad_input
@pytest.mark.parametrize("name", ["windowed", "restarted"])
@pytest.mark.parametrize("stride", [0, 4])
def test_a_stride_beyond_the_window(name, stride):
    message = rf"^{name}: stride must be between 1 and 3, got {stride}\. Each loss has to lie in its own window\.$"
    with pytest.raises(ValueError, match=message):
        TRUNCATIONS[name](*ARGS, window=3, stride=stride)


@pytest.mark.bad_input
def test_randomised_needs_a_key_and_a_window_of_two():
    with pytest.raises(TypeError, match=r"missing 1 required keyword-only argument: 'key'"):
        truncation.randomised(*ARGS, window=3)
    for key, kind in [(None, "NoneType"), (0, "int"), (np.random.default_rng(0), "Generator")]:
        message = rf"^randomised: key must be a JAX key, got {kind}\. Try jax\.random\.key\(0\)\.$"
        with pytest.raises(TypeError, match=message):
            truncation.randomised(*ARGS, window=3, key=key)
    message = r"^randomised: window must be at least 2, got 1\. 1 would always cut, and no weight makes up for that\.$"
    with pytest.raises(ValueError, match=message):
        truncation.randomised(*ARGS, window=1, key=jax.random.key(0))


SHAPES = {
    "one sequence alone": (
        (*ARGS[:3], P.xs[:, 0], P.d_ys),
        r"xs must be \(T, B, D\) with time first, got \(8, 4\)\. One sequence alone is xs\[:, None\]\.$",
    ),
    "no steps": ((*ARGS[:3], P.xs[:0], P.d_ys), r"xs must be \(T, B, D\).*, got \(0, 3, 4\)\. T must be at least 1\."),
    "no state": (
        (total, linear, 0.5, P.xs, None),
        r"state must be given, because params has no h0\. Try zeros of shape \(B, H\)\.$",
    ),
    "state of another batch": (
        (*ARGS, np.zeros((2, 5))),
        r"state must be \(3, H\) \(B, H\), got \(2, 5\)\. One state for each sequence\.$",
    ),
}


@pytest.mark.bad_input
@pytest.mark.parametrize("name", TRUNCATIONS)
@pytest.mark.parametrize("case", SHAPES)
def test_bad_input_is_explained(name, case):
    args, message = SHAPES[case]
    with pytest.raises(ValueError, match=f"^{name}: {message}"):
        TRUNCATIONS[name](*args, window=2)


@pytest.mark.bad_input
def test_gates_and_integers_are_checked():
    with pytest.raises(
        ValueError, match=r"^gated: gates must be \(8, 3\) to match xs \(8, 3, 4\), got \(8,\)\. One a step"
    ):
        truncation.gated(*ARGS, gates=np.ones(8))
    with pytest.raises(TypeError, match=r"^chunked: xs must hold floating-point numbers, got int64"):
        truncation.chunked(*ARGS[:3], P.xs.astype(int), P.d_ys, window=2)
