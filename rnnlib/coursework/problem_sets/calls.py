"""How the Questions that are answered in JAX call a learner's function, and the nets, losses and systems that they hand over."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from rnnlib import losses
from rnnlib.cells import ElmanParams, elman_step
from rnnlib.coursework.problem_sets.programs import compiled, counted, gradient, measured, scanned, with_memory

SHAPES = ((2, 4), (4, 4), (4,), (4, 3), (3,), (4,))  # of ps6's net: D = 2, H = 4, K = 3


class Scored(NamedTuple):
    """What `objective` is made of."""

    xs: Any
    targets: Any
    weights: Any
    ripple: Any = 0.0  # how fine its ripples are, in 1/θ; 0 for none


class Seen(NamedTuple):
    """What `outputs` is made of."""

    xs: Any


class System(NamedTuple):
    """What `product` is made of."""

    A: Any


def outputs(theta, xs):
    """Run the net whose parameters lie in one vector: ys (T, B, K)."""
    parts = zip(jnp.split(theta, np.cumsum([np.prod(shape) for shape in SHAPES])[:-1]), SHAPES, strict=True)
    params, ys = ElmanParams(*(part.reshape(shape) for part, shape in parts)), []
    h = jnp.broadcast_to(params.h0, (xs.shape[1], params.h0.size))
    for x in xs:
        y, h = jax.vmap(elman_step, (None, 0, 0))(params, x, h)
        ys.append(y)
    return jnp.stack(ys)


def objective(theta, xs, targets, weights, ripple):
    """Score the net; ripples too fine for any difference are as steep in its curvature as the loss itself."""
    fine = jnp.where(ripple > 0, jnp.cos(ripple * theta).sum() / jnp.maximum(ripple, 1) ** 2, 0)
    return losses.softmax_cross_entropy(outputs(theta, xs), targets, weights) + fine


def _by_objective(function, inputs):
    return compiled(function, Partial(objective, **inputs["objective"]._asdict()), inputs["theta"], inputs["v"])


def _by_outputs(function, inputs):
    given = Partial(outputs, xs=inputs["outputs"].xs)
    return compiled(function, given, inputs["theta"], inputs["v"], inputs["weights"])


def _by_product(function, inputs):
    given = Partial(jnp.matmul, inputs["product"].A)
    return function(given, *(inputs[name] for name in ("b", "x0", "inverse", "steps")))


CALLS = {
    "ps4/change_net": scanned("last", "ys"),
    "ps4/translated": scanned("a", "s"),
    "ps4/hoisted": measured(counted),
    "ps4/loss_with_cuts": measured(gradient),
    "ps4/checkpointed_loss": measured(with_memory),
    "ps4/returns_and_back": scanned("returns", "d_rewards", "d_discounts", "d_last", loops=2),
    "ps6/directional_curvature": _by_objective,
    "ps6/gauss_newton": _by_outputs,
    "ps6/solve": _by_product,
}
