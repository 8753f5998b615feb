import subprocess
import sys
import time
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnlib import bptt
from rnnlib.cells import ElmanParams, LSTMState, init_elman, init_gru, init_lstm, step
from rnnlib.clinic import CATALOGUE, wrong_gradient, xray
from rnnlib.clinic.catalogue import GATED
from rnnlib.clinic.xray import forward, probe, reference, squares
from tests.clinic import passes
from tests.clinic.passes import bent, clipped, each, elman, gru, lstm, norm, put, right, shown

RIGHT = "Right: every loss reaches every step up to its own, and every sum is as it should be."
REST = " The rest is right."


# ---------- the truth


def weighted_outputs(params, xs, d_ys):
    """Σ y · dL/dy in JAX, whose gradient is the one with dL/dy."""
    state = jax.tree.map(lambda s: jnp.broadcast_to(s, (xs.shape[1], *s.shape)), params.h0)
    total = 0.0
    for x, d_y in zip(xs, d_ys, strict=True):
        y, state = jax.vmap(step, in_axes=(None, 0, 0))(params, x, state)
        total += (y * d_y).sum()
    return total


@pytest.mark.parametrize("init", [init_elman, init_lstm, init_gru])
@pytest.mark.parametrize(("T", "B", "D", "H", "K"), [(5, 2, 3, 4, 2), (1, 1, 1, 1, 1), (3, 4, 2, 1, 5)])
def test_the_reference_is_autodiffs_gradient(init, T, B, D, H, K):
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda a: a + 0.3 * rng.standard_normal(a.shape), init(D, H, K, rng=rng))
    xs, d_ys = rng.standard_normal((T, B, D)), rng.standard_normal((2, T, B, K))

    def loss(params, d_ys):
        return weighted_outputs(params, xs, d_ys)

    ours = reference.gradients(params, xs, d_ys)
    for n in range(2):
        theirs = jax.grad(loss)(jax.tree.map(jnp.asarray, params), d_ys[n])._asdict()
        if isinstance(theirs["h0"], tuple):
            theirs |= {f"h0.{name}": g for name, g in theirs.pop("h0")._asdict().items()}
        assert ours.keys() == theirs.keys()
        for name, g in theirs.items():
            np.testing.assert_allclose(ours[name][n], g, rtol=1e-10, atol=1e-12, err_msg=name)


# ---------- right is right

PASSES = {
    "elman": [elman(), right, lambda p, xs, d_ys: bptt.backward_per_step(p, bptt.forward(p, xs), d_ys)],
    "lstm": [lstm()],
    "gru": [gru()],
}


def in_float32(backward):
    def single(tree):
        return jax.tree.map(lambda a: a.astype(np.float32), tree)

    return lambda p, xs, d_ys: backward(single(p), single(xs), single(d_ys))


@pytest.mark.parametrize("cell", PASSES)
@settings(max_examples=30)
@given(st.tuples(*(st.integers(1, n) for n in (8, 4, 6, 4))), st.integers(0, 2**16), st.data())
def test_a_right_pass_is_right_at_every_size(cell, sizes, seed, data):
    backward = data.draw(st.sampled_from(PASSES[cell]))
    backward = in_float32(backward) if data.draw(st.booleans()) else backward
    x = shown(backward, seed, cell=cell, **dict(zip("TBHK", sizes, strict=True)))
    assert x.right, x
    assert x.names == ()
    assert set(np.unique(x.squares)) <= {"right", ""}


def test_no_false_alarm_over_two_hundred_seeds():
    for seed in range(200):
        cell = ("elman", "lstm", "gru")[seed % 3]
        x = shown(PASSES[cell][0], seed, cell=cell, T=2 + seed % 4, B=1 + seed % 3, H=2 + seed % 4)
        assert x.right, (seed, x)


def test_poor_inputs_come_with_a_warning():
    assert shown(right, T=1, B=1).message == f"{RIGHT} With T = 1 and B = 1 some mistakes do not show."


def test_it_is_the_same_twice():
    for backward in (elman(carry="+="), elman(slope=np.cos)):
        first, second = shown(backward), shown(backward)
        assert first.message == second.message
        np.testing.assert_array_equal(first.scale, second.scale)


def test_other_libraries_and_forms_are_read():
    grad = jax.jit(jax.grad(weighted_outputs))
    assert shown(lambda p, xs, d_ys: grad(jax.tree.map(jnp.asarray, p), xs, d_ys)).right
    assert shown(lambda p, xs, d_ys: right(p, xs, d_ys)._asdict()).right
    assert shown(lambda p, xs, d_ys: list(right(p, xs, d_ys))).right
    as_dict = lambda p, xs, d_ys: lstm()(p, xs, d_ys)._asdict() | {"h0": {"h": np.zeros(5), "c": np.zeros(5)}}  # noqa: E731
    assert shown(as_dict, cell="lstm").message == "h0.h and h0.c are all zero."


