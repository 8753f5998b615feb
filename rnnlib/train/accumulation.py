"""One gradient from batches of different shapes."""

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp


def accumulate(
    objective: Callable[..., Any], params: Any, batches: Iterable[tuple[Any, ...]], *, weigh: Callable[..., Any]
) -> tuple[Any, Any]:
    """Add up the gradients of batches of any shape, and divide once: ∇L with L = Σ_n w_n L_n / Σ_n w_n.

    With w_n the steps of batch n and L_n their mean it is the gradient of the mean over all steps; with w_n the sequences and L_n the
    mean of their means, that of the mean over all sequences. Holds one gradient at a time, whatever the number of batches.

    Args:
        objective: `objective(params, *batch) -> L_n`, a mean.
        params: what to differentiate with respect to.
        batches: tuples of arrays; a new shape is a new compilation.
        weigh: `weigh(*batch) -> w_n`, how much a batch counts.

    Returns:
        `(L, ∇L)`.

    Raises:
        ValueError: no batches, or weights that sum to nothing.

    Example:
        >>> import numpy as np
        >>> def mean(w, xs):
        ...     return (w * xs).mean()
        >>> loss, grads = accumulate(mean, 2.0, [(np.ones(3),), (np.zeros(1),)], weigh=len)
        >>> float(loss), float(grads)
        (1.5, 0.75)

    Source: Goodfellow, Bengio, Courville (2016), Deep Learning, section 8.1.3: the gradient of a sum is the sum of the gradients.
    """
    gradient = _gradient(objective)
    total, weight = None, 0.0
    for batch in batches:
        w = weigh(*batch)
        here = jax.tree.map(lambda g, w=w: w * g, gradient(params, *batch))
        total, weight = here if total is None else jax.tree.map(jnp.add, total, here), weight + w
    if not weight > 0:
        raise ValueError(
            f"accumulate: the weights of all batches must sum to more than 0, got {weight}. Is `batches` used up?"
        )
    return jax.tree.map(lambda g: g / weight, total)


@lru_cache(maxsize=16)
def _gradient(objective):
    """Compiled once for each objective and shape, not once a call."""
    return jax.jit(jax.value_and_grad(objective))
