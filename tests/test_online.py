"""Gradients carried forward: each against `jax.grad` of a loop, the random ones over all their draws, the recursion by hand in NumPy."""

from functools import partial
from itertools import product
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnlib import bptt, cells, online, truncation
from rnnlib.online import low_rank
from rnnlib.online.exact import masked
from tests.strategies import problem

FEW = settings(max_examples=3)  # each example is a compilation


class Leaky(NamedTuple):
    """h' = (1 − α) h + α tanh(x W_xh + h W_hh + b_h) with α = 0.3, the cell of Murray (2019)."""

    W_xh: Any
    W_hh: Any
    b_h: Any
    W_hy: Any
    b_y: Any
    h0: Any

    drive, recur, readout = cells.ElmanParams.drive, cells.ElmanParams.recur, cells.ElmanParams.readout

    @staticmethod
    def advance(p, h):
        new = jnp.tanh(p)
        return 0.7 * h + 0.3 * new, new

    @staticmethod
    def tangent(d_p, d_h, h, new_h, kept):
        return 0.7 * d_h + 0.3 * (1 - kept**2) * d_p


class Pair(NamedTuple):
    re: Any
    im: Any


class Diagonal(NamedTuple):
    """Linear units that don't hear each other, a complex number each: s' = r exp(iφ) s + x B, r = exp(−exp(decay))."""

    W_xh: Any  # (D, 2 H)
    decay: Any
    angle: Any
    W_hy: Any
    h0: Pair

    def drive(self, x):
        return x @ self.W_xh

    def recur(self, s):
        r = jnp.exp(-jnp.exp(self.decay))
        cos, sin = r * jnp.cos(self.angle), r * jnp.sin(self.angle)
        return jnp.concatenate([cos * s.re - sin * s.im, sin * s.re + cos * s.im], -1)

    @staticmethod
    def advance(p, s):
        return Pair(*jnp.split(p, 2, -1)), None

    @staticmethod
    def tangent(d_p, d_s, s, new_s, kept):
        return Pair(*jnp.split(d_p, 2, -1))

    def readout(self, s):
        return s.re @ self.W_hy


def elman(D, H, K, *, rng):
    return cells.init_elman(D, H, K, rng=rng)


def leaky(D, H, K, *, rng):
    return Leaky(*cells.init_elman(D, H, K, rng=rng))


def diagonal(D, H, K, *, rng):
    draw = rng.standard_normal
    return Diagonal(draw((D, 2 * H)), draw(H), draw(H), draw((H, K)), Pair(np.zeros(H), np.zeros(H)))


CELLS = {"elman": elman, "lstm": cells.init_lstm, "gru": cells.init_gru, "leaky": leaky, "diagonal": diagonal}


def example(name, T=6, B=2, D=2, H=4, K=2, seed=0):
    """A net with no zeros in it, inputs and errors."""
    rng = np.random.default_rng(seed)
    net = CELLS[name](D, H, K, rng=rng)
    net = jax.tree.map(lambda p: p + 0.3 * rng.standard_normal(p.shape), net)
    return net, rng.standard_normal((T, B, D)), rng.standard_normal((T, B, K))


def by_loop(net, xs, d_ys, recurs=lambda params, s: params.recur(s)):
    """`jax.grad` of Σ d_y · y through a plain loop from a constant state."""

    def loss(params):
        s, total = jax.tree.map(lambda h: jnp.tile(h, (xs.shape[1], 1)), net.h0), 0.0
        for x, d_y in zip(xs, d_ys, strict=True):
            s = jax.vmap(lambda x, s: params.advance(params.drive(x) + recurs(params, s), s)[0])(x, s)
            total += (jax.vmap(params.readout)(s) * d_y).sum()
        return total

    return jax.jit(jax.grad(loss))(jax.tree.map(jnp.asarray, net))


def assert_equal(a, b, tolerance=1e-10):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for one, other in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=tolerance)


def differ(a, b):
    return max(float(jnp.abs(x - y).max()) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)) > 1e-6


