"""Problem set 2, backward: the gradient of an Elman net by hand, and how to know that it is right."""

import numpy as np

from rnnlib import bptt, mistakes
from rnnlib.catalogue import CATALOGUE
from rnnlib.cells import ElmanParams, init_elman
from rnnlib.questions import Mistake, Question


def _problem(rng, T, B):
    """Draw a small net, inputs and errors, no array of them zero."""
    D, H, K = rng.choice(np.arange(2, 7), size=3, replace=False)  # three sizes that differ
    params = ElmanParams(*(p + 0.3 * rng.standard_normal(p.shape) for p in init_elman(D, H, K, rng=rng)))
    return {"params": params, "xs": rng.standard_normal((T, B, D)), "d_ys": rng.standard_normal((T, B, K))}


CASES = {
    "a batch of sequences": lambda rng: _problem(rng, T=6, B=3),
    "one sequence": lambda rng: _problem(rng, T=5, B=1),
    "a single step": lambda rng: _problem(rng, T=1, B=2),
}


def _backward(params, xs, d_ys):
    return bptt.backward(params, bptt.forward(params, xs), d_ys)


def _made(name):
    return lambda params, xs, d_ys: mistakes.wrong_gradient((name,), params, xs, d_ys)


def _diagnosis(inputs, answer):
    return mistakes.diagnose(ElmanParams(**answer), **inputs).message


BACKWARD = Question(
    id="ps2/backward",
    title="The whole backward pass",
    points=6,
    cases=CASES,
    reference=_backward,
    mistakes={name: Mistake(_made(name), f"{m.title}. {m.fix}") for name, m in CATALOGUE.items()},
    hint=_diagnosis,
)

QUESTIONS = (BACKWARD,)
