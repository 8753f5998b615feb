import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnlib import bptt
from rnnlib.cells import ElmanParams, elman_step
from rnnlib.gradcheck import compare, finite_differences
from tests.strategies import problem, problems


def weighted_outputs(params, xs, d_ys):
    """A loss whose dL/dy is d_ys: Σ d_ys · y, unrolled by JAX."""
    h = jnp.broadcast_to(params.h0, (xs.shape[1], params.h0.size))
    total = 0.0
    for x, d_y in zip(xs, d_ys, strict=True):
        # rank promotion is an error in these tests, so the step runs on one sequence at a time
        y, h = jax.vmap(elman_step, (None, 0, 0))(params, x, h)
        total += (y * d_y).sum()
    return total


@given(problems())
def test_forward_equals_its_twin(p):
    fast, slow = bptt.forward(p.params, p.xs), bptt.forward_per_step(p.params, p.xs)
    for a, b in zip(fast, slow, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13)


@given(problems(), st.data())
def test_backward_equals_its_twin_in_every_window(p, data):
    tape = bptt.forward(p.params, p.xs)
    window = data.draw(st.one_of(st.none(), st.integers(1, len(p.xs))))
    fast, slow = (f(p.params, tape, p.d_ys, window=window) for f in (bptt.backward, bptt.backward_per_step))
    assert compare(fast, slow, tolerance=1e-11).agree


@given(problems())
def test_backward_equals_autodiff(p):
    ours = bptt.backward(p.params, bptt.forward(p.params, p.xs), p.d_ys)
    theirs = jax.grad(weighted_outputs)(ElmanParams(*map(jnp.asarray, p.params)), p.xs, p.d_ys)
    comparison = compare(ours, theirs, tolerance=1e-8)
    assert comparison.agree, comparison


@given(problems(T=(1, 4), B=(1, 2), D=(1, 3), H=(1, 3), K=(1, 2)))
def test_backward_equals_finite_differences(p):
    ours = bptt.backward(p.params, bptt.forward(p.params, p.xs), p.d_ys)
    numeric = finite_differences(lambda params: (bptt.forward(params, p.xs).ys * p.d_ys).sum(), p.params)
    for row in compare(ours, numeric).rows:
        assert row.absolute < 1e-7 * max(1, np.abs(getattr(ours, row.name)).max()), row


def frozen_prefix_loss(params, p, tape, window):
    """Σ_t d_ys[t] · y_t, each y_t run from the state `window` steps back, which is held at its value on the tape."""
    total = 0.0
    for t in range(len(p.xs)):
        start = max(0, t + 1 - window)
        state = np.broadcast_to(params.h0, tape.hs[0].shape) if start == 0 else tape.hs[start]
        total += (bptt.forward(params, p.xs[start : t + 1], state).ys[-1] * p.d_ys[t]).sum()
    return total


@given(problems(T=(1, 5), B=(1, 2), D=(1, 2), H=(1, 3), K=(1, 2)), st.data())
def test_a_window_is_the_gradient_with_the_prefix_frozen(p, data):
    window = data.draw(st.integers(1, len(p.xs)))
    tape = bptt.forward(p.params, p.xs)
    ours = bptt.backward(p.params, tape, p.d_ys, window=window)
    numeric = finite_differences(lambda params: frozen_prefix_loss(params, p, tape, window), p.params)
    for row in compare(ours, numeric).rows:
        assert row.absolute < 1e-7 * max(1, np.abs(getattr(ours, row.name)).max()), row


@given(problems())
def test_the_whole_window_is_the_full_gradient(p):
    tape = bptt.forward(p.params, p.xs)
    full, whole = (bptt.backward(p.params, tape, p.d_ys, window=w) for w in (None, len(p.xs)))
    assert compare(full, whole, tolerance=1e-11).agree


