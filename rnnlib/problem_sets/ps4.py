"""Problem set 4, scan: recurrent nets as scans, what may leave the loop, what is cut, what is computed again, and a scan turned round by hand."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.lax import scan, stop_gradient

from rnnlib.cells import ElmanParams, elman_step, init_elman
from rnnlib.losses import squared_error
from rnnlib.questions import Mistake, Question
from rnnlib.unroll import loss_checkpointed


def _wrong(function, says, **options):
    return Mistake(partial(function, **options), says)


def _net(rng, T, B, D=3, H=5, K=4):
    params = ElmanParams(*(p + 0.3 * rng.standard_normal(p.shape) for p in init_elman(D, H, K, rng=rng)))
    return {"params": params, "xs": rng.standard_normal((T, B, D))}


def _h0(params, xs):
    return jnp.broadcast_to(params.h0, (xs.shape[1], params.h0.size))


def _batches(draw):
    sizes = {"a batch of sequences": (7, 2), "one sequence": (6, 1), "a single step": (1, 3)}
    return {name: partial(draw, T=T, B=B) for name, (T, B) in sizes.items()}


def _read(params, hs):
    return hs @ params.W_hy + jnp.broadcast_to(params.b_y, (*hs.shape[:-1], params.b_y.size))


def _change(params, xs, *, seen=lambda new, old, h0: new - old, start=_h0, bias=1):
    h0 = start(params, xs)

    def body(old, x):
        new = jax.vmap(partial(elman_step, params))(x, old)[1]
        return new, seen(new, old, h0)

    last, seen_states = scan(body, h0, xs)
    return {"last": last, "ys": _read(params._replace(b_y=bias * params.b_y), seen_states)}


CHANGE = Question(
    id="ps4/change_net",
    title="A net that reports changes",
    points=2,
    cases=_batches(_net),
    reference=_change,
    mistakes={
        "state": _wrong(
            _change, "It reads y from h_t. Read it from h_t − h_{t-1}: the body has both.", seen=lambda n, o, _: n
        ),
        "backwards": _wrong(_change, "The change is new minus old, not old minus new.", seen=lambda n, o, _: o - n),
        "since the start": _wrong(
            _change, "The change is taken since h_0, not since the step before.", seen=lambda n, o, h0: n - h0
        ),
        "from zero": _wrong(
            _change, "The first carry is zero. It is params.h0, for every sequence.", start=lambda p, xs: 0 * _h0(p, xs)
        ),
        "no bias": _wrong(_change, "b_y is missing: it is added to the change, and does not cancel.", bias=0),
    },
    jax=True,
)


def _theano(rng, T, H=4, K=3):
    shapes = {"us": (T, H), "vs": (T, K), "start": (2, H), "W_1": (H, H), "W_2": (H, H), "V": (H, K)}
    return {name: 0.6 * rng.standard_normal(shape) for name, shape in shapes.items()}


def _translated(
    us, vs, start, W_1, W_2, V, *, u=-1, v=-1, out=1, taps=(-1, -2), on=lambda new, one, two: (new, one), old=False
):
    def body(carry, now):
        one, two = carry
        new = jnp.tanh(now[0] + one @ W_1 + two @ W_2)
        return on(new, one, two), (new, now[1] * ((one if old else new) @ V))

    _, results = scan(body, (start[taps[0]], start[taps[1]]), (us[::u], vs[::v]))
    return dict(zip("as", (result[::out] for result in results), strict=True))


TRANSLATED = Question(
    id="ps4/translated",
    title="From Theano's words",
    points=4,
    cases={f"T = {T}": partial(_theano, T=T) for T in (6, 9, 1)},
    reference=_translated,
    mistakes={
        "order of xs": _wrong(
            _translated, "Results are in the order of the inputs. Theano's are in the order computed.", out=-1
        ),
        "forwards": _wrong(
            _translated, "It begins with the first inputs: go_backwards begins with the last.", u=1, v=1
        ),
        "us alone": _wrong(_translated, "Only us are turned. go_backwards turns all sequences.", v=1),
        "start swapped": _wrong(
            _translated, "start is read backwards: start[1] is the state one step back.", taps=(0, 1)
        ),
        "stuck": _wrong(
            _translated, "The older state never moves on: hand on (new, one).", on=lambda new, one, two: (new, two)
        ),
        "swapped": _wrong(
            _translated, "The two states change places: keep one order.", on=lambda new, one, two: (one, new)
        ),
        "old state": _wrong(_translated, "s is made of the state before the step. Use the new one.", old=True),
    },
    jax=True,
)


def _gated(rng, T, B):
    drawn = _net(rng, T, B)
    return drawn | {"W_xg": rng.standard_normal((3, 5)), "b_g": rng.standard_normal(5)}


def _hoisted(params, xs, W_xg, b_g, *, inside=False, loop=scan, turn=lambda g: g, biased=1):
    def driven(x):
        wide = (*x.shape[:-1], params.b_h.size)
        p = x @ params.W_xh + jnp.broadcast_to(params.b_h, wide)
        return p, turn(jax.nn.sigmoid(x @ W_xg + biased * jnp.broadcast_to(b_g, wide)))

    def body(h, now):
        p, g = driven(now) if inside else now
        h = g * jnp.tanh(p + h @ params.W_hh) + (1 - g) * h
        return h, h

    return _read(params, loop(body, _h0(params, xs), xs if inside else driven(xs))[1])


def _python_loop(body, h, xs):
    hs = []
    for t in range(len(jax.tree.leaves(xs)[0])):
        h, _ = body(h, jax.tree.map(lambda a, t=t: a[t], xs))
        hs.append(h)
    return h, jnp.stack(hs)


def _repeated(program, inside=False):
    """The matrix products that the loops of a program hold."""
    count = 0
    for eqn in program.eqns:
        loop = eqn.primitive.name in ("scan", "while")
        count += inside and eqn.primitive.name == "dot_general"
        count += sum(_repeated(part, inside or loop) for part in eqn.params.values() if hasattr(part, "eqns"))
    return count


def _with_products(function, inputs):
    return {"ys": function(**inputs), "products_in_the_loop": _repeated(jax.make_jaxpr(function)(**inputs))}


HOISTED = Question(
    id="ps4/hoisted",
    title="What need not wait",
    points=3,
    cases=_batches(_gated),
    reference=_hoisted,
    mistakes={
        "inside": _wrong(
            _hoisted, "The inputs' products are in the loop. All x_t are known: take them before it.", inside=True
        ),
        "no scan": _wrong(_hoisted, "A Python loop is written out, step by step. Use lax.scan.", loop=_python_loop),
        "gate turned": _wrong(
            _hoisted, "The gate is the wrong way round: g_t lets the new state in.", turn=lambda g: 1 - g
        ),
        "no b_g": _wrong(_hoisted, "b_g is missing in the gate.", biased=0),
    },
    jax=True,
    call=_with_products,
)


def _scored(rng, T, B, **extra):
    drawn = _net(rng, T, B)
    return drawn | {"targets": rng.standard_normal((T, B, 4))} | extra


def _cut(rng, T, B):
    return _scored(rng, T, B) | {"cuts": rng.random((T, B)) < 0.4}


def _cut_loss(params, xs, targets, cuts, *, handed=lambda h, h0: stop_gradient(h), where=lambda cut: cut, late=False):
    h0 = _h0(params, xs)

    def body(h, now):
        x, cut = now
        cut = where(cut)[:, None]
        y, new = jax.vmap(partial(elman_step, params))(x, h if late else jnp.where(cut, handed(h, h0), h))
        return jnp.where(cut & late, handed(new, h0), new), y

    return squared_error(scan(body, h0, (xs, cuts))[1], targets)


def _gradient(function, inputs):
    loss, grads = jax.value_and_grad(lambda params: function(**inputs | {"params": params}))(inputs["params"])
    return {"loss": loss, "W_xh": grads.W_xh, "W_hh": grads.W_hh, "b_h": grads.b_h, "h0": grads.h0}


CUTS = Question(
    id="ps4/loss_with_cuts",
    title="Cuts by data",
    points=2,
    cases=_batches(_cut),
    reference=_cut_loss,
    mistakes={
        "uncut": _wrong(_cut_loss, "No error is stopped: it is the full gradient.", handed=lambda h, _: h),
        "forgotten": _wrong(_cut_loss, "The state begins anew where it should be carried on.", handed=lambda h, h0: h0),
        "all": _wrong(
            _cut_loss, "A cut stops the whole batch. Each sequence has its own.", where=lambda c: c | c.any()
        ),
        "everywhere": _wrong(_cut_loss, "Every step is cut, whatever `cuts` says.", where=jnp.ones_like),
        "late": _wrong(_cut_loss, "It cuts behind the step: the state that enters step t is meant.", late=True),
    },
    jax=True,
    call=_gradient,
)


def _chunks(params, xs, targets, chunk, *, again=jax.checkpoint, hand=lambda h, h0: h, weighted=True, rest=True):
    h0 = _h0(params, xs)

    def run(h, piece):
        h, ys = scan(lambda h, x: jax.vmap(partial(elman_step, params))(x, h)[::-1], h, piece[0])
        return hand(h, h0), squared_error(ys, piece[1]) * (len(ys) if weighted else 1)

    h, total, steps = h0, 0.0, 0
    for t in range(0, len(xs) if rest else len(xs) // chunk * chunk, chunk):
        piece = xs[t : t + chunk], targets[t : t + chunk]
        h, score = again(run)(h, piece)
        total, steps = total + score, steps + (len(piece[0]) if weighted else 1)
    return total / steps


def _with_memory(function, inputs):
    given = sum(leaf.size for leaf in jax.tree.leaves((inputs["params"], inputs["xs"], inputs["targets"])))
    loss, back = jax.vjp(lambda params: function(**inputs | {"params": params}), inputs["params"])
    kept = sum(jnp.size(leaf) for leaf in jax.tree.leaves(back)) - given
    T, B, _ = inputs["xs"].shape
    few = kept <= (T / 2 + 3) * B * inputs["params"].h0.size
    return {"loss": loss, "grads": back(jnp.ones_like(loss))[0], "keeps_little": few}


CHECKPOINTED = Question(
    id="ps4/checkpointed_loss",
    title="Forget, and run again",
    points=3,
    cases={
        "whole chunks": partial(_scored, T=40, B=2, chunk=8),
        "a rest": partial(_scored, T=42, B=2, chunk=8),
        "one step": partial(_scored, T=1, B=3, chunk=1),
    },
    reference=lambda params, xs, targets, chunk: loss_checkpointed(squared_error, params, xs, targets, chunk=chunk)[0],
    mistakes={
        "all kept": _wrong(
            _chunks, "Right, but every state is kept for the way back: jax.checkpoint.", again=lambda run: run
        ),
        "mean of means": _wrong(
            _chunks, "It is the mean of the chunks' means: a short rest weighs too much.", weighted=False
        ),
        "rest dropped": _wrong(_chunks, "The steps after the last whole chunk are left out.", rest=False),
        "restarted": _wrong(_chunks, "Each chunk begins at h0: hand the state on.", hand=lambda h, h0: h0),
        "stopped": _wrong(
            _chunks, "The error stops between chunks. Checkpoints cut nothing.", hand=lambda h, h0: stop_gradient(h)
        ),
    },
    jax=True,
    call=_with_memory,
)


def _rewards(rng, T, B):
    drawn = {name: rng.standard_normal((T, B)) for name in ("rewards", "d_returns")}
    return drawn | {"discounts": rng.uniform(0.5, 0.95, (T, B)), "last": rng.standard_normal(B)}


def _returns(rewards, discounts, last, d_returns, *, back=True, ahead=False, grows=1, own=False, begin=1, final=True):
    def value(after, now):
        new = now[0] + now[1] * after
        return new, (new, new if own else after)

    def error(e, now):
        e = now[0] + grows * e
        return now[1] * e, e

    _, (returns, after) = scan(value, begin * last, (rewards, discounts), reverse=back)
    d_last, d_rewards = scan(error, 0 * last, (d_returns, discounts), reverse=ahead)
    d_last = d_last if final else d_rewards[-1]
    return {"returns": returns, "d_rewards": d_rewards, "d_discounts": d_rewards * after, "d_last": d_last}


RETURNS = Question(
    id="ps4/returns_and_back",
    title="A scan turned round by hand",
    points=2,
    cases=_batches(_rewards),
    reference=_returns,
    mistakes={
        "forwards": _wrong(_returns, "The returns add up from the start. They look ahead: reverse=True.", back=False),
        "last ignored": _wrong(_returns, "After the last step comes `last`, not zero.", begin=0),
        "not carried": _wrong(
            _returns, "d_rewards are d_returns: a reward is also part of all returns before it.", grows=0
        ),
        "back again": _wrong(
            _returns, "The error runs as the returns do. It must run the other way: forwards.", ahead=True
        ),
        "own return": _wrong(
            _returns, "d_discounts take the step's own return. A discount multiplies the next one.", own=True
        ),
        "undiscounted": _wrong(_returns, "d_last lacks the last discount.", final=False),
    },
    jax=True,
)

QUESTIONS = (CHANGE, TRANSLATED, HOISTED, CUTS, CHECKPOINTED, RETURNS)
