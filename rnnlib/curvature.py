"""Curvature without its matrix: products of the Jacobian, the Hessian and the Gauss-Newton matrix with one vector at a time.

A net takes parameters θ (N numbers, any pytree) to outputs z, a loss takes z to a number L. With J = ∂z/∂θ and H_L = ∂²L/∂z²,

    J v       how z moves when θ moves along v: forward mode, one linear scan along time
    uᵀ J      how a change of z is felt by θ: reverse mode, one linear scan back
    H v       the derivative of the gradient along v: the one inside the other
    G v       Jᵀ H_L J v, the Hessian of L where z is replaced by its tangent: forward, times H_L, and back

G has no negative eigenvalue where L is convex in z. None of these ever holds N² numbers, and each costs no more than a few gradients.
A mask needs nothing of its own: it is part of the functions given (`unroll_scan(..., mask=mask)`, `losses.mean_over_steps(mask)`).
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

Product = Callable[[Any], Any]


def jacobian_vector(outputs: Callable[[Any], Any], params: Any, v: Any) -> Any:
    """Return J v, the directional derivative of the outputs: how z(θ) begins to change as θ moves along v.

    Args:
        outputs: `outputs(params) -> z`, an array or a pytree of them.
        params: θ, a pytree of floating-point arrays.
        v: a direction, shaped as the parameters.

    Returns:
        J v, shaped as z.

    Raises:
        ValueError: a direction that is not shaped as the parameters.

    Example:
        >>> jacobian_vector(lambda w: w**2, jnp.array([1.0, 2.0]), jnp.array([1.0, 0.0])).tolist()
        [2.0, 0.0]

    Source: Pearlmutter (1994), Fast exact multiplication by the Hessian, Neural Computation 6: the R operator, of a forward pass.
    """
    _check_direction("jacobian_vector", params, v)
    return jax.jvp(outputs, (params,), (v,))[1]


def vector_jacobian(outputs: Callable[[Any], Any], params: Any, u: Any) -> Any:
    """Return uᵀ J, the gradient of u · z(θ): backpropagation with u in place of the loss's errors.

    Args:
        outputs: `outputs(params) -> z`, an array or a pytree of them.
        params: θ, a pytree of floating-point arrays.
        u: an error for each output, shaped as z.

    Returns:
        uᵀ J, shaped as the parameters.

    Raises:
        ValueError: errors that are not shaped as the outputs.

    Example:
        >>> vector_jacobian(lambda w: w**2, jnp.array([1.0, 2.0]), jnp.array([1.0, 1.0])).tolist()
        [2.0, 4.0]

    Source: Griewank and Walther (2008), Evaluating Derivatives, section 3.2.
    """
    zs, pull = jax.vjp(outputs, params)
    _check_direction("vector_jacobian", zs, u, "u", "outputs")
    return pull(u)[0]


def hessian_vector(objective: Callable[[Any], Any], params: Any, v: Any) -> Any:
    """Return H v = d/dε ∇L(θ + ε v) at ε = 0: the gradient's own directional derivative, exact.

    Args:
        objective: `objective(params) -> L`, a number.
        params: θ, a pytree of floating-point arrays.
        v: a direction, shaped as the parameters.

    Returns:
        H v, shaped as the parameters.

    Raises:
        ValueError: a direction that is not shaped as the parameters.

    Example:
        >>> hessian_vector(lambda w: (w**3).sum(), jnp.array([1.0, 2.0]), jnp.array([1.0, 1.0])).tolist()
        [6.0, 12.0]

    Source: Pearlmutter (1994), Fast exact multiplication by the Hessian, Neural Computation 6.
    """
    _check_direction("hessian_vector", params, v)
    return jax.jvp(jax.grad(objective), (params,), (v,))[1]


def gauss_newton(outputs: Callable[[Any], Any], loss: Callable[[Any], Any], params: Any) -> Product:
    """Make the product with the Gauss-Newton matrix, v ↦ Jᵀ H_L J v; the forward pass is run once, however many products follow.

    Args:
        outputs: `outputs(params) -> z`, an array or a pytree of them; such as `lambda params: unroll_scan(params, xs)[0]`.
        loss: `loss(z) -> L`, a number, convex in z; else G may have negative eigenvalues.
        params: θ, a pytree of floating-point arrays.

    Returns:
        `product(v) -> G v`, both shaped as the parameters. It holds the forward pass, and is linear in v.

    Example:
        >>> product = gauss_newton(lambda w: w**2, lambda z: (z**2).sum() / 2, jnp.array([1.0, 2.0]))  # J = diag(2, 4), H_L = I
        >>> product(jnp.array([1.0, 1.0])).tolist()
        [4.0, 16.0]

    Source: Schraudolph (2002), Fast curvature matrix-vector products for second-order gradient descent, Neural Computation 14.
    """
    zs, push = jax.linearize(outputs, params)  # push(v) = J v
    pull = jax.linear_transpose(push, params)  # pull(u) = (uᵀ J,)

    def product(v):
        _check_direction("gauss_newton", params, v)
        return pull(hessian_vector(loss, zs, push(v)))[0]

    return product


def as_matrix(product: Product, like: Any) -> Float[Array, "N N"]:
    """Write out the matrix of a product, one column for each of the N parameters: for looking and checking, where N is small.

    Args:
        product: `product(v)`, linear, such as `gauss_newton` returns.
        like: a pytree of the shape that it takes.

    Returns:
        (N, N), the parameters in the order of `jax.flatten_util.ravel_pytree`.

    Example:
        >>> as_matrix(lambda v: 2 * v, jnp.zeros(2)).tolist()
        [[2.0, 0.0], [0.0, 2.0]]
    """
    flat, unravel = ravel_pytree(like)
    return jax.lax.map(lambda column: ravel_pytree(product(unravel(column)))[0], jnp.eye(flat.size, dtype=flat.dtype)).T


def _check_direction(where, wanted, got, name="v", like="params"):
    """Raise unless two pytrees have one shape."""
    shapes = [jax.tree.map(jnp.shape, tree) for tree in (wanted, got)]
    if shapes[0] != shapes[1] or jax.tree.structure(wanted) != jax.tree.structure(got):
        raise ValueError(f"{where}: {name} must be shaped as {like}, {shapes[0]}, got {shapes[1]}. Try jax.tree.map.")
