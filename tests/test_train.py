import signal
from concurrent.futures import ThreadPoolExecutor

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from rnnlib import batching, bptt, cells, losses, train, truncation
from rnnlib.gradcheck import compare
from rnnlib.unroll import unroll_loop, unroll_scan

D, H, K, B = 3, 4, 2, 5
RATE = optax.sgd(0.1)


def net(seed=0):
    return cells.init_elman(D, H, K, rng=np.random.default_rng(seed))


def stream(N, seed=1):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((N, B, D)), rng.standard_normal((N, B, K))


def along(window, optimiser=RATE, loss=losses.squared_error):
    return train.stretch(truncation.chunked, loss, cells.elman_step, optimiser, window=window)


def test_a_stretch_is_the_obvious_loop():
    xs, targets = stream(11)
    learner, values = along(3)(train.start(RATE, net(), B), xs, targets)
    params, state = net(), None
    for t in (0, 3, 6):  # the last two steps don't fill a window
        result = truncation.chunked(
            losses.squared_error, cells.elman_step, params, xs[t : t + 3], targets[t : t + 3], state, window=3
        )
        grads = (
            result.grads if state is not None else result.grads._replace(h0=np.zeros(H))
        )  # a carried h0 is a constant
        params, state = jax.tree.map(lambda p, g: p - 0.1 * g, params, grads), result.hs[-1]
    assert compare(learner.params, params, tolerance=1e-12).agree
    np.testing.assert_allclose(learner.state, state, rtol=1e-12)
    assert values.shape == (3,)


def test_a_stretch_can_be_vmapped_over_seeds():
    xs, targets = stream(6)
    learners = [train.start(RATE, net(seed), B) for seed in (0, 1)]
    both, values = jax.vmap(along(2), (0, None, None))(jax.tree.map(lambda *a: jnp.stack(a), *learners), xs, targets)
    alone, value = along(2)(learners[1], xs, targets)
    np.testing.assert_allclose(both.params.W_hh[1], alone.params.W_hh, rtol=1e-12)
    np.testing.assert_allclose(values[1], value, rtol=1e-12)


def test_train_counts_the_updates_of_vmapped_learners_once():
    xs, targets = stream(6)
    learners = jax.tree.map(lambda *a: jnp.stack(a), *(train.start(RATE, net(seed), B) for seed in (0, 1)))
    both = jax.jit(jax.vmap(along(2), (0, None, None)))
    trained = train.train(both, learners, [(xs, targets)] * 2)
    assert [(row.steps, row.updates) for row in trained.history] == [(6, 3), (12, 6)]
    targets[2:] = np.nan
    assert train.train(both, learners, [(xs, targets)]).stopped.startswith("update 2 would")


def test_the_history_adds_up_and_the_window_may_change():
    stretches = [stream(12, seed) for seed in range(3)]
    each = [along(1), along(4), along(4)]
    learner, history, stopped = train.train(
        each, train.start(RATE, net(), B), stretches, evaluate=lambda p: p.b_y.sum()
    )
    assert stopped is None
    assert [(row.steps, row.updates) for row in history] == [(12, 12), (24, 15), (36, 18)]
    assert history[-1].held_out == pytest.approx(float(learner.params.b_y.sum()))
    assert 0 < history[0].seconds < history[1].seconds < history[2].seconds
    by_hand = train.start(RATE, net(), B)
    for one, (xs, targets) in zip(each, stretches, strict=True):
        by_hand, values = one(by_hand, xs, targets)
    assert compare(learner.params, by_hand.params, tolerance=1e-12).agree
    assert history[-1].loss == pytest.approx(float(values.mean()))


def test_training_lowers_the_loss_on_every_seed():
    xs = np.tile(stream(20)[0], (10, 1, 1))
    for seed in range(3):
        history = train.train(along(5), train.start(RATE, net(seed), B), [(xs, xs[..., :K])] * 5).history
        assert history[-1].loss < 0.5 * history[0].loss


def by_hand(stretches, window=2):
    """The learner after these stretches, by the trainer alone."""
    learner = train.start(RATE, net(), B)
    for xs, targets in stretches:
        learner, _ = along(window)(learner, xs, targets)
    return learner


