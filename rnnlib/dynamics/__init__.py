"""What a recurrence does to small changes: Jacobians of the state along a run, their products and growth, and the gradient by lag.

Rows are errors, columns are changes of the state. With J_t = dh_t/dh_{t-1}, of shape (H, H) with the later state first, a change runs
forward as dh_t = J_t dh_{t-1} and an error runs back as dL/dh_{t-1} = (dL/dh_t) J_t. For an Elman net J_t = diag(1 − h_t²) W_hhᵀ.

    jacobians    of each step, their products, and how far errors come back
    spectra      singular values, spectral radius, Lyapunov exponents
    penalty      a price on errors that change their length
"""

from rnnlib.dynamics.jacobians import gradient_by_lag, jacobians, products
from rnnlib.dynamics.penalty import penalised, total_errors, vanishing_penalty
from rnnlib.dynamics.spectra import lyapunov_exponents, singular_values, spectral_radius

__all__ = [
    "gradient_by_lag",
    "jacobians",
    "lyapunov_exponents",
    "penalised",
    "products",
    "singular_values",
    "spectral_radius",
    "total_errors",
    "vanishing_penalty",
]
