"""Problem set 6, Hessian-free: products with curvature, how far to trust a model, and conjugate gradients.

The net is a small Elman net whose parameters lie in one vector θ; nets and products reach the learner as functions.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from rnnlib import cg, curvature, losses
from rnnlib.cells import ElmanParams, elman_step, init_elman
from rnnlib.problem_sets.shared import net
from rnnlib.questions import Mistake, Question

_SHAPES = [np.shape(p) for p in init_elman(2, 4, 3, rng=np.random.default_rng(0))]  # D, H, K
_CUTS = np.cumsum([np.prod(shape) for shape in _SHAPES])


def _jit(function):
    """Compile in half the time what runs only once or twice; inside another jit it is part of that."""
    compiled = jax.jit(function, compiler_options={"xla_backend_optimization_level": 0})

    def call(*args):
        traced = any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(args))
        return (function if traced else compiled)(*args)

    return call


class _Ours(partial):
    """A function of this file, whose dear parts are compiled already."""


def _wrong(function, says, **options):
    return Mistake(_Ours(function, **options), says)


def _compiled(f, *args):
    """Call a learner's function as training does, under jax.jit."""
    if isinstance(f, _Ours):
        return f(*args)
    try:
        return _jit(f)(*args)
    except jax.errors.JAXTypeError as error:
        says = "under jax.jit there are no numbers yet. Use jnp, and neither float() nor np."
        raise TypeError(says).with_traceback(error.__traceback__) from None


class _Scored(NamedTuple):  # what `objective` is made of
    xs: Any
    targets: Any
    weights: Any


class _Seen(NamedTuple):  # what `outputs` is made of
    xs: Any


class _System(NamedTuple):  # what `product` is made of
    A: Any


def _problem(rng, T=3, B=2, scored=True):
    theta = np.concatenate([p.ravel() for p in net(rng, 2, 4, 3, scale=0.5)])
    xs, targets, weights = (
        rng.standard_normal((T, B, 2)),
        rng.integers(3, size=(T, B)),
        rng.uniform(0.2, 1.5, size=(T, B)),
    )
    given = {"theta": theta, "v": rng.standard_normal(theta.size)}
    if scored:
        return {"objective": _Scored(xs, targets, weights)} | given
    return {"outputs": _Seen(xs)} | given | {"weights": weights}


def _cases(**options):
    sizes = {"a batch": {}, "one sequence": {"B": 1}, "a single step": {"T": 1, "B": 4}}
    return {name: partial(_problem, **size, **options) for name, size in sizes.items()}


def _outputs(theta, xs):
    parts = zip(jnp.split(theta, _CUTS[:-1]), _SHAPES, strict=True)
    params, ys = ElmanParams(*(part.reshape(shape) for part, shape in parts)), []
    h = jnp.broadcast_to(params.h0, (xs.shape[1], 4))
    for x in xs:
        y, h = jax.vmap(elman_step, (None, 0, 0))(params, x, h)
        ys.append(y)
    return jnp.stack(ys)


def _objective(theta, xs, targets, weights):
    return losses.softmax_cross_entropy(_outputs(theta, xs), targets, weights)


def _call_objective(f, inputs):
    return _compiled(f, Partial(_objective, **inputs["objective"]._asdict()), inputs["theta"], inputs["v"])


_hessian_vector = _jit(curvature.hessian_vector)


def _along(objective, theta, v, *, product=_hessian_vector, per=lambda v: v @ v):
    Hv = product(objective, theta, v)
    return {"Hv": Hv, "curvature": v @ Hv / per(v)}


def _row_sums(objective, theta, v):
    return v * _hessian_vector(objective, theta, jnp.ones_like(v))


def _nearly(inputs, answer):
    right = _call_objective(_Ours(_along), inputs)["Hv"]
    apart = np.abs((answer["Hv"] if isinstance(answer, dict) else answer[0]) - right).max() / np.abs(right).max()
    if 1e-6 < apart < 0.05:
        return "Nearly: a quotient of differences is not exact. Take jax.jvp of the gradient."


ALONG = Question(
    id="ps6/along",
    title="Curvature along a direction",
    points=2,
    cases=_cases(),
    reference=_Ours(_along),
    mistakes={
        "row sums": _wrong(_along, "It is v times the sums of H's rows. Push v through the jvp.", product=_row_sums),
        "root": _wrong(_along, "Divide by v · v, not by its root: v stands twice above.", per=jnp.linalg.norm),
        "not normed": _wrong(_along, "Divide v · Hv by v · v: the length of v must not matter.", per=lambda v: 1),
    },
    jax=True,
    call=_call_objective,
    hint=_nearly,
)


