"""Problem set 5, ragged: losses, gradients and states of sequences of different lengths, and scores of whole chunks."""

from functools import partial

import numpy as np

from rnnlib import losses
from rnnlib.cells import ElmanParams, LSTMState, init_elman, init_lstm, step
from rnnlib.questions import Mistake, Question


def _mask(rng, T, B, padding="behind"):
    """(T, B), with a sequence of length T and, where there are others, one of length 1."""
    lengths = T if padding == "none" else rng.permutation([T, 1, *rng.integers(2, T, size=B)][:B])
    t = np.arange(T)[:: -1 if padding == "in front" else 1, None]
    return np.broadcast_to(t < lengths, (T, B)).copy()


def _wrong(function, says, **options):
    return Mistake(partial(function, **options), says)


def _errors(rng, B, empty=0, behind=1.0):
    mask = np.pad(_mask(rng, 7, B), [(0, 0), (0, empty)])
    errors = rng.uniform(0.5, 1.5, size=mask.shape) + mask.sum(axis=0) / 4  # longer ones are harder
    return {"errors": np.where(mask, errors, behind * errors), "mask": mask}


def _over_steps(errors, mask):
    return (losses.mean_over_steps(mask) * errors).sum()


def _over_sequences(errors, mask):
    return (losses.mean_over_sequences(mask) * errors).sum()


def _mean_of_means(errors, mask, axis):
    return (errors.sum(axis) / np.maximum(mask.sum(axis), 1)).mean()


def _means(errors, mask, *, steps=_over_steps, sequences=_over_sequences):
    errors = np.where(mask, errors, 0)
    return {"over_steps": steps(errors, mask), "over_sequences": sequences(errors, mask)}


MEANS = Question(
    id="ps5/means",
    title="Two means",
    points=2,
    cases={
        "a batch of sequences": partial(_errors, B=4),
        "an empty row fills it up": partial(_errors, B=3, empty=1),
        "large numbers behind the end": partial(_errors, B=5, behind=-20.0),
    },
    reference=_means,
    mistakes={
        "padding": _wrong(_means, "over_steps counts padding: divide by the mask's sum.", steps=lambda e, m: e.mean()),
        "empty": _wrong(
            _means,
            "An empty row counts as a sequence of loss 0. Divide by the number of rows with a step.",
            sequences=partial(_mean_of_means, axis=0),
        ),
        "turned": _wrong(_means, "Begin with each sequence's own mean.", sequences=partial(_mean_of_means, axis=1)),
        "swapped": _wrong(
            _means, "They are swapped: over_steps comes first.", steps=_over_sequences, sequences=_over_steps
        ),
    },
)


def _of_batches(rng, counts):
    arrays = [rng.standard_normal((1 + len(counts), *p.shape)) for p in init_elman(3, 5, 2, rng=rng)]
    return {"grads": ElmanParams(*(a[0] + a[1:] for a in arrays)), "counts": rng.permutation(counts)}


def _accumulated(grads, counts, *, weigh=lambda c: c / c.sum()):
    return ElmanParams(*(np.tensordot(weigh(counts), g, axes=1) for g in grads))


def _inside(counts):
    return counts * np.cumprod(1 / np.cumsum(counts)[::-1])[::-1]


ACCUMULATE = Question(
    id="ps5/accumulate",
    title="One gradient of several batches",
    points=2,
    cases={
        "three batches": partial(_of_batches, counts=[90, 64, 31]),
        "a large one among small ones": partial(_of_batches, counts=[400, 3, 12, 7, 5]),
        "one batch": partial(_of_batches, counts=[17]),
    },
    reference=_accumulated,
    mistakes={
        "means": _wrong(_accumulated, "All batches count alike. Weigh them by steps.", weigh=lambda c: c**0 / len(c)),
        "sum": _wrong(_accumulated, "It is the gradient of the sum. Divide once, by all steps.", weigh=np.asarray),
        "by batches": _wrong(
            _accumulated, "Divide by the number of all steps, not of batches.", weigh=lambda c: c / len(c)
        ),
        "inside": _wrong(_accumulated, "It divides inside the loop. Divide once, at the end.", weigh=_inside),
    },
)


