"""The catalogue of classic wrong backward passes, in words: what the code does, how it looks, why it happens, what to do."""

from typing import NamedTuple


class Mistake(NamedTuple):
    """An entry of the catalogue, in words."""

    title: str  # what the code does
    looks_like: str  # the line, as it is usually written
    why: str  # how it comes about, and what gives it away
    fix: str  # what to do
    chapter: str  # what to re-read: a chapter and its section


CATALOGUE = {
    "error_not_carried": Mistake(
        "The error is not carried back from step t+1",
        "d_h = d_ys[t] @ W_hy.T + d_hs[t] @ W_hh.T  # d_hs[t] is still zero",
        "An index that is one off reads an error that is not there yet. What comes out is the gradient truncated to one step, window = 1.",
        "Add delta[t+1] @ W_hh.T to the error of step t, before the slope of tanh.",
        "chapter 03, A state is used twice",
    ),
    "tanh_slope_misplaced": Mistake(
        "The slope of tanh is taken at the wrong place, or left out",
        "delta = d_h * (1 - np.tanh(h) ** 2)  # h is a tanh already",
        "tanh'(a) = 1 - tanh(a)² = 1 - h²: a function of a, or a plain square of h of the same step, but never tanh' of h.",
        "Multiply the whole error at h_t, own and carried, by 1 - h_t ** 2.",
        "chapter 03, A state is used twice",
    ),
    "W_hh_not_transposed": Mistake(
        "W_hh is not transposed on the way back",
        "d_h = d_ys[t] @ W_hy.T + delta[t+1] @ W_hh",
        "Forward, h @ W_hh sums over the rows of W_hh; backward, the error of a row is a sum over its columns. The shapes fit either way.",
        "Send the error back through W_hh.T.",
        "chapter 03, A state is used twice",
    ),
    "h_t_for_h_prev": Mistake(
        "A sum takes the state from the wrong side of the step: h_t in dW_hh, or h_{t-1} in dW_hy",
        "dW_hh += hs[t].T @ delta[t]  # hs[t] is the state after step t",
        "W_hh multiplies the state before the step, W_hy the state after it. Only that one gradient is off.",
        "In dW_hh pair delta[t] with the state that went into step t, in dW_hy pair d_ys[t] with the state that came out.",
        "chapter 03, A weight is used at every step",
    ),
    "h0_dropped": Mistake(
        "h0, or the first step with it, is left out",
        "for t in range(1, T): dW_hh += hs[t-1].T @ delta[t]  # and h0's own gradient stays zero",
        "h0 is taken for a constant zero: the first step's term in a sum, or h0's own gradient, is missing. With h0 = 0 less of it shows.",
        "Let the sums begin with step 1, dW_hh with h0.T @ delta_1, and return dh0 = (delta_1 @ W_hh.T).sum(0).",
        "chapter 03, The first state",
    ),
    "dh0_not_summed_over_batch": Mistake(
        "dh0 is not summed over the batch",
        "dh0 = delta[0] @ W_hh.T  # (B, H)",
        "Every sequence starts from the same h0, so its gradient is the sum of theirs.",
        "Sum over the batch axis: (delta[0] @ W_hh.T).sum(0).",
        "chapter 03, The first state",
    ),
    "overwritten_not_summed": Mistake(
        "The gradient of a weight is overwritten at each step, not summed",
        "dW_hh = hs[t-1].T @ delta[t]",
        "A weight acts at every step, and its gradient is the sum of what it did. With = the last step visited is all that is left.",
        "Use += on an array of zeros, or one product over all steps.",
        "chapter 03, A weight is used at every step",
    ),
    "bias_not_summed_over_time": Mistake(
        "A bias gradient is not summed over time and batch",
        "db_h = delta[0].sum(0)  # one step only; or (T, H) or (B, H), left as it is",
        "A bias acts at every step too, though no time index stands on it.",
        "Sum over time and batch: delta.sum((0, 1)).",
        "chapter 03, A weight is used at every step",
    ),
    "mean_over_time": Mistake(
        "A mean over time is taken where the sum is due",
        "dW_hh /= T",
        "Whether the loss is a mean is settled in dL/dy already; from there on all is sums.",
        "Drop the division by T; it belongs to the loss.",
        "chapter 03, Where the error starts",
    ),
    "mean_over_batch": Mistake(
        "A mean over the batch is taken where the sum is due",
        "dW_hh /= B",
        "Whether the loss is a mean is settled in dL/dy already; from there on all is sums.",
        "Drop the division by B; it belongs to the loss.",
        "chapter 03, Where the error starts",
    ),
    "wrong_sign": Mistake(
        "The sign is turned round",
        "d_ys = targets - ys",
        "The gradient points uphill, and the step subtracts it. A sign in the error as well makes it climb.",
        "dL/dy of a squared error is ys - targets; the minus belongs to the update.",
        "chapter 03, Where the error starts",
    ),
    "tape_corrupted": Mistake(
        "An in-place operation has overwritten the tape",
        "h = hs[t]; h *= h; slope = 1 - h  # hs[t] is now h²",
        "hs[t] is a view, not a copy; *= and += write through it, and whoever reads the tape later reads something else.",
        "Write slope = 1 - hs[t] ** 2, which makes a new array, or copy first.",
        "chapter 03, The whole backward pass",
    ),
    "output_error_twice": Mistake(
        "The output's error is counted twice",
        "d_h = d_ys[t] @ W_hy.T; ...; d_h += d_ys[t] @ W_hy.T",
        "Each step's own error enters once; what comes from later steps is in the carried error already.",
        "Add dL/dy_t W_hy.T once a step.",
        "chapter 03, A state is used twice",
    ),
}