@_jit
def _gauss_newton(outputs, theta, v, weights):
    targets = jnp.zeros(weights.shape, int)  # H_L is the same for all
    return curvature.gauss_newton(outputs, lambda ys: losses.softmax_cross_entropy(ys, targets, weights), theta)(v)


@_jit
def _forward(outputs, theta, v):
    return jax.jvp(outputs, (theta,), (v,))


@_jit
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

GAUSS_NEWTON = Question(
    id="ps6/gauss_newton",
    title="A Gauss-Newton product",
    points=4,
    cases=_cases(scored=False),
    reference=_Ours(_gauss_newton),
    mistakes={
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
    jax=True,
    call=lambda f, i: _compiled(f, Partial(_outputs, xs=i["outputs"].xs), i["theta"], i["v"], i["weights"]),
)


def _record(rng, fall, most, above=0.0):
    """φ after 0 ... most steps, drawn again where the rule's limit is nearly met."""
    while True:
        i, size, pace = np.arange(most + 1), rng.uniform(0.5, 5.0), rng.uniform(0.8, 1.2)
        values, progress = size * (above - fall(i, pace)), float(rng.uniform(3e-4, 8e-4))
        gains = [(values[j] - values[j - k]) / values[j] / k for j in i[11:] for k in [max(10, j // 10)]]
        if np.abs(np.array(gains) / progress - 1).min() > 1e-3:
            return {"values": values, "progress": progress}


def _quick(i, pace=1.0):
    return 1 - np.exp(-np.maximum(i, 0) * pace / 6)


_FALLS = {
    "a quick fall": {"fall": _quick, "most": 80},
    "a long, slow fall": {"fall": lambda i, pace: np.log1p(i * pace), "most": 700},
    "a short rest on the way": {"fall": lambda i, pace: _quick(i - np.clip(i - 12, 0, 6), pace), "most": 90},
    "a rest above zero": {"fall": lambda i, p: _quick(i - 50, p) - 0.4 * np.exp(-i * p / 3), "most": 150, "above": 0.2},
    "a warm start that rests at first": {"fall": lambda i, pace: 0.5 + 1e-6 * i + _quick(i - 10, pace), "most": 100},
    "it never does": {"fall": lambda i, pace: 1 + i * pace, "most": 36},
}


def _share(values, i, k):
    return (values[i] - values[i - k]) / values[i]


def _stops(
    values, progress, *, span=lambda i: max(10, i // 10), per=lambda k: k, share=_share, positive=False, first=1, late=0
):
    for i in range(1, len(values)):
        k = span(i)
        if i >= k + first and (values[i] < 0 or positive) and share(values, i, k) < per(k) * progress:
            return i + late
    return len(values) - 1


_UNSIGNED = {"share": lambda *args: abs(_share(*args)), "positive": True}

STOPS = Question(
    id="ps6/stops",
    title="When to stop",
    points=2,
    cases={name: partial(_record, **fall) for name, fall in _FALLS.items()},
    reference=_stops,
    mistakes={
        "always ten": _wrong(_stops, "It looks back 10 steps always. Late on it is i // 10.", span=lambda i: 10),
        "one step": _wrong(_stops, "It looks at the last step alone: a single small step is no end.", span=lambda i: 1),
        "not a step": _wrong(_stops, "progress is a share a step: over k steps, k times as much.", per=lambda k: 1),
        "above zero": _wrong(_stops, "It stops where φ is not below 0. There the share means nothing.", positive=True),
        "unsigned": _wrong(_stops, "It takes a rest above zero for the end. Ask for φ < 0 as well.", **_UNSIGNED),
        "at k": _wrong(_stops, "It may stop at i = k already. The rule says i > k.", first=0),
        "one late": _wrong(_stops, "It is one later than the rule: values[i] is φ after i steps.", late=1),
        "one early": _wrong(_stops, "It is one earlier than the rule: values[0] is φ before the first step.", late=-1),
    },
)


def _judged(rng, ratio, S=7, end=None, lost=0):
    """What came and was foretold at S iterates: going back ends at one before the last, where their ratio is as asked."""
    j = int(rng.integers(3, 5)) if end is None else end  # where it ends
    foretold = -np.cumsum(rng.integers(8, 33, size=S)) / 64  # whole 64ths, so that the ratio is exact
    came = ratio * foretold[j] + rng.integers(4, 20, size=S) / 64
    came[j] = ratio * foretold[j]
    if j > 1:
        came[rng.integers(0, j - 1)] = came[j] - 0.25  # lower, but behind a rise
    came[j + 1 :] = np.sort(came[j + 1 :])
    if lost:
        came[j + 1], came[S - lost :] = came[j], 1e6 * np.arange(1, lost + 1)
    steps, damping = rng.standard_normal((S, 5)), float(rng.uniform(0.1, 9))
    return {"steps": steps, "came": came, "foretold": foretold, "damping": damping}


def _trust(steps, came, foretold, damping, *, back=1, low=0, tie=1, size=np.positive, up=1.5, down=2 / 3, edge=0):
    j = int(came.argmin()) if low else len(came) - 1
    while back and j > 0 and (came[j - 1] < came[j] or (tie and came[j - 1] == came[j])):
        j -= 1
    ratio = size(came[j] / foretold[j])
    factor = up if ratio < 0.25 + edge else down if ratio > 0.75 - edge else 1.0
    return {"step": steps[j], "ratio": ratio, "damping": damping * factor}


TRUST = Question(
    id="ps6/trust",
    title="Going back, and how far to trust",
    points=3,
    cases={
        "a good model": lambda rng: _judged(rng, ratio=rng.integers(7, 10) / 8),
        "uphill, back to the first": lambda rng: _judged(rng, ratio=-rng.integers(7, 10) / 8, end=0),
        "exactly 1/4": partial(_judged, ratio=0.25),
        "exactly 3/4": partial(_judged, ratio=0.75),
        "two alike, the last very high": lambda rng: _judged(rng, rng.integers(1, 7) / 8 + 1 / 16, S=8, lost=2),
        "a single iterate": lambda rng: _judged(rng, ratio=rng.integers(7, 10) / 8, S=1, end=0),
    },
    reference=_trust,
    mistakes={
        "last": _wrong(_trust, "It takes the last iterate. Go back while the one before came out no higher.", back=0),
        "strict": _wrong(_trust, "Where the one before is as high, go back too: it is no higher.", tie=0),
        "lowest": _wrong(_trust, "It seeks the lowest of all. Going back ends where the one before is higher.", low=1),
        "inverted": _wrong(_trust, "ρ is upside down: what came over what was foretold.", size=np.reciprocal),
        "no sign": _wrong(_trust, "ρ has lost its sign: below 0 the loss went up.", size=np.abs),
        "swapped": _wrong(_trust, "λ goes the wrong way: where the model was good, lower it.", up=2 / 3, down=1.5),
        "edges": _wrong(_trust, "At exactly 1/4 and 3/4 λ stays.", edge=1e-5),
    },
)


def _system(rng, warm=1, helped=True, steps=4, N=7):
    Q, units = np.linalg.qr(rng.standard_normal((N, N)))[0], rng.permutation(np.geomspace(1, 5, N))
    A = units[:, None] * (Q @ np.diag(np.geomspace(1, 20, N)) @ Q.T) * units
    inverse, (b, x0) = 1 / np.diag(A) if helped else np.ones(N), rng.standard_normal((2, N))
    return {"product": _System(A), "b": 10 * b, "x0": warm * x0, "inverse": inverse, "steps": steps}


@partial(jax.jit, static_argnames="steps")
def _solution(product, b, x0, inverse, steps):
    return cg.solve(product, b, x0, precondition=lambda r: inverse * r, iterations=steps, progress=0.0)


def _solve(product, b, x0, inverse, steps):
    found = _solution(product, b, x0, inverse, steps)
    return {"x": found.x, "values": found.values}


def _by_hand(
    product, b, x0, inverse, steps, *, cold=0, by_r=0, plain=0, rr=0, beta=lambda new, old: new / old, half=0.5
):
    x, r, p, values, sizes = x0, b if cold else b - product(x0), 0, [], []
    inverse = inverse**0 if plain else inverse
    for i in range(steps + 1):
        values.append(-0.5 * x @ (b + r) if by_r else half * x @ product(x) - b @ x)
        if i == steps:
            return {"x": x, "values": jnp.stack(values)}
        sizes.append(r @ (r if rr else inverse * r))
        p = inverse * r + (beta(sizes[-1], sizes[-2]) if i else 0) * p
        alpha = sizes[-1] / (p @ product(p))
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
        "r · r": _wrong(_by_hand, "r · r stands where r · y has to.", rr=1),
        "steepest": _wrong(_by_hand, "The last direction is left out: steepest descent.", beta=lambda new, old: 0),
        "upside down": _wrong(_by_hand, "β is upside down: new r · y over old.", beta=lambda new, old: old / new),
        "minus": _wrong(_by_hand, "β has the wrong sign: p = y + β p.", beta=lambda new, old: -new / old),
        "no half": _wrong(_by_hand, "φ lacks its ½: ½ x · A x − b · x.", half=1.0),
        "plain": _wrong(_by_hand, "The preconditioner is not used: directions are made of inverse * r.", plain=1),
    },
    jax=True,
    call=lambda f, i: f(Partial(jnp.matmul, i["product"].A), i["b"], i["x0"], i["inverse"], i["steps"]),
)

QUESTIONS = (ALONG, GAUSS_NEWTON, STOPS, TRUST, SOLVE)
