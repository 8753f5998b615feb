"""Whatever a learner's function does, it ends as plain arrays or as words."""

import contextlib
import threading
import time

import jax.numpy as jnp
import numpy as np
import pytest

from rnnlib.cells import init_elman
from rnnlib.coursework.answers import UNANSWERED, attempt, describe, leaves, plain


def tried(function, seconds=5.0, **inputs):
    return attempt(lambda given: function(**given), inputs, seconds=seconds)


def test_a_result_becomes_plain_arrays():
    params = init_elman(2, 3, 1, rng=np.random.default_rng(0))
    value = tried(lambda: {"loss": 1.5, "grads": params, "more": [jnp.ones(2), True]}).value
    assert list(leaves(value)) == ["loss", *(f"grads.{name}" for name in params._fields), "more[0]", "more[1]"]
    assert all(type(leaf) is np.ndarray for leaf in leaves(value).values())
    np.testing.assert_array_equal(value["grads"]["W_hh"], params.W_hh)


class Sneaky(np.ndarray):
    def __eq__(self, other):
        return True


def test_a_subclass_of_array_loses_its_tricks():
    assert type(plain(np.zeros(2).view(Sneaky))) is np.ndarray


@pytest.mark.parametrize(
    ("result", "says"),
    [
        (None, "is return missing?"),
        ("text", "found str"),
        (np.array([1j]), "found dtype complex128"),
        (np.array([None]), "found dtype object"),
        ((np.ones(1), len), "found builtin_function_or_method"),
    ],
)
def test_what_is_no_array_is_told_so(result, says):
    answer = tried(lambda: result)
    assert answer.value is None
    assert says in answer.trouble


def broken(x):
    y = x * 2
    return y[10]


def test_an_exception_is_told_with_the_learners_own_line():
    said = tried(broken, x=np.zeros(3)).trouble
    assert (
        said
        == "It raised IndexError: index 10 is out of bounds for axis 0 with size 3 (in broken, line "
        + said.split("line ")[1]
    )
    assert said.endswith(": return y[10])")


def test_a_stub_is_not_a_mistake():
    def stub():
        raise NotImplementedError

    assert tried(stub).trouble == UNANSWERED


def test_a_loop_without_end_is_stopped_even_if_it_catches_everything():
    def endless():
        while True:
            with contextlib.suppress(Exception):
                time.sleep(0.01)

    start = time.perf_counter()
    assert tried(endless, seconds=0.2).trouble == "It did not return within 0.2 s. Does a loop never end?"
    assert time.perf_counter() - start < 5


def test_sys_exit_is_an_exception_and_an_interrupt_goes_through():
    def leave():
        raise SystemExit(0)

    def stop():
        raise KeyboardInterrupt

    assert "SystemExit" in tried(leave).trouble
    with pytest.raises(KeyboardInterrupt):
        tried(stop)


def test_outside_the_main_thread_there_is_no_limit_and_no_error():
    answers = []
    thread = threading.Thread(target=lambda: answers.append(tried(lambda x: x + 1, x=np.ones(2))))
    thread.start()
    thread.join()
    np.testing.assert_array_equal(answers[0].value, [2, 2])


def test_inputs_are_told_by_shape_and_numbers_by_value():
    params = init_elman(2, 3, 1, rng=np.random.default_rng(0))
    said = describe({"params": params, "xs": np.ones((4, 1, 2)), "window": 3})
    assert said.startswith("params.W_xh (2, 3) float64, params.W_hh (3, 3) float64")
    assert said.endswith("xs (4, 1, 2) float64, window = 3")
