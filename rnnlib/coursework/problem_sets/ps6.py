"""Problem set 6, Hessian-free: products with curvature, how far to trust a model, and conjugate gradients.

The net is a small Elman net whose parameters lie in one vector θ; nets and products reach the learner as functions.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from rnnlib import cg, curvature, losses
from rnnlib.coursework import asking
from rnnlib.coursework.problem_sets.calls import Scored, Seen, System
from rnnlib.coursework.problem_sets.programs import jit
from rnnlib.coursework.problem_sets.rules import STOPS, TRUST
from rnnlib.coursework.problem_sets.shared import net
from rnnlib.coursework.problem_sets.snap import SNAP
from rnnlib.coursework.questions import Mistake, Question


def _wrong(function, says, worth=0.0, **options):
    return Mistake(partial(function, **options), says, worth)


def _problem(rng, T=3, B=2, scored=True):
    theta = np.concatenate([p.ravel() for p in net(rng, 2, 4, 3, scale=0.5)])
    xs, targets, weights = (
        rng.standard_normal((T, B, 2)),
        rng.integers(3, size=(T, B)),
        rng.uniform(0.2, 1.5, size=(T, B)),
    )
    given = {"theta": theta, "v": rng.standard_normal(theta.size)}
    if scored:
        return {"objective": Scored(xs, targets, weights, 1e9)} | given  # ripples finer than any difference
    return {"outputs": Seen(xs)} | given | {"weights": weights}


def _cases(**options):
    sizes = {"a batch": {}, "one sequence": {"B": 1}, "a single step": {"T": 1, "B": 4}}
    return {name: partial(_problem, **size, **options) for name, size in sizes.items()}


_hessian_vector = jit(curvature.hessian_vector)


def _directional_curvature(objective, theta, v, *, product=_hessian_vector, per=lambda v: v @ v):
    Hv = product(objective, theta, v)
    return {"Hv": Hv, "curvature": v @ Hv / per(v)}


def _row_sums(objective, theta, v):
    return v * _hessian_vector(objective, theta, jnp.ones_like(v))


def _unit(objective, theta, v):
    return _directional_curvature(objective, theta, v / jnp.linalg.norm(v))


def _nearly(inputs, answer):
    smooth = inputs | {"objective": inputs["objective"]._replace(ripple=0.0)}
    right = asking.own(DIRECTIONAL_CURVATURE.id, _directional_curvature, smooth).value["Hv"]
    apart = np.abs((answer["Hv"] if isinstance(answer, dict) else answer[0]) - right).max() / np.abs(right).max()
    if 1e-6 < apart < 0.05:
        return "Nearly: a quotient of differences is not exact. Take jax.jvp of the gradient."


DIRECTIONAL_CURVATURE = Question(
    id="ps6/directional_curvature",
    title="Curvature along a direction",
    points=2,
    cases=_cases(),
    reference=_directional_curvature,
    mistakes={
        "row sums": _wrong(
            _directional_curvature, "It is v times the sums of H's rows. Push v through the jvp.", product=_row_sums
        ),
        "normalised": _wrong(
            _unit, "v is divided by its length first. H v is asked for v as it is; c alone has no length."
        ),
        "root": _wrong(
            _directional_curvature, "Divide by v · v, not by its root: v stands twice above.", 0.5, per=jnp.linalg.norm
        ),
        "not normed": _wrong(
            _directional_curvature, "Divide v · Hv by v · v: the length of v must not matter.", 0.5, per=lambda v: 1
        ),
    },
    hint=_nearly,
)


@jit
def _gauss_newton(outputs, theta, v, weights):
    targets = jnp.zeros(weights.shape, int)  # H_L is the same for all
    return curvature.gauss_newton(outputs, lambda ys: losses.softmax_cross_entropy(ys, targets, weights), theta)(v)


@jit
def _full_product(outputs, theta, v, weights, heard):
    def loss(theta):
        ys = outputs(theta)
        return (weights * (jax.nn.logsumexp(ys, axis=-1) - heard * ys[..., 0])).sum()

    return jax.jvp(jax.grad(loss), (theta,), (v,))[1]


def _full_hessian(outputs, theta, v, weights, *, heard=1.0):
    return _full_product(outputs, theta, v, weights, jnp.asarray(heard))


@jit
def _forward(outputs, theta, v):
    return jax.jvp(outputs, (theta,), (v,))


@jit
def _back(outputs, theta, errors):
    return jax.vjp(outputs, theta)[1](errors)[0]


def _per_step(p, u):
    return p * (p * u).sum(-1, keepdims=True)


def _in_place(outputs, theta, v, weights, *, rest=_per_step, scale=lambda w: w, change=True):
    ys, Jv = _forward(outputs, theta, v)
    p, u = losses.softmax(ys), Jv if change else ys
    return _back(outputs, theta, scale(weights)[..., None] * (p * u - rest(p, u)))


_NO_P = {"rest": lambda p, u: p * u.sum(-1, keepdims=True)}
_STEPS = {"rest": lambda p, u: p * (p * u).sum(0, keepdims=True)}
_BINARY = "H_L is not diagonal. Subtract p times the sum of p · Jv over the symbols."

_WHOLE = "It is the full Hessian, which bends with the outputs too. Curve the loss alone: J v, then H_L, then Jᵀ."

GAUSS_NEWTON = Question(
    id="ps6/gauss_newton",
    title="A Gauss-Newton product",
    points=4,
    cases=_cases(scored=False),
    reference=_gauss_newton,
    mistakes={
        "full Hessian": _wrong(_full_hessian, _WHOLE),
        "full Hessian, no targets": _wrong(_full_hessian, _WHOLE, heard=0.0),
        "diagonal": _wrong(_in_place, "H_L is not diag(p) alone: − p (p · Jv) is missing.", rest=lambda p, u: 0),
        "p (1 - p)": _wrong(_in_place, _BINARY, rest=lambda p, u: p * p * u),
        "all steps": _wrong(_in_place, "p · Jv is a sum over one step's symbols.", rest=lambda p, u: p * (p * u).sum()),
        "steps": _wrong(_in_place, "p · Jv is a sum over symbols, the last axis, not over steps.", **_STEPS),
        "no p": _wrong(_in_place, "Sum p · Jv, not Jv: a p is missing inside the sum.", **_NO_P),
        "no H_L": _wrong(_in_place, "The curvature of the loss is missing.", rest=lambda p, u: (p - 1) * u),
        "no weights": _wrong(_in_place, "The weights are missing: H_L has a factor w_tb.", scale=jnp.ones_like),
        "squared": _wrong(_in_place, "The weights are in twice. H_L has them once.", scale=jnp.square),
        "mean": _wrong(_in_place, "L is a weighted sum, not a mean: leave w as it is.", scale=lambda w: w / w.sum()),
        "no J": _wrong(_in_place, "H_L meets the outputs themselves. It has to meet their change, J v.", change=False),
    },
)


def _system(rng, warm=1, helped=True, steps=4, N=7):
    Q, units = np.linalg.qr(rng.standard_normal((N, N)))[0], rng.permutation(np.geomspace(1, 5, N))
    A = units[:, None] * (Q @ np.diag(np.geomspace(1, 20, N)) @ Q.T) * units
    inverse, (b, x0) = 1 / np.diag(A) if helped else np.ones(N), rng.standard_normal((2, N))
    return {"product": System(A), "b": 10 * b, "x0": warm * x0, "inverse": inverse, "steps": steps}


@partial(jax.jit, static_argnames="steps")
def _solution(product, b, x0, inverse, steps):
    return cg.solve(product, b, x0, precondition=lambda r: inverse * r, iterations=steps, progress=0.0)


def _solve(product, b, x0, inverse, steps):
    found = _solution(product, b, x0, inverse, steps)
    return {"x": found.x, "values": found.values}


def _by_hand(
    product, b, x0, inverse, steps, *, cold=0, by_r=0, power=1, rr="", zero=0, beta=lambda new, old: new / old, half=0.5
):
    """Take r for y in the places that `rr` names."""
    x, r, p, values, sizes, squares = zero * -x0 + x0, b if cold else b - product(x0), 0, [], [], []
    inverse = inverse**power
    for i in range(steps + 1):
        values.append(-0.5 * x @ (b + r) if by_r else half * x @ product(x) - b @ x)
        if i == steps:
            return {"x": x, "values": jnp.stack(values)}
        sizes.append(r @ (inverse * r))
        squares.append(r @ r)
        at_beta = squares if "β" in rr else sizes
        p = (r if "p" in rr else inverse * r) + (beta(at_beta[-1], at_beta[-2]) if i else 0) * p
        alpha = (squares if "α" in rr else sizes)[-1] / (p @ product(p))
        x, r = x + alpha * p, r - alpha * product(p)


_COLD = "The first residual is b. From x0 it is b − A x0."

SOLVE = Question(
    id="ps6/solve",
    title="Conjugate gradients, warm and preconditioned",
    points=5,
    cases={
        "from zero, not preconditioned": partial(_system, warm=0, helped=False),
        "a warm start": partial(_system, helped=False),
        "a preconditioner": partial(_system, warm=0),
        "both": partial(_system, steps=3),
    },
    reference=_solve,
    mistakes={
        "cold": _wrong(_by_hand, _COLD, cold=1),
        "cold, φ from r": _wrong(_by_hand, _COLD, cold=1, by_r=1),
        "r · r": _wrong(_by_hand, "r · r stands where r · y has to.", rr="α β"),
        "r · r in α": _wrong(_by_hand, "In the length of a step r · r stands where r · y has to.", rr="α"),
        "r · r in β": _wrong(_by_hand, "In the share of the last direction r · r stands where r · y has to.", rr="β"),
        "p of r": _wrong(_by_hand, "The directions are made of r. Make them of y, as the lengths are.", rr="p"),
        "x from zero": _wrong(_by_hand, "x begins at zero, with the residual of x0. Begin at x0.", zero=1),
        "divided": _wrong(_by_hand, "It divides by `inverse`, which holds 1/M already: multiply.", power=-1),
        "steepest": _wrong(
            _by_hand,
            "β is 0: is the last direction left out, or is y in β still that of the last r? (Their product is 0.)",
            beta=lambda new, old: 0,
        ),
        "upside down": _wrong(_by_hand, "β is upside down: new r · y over old.", beta=lambda new, old: old / new),
        "minus": _wrong(_by_hand, "β has the wrong sign: p = y + β p.", beta=lambda new, old: -new / old),
        "no half": _wrong(_by_hand, "φ lacks its ½: ½ x · A x − b · x.", 0.5, half=1.0),
        "plain": _wrong(_by_hand, "The preconditioner is not used: directions are made of inverse * r.", power=0),
    },
)

USES = ("jax", "cells", "losses")
QUESTIONS = (DIRECTIONAL_CURVATURE, GAUSS_NEWTON, STOPS, TRUST, SOLVE, SNAP)
