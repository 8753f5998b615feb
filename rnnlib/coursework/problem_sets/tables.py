"""Two Questions of problem set 3: truncations as tables of which loss hears which step, and gradients cut by any such table."""

from functools import partial

import numpy as np

from rnnlib.coursework.problem_sets.shared import cases, wrong
from rnnlib.coursework.questions import Question

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


def _living(T, stride, window, *, past=True, own=True, **other):
    t, s = np.ogrid[1 : T + 1, 1 : T + 1]
    tables = {name: _TABLES[other.get(name, name)] for name in ("windowed", "chunked", "last")}
    return {name: table(t, s, T, stride, window) & ((s < t + own) | (not past)) for name, table in tables.items()}


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
    cases=cases(_drawn, {"a stride of two": (2, 4), "a stride of three": (3, 5), "a stride of one": (1, 3)}),
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
        "own step": wrong(_living, "A loss hears its own step too: s ≤ t, not s < t.", own=False),
        "future": wrong(_living, "A loss hears steps that come after it: s ≤ t is missing.", past=False),
    },
    first=("windowed",),  # the others are chapter 06's
    easy=("a stride of one",),
    hint=_first_wrong,
)


def products(rng: np.random.Generator, T: int, B: int) -> dict[str, np.ndarray]:
    """Draw the Jacobian of each step, and each loss's error at its own state."""
    H = int(rng.integers(4, 8))
    return {"Js": rng.standard_normal((T, B, H, H)) / np.sqrt(H), "d_hs": rng.standard_normal((T, B, H))}


def _cut(rng, T, B, live=None):
    if live is None:
        live = np.tril(rng.random((T, T)) < 0.5)
        live[1, 0], live[2, :3], live[3, :4], live[-1, -3:] = 0, (1, 1, 0), (1, 0, 1, 1), (1, 0, 1)  # gaps for certain
    return products(rng, T, B) | {"live": live}


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
        "own left out": wrong(
            _truncated,
            "At s = t a loss is heard where live[t, t] is true: no Jacobian at all.",
            read=lambda m: np.tril(m, -1),
        ),
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
