"""Problem set 5, ragged: losses, gradients and states of sequences of different lengths, and scores of whole chunks."""

from functools import partial

import numpy as np

from rnnlib import losses
from rnnlib.answers import leaves
from rnnlib.cells import ElmanParams, LSTMState, init_elman, init_lstm, step
from rnnlib.questions import Mistake, Question


def _mask(rng, T, B, padding="behind"):
    """(T, B), with a sequence of length T and, where there are others, one of length 1."""
    lengths = rng.permutation([T, 1, *rng.integers(2, T, size=B)][:B])
    t = np.arange(T)[:, None] if padding == "behind" else np.arange(T)[::-1, None]
    return np.broadcast_to(t < (T if padding == "none" else lengths), (T, B)).copy()


# 1 · two means


def _errors(rng, B, empty=0, behind=1.0):
    mask = np.pad(_mask(rng, 7, B), [(0, 0), (0, empty)])
    errors = rng.uniform(0.5, 1.5, size=mask.shape) + mask.sum(axis=0) / 4  # longer ones are harder
    return {"errors": np.where(mask, errors, behind * errors), "mask": mask}


def _means(errors, mask):
    weights = losses.mean_over_steps(mask), losses.mean_over_sequences(mask)
    steps, sequences = ((w * np.where(mask, errors, 0)).sum() for w in weights)
    return {"over_steps": steps, "over_sequences": sequences}


def _other(name, value):
    return lambda errors, mask: _means(errors, mask) | {name: value(np.where(mask, errors, 0), mask)}


def _swapped(errors, mask):
    return dict(zip(("over_steps", "over_sequences"), [*_means(errors, mask).values()][::-1], strict=True))


def _infinite(inputs, answer):
    finite = all(np.isfinite(leaf).all() for leaf in leaves(answer).values())
    return None if finite else "Something infinite behind the end gets in: 0 times infinity is not 0. Try np.where."


MEANS = Question(
    id="ps5/means",
    title="Two means",
    points=2,
    cases={
        "a batch of sequences": lambda rng: _errors(rng, B=4),
        "an empty row fills it up": lambda rng: _errors(rng, B=3, empty=1),
        "infinite behind the end": lambda rng: _errors(rng, B=4, behind=np.inf),
    },
    reference=_means,
    mistakes={
        "all entries": Mistake(
            _other("over_steps", lambda e, m: e.mean()),
            "over_steps is divided by T B, padding and all. Divide by the number of steps, the sum of the mask.",
        ),
        "empty row counts": Mistake(
            _other("over_sequences", lambda e, m: (e.sum(0) / np.maximum(m.sum(0), 1)).mean()),
            "over_sequences takes an empty row for a sequence of loss 0. Divide by the number of rows with a step.",
        ),
        "time by time": Mistake(
            _other("over_sequences", lambda e, m: (e.sum(1) / m.sum(1)).mean()),
            "over_sequences is a mean over time of means over the batch. Take each sequence's own mean first, over axis 0.",
        ),
        "swapped": Mistake(_swapped, "The two are swapped: over_steps comes first."),
    },
    hint=_infinite,
)


# 2 · one gradient of several batches


def _batch_grads(rng, counts, most):
    params = init_elman(3, 5, 2, rng=rng)
    draw = lambda p: rng.standard_normal((len(counts), *p.shape)) + rng.standard_normal(p.shape)  # noqa: E731
    return {"grads": ElmanParams(*map(draw, params)), "counts": rng.permutation(counts), "most": most}


def _scaled(grads, factor):
    return ElmanParams(*(factor * g for g in grads))


def _norm(arrays):
    return np.sqrt(sum((g**2).sum() for g in arrays))


def _accumulated(grads, counts, most, weigh=lambda c: c / c.sum()):
    total = ElmanParams(*(np.tensordot(weigh(counts), g, axes=1) for g in grads))
    return _scaled(total, min(1.0, most / _norm(total)))


def _clip_each_batch(grads, counts, most):
    norms = [_norm(g[n] for g in grads) for n in range(len(counts))]
    factors = np.minimum(1.0, most / np.array(norms))
    return _accumulated(grads, counts, np.inf, lambda c: factors * c / c.sum())


def _clip_each_array(grads, counts, most):
    return ElmanParams(*(min(1.0, most / _norm([g])) * g for g in _accumulated(grads, counts, np.inf)))


def _always_long(grads, counts, most):
    total = _accumulated(grads, counts, np.inf)
    return _scaled(total, most / _norm(total))