# ---------- the catalogue


UNSEEN = {  # by an X-ray, which has every symbol once, and reads the errors off dW_xh, where this one bends them
    "repeated_symbols_lost",
    "error_before_slope",
}


@pytest.mark.parametrize("name", [name for name in CATALOGUE if name not in GATED | UNSEEN])
@pytest.mark.parametrize("seed", [0, 1])
def test_every_mistake_of_the_catalogue_is_named(name, seed):
    x = shown(lambda p, xs, d_ys: wrong_gradient((name,), p, xs, d_ys), seed, K=5 if "W_hy" in name else 3)
    assert x.names == (name,), x


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize(
    "name", [*sorted(GATED), "error_not_carried", "W_hh_not_transposed", "mean_over_time", "wrong_sign"]
)
def test_a_mistake_with_gates_is_named(name, cell):
    x = shown(lambda p, xs, d_ys: wrong_gradient((name,), p, xs, d_ys), cell=cell)
    assert x.names == (name,), x


def test_a_bias_before_the_slope_is_named():
    def bias(p, xs, d_ys):
        return right(p, xs, d_ys)._replace(b_h=wrong_gradient(("error_before_slope",), p, xs, d_ys).b_h)

    x = shown(bias)
    assert x.names == ("error_before_slope",), x


@pytest.mark.parametrize(
    "pair",
    [
        ("W_hh_not_transposed", "h_t_for_h_prev"),
        ("error_not_carried", "h0_dropped"),
        ("tanh_slope_misplaced", "mean_over_time"),
        ("wrong_sign", "output_error_twice"),
        ("h0_dropped", "bias_not_summed_over_time"),
        ("W_hh_not_transposed", "dh0_not_summed_over_batch"),
    ],
)
def test_two_mistakes_are_named_together(pair):
    x = shown(lambda p, xs, d_ys: wrong_gradient(pair, p, xs, d_ys))
    assert set(x.names) == set(pair), x


# ---------- the flow of an Elman net


def at_steps(backward, **options):
    return lambda p, xs, d_ys: backward(p, bptt.forward(p, xs), d_ys, **options)


def in_strides(p, xs, d_ys, stride=2, window=3):
    tape, deltas = bptt.forward(p, xs), 0 * bptt.forward(p, xs).hs[1:]
    for end in range(stride, len(xs) + 1, stride):
        nxt = 0 * tape.hs[0]
        for t in reversed(range(max(0, end - window), end)):
            own = d_ys[t] @ p.W_hy.T if t >= end - stride else 0
            delta = (own + nxt) * (1 - tape.hs[t + 1] ** 2)
            deltas[t], nxt = deltas[t] + delta, delta @ p.W_hh.T
    sums = {"W_xh": np.einsum("tbd,tbh->dh", xs, deltas), "W_hh": np.einsum("tbg,tbh->gh", tape.hs[:-1], deltas)}
    return right(p, xs, d_ys)._replace(b_h=deltas.sum((0, 1)), **sums)


def last_steps(p, xs, d_ys, count=3):
    tape = bptt.forward(p, xs)
    g = bptt.backward(p, bptt.forward(p, xs[-count:], tape.hs[-count - 1]), d_ys[-count:])
    return g._replace(h0=0 * g.h0)


TRUNCATED = {
    "Truncated to windows of 2 steps behind every loss.": at_steps(bptt.backward, window=2),
    "Truncated to windows of 5 steps behind every loss.": at_steps(bptt.backward_per_step, window=5),
    "Truncated to chunks of 3 steps.": elman(cut=lambda t, T: (t + 1) % 3 == 0),
    "Truncated to chunks of 4 steps, counted from the end.": elman(cut=lambda t, T: t == T - 5),
    "Truncated to windows of 3 steps, one every 2 steps.": in_strides,
    "Nothing is carried between steps 1 and 2, 3 and 4.": elman(cut=lambda t, T: t in (0, 2)),
    "Only the loss of the last step enters.": elman(own=lambda t, T: float(t == T - 1)),
    "Only the losses of the last 2 steps enter.": elman(own=lambda t, T: float(t >= T - 2)),
    "No error is carried from step to step: windows of 1 step behind every loss.": elman(cut=lambda t, T: True),
}


@pytest.mark.parametrize("says", TRUNCATED)
def test_truncations_are_told_apart(says):
    x = shown(TRUNCATED[says])
    assert x.message == says + REST, x
    names = {"No error": ("error_not_carried",), "Only the": ("own_error_left_out",)}
    assert x.names == names.get(says[:8], ())


def test_the_last_steps_alone():
    x = shown(last_steps)
    assert x.message == "Only the last 3 steps are reached. W_hy and b_y keep the last 3 steps alone."
    assert (x.reach.kind, x.reach.window) == ("part", 3)


