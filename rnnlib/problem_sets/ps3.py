"""Problem set 3, truncation: what a step does to an error, what clipping does, and what a cut gradient is the gradient of.

Its net leaks: u_t = tanh(x_t W_xh + h_{t-1} W_hh + b_h), h_t = (1 − α) h_{t-1} + α u_t, y_t = h_t W_hy + b_y; α = 1 is the Elman net.
"""

from functools import partial

import numpy as np

from rnnlib.answers import leaves
from rnnlib.cells import ElmanParams, elman_step
from rnnlib.problem_sets.shared import net, sizes, wrong
from rnnlib.questions import Mistake, Question


def _leak(params, alpha, x, h):
    return (1 - alpha) * h + alpha * elman_step(params, x, h)[1]


def _run(rng, T, B):
    params, alpha = net(rng, *sizes(rng, 3)), float(rng.uniform(0.3, 0.7))
    xs, hs = rng.standard_normal((T, B, len(params.W_xh))), [rng.standard_normal((B, params.h0.size))]
    for x in xs:
        hs.append(_leak(params, alpha, x, hs[-1]))
    return {"params": params, "alpha": alpha, "xs": xs, "hs": np.stack(hs)}


def _cases(draw, options):
    return {name: lambda rng, of=of: draw(rng, *of) for name, of in options.items()}


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
    cases=_cases(_run, {"a batch of sequences": (8, 3), "one sequence": (9, 1), "a single step": (1, 2)}),
    reference=_jacobians,
    mistakes={
        "not transposed": wrong(_jacobians, "J[i, j] is made of W_hh[j, i]: transpose W_hh.", weights=np.asarray),
        "slopes of h": wrong(_jacobians, "It takes 1 − h_t². The tanh made u_t: its slope is 1 − u_t².", of_h=1),
        "slopes on columns": wrong(_jacobians, "A slope scales its unit's row, not its column.", columns=1),
        "no leak": wrong(_jacobians, "The direct way is missing: h_t contains (1 − α) h_{t-1}.", direct=np.zeros),
        "leak everywhere": wrong(_jacobians, "A unit leaks into itself: 1 − α on the diagonal alone.", direct=np.ones),
        "no alpha": wrong(_jacobians, "The way through tanh lacks its α: h_t contains α u_t.", scaled=0),
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
    cases=_cases(
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
        "no root": wrong(_clipped, "The squared length is held against the limit.", norms=lambda g: _norms(g) ** 2),
        "unclipped": wrong(_clipped, "Nothing is clipped: `limit` is not used.", norms=lambda g: 0 * _norms(g)),
    },
    tolerance=(1e-5, 1e-3),  # limit / (norm + 1e-6) will do
    hint=_nan,
)