# --- exact ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CELLS)
def test_rtrl_is_the_gradient_of_the_unrolled_loss(name):
    net, xs, d_ys = example(name)
    full = by_loop(net, xs, d_ys)
    assert_equal(jax.jit(online.rtrl)(net, xs, d_ys), full)
    assert_equal(jax.jit(online.truncated())(net, xs, d_ys), full)


@given(T=st.integers(1, 5), B=st.integers(1, 3), D=st.integers(1, 3), H=st.integers(1, 4), seed=st.integers(0, 99))
@FEW
def test_rtrl_equals_bptt_by_hand(T, B, D, H, seed):
    p = problem(T, B, D, H, K=2, seed=seed)
    by_hand = bptt.backward(p.params, bptt.forward(p.params, p.xs), p.d_ys)
    assert_equal(jax.jit(online.rtrl)(p.params, p.xs, p.d_ys), by_hand._replace(h0=np.zeros(H)))


def test_the_influence_is_that_of_the_recursion_with_matrices():
    """M_t = J_t M_{t-1} + ∂h_t/∂θ in NumPy, for W_hh of an Elman net."""
    p = problem(T=4, B=1, D=2, H=3, K=2)
    net, W = p.params, p.params.W_hh
    state, influence = online.start(online.rtrl, net, p.xs[0])
    h, M = net.h0, np.zeros((3, 3, 3))  # the unit; the weight's two ends
    follow = jax.jit(partial(online.follow, online.rtrl, lambda y, _: y.sum()))
    for x in p.xs:
        _, _, (state, influence) = follow(net, x, x, (state, influence), jax.random.key(0))
        before, h = h, np.tanh(x[0] @ net.W_xh + h @ W + net.b_h)
        slope = 1 - h**2
        M = np.einsum("ij,jab->iab", slope[:, None] * W.T, M)  # J_t M_{t-1}
        for i in range(3):
            M[i, :, i] += slope[i] * before
        ours = influence[0, 6:15].reshape(3, 3, 3)  # after the six weights of W_xh
        np.testing.assert_allclose(np.moveaxis(ours, -1, 0), M, atol=1e-12)


# --- something dropped ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CELLS)
def test_snap_1_equals_its_twin_with_all_of_the_matrix(name):
    net, xs, d_ys = example(name)
    assert_equal(jax.jit(online.snap(1))(net, xs, d_ys), jax.jit(masked(1))(net, xs, d_ys))


def snap_by_hand(net, xs, d_ys, steps):
    """dL/dW_hh of one sequence: all of M, and what is not reached in so many steps set to zero after each."""
    H, h = len(net.b_h), net.h0
    ways = (net.W_hh != 0).astype(int)
    unit = sum(np.linalg.matrix_power(ways, k) for k in range(steps)) > 0  # [from, to]
    kept = np.broadcast_to(unit.T[:, None, :], (H, H, H))  # [unit, from, to]: the weight acts on its unit `to`
    M, total = np.zeros((H, H, H)), np.zeros((H, H))
    for x, d_y in zip(xs[:, 0], d_ys[:, 0], strict=True):
        before, h = h, np.tanh(x @ net.W_xh + h @ net.W_hh + net.b_h)
        M = np.einsum("ij,jab->iab", net.W_hh.T, M)
        for i in range(H):
            M[i, :, i] += before
        M = np.where(kept, (1 - h**2)[:, None, None] * M, 0)
        total += np.einsum("i,iab->ab", net.W_hy @ d_y, M)
    return total


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_snap_is_the_recursion_with_a_mask(steps):
    net, xs, d_ys = example("elman", B=1)
    rng = np.random.default_rng(3)
    net = net._replace(W_hh=np.where(rng.random((4, 4)) < 0.4, net.W_hh, 0))
    ours = jax.jit(online.snap(steps))(net, xs, d_ys).W_hh
    np.testing.assert_allclose(ours, snap_by_hand(net, xs, d_ys, steps), atol=1e-10)


MASKS = {
    "units alone": (1, np.eye(4)),
    "pairs": (2, np.kron(np.eye(2), np.ones((2, 2)))),
    "all with all": (2, np.ones((4, 4))),
    "a chain of four": (4, np.eye(4) + np.eye(4, k=1)),
}


