from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnlib import bptt, gradcheck
from rnnlib.cells import ElmanParams
from rnnlib.clinic import CATALOGUE, diagnose, wrong_gradient
from rnnlib.clinic.catalogue import GATED
from tests.clinic import passes
from tests.strategies import problem, problems

P = problem(T=6, B=4, D=3, H=5, K=2)
SQUARE = problem(T=6, B=4, D=3, H=5, K=5)  # where W_hy can be mistaken for its transpose
SYMBOLS = P._replace(xs=np.eye(3)[np.random.default_rng(0).integers(0, 3, (6, 4))])  # one-hot, each more than once
FITTING = {"W_hy_not_transposed": SQUARE, "gradient_transposed": SQUARE, "repeated_symbols_lost": SYMBOLS}


def right(p):
    return bptt.backward(p.params, bptt.forward(p.params, p.xs), p.d_ys)


# Wrong backward passes as learners write them: plain loops, nothing in common with the code that recognises them.
def learner(
    params,
    xs,
    d_ys,
    *,
    future=1,
    slope=lambda a, h, h_prev: 1 - h**2,
    back=None,
    twice=False,
    previous=0,
    skip_first=False,
    add=True,
):
    T, B, H = len(xs), xs.shape[1], params.h0.size
    hs, a = [np.tile(params.h0, (B, 1))], []
    for x in xs:
        a.append(x @ params.W_xh + hs[-1] @ params.W_hh + params.b_h)
        hs.append(np.tanh(a[-1]))
    back = params.W_hh.T if back is None else back
    g = {name: np.zeros_like(p) for name, p in params._asdict().items()}
    deltas = np.zeros((T + 1, B, H))
    for t in range(T - 1, -1, -1):
        d_h = d_ys[t] @ params.W_hy.T + deltas[t + future] @ back
        if twice:
            d_h += d_ys[t] @ params.W_hy.T
        deltas[t] = d_h * slope(a[t], hs[t + 1], hs[t])
        terms = {"W_xh": xs[t].T @ deltas[t], "W_hh": hs[t + previous].T @ deltas[t], "b_h": deltas[t].sum(0)}
        terms |= {"W_hy": hs[t + 1].T @ d_ys[t], "b_y": d_ys[t].sum(0)}
        if skip_first and t == 0:
            del terms["W_hh"]
        for name, term in terms.items():
            g[name] = g[name] + term if add else term
    g["h0"] = (deltas[0] @ back).sum(0)
    return ElmanParams(**g), deltas, np.stack(hs)


def changed(**parts):
    return lambda p: right(p)._replace(**{name: change(p) for name, change in parts.items()})


def scaled(factor):
    return lambda p: ElmanParams(*(g * factor(p) for g in right(p)))


def squares_in_place(p):
    tape = bptt.forward(p.params, p.xs)
    g = right(p)
    h = tape.hs[1:]
    h *= h  # meant for the slope 1 - h², but h is a view of the tape
    W_hh = sum(tape.hs[t].T @ learner(*p)[1][t] for t in range(len(p.xs)))
    return g._replace(W_hh=W_hh, W_hy=sum(h[t].T @ p.d_ys[t] for t in range(len(p.xs))))


def slope_on_its_own_error_only(p):
    hs, delta, g = learner(*p)[2], np.zeros((p.xs.shape[1], p.params.h0.size)), right(p)
    W_xh, W_hh, b_h = (np.zeros_like(g.W_xh), np.zeros_like(g.W_hh), np.zeros_like(g.b_h))
    for t in reversed(range(len(p.xs))):
        delta = (p.d_ys[t] @ p.params.W_hy.T) * (1 - hs[t + 1] ** 2) + delta @ p.params.W_hh.T
        W_xh, W_hh, b_h = W_xh + p.xs[t].T @ delta, W_hh + hs[t].T @ delta, b_h + delta.sum(0)
    return g._replace(W_xh=W_xh, W_hh=W_hh, b_h=b_h, h0=(delta @ p.params.W_hh.T).sum(0))