# Which loss t (rows) hears which step s (columns), from 1, with a stride n and a window k; s <= t comes on top. Right are three.
_TABLES = {
    "windowed": lambda t, s, T, n, k: s > n * -(-t // n) - k,
    "chunked": lambda t, s, T, n, k: s > (t - 1) // k * k,
    "last": lambda t, s, T, n, k: (t > T - k) & (s > T - k),
    "too long": lambda t, s, T, n, k: s > n * -(-t // n) - k - 1,
    "own window": lambda t, s, T, n, k: s > t - k,
    "ends at T": lambda t, s, T, n, k: s > np.minimum(n * -(-t // n), T) - k,
    "group ends": lambda t, s, T, n, k: (t % n == 0) & (s > t - k),
    "stride's chunks": lambda t, s, T, n, k: s > (t - 1) // n * n,
    "cut early": lambda t, s, T, n, k: s > t // k * k,
    "far back": lambda t, s, T, n, k: (t > T - k) & (s > 0),
}


def _living(T, stride, window, *, past=True, **wrong):
    t, s = np.ogrid[1 : T + 1, 1 : T + 1]
    tables = {name: _TABLES[wrong.get(name, name)] for name in ("windowed", "chunked", "last")}
    return {name: table(t, s, T, stride, window) & ((s <= t) | (not past)) for name, table in tables.items()}


def _first_wrong(inputs, answer):
    for name, right in _living(**inputs).items():
        for t, s in np.argwhere(answer[name] != right)[:1]:
            drawn, verb = ", ".join(f"{key} {n}" for key, n in inputs.items()), "must" if right[t, s] else "must not"
            return f"`{name}`, {drawn}: the loss of step {t + 1} {verb} hear step {s + 1} (steps from 1)."


def _drawn(rng, stride, window):
    window += int(rng.integers(5))
    T = window * int(rng.integers(2, 5))
    T = int(rng.choice([n for n in range(T + 1, T + window) if stride == 1 or n % stride]))  # a rest is left by both
    return {"T": T, "stride": stride, "window": window}


LIVING = Question(
    id="ps3/living",
    title="Which loss hears which step",
    points=3,
    cases=_cases(_drawn, {"a stride of two": (2, 4), "a stride of three": (3, 5), "a stride of one": (1, 3)}),
    reference=_living,
    mistakes={
        "window too long": wrong(_living, "`windowed` hears one step more than `window`.", windowed="too long"),
        "stride ignored": wrong(_living, "`windowed`: the losses of one stride share a start.", windowed="own window"),
        "last group": wrong(_living, "`windowed`: the last group counts as whole, beyond T.", windowed="ends at T"),
        "ends alone": wrong(_living, "`windowed`: all losses of a group count, not its end's.", windowed="group ends"),
        "chunks of stride": wrong(_living, "`chunked` goes by `window`, not stride.", chunked="stride's chunks"),
        "chunks early": wrong(_living, "`chunked`: the first chunk holds `window` steps.", chunked="cut early"),
        "last as a window": wrong(_living, "`last` hears early losses: drop the first T − window.", last="own window"),
        "last as windowed": wrong(_living, "`last` is `windowed` again: drop the early losses.", last="windowed"),
        "last hears all": wrong(_living, "`last` looks too far back: step T − window is shut off.", last="far back"),
        "future": wrong(_living, "A loss hears steps that come after it: s ≤ t is missing.", past=False),
    },
    hint=_first_wrong,
)


def _products(rng, T, B):
    H = int(rng.integers(4, 8))
    return {"Js": rng.standard_normal((T, B, H, H)) / np.sqrt(H), "d_hs": rng.standard_normal((T, B, H))}


def _cut(rng, T, B, live=None):
    if live is None:
        live = np.tril(rng.random((T, T)) < 0.5)
        live[1, 0], live[2, :3], live[3, :4], live[-1, -3:] = 0, (1, 1, 0), (1, 0, 1, 1), (1, 0, 1)  # gaps for certain
    return _products(rng, T, B) | {"live": live}


def _truncated(Js, d_hs, live, *, axes="bi,bij->bj", low=1, high=1, order=-1, read=np.asarray):
    errors = np.zeros_like(d_hs)
    for t, s in np.argwhere(np.tril(read(live))):  # each loss by itself
        error = d_hs[t]
        for J in Js[s + low : t + high][::order]:
            error = np.einsum(axes, error, J)
        errors[s] += error
    return errors


def _gapless(live):
    return [[row[s : t + 1].all() for s in range(len(live))] for t, row in enumerate(live)]


def _swept(live):  # what one sweep lets through: it asks at each step for the next loss alone
    return [[row[t] and np.diag(live, -1)[s:t].all() for s in range(len(live))] for t, row in enumerate(live)]


TRUNCATED = Question(
    id="ps3/truncated_errors",
    title="Any truncation, from its table",
    points=3,
    cases={
        "a window behind every loss": partial(_cut, T=8, B=3, live=_living(8, 1, 3)["windowed"]),
        "chunks": partial(_cut, T=9, B=2, live=_living(9, 1, 4)["chunked"]),
        "the last steps": partial(_cut, T=7, B=1, live=_living(7, 1, 3)["last"]),
        "a table with gaps": partial(_cut, T=7, B=2),
    },
    reference=_truncated,
    mistakes={
        "nudges": wrong(_truncated, "J @ error is for nudges. An error is a row: error @ J.", axes="bj,bij->bi"),
        "one off": wrong(_truncated, "It is a row early: from row s to s − 1 the Jacobian is Js[s].", low=0, high=0),
        "too many": wrong(_truncated, "errors[s] holds Js[s], one Jacobian too many: add, then multiply.", low=0),
        "wrong order": wrong(_truncated, "The product runs the wrong way: d_hs[t] meets Js[t] first.", order=1),
        "turned": wrong(_truncated, "It reads live[s, t]. Rows are losses, columns steps.", read=np.transpose),
        "uncut": wrong(_truncated, "It is the full gradient: `live` is not used.", read=np.ones_like),
        "own": wrong(_truncated, "At s = t live[t, t] is not asked.", read=lambda m: m | (np.eye(len(m)) > 0)),
        "stopped": wrong(_truncated, "An error ends where it isn't heard. Add nothing, and go on.", read=_gapless),
        "one sweep": wrong(_truncated, "One sweep can't tell whose error it carries: follow each loss.", read=_swept),
        "one sweep, own": wrong(
            _truncated,
            "One sweep can't tell whose error it carries, and live[t, t] is not asked.",
            read=lambda m: _swept(m | (np.eye(len(m)) > 0)),
        ),
    },
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
    cases=_cases(
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


def _dice(rng, T, B, thrown=1):
    cuts = rng.uniform(0.2, 0.5, T)
    return _products(rng, T, B) | {"gates": (rng.random((T, B)) > cuts[:, None] * thrown).astype(int), "cuts": cuts}


def _fair(Js, d_hs, gates, cuts, *, passes=lambda gate, cut: gate / (1 - cut), die=0, chance=0, own=False):
    errors = np.array(d_hs)
    for t in range(len(d_hs) - 1, 0, -1):
        weights = passes(gates[t - die], cuts[t - chance] + 0 * gates[t]).astype(d_hs.dtype)[:, None]
        errors[t - 1] += np.einsum("bi,bij->bj", errors[t], Js[t]) * weights
        errors[t] *= weights if own else 1
    return errors


DICE = Question(
    id="ps3/dice_errors",
    title="Dice, made fair",
    points=2,
    cases=_cases(_dice, {"a batch of sequences": (8, 3), "one sequence": (9, 1), "no cut was thrown": (6, 2, 0)}),
    reference=_fair,
    mistakes={
        "biased": wrong(_fair, "What gets through is not made up for: divide by 1 − cuts[t].", passes=lambda g, c: g),
        "by the cut": wrong(_fair, "Divide by the chance to get through, 1 − cuts[t].", passes=lambda g, c: g / c),
        "times": wrong(_fair, "It multiplies by 1 − cuts[t]: the mean gets smaller.", passes=lambda g, c: g * (1 - c)),
        "inverted": wrong(_fair, "It stops where gates are 1: there it may pass.", passes=lambda g, c: 1 - g),
        "no gates": wrong(_fair, "`gates` is not used: it is the full gradient.", passes=lambda g, c: 0 * g + 1),
        "all pass": wrong(_fair, "`gates` is not used: 0 lets nothing pass.", passes=lambda g, c: 1 / (1 - c)),
        "die": wrong(_fair, "It asks a neighbour's die: the error through Js[t] meets gates[t].", die=1),
        "chance": wrong(_fair, "It weighs by a neighbour's chance: gates[t] goes with cuts[t].", chance=1),
        "own": wrong(_fair, "A loss is always heard at its own step: gates are for what crosses Js[t].", own=True),
    },
)

QUESTIONS = (JACOBIANS, CLIP, LIVING, TRUNCATED, FROZEN, DICE)