@pytest.mark.parametrize("name", MASKS)
def test_snap_is_exact_once_nothing_more_can_be_reached(name):
    steps, mask = MASKS[name]
    net, xs, d_ys = example("elman")
    net = net._replace(W_hh=net.W_hh * mask)
    full = by_loop(net, xs, d_ys)
    assert_equal(jax.jit(online.snap(steps))(net, xs, d_ys), full)
    if steps > 1:
        assert differ(jax.jit(online.snap(steps - 1))(net, xs, d_ys), full)


@pytest.mark.parametrize("name", CELLS)
def test_rflo_is_the_gradient_where_recur_hears_a_constant(name):
    net, xs, d_ys = example(name)
    twin = by_loop(net, xs, d_ys, lambda params, s: params.recur(jax.lax.stop_gradient(s)))
    assert_equal(jax.jit(online.rflo)(net, xs, d_ys), twin)


def test_on_an_elman_net_rflo_is_a_window_of_one_and_on_a_leaky_one_it_is_not():
    for name, same in [("elman", True), ("leaky", False)]:
        net, xs, d_ys = example(name)
        rflo, window = (jax.jit(method)(net, xs, d_ys) for method in (online.rflo, online.truncated(1)))
        assert differ(rflo, window) != same


@pytest.mark.parametrize("window", [1, 3])
def test_truncated_is_windowed(window):
    p = problem(T=6, B=2, D=2, H=3, K=2)
    linear = partial(truncation.windowed, lambda ys, d_ys: (ys * d_ys).sum(), cells.elman_step, window=window)
    theirs = linear(p.params, p.xs, p.d_ys, np.tile(p.params.h0, (2, 1))).grads
    assert_equal(online.truncated(window)(p.params, p.xs, p.d_ys), theirs)
    assert_equal(online.truncated(99)(p.params, p.xs, p.d_ys), by_loop(p.params, p.xs, p.d_ys))


