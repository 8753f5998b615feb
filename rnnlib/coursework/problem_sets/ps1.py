"""Problem set 1, forward: looking up, stepping, reading, scoring and writing with an Elman net, and one sum over paths."""

from functools import partial

import numpy as np

from rnnlib import bptt, losses
from rnnlib.cells import elman_step
from rnnlib.coursework.answers import leaves
from rnnlib.coursework.problem_sets.shared import known, net, sizes
from rnnlib.coursework.questions import Question
from rnnlib.datasets import one_hot


def _symbols(rng, B):
    D, H, K = sizes(rng, 3)
    return {"params": net(rng, D, H, K), "ids": rng.integers(0, D, B), "h": rng.uniform(-1, 1, (B, H))}


def _step(params, ids, h, *, bug=None):
    W_hh = {"state_left_out": 0 * params.W_hh, "W_hh_transposed": params.W_hh.T}.get(bug, params.W_hh)
    a = params.W_xh[ids] + h @ W_hh + params.b_h
    after = a if bug == "no_tanh" else np.tanh(a)
    y = (h if bug == "y_of_h_before" else after) @ params.W_hy + params.b_y
    return {"y": {"tanh_of_y": np.tanh, "softmax_of_y": losses.softmax}.get(bug, np.copy)(y), "h": after}


STEP = Question(
    id="ps1/step",
    title="One step, on symbols",
    points=2,
    cases={f"a batch of {B}": partial(_symbols, B=B) for B in (2, 1, 9)},  # 9 are more than there are symbols
    reference=_step,
    mistakes=known(
        _step,
        state_left_out="It forgets the state: h_{t-1} W_hh is missing from a_t.",
        W_hh_transposed="It multiplies h by the transpose of W_hh. Vectors are rows here: h @ W_hh.",
        no_tanh="The state is a_t itself. h_t = tanh(a_t).",
        y_of_h_before="The output is read from the state before the step. y_t is made of h_t, the new one.",
        tanh_of_y="The output goes through tanh. Outputs are linear: y_t = h_t W_hy + b_y.",
        softmax_of_y="The output went through softmax already. y_t = h_t W_hy + b_y is asked for, and no probabilities.",
    ),
)


def _texts(rng, T, B, width):
    V, M = sizes(rng, 2)
    return {"table": rng.standard_normal((V + 1, M)), "ids": rng.integers(0, V, (T, B)), "width": width}