def test_a_run_in_two_chunks_is_one_run():
    p = problem(T=9, B=3, D=2, H=4, K=2)
    whole = bptt.forward(p.params, p.xs)
    first = bptt.forward(p.params, p.xs[:5])
    second = bptt.forward(p.params, p.xs[5:], first.hs[-1])
    np.testing.assert_allclose(np.concatenate([first.ys, second.ys]), whole.ys, rtol=1e-13)
    np.testing.assert_allclose(second.hs[0], whole.hs[5], rtol=1e-13)


def test_float32_stays_float32():
    p = problem(T=5, B=2, D=3, H=4, K=2, dtype=np.float32)
    tape = bptt.forward(p.params, p.xs)
    grads = bptt.backward(p.params, tape, p.d_ys)
    assert {a.dtype for a in (*tape, *grads)} == {np.dtype(np.float32)}


def test_nothing_the_caller_owns_is_changed():
    p = problem(T=5, B=2, D=3, H=4, K=2)
    before = [a.copy() for a in (*p.params, p.xs, p.d_ys)]
    tape = bptt.forward(p.params, p.xs)
    tape_before = [a.copy() for a in tape]
    bptt.backward(p.params, tape, p.d_ys, window=2)
    bptt.backward_per_step(p.params, tape, p.d_ys)
    for a, b in zip([*p.params, p.xs, p.d_ys, *tape], before + tape_before, strict=True):
        np.testing.assert_array_equal(a, b)


P = problem(T=8, B=3, D=4, H=5, K=2)
TAPE = bptt.forward(P.params, P.xs)
FORWARD_ERRORS = {
    "time last": (
        (P.params, np.moveaxis(P.xs, 0, -1)),
        r"forward: xs must be \(T, B, 4\) to match W_xh \(4, 5\), got \(3, 4, 8\). Inputs come last. "
        r"Try xs.transpose\(2, 0, 1\) if it is \(B, D, T\), xs.transpose\(0, 2, 1\) if it is \(T, D, B\).",
    ),
    "wrong rank": ((P.params, P.xs[:, 0]), r"forward: xs must be \(T, B, 4\).*got \(8, 4\)"),
    "T = 0": ((P.params, P.xs[:0]), r"got \(0, 3, 4\). T must be at least 1."),
    "NaN": (
        (P.params, np.where(P.xs == P.xs[2, 1, 0], np.nan, P.xs)),
        r"forward: xs must be finite, got nan at xs\[2, 1, 0\]",
    ),
    "infinity": ((P.params, np.where(P.xs == P.xs[0, 0, 3], np.inf, P.xs)), r"got inf at xs\[0, 0, 3\]"),
    "NaN weights": ((P.params._replace(b_h=P.params.b_h * np.nan), P.xs), r"forward: b_h must be finite"),
    "mismatched H": (
        (P.params._replace(W_hh=np.eye(6)), P.xs),
        r"forward: W_hh must be \(5, 5\) to match W_xh \(4, 5\), got \(6, 6\). The order of sizes is init_elman\(D, H, K\).",
    ),
    "state of another batch": (
        (P.params, P.xs, TAPE.hs[-1][:2]),
        r"forward: state must be \(3, 5\) \(B, H\), got \(2, 5\)",
    ),
}
BACKWARD_ERRORS = {
    "NaN on the tape": (
        (P.params, TAPE._replace(xs=np.where(TAPE.xs == TAPE.xs[2, 1, 0], np.nan, TAPE.xs)), P.d_ys),
        {},
        r"backward: xs must be finite, got nan at xs\[2, 1, 0\]",
    ),
    "time and batch swapped": (
        (P.params, TAPE, P.d_ys.swapaxes(0, 1)),
        {},
        r"backward: d_ys must be \(8, 3, 2\) like tape.ys, got \(3, 8, 2\). Are time and batch swapped\?",
    ),
    "one step short": ((P.params, TAPE, P.d_ys[1:]), {}, r"got \(7, 3, 2\). It is dL/dy at every step; zeros where"),
    "NaN errors": ((P.params, TAPE, P.d_ys * np.nan), {}, r"backward: d_ys must be finite, got nan at d_ys\[0, 0, 0\]"),
    "window of 0": (
        (P.params, TAPE, P.d_ys),
        {"window": 0},
        r"window must be between 1 and 8, got 0. 1 looks back",
    ),
    "window over T": (
        (P.params, TAPE, P.d_ys),
        {"window": 9},
        r"window must be between 1 and 8, got 9. 1 looks back through no step but its own, None through all.",
    ),
    "another net's tape": (
        (problem(T=8, B=3, D=4, H=6, K=2).params, TAPE, P.d_ys),
        {},
        r"tape.hs must be \(9, 3, 6\) to match params, got \(9, 3, 5\). Is the tape another net's\?",
    ),
}