def test_an_interrupt_keeps_what_was_reached():
    stretches = [stream(4, seed) for seed in range(5)]
    calls = []

    def evaluate(params):
        calls.append(params)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return 0.0

    learner, history, stopped = train.train(along(2), train.start(RATE, net(), B), stretches, evaluate=evaluate)
    assert len(history) == 2, "the rows written before the interrupt"
    assert compare(learner.params, by_hand(stretches[:3]).params, tolerance=1e-12).agree, "all that was trained"
    assert stopped == "stopped by hand after 6 updates, which are kept"
    assert compare(calls[0], by_hand(stretches[:1]).params, tolerance=1e-12).agree, (
        "evaluate may keep what it was given"
    )


def test_an_interrupt_within_a_compiled_call_waits_for_its_end():
    stretches = [stream(4, seed) for seed in range(5)]
    trainer, runs = along(2), []

    def pressed(*args):
        """A trainer, in whose third call, the second that counts, Ctrl-C is pressed."""
        runs.append(args)
        if len(runs) == 3:
            signal.raise_signal(signal.SIGINT)
        return trainer(*args)

    handler = signal.getsignal(signal.SIGINT)
    learner, history, stopped = train.train(pressed, train.start(RATE, net(), B), stretches)
    assert stopped == "stopped by hand after 4 updates, which are kept"
    assert compare(learner.params, by_hand(stretches[:2]).params, tolerance=1e-12).agree
    assert len(history) == 1
    assert signal.getsignal(signal.SIGINT) is handler


def test_training_works_in_a_thread():
    with ThreadPoolExecutor() as pool:
        learner, _, _ = pool.submit(train.train, along(2), train.start(RATE, net(), B), [stream(4, 0)]).result()
    assert compare(learner.params, by_hand([stream(4, 0)]).params, tolerance=1e-12).agree


@pytest.mark.parametrize("bad_row", [0, 1, 3])
def test_an_update_that_is_not_finite_is_not_taken_and_none_after_it(bad_row, capsys):
    good, bad = stream(4, 0), stream(4, 1)
    bad[1][bad_row] = np.nan
    learner, history, stopped = train.train(along(1), train.start(RATE, net(), B), [good, bad, good])
    until = [good] + [(bad[0][:bad_row], bad[1][:bad_row])] * (bad_row > 0)
    assert len(history) == 1
    assert compare(learner, by_hand(until, window=1), tolerance=1e-12).agree
    assert stopped.startswith(f"update {5 + bad_row} would have made the loss or the parameters NaN or infinite")
    assert f"nan at targets[{bad_row}, 0, 0] stands in its data: does it count?" in stopped
    assert "Try a smaller rate, or optax.clip_by_global_norm" in stopped
    assert stopped in capsys.readouterr().out


def test_parameters_that_overflow_while_the_loss_is_finite_are_not_taken():
    wild = optax.sgd(1e308)
    trainer = along(2, wild)
    xs, targets = stream(4)
    learner, _, stopped = train.train(trainer, train.start(wild, net(), B), [(xs, 100 * targets)])
    assert stopped.startswith(
        "update 1 would have made the loss or the parameters NaN or infinite, and was not taken. Try a"
    )
    assert all(np.isfinite(p).all() for p in learner.params)


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("xs", "nan at xs[1, 2, 0] stands there. Mend it"),
        ("targets", "inf at targets[0, 1, 1] stands there. Mend it"),
        ("params", "nan at params.W_hh[2, 3] stands there. Mend it"),
        (
            "the loss",
            "Data and parameters are finite: look for log 0, 0 / 0, or a target outside 0 ... K − 1 in the loss",
        ),
    ],
)
def test_a_loss_that_is_nan_before_the_first_update_is_not_the_rates_fault(where, said, capsys):
    (xs, targets), params = stream(4), net()
    if where == "xs":
        xs[1, 2, 0] = np.nan
    if where == "targets":
        targets[0, 1, 1] = np.inf
    if where == "params":
        params.W_hh[2, 3] = np.nan
    loss = (lambda ys, targets: jnp.log(0 * ys).sum() * 0) if where == "the loss" else losses.squared_error
    learner, history, stopped = train.train(along(2, loss=loss), train.start(RATE, params, B), [(xs, targets)] * 2)
    assert stopped == f"the loss is not finite before the first update, which no rate can help. {said}" + (
        "" if where == "the loss" else ", or give such steps weight 0 and a mask"
    )
    assert stopped in capsys.readouterr().out
    assert history == ()
    assert compare(learner.params._replace(W_hh=net().W_hh), net(), tolerance=0.0).agree, "nothing was changed"