def _look_up(table, ids, width, *, bug=None):
    table = np.vstack([table[:-1], 0 * table[-1:]]) if bug == "zeros_for_padding" else table
    before = {"centred": width // 2, "the_future": 0, "stops_before": width}.get(bug, width - 1)
    options = {"constant_values": 0 if bug == "padded_with_row_0" else len(table) - 1}
    options = {"mode": "wrap"} if bug == "wraps_round" else options
    padded = np.pad(ids, ((before, max(width - 1 - before, 0)), (0, 0)), **options)
    windows = np.lib.stride_tricks.sliding_window_view(padded, width, axis=0)[: len(ids)]  # (T, B, width)
    vectors = table[windows[..., ::-1] if bug == "newest_first" else windows]  # (T, B, width, M)
    vectors = vectors.swapaxes(-1, -2) if bug == "interleaved" else vectors
    return vectors.reshape(*ids.shape, -1)


LOOK_UP = Question(
    id="ps1/look_up",
    title="A window on the past",
    points=3,
    cases={
        "a batch of texts": partial(_texts, T=8, B=2, width=4),
        "one text": partial(_texts, T=6, B=1, width=3),
        "a window longer than the text": partial(_texts, T=3, B=2, width=5),
    },
    reference=_look_up,
    mistakes=known(
        _look_up,
        centred="The window lies around each symbol. Here it ends with it: all the padding goes in front.",
        the_future="The window begins with each symbol and shows what comes after. It must end with it.",
        newest_first="The newest symbol's vector comes first. Lay them oldest first.",
        padded_with_row_0="Row 0 of the table stands in for what is missing. Row 0 is a symbol; the padding's row is the last one.",
        wraps_round="At the start the window shows the end of the text. Put the padding there (np.roll and index -1 wrap round).",
        zeros_for_padding="Vectors of zeros stand in for what is missing. The padding has a vector too: the table's last row.",
        stops_before="The window stops before the symbol of its step. That symbol is known by then: the window ends with it.",
        interleaved="The vectors are interleaved. Lay them end to end: reshape (T, B, width, M), with M as the last axis.",
    ),
)


def _documents(rng, T, B, chance, begins=()):
    D, H, K = sizes(rng, 3)
    new = rng.random((T, B)) < chance
    new[list(begins), 0] = True  # and elsewhere by chance
    return {"params": net(rng, D, H, K), "xs": rng.standard_normal((T, B, D)), "new": new}


def _read(params, xs, new, *, bug=None):
    first = 0 * params.h0 if bug == "zeros_for_h0" else params.h0
    again = 0 * params.h0 if bug == "zeros_later" else first
    other = {"new_ignored": 0 * new, "h0_at_every_step": 0 * new + 1, "late": np.roll(new, 1, axis=0)}
    new = other.get(bug, new | new.any(1, keepdims=True) if bug == "whole_batch" else new)
    hs, ys = [np.tile(first, (xs.shape[1], 1))], []
    for x, begins in zip(xs, new[..., None], strict=True):
        before = hs[-1] if bug == "after_the_step" else np.where(begins, again, hs[-1])
        hs[-1] = before if bug in ("overwritten", "overwritten_first") else hs[-1]
        y, h = elman_step(params, x, before)
        hs.append(np.where(begins, first, h) if bug == "after_the_step" else h)
        ys.append(y)
    hs = np.stack(hs)
    return {"hs": hs, "ys": hs[1:] @ params.W_hy + params.b_y if bug == "overwritten_first" else np.stack(ys)}


READ = Question(
    id="ps1/read",
    title="Reading documents side by side",
    points=3,
    cases={
        "a batch of documents": partial(_documents, T=9, B=2, chance=0.15, begins=[3]),
        "one sequence, three documents": partial(_documents, T=8, B=1, chance=0.0, begins=[2, 5]),
        "new at the first step and at the last": partial(_documents, T=10, B=2, chance=0.0, begins=[0, 9]),
    },
    reference=_read,
    mistakes=known(
        _read,
        new_ignored="No document begins anew. Where new[t, b] is true, step t of sequence b must start from h0.",
        whole_batch="One new document makes the whole batch begin anew. Choose sequence by sequence: np.where(new[t][:, None], ...).",
        zeros_for_h0="A document begins with zeros. It must begin with params.h0, the first one too.",
        zeros_later="Each row's first document begins with h0, the later ones with zeros. All of them begin with params.h0.",
        overwritten="The last state of a document is overwritten by h0. Use a new array for the state before the step.",
        overwritten_first="The last state of a document is overwritten by h0, and its output made from that. Use a new array.",
        late="A document begins one step late. new[t] speaks of the step that reads xs[t]: choose the state before that step.",
        after_the_step="The state is put back after the step that reads a document's first input. Put it back before that step.",
        h0_at_every_step="Every step starts from h0. It stands in for the state before only where a document begins.",
    ),
)


def _outputs(rng, T, B, scale=1.5, shift=0.0, one=0.0):
    (K,) = sizes(rng, 1)
    ys = scale * rng.standard_normal((T, B, K)) + shift * rng.choice([-1, 1], (T, B, 1))
    targets = rng.integers(0, K, (T, B))
    ys[T // 2, 0, targets[T // 2, 0] - 1] += one  # where another symbol is the target
    return {"ys": ys, "targets": targets}


@np.errstate(over="ignore")
def _score(ys, targets, *, bug=None):
    axis = 0 if bug == "softmax_over_time" else -1
    log_p = ys - np.logaddexp.reduce(ys, axis=axis, keepdims=True)
    surprise = -np.take_along_axis(log_p, targets[..., None], axis=-1)[..., 0]
    surprise = -np.log(np.exp(-surprise) + 1e-9) if bug == "small_number_added" else surprise
    surprise = surprise / np.log(2) if bug == "bits_throughout" else surprise
    mean = surprise.mean() * (-1 if bug == "wrong_sign" else 1) if bug else losses.softmax_cross_entropy(ys, targets)
    shown = {"probability": np.exp(-surprise), "bits": surprise / np.log(2), "wrong_sign": -surprise}
    parts = {"of_each_sequence": surprise.mean(0), "of_each_step": surprise}.get(bug, mean)
    return {"surprise": shown.get(bug, surprise), "perplexity": np.exp(parts).mean()}


def _not_finite(inputs, answer):
    """What to do about NaN, and about infinity alone."""
    if any(np.isnan(a).any() for a in leaves(answer).values()):
        return "exp(1000) is infinite, and 0 / 0 is no number. Subtract each step's largest output before you take exp."
    if any(np.isinf(a).any() for a in leaves(answer).values()):
        return "A probability became 0, and -log 0 is infinite. Simplify log(exp(y) / sum) on paper: p itself is not needed."


SCORE = Question(
    id="ps1/score",
    title="Surprise and perplexity",
    points=3,
    cases={
        "a batch of sequences": partial(_outputs, T=9, B=2),
        "one sequence": partial(_outputs, T=8, B=1),
        "outputs near 1000 and -1000": partial(_outputs, T=10, B=2, shift=1000.0),
        "outputs 0 and 1000 in one step": partial(_outputs, T=11, B=2, one=1000.0),
        "confident, and often wrong": partial(_outputs, T=12, B=2, scale=25.0),
    },
    reference=_score,
    mistakes=known(
        _score,
        softmax_over_time="The probabilities sum to one over time. They must over the K outputs of each step, the last axis.",
        small_number_added="A small number was added to keep log from 0: it caps the surprise. Subtract the largest output instead.",
        of_each_sequence="It is the mean of the sequences' perplexities. Take the mean surprise of all steps first, then exp, once.",
        of_each_step="It is the mean of the exponentials. Take the mean surprise of all steps first, then exp, once.",
        probability="It returns the probability of what came. Its surprise is minus the logarithm of that.",
        bits="The surprise is in bits. Take the natural logarithm: surprise is in nats here.",
        bits_throughout="The surprise is in bits, and exp of bits is no perplexity. Take the natural logarithm, np.log.",
        wrong_sign="The sign is turned round: what has probability 0.1 has a surprise of -log 0.1 = 2.3.",
    ),
    hint=_not_finite,
)


def _two_back(rng, T):
    w_1, w_2 = (rng.uniform(0.6, 1.2, 2) * rng.choice([-1, 1], 2)).tolist()
    return {"hs": rng.uniform(0.2, 0.8, T) * rng.choice([-1, 1], T), "w_1": w_1, "w_2": w_2}


def _reach(hs, w_1, w_2, *, bug=None):
    slopes = {"slopes_left_out": 1 + 0 * hs, "slope_not_squared": 1 - hs}.get(bug, 1 - hs**2)
    reach = [1.0 if bug == "state_before_moves_too" else 0.0, 1.0]  # dh_{-1}/dh_0, dh_0/dh_0
    for t, slope in enumerate(slopes):
        skip = {"longest_path_alone": 0.0, "skip_meets_two_slopes": w_2 * slopes[t - 1]}.get(bug, w_2)
        skip = 0.0 if bug == "first_leap_missing" and t == 1 else skip
        reach.append(slope * (w_1 * reach[-1] + skip * reach[-2]))
    return np.stack(reach[2:])


REACH = Question(
    id="ps1/reach",
    title="A neuron that looks two steps back",
    points=3,
    cases={f"{T} steps": partial(_two_back, T=T) for T in (6, 9, 2)},
    reference=_reach,
    mistakes=known(
        _reach,
        longest_path_alone="It follows the one path that stops at every step. A path may also leap over a step, along w_2.",
        first_leap_missing="The leap h_0 → h_2 is missing: dh_0/dh_0 = 1.",
        skip_meets_two_slopes="An arrow that leaps over a step meets the slope of the step where it lands, and no other.",
        slopes_left_out="The slopes of tanh are left out. Each arrow into h_t carries 1 - h_t² as well as its weight.",
        slope_not_squared="The slope of tanh at step t is 1 - h_t², with a square.",
        state_before_moves_too="It lets h_{-1} move along with h_0. h_{-1} is held still: no path leads from h_0 to it.",
    ),
)


def _prompts(rng, P, B, length):
    """Draw a net and a beginning until every mistake changes a third of what is written (but one, where P = 1 hides it)."""
    while True:
        K, H = sizes(rng, 2)
        params = net(rng, K, H, K, gain=3.0)._replace(h0=rng.uniform(-1, 1, H))
        drawn = {"params": params, "prompt": rng.integers(0, K, (P, B)), "length": length}
        changes = [(m.answer(**drawn) != _continue(**drawn)).mean() > 1 / 3 for m in CONTINUE_TEXT.mistakes.values()]
        if sum(changes) == len(changes) - (P == 1):
            return drawn


def _continue(params, prompt, length, *, bug=None):
    params = params._replace(h0=0 * params.h0) if bug == "zeros_for_h0" else params
    prompt = prompt[-1:] if bug == "last_symbol_alone" else prompt
    vectors = partial(one_hot, D=len(params.b_y), dtype=params.b_y.dtype.type)
    tape = bptt.forward(params, vectors(prompt))
    y, h = tape.ys[-1], tape.hs[0] if bug == "h0_again" else tape.hs[-1]
    y, h = elman_step(params, vectors(prompt[-1]), h) if bug == "last_symbol_read_twice" else (y, h)
    ids = [prompt[-1]]
    for _ in range(length):
        ids.append(y.argmax(-1))
        y, h = elman_step(params, vectors(ids[0 if bug == "not_fed_back" else -1]), h)
    return np.stack(ids[:-1] if bug == "begins_with_the_prompt" else ids[1:])


CONTINUE_TEXT = Question(
    id="ps1/continue_text",
    title="Read a beginning, write on",
    points=3,
    cases={
        "a batch of texts": partial(_prompts, P=4, B=2, length=9),
        "one text": partial(_prompts, P=3, B=1, length=10),
        "a beginning of one symbol": partial(_prompts, P=1, B=2, length=8),
    },
    reference=_continue,
    mistakes=known(
        _continue,
        zeros_for_h0="It starts reading from zeros. Every sequence starts from params.h0.",
        h0_again="It writes from h0 again, and so forgets what it read. Go on from the state after the beginning.",
        last_symbol_alone="It reads the last symbol of the beginning alone. Read all of it, carrying the state from symbol to symbol.",
        last_symbol_read_twice="It reads the last symbol of the beginning twice. Its output is there already when the reading is done.",
        begins_with_the_prompt="Its first symbol is the last one read. Return only what was written.",
        not_fed_back="What it writes is not fed back. Each symbol written is the next input.",
    ),
)

USES = ("cells",)
QUESTIONS = (STEP, LOOK_UP, READ, SCORE, REACH, CONTINUE_TEXT)
