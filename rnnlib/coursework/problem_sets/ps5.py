"""Problem set 5, ragged: losses, gradients and states of sequences of different lengths, and scores of whole chunks."""

from functools import partial

import numpy as np

from rnnlib import losses
from rnnlib.cells import ElmanParams, LSTMState, init_elman, init_lstm, step
from rnnlib.coursework.problem_sets.chunks import CHUNKS
from rnnlib.coursework.problem_sets.shared import ragged_mask, wrong
from rnnlib.coursework.questions import Mistake, Question


def _errors(rng, B, empty=0, behind=1.0):
    mask = np.pad(ragged_mask(rng, 7, B), [(0, 0), (0, empty)])
    errors = rng.uniform(0.5, 1.5, size=mask.shape) + mask.sum(axis=0) / 4  # longer ones are harder
    return {"errors": np.where(mask, errors, behind * errors), "mask": mask}


def _over_steps(errors, mask):
    return (losses.mean_over_steps(mask) * errors).sum()


def _over_sequences(errors, mask):
    return (losses.mean_over_sequences(mask) * errors).sum()


def _mean_of_means(errors, mask, axis=0):
    return (errors.sum(axis) / np.maximum(mask.sum(axis), 1)).mean()


def _undefined(errors, mask):
    return np.where(mask.any(axis=0).all(), _over_sequences(errors, mask), np.nan)


def _chosen(errors, mask):
    return np.where(mask, errors, 0)


def _product(errors, mask):
    with np.errstate(invalid="ignore"):
        return errors * mask


def _means(errors, mask, *, read=_chosen, steps=_over_steps, sequences=_over_sequences):
    errors = read(errors, mask)
    return {"over_steps": steps(errors, mask), "over_sequences": sequences(errors, mask)}


def _with_padding(errors, mask):
    return _means(errors, mask) | {"over_steps": errors.mean()}


MEANS = Question(
    id="ps5/means",
    title="Two means",
    points=2,
    cases={
        "a batch of sequences": partial(_errors, B=4),
        "an empty column fills it up": partial(_errors, B=3, empty=1),
        "infinity on the padding": partial(_errors, B=5, behind=np.inf),
    },
    reference=_means,
    mistakes={
        "padding": Mistake(_with_padding, "over_steps counts what stands on padding. Choose with the mask."),
        "zeros": wrong(_means, "over_steps divides by T B. Divide by the mask's sum.", steps=lambda e, m: e.mean()),
        "multiplied": wrong(_means, "0 times infinity is NaN. Choose with np.where, don't multiply.", read=_product),
        "empty": wrong(_means, "N counts an empty column. Count those with a step.", sequences=_mean_of_means),
        "undefined": wrong(_means, "An empty column has the mean 0/0. Leave it out.", sequences=_undefined),
        "turned": wrong(_means, "Begin with each sequence's own mean.", sequences=partial(_mean_of_means, axis=1)),
        "swapped": wrong(_means, "Swapped: over_steps comes first.", steps=_over_sequences, sequences=_over_steps),
    },
)


def _of_batches(rng, lengths):
    N = len(lengths)
    counts = (1 + rng.permutation(N + 2)).tolist(), rng.permutation(N).tolist()
    sizes = zip(lengths, *counts, strict=False)  # T, sequences, empty columns
    masks = tuple(np.pad(ragged_mask(rng, T, B), [(0, 0), (0, empty)]) for T, B, empty in sizes)
    arrays = [rng.standard_normal((1 + N, *p.shape)) for p in init_elman(3, 5, 2, rng=rng)]
    return {"grads": ElmanParams(*(a[0] + a[1:] for a in arrays)), "masks": masks}


def _sequences(mask):
    return mask.any(axis=0).sum()


def _accumulated(grads, masks, *, count=_sequences, weigh=lambda c: c / c.sum()):
    weights = weigh(np.array([count(mask) for mask in masks]))
    return ElmanParams(*(np.tensordot(weights, g, axes=1) for g in grads))


def _inside(counts):
    return counts * np.cumprod(1 / np.cumsum(counts)[::-1])[::-1]


ACCUMULATE = Question(
    id="ps5/accumulate",
    title="One gradient of several batches",
    points=2,
    cases={
        "three batches": partial(_of_batches, lengths=[5, 9, 14]),
        "a long one among short ones": partial(_of_batches, lengths=[4, 60, 3, 5, 7]),
        "one batch": partial(_of_batches, lengths=[8]),
    },
    reference=_accumulated,
    mistakes={
        "by steps": wrong(_accumulated, "These are means over sequences: weigh by those, not by steps.", count=np.sum),
        "columns": wrong(_accumulated, "Empty columns count. Weigh by those with a step.", count=lambda m: len(m.T)),
        "means": wrong(_accumulated, "All batches count alike. Weigh by sequences.", weigh=lambda c: c**0 / len(c)),
        "sum": wrong(_accumulated, "It is the gradient of a sum. Divide once, by all sequences.", weigh=np.asarray),
        "by batches": wrong(_accumulated, "Divide by all sequences, not by batches.", weigh=lambda c: c / len(c)),
        "inside": wrong(_accumulated, "It divides inside the loop. Divide once, at the end.", weigh=_inside),
    },
)