def _lstm_problem(rng, padding):
    mask, (D, H) = _mask(rng, 6, 4, padding), (3, 5)
    params = init_lstm(D, H, 2, rng=rng)._replace(h0=LSTMState(*rng.uniform(-0.9, 0.9, size=(2, H))))
    return {"params": params, "xs": rng.standard_normal((*mask.shape, D)) * mask[..., None], "mask": mask}


def _last_state(params, xs, mask, *, free=(False, False), keep=1, anew=False, begin=1):
    first = state = LSTMState(*(np.broadcast_to(begin * h, (xs.shape[1], h.size)) for h in params.h0))
    for x, m in zip(xs, mask, strict=True):
        parts = zip(free, step(params, x, state)[1], first if anew else state, strict=True)
        state = LSTMState(*(np.where(m[:, None] | goes_on, new, keep * old) for goes_on, new, old in parts))
    return state


LAST_STATE = Question(
    id="ps5/last_state",
    title="The last state of each sequence",
    points=3,
    cases={
        "no padding": partial(_lstm_problem, padding="none"),
        "padding behind": partial(_lstm_problem, padding="behind"),
        "padding in front": partial(_lstm_problem, padding="in front"),
    },
    reference=_last_state,
    mistakes={
        "goes on": _wrong(_last_state, "Inputs of 0 don't hold a state. Keep the one before.", free=(True, True)),
        "h alone": _wrong(_last_state, "h is frozen, c goes on. The state is both: freeze both.", free=(False, True)),
        "c alone": _wrong(_last_state, "c is frozen, h goes on. The state is both: freeze both.", free=(True, False)),
        "wiped": _wrong(_last_state, "The mask is multiplied in, which wipes the state out. Choose instead.", keep=0),
        "anew": _wrong(_last_state, "Padding sets the state back to h0. Keep the one before.", anew=True),
        "from zero": _wrong(_last_state, "It begins at zeros. Begin at params.h0.", begin=0),
    },
)


def _gated_problem(rng, padding="none", T=6):
    mask, H = _mask(rng, T, 3, padding), 4
    fs, gs = rng.uniform(0.2, 0.95, size=(T, 3, H)), rng.uniform(-0.9, 0.9, size=(T, 3, H))
    cs = [rng.uniform(-0.9, 0.9, size=(3, H))]
    for f, g, m in zip(fs, gs, mask, strict=True):
        cs.append(np.where(m[:, None], f * cs[-1] + (1 - f) * g, cs[-1]))
    return {"fs": fs, "gs": gs, "cs": np.stack(cs), "mask": mask, "d_cs": rng.standard_normal((T, 3, H))}


def _road_back(fs, gs, cs, mask, d_cs, *, road=1, frozen=1, late=0, tied=1, after=0, slope=1, zeroed=True):
    T, m = len(fs), mask[..., None]
    keep = road * np.where(m, fs, fs if frozen is None else frozen)  # what a step keeps of c
    es, e = np.zeros_like(d_cs), np.zeros_like(cs[0])
    for t in reversed(range(T)):
        es[t] = d_cs[t] + e
        e = keep[max(t - late, 0)] * es[t]
    d_fs, d_gs = (part * es * (m if zeroed else 1) for part in (cs[after : T + after] - tied * gs, 1 - fs))
    return {"d_as": d_fs * (fs * (1 - fs)) ** slope, "d_gs": d_gs, "d_c0": e}


ROAD = Question(
    id="ps5/road",
    title="The road back",
    points=5,
    cases={
        "no padding": _gated_problem,
        "padding behind": partial(_gated_problem, padding="behind"),
        "padding in front": partial(_gated_problem, padding="in front"),
        "a single step": partial(_gated_problem, T=1),
    },
    reference=_road_back,
    mistakes={
        "no road": _wrong(_road_back, "The error of c_t lacks what comes from c_(t+1), times f_(t+1).", road=0),
        "wrong gate": _wrong(_road_back, "From c_(t+1) to c_t the error meets f_(t+1), not f_t.", late=1),
        "gate on padding": _wrong(_road_back, "Padding multiplies by f. Frozen steps pass all on.", frozen=None),
        "cut": _wrong(_road_back, "The error stops at the padding. A frozen step passes it on whole.", frozen=0),
        "not tied": _wrong(_road_back, "d_as lacks a part: f stands in (1 - f) g as well.", tied=0),
        "state after": _wrong(_road_back, "The gate multiplies the state before: cs[t], not cs[t + 1].", after=1),
        "no slope": _wrong(_road_back, "d_as is the error of f. Multiply by the sigmoid's slope.", slope=0),
        "not zeroed": _wrong(_road_back, "On padding a and g had no say: d_as and d_gs are 0 there.", zeroed=False),
    },
)