def test_what_is_nan_and_not_heard_trains_and_is_not_blamed():
    xs, targets = stream(6)
    weights = np.where(np.arange(6)[:, None] % 2, 0.0, np.ones((6, B)))
    targets[1::2] = np.nan

    def objective(params, state, xs, targets, weights):
        ys, state = unroll_scan(params, xs, state)
        return losses.squared_error(ys, targets, weights), state

    data = tuple(a[None] for a in (xs, targets, weights))
    trained = train.train(train.updates(objective, RATE), train.start(RATE, net(), B), [data] * 2)
    assert trained.stopped is None
    assert len(trained.history) == 2
    wild = optax.sgd(1e308)
    trained = train.train(train.updates(objective, wild), train.start(wild, net(), B), [data])
    assert trained.stopped.startswith("update 1 would have made")
    assert "stands" not in trained.stopped


def test_a_lost_update_says_whether_the_loss_or_the_parameters_were_at_fault():
    xs, targets = stream(4)
    wild = optax.sgd(1e308)
    np.testing.assert_array_equal(along(2, wild)(train.start(wild, net(), B), xs, 100 * targets)[1], [np.inf, np.nan])
    targets[2] = np.nan
    values = along(1)(train.start(RATE, net(), B), xs, targets)[1]
    np.testing.assert_array_equal(np.isnan(values), [False, False, True, True])


@pytest.mark.bad_input
def test_a_window_longer_than_the_data_is_an_error_and_not_no_training():
    xs, targets = stream(10)
    message = r"^stretch: window must fit into a stretch, got window 20 for a stretch of 10. Nothing would be trained"
    with pytest.raises(ValueError, match=message):
        along(20)(train.start(RATE, net(), B), xs, targets)
    with pytest.raises(ValueError, match=message):
        train.train(along(20), train.start(RATE, net(), B), [(xs, targets)])
    assert along(10)(train.start(RATE, net(), B), xs, targets)[1].shape == (1,)
    with pytest.raises(
        ValueError, match=r"^train: the arrays of a stretch must have a step at least, got \[0, 0\]. Is a"
    ):
        train.train(along(2), train.start(RATE, net(), B), [(xs[:0], targets[:0])])


def test_updates_is_the_obvious_loop_and_trains_h0_where_no_state_is_handed_on():
    rng = np.random.default_rng(0)
    xs, targets = rng.standard_normal((4, 3, B, D)), rng.standard_normal((4, 3, B, K))

    def objective(params, state, xs, targets):
        ys, state = unroll_scan(params, xs, state)
        return losses.squared_error(ys, targets), state

    def fresh(params, state, xs, targets):
        return objective(params, None, xs, targets)[0], state

    for loss_of, B_or_none in ((objective, B), (fresh, None)):
        learner, values = train.updates(loss_of, RATE)(train.start(RATE, net(), B_or_none), xs, targets)
        params, state = net(), None
        for x, y, value in zip(xs, targets, values, strict=True):
            carried = state if B_or_none else None
            tape = bptt.forward(params, x, carried)
            grads = bptt.backward(params, tape, losses.squared_error_grad(tape.ys, y))
            if B_or_none:  # a carried state, the first one included, is a constant
                grads = grads._replace(h0=np.zeros(H))
            assert float(value) == pytest.approx(float(losses.squared_error(tape.ys, y)), rel=1e-12)
            params, state = jax.tree.map(lambda p, g: p - 0.1 * g, params, grads), tape.hs[-1]
        assert compare(learner.params, params, tolerance=1e-12).agree
        assert np.abs(learner.params.h0).max() > 0 or B_or_none


def test_a_trainer_donates_its_learner_and_train_does_not():
    learner, data = train.start(RATE, net(), B), stream(4)
    train.train(along(2), learner, [data, data])
    reached, _ = along(2)(learner, *data)
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(learner)), "no two learners in memory"
    assert not any(leaf.is_deleted() for leaf in jax.tree.leaves(reached))


