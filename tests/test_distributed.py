"""More than one process: a training in two of them, one of which is killed, ends with one process's parameters."""

import importlib.util
import json
import signal
from pathlib import Path

import jax
import numpy as np
import pytest
from jax._src.lib import _jax

SCRIPT = Path(__file__).parents[1] / "notebooks" / "experiments" / "distributed.py"
SMALL = {"seed": 3, "updates": 4, "every": 2}

needs_gloo = pytest.mark.skipif(
    not hasattr(_jax, "make_gloo_tcp_collectives"),
    reason="this build of jaxlib has no gloo: its CPU processes can't add up",
)


@pytest.fixture
def script():
    spec = importlib.util.spec_from_file_location("distributed_experiment", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@needs_gloo
def test_a_killed_worker_changes_nothing(script, tmp_path, monkeypatch):
    monkeypatch.setenv("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")  # what is compiled runs a few times
    alone, together = tmp_path / "alone", tmp_path / "together"
    alone.mkdir()
    together.mkdir()
    script.work(alone, **SMALL, dies=-1)
    took = script.run(together, 2, 1, **SMALL, dies=3, patience=1)
    assert (took["code"], took["restarts"]) == (-signal.SIGKILL, 1), "it was killed, not asked to end"
    assert (together / "begun.txt").read_text().split() == ["0", "2"], "and both went on from the checkpoint"
    (one, losses), (two, others) = script.learnt(alone, 3), script.learnt(together, 3)
    np.testing.assert_allclose(two, one, rtol=0, atol=1e-12)
    np.testing.assert_allclose(others, losses, rtol=1e-12)


def test_the_stored_result_has_what_the_chapter_says(script):
    for run in json.loads(script.RESULTS.read_text()):
        assert run["its exit code"] == -signal.SIGKILL
        assert run["resumed from update"] == run["killed before update"] // script.EVERY * script.EVERY
        assert run["killed from undisturbed"] == 0
        assert run["two from one"] < 1e-10 < 1e-4 < run["mean of means from the gradient"]


def test_the_stored_losses_are_those_of_today_s_program(script):
    stored = json.loads(script.RESULTS.read_text())[0]
    params = script.cells.init_lstm(1, 8, 1, rng=np.random.default_rng(stored["seed"]))
    value, count = jax.jit(script.total)(params, *script.batch(stored["seed"], 0))
    assert float(value / count) == pytest.approx(stored["losses"][0], rel=1e-9)
