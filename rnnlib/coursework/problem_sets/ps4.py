"""Problem set 4, scan: learners answer in JAX; references and mistakes are loops in NumPy, which need no compiling."""

from functools import partial

import jax
import numpy as np

from rnnlib import bptt, losses
from rnnlib.cells import ElmanParams
from rnnlib.coursework.problem_sets import forms
from rnnlib.coursework.problem_sets.resets import RESETS
from rnnlib.coursework.problem_sets.shared import cases, net
from rnnlib.coursework.questions import Mistake, Question


def _wrongs(function, **table):
    return {name.replace("_", " "): Mistake(partial(function, **o), says) for name, (says, o) in table.items()}


def _batches(draw):
    return cases(draw, {"a batch of sequences": (30, 2), "one sequence": (6, 1), "a single step": (1, 3)})


def _draw(rng, **shapes):
    return {name: 0.6 * rng.standard_normal(shape) for name, shape in shapes.items()}


def _net(rng, T, B, **shapes):
    return {"params": net(rng, 3, 5, 4)} | _draw(rng, xs=(T, B, 3), **shapes)


def _zeroed(rows):
    return np.concatenate([0 * rows[:1], rows[1:]]).astype(rows.dtype)


def _change(params, xs, *, seen=lambda hs: hs[1:] - hs[:-1], start=1, bias=1, at_1=0):
    hs = bptt.forward(params._replace(h0=start * params.h0), xs).hs
    ys = seen(hs) @ params.W_hy + bias * params.b_y
    ys[0] += at_1 * params.b_y
    return {"last": hs[-1], "ys": ys}


CHANGE = Question(
    id="ps4/change_net",
    title="A net that reports changes",
    points=2,
    cases=_batches(_net),
    gate="a batch of sequences",
    reference=_change,
    mistakes=_wrongs(
        _change,
        state=("It reads y from h_t: take h_t − h_{t-1}. The body has both.", {"seen": lambda hs: hs[1:]}),
        sign=("It takes h_{t-1} − h_t: turn the sign.", {"seen": lambda hs: hs[:-1] - hs[1:]}),
        since_h0=("It is the change since h_0. Take h_{t-1}.", {"seen": lambda hs: hs[1:] - hs[0]}),
        overwritten=("The change is zero: give the new state a name of its own.", {"seen": lambda hs: 0 * hs[1:]}),
        first_alone=(
            "At step 1 the change is h_1 − h_0: h_0 is missing.",
            {"seen": lambda hs: np.diff(_zeroed(hs), axis=0)},
        ),
        from_zero=("The first carry is params.h0, for every sequence.", {"start": 0}),
        no_b_y=("b_y is missing, or cancels where two outputs are subtracted. It is added once.", {"bias": 0}),
        outputs=(
            "It is the change of the *outputs*, in which b_y cancels. Subtract the states, then read.",
            {"seen": lambda hs: np.diff(_zeroed(hs), axis=0), "bias": 0, "at_1": 1},
        ),
        twice=("b_y is added twice: to an output, and to what is made of it.", {"bias": 2}),
        late=(
            "It is one step late: at step t it reports h_{t-1} − h_{t-2}.",
            {"seen": lambda hs: _zeroed(hs[1:] * 0 + np.concatenate([hs[:1], hs[1:-1] - hs[:-2]]))},
        ),
    ),
)


def _translated(us, vs, start, W_1, W_2, V, *, u=-1, v=-1, outs=(1, 1), taps=1, ago=1, old=False, stuck=False):
    (two, one), (W_1, W_2), results = start[::taps], (W_1, W_2)[::ago], []
    for now_u, now_v in zip(us[::u], vs[::v], strict=True):
        new = np.tanh(now_u + one @ W_1 + two @ W_2)
        results.append((new, now_v * ((one if old else new) @ V)))
        one, two = (one, new) if stuck else (new, one)
    return {name: np.stack(made)[::out] for name, made, out in zip("as", zip(*results, strict=True), outs, strict=True)}


