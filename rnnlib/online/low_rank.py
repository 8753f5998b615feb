"""The influence matrix as a product of two small ones, of random signs: wrong each time, and right on average.

For independent signs the mean of νᵢ νⱼ is 1 where i = j and 0 elsewhere, so that Σ aᵢ bᵢᵀ is the mean of (Σ νᵢ aᵢ)(Σ νⱼ bⱼ)ᵀ: of many
products, one. The recursion adds products at each step, and each step draws signs to be left with one. How the two factors share their
size changes no mean, but the noise; it is least where they are of equal length.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from rnnlib.online.methods import Method, Step, acting, onward, pulled, unflatten
from rnnlib.online.probe import one_product


def _uoro_begin(params, x, state):
    acts = acting(params, Step(x, state, state, None))
    size = sum(jnp.size(leaf) for leaf, acts in zip(jax.tree.leaves(params), acts, strict=True) if acts)
    return jax.tree.map(jnp.zeros_like, state), jnp.zeros(size, x.dtype)


def _uoro_carry(params, at, influence, key):
    """M = u vᵀ becomes J u vᵀ + ν νᵀ ∂s/∂θ, which (J u + ν)(v + νᵀ ∂s/∂θ)ᵀ has for its mean."""
    u, v = influence
    flat, unravel = ravel_pytree(at.before)
    signs = unravel(jax.random.rademacher(key, flat.shape, flat.dtype))
    u = _one(onward(params, at, params.recur(u)[None], jax.tree.map(lambda u: u[None], u)))
    _, pull = jax.vjp(lambda p: params.advance(p, at.before)[0], params.drive(at.x) + params.recur(at.before))
    new = jnp.concatenate([piece.ravel() for piece in pulled(params, at, pull(signs)[0][None])])
    old, fresh = _balance(u, v), _balance(signs, new)
    return jax.tree.map(lambda u, s: old * u + fresh * s, u, signs), v / old + new / fresh


def _uoro_read(params, at, influence, d_s):
    u, v = influence
    return unflatten(params, at, _dot(u, d_s) * v)


uoro = Method(_uoro_begin, _uoro_carry, _uoro_read)


def _kf_begin(params, x, state):
    a, D = _kronecker(params, Step(x, state, state, None))
    return jnp.zeros_like(a), jax.tree.map(lambda s: jnp.zeros((len(D), *s.shape), s.dtype), state)


def _kf_carry(params, at, influence, key):
    """M = a ⊗ A becomes a ⊗ J A + a_t ⊗ D_t, which (ν₁ a + ν₂ a_t) ⊗ (ν₁ J A + ν₂ D_t) has for its mean."""
    a, A = influence
    new, eye = _kronecker(params, at)
    D = onward(params, at, eye, jax.tree.map(jnp.zeros_like, A))  # ∂s/∂p, a row for each p
    A = onward(params, at, jax.vmap(params.recur)(A), A)
    old, fresh = _balance(a, A), _balance(new, D)
    first, second = jax.random.rademacher(key, (2,), a.dtype)
    return (
        first * old * a + second * fresh * new,
        jax.tree.map(lambda A, D: first * A / old + second * D / fresh, A, D),
    )


def _kf_read(params, at, influence, d_s):
    a, A = influence
    by_p = sum(jax.tree.leaves(jax.tree.map(lambda A, e: A @ e, A, d_s)))
    return unflatten(params, at, jnp.outer(a, by_p).ravel())


kf_rtrl = Method(_kf_begin, _kf_carry, _kf_read)


def _kronecker(params, at):
    """∂p/∂θ = a ⊗ 1, if p = a W: the a of this step, such as (x, h, 1), and the identity (P, P)."""
    p = jax.eval_shape(lambda: params.drive(at.x) + params.recur(at.before))
    eye = jnp.eye(p.size, dtype=p.dtype)
    if not one_product(params, at):
        raise ValueError(
            f"kf_rtrl: params must act by p = a W with one a for all of p, as the Elman net's and the LSTM's do, "
            f"got {type(params).__name__}. Try uoro."
        )
    pieces = pulled(params, at, eye[:1])
    return jnp.concatenate([piece[0, ..., 0].ravel() for piece in pieces]), eye


def _balance(shrinks, grows):
    """√(|grows| / |shrinks|): the first times this and the second by this are of equal length; 1 where one of them is nothing."""
    few, many = _dot(shrinks, shrinks), _dot(grows, grows)
    fine = (few > 0) & (many > 0)
    return jnp.where(fine, (jnp.where(fine, many, 1) / jnp.where(fine, few, 1)) ** 0.25, 1)


def _dot(a: Any, b: Any):
    return sum(jax.tree.leaves(jax.tree.map(lambda a, b: (a * b).sum(), a, b)))


def _one(tree):
    return jax.tree.map(lambda a: a[0], tree)