def test_the_squares_draw_the_truncation():
    x = shown(TRUNCATED["Truncated to windows of 2 steps behind every loss."], T=4)
    assert x.squares.tolist() == [
        ["right", "", "", ""],
        ["right", "right", "", ""],
        ["missing", "right", "right", ""],
        ["missing", "missing", "right", "right"],
    ]
    assert x.scale[3].tolist() == [0, 0, 1, 1]
    assert np.isnan(x.scale[0, 1])


SLOPES = {
    "1 + h²": lambda h: 1 + h**2,
    "1 / (1 − h²)": lambda h: 1 / (1 - h**2),
    "h (1 − h)": lambda h: h * (1 - h),
    "(1 − h)²": lambda h: (1 - h) ** 2,
    "tanh(h)": np.tanh,
    "1 if h > 0, else 0": lambda h: (h > 0) * 1.0,
    "1 − tanh(h)²": lambda h: 1 - np.tanh(h) ** 2,
    "1 (no slope)": np.ones_like,
    "h": lambda h: h,
    "0.5 times 1 − h²": lambda h: 0.5 * (1 - h**2),
}


@pytest.mark.parametrize("name", SLOPES)
def test_slopes_are_named(name):
    x = shown(elman(slope=SLOPES[name]))
    assert x.message == f"The slope is {name} where 1 − h² belongs."
    assert x.names == ("tanh_slope_misplaced",)
    assert x.carried.says == "W_hh.T", "what is carried is told apart from its slope"
    h, slope = x.slope.table.T
    np.testing.assert_allclose(slope, SLOPES[name](h), rtol=1e-9, atol=1e-12)


def test_an_unknown_slope_is_tabled():
    x = shown(elman(slope=lambda h: np.cos(h) + h**3))
    assert x.message.startswith("The slope is another function of h (")
    assert "more in .slope.table) where 1 − h² belongs." in x.message
    h, slope = x.slope.table.T
    np.testing.assert_allclose(slope, np.cos(h) + h**3, rtol=1e-9)
    assert (np.diff(h) >= 0).all()
    assert x.carried.right


ONES = np.ones_like
CARRIED = {
    "Between steps it multiplies by W_hh where W_hh.T belongs.": elman(back=lambda p: p.W_hh),
    "Between steps it multiplies by 0.5 W_hh.T where W_hh.T belongs.": elman(back=lambda p: p.W_hh.T / 2),
    "Between steps it carries the error as it is where W_hh.T belongs.": elman(back=lambda p: np.eye(len(p.h0))),
    "Between steps it multiplies by another matrix where W_hh.T belongs.": elman(back=lambda p: p.W_hh.T + 0.1),
    "Between steps the errors pile up: it carries W_hh.T on all later errors together (+= for =).": elman(carry="+="),
    "Between steps it multiplies by W_hh.T on the error before its slope where W_hh.T belongs.": elman(carry="d_h"),
    "On what is carried the slope is 1 (no slope) where 1 − h² belongs.": elman(slope_carried=ONES),
    "The slope is 1 (no slope) where 1 − h² belongs.": elman(slope=ONES, slope_carried=lambda h: 1 - h**2),
    "What it carries between steps is no one matrix times the error.": elman(back=lambda p: _Turning()),
    "A step's own error counts twice.": elman(own=lambda t, T: 2.0),
    "A step's own error counts 1, 1, 1, 1, 3, 3 times at steps 1, 2, 3, 4, 5, 6.": elman(
        own=lambda t, T: 1.0 + 2.0 * (t > 3)
    ),
}


class _Turning:
    """Another matrix at each use."""

    __array_ufunc__ = None

    def __init__(self):
        self.rng = np.random.default_rng(5)

    def __rmatmul__(self, left):
        return left @ self.rng.standard_normal((left.shape[1], left.shape[1]))


@pytest.mark.parametrize("says", CARRIED)
def test_what_is_carried_is_named(says):
    x = shown(CARRIED[says])
    if "no one matrix" in says:  # at step 1 h0 has its own
        assert x.message.startswith(says), x
        assert x.carried.matrix is None
    else:
        assert x.message == says, x


def test_the_matrix_is_measured():
    x = shown(elman(back=lambda p: p.W_hh.T + 0.1))
    assert x.carried.says == "another matrix"
    subject = probe.draw("elman", 6, 2, 5, 3, None, np.random.default_rng(0))
    np.testing.assert_allclose(x.carried.matrix, subject.params.W_hh.T + 0.1, rtol=1e-6, atol=1e-8)


def test_an_output_weight_that_is_not_transposed():
    x = shown(elman(readout=lambda p: p.W_hy), H=4, K=4)
    assert x.message == "An output's error goes back through W_hy where W_hy.T belongs."