TRANSLATED = Question(
    id="ps4/translated",
    title="From Theano's words",
    points=3,
    cases={
        f"T = {T}": partial(_draw, us=(T, 4), vs=(T, 3), start=(2, 4), W_1=(4, 4), W_2=(4, 4), V=(4, 3))
        for T in (30, 9, 7)
    },
    gate="T = 30",
    reference=_translated,
    mistakes=_wrongs(
        _translated,
        order_of_xs=("Results are in the order of us. Theano keeps the order of work.", {"outs": (-1, -1)}),
        order_of_s=("a is in Theano's order, s in that of us.", {"outs": (1, -1)}),
        forwards=("It begins with the first inputs. go_backwards: the last ones.", {"u": 1, "v": 1}),
        flipped=("It runs forwards, and turns the results: turn the work.", {"u": 1, "v": 1, "outs": (-1, -1)}),
        us_alone=("Only us are turned. go_backwards turns all sequences.", {"v": 1}),
        start_swapped=("start is read backwards: start[1] is one step back.", {"taps": -1}),
        weights_swapped=("W_1 and W_2 are swapped: W_1 is for the state of one step ago.", {"ago": -1}),
        carry=("The carry leaves the body in the wrong order: one step ago and two are swapped.", {"stuck": True}),
        old_state=("s is made of the state before the step: use the new one.", {"old": True}),
    ),
)


def _wide_net(rng, T, B):
    """Draw a net whose inputs and outputs are far more than its units: no product with them can hide in a loop."""
    drawn = _draw(rng, xs=(T, B, 60), W_xg=(60, 5), b_g=(5,))
    return {"params": net(rng, 60, 5, 60)} | drawn


def _hoisted(params, xs, W_xg, b_g, *, turned=False, no=""):
    gates = 1 / (1 + np.exp(-(xs @ W_xg + (no != "b_g") * b_g)))
    h, hs = (no != "h0") * params.h0, []
    for p, g in zip(xs @ params.W_xh + (no != "b_h") * params.b_h, 1 - gates if turned else gates, strict=True):
        h = g * np.tanh(p + h @ params.W_hh) + (no != "rest") * (1 - g) * h
        hs.append(h)
    ys = np.stack(hs) @ params.W_hy + params.b_y
    return {"ys_if_hoisted": ys}


HOISTED = Question(
    id="ps4/hoisted",
    title="What need not wait",
    points=2,
    cases=_batches(_wide_net),
    gate="a batch of sequences",
    reference=_hoisted,
    mistakes=_wrongs(
        _hoisted,
        gate_turned=("The gate is the wrong way round: g_t lets the new state in.", {"turned": True}),
        no_b_g=("b_g is missing in the gate.", {"no": "b_g"}),
        no_b_h=("b_h is missing in the tanh.", {"no": "b_h"}),
        no_rest=("(1 − g_t) ⊙ h_{t-1} is missing.", {"no": "rest"}),
        from_zero=("The first carry is params.h0, for every sequence.", {"no": "h0"}),
    ),
    hint=forms.on_the_loop,
)


