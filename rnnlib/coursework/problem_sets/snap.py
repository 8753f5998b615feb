"""A Question of problem set 6 from chapter 14: leaky units, and each weight's influence on its own unit alone."""

import numpy as np

from rnnlib.coursework.problem_sets.shared import cases, known
from rnnlib.coursework.questions import Question


def _problem(rng, T, D, H):
    shapes = {"W_xh": (D, H), "W_hh": (H, H), "b_h": (H,), "h0": (H,), "xs": (T, D), "d_hs": (T, H)}
    return {name: 0.6 * rng.standard_normal(n) for name, n in shapes.items()} | {"leak": float(rng.uniform(0.2, 0.4))}


def _snap(W_xh, W_hh, b_h, h0, xs, d_hs, leak, *, bug=None):
    """The gradients by M ← own ⊙ M + leak (1 - u²) a, where own is the diagonal of dh_t/dh_{t-1}."""
    W, h, total, M = np.vstack([W_xh, W_hh, b_h]), h0, 0, np.zeros((len(W_xh) + len(h0) + 1, len(h0)))
    influence, units, one = np.zeros((len(h0), *M.shape)), np.arange(len(h0)), np.ones_like(b_h[:1])
    for x, d_h in zip(xs, d_hs, strict=True):
        a = np.concatenate([x, h, one])
        u = np.tanh(a @ W)
        stays, moves = (leak, 1 - leak) if bug == "leak_turned" else (1 - leak, leak)
        h = stays * h + moves * u
        slope = 1 - (h if bug == "slope_of_h" else u) ** 2
        if bug == "a_of_the_new":
            a = np.concatenate([x, h, one])
        now = moves * slope * a[:, None] * (1 / leak if bug == "no_leak_at_once" else 1)
        if bug == "rtrl":
            J = stays * np.diag(one.repeat(len(h))) + moves * slope[:, None] * W_hh.T
            influence = np.einsum("im,mjk->ijk", J, influence)
            influence[units, :, units] += now.T
            total = total + np.einsum("i,ijk->jk", d_h, influence)
            continue
        own = {"no_slope": 1, "no_own_weight": 0}.get(bug, slope) * moves * np.diag(W_hh)
        carried = (leak if bug == "leak_for_rest" else 0 if bug == "no_rest" else stays) + own
        M = (0 if bug == "window_of_1" else carried) * M + now
        total = total + d_h * M
    D = len(W_xh)
    return {"W_xh": total[:D], "W_hh": total[D:-1], "b_h": total[-1]}


SNAP = Question(
    id="ps6/snap",
    title="Each weight and its own unit",
    points=2,
    cases=cases(_problem, {"a sequence": (8, 3, 4), "many units": (6, 2, 7), "a long sequence": (30, 2, 5)}),
    reference=_snap,
    mistakes=known(
        _snap,
        leak_for_rest="What is carried stays by 1 − leak; leak is the share of the new.",
        leak_turned="The leak is the wrong way round, in the net itself: h stays by 1 − leak.",
        no_slope="The slope is forgotten on the carried term: a unit hears itself through tanh, 1 − u².",
        no_own_weight="A unit hears itself by its own weight too: (1 − u²) W_hh[k, k] times leak is missing.",
        no_rest="A unit also stays as it was, by 1 − leak, and its influence with it.",
        window_of_1="Nothing is carried: that is a window of 1. The old influence is a part of the new.",
        rtrl="It is the full gradient, RTRL: influence goes through other units. Keep J's diagonal alone.",
        slope_of_h="The slope is 1 − u², of tanh itself, not 1 − h².",
        no_leak_at_once="What a weight does at once passes the leak as well: leak (1 − u²) a.",
        a_of_the_new="W_hh met the state before the step, not the one after it.",
    ),
)
