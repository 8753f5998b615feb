"""How a learner's function is called."""

import jax
import numpy as np

from rnnlib.coursework.asking import ask, in_jax, is_by_name
from rnnlib.coursework.questions import PUBLIC, load


def test_a_judge_without_float64_judges_in_float64():
    question = load("ps6/gauss_newton")
    inputs = question.inputs("a single step", PUBLIC)
    with jax.enable_x64(False):
        assert question.own(question.reference, inputs).value.dtype == np.float64


def test_inputs_are_copied_and_of_the_kind_that_is_asked_for():
    given = {"pair": (np.ones(2), 3)}

    def spoil(pair):
        pair[0][:] = 0
        return pair[0]

    assert ask("ps1/step", spoil, given).inputs["pair"][0].sum() == 0
    assert given["pair"][0].sum() == 2
    assert is_by_name("ps1/step")
    assert not is_by_name("ps2/central_difference")
    assert in_jax("ps4/hoisted")
