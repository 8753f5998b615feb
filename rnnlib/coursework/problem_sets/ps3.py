"""Problem set 3, truncation: what a step does to an error, what clipping does, and what a cut gradient is the gradient of.

Its net leaks: u_t = tanh(x_t W_xh + h_{t-1} W_hh + b_h), h_t = (1 − α) h_{t-1} + α u_t, y_t = h_t W_hy + b_y; α = 1 is the Elman net.
"""

import numpy as np

from rnnlib.cells import ElmanParams, elman_step
from rnnlib.coursework.answers import leaves
from rnnlib.coursework.problem_sets.shared import cases, net, sizes, wrong
from rnnlib.coursework.problem_sets.tables import LIVING, TRUNCATED, products
from rnnlib.coursework.questions import Mistake, Question


def _leak(params, alpha, x, h):
    return (1 - alpha) * h + alpha * elman_step(params, x, h)[1]


def _run(rng, T, B):
    params, alpha = net(rng, *sizes(rng, 3)), float(rng.uniform(0.3, 0.7))
    xs, hs = rng.standard_normal((T, B, len(params.W_xh))), [rng.standard_normal((B, params.h0.size))]
    for x in xs:
        hs.append(_leak(params, alpha, x, hs[-1]))
    return {"params": params, "alpha": alpha, "xs": xs, "hs": np.stack(hs)}


def _jacobians(params, alpha, xs, hs, *, of_h=0, after=0, columns=0, weights=np.transpose, direct=np.eye, scaled=1):
    before = hs[1:] if after else hs[:-1]
    made = hs[1:] if of_h else np.tanh(xs @ params.W_xh + before @ params.W_hh + params.b_h)
    slopes = 1 - (made[..., None, :] if columns else made[..., None]) ** 2
    Js = (alpha if scaled else 1) * slopes * weights(params.W_hh)
    return Js + (1 - alpha) * direct(params.h0.size).astype(Js.dtype)


JACOBIANS = Question(
    id="ps3/leaky_jacobians",
    title="One leaky step is a matrix",
    points=3,
    cases=cases(_run, {"a batch of sequences": (8, 3), "one sequence": (9, 1), "a single step": (1, 2)}),
    reference=_jacobians,
    mistakes={
        "not transposed": wrong(_jacobians, "J[i, j] is made of W_hh[j, i]: transpose W_hh.", weights=np.asarray),
        "slopes of h": wrong(_jacobians, "It takes 1 − h_t². The tanh made u_t: its slope is 1 − u_t².", of_h=1),
        "slopes on columns": wrong(_jacobians, "A slope scales its unit's row, not its column.", columns=1),
        "no leak": wrong(_jacobians, "The direct way is missing: h_t contains (1 − α) h_{t-1}.", direct=np.zeros),
        "leak everywhere": wrong(_jacobians, "A unit leaks into itself: 1 − α on the diagonal alone.", direct=np.ones),
        "no alpha": wrong(_jacobians, "The way through tanh lacks its α: h_t contains α u_t.", scaled=0),
        "all transposed": wrong(
            _jacobians,
            "It is the whole Jacobian's transpose: the later unit is the row.",
            weights=np.asarray,
            columns=1,
        ),
        "state after": wrong(_jacobians, "u_t is made of the state before: hs[:-1], not hs[1:].", after=1),
    },
)


def _norms(grads):
    return np.sqrt(sum((g**2).reshape(len(g), -1).sum(1) for g in grads))


def _times(factors, g):
    return g * factors.astype(g.dtype).reshape(-1, *[1] * (g.ndim - 1))


def _gradients(rng, lengths):
    limit = float(rng.uniform(3, 6))  # the lengths are multiples of it
    grads = [rng.standard_normal((len(lengths), *p.shape)) for p in net(rng, *sizes(rng, 3))]
    scaled = ElmanParams(*(_times(limit * np.array(lengths) / _norms(grads), g) for g in grads))
    return {"grads": scaled, "limit": limit}


