"""How the weights of every cell are drawn."""

import numpy as np

from rnnlib.validation import is_floating, require_size


def drawing(where, D, H, K, rng, gain, dtype):
    """Functions that draw weights and make zeros, once the arguments are known to be good."""
    for name, size in {"D": D, "H": H, "K": K}.items():
        require_size(where, name, size, hint="The order is (D, H, K).")
    if not isinstance(rng, np.random.Generator):
        raise TypeError(
            f"{where}: rng must be a np.random.Generator, got {type(rng).__name__}. Try np.random.default_rng(0)."
        )
    if not is_floating(dtype):
        raise TypeError(f"{where}: dtype must be a floating-point type, got {dtype}. Try np.float64.")

    def weights(fan_in, fan_out):
        return (rng.standard_normal((fan_in, fan_out)) * gain / np.sqrt(fan_in)).astype(dtype)

    return weights, lambda size: np.zeros(size, dtype)
