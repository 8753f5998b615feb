"""Problem set 6, Hessian-free: products with curvature, how far to trust a model, and conjugate gradients.

The net is a small Elman net whose parameters lie in one vector θ; nets and products reach the learner as functions.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from rnnlib import cg, curvature, losses
from rnnlib.cells import ElmanParams, elman_step, init_elman
from rnnlib.questions import Mistake, Question

_SHAPES = [np.shape(p) for p in init_elman(2, 4, 3, rng=np.random.default_rng(0))]  # D, H, K
_CUTS = np.cumsum([np.prod(shape) for shape in _SHAPES])


def _wrong(function, says, **options):
    return Mistake(partial(function, **options), says)


def _problem(rng, T=3, B=2):
    params = [p + 0.5 * rng.standard_normal(p.shape) for p in init_elman(2, 4, 3, rng=rng)]
    theta, xs = np.concatenate([p.ravel() for p in params]), rng.standard_normal((T, B, 2))
    scored = {"targets": rng.integers(3, size=(T, B)), "weights": rng.uniform(0.2, 1.5, size=(T, B))}
    return {"theta": theta, "v": rng.standard_normal(theta.size), "xs": xs} | scored


_CASES = {"a batch": _problem, "one sequence": partial(_problem, B=1), "a single step": partial(_problem, T=1, B=4)}


def _outputs(theta, xs):
    parts = zip(jnp.split(theta, _CUTS[:-1]), _SHAPES, strict=True)
    params, ys = ElmanParams(*(part.reshape(shape) for part, shape in parts)), []
    h = jnp.broadcast_to(params.h0, (xs.shape[1], 4))
    for x in xs:
        y, h = jax.vmap(elman_step, (None, 0, 0))(params, x, h)
        ys.append(y)
    return jnp.stack(ys)


def _call_objective(f, inputs):
    loss = partial(losses.softmax_cross_entropy, targets=inputs["targets"], weights=inputs["weights"])
    return f(lambda theta: loss(_outputs(theta, inputs["xs"])), inputs["theta"], inputs["v"])


def _along(objective, theta, v, *, product=curvature.hessian_vector, per=lambda v: v @ v):
    Hv = product(objective, theta, v)
    return {"Hv": Hv, "curvature": v @ Hv / per(v)}


def _row_sums(objective, theta, v):
    return v * curvature.hessian_vector(objective, theta, jnp.ones_like(v))


ALONG = Question(
    id="ps6/along",
    title="Curvature along a direction",
    points=2,
    cases=_CASES,
    reference=_along,
    mistakes={
        "row sums": _wrong(_along, "It is v times the sums of H's rows. Push v through the jvp.", product=_row_sums),
        "root": _wrong(_along, "Divide by v · v, not by its root: v stands above twice.", per=jnp.linalg.norm),
        "not normed": _wrong(_along, "Divide v · Hv by v · v: the length of v must not matter.", per=lambda v: 1),
    },
    jax=True,
    call=_call_objective,
)


def _gauss_newton(outputs, theta, v, weights):
    targets = jnp.zeros(weights.shape, int)  # H_L is the same for all
    return curvature.gauss_newton(outputs, lambda ys: losses.softmax_cross_entropy(ys, targets, weights), theta)(v)


def _per_step(p, u):
    return p * (p * u).sum(-1, keepdims=True)


def _in_place(outputs, theta, v, weights, *, rest=_per_step, power=1, change=True):
    ys, Jv = jax.jvp(outputs, (theta,), (v,))
    p, u = losses.softmax(ys), Jv if change else ys
    return jax.vjp(outputs, theta)[1](weights[..., None] ** power * (p * u - rest(p, u)))[0]


GAUSS_NEWTON = Question(
    id="ps6/gauss_newton",
    title="A Gauss-Newton product",
    points=4,
    cases=_CASES,
    reference=_gauss_newton,
    mistakes={
        "diagonal": _wrong(_in_place, "H_L is not diag(p) alone: − p (p · Jv) is missing.", rest=lambda p, u: 0),
        "p (1 - p)": _wrong(_in_place, "H_L is not diagonal: p · Jv is a sum.", rest=lambda p, u: p * p * u),
        "all steps": _wrong(_in_place, "p · Jv is a sum over one step's symbols.", rest=lambda p, u: p * (p * u).sum()),
        "no H_L": _wrong(_in_place, "The curvature of the loss is missing.", rest=lambda p, u: (p - 1) * u),
        "no weights": _wrong(_in_place, "The weights are missing: H_L has a factor w_tb.", power=0),
        "squared": _wrong(_in_place, "The weights are in twice. H_L has them once.", power=2),
        "no J": _wrong(_in_place, "H_L meets the outputs themselves. It has to meet their change, J v.", change=False),
    },
    jax=True,
    call=lambda f, i: f(partial(_outputs, xs=i["xs"]), i["theta"], i["v"], i["weights"]),
)


def _record(rng, fall, most, above=0.0):
    """φ after 0 ... most steps, drawn again where the rule's limit is nearly met."""
    while True:
        i, size, pace = np.arange(most + 1), rng.uniform(0.5, 5.0), rng.uniform(0.8, 1.2)
        values, progress = size * (above - fall(i * pace)), float(rng.uniform(3e-4, 8e-4))
        gains = [(values[j] - values[j - k]) / values[j] / k for j in i[11:] for k in [max(10, j // 10)]]
        if np.abs(np.array(gains) / progress - 1).min() > 1e-3:
            return {"values": values, "progress": progress}


def _stops(values, progress, *, span=lambda i: max(10, i // 10), per=lambda k: k, positive=False, late=0):
    for i in range(1, len(values)):
        k = span(i)
        gain = (values[i] - values[i - k]) / values[i] if i > k else np.inf
        if (values[i] < 0 or positive) and gain < per(k) * progress:
            return i + late
    return len(values) - 1


STOPS = Question(
    id="ps6/stops",
    title="When to stop",
    points=2,
    cases={
        "a quick fall": partial(_record, fall=lambda i: 1 - np.exp(-i / 6), most=80),
        "a long, slow fall": partial(_record, fall=lambda i: np.log1p(i), most=700),
        "from above zero": partial(_record, fall=lambda i: 1 - np.exp(-i / 20), most=250, above=0.6),
        "it never does": partial(_record, fall=lambda i: 1.0 + i, most=36),
    },
    reference=_stops,
    mistakes={
        "always ten": _wrong(_stops, "It looks back 10 steps always. Late on it is i // 10.", span=lambda i: 10),
        "one step": _wrong(_stops, "It looks at the last step alone: a single small step is no end.", span=lambda i: 1),
        "not a step": _wrong(_stops, "progress is a share a step: over k steps, k times as much.", per=lambda k: 1),
        "above zero": _wrong(_stops, "It stops where φ is not below 0. There the share means nothing.", positive=True),
        "one late": _wrong(_stops, "It is one too many: values[0] is φ before the first step.", late=1),
    },
)


def _judged(rng, ratio, S=7, lost=0):
    """What came and was foretold at S iterates: going back ends at one before the last, where their ratio is as asked."""
    j = int(rng.integers(3, 5))  # where it ends
    foretold = -np.cumsum(rng.integers(8, 33, size=S)) / 64  # whole 64ths, so that the ratio is exact
    came = ratio * foretold[j] + rng.integers(4, 20, size=S) / 64
    came[j], came[rng.integers(0, j - 1)] = ratio * foretold[j], ratio * foretold[j] - 0.25
    came[j + 1 :] = np.sort(came[j + 1 :])
    came[S - lost :] = 1e6
    steps, damping = rng.standard_normal((S, 5)), float(rng.uniform(0.1, 9))
    return {"steps": steps, "came": came, "foretold": foretold, "damping": damping}


def _trust(steps, came, foretold, damping, *, back=1, low=0, size=np.positive, up=1.5, down=2 / 3, edge=0):
    j = int(came.argmin()) if low else len(came) - 1
    while back and j > 0 and came[j - 1] <= came[j]:
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
        "uphill": lambda rng: _judged(rng, ratio=-rng.integers(7, 10) / 8),
        "exactly 1/4": partial(_judged, ratio=0.25),
        "exactly 3/4": partial(_judged, ratio=0.75),
        "the last are very high": lambda rng: _judged(rng, ratio=rng.integers(1, 7) / 8 + 1 / 16, lost=2),
    },
    reference=_trust,
    mistakes={
        "last": _wrong(_trust, "It takes the last iterate. Go back while the one before is no higher.", back=0),
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
    return {"A": A, "b": 10 * b, "x0": warm * x0, "inverse": inverse, "steps": steps}


@partial(jax.jit, static_argnames="steps")
def _solution(product, b, x0, inverse, steps):
    return cg.solve(product, b, x0, precondition=lambda r: inverse * r, iterations=steps, progress=0.0)


def _solve(product, b, x0, inverse, steps):
    found = _solution(product, b, x0, inverse, steps)
    return {"x": found.x, "values": found.values}


def _by_hand(product, b, x0, inverse, steps, *, cold=False, plain=False, beta=lambda new, old: new / old, half=0.5):
    x, r, p, values, ys = x0, b if cold else b - product(x0), 0, [], []
    inverse = inverse**0 if plain else inverse
    for _ in range(steps):
        values.append(half * x @ product(x) - b @ x)
        ys.append(r @ (inverse * r))
        p = inverse * r + (beta(ys[-1], ys[-2]) if len(ys) > 1 else 0) * p
        alpha = ys[-1] / (p @ product(p))
        x, r = x + alpha * p, r - alpha * product(p)
    return {"x": x, "values": jnp.stack([*values, half * x @ product(x) - b @ x])}


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
        "cold": _wrong(_by_hand, "The first residual is b. From x0 it is b − A x0.", cold=True),
        "steepest": _wrong(_by_hand, "The last direction is left out: steepest descent.", beta=lambda new, old: 0),
        "upside down": _wrong(_by_hand, "β is upside down: new r · y over old.", beta=lambda new, old: old / new),
        "minus": _wrong(_by_hand, "β has the wrong sign: p = y + β p.", beta=lambda new, old: -new / old),
        "no half": _wrong(_by_hand, "φ lacks its ½: ½ x · A x − b · x.", half=1.0),
        "plain": _wrong(_by_hand, "The preconditioner is not used: directions are made of inverse * r.", plain=True),
    },
    jax=True,
    call=lambda f, i: f(Partial(jnp.matmul, i["A"]), i["b"], i["x0"], i["inverse"], i["steps"]),
)

QUESTIONS = (ALONG, GAUSS_NEWTON, STOPS, TRUST, SOLVE)