def test_a_window_and_a_mistake_are_both_told():
    x = shown(lambda p, xs, d: bptt.backward(p._replace(W_hh=p.W_hh.T), bptt.forward(p, xs), d, window=3))
    assert x.message.startswith(
        "Truncated to windows of 3 steps behind every loss. Between steps it multiplies by W_hh "
    )
    assert x.names == ("W_hh_not_transposed",)


# ---------- sums


def shifted(g, p, xs, d_ys):
    rows = np.roll(g.W_xh.reshape(*xs.shape[:2], -1), -1, axis=0)
    rows[-1] = 0
    return rows.reshape(g.W_xh.shape)


def first_step_alone(g, p, xs, d_ys):
    return np.concatenate([g.W_xh[: xs.shape[1]], 0 * g.W_xh[xs.shape[1] :]])


def delta_1(g, p, xs, d_ys):
    return bptt.deltas(p, bptt.forward(p, xs), d_ys)[0]


SUMS = {
    "W_xh pairs δ_t with x_{t−1} where x_t belongs.": bent(W_xh=shifted),
    "W_xh keeps the first step alone (= for +=).": bent(W_xh=first_step_alone),
    "W_xh is 1/6 of the right one (a mean over the T = 6 steps where the sum belongs).": bent(
        W_xh=lambda g, p, xs, d: g.W_xh / 6
    ),
    "W_hh is the transpose of its gradient.": bent(W_hh=lambda g, p, xs, d: g.W_hh.T),
    "W_hh leaves out the first step.": elman(previous=lambda hs: np.concatenate([0 * hs[:1], hs[1:-1]])),
    "W_hh pairs δ_t with h_t where h_{t−1} belongs.": elman(previous=lambda hs: hs[1:]),
    "b_h takes the error before its slope.": elman(bias="d_h"),
    "b_y keeps the last step alone (= for +=).": bent(b_y=lambda g, p, xs, d: d[-1].sum(0)),
    "b_h is the right one with the other sign.": bent(b_h=lambda g, p, xs, d: -g.b_h),
    "h0 is δ_1, without W_hh.T.": bent(h0=lambda g, p, xs, d: delta_1(g, p, xs, d).sum(0)),
    "h0 is multiplied by W_hh where W_hh.T belongs.": bent(
        h0=lambda g, p, xs, d: (delta_1(g, p, xs, d) @ p.W_hh).sum(0)
    ),
    "h0 has the first sequence alone.": bent(h0=lambda g, p, xs, d: delta_1(g, p, xs, d)[0] @ p.W_hh.T),
    "h0 is all zero.": bent(h0=lambda g, p, xs, d: 0 * g.h0),
    "W_hy is another sum.": bent(W_hy=lambda g, p, xs, d: np.sqrt(np.abs(g.W_hy))),
}


@pytest.mark.parametrize("says", SUMS)
def test_sums_are_named(says):
    x = shown(SUMS[says])
    assert says in x.message, x
    assert x.reach is None or x.reach.kind == "full", "the flow is right, though dW_xh may not be"


SHAPES = {
    "b_h has the shape (1, 5) where (5,) belongs: was the sum taken with keepdims=True? The rest is right.": bent(
        b_h=lambda g, p, xs, d: g.b_h[None]
    ),
    "W_xh has the shape (5, 12) where (12, 5) belongs: is it the transpose? The rest is right.": bent(
        W_xh=lambda g, p, xs, d: g.W_xh.T
    ),
    "h0 has the shape (2, 5) where (5,) belongs: is it not summed over the batch? The rest is right.": bent(
        h0=lambda g, p, xs, d: delta_1(g, p, xs, d) @ p.W_hh.T
    ),
    "No gradient came for h0. The rest is right.": lambda p, xs, d: {
        name: g for name, g in right(p, xs, d)._asdict().items() if name != "h0"
    },
}


@pytest.mark.parametrize("says", SHAPES)
def test_shapes_that_do_not_fit_are_told(says):
    assert shown(SHAPES[says]).message == says


# ---------- the net that it runs


def restarted(p, xs, d_ys, window=2):
    gradients = []
    for t in range(len(xs)):
        first = max(0, t - window + 1)
        alone = np.zeros_like(d_ys[first : t + 1])
        alone[-1] = d_ys[t]
        gradients.append(right(p, xs[first : t + 1], alone))
    return ElmanParams(*(sum(parts) for parts in zip(*gradients, strict=True)))


def chunk_by_chunk(p, xs, d_ys, length=2):
    parts = [right(p, xs[t : t + length], d_ys[t : t + length]) for t in range(0, len(xs), length)]
    return ElmanParams(*(sum(part) for part in zip(*parts, strict=True)))


