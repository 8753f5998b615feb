"""Problem set 2, backward: the gradient of an Elman net by hand, and how to know that it is right."""

from functools import partial

import numpy as np

from rnnlib import bptt, clinic, losses
from rnnlib.cells import ElmanParams
from rnnlib.clinic.catalogue import CATALOGUE, GATED
from rnnlib.coursework.answers import leaves
from rnnlib.coursework.problem_sets.jordan import JORDAN
from rnnlib.coursework.problem_sets.shared import SLOW, and_large, known, net, sizes, usual
from rnnlib.coursework.questions import Question

_sum = partial(np.einsum, "tbi,tbj->ij")  # Σ_t left_tᵀ right_t, over the batch too


def _problem(rng, T, B, large=False):
    """Draw a net, inputs and errors; a large net takes too long to nudge, and small inputs keep its memory long."""
    D, H, K = (32, 384, 3) if large else sizes(rng, 3, apart_from=(T, B))
    return {
        "params": net(rng, D, H, K, scale=0.02 if large else 0.3),
        "xs": (0.1 if large else 1) * rng.standard_normal((T, B, D)),
        "d_ys": rng.standard_normal((T, B, K)),
    }


def _with_states(rng, T, B, low, large=False):
    """Draw a net, states between low and 1, and errors."""
    params, _, d_ys = _problem(rng, T, B, large).values()
    return {
        "params": params,
        "hs": (0.1 if large else 1) * rng.uniform(low, 1, (T + 1, B, params.h0.size)),
        "d_ys": d_ys,
    }


def _sweep(params, slopes, d_ys, carried=0.0, *, path=0.0, of_carried=False, back=None):
    """Every δ_t = d_h_t ⊙ slope_t, d_h_t = dL/dy_t W_hyᵀ + δ_{t+1} W_hhᵀ + path d_h_{t+1}, and the error left for h_0."""
    back = params.W_hh.T if back is None else back
    d_as = np.empty_like(slopes)
    for t in reversed(range(len(d_ys))):
        d_h = d_ys[t] @ params.W_hy.T + carried
        d_as[t] = d_h * slopes[t]
        carried = d_as[t] @ back + path * (carried if of_carried else d_h)
    return d_as, carried


def _weighted(rng, T, B):
    H, K = sizes(rng, 2, apart_from=(T, B))
    ys, targets = rng.standard_normal((2, T, B, K))
    hs, weights = rng.uniform(-1, 1, (T + 1, B, H)), rng.uniform(0.2, 2, (T, B))
    return {"hs": hs, "ys": ys, "targets": targets, "weights": weights}


def _readout(hs, ys, targets, weights, *, bug=None):
    weights = {"weights_left_out": np.ones_like(weights), "mean_for_weights": None}.get(bug, weights)
    factor = {"wrong_sign": -1, "factor_two": 2, "divided_by_TB": 1 / targets[..., 0].size}.get(bug, 1)
    factor = 1 / weights.sum() if bug == "divided_by_weights" else factor
    factor = (ys - targets) / 2 if bug == "loss_for_error" else factor
    d_ys = losses.squared_error_grad(ys, targets, weights) * factor
    first = len(d_ys) - 1 if bug == "last_step_alone" else 0
    states = hs[:-1] if bug == "state_before" else hs[1:]
    axes = 1 if bug == "bias_by_step" else (0, 1)
    at_bias = ys - targets if bug == "bias_unweighted" else d_ys[first:]
    return {"W_hy": _sum(states[first:], d_ys[first:]), "b_y": at_bias.sum(axes)}


def _misaligned(inputs, answer):
    """What to do where weights (T, 1) met errors (T, 1, K) with no axis added: each error got the sum of all weights."""
    everywhere = inputs | {"weights": np.full_like(inputs["weights"], inputs["weights"].sum())}
    pairs = zip(leaves(answer).values(), _readout(**everywhere).values(), strict=True)
    if inputs["weights"].shape[1] == 1 and all(np.allclose(given, made, rtol=1e-3) for given, made in pairs):
        return "(T, B) and (T, B, K) are lined up from the last axis, T with B, and B with K. Write weights[..., None]."