def test_a_diagonal_recurrence_is_exact_with_one_number_a_weight_and_part_of_a_unit():
    net, xs, d_ys = example("diagonal", D=3, H=5)
    assert_equal(jax.jit(online.snap(1))(net, xs, d_ys), by_loop(net, xs, d_ys))
    weights = net.W_xh.size + net.decay.size + net.angle.size
    _, cheap = online.start(online.snap(1), net, xs[0])
    _, dense = online.start(online.rtrl, net, xs[0])
    assert cheap.re.shape == cheap.im.shape == (2, weights // 5, 5)
    assert dense.re.shape == (2, weights, 5)


class Shared(NamedTuple):
    """One number θ that acts on all units, as in influence balancing."""

    theta: Any
    h0: Any

    def drive(self, x):
        return x * self.theta

    def recur(self, h):
        return h @ ((jnp.eye(4) + jnp.eye(4, k=-1)) / 2)

    @staticmethod
    def advance(p, h):
        return p, None

    @staticmethod
    def tangent(d_p, d_h, h, new_h, kept):
        return d_p

    def readout(self, h):
        return h[:1]


def test_a_weight_may_act_on_many_units():
    rng = np.random.default_rng(0)
    net, xs, d_ys = Shared(np.array(0.5), np.ones(4)), rng.standard_normal((6, 2, 4)), rng.standard_normal((6, 2, 1))
    full = by_loop(net, xs, d_ys)
    methods = online.rtrl, online.snap(2), online.rflo, online.truncated(1)
    exact, reached, rflo, window = (jax.jit(method)(net, xs, d_ys) for method in methods)
    assert_equal(exact, full)
    assert_equal(reached, full)
    assert differ(rflo, full)
    assert_equal(rflo, window)


class Fixed(NamedTuple):
    """A weight for each unit, and a fixed matrix between units: rows can't be shared, and no name says so."""

    gain: Any  # (4,)
    h0: Any

    def drive(self, x):
        return x

    def recur(self, h):
        return (self.gain * h) @ jnp.asarray(np.random.default_rng(5).standard_normal((4, 4)))

    advance, tangent = staticmethod(lambda p, h: (p, None)), staticmethod(lambda d_p, d_h, h, new_h, kept: d_p)

    def readout(self, h):
        return h[:2]


class Alone(Fixed):
    """A weight for each unit, and no way between them: rows can be shared, but p is no a W."""

    def recur(self, h):
        return self.gain * h


def test_how_weights_act_is_found_out_not_guessed_from_shapes():
    rng = np.random.default_rng(0)
    xs, d_ys = rng.standard_normal((5, 2, 4)), rng.standard_normal((5, 2, 2))
    fixed, alone = (kind(0.5 * rng.standard_normal(4), np.ones(4)) for kind in (Fixed, Alone))
    assert_equal(jax.jit(online.snap(1))(fixed, xs, d_ys), jax.jit(masked(1))(fixed, xs, d_ys))
    assert_equal(jax.jit(online.rflo)(fixed, xs, d_ys), jax.jit(online.truncated(1))(fixed, xs, d_ys))
    assert_equal(jax.jit(online.snap(1))(alone, xs, d_ys), by_loop(alone, xs, d_ys))
    assert online.start(online.snap(1), alone, xs[0])[1].shape == (2, 1, 4)  # all four weights share a row
    with pytest.raises(ValueError, match=r"kf_rtrl: params must act by p = a W.*got Alone"):
        online.kf_rtrl(alone, xs, d_ys)


# --- something drawn --------------------------------------------------------------------------------------------------


def over_all_draws(method, monkeypatch, net, xs, d_ys, signs):
    """The mean gradient of one sequence over every choice of signs, `signs` of them a step."""
    monkeypatch.setattr(low_rank.jax.random, "rademacher", lambda key, shape, dtype: key)

    def gradient(draws):  # (T, signs)
        state = jax.tree.map(jnp.asarray, net.h0)
        influence, total = method.begin(net, xs[0], state), None
        for x, d_y, draw in zip(xs, d_ys, draws, strict=True):
            after, kept = net.advance(net.drive(x) + net.recur(state), state)
            at = online.Step(x, state, after, kept)
            influence = method.carry(net, at, influence, draw)
            d_s = jax.grad(lambda s, d_y=d_y: net.readout(s) @ d_y)(after)
            part = method.read(net, at, influence, d_s)
            total, state = part if total is None else jax.tree.map(jnp.add, total, part), after
        return total

    draws = np.array(list(product([-1.0, 1.0], repeat=len(xs) * signs))).reshape(-1, len(xs), signs)
    return jax.tree.map(lambda g: g.mean(0), jax.jit(jax.vmap(gradient))(jnp.asarray(draws)))


@pytest.mark.parametrize(
    ("method", "name", "signs"),
    [
        (online.uoro, "elman", 2),
        (online.uoro, "gru", 2),
        (online.uoro, "lstm", 4),
        (online.kf_rtrl, "elman", 2),
        (online.kf_rtrl, "lstm", 2),
    ],
)
def test_the_mean_over_all_draws_is_the_full_gradient(method, name, signs, monkeypatch):
    net, xs, d_ys = example(name, T=3, B=1, H=2)
    mean = over_all_draws(method, monkeypatch, net, jnp.asarray(xs[:, 0]), jnp.asarray(d_ys[:, 0]), signs)
    full = by_loop(net, xs, d_ys)
    readout = {"W_hy": jnp.zeros_like(full.W_hy), "b_y": jnp.zeros_like(full.b_y)}  # not by way of the state
    assert_equal(mean, full._replace(**readout))


@pytest.mark.parametrize("method", [online.uoro, online.kf_rtrl])
def test_as_they_draw_themselves_they_are_unbiased_too(method):
    """Each weight's mean of N draws lies within 5 standard errors of the truth: by chance outside once in 1.7 million weights."""
    net, xs, d_ys = example("elman", T=5, B=2, H=3)
    score = online.gradient_bench({"drawn": method}, net, (xs, d_ys), samples=4000, key=jax.random.key(1))["drawn"]
    error = score.estimates.std(0, ddof=1) / np.sqrt(len(score.estimates))
    assert (np.abs(score.estimates.mean(0) - score.exact) < 5 * error).all()
    assert score.bias < 2 * score.chance
    one_step = online.gradient_bench({"w": online.truncated(1)}, net, (xs, d_ys), samples=2, key=jax.random.key(1))["w"]
    assert one_step.bias > 4 * score.chance  # a bias of that size would have been seen


def test_kronecker_factors_are_less_noisy_than_one_product():
    net, xs, d_ys = example("elman", T=8, B=1, H=8)
    methods = {"UORO": online.uoro, "KF-RTRL": online.kf_rtrl}
    scores = online.gradient_bench(methods, net, (xs, d_ys), samples=300, key=jax.random.key(0))
    assert scores["UORO"].variance > 3 * scores["KF-RTRL"].variance
    assert scores["UORO"].cosine < scores["KF-RTRL"].cosine


# --- a stream ---------------------------------------------------------------------------------------------------------


def test_steps_of_a_stream_add_up_and_float32_stays():
    p = problem(T=5, B=2, D=3, H=4, K=2, dtype=np.float32)
    for method in (online.rtrl, online.snap(1), online.snap(2), online.rflo, online.uoro, online.kf_rtrl):
        whole = jax.jit(method)(p.params, p.xs, p.d_ys, jax.random.key(4))
        carried, total = jax.jit(partial(online.start, method))(p.params, p.xs[0]), None
        follow = jax.jit(partial(online.follow, method, lambda y, d_y: y @ d_y))
        for x, d_y, key in zip(p.xs, p.d_ys, jax.random.split(jax.random.key(4), 5), strict=True):
            _, grads, carried = follow(p.params, x, d_y, carried, key)
            total = grads if total is None else jax.tree.map(jnp.add, total, grads)
        assert {a.dtype for a in jax.tree.leaves((whole, carried))} <= {np.dtype("float32"), np.dtype("bool")}
        assert_equal(total, whole, 2e-5)


def test_where_the_weights_move_the_influence_is_of_what_they_were():
    """Gradient descent after each step, against the same in NumPy: M is carried, J and ∂h/∂θ are of the new weights."""
    p = problem(T=6, B=1, D=2, H=3, K=2)
    net, rate = p.params, 0.1
    carried = online.start(online.rtrl, net, p.xs[0])
    W, h, M = net.W_hh.copy(), net.h0, np.zeros((3, 3, 3))
    follow = jax.jit(partial(online.follow, online.rtrl, lambda y, target: ((y - target) ** 2).sum() / 2))
    for x, target in zip(p.xs, p.d_ys, strict=True):
        loss, grads, carried = follow(net, x, target, carried, jax.random.key(0))
        net = net._replace(W_hh=net.W_hh - rate * grads.W_hh)
        before, h = h, np.tanh(x[0] @ net.W_xh + h @ W + net.b_h)
        M = np.einsum("ij,jab->iab", W.T, M)
        for i in range(3):
            M[i, :, i] += before
        M = (1 - h**2)[:, None, None] * M
        error = h @ net.W_hy + net.b_y - target[0]
        W = W - rate * np.einsum("i,iab->ab", net.W_hy @ error, M)
        np.testing.assert_allclose(loss, (error**2).sum() / 2)
    np.testing.assert_allclose(net.W_hh, W, atol=1e-12)


# --- the bench --------------------------------------------------------------------------------------------------------


def test_the_bench_measures_what_it_says():
    net, xs, d_ys = example("elman", T=4, B=2)

    def doubled(params, xs, d_ys, key):
        return jax.tree.map(lambda g: 2 * g, online.rtrl(params, xs, d_ys))

    def shaken(params, xs, d_ys, key):  # times 0 or 3
        return jax.tree.map(lambda g: 3.0 * jax.random.bernoulli(key) * g, online.rtrl(params, xs, d_ys))

    scores = online.gradient_bench(
        {"RTRL": online.rtrl, "doubled": doubled, "shaken": shaken},
        *(net, (xs, d_ys)),
        samples=400,
        key=jax.random.key(0),
    )
    exact, twice, thrice = scores.values()
    assert exact.bias < 1e-12 > exact.variance
    np.testing.assert_allclose([twice.bias, twice.variance, twice.cosine, exact.cosine], [1, 0, 1, 1], atol=1e-9)
    share = (thrice.estimates @ thrice.exact > 1).mean()  # of the draws that were 3
    np.testing.assert_allclose(thrice.bias, abs(3 * share - 1))
    np.testing.assert_allclose(thrice.variance, 9 * share * (1 - share) * 400 / 399)
    np.testing.assert_allclose(thrice.cosine, share)
    np.testing.assert_allclose(thrice.chance, np.sqrt(thrice.variance / 400))
    squared = ((thrice.estimates - thrice.exact) ** 2).sum(1).mean()
    np.testing.assert_allclose(squared, thrice.bias**2 + thrice.variance * 399 / 400)


def test_the_bench_hears_the_weights_of_the_state_alone():
    net, xs, d_ys = example("lstm", T=3)
    score = online.gradient_bench({"RTRL": online.rtrl}, net, (xs, d_ys), samples=2, key=jax.random.key(0))["RTRL"]
    assert score.exact.size == net.W_xh.size + net.W_hh.size + net.b_h.size
    np.testing.assert_allclose(np.linalg.norm(score.exact), 1)


# --- what is refused --------------------------------------------------------------------------------------------------

NET, XS, D_YS = example("elman", T=3)


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: online.rtrl({"W": 1}, XS, D_YS), TypeError, "online: params must be a cell of rnnlib.cells, got dict"),
        (lambda: online.rtrl(NET, XS[:, 0], D_YS), ValueError, r"online: xs must be \(T, B, D\) with time first"),
        (lambda: online.rtrl(NET, XS, D_YS[:2]), ValueError, r"d_ys must be \(3, 2, K\).*Are time and batch swapped"),
        (lambda: online.rtrl(NET, XS.astype(int), D_YS), TypeError, "xs must hold floating-point numbers"),
        (lambda: online.snap(0), ValueError, "snap: steps must be at least 1, got 0. 1 is the cheapest."),
        (lambda: online.snap(1.5), TypeError, "snap: steps must be a whole number"),
        (lambda: online.truncated(0), ValueError, "truncated: window must be at least 1, got 0. None is the whole"),
        (lambda: online.truncated(2)(NET, XS, D_YS[:2]), ValueError, r"truncated: d_ys must be \(3, 2, K\)"),
        (
            lambda: online.kf_rtrl(*example("gru", T=2)),
            ValueError,
            r"kf_rtrl: params must act by p = a W with one a for all of p.*got GRUParams. Try uoro",
        ),
    ],
)
def test_what_does_not_fit_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