def logistic(p, xs, d_ys, slope=lambda h: h * (1 - h)):
    hs = [np.tile(p.h0, (xs.shape[1], 1))]
    for x in xs:
        hs.append(passes.sigmoid(x @ p.W_xh + hs[-1] @ p.W_hh + p.b_h))
    hs, nxt, deltas = np.stack(hs), 0.0, np.zeros((*xs.shape[:2], len(p.h0)))
    for t in reversed(range(len(xs))):
        deltas[t] = (d_ys[t] @ p.W_hy.T + nxt) * slope(hs[t + 1])
        nxt = deltas[t] @ p.W_hh.T
    W_xh, W_hh = np.einsum("tbd,tbh->dh", xs, deltas), np.einsum("tbg,tbh->gh", hs[:-1], deltas)
    W_hy = np.einsum("tbh,tbk->hk", hs[1:], d_ys)
    return ElmanParams(W_xh, W_hh, deltas.sum((0, 1)), W_hy, d_ys.sum((0, 1)), nxt.sum(0))


def swapped(p, xs, d_ys):
    return right(p, xs.swapaxes(0, 1), d_ys.swapaxes(0, 1))


def in_another_order(p, xs, d_ys, order=(0, 1, 3, 2)):
    turn = {name: forward.reorder(getattr(p, name), order) for name in ("W_xh", "W_hh", "b_h")}
    g = lstm()(p._replace(**turn), xs, d_ys)
    return g._replace(**{name: forward.reorder(getattr(g, name), order) for name in turn})


NETS = {
    "It starts from zeros where params.h0 belongs.": elman(start=lambda B, H, p: np.zeros((B, H))),
    "It starts from another state than params.h0 (carried over? then hand it over, state=).": elman(
        start=lambda B, H, p: np.random.default_rng(7).standard_normal((B, H))
    ),
    "Its state is set back to params.h0 every 2 steps.": chunk_by_chunk,
    "Every loss sees a window of 2 steps, started anew from params.h0.": restarted,
    "Its units are logistic where tanh belongs.": logistic,
    "Time and batch are swapped: it takes axis 0 for the batch.": swapped,
    "Time runs backwards: it reads the inputs from the last to the first.": lambda p, xs, d: right(
        p, xs[::-1], d[::-1]
    ),
}


@pytest.mark.parametrize("says", NETS)
def test_another_net_is_told_from_a_wrong_gradient(says):
    assert shown(NETS[says]).message == says + REST


def test_another_start_does_not_hide_the_rest():
    backward = elman(start=lambda B, H, p: np.zeros((B, H)), back=lambda p: p.W_hh)
    x = shown(backward)
    assert x.message.startswith(
        "It starts from zeros where params.h0 belongs. Between steps it multiplies by W_hh where"
    )
    assert x.names == ("W_hh_not_transposed",)


def test_what_belongs_there_depends_on_the_units():
    x = shown(partial(logistic, slope=lambda h: 1 - h**2))
    assert x.message == "Its units are logistic where tanh belongs. The slope is 1 − h² where h (1 − h) belongs."


def test_a_forward_pass_that_multiplies_by_the_transpose():
    def flipped(p, xs, d_ys):
        g = right(p._replace(W_hh=p.W_hh.T), xs, d_ys)
        return g._replace(W_hh=g.W_hh.T)

    assert shown(flipped).message == "Its forward pass multiplies by W_hh transposed." + REST


def test_a_reset_state_with_another_mistake():
    def both(p, xs, d_ys):
        return chunk_by_chunk(p, xs, d_ys)._replace(b_h=0 * p.b_h)

    says = "Its state is set back to params.h0 every 2 steps. Beyond that it is not right: mend this first, then look again."
    assert shown(both).message == says


def test_gates_in_another_order_and_an_update_gate_the_other_way_round():
    says = "Its gates come in the order i, f, o, g where i, f, g, o belongs."
    assert shown(in_another_order, cell="lstm").message == says + REST
    says = "Its update gate is the other way round, z n + (1 − z) h_{t−1}."
    assert shown(gru(turned=True), cell="gru").message == says + REST
    zeros = lstm(start=lambda B, H: (np.zeros((B, H)), np.zeros((B, H))))
    assert shown(zeros, cell="lstm").message == "It starts from zeros where params.h0 belongs." + REST


def test_units_that_are_not_known_have_their_slope_read_off_all_the_same():
    def softsign(p, xs, d_ys):
        hs, nxt, deltas = [np.tile(p.h0, (xs.shape[1], 1))], 0.0, np.zeros((*xs.shape[:2], len(p.h0)))
        for x in xs:
            a = x @ p.W_xh + hs[-1] @ p.W_hh + p.b_h
            hs.append(a / (1 + np.abs(a)))
        for t in reversed(range(len(xs))):
            deltas[t] = (d_ys[t] @ p.W_hy.T + nxt) * (1 - np.abs(hs[t + 1])) ** 2
            nxt = deltas[t] @ p.W_hh.T
        W_hy = sum(h.T @ d_y for h, d_y in zip(hs[1:], d_ys, strict=True))
        W_hh, W_xh = (sum(a.T @ e for a, e in zip(left, deltas, strict=True)) for left in (hs[:-1], xs))
        return ElmanParams(W_xh, W_hh, deltas.sum((0, 1)), W_hy, d_ys.sum((0, 1)), nxt.sum(0))

    x = shown(softsign)
    assert x.message.startswith("Its states are not those of this net: is its forward pass another")
    h, slope = x.slope.table.T
    np.testing.assert_allclose(slope, (1 - np.abs(h)) ** 2, rtol=1e-9)
    assert x.carried.says == "W_hh.T"