def one_array_for_all_states(p):
    tape = bptt.forward(p.params, p.xs)
    return bptt.backward(p.params, tape._replace(hs=np.stack([tape.hs[-1]] * len(tape.hs))), p.d_ys)


def never_set_back(p):
    hs, d_h, g = learner(*p)[2], np.zeros((p.xs.shape[1], p.params.h0.size)), right(p)
    W_xh, W_hh, b_h = (np.zeros_like(g.W_xh), np.zeros_like(g.W_hh), np.zeros_like(g.b_h))
    for t in reversed(range(len(p.xs))):
        d_h += p.d_ys[t] @ p.params.W_hy.T
        delta = d_h * (1 - hs[t + 1] ** 2)
        W_xh, W_hh, b_h = W_xh + p.xs[t].T @ delta, W_hh + hs[t].T @ delta, b_h + delta.sum(0)
        d_h += delta @ p.params.W_hh.T
    return g._replace(W_xh=W_xh, W_hh=W_hh, b_h=b_h, h0=d_h.sum(0))


def by_index(p):
    W_xh, deltas = np.zeros_like(p.params.W_xh), learner(*p)[1]
    for t, x in enumerate(p.xs):
        W_xh[x.argmax(-1)] += deltas[t]
    return W_xh


WRONG = {
    "error_not_carried": [
        lambda p: learner(*p, future=0)[0],  # as posted: delta[t] is still zero when it is read
        lambda p: learner(*p, future=0)[0]._replace(h0=np.zeros(p.params.h0.size)),
    ],
    "tanh_slope_misplaced": [
        lambda p: learner(*p, slope=lambda a, h, h_prev: 1 - np.tanh(h) ** 2)[0],
        lambda p: learner(*p, slope=lambda a, h, h_prev: 1 - a**2)[0],
        lambda p: learner(*p, slope=lambda a, h, h_prev: 1 - h_prev**2)[0],
        lambda p: learner(*p, slope=lambda a, h, h_prev: 1 + 0 * a)[0],
        lambda p: learner(*p, slope=lambda a, h, h_prev: 1 - h)[0],
        slope_on_its_own_error_only,
    ],
    "W_hh_not_transposed": [lambda p: learner(*p, back=p.params.W_hh)[0]],
    "h_t_for_h_prev": [
        lambda p: learner(*p, previous=1)[0],
        changed(W_hy=lambda p: sum(learner(*p)[2][t].T @ p.d_ys[t] for t in range(len(p.xs)))),
    ],
    "h0_dropped": [
        lambda p: learner(*p, skip_first=True)[0],
        changed(h0=lambda p: 0 * p.params.h0),
        lambda p: learner(*p, skip_first=True)[0]._replace(h0=0 * p.params.h0),
    ],
    "dh0_not_summed_over_batch": [
        changed(h0=lambda p: learner(*p)[1][0] @ p.params.W_hh.T),
        changed(h0=lambda p: (learner(*p)[1][0] @ p.params.W_hh.T)[0]),
    ],
    "overwritten_not_summed": [
        lambda p: learner(*p, add=False)[0],
        lambda p: right(p)._replace(W_hh=learner(*p, add=False)[0].W_hh),
    ],
    "bias_not_summed_over_time": [
        changed(b_h=lambda p: learner(*p)[1][0].sum(0)),
        changed(b_h=lambda p: learner(*p)[1][:-1].sum(1)),
        changed(b_h=lambda p: learner(*p)[1][:-1].sum(0)),
        changed(b_y=lambda p: p.d_ys[-1].sum(0)),
    ],
    "mean_over_time": [scaled(lambda p: 1 / len(p.xs)), changed(W_hh=lambda p: right(p).W_hh / len(p.xs))],
    "mean_over_batch": [scaled(lambda p: 1 / p.xs.shape[1]), changed(h0=lambda p: right(p).h0 / p.xs.shape[1])],
    "wrong_sign": [scaled(lambda p: -1), changed(W_hy=lambda p: -right(p).W_hy)],
    "tape_corrupted": [squares_in_place, one_array_for_all_states],
    "output_error_twice": [lambda p: learner(*p, twice=True)[0]],
    "own_error_left_out": [
        lambda p: passes.elman(own=lambda t, T: 0.0)(*p),
        lambda p: passes.elman(own=lambda t, T: float(t == T - 1))(*p),
    ],
    "errors_accumulated": [lambda p: passes.elman(carry="+=")(*p), never_set_back],
    "W_hy_not_transposed": [lambda p: passes.elman(readout=lambda params: params.W_hy)(*p)],
    "error_before_slope": [lambda p: passes.elman(bias="d_h")(*p)],
    "wrong_first_state": [
        lambda p: passes.elman(previous=lambda hs: np.concatenate([hs[1:2], hs[1:-1]]))(*p),
        lambda p: passes.elman(previous=lambda hs: np.concatenate([hs[-1:], hs[1:-1]]))(*p),
    ],
    "input_of_another_step": [
        changed(W_xh=lambda p: sum(p.xs[t - 1].T @ learner(*p)[1][t] for t in range(len(p.xs)))),
        changed(W_xh=lambda p: sum(p.xs[t - 1].T @ learner(*p)[1][t] for t in range(1, len(p.xs))) + 0 * p.params.W_xh),
    ],
    "dh0_without_W_hh": [changed(h0=lambda p: learner(*p)[1][0].sum(0))],
    "gradient_transposed": [
        changed(W_hh=lambda p: right(p).W_hh.T),
        changed(W_hy=lambda p: right(p).W_hy.T),
    ],
    "repeated_symbols_lost": [changed(W_xh=lambda p: by_index(p))],
    "time_and_batch_swapped": [
        lambda p: right(p._replace(xs=p.xs.swapaxes(0, 1), d_ys=p.d_ys.swapaxes(0, 1))),
    ],
}
CASES = [pytest.param(name, wrong, id=f"{name}-{i}") for name, all_ in WRONG.items() for i, wrong in enumerate(all_)]