def no_tree(params, xs, d_ys, key):
    return d_ys


def no_key(params, xs, d_ys):
    return params


def in_numpy(params, xs, d_ys, key):
    return bptt.backward(params, bptt.forward(params, np.asarray(xs)), np.asarray(d_ys))


def by_sequence(params, xs, d_ys, key):
    return jax.tree.map(lambda w: jnp.zeros((xs.shape[1], *np.shape(w))), params)


def bench(methods=None, d_ys=D_YS, samples=2):
    methods = {"RTRL": online.rtrl} if methods is None else methods
    return online.gradient_bench(methods, NET, (XS, d_ys), samples=samples, key=jax.random.key(0))


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"methods": [online.rtrl]}, TypeError, 'methods must be a dict of functions, got list. Try {"mine": method}'),
        ({"methods": {"mine": no_tree}}, ValueError, "mine must return a gradient like the net"),
        (
            {"methods": {"mine": no_key}},
            TypeError,
            r"mine must take \(params, xs, d_ys, key\), got .*too many positional",
        ),
        ({"methods": {"mine": in_numpy}}, TypeError, "mine must be written in JAX, .*Try jnp for np"),
        (
            {"methods": {"mine": by_sequence}},
            ValueError,
            r"mine must return .W_xh like the net's.*not yet summed over the batch",
        ),
        ({"samples": 1}, ValueError, "samples must be at least 2, got 1. A variance takes two."),
        ({"d_ys": 0 * D_YS}, ValueError, "the exact gradient must not be zero, got zero. Are all of d_ys zero"),
    ],
)
def test_the_bench_refuses(options, error, message):
    with pytest.raises(error, match=message):
        bench(**options)
