import numpy as np

from rnnlib import bptt
from rnnlib.clinic import explanations
from rnnlib.clinic.catalogue import CATALOGUE
from tests.strategies import problem

P = problem(T=5, B=3, D=2, H=4, K=2)
TAPE = bptt.forward(P.params, P.xs)
RIGHT = bptt.backward(P.params, TAPE, P.d_ys)


def search(grads):
    def explains(parameter, gradient):
        given = getattr(grads, parameter)
        return given.shape == gradient.shape and np.allclose(given, gradient)

    return explanations.smallest(explains, P.params, TAPE, P.d_ys)


def test_the_right_flow_comes_first_and_the_right_sum_with_it():
    names, flow = next(explanations.flows(P.params, TAPE))
    assert (names, flow) == (frozenset(), {})
    for parameter, options in explanations.candidates(names, flow, P.params, TAPE, P.d_ys).items():
        made, gradient = options[0]
        assert made == frozenset()
        np.testing.assert_allclose(gradient, getattr(RIGHT, parameter), rtol=1e-12)


def test_no_flow_or_sum_holds_more_than_two_mistakes_or_one_that_the_catalogue_lacks():
    for names, flow in explanations.flows(P.params, TAPE):
        for options in explanations.candidates(names, flow, P.params, TAPE, P.d_ys).values():
            assert all(len(made) <= 2 and made <= set(CATALOGUE) for made, _ in options)


def test_the_fewest_mistakes_win():
    assert search(RIGHT) == [frozenset()]
    assert search(RIGHT._replace(W_hh=-RIGHT.W_hh)) == [{"wrong_sign"}]
    assert search(RIGHT._replace(W_hh=-RIGHT.W_hh / 5)) == [{"wrong_sign", "mean_over_time"}]
    assert search(RIGHT._replace(W_hh=RIGHT.W_hh + 1)) == []