def test_a_given_state_is_the_truth():
    state = 0.4 * np.random.default_rng(4).standard_normal((2, 5))
    known = elman(start=lambda B, H, p: state)  # the pass carries it along by itself
    handed = lambda p, xs, d_ys, h: bptt.backward(p, bptt.forward(p, xs, h), d_ys)  # noqa: E731
    named = lambda p, xs, d_ys, state=None: bptt.backward(p, bptt.forward(p, xs, state), d_ys)  # noqa: E731
    optional = lambda p, xs, d_ys, window=None: bptt.backward(p, bptt.forward(p, xs, state), d_ys, window=window)  # noqa: E731
    for backward in (known, handed, named, optional):
        assert shown(backward, state=state).right
    assert shown(right, state=state).message == "It starts from params.h0 where the given state belongs." + REST
    assert not shown(known).right
    h, c = 0.4 * np.random.default_rng(4).standard_normal((2, 2, 5))
    assert shown(lstm(start=lambda B, H: (h, c)), cell="lstm", state=LSTMState(h, c)).right
    assert not shown(lstm(start=lambda B, H: (h, c)), cell="lstm").right


# ---------- behaviour


class Keeps:
    state = None

    def __call__(self, p, xs, d_ys):
        tape = bptt.forward(p, xs, self.state)
        self.state = tape.hs[-1].copy()
        return bptt.backward(p, tape, d_ys)


class Accumulates:
    total = None

    def __call__(self, p, xs, d_ys):
        g = right(p, xs, d_ys)
        self.total = g if self.total is None else ElmanParams(*(a + b for a, b in zip(self.total, g, strict=True)))
        return self.total


def writes(p, xs, d_ys):
    g = right(p, xs, d_ys)
    p.W_hh[:] -= 0.1 * g.W_hh
    xs *= 0
    return g


def updates_as_it_goes(p, xs, d_ys):
    tape, W, nxt, deltas = bptt.forward(p, xs), p.W_hh.copy(), 0.0, np.zeros((*xs.shape[:2], len(p.h0)))
    for t in reversed(range(len(xs))):
        deltas[t] = (d_ys[t] @ p.W_hy.T + nxt) * (1 - tape.hs[t + 1] ** 2)
        nxt = deltas[t] @ W.T
        W -= 0.1 * tape.hs[t].T @ deltas[t]
    W_hh, W_xh = (sum(a.T @ e for a, e in zip(left, deltas, strict=True)) for left in (tape.hs[:-1], xs))
    return right(p, xs, d_ys)._replace(W_xh=W_xh, W_hh=W_hh, b_h=deltas.sum((0, 1)), h0=nxt.sum(0))


def noisy():
    rng = np.random.default_rng(3)
    return lambda p, xs, d_ys: each(right(p, xs, d_ys), lambda g: g + rng.standard_normal(g.shape))


BEHAVIOUR = {
    "Large gradients are cut, entry by entry to ±5; what is said here was read off smaller ones.": lambda: elman(
        post=clipped(5)
    ),
    "Large gradients are cut, entry by entry to ±0.05; what is said here was read off smaller ones.": lambda: elman(
        post=clipped(0.05)
    ),
    "Large gradients are cut, as a whole to a norm of 1; what is said here was read off smaller ones.": lambda: elman(
        post=lambda g, p: each(g, lambda x: x * min(1, 1 / norm(g)) if norm(g) else x)
    ),
    "Large gradients are cut, array by array to a norm of 2; what is said here was read off smaller ones.": lambda: (
        elman(post=lambda g, p: each(g, lambda x: x * 2 / max(2, np.linalg.norm(x))))
    ),
    "Without any loss it still gives 0.1 times the parameters.": lambda: elman(
        post=lambda g, p: ElmanParams(*(x + 0.1 * w for x, w in zip(g, p, strict=True)))
    ),
    "It is not linear in d_ys: is something cut, or are weights updated, on the way back?": lambda: updates_as_it_goes,
    "Large gradients are cut, W_hh alone, entry by entry to ±5; what is said here was read off smaller ones.": lambda: (
        elman(post=lambda g, p: g._replace(W_hh=np.clip(g.W_hh, -5, 5)))
    ),
    "It writes into its arguments: params.W_hh, xs.": lambda: writes,
    "Called again with the same arguments it adds to the gradients of the call before: the arrays are not zeroed in "
    "between.": Accumulates,
}


