"""A Question of problem set 2 about a net that no chapter has: Jordan's, which hears its own output."""

from functools import partial

import numpy as np

from rnnlib.coursework.problem_sets.shared import SLOW, and_large, known, sizes
from rnnlib.coursework.questions import Question

_sum = partial(np.einsum, "tbi,tbj->ij")  # Σ_t left_tᵀ right_t, over the batch too


def _problem(rng, T, B, large=False):
    D, H, K = (64, 320, 320) if large else sizes(rng, 3, apart_from=(T, B))
    scale = 0.056 if large else 0.4  # so that what was heard is heard again for long
    shapes = {"W_xh": (D, H), "W_yh": (K, H), "b_h": (H,), "W_hy": (H, K), "b_y": (K,), "y0": (K,)}
    params = {name: scale * rng.standard_normal(shape) for name, shape in shapes.items()}
    return params | {
        "xs": (0.1 if large else 1) * rng.standard_normal((T, B, D)),
        "d_ys": rng.standard_normal((T, B, K)),
    }


def _jordan(W_xh, W_yh, b_h, W_hy, b_y, y0, xs, d_ys, *, bug=None):
    """The gradients of a_t = x_t W_xh + y_{t-1} W_yh + b_h, h_t = tanh(a_t), y_t = h_t W_hy + b_y."""
    ys, hs = [np.tile(0 * y0 if bug == "from_zero" else y0, (xs.shape[1], 1))], []
    for x in xs:
        hs.append(np.tanh(x @ W_xh + ys[-1] @ W_yh + b_h))
        ys.append(hs[-1] @ W_hy + b_y)
    hs, ys, e_ys, d_as = np.stack(hs), np.stack(ys), np.array(d_ys), np.zeros_like(hs)
    back = 0 * W_yh if bug == "not_carried" else W_yh
    for t in reversed(range(len(xs))):
        d_as[t] = e_ys[t] @ W_hy.T * (1 if bug == "no_slope" else 1 - hs[t] ** 2)
        carried = d_as[t] @ back.T
        if t:
            e_ys[t - 1] = carried if bug == "own_left_out" else e_ys[t - 1] + carried
    at_readout = d_ys if bug == "readout_of_own" else e_ys
    before = ys[1:] if bug == "y_t_for_y_prev" else ys[:-1]
    sums = {"W_xh": _sum(xs, d_as), "W_yh": _sum(before, d_as), "b_h": d_as.sum((0, 1))}
    sums |= {"W_hy": _sum(hs, at_readout), "b_y": at_readout.sum((0, 1)), "y0": (d_as[0] @ W_yh.T).sum(0)}
    return sums


JORDAN = Question(
    id="ps2/jordan",
    title="A net that hears its own output",
    points=4,
    cases=and_large(_problem),
    gate="a large net",
    slow=SLOW,
    first=("W_yh",),
    reference=_jordan,
    mistakes=known(
        _jordan,
        readout_of_own="W_hy and b_y get each output's own error alone. y_t is used by the next step too: take all of its error.",
        not_carried="No error comes back from the step after: y_t goes into a_{t+1} by W_yh, so δ_{t+1} W_yhᵀ arrives at y_t.",
        own_left_out="Only the last output's own error is heard. Add the error that comes back to each output's own.",
        y_t_for_y_prev="d_W_yh pairs δ_t with y_t. W_yh met the output before it, y_{t-1}, and y0 at the first step.",
        from_zero="The first step hears zeros. It hears y0, in every sequence.",
        no_slope="The slope of tanh is missing: δ_t is the error at h_t times 1 - h_t².",
    ),
)
