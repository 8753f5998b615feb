"""The catalogue of classic wrong backward passes, in words: what the code does, how it looks, why it happens, what to do."""

from typing import NamedTuple


class Entry(NamedTuple):
    """An entry of the catalogue, in words."""

    title: str  # what the code does
    looks_like: str  # the line, as it is usually written
    why: str  # how it comes about, and what gives it away
    fix: str  # what to do
    chapter: str  # what to re-read: a chapter and its section


CATALOGUE = {
    "error_not_carried": Entry(
        "The error is not carried back from step t+1",
        "d_h = d_ys[t] @ W_hy.T + d_hs[t] @ W_hh.T  # d_hs[t] is still zero",
        "An index that is one off reads an error that is not there yet. What comes out is the gradient truncated to one step, window = 1.",
        "Add delta[t+1] @ W_hh.T to the error of step t, before the slope of tanh.",
        "chapter 03, A state is used twice",
    ),
    "tanh_slope_misplaced": Entry(
        "The slope of tanh is taken at the wrong place, or left out",
        "delta = d_h * (1 - np.tanh(h) ** 2)  # h is a tanh already",
        "tanh'(a) = 1 - tanh(a)² = 1 - h²: a function of a, or a plain square of h of the same step, but never tanh' of h.",
        "Multiply the whole error at h_t, own and carried, by 1 - h_t ** 2.",
        "chapter 03, A state is used twice",
    ),
    "W_hh_not_transposed": Entry(
        "W_hh is not transposed on the way back",
        "d_h = d_ys[t] @ W_hy.T + delta[t+1] @ W_hh",
        "Forward, h @ W_hh sums over the rows of W_hh; backward, the error of a row is a sum over its columns. The shapes fit either way.",
        "Send the error back through W_hh.T.",
        "chapter 03, A state is used twice",
    ),
    "h_t_for_h_prev": Entry(
        "A sum takes the state from the wrong side of the step: h_t in dW_hh, or h_{t-1} in dW_hy",
        "dW_hh += hs[t].T @ delta[t]  # hs[t] is the state after step t",
        "W_hh multiplies the state before the step, W_hy the state after it. Only that one gradient is off.",
        "In dW_hh pair delta[t] with the state that went into step t, in dW_hy pair d_ys[t] with the state that came out.",
        "chapter 03, A weight is used at every step",
    ),
    "h0_dropped": Entry(
        "h0, or the first step with it, is left out",
        "for t in range(1, T): dW_hh += hs[t-1].T @ delta[t]  # and h0's own gradient stays zero",
        "h0 is taken for a constant zero: the first step's term in a sum, or h0's own gradient, is missing. With h0 = 0 less of it shows.",
        "Let the sums begin with step 1, dW_hh with h0.T @ delta_1, and return dh0 = (delta_1 @ W_hh.T).sum(0).",
        "chapter 03, The first state",
    ),
    "dh0_not_summed_over_batch": Entry(
        "dh0 is not summed over the batch",
        "dh0 = delta[0] @ W_hh.T  # (B, H)",
        "Every sequence starts from the same h0, so its gradient is the sum of theirs.",
        "Sum over the batch axis: (delta[0] @ W_hh.T).sum(0).",
        "chapter 03, The first state",
    ),
    "overwritten_not_summed": Entry(
        "The gradient of a weight is overwritten at each step, not summed",
        "dW_hh = hs[t-1].T @ delta[t]",
        "A weight acts at every step, and its gradient is the sum of what it did. With = the last step visited is all that is left.",
        "Use += on an array of zeros, or one product over all steps.",
        "chapter 03, A weight is used at every step",
    ),
    "bias_not_summed_over_time": Entry(
        "A bias gradient is not summed over time and batch",
        "db_h = delta[0].sum(0)  # one step only; or (T, H) or (B, H), left as it is",
        "A bias acts at every step too, though no time index stands on it.",
        "Sum over time and batch: delta.sum((0, 1)).",
        "chapter 03, A weight is used at every step",
    ),
    "mean_over_time": Entry(
        "A mean over time is taken where the sum is due",
        "dW_hh /= T",
        "Whether the loss is a mean is settled in dL/dy already; from there on all is sums.",
        "Drop the division by T; it belongs to the loss.",
        "chapter 03, Where the error starts",
    ),
    "mean_over_batch": Entry(
        "A mean over the batch is taken where the sum is due",
        "dW_hh /= B",
        "Whether the loss is a mean is settled in dL/dy already; from there on all is sums.",
        "Drop the division by B; it belongs to the loss.",
        "chapter 03, Where the error starts",
    ),
    "wrong_sign": Entry(
        "The sign is turned round",
        "d_ys = targets - ys",
        "The gradient points uphill, and the step subtracts it. A sign in the error as well makes it climb.",
        "dL/dy of a squared error is ys - targets; the minus belongs to the update.",
        "chapter 03, Where the error starts",
    ),
    "tape_corrupted": Entry(
        "An in-place operation has overwritten the tape",
        "h = hs[t]; h *= h; slope = 1 - h  # hs[t] is now h²",
        "hs[t] is a view, not a copy; *= and += write through it, and whoever reads the tape later reads something else.",
        "Write slope = 1 - hs[t] ** 2, which makes a new array, or copy first.",
        "chapter 03, The whole backward pass",
    ),
    "output_error_twice": Entry(
        "The output's error is counted twice",
        "d_h = d_ys[t] @ W_hy.T; ...; d_h += d_ys[t] @ W_hy.T",
        "Each step's own error enters once; what comes from later steps is in the carried error already.",
        "Add dL/dy_t W_hy.T once a step.",
        "chapter 03, A state is used twice",
    ),
    "own_error_left_out": Entry(
        "A step's own error is left out",
        "d_h = delta[t+1] @ W_hh.T  # where is dL/dy_t?",
        "Every step has two errors, its own loss's and the one from later. Who thinks of one loss at the end alone drops the others.",
        "Begin each step with d_ys[t] @ W_hy.T, zeros where it has no loss, and add what is carried.",
        "chapter 03, A state is used twice",
    ),
    "errors_accumulated": Entry(
        "What is carried back piles up from step to step",
        "d_next += delta[t] @ W_hh.T  # = belongs here",
        "δ_t holds all that came from later steps already. Added to what was carried before, each later error counts again at every step.",
        "Set it anew at each step, d_next = delta[t] @ W_hh.T. Only the weights' gradients are sums over time.",
        "chapter 03, A state is used twice",
    ),
    "W_hy_not_transposed": Entry(
        "W_hy is not transposed on the way from dL/dy to dL/dh",
        "d_h = d_ys[t] @ W_hy  # the shapes fit where H = K",
        "As with W_hh: what is a sum over rows forward is a sum over columns backward.",
        "Send dL/dy back through W_hy.T.",
        "chapter 03, Where the error starts",
    ),
    "error_before_slope": Entry(
        "A sum takes the error before it has met the slope of tanh",
        "db_h += d_h.sum(0)  # d_h is dL/dh_t, not δ_t",
        "b_h, W_xh and W_hh act on a_t, inside of tanh; dL/dh_t is the error outside of it.",
        "Sum δ_t = d_h * (1 - h_t ** 2).",
        "chapter 03, A weight is used at every step",
    ),
    "wrong_first_state": Entry(
        "At the first step the sum takes another state than h0",
        "dW_hh += hs[t-1].T @ delta[t]  # at t = 0 this is hs[-1], the last state",
        "A list of states without h0 in front has none before its first: index -1 is its last, and a hand-made guard takes its own.",
        "Keep h0 in front of the states, hs[0] = h0, so that every step finds the state before it.",
        "chapter 03, The first state",
    ),
    "input_of_another_step": Entry(
        "dW_xh takes the input of a neighbouring step",
        "dW_xh += xs[t-1].T @ delta[t]",
        "h_{t-1} goes with δ_t, and so x_{t-1} is written beside it. But x_t and h_{t-1} enter the same step.",
        "Pair delta[t] with the input of the same step, xs[t].",
        "chapter 03, A weight is used at every step",
    ),
    "dh0_without_W_hh": Entry(
        "dh0 is the error of the first step, without the last stride back",
        "dh0 = delta[0].sum(0)",
        "δ_1 is the error at a_1, inside the first step; h0 is one W_hh further back.",
        "Return (delta[0] @ W_hh.T).sum(0).",
        "chapter 03, The first state",
    ),
    "gradient_transposed": Entry(
        "The gradient of a square matrix is transposed",
        "dW_hh += delta[t].T @ hs[t-1]",
        "A gradient has its matrix's shape; where that is square, no shape tells the two orders apart.",
        "What goes into the product forward stands on the left: hs[t-1].T @ delta[t].",
        "chapter 03, A weight is used at every step",
    ),
    "repeated_symbols_lost": Entry(
        "Of a symbol that comes twice only the last time counts",
        "dW_xh[ids[t]] += delta[t]  # a symbol twice in the batch",
        "With a list of indices, += reads all rows, adds, and writes: of equal indices the last one wins.",
        "np.add.at(dW_xh, ids[t], delta[t]) adds every one; so does the product with one-hot inputs.",
        "chapter 03, A weight is used at every step",
    ),
    "time_and_batch_swapped": Entry(
        "Time and batch are swapped",
        "for t in range(xs.shape[1]): h = tanh(xs[:, t] ...)  # xs is (T, B, D)",
        "The net reads the sequences of the batch as steps of time. All shapes fit, and where T = B nothing at all complains.",
        "Loop over axis 0, or hand over (T, B, D): np.swapaxes(xs, 0, 1).",
        "chapter 02, Every array, to scale",
    ),
    "cell_error_not_carried": Entry(
        "The error is not carried back along the cell",
        "d_c = d_h * o * (1 - tanh(c) ** 2)  # and dc_{t+1} f_{t+1}?",
        "c_t goes into c_{t+1} times f, in a GRU h_t into h_{t+1} times z: the road that gates are for. Without it the net forgets.",
        "Add dc_{t+1} f_{t+1} to the error of c_t; in a GRU dh_{t+1} z_{t+1} to that of h_t.",
        "chapter 10, The road",
    ),
    "gate_derivative_wrong": Entry(
        "The derivative of a gate is another one",
        "d_f = d_c * cs[t] * f * (1 - f)  # c_t, where c_{t-1} belongs",
        "Each gate's error is a product of factors, and σ and tanh are kept as values f and g: their slopes are f (1 - f) and 1 - g².",
        "Write each gate's line from the step: what multiplies the gate, times the slope at its value.",
        "chapter 10, From one tanh to a memory cell",
    ),
    "gates_reordered": Entry(
        "The gates come in another order in the gradient than in the parameters",
        "d_a = np.concatenate([d_f, d_i, d_o, d_g], axis=-1)",
        "Libraries disagree: torch has i, f, g, o and r, z, n, Keras i, f, c, o and z, r, h. Every shape fits.",
        "Put the blocks in the order of the parameters' columns: i, f, g, o; r, z, n.",
        "chapter 10, From one tanh to a memory cell",
    ),
}

GATED = frozenset(
    {"cell_error_not_carried", "gate_derivative_wrong", "gates_reordered"}
)  # what only a net with gates can have