@pytest.mark.parametrize("says", BEHAVIOUR)
def test_behaviour_is_told_apart_from_the_gradient(says):
    x = shown(BEHAVIOUR[says]())
    assert x.message == says + REST, x
    assert x.squares[-1, -1] == "right"


def test_a_normalised_gradient_is_read_all_the_same():
    x = shown(elman(post=lambda g, p: each(g, lambda x: x / max(norm(g), 1e-300))))
    assert x.message == "Gradients are brought to one length, whatever d_ys is." + REST


def test_clipping_does_not_hide_a_mistake():
    x = shown(elman(back=lambda p: p.W_hh, post=clipped(5)))
    assert x.names == ("W_hh_not_transposed",)
    assert x.message.endswith("Between steps it multiplies by W_hh where W_hh.T belongs.")
    assert not x.behaviour.linear


def test_an_error_cut_on_its_way_back_is_not_called_clipping():
    x = shown(elman(back=lambda p: _Cut(p.W_hh.T)))
    assert x.message.startswith("It is not linear in d_ys: is something cut")
    assert x.right is False


def test_losses_that_do_not_add_up():
    largest = lambda p, xs, d: right(p, xs, d * (np.abs(d) == np.abs(d).max()))  # noqa: E731
    says = "All losses at once give another gradient than one by one, added up."
    assert says in shown(largest).message
    assert "It is not linear in d_ys" in shown(lambda p, xs, d: right(p, xs, d * (d > 0))).message


class _Cut:
    """A matrix whose products are cut to ±0.1."""

    __array_ufunc__ = None

    def __init__(self, matrix):
        self.matrix = matrix

    def __rmatmul__(self, left):
        return np.clip(left @ self.matrix, -0.1, 0.1)


def test_what_changes_from_call_to_call():
    says = "Called again with the same arguments it starts where the call before ended: it keeps its state from call to call."
    assert shown(Keeps()).message.startswith(says)
    says = "Called again with the same arguments it gives another gradient: is something drawn at random, or kept from call"
    assert shown(noisy()).message.startswith(says)


def test_sequences_that_mix_are_told():
    def mixing(p, xs, d_ys):
        tape, nxt, deltas = bptt.forward(p, xs), 0.0, np.zeros((*xs.shape[:2], len(p.h0)))
        for t in reversed(range(len(xs))):
            deltas[t] = (d_ys[t] @ p.W_hy.T + nxt) * (1 - tape.hs[t + 1] ** 2)
            nxt = (deltas[t] @ p.W_hh.T).sum(0, keepdims=True)
        W_hh, W_xh = (sum(a.T @ e for a, e in zip(left, deltas, strict=True)) for left in (tape.hs[:-1], xs))
        return right(p, xs, d_ys)._replace(W_xh=W_xh, W_hh=W_hh, b_h=deltas.sum((0, 1)))

    assert shown(mixing).message.startswith("Sequences of the batch mix: a loss in one is heard in another.")


def test_a_loss_that_hears_the_future():
    def late(p, xs, d_ys):
        return right(p, xs, d_ys + np.concatenate([0 * d_ys[:1], d_ys[:-1]]))

    x = shown(late)
    assert x.squares[0].tolist() == ["wrong", "future", "", "", "", ""]
    assert "A loss is heard at steps after its own." in x.message


# ---------- what can't be read


def raises(p, xs, d_ys):
    return {}["W_hh"]


def only_alone(p, xs, d_ys):
    if np.count_nonzero(d_ys) == 3 and d_ys[1, 0].any():
        raise ArithmeticError("no")
    return right(p, xs, d_ys)


UNREADABLE = {
    "It raised KeyError in call 1 (all losses at once): 'W_hh', at the line `return {}[\"W_hh\"]`.": raises,
    "It raised ArithmeticError in call 8 (the loss of step 2 in sequence 1 alone): no, at the line": only_alone,
    "It returned None in call 1 (all losses at once). Is the return missing?": lambda p, xs, d: None,
    "It returned dW in call 1 (all losses at once); wanted are gradients by name: W_xh, W_hh": lambda p, xs, d: {
        "dW": 1
    },
    "It returned 2 things in call 1 (all losses at once); wanted are 6: W_xh, W_hh, b_h": lambda p, xs, d: (1, 2),
    "W_hh must be finite in call 1 (all losses at once), got nan at W_hh[0, 0].": bent(
        W_hh=lambda g, p, xs, d: g.W_hh * np.nan
    ),
    "W_xh must have shape (12, 5) in call 1 (all losses at once), got (3, 3).": bent(
        W_xh=lambda g, p, xs, d: np.zeros((3, 3))
    ),
    "W_hh is no array of numbers in call 1 (all losses at once), but str.": bent(W_hh=lambda g, p, xs, d: "W"),
    "It gave no gradient for W_xh in call 1 (all losses at once), whose rows are the errors.": lambda p, xs, d: {
        "W_hh": right(p, xs, d).W_hh
    },
}


