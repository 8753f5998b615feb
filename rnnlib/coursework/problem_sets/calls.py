"""How the Questions that are answered in JAX call a learner's function, and the nets, losses and systems that they hand over."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from rnnlib import losses
from rnnlib.cells import ElmanParams, elman_step
from rnnlib.coursework.problem_sets.programs import advised, jit

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


def _objective(inputs):
    return Partial(objective, **inputs["objective"]._asdict()), inputs["theta"], inputs["v"]


def _outputs(inputs):
    return Partial(outputs, xs=inputs["outputs"].xs), inputs["theta"], inputs["v"], inputs["weights"]


def _product(inputs):
    return Partial(jnp.matmul, inputs["product"].A), *(inputs[name] for name in ("b", "x0", "inverse", "steps"))


def gradient(function, inputs):
    """A loss, and its gradient by the parameters of the recurrence."""

    def loss(params):
        return advised(function, inputs | {"params": params})

    value, grads = jax.jit(jax.value_and_grad(loss))(inputs["params"])
    return {"loss": value} | {name: getattr(grads, name) for name in ("W_xh", "W_hh", "b_h", "h0")}


def compiled(f, *args):
    """Call a learner's function as training does, under jax.jit."""
    try:
        return jit(f)(*args)
    except jax.errors.JAXTypeError as error:
        says = "under jax.jit there are no numbers yet. Use jnp, and neither float() nor np."
        raise TypeError(says).with_traceback(error.__traceback__) from None


HANDED = {  # what a function is called with, a learner's or our own
    "ps6/directional_curvature": _objective,
    "ps6/gauss_newton": _outputs,
    "ps6/solve": _product,
}
CALLS = {  # how a learner's is called
    "ps4/loss_with_cuts": gradient,
    "ps6/directional_curvature": lambda function, inputs: compiled(function, *_objective(inputs)),
    "ps6/gauss_newton": lambda function, inputs: compiled(function, *_outputs(inputs)),
    "ps6/solve": lambda function, inputs: function(*_product(inputs)),
}
