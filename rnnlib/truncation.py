"""Five ways to cut backpropagation through time short, and what each of them differentiates: in JAX, for any cell and any loss.

Let y_t(θ; h_s) be the output of step t when the steps s + 1 ... t run with parameters θ from the state h_s, and let a bar mark what
is held constant at its value in the run as it was: h̄_s, ȳ_t. In full, BPTT is the gradient of L(y_1(θ; h_0), ..., y_T(θ; h_0)).
A truncation is an exact gradient too, of the same L with something else for its y_t:

    chunked      y_t(θ; h̄_s)   s = window · ⌊(t − 1) / window⌋               the carry is stopped where a chunk ends
    windowed     y_t(θ; h̄_s)   s = max(0, stride · ⌈t / stride⌉ − window)    each loss looks back through a window of its own
    last_steps   y_t(θ; h̄_s)   s = T − window, and ȳ_t for t ≤ s             only the end of the whole sequence is heard
    restarted    y_t(θ; h_0)   started from h_0 after step s of `windowed`   another net, which forgets what came before
    randomised   ...           a random one, whose mean is the full gradient

At s = 0 the state is h_0 itself, alive where it is a parameter. All have one signature and one result, are pure, and take the loss
once, of all outputs of a call; `jax.jit(partial(chunked, loss, step, window=20))` compiles once. To train on a long text:

    update each `window` steps           chunked on the next `window` steps, then state = result.hs[-1]
    update each `stride`, look further   chunked on `window` steps, with a loss of the last `stride`, then state = result.hs[stride]

The loss h_1 + ... + h_6 of h_t = w h_{t-1} + x_t with w = 0.5, and its gradient with respect to the inputs:

    >>> def d_xs(truncation, window):
    ...     linear = lambda w, x, h: (w * h + x, w * h + x)
    ...     result = truncation(lambda ys, _: ys.sum(), linear, 0.5, np.ones((6, 1, 1)), None, np.zeros((1, 1)), window=window)
    ...     return result.d_xs.ravel().tolist()
    >>> d_xs(chunked, 6)
    [1.96875, 1.9375, 1.875, 1.75, 1.5, 1.0]
    >>> d_xs(chunked, 2), d_xs(last_steps, 2)
    ([1.5, 1.0, 1.5, 1.0, 1.5, 1.0], [0.0, 0.0, 0.0, 0.0, 1.5, 1.0])
    >>> d_xs(windowed, 2)
    [1.5, 1.5, 1.5, 1.5, 1.5, 1.0]
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.lax import stop_gradient
from jaxtyping import Float

from rnnlib.validation import require_floating, require_shape, require_size

Inputs = Float[Any, "T B D"]


class Truncated(NamedTuple):
    """What every truncation returns."""

    loss: Float[Any, ""]  # L(y_1, ..., y_T)
    grads: Any  # like params
    d_xs: Float[Any, "T B D"]  # the gradient with respect to the inputs
    hs: Any  # (T+1, B, H), like the state: hs[t] is what y_t was read from, hs[0] what the run began with


def chunked(loss, step, params, xs: Inputs, targets, state=None, *, window: int) -> Truncated:
    """Stop the carry every `window` steps: y_t(θ; h̄_s) with s = window · ⌊(t − 1) / window⌋.

    The first loss of a chunk looks back through one step, the last through `window`. Costs one unroll, in time and in memory.

    Args:
        loss: `loss(ys, targets)`, outputs (T, B, K) and targets to one number, such as `losses.squared_error`.
        step: a cell's `step(params, x, h) -> (y, h)`, for one sequence: x (D,), h (H,), y (K,). It is vmapped over the batch.
        params: any pytree of arrays.
        xs: (T, B, D), inputs, time first.
        targets: whatever the loss takes.
        state: (B, H), the state to begin with, or a pytree of such; a constant. None for the trained `params.h0`.
        window: how many applications of the recurrence an error may go back through, its own step's included; T is the full gradient.

    Returns:
        `Truncated`: the loss, its gradients with respect to params and xs, the T + 1 states.

    Raises:
        ValueError: a window outside 1 ... T, inputs or a state of another shape, neither a state nor `params.h0`.
        TypeError: a window that is not whole, inputs that are not floating point.

    Example:
        >>> from rnnlib import cells, losses
        >>> net, xs = cells.init_elman(3, 4, 2, rng=np.random.default_rng(0), dtype=np.float32), np.ones((7, 5, 3), np.float32)
        >>> result = chunked(losses.squared_error, cells.elman_step, net, xs, xs[..., :2], window=3)
        >>> result.grads.W_hh.shape, result.d_xs.shape, result.hs.shape
        ((4, 4), (7, 5, 3), (8, 5, 4))

    Source: Williams and Peng (1990), An efficient gradient-based algorithm, Neural Computation 2, BPTT(h; h') with h = h'.
    """
    _check("chunked", params, xs, state, window=window)
    t = np.arange(len(xs))  # counted from 0
    gates = np.where((t > 0) & (t % window == 0), 0.0, 1.0)  # the way to h_0 is open
    return gated(loss, step, params, xs, targets, state, gates=np.tile(gates[:, None], xs.shape[1]))


def windowed(loss, step, params, xs: Inputs, targets, state=None, *, window: int, stride: int = 1) -> Truncated:
    """Give each loss a window of its own: y_t(θ; h̄_s) with s = max(0, stride · ⌈t / stride⌉ − window).

    Known as truncated BPTT(k1, k2), k1 the stride and k2 the window. With stride 1 every loss looks back through exactly `window`
    steps, as in `bptt.backward`. The losses of one stride, 1 ... window steps, share a start, and only the last looks so far back;
    with stride = window it is `chunked`, whose arguments, result and errors it has. It follows the errors lag by lag, at all
    steps at once: `window` sweeps, in the memory of one unroll whatever the window.

    Source: Williams and Peng (1990), BPTT(h) and BPTT(h; h').
    """
    _check("windowed", params, xs, state, window=window, stride=stride)
    ys, hs = _run(step, params, xs, _initial(params, xs, state))
    value, d_ys = jax.value_and_grad(loss)(ys, targets)

    def every_step(params, xs, between):
        """Each step by itself, from the state it had: h_0 is alive, h̄_1 ... h̄_{T-1} are given."""
        before = jax.tree.map(lambda h0, h: jnp.concatenate([h0[None], h]), _initial(params, xs, state), between)
        return jax.vmap(jax.vmap(step, (None, 0, 0)), (None, 0, 0))(params, xs, before)

    _, pull = jax.vjp(every_step, params, xs, jax.tree.map(lambda h: h[1:-1], hs))
    none = jax.tree.map(lambda h: jnp.zeros_like(h[1:]), hs)
    t = jnp.arange(len(xs))  # counted from 0

    def sweep(carry, lag):
        """Hear at every step of the loss that lies `lag` steps later, if the step is in its window, and pass the error on."""
        total, errors = carry
        errors = jax.tree.map(lambda e, zero: jnp.concatenate([e, zero[:1]]), errors, none)
        errors = _where(t >= ((t + lag) // stride + 1) * stride - window, errors, none)
        return (jax.tree.map(jnp.add, total, errors), pull((jnp.zeros_like(ys), errors))[2]), None

    (total, _), _ = jax.lax.scan(sweep, (none, pull((d_ys, none))[2]), jnp.arange(1, window))
    return Truncated(value, *pull((d_ys, total))[:2], hs)


def last_steps(loss, step, params, xs: Inputs, targets, state=None, *, window: int) -> Truncated:
    """Hear only the last `window` steps: ȳ_t for t ≤ s, y_t(θ; h̄_s) for the rest, with s = T − window.

    This is `truncate_gradient` of Theano's scan, today PyTensor's, where the step makes y: the first T − window outputs are in the
    loss, but in no gradient, not even the readout's. Arguments, result, errors and cost are those of `chunked`.

    Source: PyTensor's documentation of `scan`, argument `truncate_gradient`.
    """
    _check("last_steps", params, xs, state, window=window)
    heard = np.arange(len(xs)) >= len(xs) - window
    gates = np.where(heard & np.roll(heard, 1), 1.0, 0.0)  # all open if T steps are heard, else shut before the first

    def loss_of_the_last(ys, targets):
        return loss(_where(heard, ys, stop_gradient(ys)), targets)

    return gated(loss_of_the_last, step, params, xs, targets, state, gates=np.tile(gates[:, None], xs.shape[1]))


def restarted(loss, step, params, xs: Inputs, targets, state=None, *, window: int, stride: int = 1) -> Truncated:
    """Forget all that lies before the window: y_t(θ; h_0), where h_0 stands in for h̄_s of `windowed`.

    The only one with other outputs, and so another loss: a net of at most `window` inputs. With stride 1 it is a feed-forward net
    on a window that moves; with stride = window it is training on chunks without state. Arguments, result and errors are those
    of `windowed`; every window begins with `state`, or with `params.h0`. All windows run side by side, as one batch: `window`
    steps in a row, and window / stride times the memory of one unroll.

    Source: Miller and Hardt (2019), Stable recurrent models, arXiv 1805.10369, the truncated model; there h_0 = 0.
    """
    _check("restarted", params, xs, state, window=window, stride=stride)
    T, count = len(xs), -(-len(xs) // stride)
    t = np.arange(window)[:, None] + np.arange(1, count + 1) * stride - window  # (window, count), counted from 0

    def in_time(rows):
        """(window, count, B, ...) to (T, B, ...): the last `stride` steps of each window."""
        return jnp.moveaxis(rows[window - stride :], 0, 1).reshape(-1, *rows.shape[2:])[:T]

    def run(params, xs):
        h0 = _initial(params, xs, state)
        fresh = jax.tree.map(lambda h: jnp.broadcast_to(h, (count, *h.shape)), h0)
        every, padded = jax.vmap(step, (None, 0, 0)), xs[t.clip(0, T - 1)]  # (window, count, B, D)
        ys, hs = _run(every, params, padded, fresh, lambda h, t: _where(t <= 0, fresh, h), t)
        return in_time(ys), jax.tree.map(lambda h0, h: jnp.concatenate([h0[None], in_time(h[1:])]), h0, hs)

    return _differentiate(loss, run, params, xs, targets)


def randomised(loss, step, params, xs: Inputs, targets, state=None, *, window: int, key) -> Truncated:
    """Draw a Bernoulli gate between any two steps: cut with probability c = 1 / window, else multiply the error by 1 / (1 − c).

    As c · 0 + (1 − c) · 1 / (1 − c) = 1, the mean over all draws is the full gradient; the price is variance, as an error that comes
    n steps back has grown by (1 − c)⁻ⁿ. Each sequence has gates of its own, drawn from `key`, a new `jax.random.key` for each call.
    Between two cuts lie `window` steps on average, 2 or more, and as many as you like; arguments, result, errors and cost are else
    those of `chunked`. Where one call ends and the next begins is a cut that was not drawn, and so a bias.

    Source: Tallec and Ollivier (2017), Unbiasing truncated backpropagation through time, arXiv 1705.08209; all c_t alike.
    """
    _check("randomised", params, xs, state)
    require_size("randomised", "window", window, least=2, hint="1 would always cut, and no weight makes up for that.")
    if not isinstance(key, jax.Array):
        raise TypeError(f"randomised: key must be a JAX key, got {type(key).__name__}. Try jax.random.key(0).")
    keep = 1 - 1 / window
    gates = jax.random.bernoulli(key, keep, xs.shape[:2]) / keep
    return gated(loss, step, params, xs, targets, state, gates=gates.at[0].set(1.0))  # no gate before h_0


def gated(loss, step, params, xs: Inputs, targets, state=None, *, gates: Float[Any, "T B"]) -> Truncated:
    """Multiply what step t sends back to the state before it: dL/dh_{t-1} = ∂L/∂h_{t-1} + g_t (∂h_t/∂h_{t-1})ᵀ dL/dh_t.

    The common form of all that cut between steps: ones are BPTT in full, a zero is a cut. Arguments, result, errors and cost are
    those of `chunked`, with gates g (T, B) in place of a window.

    Source: Tallec and Ollivier (2017), ARTBP's backward recursion.
    """
    _check("gated", params, xs, state)
    require_floating("gated", gates=gates)
    require_shape("gated", "gates", gates, xs.shape[:2], match=f"to match xs {tuple(xs.shape)}", hint="One a step.")

    def enter(h, gates):  # the same h, but not the same gradient
        return jax.tree.map(lambda a: stop_gradient(a) + gates[:, None].astype(a.dtype) * (a - stop_gradient(a)), h)

    def run(params, xs):
        return _run(step, params, xs, _initial(params, xs, state), enter, jnp.asarray(gates))

    return _differentiate(loss, run, params, xs, targets)


def _run(step, params, xs, h0, enter=lambda h, _: h, notes=None):
    """Outputs (T, B, K) and T + 1 states; `enter` may change a state on its way into a step, by that step's note."""

    def body(h, now):
        x, note = now
        y, h = jax.vmap(step, (None, 0, 0))(params, x, enter(h, note))
        return h, (y, h)

    _, (ys, hs) = jax.lax.scan(body, h0, (xs, notes))
    return ys, jax.tree.map(lambda h0, h: jnp.concatenate([h0[None], h]), h0, hs)


def _differentiate(loss, run, params, xs, targets):
    ys, pull, hs = jax.vjp(run, params, xs, has_aux=True)
    value, d_ys = jax.value_and_grad(loss)(ys, targets)
    return Truncated(value, *pull(d_ys), hs)


def _initial(params, xs, state):
    if state is not None:
        return jax.tree.map(jnp.asarray, state)
    return jax.tree.map(lambda h0: jnp.broadcast_to(h0, (xs.shape[1], *h0.shape)), params.h0)


def _where(rows, a, b):
    return jax.tree.map(lambda a, b: jnp.where(rows.reshape(-1, *[1] * (a.ndim - 1)), a, b), a, b)


def _check(where, params, xs, state, window=None, stride=None):
    require_floating(where, xs=xs)
    require_shape(where, "xs", xs, ("T", "B", "D"), match="with time first", hint="One sequence alone is xs[:, None].")
    if state is None and not hasattr(params, "h0"):
        raise ValueError(f"{where}: state must be given, because params has no h0. Try zeros of shape (B, H).")
    for h in jax.tree.leaves(state):
        require_shape(where, "state", h, (xs.shape[1], "H"), match="(B, H)", hint="One state for each sequence.")
    if window is not None:
        require_size(where, "window", window, most=len(xs), hint="T is the full gradient.")
    if stride is not None:
        require_size(where, "stride", stride, most=window, hint="Each loss has to lie in its own window.")