def test_every_mistake_of_the_catalogue_is_tried():
    assert set(WRONG) == set(CATALOGUE) - GATED


def test_every_mistake_says_which_section_to_read_again():
    for mistake in CATALOGUE.values():
        number, section = mistake.chapter.removeprefix("chapter ").split(", ", 1)
        (chapter,) = (Path(__file__).parents[2] / "notebooks").glob(f"{number}_*.ipynb")
        assert f"## {section}" in chapter.read_text(encoding="utf-8")
        assert all(part.strip() for part in mistake)


@pytest.mark.parametrize(("name", "wrong"), CASES)
def test_a_learners_mistake_is_named(name, wrong):
    p = FITTING.get(name, P)
    diagnosis = diagnose(wrong(p), *p)
    assert (diagnosis.names, diagnosis.verdict) == ((name,), "mistake"), diagnosis
    assert CATALOGUE[name].title in diagnosis.message
    assert CATALOGUE[name].fix in diagnosis.message


@pytest.mark.parametrize(("name", "wrong"), [case for case in CASES if case.values[0] not in FITTING])
@settings(max_examples=10)
@given(problems(T=(1, 6), B=(1, 4)))
def test_on_any_shape_the_answer_is_the_mistake_or_says_that_it_cannot_tell(name, wrong, p):
    diagnosis = diagnose(wrong(p), *p)
    assert name in diagnosis.names or diagnosis.verdict in ("correct", "truncated", "other", "either"), diagnosis
    if diagnosis.verdict == "correct":  # then the mistake must really have left no trace
        assert gradcheck.compare(wrong(p), right(p)).agree
    elif name not in diagnosis.names:  # on few steps, one sequence or one unit it is one thing with another
        assert len(p.xs) <= 3 or 1 in p.xs.shape or p.params.h0.size == 1, diagnosis


