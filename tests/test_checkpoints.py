"""Trainings on disk: what is loaded is what was saved, and training goes on from it as if nothing had happened."""

import jax
import numpy as np
import optax
import pytest

from rnnlib import cells, checkpoints, hessian_free, losses, train
from rnnlib.unroll import unroll_scan
from tests.test_hessian_free import SMALL, problem, same


def test_a_hessian_free_training_goes_on_bit_for_bit(tmp_path):
    update, begin, sample = problem()
    whole = hessian_free.train(update, begin, sample, max_updates=4)
    checkpoints.save(tmp_path / "run.npz", hessian_free.train(update, begin, sample, max_updates=2))
    half = checkpoints.load(tmp_path / "run.npz", like=begin, row=hessian_free.Row)
    again = hessian_free.train(update, half, sample, max_updates=4)
    same(again.learner, whole.learner)
    for a, b in zip(again.history, whole.history, strict=True):
        same(a._replace(seconds=0), b._replace(seconds=0))  # NaN equals NaN here: nothing was held out


def test_a_training_by_an_optimiser_comes_back_whole(tmp_path):
    optimiser = optax.adam(0.01)

    def objective(params, state, xs, targets):
        ys, state = unroll_scan(params, xs, state)
        return losses.squared_error(ys, targets), state

    along, xs = train.updates(objective, optimiser), np.ones((3, 5, 4, 2))
    begin = train.start(optimiser, cells.init_lstm(2, 3, 2, rng=np.random.default_rng(0)), 4)
    trained = train.train(along, begin, [(xs, xs)] * 2)
    checkpoints.save(tmp_path / "run.npz", trained)
    loaded = checkpoints.load(tmp_path / "run.npz", like=train.Trained(begin, (), None), row=train.Row)
    same(loaded.learner, trained.learner)
    same(loaded.history, trained.history)
    same(
        train.train(along, loaded.learner, [(xs, xs)]).learner, train.train(along, trained.learner, [(xs, xs)]).learner
    )


def test_an_interrupted_save_leaves_the_one_before(tmp_path, monkeypatch):
    _, begin, _ = problem()
    checkpoints.save(tmp_path / "run.npz", begin._replace(stopped="first"))

    def half(file, **arrays):
        file.write(b"half of it")
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez", half)
    with pytest.raises(KeyboardInterrupt):
        checkpoints.save(tmp_path / "run.npz", begin._replace(stopped="second"))
    assert checkpoints.load(tmp_path / "run.npz", like=begin).stopped == "first"


def test_nothing_in_the_file_is_pickled(tmp_path):
    _, begin, _ = problem()
    checkpoints.save(tmp_path / "run.npz", begin)
    with np.load(tmp_path / "run.npz", allow_pickle=False) as file:
        assert {file[name].dtype.kind for name in file} <= {"f", "i", "U"}


def test_another_net_is_refused(tmp_path):
    _, begin, _ = problem()
    checkpoints.save(tmp_path / "run.npz", begin)
    wider = hessian_free.start(cells.init_elman(2, 9, 1, rng=np.random.default_rng(0)))
    message = r"load: learner.params.W_xh must be \(2, 9\) as in `like`, got \(2, 6\) in run.npz"
    with pytest.raises(ValueError, match=message):
        checkpoints.load(tmp_path / "run.npz", like=wider)
    assert jax.tree.leaves(begin.learner.params)[0].shape == (2, SMALL)