def _cut(rng, T, B):
    cuts = rng.random((T, B)) < 0.4
    cuts[T // 2, 0], cuts[0, -1], cuts[0, 0] = True, False, B > 1  # at t = 0 in some sequences, not in all
    return _net(rng, T, B, targets=(T, B, 4)) | {"cuts": cuts}


def _with_cuts(params, xs, targets, cuts, *, stops=lambda cuts: cuts, keep=1, start=0, heard=np.ones_like):
    hs, before, stop = [np.broadcast_to(params.h0, (xs.shape[1], params.h0.size))], [], stops(cuts)[:, :, None]
    for x, cut in zip(xs, cuts[:, :, None], strict=True):
        before.append(np.where(cut, keep * hs[-1] + start * hs[0], hs[-1]))
        hs.append(bptt.forward(params, x[None], before[-1]).hs[1])
    hs = np.stack(hs[1:])
    ys = hs @ params.W_hy + params.b_y
    deltas = losses.squared_error_grad(ys, targets) @ params.W_hy.T * heard(cuts)[:, :, None]
    back = d_h0 = 0 * deltas[0]
    for t in reversed(range(len(xs))):
        deltas[t] = (deltas[t] + back) * (1 - hs[t] ** 2)
        back = deltas[t] @ params.W_hh.T
        d_h0, back = d_h0 + start * stop[t] * back, np.where(stop[t], 0 * back, back)
    W_xh, W_hh = (np.einsum("tbi,tbj->ij", a, deltas) for a in (xs, np.stack(before)))
    sums = {"W_xh": W_xh, "W_hh": W_hh, "b_h": deltas.sum((0, 1)), "h0": (back + d_h0).sum(0)}
    return {"loss": losses.squared_error(ys, targets)} | sums


CUTS = Question(
    id="ps4/loss_with_cuts",
    title="Cuts by data",
    points=2,
    cases=cases(_cut, {"a batch of sequences": (7, 2), "one sequence": (6, 1), "two steps": (2, 3)}),
    reference=_with_cuts,
    mistakes=_wrongs(
        _with_cuts,
        uncut=("No error is stopped: it is the full gradient.", {"stops": np.zeros_like}),
        all=("A cut stops the whole batch.", {"stops": lambda c: c | c.any(1, keepdims=True)}),
        everywhere=("Errors stop at every step: look at cuts.", {"stops": np.ones_like}),
        inverted=("Errors stop where there is no cut, and pass where there is one.", {"stops": np.invert}),
        late=(
            "It cuts the state that leaves step t: cut the one that enters.",
            {"stops": lambda c: _zeroed(np.roll(c, 1, 0))},
        ),
        guard=("A cut at t = 0 cuts h0 off: no guard t > 0 here.", {"stops": _zeroed}),
        forgotten=("The state is zeroed. Only its gradient is to be stopped.", {"keep": 0}),
        reset=("The state is set back to h0. Carry it on, as a constant.", {"keep": 0, "start": 1}),
        outputs=("The output of a cut step is stopped too. Stop the state that enters, alone.", {"heard": np.invert}),
    ),
)


def _scored(rng, T, B, chunk):
    return {"params": net(rng, 3, 32, 12, scale=0.1)} | _draw(rng, xs=(T, B, 3), targets=(T, B, 12)) | {"chunk": chunk}


def _in_pieces(params, xs, targets, chunk, *, cut=False, carried=True, h0=1, weigh=lambda n: 0 * n + 1 / n.size):
    (T, B, _), state, loss, total = xs.shape, None, 0, ElmanParams(*map(np.zeros_like, params))
    lengths = np.minimum(chunk, T - np.arange(T) // chunk * chunk)  # of each step's own chunk
    weights = np.repeat(weigh(lengths)[:, None] / B, B, axis=1).astype(xs.dtype)
    for t in range(0, T, chunk if cut else T):
        part = slice(t, t + chunk if cut else T)
        tape = bptt.forward(params, xs[part], state)
        loss += losses.squared_error(tape.ys, targets[part], weights[part])
        grads = bptt.backward(params, tape, losses.squared_error_grad(tape.ys, targets[part], weights[part]))
        grads = grads._replace(h0=h0 * (state is None) * grads.h0)
        total, state = jax.tree.map(np.add, total, grads), tape.hs[-1] if carried else None
    vector = np.concatenate([g.ravel() for g in total])
    return {"loss": loss, "gradient_if_little_is_kept": vector, "gradient_if_no_array_is_large": vector}


CHECKPOINTED = Question(
    id="ps4/checkpointed_loss",
    title="Forget, and run again",
    points=3,
    cases={
        "a long sequence": partial(_scored, T=400, B=4, chunk=20),
        "short chunks and a rest": partial(_scored, T=83, B=4, chunk=8),
        "one sequence": partial(_scored, T=42, B=1, chunk=7),
    },
    first=(
        "loss",
        "gradient_if_no_array_is_large",
    ),  # jax.checkpoint around all of it keeps little, and runs it again in one piece
    reference=_in_pieces,
    mistakes=_wrongs(
        _in_pieces,
        mean_of_means=("A short rest weighs too much: weigh by length.", {"weigh": lambda n: 1 / n / sum(1 / n)}),
        sum_of_means=("The chunks' means are added: what is the mean over all T?", {"weigh": lambda n: 1 / n}),
        dropped=("The rest is left out.", {"weigh": lambda n: (n == n[0]) / sum(n == n[0])}),
        rest_as_zero=("The rest is left out of the sum, though not of T.", {"weigh": lambda n: (n == n[0]) / n.size}),
        restarted=("Each chunk begins at h0: hand the state on.", {"cut": True, "carried": False}),
        stopped=("Errors stop between chunks: that is truncation. Checkpoints lose nothing.", {"cut": True}),
        stopped_at_h0=("Errors stop where a chunk begins, also at h0: that is truncation.", {"cut": True, "h0": 0}),
    ),
    hint=forms.on_memory,
)


def _played(rng, T, B):
    drawn = _draw(rng, rewards=(T, B), discounts=(T, B), last=(B,), d_returns=(T, B))
    return drawn | {"limit": float(rng.uniform(0.05, 0.1))}


def _held(error, limit, *, whole=False, sign=False):
    """An error within the limit: each entry by itself."""
    if whole:
        return error * min(1, limit / max(np.sqrt((error**2).sum()), 1e-9))
    return limit * np.sign(error) if sign else np.clip(error, -limit, limit)


def _returns(
    rewards, discounts, last, d_returns, limit, *, way=-1, back=1, entry=False, begin=1, edit=lambda **_: {}, hold=_held
):
    returns, after, d_rewards, value, error = *(np.empty_like(rewards) for _ in range(3)), begin * last, 0 * last
    for t in range(len(rewards))[::way]:
        after[t] = value
        returns[t] = value = rewards[t] + discounts[t] * value
    for t in range(len(rewards))[::back]:
        d_rewards[t] = d_returns[t] + (discounts[t] * error if entry else error)
        error = hold(d_rewards[t] if entry else discounts[t] * d_rewards[t], limit)
    made = {"returns": returns, "d_rewards": d_rewards}
    made |= {"d_discounts": d_rewards * after, "d_last": error}
    return made | edit(after=after, d_returns=d_returns, limit=limit, **made)


def _edits(**edits):
    return {"edit": lambda **made: {name: value(made) for name, value in edits.items()}}


RETURNS = Question(
    id="ps4/returns_and_back",
    title="A scan turned round by hand",
    points=4,
    cases=cases(_played, {"a batch of sequences": (30, 2), "one sequence": (9, 1), "many sequences": (6, 5)}),
    gate="a batch of sequences",
    first=("d_rewards",),
    reference=_returns,
    mistakes=_wrongs(
        _returns,
        unheld=("Nothing is held within the limit: it is the plain derivative.", {"hold": lambda error, limit: error}),
        whole=(
            "It scales the errors of the batch together: hold each entry by itself.",
            {"hold": partial(_held, whole=1)},
        ),
        sign=("Every error is set to the limit: those within it stay.", {"hold": partial(_held, sign=1)}),
        held_late=(
            "The whole error is held, with what is said to the return itself. Hold what is handed on.",
            _edits(d_rewards=lambda m: np.clip(m["d_rewards"], -m["limit"], m["limit"])),
        ),
        forwards=("The returns add up from the start. They look ahead: reverse=True.", {"way": 1}),
        no_last=("After the last step comes `last`, not zero.", {"begin": 0}),
        back_again=("Errors travel as the returns do. They go the other way: from t = 1 on.", {"back": -1}),
        entry=("An error is discounted by the step that it leaves, not by the one that it enters.", {"entry": True}),
        own_return=(
            "A discount multiplies the next return, not its own.",
            _edits(d_discounts=lambda m: m["d_rewards"] * m["returns"]),
        ),
        own_error=(
            "d_discounts takes d_returns alone: take the whole error.",
            _edits(d_discounts=lambda m: m["d_returns"] * m["after"]),
        ),
        not_passed_on=(
            "d_rewards is d_returns: earlier returns are heard as well.",
            _edits(d_rewards=lambda m: m["d_returns"]),
        ),
        undiscounted=(
            "On its way to `last` the error has one more discount to pass.",
            _edits(d_last=lambda m: np.clip(m["d_rewards"][-1], -m["limit"], m["limit"])),
        ),
        no_d_last=(
            "d_last is what is left of the error after the last step.",
            _edits(d_last=lambda m: 0 * m["d_last"]),
        ),
    ),
)

USES = ("jax", "cells", "losses")
QUESTIONS = (CHANGE, TRANSLATED, HOISTED, CUTS, CHECKPOINTED, RETURNS, RESETS)