def _lstm_problem(rng, padding):
    mask, (D, H) = ragged_mask(rng, 6, 4, padding), (3, 5)
    params = init_lstm(D, H, 2, rng=rng)._replace(h0=LSTMState(*rng.uniform(-0.9, 0.9, size=(2, H))))
    return {"params": params, "xs": rng.standard_normal((*mask.shape, D)), "mask": mask}


def _last_state(params, xs, mask, *, free=(0, 0), keep=1, anew=False, begin=1, zeroed=0):
    first = state = LSTMState(*(np.broadcast_to(begin * h, (xs.shape[1], h.size)) for h in params.h0))
    for x, m in zip(xs * mask[..., None] if zeroed else xs, mask, strict=True):
        parts = zip(free, step(params, x, state)[1], first if anew else state, strict=True)
        state = LSTMState(*(np.where(m[:, None] | bool(goes_on), new, keep * old) for goes_on, new, old in parts))
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
    easy=("no padding",),
    reference=_last_state,
    mistakes={
        "goes on": wrong(_last_state, "Padding is computed as a step. Keep the state before it.", free=(1, 1)),
        "zeroed": wrong(_last_state, "Inputs of 0 don't hold a state. Keep the one before.", free=(1, 1), zeroed=1),
        "h alone": wrong(_last_state, "h is frozen, c goes on. The state is both: freeze both.", free=(0, 1)),
        "c alone": wrong(_last_state, "c is frozen, h goes on. The state is both: freeze both.", free=(1, 0)),
        "wiped": wrong(_last_state, "The mask is multiplied in, which wipes the state out. Choose instead.", keep=0),
        "anew": wrong(_last_state, "Padding sets the state back to h0. Keep the one before.", anew=True),
        "from zero": wrong(_last_state, "It begins at zeros. Begin at params.h0.", begin=0),
    },
)


def _gated_problem(rng, padding="none", T=6):
    mask, H = ragged_mask(rng, T, 3, padding), 4
    fs, gs = rng.uniform(0.2, 0.95, size=(T, 3, H)), rng.uniform(-0.9, 0.9, size=(T, 3, H))
    cs = [rng.uniform(-0.9, 0.9, size=(3, H))]
    for f, g, m in zip(fs, gs, mask, strict=True):
        cs.append(np.where(m[:, None], f * cs[-1] + (1 - f) * g, cs[-1]))
    return {"fs": fs, "gs": gs, "cs": np.stack(cs), "mask": mask, "d_cs": rng.standard_normal((T + 1, 3, H))}


def _gated_backward(
    fs, gs, cs, mask, d_cs, *, recurrent=1, frozen=1, late=0, tied=1, after=0, slope=1, zeroed=1, read=1, first=1
):
    T, m = len(fs), mask[..., None]
    keep = recurrent * np.where(m, fs, fs if frozen is None else frozen)  # what a step keeps of c
    direct = np.where(np.pad(m, [(1, 0), (0, 0), (0, 0)], constant_values=1) | read > 0, d_cs, 0)
    es, e = np.zeros_like(fs), direct[T]
    for t in reversed(range(T)):
        es[t] = e  # of cs[t + 1]
        e = direct[t] * (first if t == 0 else 1) + keep[max(t - late, 0)] * e
    d_fs, d_gs = (part * es * (m if zeroed else 1) for part in (cs[after : T + after] - tied * gs, 1 - fs))
    return {"d_as": d_fs * (fs * (1 - fs)) ** slope, "d_gs": d_gs, "d_c0": e}


GATED_BACKWARD = Question(
    id="ps5/gated_backward",
    title="Back through a gate",
    points=5,
    cases={
        "no padding": _gated_problem,
        "padding behind": partial(_gated_problem, padding="behind"),
        "padding in front": partial(_gated_problem, padding="in front"),
        "a single step": partial(_gated_problem, T=1),
    },
    reference=_gated_backward,
    mistakes={
        "no recurrence": wrong(
            _gated_backward, "The error of cs[t] lacks what comes from cs[t + 1], times fs[t].", recurrent=0
        ),
        "wrong gate": wrong(_gated_backward, "From cs[t + 1] to cs[t] the error meets fs[t], not fs[t - 1].", late=1),
        "first": wrong(_gated_backward, "d_c0 lacks d_cs[0], what the loss says of cs[0] directly.", first=0),
        "not read": wrong(_gated_backward, "A loss may read states on padding: d_cs counts there too.", read=0),
        "gate on padding": wrong(_gated_backward, "Padding multiplies by f. Frozen steps pass all on.", frozen=None),
        "cut": wrong(_gated_backward, "The error stops at the padding. A frozen step passes it on whole.", frozen=0),
        "not tied": wrong(_gated_backward, "d_as lacks a part: f stands in (1 - f) g as well.", tied=0),
        "state after": wrong(_gated_backward, "The gate multiplies the state before: cs[t], not cs[t + 1].", after=1),
        "no slope": wrong(_gated_backward, "d_as is the error of f. Multiply by the sigmoid's slope.", slope=0),
        "not zeroed": wrong(_gated_backward, "On padding a and g had no say: d_as and d_gs are 0 there.", zeroed=0),
    },
)


USES = ("cells",)
QUESTIONS = (MEANS, ACCUMULATE, LAST_STATE, GATED_BACKWARD, CHUNKS)
