"""Two Questions of problem set 6: when to stop, and how far to trust what was found."""

from functools import partial

import numpy as np

from rnnlib.coursework.problem_sets.shared import wrong
from rnnlib.coursework.questions import Question


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


def _when(inputs, answer):
    """Which way it is off, and where the rule has its say."""
    right, i = _stops(**inputs), int(answer)
    k = max(10, right // 10)
    if i < right:
        return f"Too early: with {len(inputs['values'])} values it stops after {i} steps; the last k steps must gain too little together."
    return f"Too late: at an i before {i} the rule held already, with φ(x_i) < 0 and i > k = {k}."


_UNSIGNED = {"share": lambda *args: abs(_share(*args)), "positive": True}

STOPS = Question(
    id="ps6/stops",
    title="When to stop",
    points=2,
    cases={name: partial(_record, **fall) for name, fall in _FALLS.items()},
    reference=_stops,
    mistakes={
        "always ten": wrong(_stops, "It looks back 10 steps always. Late on it is i // 10.", span=lambda i: 10),
        "one step": wrong(_stops, "It looks at the last step alone: a single small step is no end.", span=lambda i: 1),
        "not a step": wrong(_stops, "progress is a share a step: over k steps, k times as much.", per=lambda k: 1),
        "above zero": wrong(_stops, "It stops where φ is not below 0. There the share means nothing.", positive=True),
        "unsigned": wrong(_stops, "It takes a rest above zero for the end. Ask for φ < 0 as well.", **_UNSIGNED),
        "at k": wrong(_stops, "It may stop at i = k already. The rule says i > k.", first=0),
        "one late": wrong(_stops, "It is one later than the rule: values[i] is φ after i steps.", late=1),
        "one early": wrong(_stops, "It is one earlier than the rule: values[0] is φ before the first step.", late=-1),
    },
    easy=("it never does",),
    hint=_when,
)


def _judged(rng, ratio, S=7, end=None, lost=0):
    """Actual and predicted change of the loss at S iterates: going back ends at one before the last, where their ratio is as asked."""
    j = int(rng.integers(3, 5)) if end is None else end  # where it ends
    predicted = -np.cumsum(rng.integers(8, 33, size=S)) / 64  # whole 64ths, so that the ratio is exact
    actual = ratio * predicted[j] + rng.integers(4, 20, size=S) / 64
    actual[j] = ratio * predicted[j]
    if j > 1:
        actual[rng.integers(0, j - 1)] = actual[j] - 0.25  # lower, but behind a rise
    actual[j + 1 :] = np.sort(actual[j + 1 :])
    if lost:
        actual[j + 1], actual[S - lost :] = actual[j], 1e6 * np.arange(1, lost + 1)
    steps, damping = rng.standard_normal((S, 5)), float(rng.uniform(0.1, 9))
    return {"steps": steps, "actual": actual, "predicted": predicted, "damping": damping}


def _trust(
    steps, actual, predicted, damping, *, back=1, low=0, tie=1, size=np.positive, up=1.5, down=2 / 3, edge=0, of=0
):
    j = int(actual.argmin()) if low else len(actual) - 1
    while back and j > 0 and (actual[j - 1] < actual[j] or (tie and actual[j - 1] == actual[j])):
        j -= 1
    ratio = size(actual[j - of * (j + 1)] / predicted[j - of * (j + 1)])  # of=1: of the last
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
    first=("step",),
    easy=("a single iterate",),
    reference=_trust,
    mistakes={
        "last": wrong(_trust, "It takes the last iterate. Go back while the one before came out no higher.", back=0),
        "strict": wrong(_trust, "Where the one before is as high, go back too: it is no higher.", tie=0),
        "lowest": wrong(_trust, "It seeks the lowest of all. Going back ends where the one before is higher.", low=1),
        "ρ of the last": wrong(_trust, "ρ is the last iterate's. Judge the iterate that was taken.", of=1),
        "inverted": wrong(_trust, "ρ is upside down: the actual change over the predicted one.", size=np.reciprocal),
        "no sign": wrong(_trust, "ρ has lost its sign: below 0 the loss went up.", size=np.abs),
        "swapped": wrong(_trust, "λ goes the wrong way: where the model was good, lower it.", up=2 / 3, down=1.5),
        "edges": wrong(_trust, "At exactly 1/4 and 3/4 λ stays.", edge=1e-5),
    },
)