ACCUMULATE = Question(
    id="ps5/accumulate",
    title="One gradient of several batches",
    points=3,
    cases={
        "three batches": lambda rng: _batch_grads(rng, [90, 64, 31], most=100.0),
        "a large one among small ones": lambda rng: _batch_grads(rng, [400, 3, 12, 7, 5], most=100.0),
        "too long, to be clipped": lambda rng: _batch_grads(rng, [80, 25, 9], most=rng.uniform(1.0, 3.0)),
        "one batch": lambda rng: _batch_grads(rng, [17], most=rng.uniform(1.0, 3.0)),
    },
    reference=_accumulated,
    mistakes={
        "mean of means": Mistake(
            partial(_accumulated, weigh=lambda c: np.ones(len(c)) / len(c)),
            "All batches count alike. A batch's mean times its steps is its sum: weigh by counts, divide by their sum.",
        ),
        "sum of means": Mistake(
            partial(_accumulated, weigh=lambda c: np.ones(len(c))),
            "The means are added as they are. Weigh each by its steps, and divide once, by all steps.",
        ),
        "by batches": Mistake(
            partial(_accumulated, weigh=lambda c: c / len(c)),
            "Weighed by steps, divided by the number of batches. Divide by the number of all steps.",
        ),
        "divided inside": Mistake(
            partial(_accumulated, weigh=lambda c: c * np.cumprod(1 / np.cumsum(c)[::-1])[::-1]),
            "Divided inside the loop, by a count that grows: what came early is divided again and again. Divide once.",
        ),
        "clipped too early": Mistake(
            _clip_each_batch, "Each batch's gradient is clipped. Clip once, the finished one."
        ),
        "array by array": Mistake(
            _clip_each_array,
            "Each array is clipped by itself, which turns the gradient. There is one norm, of all six.",
        ),
        "always rescaled": Mistake(
            _always_long, "A short gradient is made longer. Clipping only shortens: min(1, ...)."
        ),
    },
)


# 3 · the last state of each sequence


def _lstm_problem(rng, padding):
    mask, (D, H) = _mask(rng, 6, 4, padding), (3, 5)
    params = init_lstm(D, H, 2, rng=rng)._replace(h0=LSTMState(*rng.uniform(-0.9, 0.9, size=(2, H))))
    return {"params": params, "xs": rng.standard_normal((*mask.shape, D)) * mask[..., None], "mask": mask}


def _choose(m, new, old, first):
    return LSTMState(*np.where(m, new, old))


def _last_state(params, xs, mask, freeze=_choose):
    first = state = LSTMState(*(np.broadcast_to(h, (xs.shape[1], h.size)) for h in params.h0))
    for x, m in zip(xs, mask, strict=True):
        state = freeze(m[:, None], step(params, x, state)[1], state, first)
    return state


def _from_zero(params, xs, mask):
    return _last_state(params._replace(h0=LSTMState(*np.zeros_like(params.h0))), xs, mask)


_FREEZES = {
    "not frozen": (
        lambda m, new, old, first: new,
        "The state goes on over the padding: inputs of zero don't hold it. Where the mask is 0 keep the old one.",
    ),
    "h alone": (
        lambda m, new, old, first: LSTMState(np.where(m, new.h, old.h), new.c),
        "h is frozen, c goes on. The state of an LSTM is both: freeze both.",
    ),
    "c alone": (
        lambda m, new, old, first: LSTMState(new.h, np.where(m, new.c, old.c)),
        "c is frozen, h goes on: the output gate still moves. The state of an LSTM is both: freeze both.",
    ),
    "wiped out": (
        lambda m, new, old, first: LSTMState(m * new.h, m * new.c),
        "The state is multiplied by the mask, which wipes it out. Choose the old one where the mask is 0.",
    ),
    "begun anew": (
        lambda m, new, old, first: _choose(m, new, first, first),
        "Padding sets the state back to h0. Where the mask is 0 the state before has to stay.",
    ),
}

LAST_STATE = Question(
    id="ps5/last_state",
    title="The last state of each sequence",
    points=3,
    cases={
        "no padding": lambda rng: _lstm_problem(rng, "none"),
        "padding behind": lambda rng: _lstm_problem(rng, "behind"),
        "padding in front": lambda rng: _lstm_problem(rng, "in front"),
    },
    reference=_last_state,
    mistakes={name: Mistake(partial(_last_state, freeze=f), says) for name, (f, says) in _FREEZES.items()}
    | {"from zero": Mistake(_from_zero, "It begins at zeros. Begin at params.h0, the same for every sequence.")},
)