READOUT_GRADIENTS = Question(
    id="ps2/readout_gradients",
    title="The gradients that wait for nobody",
    points=1,
    cases=usual(_weighted),
    reference=_readout,
    mistakes=known(
        _readout,
        state_before="It pairs the error of step t with the state before it. y_t was made from h_t, and hs[1:] holds these.",
        weights_left_out="It lets every step count 1. Multiply each step's error by its weight, weights[..., None].",
        bias_unweighted="db_y lacks the weights. The bias meets the same errors as W_hy: weights[..., None] * (ys - targets).",
        divided_by_TB="It is divided by TB. The loss is a sum: its weights are all that scales a step's error.",
        divided_by_weights="It is divided by the sum of the weights. The loss is a weighted sum, and no weighted mean.",
        loss_for_error="It takes each step's loss, ½ (y - target)², for its error. The error is the loss's derivative: y - target.",
        mean_for_weights="It is the gradient of the mean over all steps. Here the weights stand in place of 1/(TB).",
        wrong_sign="The sign is turned round. dL/dy is w (y - target).",
        factor_two="All is twice too large. The half in front of the square takes its 2 away.",
        last_step_alone="Only the last step is left: each step overwrites the one before. Add them up.",
        bias_by_step="db_y is summed over the batch alone. The bias acts at every step: sum over time too.",
    ),
    hint=_misaligned,
)


def _deltas(params, hs, d_ys, *, bug=None):
    at = {"slope_of_the_step_before": hs[:-1], "slope_at_h": 1 / (1 + np.exp(-hs[1:]))}.get(bug, hs[1:])
    slopes = 1 - at**2 if bug == "slope_of_tanh" else at * (1 - at)
    if bug == "carried_past_the_slope":
        params, d_ys, slopes = params._replace(W_hy=np.eye(at.shape[-1])), d_ys @ params.W_hy.T * slopes, 1 + 0 * slopes
    back = {"not_carried": 0 * params.W_hh, "not_transposed": params.W_hh}.get(bug)
    after = slopes if bug == "d_h_carried" else 1  # a slope that comes too late
    return after * _sweep(params, slopes / after, d_ys, back=back)[0]


DELTAS = Question(
    id="ps2/deltas",
    title="The deltas of a logistic net",
    points=2,
    cases=usual(partial(_with_states, low=0)),
    reference=_deltas,
    mistakes=known(
        _deltas,
        slope_of_tanh="It takes the slope of tanh, 1 - h². These units are logistic: their slope is h (1 - h).",
        slope_at_h="It puts h through the logistic function again. h_t is σ(a_t) already: the slope is h (1 - h).",
        slope_of_the_step_before="It takes the slope at the state before the step. result[t] needs the state after that step, hs[t + 1].",
        not_carried="No error comes back from the step after. Add δ_{t+1} W_hhᵀ before you multiply by the slope.",
        not_transposed="It sends the error back through W_hh. The way back is through the transpose.",
        d_h_carried="It sends ∂L/∂h_t back through W_hhᵀ. W_hh met a_t: send δ_t back, the error after it met the slope.",
        carried_past_the_slope="Only the step's own error meets the slope. Add the carried error first: both arrive at h_t.",
    ),
)


# the catalogue's mistakes that these nets and inputs can show
MADE = [name for name in CATALOGUE if name not in GATED | {"repeated_symbols_lost", "W_hy_not_transposed"}]


def _gradient(params, xs, d_ys, *, bug=None):
    """The right gradient, or with a mistake of the catalogue, or one more."""
    if bug in MADE:
        return clinic.wrong_gradient((bug,), params, xs, d_ys)
    run = {"forward_from_zeros": {"h0": 0 * params.h0}, "forward_without_b_h": {"b_h": 0 * params.b_h}}.get(bug, {})
    return bptt.backward(params, bptt.forward(params._replace(**run), xs), d_ys)


def _diagnosis(inputs, answer):
    if inputs["params"].h0.size < 9:
        return clinic.diagnose(ElmanParams(**answer), **inputs).message


BACKWARD = Question(
    id="ps2/backward",
    title="The whole backward pass",
    points=4,
    cases=and_large(_problem),
    gate="a large net",
    slow=SLOW,
    reference=_gradient,
    mistakes=known(
        _gradient,
        **{name: f"{CATALOGUE[name].title}. {CATALOGUE[name].fix}" for name in MADE},
        forward_from_zeros="The forward pass does not start from params.h0. Begin with it in every row: np.tile(params.h0, (B, 1)).",
        forward_without_b_h="The forward pass lacks b_h: a_t = x_t W_xh + h_{t-1} W_hh + b_h.",
    ),
    hint=_diagnosis,
)


