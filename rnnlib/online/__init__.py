"""Gradients without going back: the influence of the parameters on the state, carried forward beside the state, in JAX, for any cell.

With the parts of a step (`rnnlib.cells`), p_t = drive(x_t) + recur(s_{t-1}) and s_t = advance(p_t, s_{t-1}), the influence M_t = ds_t/dθ
follows from the one before and the immediate term I_t = ∂p_t/∂θ, and a loss of step t needs no more than M_t:

    M_t = tangent(recur(M_{t-1}) + I_t, M_{t-1})        dL_t/dθ = (dL_t/ds_t) M_t

which is J_t M_{t-1} + ∂s_t/∂θ with J_t = ds_t/ds_{t-1}. Every method here is this recursion, with something dropped or drawn:

    rtrl            nothing                                                                exact; S · N numbers
    snap(n)         entries of M that are zero in the first n steps after a weight acts    biased; N numbers for n = 1
    rflo            recur: nothing passes from unit to unit                                biased; N numbers
    truncated(k)    all that acted k or more steps ago, by going back (`truncation`)       biased; k states
    uoro            M is u vᵀ, of random signs whose mean is right                         unbiased, noisy; S + N numbers
    kf_rtrl         M is a ⊗ A, drawn with two signs a step                                unbiased, less noisy; about S² numbers

for N weights that act on the state and a state of S numbers. The state that a stream begins with is a constant: it has no gradient here.

    methods    the recursion and its contract: `Method`, one step of it, a whole sequence
    exact      rtrl, and what drops parts of it: snap, rflo; truncated
    low_rank   uoro, kf_rtrl
    probe      how the weights of a cell act: whether units stay apart, whether p = a W
    bench      bias, variance and cosine of any of them, and of your own
"""

from rnnlib.online.bench import Score, gradient_bench
from rnnlib.online.exact import rflo, rtrl, snap, truncated
from rnnlib.online.low_rank import kf_rtrl, uoro
from rnnlib.online.methods import Method, Step, follow, start

__all__ = [
    "Method",
    "Score",
    "Step",
    "follow",
    "gradient_bench",
    "kf_rtrl",
    "rflo",
    "rtrl",
    "snap",
    "start",
    "truncated",
    "uoro",
]
