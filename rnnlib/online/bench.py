"""How far a method's gradient is from the exact one: its bias, its variance and its cosine, for any method of the contract."""

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from rnnlib.online.exact import truncated
from rnnlib.online.methods import Step, acting, check
from rnnlib.validation import require_size


class Score(NamedTuple):
    """What `gradient_bench` says of a method, about the weights that act on the state. Lengths are relative to the exact gradient's."""

    bias: float  # ‖mean − exact‖ / ‖exact‖
    variance: float  # the mean of ‖estimate − mean‖² / ‖exact‖²
    cosine: float  # of one estimate with the exact gradient, on average
    chance: float  # √(variance / samples): the bias that an unbiased method shows by chance
    estimates: Float[np.ndarray, "samples N"]  # every estimate, a weight a column, by the length of the exact gradient
    exact: Float[np.ndarray, " N"]  # the exact gradient, by its length


def gradient_bench(
    methods: dict[str, Callable], net: Any, data: tuple, *, samples: int = 100, key: jax.Array
) -> dict[str, Score]:
    """Draw gradients of one net on one batch from each method, and hold them against BPTT in full: E‖g − g*‖² = bias² + variance.

    What the readout gets is exact in every method and left out, and so is h0, which is held constant.

    Args:
        methods: by name, functions in JAX `method(params, xs, d_ys, key)` to a gradient like params: each `Method`, what `truncated`
            returns, or your own.
        net: the parameters of a cell of `rnnlib.cells`.
        data: `(xs, d_ys)`, inputs (T, B, D) and the errors dL/dy (T, B, K) that come in.
        samples: estimates of each, with a key of its own; those that use none are run once.
        key: a JAX key.

    Returns:
        A `Score` for each name.

    Raises:
        ValueError: shapes that disagree, fewer than 2 samples, a gradient that is zero or built otherwise than the parameters.
        TypeError: methods that are no dict, a method that takes other arguments or is written in NumPy, parameters that are no cell's.

    Example:
        >>> from rnnlib import cells, online
        >>> net, xs = cells.init_elman(3, 4, 2, rng=np.random.default_rng(0)), np.ones((7, 5, 3))
        >>> scores = gradient_bench({"RTRL": online.rtrl, "UORO": online.uoro}, net, (xs, xs[..., :2]), key=jax.random.key(0))
        >>> scores["RTRL"].bias < 1e-5 < 1e-3 < scores["UORO"].variance
        True

    Source: Marschall, Cho, Savin (2020), arXiv 1907.02649, whose gradients are compared by their cosines.
    """
    if not isinstance(methods, dict):
        hint = 'Try {"mine": method}.'
        raise TypeError(f"gradient_bench: methods must be a dict of functions, got {type(methods).__name__}. {hint}")
    require_size("gradient_bench", "samples", samples, least=2, hint="A variance takes two.")
    xs, d_ys = data
    check("gradient_bench", net, xs, d_ys)
    state = jax.tree.map(jnp.asarray, net.h0)
    acts = acting(net, Step(jnp.asarray(xs[0, 0]), state, state, None))

    def flat(grads):
        leaves = [jnp.ravel(leaf) for leaf, used in zip(jax.tree.leaves(grads), acts, strict=True) if used]
        return jnp.concatenate(leaves)

    exact = flat(jax.jit(truncated())(net, xs, d_ys))
    length = float(jnp.linalg.norm(exact))
    if not length:
        raise ValueError("gradient_bench: the exact gradient must not be zero, got zero. Are all of d_ys zero?")
    keys, scores = jax.random.split(key, samples), {}
    for name, method in methods.items():
        _require_gradient(name, method, net, (xs, d_ys, key))
        draw = jax.jit(jax.vmap(lambda key, method=method: flat(method(net, xs, d_ys, key))))
        scores[name] = _score(np.asarray(draw(keys)) / length, np.asarray(exact) / length)
    return scores


def _require_gradient(name, method, net, rest):
    """Ask a method for a gradient without running it, and say in which way it is none."""
    where = f"gradient_bench: {name}"
    try:
        inspect.signature(method).bind(net, *rest)
    except TypeError as error:
        hint = "One that draws nothing takes a key too, and leaves it alone."
        raise TypeError(f"{where} must take (params, xs, d_ys, key), got a function with {error}. {hint}") from error
    try:
        grads = jax.eval_shape(method, net, *rest)
    except jax.errors.TracerArrayConversionError as error:
        hint = "Try jnp for np, and jax.lax.scan for a loop over steps."
        raise TypeError(
            f"{where} must be written in JAX, got one that turns its arguments into NumPy arrays. {hint}"
        ) from error
    if jax.tree.structure(grads) != jax.tree.structure(net):
        found = jax.tree.structure(grads)
        raise ValueError(f"{where} must return a gradient like the net, got {found}. One array a field.")
    for (path, leaf), grad in zip(jax.tree.leaves_with_path(net), jax.tree.leaves(grads), strict=True):
        if np.shape(leaf) != grad.shape:
            field, hint = jax.tree_util.keystr(path), "Is it transposed, or not yet summed over the batch?"
            raise ValueError(f"{where} must return {field} like the net's, {np.shape(leaf)}, got {grad.shape}. {hint}")


def _score(estimates, exact):
    mean, lengths = estimates.mean(0), np.linalg.norm(estimates, axis=1)
    variance = float(((estimates - mean) ** 2).sum() / (len(estimates) - 1))
    cosine = float(np.mean(estimates @ exact / np.where(lengths > 0, lengths, 1)))
    bias, chance = float(np.linalg.norm(mean - exact)), float(np.sqrt(variance / len(estimates)))
    return Score(bias, variance, cosine, chance, estimates, exact)