HIDE = {  # of these pairs one mistake hides the other, whatever the inputs; what is named instead
    ("h_t_for_h_prev", "tape_corrupted"): ("tape_corrupted",),
    ("h_t_for_h_prev", "wrong_first_state"): ("h_t_for_h_prev",),
    ("h0_dropped", "wrong_first_state"): ("h0_dropped",),
    ("overwritten_not_summed", "bias_not_summed_over_time"): ("overwritten_not_summed",),
    ("error_not_carried", "errors_accumulated"): ("error_not_carried",),
    ("error_not_carried", "own_error_left_out"): (  # a last step's error, and nothing else, is many things
        *("error_not_carried", "h0_dropped", "overwritten_not_summed", "own_error_left_out"),
    ),
    ("overwritten_not_summed", "wrong_first_state"): ("h_t_for_h_prev", "overwritten_not_summed", "wrong_first_state"),
    ("h0_dropped", "repeated_symbols_lost"): ("h0_dropped",),
    ("overwritten_not_summed", "repeated_symbols_lost"): ("overwritten_not_summed",),
    ("dh0_not_summed_over_batch", "dh0_without_W_hh"): ("dh0_not_summed_over_batch",),
    ("output_error_twice", "own_error_left_out"): ("output_error_twice",),
    ("tape_corrupted", "wrong_first_state"): ("tape_corrupted",),
    ("input_of_another_step", "repeated_symbols_lost"): ("input_of_another_step",),
}
PAIRS = list(combinations([name for name in CATALOGUE if name not in GATED], 2))


@pytest.mark.parametrize("names", [*HIDE, *PAIRS[::9]], ids="+".join)  # `make bench` tries them all
def test_two_mistakes_together_are_both_named(names):
    p = problem(T=6, B=4, D=7, H=5, K=5)
    p = p._replace(xs=np.eye(7)[np.random.default_rng(1).integers(0, 7, (6, 4))])
    assert diagnose(wrong_gradient(names, *p), *p).names == HIDE.get(names, names)


def test_two_mistakes_in_a_learners_own_code():
    wrong = learner(*P, future=0, previous=1)[0]
    diagnosis = diagnose(wrong, *P)
    assert diagnosis.names == ("error_not_carried", "h_t_for_h_prev")
    assert diagnosis.message.startswith("Two mistakes together: ")


@given(
    problems(T=(1, 30)),
    st.sampled_from([1e-150, 1e-8, 1.0, 1e8, 1e150]),
    st.sampled_from([1e-4, 1.0, 10.0, 100.0]),
    st.sampled_from([np.float32, np.float64]),
)
def test_no_false_alarm_on_right_gradients(p, error_scale, weight_scale, dtype):
    params = ElmanParams(*(weight_scale * w for w in p.params))
    with np.errstate(over="ignore"):
        cast = [a.astype(dtype) for a in (*params, p.xs, p.d_ys * (error_scale if dtype == np.float64 else 1))]
    params, xs, d_ys = ElmanParams(*cast[:6]), *cast[6:]
    tape = bptt.forward_per_step(params, xs)
    grads = bptt.backward_per_step(params, tape, d_ys)
    diagnosis = diagnose(grads, params, xs, d_ys)
    assert (diagnosis.names, diagnosis.verdict) == ((), "correct"), diagnosis


def test_a_float32_gradient_of_float64_data_is_right():
    low = problem(T=20, B=4, D=3, H=5, K=2, dtype=np.float32)
    high = problem(T=20, B=4, D=3, H=5, K=2)
    assert diagnose(right(low), *high).verdict == "correct"


def test_finite_differences_are_right():
    numeric = gradcheck.finite_differences(lambda params: (bptt.forward(params, P.xs).ys * P.d_ys).sum(), P.params)
    assert diagnose(numeric, *P).verdict == "correct"


def test_inputs_on_which_mistakes_coincide_are_said_to_be_such():
    square = problem(T=3, B=3, D=2, H=4, K=2)
    diagnosis = diagnose(ElmanParams(*(g / 3 for g in right(square))), *square)
    assert (diagnosis.names, diagnosis.verdict) == (("mean_over_time", "mean_over_batch"), "either")
    assert "these inputs can't tell apart" in diagnosis.message
    assert "With T = B = 3 some mistakes leave no trace or look alike" in diagnosis.message


