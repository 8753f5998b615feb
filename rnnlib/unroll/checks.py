"""What every way to unroll asks of its arguments, and makes of them."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from rnnlib.validation import axes_hint, require_array, require_floating, require_shape

Inputs = Float[Any, "T B D"]
Mask = Bool[Any, "T B"] | Int[Any, "T B"] | Float[Any, "T B"]


def check(where, params, xs, state):
    """Inputs and the first state as JAX arrays of one type, (T, B, D) and (B, H), once they are known to fit the cell."""
    if not hasattr(params, "recur"):
        hint = "Try init_elman(D, H, K, rng=rng)."
        raise TypeError(f"{where}: params must be a cell of rnnlib.cells, got {type(params).__name__}. {hint}")
    require_floating(where, xs=xs)
    D, P = params.W_xh.shape
    require_shape(where, "xs", xs, ("T", "B", D), match=f"to match W_xh ({D}, {P})", hint=axes_hint(xs.shape, D))
    xs, B = jnp.asarray(xs), xs.shape[1]
    dtype = jnp.result_type(xs, *jax.tree.leaves(params))  # a scan's carry must begin as it goes on
    if state is None:
        return xs, jax.tree.map(lambda h: jnp.broadcast_to(jnp.asarray(h, dtype), (B, *h.shape)), params.h0)
    if jax.tree.structure(state) != jax.tree.structure(params.h0):
        wanted, got = type(params.h0).__name__, type(state).__name__
        raise ValueError(f"{where}: state must be built as params.h0 is, an {wanted}, got {got}. None starts from h0.")
    for given, h in zip(jax.tree.leaves(state), jax.tree.leaves(params.h0), strict=True):
        hint = "One state for each sequence; None starts from h0."
        require_shape(where, "state", given, (B, *h.shape), match="(B, H), as h0", hint=hint)
    return xs, jax.tree.map(lambda s: jnp.asarray(s, dtype), state)


def check_mask(where, mask, xs):
    """The mask as truth values (T, B), once it is known to hold 0 and 1 only."""
    require_array(where, mask=mask)
    hint = "Are time and batch swapped?"
    require_shape(where, "mask", mask, xs.shape[:2], match=f"to match xs {tuple(xs.shape)}", hint=hint)
    if not isinstance(mask, jax.core.Tracer) and not np.isin(mask, (0, 1)).all():
        odd = np.asarray(mask)[~np.isin(mask, (0, 1))][0]
        raise ValueError(f"{where}: mask must hold 0 and 1 only, got {odd}. Weights belong into the loss.")
    return jnp.asarray(mask, bool)