def _along(rng, T, B, step, only=None):
    """Draw a net, targets for it, and a direction, in which one array alone moves if one is named."""
    p, xs, targets = _problem(rng, T, B).values()
    v = ElmanParams(*(rng.standard_normal(a.shape) * (only in (None, n)) for n, a in p._asdict().items()))
    return {"params": p, "direction": v, "xs": xs, "targets": targets, "step": step}


def _slope_along(loss, params, direction, step, *, bug=None):
    push = step / np.sqrt(sum((v**2).sum() for v in direction)) if bug == "unit_length" else step
    if bug == "each_unit_length":
        direction = [v / (np.linalg.norm(v) or 1) for v in direction]
    ends = {"forward": (push, 0), "wrong_way": (-push, push)}.get(bug, (push, -push))
    above, below = (loss([p + far * v for p, v in zip(params, direction, strict=True)]) for far in ends)
    return (above - below) / {"forward": step, "not_halved": step, "brackets_missing": 2 / step}.get(bug, 2 * step)


CENTRAL_DIFFERENCE = Question(
    id="ps2/central_difference",
    title="A slope in one direction",
    points=1,
    cases={
        "every array moves": partial(_along, T=5, B=2, step=0.1),
        "a longer step": partial(_along, T=4, B=3, step=0.3),
        "the recurrent weights alone move": partial(_along, T=6, B=1, step=0.2, only="W_hh"),
    },
    reference=_slope_along,
    mistakes=known(
        _slope_along,
        forward="It is the forward difference, whose error shrinks as ε and not as ε². Nudge both ways.",
        not_halved="It divides by ε. From θ - εv to θ + εv it is 2ε.",
        brackets_missing="It divides by 2 and multiplies by ε: / 2 * step needs brackets, / (2 * step).",
        wrong_way="The sign is turned round: take the loss at θ + εv, less the loss at θ - εv.",
        each_unit_length="Each array of v is divided by its length. v keeps its length: the slope belongs to g · v.",
        unit_length="It walks along v / |v|. Here v keeps its length: the slope belongs to g · v.",
    ),
)


def _leaky_problem(rng, T, B, leak=None, large=False):
    params, xs, d_ys = _problem(rng, T, B, large).values()
    leak = float(rng.uniform(0.3, 0.7)) if leak is None else leak
    hs = [np.tile(params.h0, (B, 1))]
    for x in xs:
        hs.append((1 - leak) * hs[-1] + leak * np.tanh(x @ params.W_xh + hs[-1] @ params.W_hh + params.b_h))
    return {"params": params, "xs": xs, "hs": np.stack(hs), "d_ys": d_ys, "leak": leak}


def _leaky(params, xs, hs, d_ys, leak, *, bug=""):
    """All but the readout's gradients of h_t = (1 - leak) h_{t-1} + leak tanh(a_t), with the bugs asked for."""
    cs = hs[1:] if "slope" in bug else np.tanh(xs @ params.W_xh + hs[:-1] @ params.W_hh + params.b_h)
    back = params.W_hh if "transpose" in bug else params.W_hh.T
    path = {"not_weighted": 1, "leak_for_the_rest": leak}.get(bug, 0 if "path" in bug else 1 - leak)
    if bug == "leak_through_tanh":
        back, path = back + path * np.eye(len(back)), 0
    slopes = (1 if bug == "delta_without_leak" else leak) * (1 - cs**2)
    d_as, d_first = _sweep(params, slopes, d_ys, path=path, of_carried=bug == "of_carried", back=back)
    return {"W_xh": _sum(xs, d_as), "W_hh": _sum(hs[:-1], d_as), "b_h": d_as.sum((0, 1)), "h0": d_first.sum(0)}


def _worth(shares, function, **says):
    """Known mistakes, some of which are half of an answer."""
    return {name: m._replace(worth=shares.get(name, 0.0)) for name, m in known(function, **says).items()}


