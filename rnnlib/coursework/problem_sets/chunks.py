"""A Question of problem set 5: chunks read off tags, and how many of them are right."""

from functools import partial

import numpy as np

from rnnlib.coursework.problem_sets.shared import ragged_mask, wrong
from rnnlib.coursework.questions import Mistake, Question


def _tagged(rng, B, kinds=2, gap=2, T=14):
    """Tags (T, B) of chunks with gaps below `gap`, and a guess that spoils them in five ways; true chunks begin with B."""
    mask, tags, guess = ragged_mask(rng, T, B), np.zeros((T, B), int), rng.integers(7, size=(T, B))
    for b, length in enumerate(mask.sum(axis=0)):
        guess[:length, b], t = 0, 0
        while t < length:
            kind, end, way = rng.integers(1, kinds + 1), min(t + rng.integers(1, 4), length), rng.integers(6)
            tags[t:end, b] = [2 * kind - 1] + [2 * kind] * (end - t - 1)
            guess[t:end, b] = (tags[t:end, b] + 2 * (way == 1) - 1) % 6 + 1  # 1: another kind
            guess[end - 1, b] *= way != 2  # 2: cut short
            guess[t, b] += way == 3  # 3: I in place of B
            guess[t:end, b] *= way != 4  # 4: missed
            t = end + rng.integers(gap)
    return {"tags": tags, "guess": guess, "mask": mask}


def _empty(rng):
    drawn = _tagged(rng, B=4)
    return drawn | {name: np.where(drawn["mask"], 0, drawn[name]) for name in ("tags", "guess")}


def _new(tag, kind, before):
    return tag % 2 or kind != before


def _other(tag, kind, before):
    return kind != before


def _wide(tag, kind, before):
    return tag % 2 or (kind > 0) != (before > 0)


def _chunks(ids, begins=_new):
    """{(begin, end, kind)} of one sequence."""
    found, begin, before = set(), 0, 0
    for t, tag in enumerate([*ids, 0]):
        kind = (tag + 1) // 2
        if begins(tag, kind, before):
            found |= {(begin, t, before)} if before else set()
            begin, before = t, kind
    return found


def _tags(ids):
    return {(t, tag) for t, tag in enumerate(ids) if tag}


def _after_b(ids):
    return {chunk for chunk in _chunks(ids) if ids[chunk[0]] % 2}


def _closed(ids):
    return {chunk for chunk in _chunks(ids) if chunk[1] < len(ids)}


def _sentences(ids, mask):
    return [column[real] for column, real in zip(ids.T, mask.T, strict=True)]


def _shares(right, said, true):
    shares = right / max(said, 1), right / max(true, 1), 2 * right / max(said + true, 1)
    return dict(zip(("precision", "recall", "f1"), shares, strict=True))


def _apart(counts):
    each = [_shares(*of_one) for of_one in counts]
    return {name: np.mean([one[name] for one in each]) for name in each[0]}


def _score(tags, guess, mask, *, chunks=_chunks, cut=_sentences, put=lambda counts: _shares(*np.sum(counts, axis=0))):
    pairs = [(chunks(a), chunks(b)) for a, b in zip(cut(tags, mask), cut(guess, mask), strict=True)]
    return put([(len(a & b), len(b), len(a)) for a, b in pairs])


def _swapped(tags, guess, mask):
    return _score(guess, tags, mask)


def _where_none(tags, guess, mask, value):
    found = _score(tags, guess, mask)
    return found if (mask & ((tags > 0) | (guess > 0))).any() else dict.fromkeys(found, value)


_scored = partial(wrong, _score)
_SCORES = {  # the last two show where there is no chunk at all, and nowhere else
    "tags": _scored("Tags are counted. Count chunks: all of one, or nothing.", chunks=_tags),
    "any kind": _scored("A wrong kind counts as right.", chunks=lambda ids: {c[:2] for c in _chunks(ids)}),
    "any end": _scored("A wrong end counts as right.", chunks=lambda ids: {c[::2] for c in _chunks(ids)}),
    "merged": _scored("A B always begins a new chunk.", chunks=partial(_chunks, begins=_other)),
    "B alone": _scored("An I behind O or another kind begins a chunk too.", chunks=_after_b),
    "goes on": _scored("An I of another kind begins a chunk, it doesn't go on.", chunks=partial(_chunks, begins=_wide)),
    "last": _scored("A chunk that lasts to the end of its sentence is lost. Close it there.", chunks=_closed),
    "padding": _scored("Guesses on the padding count. Cut each sequence at its end.", cut=lambda i, m: list(i.T)),
    "across": _scored("Chunks run on into the next sentence. An I at a start begins one.", cut=lambda i, m: [i.T[m.T]]),
    "by time": _scored("Chunks run across the batch. Take one column at a time.", cut=lambda i, m: [i[m]]),
    "swapped": Mistake(_swapped, "Precision and recall are swapped: precision is right / said."),
    "apart": _scored("It is a mean over sentences. Add up the counts of all, then divide.", put=_apart),
    "full": wrong(_where_none, "With no chunk at all it gives 1. By the convention here 0/0 is 0.", value=1.0),
    "undefined": wrong(_where_none, "With no chunk at all it is 0/0. By the convention here that is 0.", value=np.nan),
}


def _telling(rng, names, **sizes):
    """Draw until the right scores lie between 0 and 1, and each of these mistakes gives others, of its own."""
    while True:
        inputs = _tagged(rng, **sizes)
        scores = [_score(**inputs), *(_SCORES[name].answer(**inputs) for name in names)]
        if len({tuple(s.values()) for s in scores}) == len(scores) and all(0 < s < 1 for s in scores[0].values()):
            return inputs


CHUNKS = Question(
    id="ps5/chunks",
    title="Whole chunks",
    points=4,
    cases={
        "a batch of sentences": partial(_telling, names=list(_SCORES)[:-2], B=5),
        "one sentence": partial(_telling, names=("last", "any end", "swapped"), B=1),
        "chunks side by side": partial(_telling, names=("merged", "B alone", "across"), B=3, kinds=1, gap=1),
        "an I that begins a chunk": partial(_telling, names=("B alone", "goes on", "across"), B=4),
        "no chunk at all": _empty,
    },
    easy=("no chunk at all",),
    reference=_score,
    mistakes=_SCORES,
)