@pytest.mark.bad_input
def test_bad_input_is_explained():
    xs, targets = stream(6)
    with pytest.raises(ValueError, match=r"stretch: window must be at least 1, got 0\."):
        along(0)
    with pytest.raises(TypeError, match=r"start: B must be a whole number, at least 1, got 2.5"):
        train.start(RATE, net(), 2.5)
    with pytest.raises(ValueError, match=r"train: the arrays of a stretch must be of one length, got \[6, 5\]"):
        train.train(along(2), train.start(RATE, net(), B), [(xs, targets[1:])])


def ragged(N=7, seed=2):
    """Inputs (T_n, D) and targets (T_n, K) of N lengths."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 9, N)
    return tuple([rng.standard_normal((T, width)) for T in lengths] for width in (D, K))


def mean_of(weigh):
    """A loss of a padded batch, whose steps `weigh` weighs."""

    def objective(params, xs, targets, mask):
        return losses.squared_error(unroll_scan(params, xs, mask=mask)[0], targets, weigh(mask))

    return objective


MEANS = {  # name: weights within a batch, what a batch counts, what a sequence of T steps counts in the sum
    "over steps": (losses.mean_over_steps, lambda xs, targets, mask: mask.sum(), lambda T: T),
    "over sequences": (losses.mean_over_sequences, lambda xs, targets, mask: mask.any(0).sum(), lambda T: 1),
}


@pytest.mark.parametrize("name", MEANS)
@pytest.mark.parametrize(("B", "buckets"), [(1, 8), (3, 2), (4, 1), (7, 1)])
def test_accumulated_gradients_are_that_of_the_mean_loss(name, B, buckets):
    within, weigh, counts = MEANS[name]
    xs, targets = ragged()
    lengths = [len(x) for x in xs]

    def mean_loss(params):  # one sequence at a time: no mask, no padding
        parts = [
            counts(len(x)) * losses.squared_error(unroll_loop(params, x[:, None])[0], y[:, None])
            for x, y in zip(xs, targets, strict=True)
        ]
        return sum(parts) / sum(counts(T) for T in lengths)

    expected, exact = jax.value_and_grad(mean_loss)(net())
    edges = batching.buckets(lengths, buckets)
    batches = batching.batches([xs, targets], B, edges=edges, key=jax.random.key(0))
    loss, grads = train.accumulate(mean_of(within), net(), batches, weigh=weigh)
    assert float(loss) == pytest.approx(float(expected), rel=1e-10)
    assert compare(grads, exact, tolerance=1e-10).agree


def test_accumulate_compiles_once_for_each_shape_however_often_it_is_called():
    traced, xs = [], [np.ones((T, 2)) for T in (3, 5, 3, 3)]

    def objective(params, x):
        traced.append(x.shape)
        return (params * x).mean()

    for _ in range(3):
        train.accumulate(objective, 2.0, [(x,) for x in xs], weigh=len)
    assert traced == [(3, 2), (5, 2)]


def test_accumulate_takes_any_pytree_and_leaves_the_parameters_alone():
    params = {"w": np.array([1.0, 2.0]), "b": (np.array(3.0),)}

    def objective(params, x):
        return (x @ params["w"]).mean() + params["b"][0]

    before = jax.tree.map(np.copy, params)
    loss, grads = train.accumulate(objective, params, iter([(np.ones((3, 2)),), (np.zeros((1, 2)),)]), weigh=len)
    assert float(loss) == pytest.approx(0.75 * 6 + 0.25 * 3)
    assert compare(grads, {"w": np.full(2, 0.75), "b": (np.array(1.0),)}, tolerance=1e-12).agree
    assert compare(params, before, tolerance=0.0).agree


def test_accumulate_explains_that_there_is_nothing_to_add():
    def mean(params, x):
        return (params * x).mean()

    for batches in ([], [(np.ones(3),)]):
        with pytest.raises(
            ValueError,
            match=r"^accumulate: the weights of all batches must sum to more than 0, got 0(\.0)?\. Is `batches` used up\?",
        ):
            train.accumulate(mean, 1.0, batches, weigh=lambda x: 0)