BUG_HUNT = Question(
    id="ps2/bug_hunt",
    title="Bugs in a leaky net",
    points=3,
    cases=and_large(_leaky_problem) | {"leak = 1, an Elman net": partial(_leaky_problem, T=4, B=3, leak=1.0)},
    gate="a large net",
    slow=SLOW,
    reference=_leaky,
    mistakes=_worth(
        {
            "slope_path": 1 / 3,
            "slope_transpose": 1 / 3,
            "path_transpose": 1 / 3,
            "slope": 2 / 3,
            "path": 2 / 3,
            "transpose": 2 / 3,
        },
        _leaky,
        slope_path_transpose="All three bugs are still in it. Begin with leak = 1, where only one of them shows.",
        slope_path="One bug is mended, two are left. At T = 1 only one of these two touches b_h: find that one first.",
        slope_transpose="One bug is mended, two are left. At leak = 1 only one of these two shows: find that one first.",
        path_transpose="One bug is mended, two are left. At leak = 1 only one of these two shows: find that one first.",
        slope="One bug is left. It shows in b_h even at T = 1, so it is in the step's own error, and not on the way back.",
        path="One bug is left. How many times is h_t used? Write down each use, and see which sends no error back.",
        transpose="One bug is left. It shows at leak = 1 too, and at T = 1 in h0 alone: look at the product on the way back.",
        of_carried="The straight path is there but carries the wrong error: it needs all of ∂L/∂h_t, own and carried.",
        leak_for_the_rest="The straight path is there, but weighted with leak. What h_t keeps of h_{t-1} is 1 - leak.",
        not_weighted="The straight path is there, but it carries (1 - leak) h_t: multiply the error on it by 1 - leak.",
        delta_without_leak="δ_t has lost its leak: a_t is felt through leak · tanh(a_t), so the slope is leak (1 - tanh²).",
        leak_through_tanh="The straight path from h_{t-1} to h_t passes no tanh. Carry (1 - leak) d_h back, and not δ.",
    ),
)


def _chunk_problem(rng, T, B, large=False):
    drawn = _with_states(rng, T, B, low=-1, large=large)
    return drawn | {"d_last": rng.standard_normal(drawn["hs"][0].shape)}


def _chunk(params, hs, d_ys, d_last, *, bug=None):
    """What arrives at h_T from the chunks after, arrives beside its own loss: the sweep begins with it."""
    slopes = 1 - hs[1:] ** 2
    if bug == "d_last_everywhere":
        params, d_ys = params._replace(W_hy=np.eye(len(params.h0))), d_ys @ params.W_hy.T + d_last
    start = {
        "d_last_everywhere": 0 * d_last,
        "d_last_left_out": 0 * d_last,
        "d_last_sent_back": d_last @ params.W_hh.T,
    }.get(bug, d_last)
    start = d_last / slopes[-1] if bug == "d_last_past_the_slope" else start
    d_as, d_first = _sweep(params, slopes, d_ys, start)
    d_first = {"delta_for_d_first": d_as[0], "summed_over_batch": d_first.sum(0)}.get(bug, d_first)
    states = hs[1:] if bug == "h_t_for_h_prev" else hs[:-1]
    return {"d_xs": d_as @ params.W_xh.T, "d_W_hh": _sum(states, d_as), "d_first": d_first}


CHUNK_BACKWARD = Question(
    id="ps2/chunk_backward",
    title="One link of a chain",
    points=2,
    cases=and_large(_chunk_problem),
    gate="a large net",
    slow=SLOW,
    reference=_chunk,
    mistakes=known(
        _chunk,
        d_last_left_out="The error from the later chunks is left out. Begin the sweep with it in place of zeros.",
        d_last_everywhere="d_last is added at every step. It arrives at the last state alone; the sweep carries it from there.",
        d_last_sent_back="d_last is the error at h_T already. Do not send it through W_hhᵀ once more.",
        d_last_past_the_slope="d_last is added to δ_T, behind the slope. It is an error at h_T: add it before you multiply by the slope.",
        delta_for_d_first="d_first is δ_1 = ∂L/∂a_1. The error at the state before is one product further: δ_1 W_hhᵀ.",
        summed_over_batch="d_first is summed over the batch. A carried state belongs to one sequence, so each keeps its error.",
        h_t_for_h_prev="d_W_hh pairs δ_t with the state after the step. W_hh met the state before it, hs[:-1].",
    ),
)

USES = ("cells", "bptt.forward", "losses.squared_error")
QUESTIONS = (READOUT_GRADIENTS, DELTAS, BACKWARD, CENTRAL_DIFFERENCE, BUG_HUNT, CHUNK_BACKWARD, JORDAN)