def _clipped(grads, limit, *, norms=_norms, mean=np.mean, least=1.0, whole=True, first=False):
    grads = [g.mean(0)[None] for g in grads] if first else grads
    norms_of = [norms(grads if whole else [g]) for g in grads]
    return ElmanParams(
        *(mean(_times(limit / np.maximum(n, least * limit), g), axis=0) for n, g in zip(norms_of, grads, strict=True))
    )


def _nan(inputs, answer):
    if (_norms(inputs["grads"]) == 0).any() and any(np.isnan(array).any() for array in leaves(answer).values()):
        return "0 / 0: a gradient of length 0 has to stay 0. Divide by nothing less than the limit."


CLIP = Question(
    id="ps3/clip_each",
    title="Clip each sequence by itself",
    points=2,
    cases=cases(
        lambda rng, *lengths: _gradients(rng, lengths),
        {
            "some longer, some shorter": (0.4, 3, 1.6, 0.8),
            "a gradient of length zero": (2, 0, 0.6),
            "all longer": (1.5, 4),
        },
    ),
    reference=_clipped,
    mistakes={
        "mean first": wrong(_clipped, "It clips the mean. Clip each, then average.", first=True),
        "each array": wrong(_clipped, "It clips array by array: take all six together.", whole=False),
        "always": wrong(_clipped, "Short gradients are stretched: the factor is at most 1.", least=1e-6),
        "sum": wrong(_clipped, "It is the sum of the clipped gradients. Take their mean.", mean=np.sum),
        "one norm": wrong(
            _clipped,
            "One length is taken for the whole batch. Each sequence has its own: sum over all axes but the first.",
            norms=lambda g: np.sqrt((_norms(g) ** 2).sum()) + 0 * _norms(g),
        ),
        "no root": wrong(_clipped, "The squared length is held against the limit.", norms=lambda g: _norms(g) ** 2),
        "unclipped": wrong(_clipped, "Nothing is clipped: `limit` is not used.", norms=lambda g: 0 * _norms(g)),
    },
    tolerance=(1e-5, 1e-3),  # limit / (norm + 1e-6) will do
    hint=_nan,
)


def _moved_on(rng, T, B, window):
    run = _run(rng, T, B)
    moved = ElmanParams(*(p + 0.2 * rng.standard_normal(p.shape) for p in run["params"]))
    return run | {"params": moved, "window": window}


def _frozen(params, alpha, xs, hs, window, *, begins=lambda t, n: t % n == 0, at=lambda t: t, h0=False, old=False):
    h, ys = hs[0], []
    for t, x in enumerate(xs):
        h = hs[at(t)] if begins(t, window) else h
        h = _leak(params, alpha, x, 0 * h + params.h0 if h0 and t == 0 else h)
        ys.append((hs[t + 1] if old else h) @ params.W_hy + params.b_y)
    return np.stack(ys)


def _windows(params, alpha, xs, hs, window):
    starts = [max(0, t + 1 - window) for t in range(len(xs))]
    return np.stack([_frozen(params, alpha, xs[s : t + 1], hs[s:], len(xs))[-1] for t, s in enumerate(starts)])


