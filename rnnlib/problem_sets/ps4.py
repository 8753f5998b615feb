"""Problem set 4, scan: learners answer in JAX; references and mistakes are loops in NumPy, which need no compiling."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from rnnlib import bptt, losses
from rnnlib.cells import ElmanParams, init_elman
from rnnlib.questions import Mistake, Question


class _InNumpy(partial):
    """A reference or a mistake: it takes NumPy's arrays, and gives what is measured of a learner's function."""

    def __call__(self, **inputs):
        return super().__call__(**jax.tree.map(np.asarray, inputs))


def _wrong(function, says, **options):
    return Mistake(_InNumpy(function, **options), says)


def _measured(measure):
    return lambda f, inputs: f(**inputs) if isinstance(f, _InNumpy) else measure(f, inputs)


def _batches(draw):
    sizes = {"a batch of sequences": (7, 2), "one sequence": (6, 1), "a single step": (1, 3)}
    return {name: partial(draw, T=T, B=B) for name, (T, B) in sizes.items()}


def _draw(rng, **shapes):
    return {name: 0.6 * rng.standard_normal(shape) for name, shape in shapes.items()}


def _net(rng, T, B, H=5, **shapes):
    params = ElmanParams(*(p + 0.3 * rng.standard_normal(p.shape) for p in init_elman(3, H, 4, rng=rng)))
    return {"params": params} | _draw(rng, xs=(T, B, 3), **shapes)


def _change(params, xs, *, seen=lambda hs: hs[1:] - hs[:-1], start=1):
    hs = bptt.forward(params._replace(h0=start * params.h0), xs).hs
    return {"last": hs[-1], "ys": seen(hs) @ params.W_hy + params.b_y}


CHANGE = Question(
    id="ps4/change_net",
    title="A net that reports changes",
    points=2,
    cases=_batches(_net),
    reference=_InNumpy(_change),
    mistakes={
        "state": _wrong(_change, "It reads y from h_t: take h_t − h_{t-1}. The body has both.", seen=lambda hs: hs[1:]),
        "since h0": _wrong(_change, "It is the change since h_0. Take h_{t-1}.", seen=lambda hs: hs[1:] - hs[0]),
        "from zero": _wrong(_change, "The first carry is params.h0, for every sequence.", start=0),
    },
    jax=True,
)


def _translated(us, vs, start, W_1, W_2, V, *, u=-1, v=-1, out=1, taps=1, old=False):
    (two, one), results = start[::taps], []
    for now_u, now_v in zip(us[::u], vs[::v], strict=True):
        new = np.tanh(now_u + one @ W_1 + two @ W_2)
        results.append((new, now_v * ((one if old else new) @ V)))
        one, two = new, one
    return {name: np.stack(result)[::out] for name, result in zip("as", zip(*results, strict=True), strict=True)}


TRANSLATED = Question(
    id="ps4/translated",
    title="From Theano's words",
    points=4,
    cases={
        f"T = {T}": partial(_draw, us=(T, 4), vs=(T, 3), start=(2, 4), W_1=(4, 4), W_2=(4, 4), V=(4, 3))
        for T in (6, 9, 1)
    },
    reference=_InNumpy(_translated),
    mistakes={
        "order of xs": _wrong(_translated, "Results are in the order of us. Theano keeps the order of work.", out=-1),
        "forwards": _wrong(_translated, "It begins with the first inputs. go_backwards: the last ones.", u=1, v=1),
        "us alone": _wrong(_translated, "Only us are turned. go_backwards turns all sequences.", v=1),
        "start swapped": _wrong(_translated, "start is read backwards: start[1] is one step back.", taps=-1),
        "old state": _wrong(_translated, "s is made of the state before the step: use the new one.", old=True),
    },
    jax=True,
)


def _hoisted(params, xs, W_xg, b_g, *, turned=False, bias=1, products=1):
    gates, h, hs = 1 / (1 + np.exp(-(xs @ W_xg + bias * b_g))), params.h0, []
    for p, g in zip(xs @ params.W_xh + params.b_h, 1 - gates if turned else gates, strict=True):
        h = g * np.tanh(p + h @ params.W_hh) + (1 - g) * h
        hs.append(h)
    ys = np.stack(hs) @ params.W_hy + params.b_y
    return {"ys": ys, "ys_if_hoisted": ys * (products == 1)}


def _equations(program, inside=False):
    for eqn in program.eqns:
        yield eqn, inside  # of a loop, or not
        for part in filter(lambda part: hasattr(part, "eqns"), eqn.params.values()):
            yield from _equations(part, inside or eqn.primitive.name in ("scan", "while"))


def _counted(function, inputs):
    ys, program = function(**inputs), jax.make_jaxpr(function)(**inputs)
    products = sum(inside and eqn.primitive.name == "dot_general" for eqn, inside in _equations(program))
    return {"ys": ys, "ys_if_hoisted": ys * (products == 1)}


HOISTED = Question(
    id="ps4/hoisted",
    title="What need not wait",
    points=3,
    cases=_batches(partial(_net, W_xg=(3, 5), b_g=(5,))),
    reference=_InNumpy(_hoisted),
    mistakes={
        "loop": _wrong(_hoisted, "Right, but one product, h @ W_hh, belongs in a lax.scan, and no other.", products=3),
        "gate turned": _wrong(_hoisted, "The gate is the wrong way round: g_t lets the new state in.", turned=True),
        "no b_g": _wrong(_hoisted, "b_g is missing in the gate.", bias=0),
    },
    jax=True,
    call=_measured(_counted),
)


def _scored(rng, T, B, H=5, **more):
    return _net(rng, T, B, H, targets=(T, B, 4)) | more


def _with_cuts(params, xs, targets, cuts, *, stops=lambda cuts: cuts, forgets=False):
    hs, before = [np.broadcast_to(params.h0, (xs.shape[1], params.h0.size))], []
    for x, cut in zip(xs, cuts, strict=True):
        before.append(np.where(cut[:, None] & forgets, 0 * hs[0], hs[-1]))
        hs.append(bptt.forward(params, x[None], before[-1]).hs[1])
    hs = np.stack(hs[1:])
    ys = hs @ params.W_hy + params.b_y
    deltas, back = losses.squared_error_grad(ys, targets) @ params.W_hy.T, 0 * hs[0]
    for t in reversed(range(len(xs))):
        deltas[t] = (deltas[t] + back) * (1 - hs[t] ** 2)
        back = np.where(stops(cuts)[t][:, None], 0 * hs[0], deltas[t] @ params.W_hh.T)
    W_xh, W_hh = (np.einsum("tbi,tbj->ij", a, deltas) for a in (xs, np.stack(before)))
    sums = {"W_xh": W_xh, "W_hh": W_hh, "b_h": deltas.sum((0, 1)), "h0": back.sum(0)}
    return {"loss": losses.squared_error(ys, targets)} | sums


def _by_params(function, inputs):
    return lambda params: function(**inputs | {"params": params})


def _gradient(function, inputs):
    loss, grads = jax.jit(jax.value_and_grad(_by_params(function, inputs)))(inputs["params"])
    return {"loss": loss} | {name: getattr(grads, name) for name in ("W_xh", "W_hh", "b_h", "h0")}


CUTS = Question(
    id="ps4/loss_with_cuts",
    title="Cuts by data",
    points=2,
    cases=_batches(lambda rng, T, B: _scored(rng, T, B, cuts=rng.random((T, B)) < 0.4)),
    reference=_InNumpy(_with_cuts),
    mistakes={
        "uncut": _wrong(_with_cuts, "No error is stopped: it is the full gradient.", stops=np.zeros_like),
        "all": _wrong(_with_cuts, "A cut stops the whole batch.", stops=lambda c: c | c.any(1, keepdims=True)),
        "late": _wrong(_with_cuts, "It cuts a step too late.", stops=lambda c: np.concatenate([0 * c[:1], c[:-1]]) > 0),
        "forgotten": _wrong(_with_cuts, "The state is zeroed. Only its gradient is to be stopped.", forgets=True),
    },
    jax=True,
    call=_measured(_gradient),
)


def _in_pieces(params, xs, targets, chunk, *, cut=False, carried=True, weigh=np.ones_like, little=1):
    (T, B, _), state, loss, total = xs.shape, None, 0, ElmanParams(*map(np.zeros_like, params))
    lengths = np.minimum(chunk, T - np.arange(T) // chunk * chunk)  # of each step's own chunk
    weights = np.repeat(weigh(lengths)[:, None] / weigh(lengths).sum() / B, B, axis=1).astype(xs.dtype)
    for t in range(0, T, chunk if cut else T):
        part = slice(t, t + chunk if cut else T)
        tape = bptt.forward(params, xs[part], state)
        loss += losses.squared_error(tape.ys, targets[part], weights[part])
        grads = bptt.backward(params, tape, losses.squared_error_grad(tape.ys, targets[part], weights[part]))
        grads = grads if state is None else grads._replace(h0=0 * grads.h0)
        total, state = jax.tree.map(np.add, total, grads), tape.hs[-1] if carried else None
    return {"loss": loss, "grads_if_little_is_kept": ElmanParams(*(little * g for g in total))}


def _with_memory(function, inputs):
    loss, params, T, B = _by_params(function, inputs), inputs["params"], *inputs["xs"].shape[:2]
    value, grads = jax.jit(jax.value_and_grad(loss))(params)
    back = jax.eval_shape(lambda params: jax.vjp(loss, params)[1], params)
    kept, given = (sum(jnp.size(leaf) for leaf in jax.tree.leaves(tree)) for tree in (back, inputs))
    equations, states = _equations(jax.make_jaxpr(jax.grad(loss))(params)), T * B * params.h0.size
    largest = max(v.aval.size for eqn, _ in equations for v in eqn.outvars)
    little = T == 1 or (kept - given < states / 2 and largest < states)
    return {"loss": value, "grads_if_little_is_kept": jax.tree.map(lambda g: little * g, grads)}


CHECKPOINTED = Question(
    id="ps4/checkpointed_loss",
    title="Forget, and run again",
    points=3,
    cases={
        "whole chunks": partial(_scored, T=40, B=2, H=16, chunk=8),
        "a rest": partial(_scored, T=42, B=2, H=16, chunk=8),
        "one step": partial(_scored, T=1, B=3, chunk=1),
    },
    reference=_InNumpy(_in_pieces),
    mistakes={
        "all kept": _wrong(_in_pieces, "It is exact, but keeps too much for the way back: jax.checkpoint.", little=0),
        "mean of means": _wrong(_in_pieces, "A short rest weighs too much: weigh by length.", weigh=lambda n: 1 / n),
        "dropped": _wrong(_in_pieces, "The rest is left out.", weigh=lambda n: n == n[0]),
        "restarted": _wrong(_in_pieces, "Each chunk begins at h0: hand the state on.", cut=True, carried=False),
        "stopped": _wrong(_in_pieces, "The error stops between chunks. Checkpoints cut nothing.", cut=True),
    },
    jax=True,
    call=_measured(_with_memory),
)


def _returns(rewards, discounts, last, d_returns, *, way=-1, back=1, own=False, begin=1):
    returns, after, d_rewards, value, error = *(np.empty_like(rewards) for _ in range(3)), begin * last, 0 * last
    for t in range(len(rewards))[::way]:
        after[t] = value
        returns[t] = value = rewards[t] + discounts[t] * value
    for t in range(len(rewards))[::back]:
        d_rewards[t] = d_returns[t] + error
        error = discounts[t] * d_rewards[t]
    backs = {"d_rewards": d_rewards, "d_discounts": d_rewards * (returns if own else after), "d_last": error}
    return {"returns": returns} | backs


RETURNS = Question(
    id="ps4/returns_and_back",
    title="A scan turned round by hand",
    points=2,
    cases=_batches(lambda rng, T, B: _draw(rng, rewards=(T, B), discounts=(T, B), last=(B,), d_returns=(T, B))),
    reference=_InNumpy(_returns),
    mistakes={
        "forwards": _wrong(_returns, "The returns add up from the start. They look ahead: reverse=True.", way=1),
        "no last": _wrong(_returns, "After the last step comes `last`, not zero.", begin=0),
        "back again": _wrong(_returns, "The error runs as the returns do. It must run the other way.", back=-1),
        "own return": _wrong(_returns, "A discount multiplies the next return, not its own.", own=True),
    },
    jax=True,
)

QUESTIONS = (CHANGE, TRANSLATED, HOISTED, CUTS, CHECKPOINTED, RETURNS)
