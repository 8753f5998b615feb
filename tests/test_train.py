import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from rnnlib import cells, losses, train, truncation
from rnnlib.gradcheck import compare

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


def test_the_history_adds_up_and_the_window_may_change():
    stretches = [stream(12, seed) for seed in range(3)]
    each = [along(1), along(4), along(4)]
    learner, history = train.train(each, train.start(RATE, net(), B), stretches, evaluate=lambda p: p.b_y.sum())
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
        _, history = train.train(along(5), train.start(RATE, net(seed), B), [(xs, xs[..., :K])] * 5)
        assert history[-1].loss < 0.5 * history[0].loss


def test_an_interrupt_keeps_what_was_reached():
    stretches = [stream(4, seed) for seed in range(5)]
    calls = []

    def evaluate(params):
        calls.append(params)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return 0.0

    learner, history = train.train(along(2), train.start(RATE, net(), B), stretches, evaluate=evaluate)
    assert len(history) == 2, "the rows written before the interrupt"
    assert compare(learner.params, calls[-1]).agree, "and the last stretch that was trained"


def test_a_loss_that_is_not_finite_stops_and_gives_the_last_good_learner_back(capsys):
    good, bad = stream(4, 0), stream(4, 1)
    bad[1][2] = np.nan
    learner, history = train.train(along(1), train.start(RATE, net(), B), [good, bad, good])
    reached, _ = along(1)(train.start(RATE, net(), B), *good)
    assert len(history) == 1
    assert compare(learner.params, reached.params, tolerance=1e-12).agree
    assert "loss is nan at update 7, stopped; try a smaller rate or clipping" in capsys.readouterr().err


@pytest.mark.bad_input
def test_bad_input_is_explained():
    xs, targets = stream(6)
    with pytest.raises(ValueError, match=r"stretch: window must be at least 1, got 0\."):
        along(0)
    with pytest.raises(TypeError, match=r"start: B must be a whole number, at least 1, got 2.5"):
        train.start(RATE, net(), 2.5)
    with pytest.raises(ValueError, match=r"train: targets must be .* as long as xs"):
        train.train(along(2), train.start(RATE, net(), B), [(xs, targets[1:])])
