"""What people do beside the catalogue's own mistakes, alone and with one of these; other cells, carried states, and no false alarms."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from rnnlib import bptt
from rnnlib.cells import ElmanParams, LSTMState, init_gru, init_lstm
from rnnlib.clinic import CATALOGUE, diagnose, wrong_gradient
from rnnlib.clinic.catalogue import GATED
from rnnlib.clinic.diagnosis.flows import groups
from rnnlib.clinic.diagnosis.net import arrays, assembled
from rnnlib.clinic.xray import reference
from tests.clinic import passes
from tests.clinic.passes import put
from tests.strategies import Problem, problem

P = problem(T=6, B=4, D=3, H=5, K=2)
TAPE = bptt.forward(P.params, P.xs)


def right(p):
    return bptt.backward(p.params, bptt.forward(p.params, p.xs), p.d_ys)


def said(grads, p=P, **options):
    return diagnose(grads, *p, **options)


# ---------- truncations are no mistakes


def windows(k, back=None, slope=lambda h: 1 - h**2):
    """Every loss by itself, k steps back."""

    def backward(params, xs, d_ys):
        tape, T = bptt.forward(params, xs), len(xs)
        g = {name: np.zeros_like(value) for name, value in params._asdict().items()}
        W = params.W_hh.T if back is None else back(params)
        for t in range(T):
            g["W_hy"] += tape.hs[t + 1].T @ d_ys[t]
            g["b_y"] += d_ys[t].sum(0)
            d_h = d_ys[t] @ params.W_hy.T
            for s in range(t, max(t - k, -1), -1):
                delta = d_h * slope(tape.hs[s + 1])
                g["W_xh"] += xs[s].T @ delta
                g["W_hh"] += tape.hs[s].T @ delta
                g["b_h"] += delta.sum(0)
                d_h = delta @ W
                g["h0"] += d_h.sum(0) if s == 0 else 0
        return ElmanParams(**g)

    return backward


def chunks(k, **options):
    return passes.elman(cut=lambda t, T: (t + 1) % k == 0, **options)


def last_chunk(k):
    def backward(params, xs, d_ys):
        tape = bptt.forward(params, xs)
        return bptt.backward(params, bptt.forward(params, xs[-k:], tape.hs[-k - 1]), d_ys[-k:])

    return backward


@pytest.mark.parametrize("k", [2, 3, 4, 5])
def test_truncations_are_named_and_no_mistakes(k):
    for backward, says in (
        (windows(k), f"Truncated: every loss looks back through a window of {k} steps, its own included."),
        (chunks(k), f"Truncated: the error is cut at the borders of chunks of {k} steps."),
        (last_chunk(k), f"Truncated: only the last {k} steps count, as of a last chunk alone."),
    ):
        found = said(backward(*P))
        assert (found.names, found.verdict) == ((), "truncated")
        assert found.message == f"{says} Beside that it is right."


def test_a_truncation_with_a_stride_is_named():
    T, total = len(P.xs), None
    for end in range(2, T + 1, 2):  # the losses of two steps, sent back through four
        first, d_ys = max(0, end - 4), 0 * P.d_ys
        d_ys[end - 2 : end] = P.d_ys[end - 2 : end]
        part = bptt.backward(P.params, bptt.forward(P.params, P.xs[first:end], TAPE.hs[first]), d_ys[first:end])
        part = part._replace(h0=part.h0 * (first == 0))
        total = part if total is None else ElmanParams(*(a + b for a, b in zip(total, part, strict=True)))
    found = said(total)
    assert found.verdict == "truncated"
    assert "every 2 steps the error of their losses is sent back through the last 4 steps" in found.message


@pytest.mark.parametrize("make", [windows, chunks])
def test_a_truncation_and_a_mistake_are_both_named(make):
    for fault, name in {
        "W_hh_not_transposed": ("back", lambda params: params.W_hh),
        "tanh_slope_misplaced": ("slope", lambda h: 1 - np.tanh(h) ** 2),
    }.items():
        found = said(make(3, **dict([name]))(*P))
        assert (found.names, found.verdict) == ((fault,), "mistake")
        assert "3 steps" in found.message
    for name in ("mean_over_time", "wrong_sign", "h_t_for_h_prev"):
        truncated, whole = make(3)(*P), wrong_gradient((name,), *P)
        if name == "h_t_for_h_prev":  # the state after the step in W_hh's sum, with the truncated errors
            sums = passes.elman(cut=lambda t, T: (t + 1) % 3 == 0, previous=lambda hs: hs[1:])(*P)
            truncated, factor = (sums._replace(W_hy=whole.W_hy), 1.0) if make is chunks else (None, 0.0)
        else:
            factor = {"mean_over_time": 1 / 6, "wrong_sign": -1.0}[name]
        if truncated is not None:
            assert said(ElmanParams(*(factor * g for g in truncated))).names == (name,)


@pytest.mark.parametrize("T", [1, 2, 5, 8])
@pytest.mark.parametrize("kind", ["windows", "chunks"])
def test_groups_send_every_loss_as_far_as_it_reaches(kind, T):
    for k in range(1, T + 1):
        own, cut = groups(T, (kind, k))
        heard = np.zeros((T, T), bool)  # (loss, step)
        for group in range(len(own)):
            carried = set()
            for s in reversed(range(T)):
                carried = (set() if cut[group, s] else carried) | ({s} if own[group, s] else set())
                heard[list(carried), s] = True
        t, s = np.indices((T, T))
        reaches = (s <= t) & ((t - s < k) if kind == "windows" else (t // k == s // k))
        np.testing.assert_array_equal(heard, reaches)


# ---------- the slope, by its name


@pytest.mark.parametrize(
    ("says", "slope"),
    [
        ("1 + h²", lambda h: 1 + h**2),
        ("1 / (1 − h²)", lambda h: 1 / (1 - h**2)),
        ("h (1 − h)", lambda h: h * (1 - h)),
        ("(1 − h)²", lambda h: (1 - h) ** 2),
        ("tanh(h)", np.tanh),
        ("1 if h > 0, else 0", lambda h: (h > 0) * 1.0),
    ],
)
def test_the_slope_that_was_used_is_said(says, slope):
    found = said(passes.elman(slope=slope)(*P))
    assert found.names == ("tanh_slope_misplaced",)
    assert f"the slope is {says} where 1 − h² belongs" in found.message
    both = said(passes.elman(slope=slope, back=lambda p: p.W_hh)(*P))
    assert both.names == ("tanh_slope_misplaced", "W_hh_not_transposed")


# ---------- done afterwards


def clipped(g):
    return ElmanParams(*(np.clip(x, -5, 5) for x in g))


def shortened(g):
    norm = np.sqrt(sum((x**2).sum() for x in g))
    return ElmanParams(*(5 / norm * x for x in g))


def shortened_each(g):
    return ElmanParams(*(x * min(1, 2 / max(np.linalg.norm(x), 1e-300)) for x in g))


def decayed(g):
    return ElmanParams(*(x + 0.1 * p for x, p in zip(g, P.params, strict=True)))


def weights_decayed(g):
    return ElmanParams(*(x + 0.01 * p * (p.ndim == 2) for x, p in zip(g, P.params, strict=True)))


AFTERWARDS = {
    "Clipped: every entry is cut at ±5, and all entries inside agree.": clipped,
    "Clipped: all arrays together are scaled down to a norm of 5, by ": shortened,
    "Clipped: each array is scaled down to a norm of 2, where it was longer.": shortened_each,
    "All differ by 0.1 θ, θ the parameters: a weight decay on one side.": decayed,
    "All differ by 0.01 θ, θ the parameters: a weight decay on one side.": weights_decayed,
    "Every parameter is scaled by 2.": lambda g: ElmanParams(*(2 * x for x in g)),
    "These are updated parameters, θ − 0.01 g, and not gradients g.": lambda g: ElmanParams(
        *(p - 0.01 * x for x, p in zip(g, P.params, strict=True))
    ),
}


@pytest.mark.parametrize("says", AFTERWARDS)
def test_what_is_done_to_the_whole_gradient_is_named(says):
    found = said(AFTERWARDS[says](right(P)))
    assert (found.names, found.verdict) == ((), "other")
    assert found.message.startswith(says)
    for name in ("W_hh_not_transposed", "time_and_batch_swapped"):
        found = said(AFTERWARDS[says](wrong_gradient((name,), *P)))
        assert (found.names, found.verdict) == ((name,), "mistake"), found
        assert says.split(" scaled down")[0].split("±")[0][:20] in found.message


# ---------- other states, inputs and forward passes


def test_a_chunk_that_starts_from_a_carried_state_is_right():
    state = TAPE.hs[3]
    tape = bptt.forward(P.params, P.xs, state)
    g = bptt.backward(P.params, tape, P.d_ys)
    each = bptt.deltas(P.params, tape, P.d_ys)[0] @ P.params.W_hh.T
    for h0 in (g.h0, 0 * g.h0, each):
        assert said(g._replace(h0=h0), state=state).verdict == "correct"
    found = said(g)
    assert found.verdict == "unknown"
    assert "Does the chunk start from a carried state? Then hand it over, state=." in found.message
    wrong = passes.elman(start=lambda B, H, p: state, back=lambda p: p.W_hh)(*P)
    assert said(wrong, state=state).names == ("W_hh_not_transposed",)
    assert "starts from params.h0 where the given state belongs" in said(right(P), state=state).message


NETS = {
    "The pass starts from zeros where params.h0 belongs": lambda p: bptt.backward(
        p.params, bptt.forward(p.params, p.xs, np.zeros((4, 5))), p.d_ys
    ),
    "Time runs backwards": lambda p: right(p._replace(xs=p.xs[::-1], d_ys=p.d_ys[::-1])),
    "Each dL/dy_t is taken one step early": lambda p: right(
        p._replace(d_ys=np.concatenate([p.d_ys[1:], 0 * p.d_ys[:1]]))
    ),
    "it leaves out b_h": lambda p: right(p._replace(params=p.params._replace(b_h=0 * p.params.b_h))),
    "it multiplies by W_hh transposed": lambda p: (lambda g: g._replace(W_hh=g.W_hh.T))(
        right(p._replace(params=p.params._replace(W_hh=p.params.W_hh.T)))
    ),
}


@pytest.mark.parametrize("says", NETS)
def test_another_net_is_told_from_a_wrong_gradient(says):
    found = said(NETS[says](P))
    assert (found.names, found.verdict) == ((), "other")
    assert says in found.message


def test_the_state_set_back_at_every_chunk():
    parts = [right(P._replace(xs=P.xs[k : k + 2], d_ys=P.d_ys[k : k + 2])) for k in (0, 2, 4)]
    found = said(ElmanParams(*(sum(each) for each in zip(*parts, strict=True))))
    assert found.message.startswith("The state is set back to params.h0 every 2 steps.")


# ---------- what is known where no name is


def test_a_zero_h0_does_not_hide_the_rest():
    g = passes.elman(back=lambda p: p.W_hh)(*P)
    g = g._replace(W_xh=wrong_gradient(("W_hh_not_transposed", "input_of_another_step"), *P).W_xh, h0=0 * g.h0)
    found = said(g)
    assert found.names == ("W_hh_not_transposed", "input_of_another_step")
    assert "The gradient of h0 is all zero, as if h0 were a constant." in found.message


def test_the_readout_says_where_to_look():
    g = right(P)
    other_errors = bptt.backward(P.params, TAPE, P.d_ys**2)
    assert "the pass has another dL/dy than the one given" in said(other_errors).message
    states = bptt.backward(P.params, bptt.forward(P.params, P.xs / 2), P.d_ys)
    assert "so dL/dy adds up as given, and is paired with other states" in said(states).message
    flow = g._replace(W_xh=g.W_xh + 1, W_hh=g.W_hh - 1, b_h=g.b_h + 1)
    assert "what is off is the error's way back" in said(flow).message
    assert "the sum for W_hh alone" in said(g._replace(W_hh=g.W_hh + 1)).message
    assert "clinic.xray" in said(flow).message


def test_the_step_whose_term_is_off_is_said():
    p = problem(T=6, B=2, D=3, H=5, K=2)
    g = right(p)
    wrong = g._replace(W_hh=g.W_hh + bptt.forward(p.params, p.xs).hs[2].T @ np.ones((2, 5)))
    assert "It is the term of step 3 that is off." in said(wrong, p).message


def test_inputs_that_cannot_show_a_mistake_are_said_to_be_such():
    last = P._replace(d_ys=P.d_ys * (np.arange(6) == 5)[:, None, None])
    found = said(right(last), last)
    assert found.verdict == "correct"
    assert "With dL/dy zero at all steps but step 6 some mistakes leave no trace" in found.message
    alike = P._replace(xs=P.xs[:, :1] + 0 * P.xs, d_ys=P.d_ys[:, :1] + 0 * P.d_ys)
    assert "With sequences that are all alike" in said(right(alike), alike).message


# ---------- gates


def gated(cell, T=6, B=4, D=3, H=5, K=2, seed=0):
    rng = np.random.default_rng(seed)
    params = {"lstm": init_lstm, "gru": init_gru}[cell](D, H, K, rng=rng)
    params = assembled(params, {name: a + 0.4 * rng.standard_normal(a.shape) for name, a in arrays(params).items()})
    return Problem(params, rng.standard_normal((T, B, D)), rng.standard_normal((T, B, K)))


GATES = {
    "cell_error_not_carried": [
        ("lstm", passes.lstm(after=put(dc_prev=lambda v: 0 * v.dc)), ""),
        ("gru", passes.gru(after=put(dh_prev=lambda v: v.through)), ""),
    ],
    "error_not_carried": [
        ("lstm", passes.lstm(after=put(dh_prev=lambda v: 0 * v.dh)), "nothing goes back through W_hh.T"),
        ("gru", passes.gru(after=put(dh_prev=lambda v: v.dh * v.z)), "nothing goes back through W_hh.T"),
    ],
    "gate_derivative_wrong": [
        ("lstm", passes.lstm(line=put(prev=lambda v: v.c)), "the forget gate has c_t where c_{t−1} belongs"),
        ("lstm", passes.lstm(line=put(slope=lambda v: lambda s: s)), "the errors of all gates have i (σ itself"),
        (
            "lstm",
            passes.lstm(line=put(tslope=lambda v: lambda s: 1 - np.tanh(s) ** 2)),
            "1 − tanh(g)² (a tanh of a tanh)",
        ),
        ("lstm", passes.lstm(after=put(dc_prev=lambda v: v.dc)), "along the cell goes dc_{t+1}"),
        ("gru", passes.gru(line=put(gap=lambda v: v.n - v.h_prev)), "the update gate has n − h_{t−1}"),
        ("gru", passes.gru(line=put(let=lambda v: v.z)), "has z where 1 − z belongs"),
    ],
    "gates_reordered": [("lstm", passes.lstm(order="fiog"), "")],
    "W_hh_not_transposed": [
        ("lstm", passes.lstm(back=lambda p, H: np.vstack(np.split(p.W_hh, 4, axis=1))), ""),
    ],
}


@pytest.mark.parametrize(("name", "case"), [(name, case) for name, cases in GATES.items() for case in cases])
def test_a_fault_of_a_gate_is_named(name, case):
    cell, backward, says = case
    p = gated(cell)
    found = said(backward(*p), p)
    assert (found.names, found.verdict) == ((name,), "mistake"), found
    assert says in found.message


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_with_gates_two_mistakes_are_named_too(cell):
    p = gated(cell)
    for pair in [
        ("wrong_sign", "cell_error_not_carried"),
        ("h_t_for_h_prev", "gate_derivative_wrong"),
        ("bias_not_summed_over_time", "gates_reordered"),
    ]:
        assert said(wrong_gradient(pair, *p), p).names == pair


def test_a_mistake_with_gates_needs_gates():
    with pytest.raises(
        ValueError, match="wrong_gradient: gates_reordered must be asked of a net with gates, got Elman"
    ):
        wrong_gradient(("gates_reordered",), *P)
    assert set(CATALOGUE) > GATED


# ---------- no false alarm


@st.composite
def nets(draw):
    """Any cell, with a state or without, of any shape and scale, in either precision, and its right gradient by the tests' own loop."""
    cell, seed = draw(st.sampled_from(["elman", "lstm", "gru"])), draw(st.integers(0, 2**16))
    T, B, D, H, K = (draw(st.integers(1, most)) for most in (8, 4, 4, 5, 3))
    p = problem(T, B, D, H, K, seed) if cell == "elman" else gated(cell, T, B, D, H, K, seed)
    scale, errors = draw(st.sampled_from([0.1, 1.0, 3.0])), draw(st.sampled_from([1e-8, 1.0, 1e8]))
    dtype, rng = draw(st.sampled_from([np.float32, np.float64])), np.random.default_rng(seed)
    params = assembled(p.params, {name: (scale * a).astype(dtype) for name, a in arrays(p.params).items()})
    p = Problem(params, p.xs.astype(dtype), (errors * p.d_ys).astype(dtype))
    state = tuple(rng.standard_normal((B, H)).astype(dtype) for _ in range(1 + (cell == "lstm")))
    state = (LSTMState(*state) if cell == "lstm" else state[0]) if draw(st.booleans()) else None
    return cell, p, state


@settings(max_examples=200)  # `make bench` draws a thousand
@given(nets())
def test_no_false_alarm(case):
    cell, p, state = case
    start = (lambda *_: state) if state is not None else None
    if cell == "gru":  # the tests' own loop has no start
        g = assembled(p.params, {n: a[0] for n, a in reference.gradients(*p[:2], p.d_ys[None], state).items()})
    else:
        g = {"elman": passes.elman, "lstm": passes.lstm}[cell](start=start)(*p)
    g = assembled(p.params, {name: a.astype(p.xs.dtype) for name, a in arrays(g).items()})
    found = diagnose(g, *p, state=state)
    assert (found.names, found.verdict) == ((), "correct"), found
