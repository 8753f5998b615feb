import numpy as np

from rnnlib import bptt
from rnnlib.clinic.catalogue import CATALOGUE
from rnnlib.clinic.diagnosis import search
from rnnlib.clinic.diagnosis.flows import flows
from rnnlib.clinic.diagnosis.net import arrays, assembled, require_net
from rnnlib.clinic.diagnosis.sums import options
from tests.strategies import problem

P = problem(T=5, B=3, D=2, H=4, K=2)
NET = require_net("test", *P, None)
RIGHT = bptt.backward(P.params, bptt.forward(P.params, P.xs), P.d_ys)


def found(grads):
    given = arrays(grads)

    def explains(name, gradient):
        return given[name].shape == gradient.shape and np.allclose(given[name], gradient)

    return list(search.smallest(explains, NET, given))


def test_the_right_flow_comes_first_and_the_right_sum_with_it():
    flow = next(flows(NET, 2))
    assert (flow.names, flow.says) == (frozenset(), {})
    for name in NET.names:
        keys, gradient = next(options(name, NET, flow, 2))
        assert keys == ()
        np.testing.assert_allclose(gradient(), getattr(RIGHT, name), rtol=1e-12)


def test_no_flow_or_sum_holds_more_causes_than_asked_for():
    for limit in (0, 1, 2):
        for flow in flows(NET, limit):
            assert len(flow.names) <= limit
            for name in NET.names:
                for keys, _ in options(name, NET, flow, limit):
                    assert len({*keys}) <= 2
                    assert set(keys) <= set(CATALOGUE)


def test_the_fewest_causes_win():
    assert found(RIGHT) == [frozenset()]
    assert found(RIGHT._replace(W_hh=-RIGHT.W_hh)) == [{"wrong_sign"}]
    assert found(RIGHT._replace(W_hh=-RIGHT.W_hh / 5)) == [{"wrong_sign", "mean_over_time"}]
    assert found(RIGHT._replace(W_hh=RIGHT.W_hh + 1)) == []


def test_parameters_come_apart_and_together_again():
    again = assembled(P.params, arrays(P.params))
    assert all(a is b for a, b in zip(again, P.params, strict=True))