@pytest.mark.parametrize("says", UNREADABLE)
def test_a_pass_that_gives_no_gradient_is_told_at_which_call(says):
    x = shown(UNREADABLE[says])
    assert x.message.startswith(says), x
    assert str(x) == x.message
    assert "<p>✗ " in x._repr_html_()
    assert not x.right
    assert (x.squares == "").all()
    assert isinstance(x.error, Exception) == ("raised" in says or "no array" in says)
    if "raised" in says:
        assert x.error.__traceback__ is not None, "the learner's own traceback is kept"


def test_nothing_of_the_caller_is_changed():
    state = np.full((2, 5), 0.1)
    shown(lambda p, xs, d_ys, state: [state.fill(9), writes(p, xs, d_ys)][1], state=state)
    assert (state == 0.1).all()


@pytest.mark.bad_input
def test_bad_input_is_explained():
    rng = np.random.default_rng(0)
    with pytest.raises(TypeError, match=r"xray: backward must be a function \(params, xs, d_ys\), got ElmanParams"):
        xray(init_elman(3, 4, 2, rng=rng), rng=rng)
    with pytest.raises(ValueError, match="xray: cell must be one of elman, lstm, gru, got 'rnn'"):
        xray(right, cell="rnn", rng=rng)
    with pytest.raises(ValueError, match="xray: T must be at least 1, got 0"):
        xray(right, T=0, rng=rng)
    with pytest.raises(TypeError, match=r"rng must be a np\.random\.Generator, got int"):
        xray(right, rng=0)
    with pytest.raises(ValueError, match=r"xray: state must be \(2, 5\) \(B, H\), got \(5,\). One for each sequence"):
        xray(right, state=np.zeros(5), rng=rng)
    with pytest.raises(ValueError, match=r"xray: state must be 2 array\(s\), h, c, got 1"):
        xray(lstm(), cell="lstm", state=np.zeros((2, 5)), rng=rng)


# ---------- shapes of what is missing, text and HTML


def test_every_window_and_chunk_is_named():
    for T in range(3, 8):
        t, s = np.indices((T, T))
        for k in range(2, T):
            assert squares.reach((s <= t) & (t - s < k)).window == k
            chunks = squares.reach((s <= t) & (t // k == s // k))
            assert (chunks.kind, chunks.window) == ("chunks", k), (T, k)
        assert squares.reach(s <= t) == ("full", "", None)
        assert squares.reach(s >= t).kind == "reversed"
        assert squares.reach(s < 0).kind == "none"
        assert squares.reach((s <= t) & (t != s)).kind == "other"


def test_it_prints_as_its_squares_and_its_message():
    x = shown(elman(own=lambda t, T: 2.0), T=2)
    assert str(x).splitlines() == [
        "            1    2  step",
        "loss 1     ×2",
        "loss 2     ×2   ×2",
        "× a multiple",
        "A step's own error counts twice.",
    ]
    assert repr(x) == str(x)


def test_html_can_be_read_without_colour_and_aloud():
    html = shown(elman(back=lambda p: p.W_hh), T=3)._repr_html_()
    assert html.count("<tr>") == 4
    assert html.count('<th scope="row"') == 3
    assert html.count('aria-label="right ✓">✓</td>') == 3
    assert html.count('aria-label="wrong ✗">✗</td>') == 3
    assert "<caption" in html
    assert "✗ Between steps it multiplies by W_hh where W_hh.T belongs." in html
    assert "✓ Right: every loss" in shown(right)._repr_html_()
    unsafe = shown(lambda p, xs, d: 1 / 0, T=2)._repr_html_()
    assert "ZeroDivisionError" in unsafe
    assert "<script" not in shown(lambda p, xs, d: {"<script>": 1})._repr_html_()


def test_it_is_quick():
    start = time.perf_counter()
    for cell, backward in {"elman": elman(carry="+="), "lstm": lstm(put(prev=lambda v: v.c)), "gru": gru()}.items():
        shown(backward, cell=cell)
    assert time.perf_counter() - start < 60, "some hundredths of a second each, where nothing else runs"


def test_it_needs_no_jax():
    script = (
        "import sys; sys.modules['jax'] = sys.modules['jaxlib'] = None\n"
        "import numpy as np\nfrom rnnlib import bptt\nfrom rnnlib.clinic import xray\n"
        "x = xray(lambda p, xs, d: bptt.backward(p, bptt.forward(p, xs), d), rng=np.random.default_rng(0))\n"
        "assert x.right, x"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