@pytest.mark.bad_input
@pytest.mark.parametrize("forward", [bptt.forward, bptt.forward_per_step])
@pytest.mark.parametrize("case", FORWARD_ERRORS)
def test_forward_explains_bad_input(forward, case):
    args, message = FORWARD_ERRORS[case]
    with pytest.raises(ValueError, match=message.replace("forward:", f"{forward.__name__}:")):
        forward(*args)


@pytest.mark.bad_input
@pytest.mark.parametrize("backward", [bptt.backward, bptt.backward_per_step])
@pytest.mark.parametrize("case", BACKWARD_ERRORS)
def test_backward_explains_bad_input(backward, case):
    args, options, message = BACKWARD_ERRORS[case]
    with pytest.raises(ValueError, match=message.replace("backward:", f"{backward.__name__}:")):
        backward(*args, **options)


WRONG_TYPES = {
    "window of 2.5": (
        (P.params, TAPE, P.d_ys),
        {"window": 2.5},
        r"window must be a whole number, between 1 and 8, got 2.5",
    ),
    "window of True": ((P.params, TAPE, P.d_ys), {"window": True}, r"window must be a whole number, .*, got True"),
    "states for a tape": ((P.params, TAPE.hs, P.d_ys), {}, r"tape must be a Tape, got ndarray. Try tape = forward"),
    "tuple for params": ((tuple(P.params), TAPE, P.d_ys), {}, r"params must be ElmanParams, got tuple. Try init_elman"),
}


@pytest.mark.bad_input
@pytest.mark.parametrize("backward", [bptt.backward, bptt.backward_per_step, bptt.deltas])
@pytest.mark.parametrize("case", WRONG_TYPES)
def test_backward_explains_wrong_types(backward, case):
    args, options, message = WRONG_TYPES[case]
    with pytest.raises(TypeError, match=f"{backward.__name__}: {message}"):
        backward(*args, **options)


@pytest.mark.bad_input
def test_a_tape_of_other_inputs_or_with_nan_is_refused():
    other = problem(T=8, B=3, D=3, H=5, K=2)
    with pytest.raises(ValueError, match=r"tape.xs must be \(8, 3, 4\) to match params, got \(8, 3, 3\)"):
        bptt.backward(P.params, bptt.forward(other.params, other.xs), P.d_ys)
    with pytest.raises(ValueError, match=r"backward: hs must be finite, got nan at hs\[0, 0, 0\]"):
        bptt.backward(P.params, TAPE._replace(hs=TAPE.hs * np.nan), P.d_ys)


@pytest.mark.bad_input
def test_integers_and_lists_are_refused_with_advice():
    with pytest.raises(
        TypeError, match=r"forward: xs must hold floating-point numbers, got int64. Symbols become vectors with"
    ):
        bptt.forward(P.params, np.ones((8, 3, 4), int))
    with pytest.raises(TypeError, match=r"forward: xs must be an array, got list. Try np.asarray\(xs\)."):
        bptt.forward(P.params, P.xs.tolist())
    with pytest.raises(TypeError, match=r"backward: d_ys must hold floating-point numbers, got int64"):
        bptt.backward(P.params, TAPE, P.d_ys.astype(int))