def _tagged(rng, B, kinds=3, gap=3, ways=(0, 1, 2, 3), T=14):
    """Tags (T, B) of chunks with gaps below `gap`; the guess spoils them in one of the ways, but for the first of each sentence."""
    mask, tags, guess = _mask(rng, T, B), np.zeros((T, B), int), rng.integers(7, size=(T, B))
    for b, length in enumerate(mask.sum(axis=0)):
        guess[:length, b], t = 0, 0
        while t < length:
            kind, end, way = rng.integers(1, kinds + 1), min(t + rng.integers(1, 4), length), rng.choice(ways) * (t > 0)
            tags[t:end, b] = [2 * kind - 1] + [2 * kind] * (end - t - 1)
            guess[t:end, b] = (tags[t:end, b] + 2 * (way == 1) - 1) % 6 + 1  # 1: another kind
            guess[end - 1, b] *= way != 2  # 2: cut short
            guess[t, b] += way == 3  # 3: I in place of B
            t = end + rng.integers(gap)
    return {"tags": tags, "guess": guess, "mask": mask}


def _chunks(tags):
    """{(begin, end, kind)} of one sequence."""
    found, begin, before = set(), 0, 0
    for t, tag in enumerate([*tags, 0]):
        kind = (tag + 1) // 2
        if tag % 2 or kind != before:
            found |= {(begin, t, before)} if before else set()
            begin, before = t, kind
    return found


def _count(tags, guess, mask, *, chunks=_chunks, padding=False, across=False):
    mask = mask | padding
    columns = [mask] if across else [(steps, b) for b, steps in enumerate(mask.T)]
    pairs = [(chunks(tags[column]), chunks(guess[column])) for column in columns]
    true, said, right = (sum(map(len, each)) for each in zip(*((a, b, a & b) for a, b in pairs), strict=True))
    return {"right": right, "said": said, "true": true, "f1": 2 * right / (said + true)}


def _tags(ids):
    return {(t, tag) for t, tag in enumerate(ids) if tag}


def _after_b(ids):
    return {chunk for chunk in _chunks(ids) if ids[chunk[0]] % 2}


CHUNKS = Question(
    id="ps5/chunks",
    title="Whole chunks",
    points=4,
    cases={
        "a batch of sentences": partial(_tagged, B=5),
        "one sentence": partial(_tagged, B=1, ways=(0, 1, 2)),
        "chunks side by side": partial(_tagged, B=3, kinds=1, gap=1, ways=(0, 1)),
        "an I that begins a chunk": partial(_tagged, B=4, ways=(2, 3)),
    },
    reference=_count,
    mistakes={
        "tags": _wrong(_count, "Tags are counted. Count chunks: all of one, or nothing.", chunks=_tags),
        "any kind": _wrong(_count, "A wrong kind counts as right.", chunks=lambda ids: {c[:2] for c in _chunks(ids)}),
        "any end": _wrong(_count, "A wrong end counts as right.", chunks=lambda ids: {c[::2] for c in _chunks(ids)}),
        "merged": _wrong(_count, "A B always begins a new chunk.", chunks=lambda ids: _chunks(ids + ids % 2)),
        "B alone": _wrong(_count, "An I behind O or another kind begins a chunk too.", chunks=_after_b),
        "padding": _wrong(_count, "Guesses on the padding count. Cut each sequence at its end.", padding=True),
        "across": _wrong(_count, "Chunks run across sequences. Take one column at a time.", across=True),
    },
)

QUESTIONS = (MEANS, ACCUMULATE, LAST_STATE, ROAD, CHUNKS)
