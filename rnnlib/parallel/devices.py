"""One gradient from many devices: each has the parameters and some of the sequences, and all add up."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from rnnlib.validation import require_array

AXIS = "batch"


def sharded_gradient(total: Callable[..., tuple[Any, Any]], *, devices: Any = None) -> Callable[..., tuple[Any, Any]]:
    """Make a function that computes one gradient on many devices: L = Σ_d S_d / Σ_d n_d, and ∇L = Σ_d ∇S_d / Σ_d n_d.

    S_d is the sum of the losses of device d's sequences, n_d how many count. The mean of the devices' means would weigh a step by how
    few others its device had. The sums travel once a gradient: as many numbers as there are parameters, and two.

    Args:
        total: `total(params, *batch) -> (S, n)`: a sum of losses, and the number to divide by, such as that of the steps under a mask.
            It sees its own device's sequences alone.
        devices: of JAX; None for all of them, those of other processes included.

    Returns:
        `gradient(params, *batch) -> (L, ∇L)`. The arrays of a batch are (T, B, ...), and B is a multiple of the number of devices. With
        many processes each hands in its own sequences, as many as the others.

    Raises:
        ValueError: a batch that the devices can't share alike (when it is called).
        TypeError: a batch that holds something else than arrays (when it is called).

    Example:
        >>> import jax.numpy as jnp
        >>> def total(w, xs, mask):
        ...     return (w * xs * mask).sum(), mask.sum()
        >>> loss, grads = sharded_gradient(total)(2.0, np.ones((3, 8)), np.arange(24).reshape(3, 8) < 12)
        >>> float(loss), float(grads)
        (2.0, 1.0)

    Source: JAX's documentation, "Manual parallelism with shard_map"; the sums: Goodfellow, Bengio, Courville (2016), Deep Learning,
    section 8.1.3.
    """
    mesh = Mesh(np.array(jax.devices() if devices is None else devices), (AXIS,))
    rows, everywhere = PartitionSpec(None, AXIS), PartitionSpec()

    def here(params, *batch):
        # Their own copy for each device; a gradient by what all share would come summed already, and be summed again below.
        params = jax.tree.map(lambda p: jax.lax.pcast(p, AXIS, to="varying"), params)
        (value, count), grads = jax.value_and_grad(total, has_aux=True)(params, *batch)
        value, count, grads = jax.lax.psum((value, count, grads), AXIS)
        return value / count, jax.tree.map(lambda g: g / count, grads)

    def specs(batch):
        return (everywhere, *[rows] * len(batch))

    @jax.jit
    def run(params, *batch):
        return jax.shard_map(here, mesh=mesh, in_specs=specs(batch), out_specs=everywhere)(params, *batch)

    def gradient(params, *batch):
        _check_batch(batch, sum(device.process_index == jax.process_index() for device in mesh.devices))
        params = jax.tree.map(lambda p: _placed(p, NamedSharding(mesh, everywhere)), params)
        return run(params, *jax.tree.map(lambda a: _placed(a, NamedSharding(mesh, rows)), batch))

    return gradient


def _placed(array, sharding):
    """What this process holds, as its part of an array of all processes."""
    if isinstance(array, jax.Array) and array.sharding == sharding:
        return array
    return jax.make_array_from_process_local_data(sharding, np.asarray(array))


def _check_batch(batch, count):
    for i, part in enumerate(batch):
        for array in jax.tree.leaves(part):
            require_array("sharded_gradient", **{f"batch[{i}]": array})
            if len(array.shape) < 2 or array.shape[1] % count:
                raise ValueError(
                    f"sharded_gradient: batch[{i}] must be (T, B, ...) with B a multiple of {count} devices, got {tuple(array.shape)}. "
                    "Try batching.batches, which fills up with empty rows whose mask is 0."
                )
