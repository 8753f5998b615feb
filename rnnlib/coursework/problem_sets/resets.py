"""A Question of problem set 4 from chapter 15: a linear recurrence that forgets, in rounds instead of steps."""

from functools import partial

import numpy as np

from rnnlib.coursework.questions import Mistake, Question


def _draw(rng, T, H, often):
    resets = rng.random(T) < often
    resets[[T // 3, T // 2]], resets[T // 2 + 1 : T // 2 + 4] = True, False  # one that is followed by other steps
    drawn = {"As": 0.5 * rng.standard_normal((T, H, H)), "bs": rng.standard_normal((T, H))}
    return drawn | {"resets": resets.astype(int)}


def _one_by_one(As, bs, resets):
    h, hs = 0 * bs[0], []
    for A, b, reset in zip(As, bs, resets, strict=True):
        h = A @ (h * (1 - reset)) + b
        hs.append(h)
    return {"states": np.stack(hs).astype(bs.dtype)}


def _prefix(combine, items):
    """All partial results, grouped as JAX does it: a wrong `combine` need not be associative."""
    n = len(items[1])
    if n < 2:
        return items
    odd = _prefix(combine, combine([a[:-1:2] for a in items], [a[1::2] for a in items]))
    even = combine([a[: (n - 1) // 2] for a in odd], [a[2::2] for a in items])
    made = [np.empty_like(a) for a in items]
    for whole, first, even_part, odd_part in zip(made, items, even, odd, strict=True):
        whole[0], whole[2::2], whole[1::2] = first[0], even_part, odd_part
    return made


def _apply(A, b):
    return np.einsum("tij,tj->ti", A, b)


def _in_rounds(
    As, bs, resets, *, product=lambda A, then: then @ A, hears=_apply, swap=False, seen=lambda r: r, A_goes=1, b_goes=0
):
    def combine(first, then):
        (A, b), (A_then, b_then) = (then, first) if swap else (first, then)
        return product(A, A_then), hears(A_then, b) + b_then

    gone = seen(resets).astype(bs.dtype)
    pairs = [As * (1 - A_goes * gone)[:, None, None], bs * (1 - b_goes * gone)[:, None]]
    return {"states": _prefix(combine, pairs)[1]}


def _wrong(says, **options):
    return Mistake(partial(_in_rounds, **options), says)


RESETS = Question(
    id="ps4/scan_with_resets",
    title="In rounds, with resets",
    points=2,
    cases={
        "a few resets": partial(_draw, T=100, H=3, often=0.1),
        "as many steps as a power of two": partial(_draw, T=64, H=4, often=0.05),
        "many resets": partial(_draw, T=41, H=2, often=0.4),
    },
    gate="a few resets",
    reference=_one_by_one,
    mistakes={
        "swapped": _wrong(
            "The pair is the wrong way round. `combine` gets the earlier map first: the later A goes to the left, and onto b.",
            swap=True,
        ),
        "product swapped": _wrong("The new A is A' A, the later one to the left.", product=lambda A, then: A @ then),
        "elementwise": _wrong("A' A is a matrix product, @, not entry by entry.", product=lambda A, then: then * A),
        "unheard": _wrong("The new b is A' b + b': the later A is missing on b.", hears=lambda A, b: b),
        "no resets": _wrong("It never forgets: look at resets.", A_goes=0),
        "b too": _wrong(
            "A reset drops b too. The state before the step is zero, the step itself adds its b.", b_goes=1
        ),
        "b alone": _wrong("A reset clears b and leaves A. It is A that lets the past in.", A_goes=0, b_goes=1),
        "late": _wrong(
            "It forgets one step late. A reset at t empties the state that *enters* step t.",
            seen=lambda r: np.concatenate([0 * r[:1], r[:-1]]),
        ),
        "early": _wrong(
            "It forgets one step early. A reset at t empties the state that enters step t, not the one before.",
            seen=lambda r: np.concatenate([r[1:], 0 * r[:1]]),
        ),
        "inverted": _wrong("It forgets where resets is 0, and remembers where it is 1.", seen=lambda r: 1 - r),
    },
)