FROZEN = Question(
    id="ps3/frozen_outputs",
    title="What a chunked gradient differentiates",
    points=3,
    cases=cases(
        _moved_on, {"whole chunks": (9, 2, 3), "a shorter last chunk": (10, 3, 4), "chunks of a single step": (5, 1, 1)}
    ),
    reference=_frozen,
    mistakes={
        "thawed": wrong(_frozen, "It is the plain run: later chunks begin at hs[t] too.", begins=lambda t, n: t == 0),
        "every step": wrong(_frozen, "Every step begins at hs[t]: that is a window of 1.", begins=lambda t, n: True),
        "restarted": wrong(_frozen, "Each chunk begins at hs[0], a net that forgets: begin at hs[t].", at=lambda t: 0),
        "state after": wrong(_frozen, "A chunk from xs[t] on begins at hs[t], not hs[t + 1].", at=lambda t: t + 1),
        "state before": wrong(
            _frozen, "A chunk from xs[t] on begins at hs[t], not before.", at=lambda t: max(t - 1, 0)
        ),
        "h0": wrong(_frozen, "The first chunk begins at params.h0: begin it at hs[0].", h0=True),
        "old states": wrong(_frozen, "It reads the old states: within a chunk `params` make new ones.", old=True),
        "windows": Mistake(_windows, "Each output has a window of its own: cut at multiples of `window`."),
    },
)


def _random_cuts(rng, T, B, drawn=1):
    cuts = rng.uniform(0.2, 0.5, T)
    return products(rng, T, B) | {"gates": (rng.random((T, B)) > cuts[:, None] * drawn).astype(int), "cuts": cuts}


def _unbiased(
    Js, d_hs, gates, cuts, *, passes=lambda gate, cut: gate / (1 - cut), gate=0, probability=0, own=0, mean=0
):
    errors, cuts = np.array(d_hs), 0 * cuts + cuts.mean() if mean else cuts
    for t in range(len(d_hs) - 1, 0, -1):
        weights = passes(gates[t - gate], cuts[t - probability] + 0 * gates[t]).astype(d_hs.dtype)[:, None]
        come = np.einsum("bi,bij->bj", errors[t], Js[t])
        errors[t - 1] = (errors[t - 1] + come) * weights if own == 1 else errors[t - 1] + come * weights
        errors[t] *= weights if own == 2 else 1
    return errors


RANDOMISED = Question(
    id="ps3/randomised_errors",
    title="Random cuts, unbiased",
    points=2,
    cases=cases(_random_cuts, {"a batch of sequences": (8, 3), "one sequence": (9, 1), "no cut was drawn": (6, 2, 0)}),
    reference=_unbiased,
    mistakes={
        "biased": wrong(
            _unbiased, "What gets through is not made up for: divide by 1 − cuts[t].", passes=lambda g, c: g
        ),
        "by the cut": wrong(
            _unbiased, "Divide by the probability to get through, 1 − cuts[t].", passes=lambda g, c: g / c
        ),
        "times": wrong(
            _unbiased, "It multiplies by 1 − cuts[t]: the mean gets smaller.", passes=lambda g, c: g * (1 - c)
        ),
        "inverted": wrong(_unbiased, "It stops where gates are 1: there it may pass.", passes=lambda g, c: 1 - g),
        "no gates": wrong(_unbiased, "`gates` is not used: it is the full gradient.", passes=lambda g, c: 0 * g + 1),
        "all pass": wrong(_unbiased, "`gates` is not used: 0 lets nothing pass.", passes=lambda g, c: 1 / (1 - c)),
        "gate": wrong(_unbiased, "It takes a neighbour's gate: the error through Js[t] meets gates[t].", gate=1),
        "probability": wrong(
            _unbiased, "It weighs by a neighbour's probability: gates[t] goes with cuts[t].", probability=1
        ),
        "own": wrong(_unbiased, "A loss is always heard at its own step: gates are for what crosses Js[t].", own=2),
        "own, before": wrong(
            _unbiased, "The weight is for what comes through Js[t], not for the loss that it is added to.", own=1
        ),
        "mean cut": wrong(_unbiased, "One mean probability stands for all. Each step has its own, cuts[t].", mean=1),
        "both": wrong(
            _unbiased,
            "gates and cuts are both a neighbour's: through Js[t] take gates[t], cuts[t].",
            gate=1,
            probability=1,
        ),
    },
)

USES = ("cells",)
QUESTIONS = (JACOBIANS, CLIP, LIVING, TRUNCATED, FROZEN, RANDOMISED)
