"""Backpropagation through time by hand: a forward pass that keeps a tape, and the backward pass that reads it. NumPy alone.

Only h_{t-1} W_hh and its transpose have to wait for their turn in time. All other products are taken once, for all T·B steps
together; the twins `forward_per_step` and `backward_per_step` do the obvious thing instead, and the tests hold them equal.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from rnnlib.cells import ElmanParams, check_elman, elman_step
from rnnlib.validation import axes_hint, require_finite, require_floating, require_shape, require_size


class Tape(NamedTuple):
    """What the forward pass writes down and the backward pass needs."""

    xs: Float[np.ndarray, "T B D"]  # inputs x_1 ... x_T
    hs: Float[np.ndarray, "T+1 B H"]  # states h_0 ... h_T: hs[t] is the state after t steps
    ys: Float[np.ndarray, "T B K"]  # outputs y_1 ... y_T


def forward(params: ElmanParams, xs: Float[np.ndarray, "T B D"], state: Float[np.ndarray, "B H"] | None = None) -> Tape:
    """Run an Elman net over time: h_t = tanh(x_t W_xh + h_{t-1} W_hh + b_h), y_t = h_t W_hy + b_y.

    Args:
        params: the parameters, of NumPy arrays.
        xs: (T, B, D), inputs, time first.
        state: (B, H), the state to start from, such as `tape.hs[-1]` of the chunk before; None for the trained `params.h0`.

    Returns:
        The `Tape`: inputs, the T + 1 states with h_0 in front, outputs.

    Raises:
        ValueError: shapes that disagree, T = 0, NaN or infinite inputs. (Where these are padding, put zeros: all later states hear them.)
        TypeError: inputs that are not floating point.

    Example:
        >>> from rnnlib.cells import init_elman
        >>> tape = forward(init_elman(3, 16, 2, rng=np.random.default_rng(0)), np.ones((7, 5, 3)))
        >>> tape.hs.shape, tape.ys.shape
        ((8, 5, 16), (7, 5, 2))

    Source: Werbos (1990), Backpropagation through time: what it does and how to do it, Proc. IEEE 78, section III.
    """
    xs, state = _check_forward("forward", params, xs, state)
    a = _at_every_step(xs, params.W_xh) + params.b_h  # (T, B, H), all that does not wait for h
    hs = np.empty((len(xs) + 1, *state.shape), a.dtype)
    hs[0] = state
    for t in range(len(xs)):
        np.tanh(a[t] + hs[t] @ params.W_hh, out=hs[t + 1])
    return Tape(xs, hs, _at_every_step(hs[1:], params.W_hy) + params.b_y)


def forward_per_step(
    params: ElmanParams, xs: Float[np.ndarray, "T B D"], state: Float[np.ndarray, "B H"] | None = None
) -> Tape:
    """Run an Elman net one `elman_step` at a time: the obvious twin of `forward`, with its arguments, result and errors.

    Example:
        >>> from rnnlib.cells import init_elman
        >>> params, xs = init_elman(3, 4, 2, rng=np.random.default_rng(0)), np.ones((7, 5, 3))
        >>> bool(np.allclose(forward_per_step(params, xs).ys, forward(params, xs).ys))
        True

    Source: Werbos (1990), section III.
    """
    xs, h = _check_forward("forward_per_step", params, xs, state)
    hs, ys = [h], []
    for x in xs:
        y, h = elman_step(params, x, h)
        hs.append(h)
        ys.append(y)
    return Tape(xs, np.stack(hs), np.stack(ys))


def backward(
    params: ElmanParams, tape: Tape, d_ys: Float[np.ndarray, "T B K"], *, window: int | None = None
) -> ElmanParams:
    """Send the errors back through time: δ_t = (dL/dy_t W_hyᵀ + δ_{t+1} W_hhᵀ) ⊙ (1 − h_t²), then sum what each weight did.

    With δ_t = dL/da_t, the error at the pre-activation of step t, the gradients are sums over time and batch:
    dW_xh = Σ x_tᵀ δ_t, dW_hh = Σ h_{t-1}ᵀ δ_t, db_h = Σ δ_t, dh_0 = δ_1 W_hhᵀ, and for the readout dW_hy = Σ h_tᵀ dL/dy_t.

    Args:
        params: the parameters of the forward pass.
        tape: what `forward` returned.
        d_ys: (T, B, K), dL/dy at every step.
        window: how many applications of the recurrence each loss looks back through, its own included: 1 sends no error from
            step to step, T or None is the full gradient. The cost grows with it.

    Returns:
        The gradients, as `ElmanParams`. `h0` is summed over the batch; where the tape began with a carried state it is that state's.

    Raises:
        ValueError: shapes that disagree, NaN or infinite errors, a window outside 1 ... T.
        TypeError: errors that are not floating point.

    Example:
        >>> from rnnlib.cells import init_elman
        >>> params = init_elman(3, 4, 2, rng=np.random.default_rng(0))
        >>> tape = forward(params, np.ones((7, 5, 3)))
        >>> backward(params, tape, np.ones_like(tape.ys)).W_hh.shape
        (4, 4)

    Source: Werbos (1990), section III; windows: Williams and Peng (1990), An efficient gradient-based algorithm, BPTT(h).
    """
    _check_backward("backward", params, tape, d_ys, window)
    d_as = _deltas(params, tape, d_ys, window)
    return ElmanParams(
        W_xh=_sum_over_steps(tape.xs, d_as),
        W_hh=_sum_over_steps(tape.hs[:-1], d_as),
        b_h=d_as.sum((0, 1)),
        W_hy=_sum_over_steps(tape.hs[1:], d_ys),
        b_y=d_ys.sum((0, 1)),
        h0=(d_as[0] @ params.W_hh.T).sum(0),
    )


def deltas(
    params: ElmanParams, tape: Tape, d_ys: Float[np.ndarray, "T B K"], *, window: int | None = None
) -> Float[np.ndarray, "T B H"]:
    """Send the errors back and stop there: the first half of `backward`, with its arguments and errors.

    Returns:
        (T, B, H), δ_t = dL/da_t, the error at each step's pre-activation.

    Example:
        >>> from rnnlib.cells import init_elman
        >>> params = init_elman(3, 4, 2, rng=np.random.default_rng(0))
        >>> tape = forward(params, np.ones((7, 5, 3)))
        >>> deltas(params, tape, np.ones_like(tape.ys)).shape
        (7, 5, 4)

    Source: Werbos (1990), section III.
    """
    _check_backward("deltas", params, tape, d_ys, window)
    return _deltas(params, tape, d_ys, window)


def backward_per_step(
    params: ElmanParams, tape: Tape, d_ys: Float[np.ndarray, "T B K"], *, window: int | None = None
) -> ElmanParams:
    """Follow every single loss back by itself, as far as its window goes: the obvious twin of `backward`, in O(T · window).

    It has the arguments, result and errors of `backward`.

    Example:
        >>> from rnnlib.cells import init_elman
        >>> params = init_elman(3, 4, 2, rng=np.random.default_rng(0))
        >>> tape = forward(params, np.ones((7, 5, 3)))
        >>> fast, slow = (f(params, tape, tape.ys, window=2) for f in (backward, backward_per_step))
        >>> bool(np.allclose(fast.W_hh, slow.W_hh))
        True

    Source: Williams and Peng (1990).
    """
    _check_backward("backward_per_step", params, tape, d_ys, window)
    T = len(d_ys)
    g = ElmanParams(*(np.zeros_like(p) for p in params))
    for t in range(T):  # the loss of step t, counted from 0 as in xs
        g.W_hy[:] += tape.hs[t + 1].T @ d_ys[t]
        g.b_y[:] += d_ys[t].sum(0)
        d_h = d_ys[t] @ params.W_hy.T
        for s in range(t, max(t - (window or T), -1), -1):
            delta = d_h * (1 - tape.hs[s + 1] ** 2)
            g.W_xh[:] += tape.xs[s].T @ delta
            g.W_hh[:] += tape.hs[s].T @ delta
            g.b_h[:] += delta.sum(0)
            d_h = delta @ params.W_hh.T
            if s == 0:
                g.h0[:] += d_h.sum(0)
    return g


def _deltas(params, tape, d_ys, window):
    slopes = 1 - tape.hs[1:] ** 2  # (T, B, H), tanh'(a_t) = 1 - h_t²
    own = _at_every_step(d_ys, params.W_hy.T)  # (T, B, H), each step's own error at its state
    return _full_deltas(params, slopes, own) if window is None else _windowed_deltas(params, slopes, own, window)


def _full_deltas(params, slopes, own):
    """One sweep from the end to the beginning."""
    d_as = np.empty_like(own)
    from_the_future = np.zeros_like(own[0])
    for t in reversed(range(len(own))):
        d_as[t] = (own[t] + from_the_future) * slopes[t]
        from_the_future = d_as[t] @ params.W_hh.T
    return d_as


def _windowed_deltas(params, slopes, own, window):
    """One sweep a lag, over all steps at once: after j rounds row s holds the error that the loss of step s + j sends to s."""
    lag = own * slopes
    d_as = lag.copy()
    for _ in range(window - 1):
        lag = _at_every_step(lag[1:], params.W_hh.T) * slopes[: len(lag) - 1]
        d_as[: len(lag)] += lag
    return d_as


def _at_every_step(steps, weights):
    """steps_tb @ weights for every t and b, as one product over all T · B rows."""
    return (steps.reshape(-1, steps.shape[-1]) @ weights).reshape(*steps.shape[:-1], -1)


def _sum_over_steps(left, right):
    """Σ_{t,b} left_tbᵀ right_tb, as one product over all T · B rows."""
    return left.reshape(-1, left.shape[-1]).T @ right.reshape(-1, right.shape[-1])


def _check_forward(where, params, xs, state):
    check_elman(where, params)
    require_floating(where, xs=xs)
    D, H = params.W_xh.shape
    require_shape(where, "xs", xs, ("T", "B", D), match=f"to match W_xh ({D}, {H})", hint=axes_hint(xs.shape, D))
    require_finite(where, xs=xs, **params._asdict())
    if state is None:
        return xs, np.broadcast_to(params.h0, (xs.shape[1], H))
    require_floating(where, state=state)
    require_shape(where, "state", state, (xs.shape[1], H), match="(B, H)", hint="One state for each sequence.")
    require_finite(where, state=state)
    return xs, state


def _check_backward(where, params, tape, d_ys, window):
    check_elman(where, params)
    if not isinstance(tape, Tape):
        raise TypeError(f"{where}: tape must be a Tape, got {type(tape).__name__}. Try tape = forward(params, xs).")
    require_floating(where, d_ys=d_ys)
    T, B, K = tape.ys.shape
    hint = "It is dL/dy at every step; zeros where a step has no loss."
    if d_ys.shape == (B, T, K):
        hint = "Are time and batch swapped?"
    require_shape(where, "d_ys", d_ys, (T, B, K), match="like tape.ys", hint=hint)
    (D, H), K = params.W_xh.shape, params.b_y.size
    for name, shape in {"xs": (T, B, D), "hs": (T + 1, B, H), "ys": (T, B, K)}.items():
        hint = "Is the tape another net's?"
        require_shape(where, f"tape.{name}", getattr(tape, name), shape, match="to match params", hint=hint)
    require_finite(where, d_ys=d_ys, xs=tape.xs, hs=tape.hs, **params._asdict())
    if window is not None:
        require_size(
            where, "window", window, most=T, hint="1 looks back through no step but its own, None through all."
        )