@pytest.mark.parametrize(("T", "B", "spots"), [(1, 3, "T = 1"), (4, 1, "B = 1"), (1, 1, "T = 1 and B = 1")])
def test_a_right_gradient_on_poor_inputs_comes_with_a_warning(T, B, spots):
    p = problem(T=T, B=B, D=2, H=4, K=2)
    assert (
        f"Correct: every parameter agrees to within rounding. With {spots} some mistakes"
        in diagnose(right(p), *p).message
    )
    zero = p._replace(params=p.params._replace(h0=np.zeros(4)))
    assert f"{spots} and h0 = 0" in diagnose(right(zero), *zero).message


def test_other_blind_spots_are_named_too():
    symmetric = P._replace(params=P.params._replace(W_hh=np.eye(5)), d_ys=0 * P.d_ys)
    assert "With a symmetric W_hh and dL/dy = 0 some" in diagnose(right(symmetric), *symmetric).message
    single = problem(T=5, B=2, D=2, H=1, K=2)
    assert "With H = 1 some" in diagnose(right(single), *single).message


def test_an_unknown_mistake_is_admitted():
    diagnosis = diagnose(right(P)._replace(W_hh=right(P).W_hh + 1), *P)
    assert (diagnosis.names, diagnosis.verdict) == ((), "unknown")
    assert diagnosis.message.startswith("Not one I know. Off: W_hh (")
    assert "Right: W_xh, b_h, W_hy, b_y, h0." in diagnosis.message
    assert not diagnosis.comparison.agree


UNKNOWN = {
    "W_hh is all zero. Is its line missing": lambda g: g._replace(W_hh=0 * g.W_hh, W_xh=-3 * g.W_xh),
    "W_xh must have shape (3, 5), got (5, 3). Is it the transpose?": lambda g: g._replace(W_xh=g.W_xh.T),
    "b_y must have shape (2,), got (1, 2). Was the sum taken with keepdims=True?": lambda g: g._replace(
        b_y=g.b_y[None]
    ),
}


@pytest.mark.parametrize("message", UNKNOWN)
def test_what_has_no_name_gets_a_hint(message):
    diagnosis = diagnose(UNKNOWN[message](right(P)), *P)
    assert diagnosis.verdict == "unknown"
    assert message in diagnosis.message


def test_a_forgotten_half_is_not_called_an_error_used_twice():
    assert diagnose(ElmanParams(*(g / 2 for g in right(P))), *P).names == ()


def test_words_and_table_agree_in_float32():
    noisy = ElmanParams(*((g * (1 + 2e-5)).astype(np.float32) for g in right(P)))
    diagnosis = diagnose(noisy, *P)
    assert diagnosis.verdict == "correct"
    assert diagnosis.comparison.agree


def test_shapes_and_nan_are_reported():
    shape = diagnose(right(P)._replace(b_h=np.zeros((2, 2))), *P)
    assert "b_h must have shape (5,), got (2, 2)" in shape.message
    nan = diagnose(right(P)._replace(W_xh=right(P).W_xh * np.nan), *P)
    assert "W_xh holds NaN or infinity" in nan.message
    assert "<table>" in nan._repr_html_()


@pytest.mark.bad_input
def test_bad_input_is_explained():
    with pytest.raises(
        TypeError, match=r"diagnose: grads must be ElmanParams, as params, got dict. Try ElmanParams\(W_xh="
    ):
        diagnose(right(P)._asdict(), *P)
    with pytest.raises(TypeError, match="diagnose: W_xh must hold floating-point numbers, got int64"):
        diagnose(right(P)._replace(W_xh=np.zeros((3, 5), int)), *P)
    with pytest.raises(TypeError, match=r"diagnose: h0 must be an array, got NoneType. Try np.zeros_like\(params.h0\)"):
        diagnose(right(P)._replace(h0=None), *P)
    with pytest.raises(ValueError, match="wrong_gradient: names must be a tuple of at most two keys, got 'wrong_sign'"):
        wrong_gradient("wrong_sign", *P)
    with pytest.raises(KeyError, match="wrong_gradient: names must be keys of CATALOGUE, got 'typo'"):
        wrong_gradient(("typo",), *P)
