"""The right backward pass of any of the three cells, in NumPy: the tangent of a step, transposed.

`cells` gives each cell's step as `advance`, elementwise, and its derivative as `tangent`. What is elementwise has a diagonal Jacobian, so
feeding `tangent` one block of ones at a time reads off ∂(new state)/∂(block) unit by unit, and the transpose is a sum of products. Any
number of losses is sent back at once: they are a leading axis N.
"""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from rnnlib.cells import GRUParams


class Run(NamedTuple):
    """A forward pass: all T + 1 states, and what each step kept for its derivative."""

    states: tuple  # T + 1 states, each a tuple of arrays (B, H): (h,), or (h, c)
    kept: tuple  # T times what `advance` kept
    a: Float[np.ndarray, "T B P"]  # pre-activations

    @property
    def hs(self) -> Float[np.ndarray, "states B H"]:
        """What the readout and the recurrence see: h_0 ... h_T."""
        return np.stack([state[0] for state in self.states])


def leaves(state: Any) -> tuple:
    """Return a state as a tuple of arrays, (h,) or (h, c)."""
    return tuple(map(np.asarray, state)) if isinstance(state, tuple) else (np.asarray(state),)


def like(state: Any, arrays: tuple) -> Any:
    """Put arrays back into the form of a state."""
    return type(state)(*arrays) if isinstance(state, tuple) else arrays[0]


def run(params: Any, xs: Float[np.ndarray, "T B D"], start: Any = None) -> Run:
    """Run a cell over time: s_t = advance(drive(x_t) + recur(s_{t−1}), s_{t−1}).

    Args:
        params: `ElmanParams`, `LSTMParams`, `GRUParams`, or a cell with their parts.
        xs: (T, B, D), the inputs.
        start: the state of every sequence before the first step, arrays (B, H); None for `params.h0`.

    Returns:
        The `Run`.
    """
    B = xs.shape[1]
    arrays = leaves(params.h0 if start is None else start)
    state = like(params.h0, tuple(np.broadcast_to(s, (B, s.shape[-1])) for s in arrays))
    states, keeps, pre = [leaves(state)], [], []
    for x in xs:
        pre.append(params.drive(x) + params.recur(state))
        state, kept = params.advance(pre[-1], state)
        states.append(leaves(state))
        keeps.append(kept)
    return Run(tuple(states), tuple(keeps), np.stack(pre))


def errors(
    params: Any, trace: Run, d_ys: Float[np.ndarray, "N T B K"]
) -> tuple[Float[np.ndarray, "N T B P"], tuple, tuple]:
    """Send N losses back: dL/dp_t at every step's pre-activation p_t, and dL/ds at every state.

    Args:
        params: the cell.
        trace: its forward pass.
        d_ys: (N, T, B, K), dL/dy of each of the N losses.

    Returns:
        `(d_ps, d_states, d_start)`: (N, T, B, P); T tuples of (N, B, H), the whole error of each state; the same for the first state.
    """
    own = d_ys @ params.W_hy.T  # (N, T, B, H)
    d_ps, d_states = np.empty((*own.shape[:3], trace.a.shape[-1])), [()] * own.shape[1]
    d_state = tuple(np.zeros(own[:, 0].shape) for _ in trace.states[0])
    for t in reversed(range(own.shape[1])):
        d_state = (d_state[0] + own[:, t], *d_state[1:])
        d_states[t] = d_state
        by_p, by_state = partials(params, trace, t)
        d_ps[:, t] = np.concatenate([_pull(d_state, column) for column in by_p], axis=-1)
        d_state = tuple(_pull(d_state, column) for column in by_state)
        d_state = (d_state[0] + recurrent(params, d_ps[:, t]) @ params.W_hh.T, *d_state[1:])
    return d_ps, tuple(d_states), d_state


def partials(params: Any, trace: Run, t: int) -> tuple[list, list]:
    """Read off a step's derivatives, unit by unit: for each block of p, and each array of the old state, those of the new state's arrays.

    Args:
        params: the cell.
        trace: its forward pass.
        t: the step, from 0.

    Returns:
        Two lists of tuples of arrays (B, H).
    """
    old, new = (like(params.h0, state) for state in trace.states[t : t + 2])
    H, zero = trace.states[0][0].shape[-1], [np.zeros_like(s) for s in trace.states[t]]

    def derivative(d_p, d_arrays):
        return leaves(params.tangent(d_p, like(params.h0, tuple(d_arrays)), old, new, trace.kept[t]))

    by_p, by_state = [], []
    for k in range(trace.a.shape[-1] // H):
        d_p = np.zeros_like(trace.a[t])
        d_p[..., k * H : (k + 1) * H] = 1
        by_p.append(derivative(d_p, zero))
    for j in range(len(zero)):
        by_state.append(derivative(np.zeros_like(trace.a[t]), [z + (i == j) for i, z in enumerate(zero)]))
    return by_p, by_state


def driven(params: Any, d_ps: np.ndarray) -> np.ndarray:
    """Return the columns of dL/dp that the inputs feed: all, but for a GRU's candidate of the state."""
    return d_ps[..., : params.W_xh.shape[1]]


def recurrent(params: Any, d_ps: np.ndarray) -> np.ndarray:
    """Return the columns of dL/dp that h W_hh feeds: all, but for a GRU's candidate of the input."""
    if not isinstance(params, GRUParams):
        return d_ps
    H = d_ps.shape[-1] // 4
    return np.concatenate([d_ps[..., : 2 * H], d_ps[..., 3 * H :]], axis=-1)


def gradients(
    params: Any, xs: Float[np.ndarray, "T B D"], d_ys: Float[np.ndarray, "N T B K"], start: Any = None
) -> dict[str, np.ndarray]:
    """Return the right gradients of N losses, by the parameter's name; of a state (h, c) as "h0.h" and "h0.c".

    Args:
        params: the cell.
        xs: (T, B, D), the inputs.
        d_ys: (N, T, B, K), dL/dy of each loss.
        start: as for `run`.

    Returns:
        Arrays (N, ...) by name.

    Example:
        >>> from rnnlib.cells import init_lstm
        >>> params = init_lstm(3, 4, 2, rng=np.random.default_rng(0))
        >>> gradients(params, np.ones((5, 1, 3)), np.ones((7, 5, 1, 2)))["W_hh"].shape
        (7, 4, 16)

    Source: Werbos (1990), Backpropagation through time, Proc. IEEE 78, section III, with `tangent` for the ordered derivatives.
    """
    trace = run(params, xs, start)
    d_ps, _, d_start = errors(params, trace, d_ys)
    grads = {
        "W_xh": np.einsum("tbd,ntbp->ndp", xs, driven(params, d_ps)),
        "W_hh": np.einsum("tbh,ntbp->nhp", trace.hs[:-1], recurrent(params, d_ps)),
        "b_h": driven(params, d_ps).sum((1, 2)),
        "W_hy": np.einsum("tbh,ntbk->nhk", trace.hs[1:], d_ys),
        "b_y": d_ys.sum((1, 2)),
    }
    if isinstance(params, GRUParams):
        grads["b_n"] = d_ps[..., params.W_xh.shape[1] :].sum((1, 2))
    names = [f"h0.{name}" for name in params.h0._fields] if isinstance(params.h0, tuple) else ["h0"]
    return grads | {name: d.sum(1) for name, d in zip(names, d_start, strict=True)}


def _pull(d_state, column):
    return sum(d * by for d, by in zip(d_state, column, strict=True))
