"""How a learner's function in JAX is called, and what is measured of it besides its numbers: gradients, loops, products, memory."""

import contextlib
import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import jaxpr_as_fun

from rnnlib.coursework.answers import RefusedError


class _Named:
    """What a reference or a mistake answers, in NumPy, under the names that a measure gives to what a learner's function returns."""

    def __init__(self, parts):
        self._asdict = lambda: parts


def named(function, **options):
    """Make a reference or a mistake of a function in NumPy whose results are named as a measure names them."""
    return lambda **inputs: _Named(function(**jax.tree.map(np.asarray, inputs), **options))


ADVICE = {  # words of JAX's → what to do
    "carry input and carry output must": "The carry must leave the body as it came: same form, order, shapes and dtypes. "
    "Is h0, (H,), broadcast to (B, H)?",
    "__array__() was called on traced array": "In a body use jnp, not np: what JAX traces has no numbers yet.",
    "Incompatible shapes for broadcasting": "(B,) beside (B, H) needs an axis: [:, None].",
    **dict.fromkeys(("boolean conversion", "truth value"), "`if` can't ask what JAX traces: choose by jnp.where."),
}


def _advised(function, inputs):
    try:
        return function(**inputs)
    except Exception as error:
        text = str(error)
        if says := [advice for words, advice in ADVICE.items() if words in text]:
            error.args = (" ".join(says + [line for line in text.splitlines() if "has type" in line][:1]),)
        raise


def measured(measure):
    """How to call a function: measured as a program of JAX's, unless what it returns is named already."""

    def call(function, inputs):
        try:
            return measure(partial(_advised, function), inputs)
        except Exception:
            with contextlib.suppress(Exception):
                if isinstance(answer := function(**inputs), _Named):
                    return answer
            raise

    return call


def _inner(program, inside=False):
    for eqn in program.eqns:
        yield eqn, inside  # of a loop, or not
        for part in filter(lambda part: hasattr(part, "eqns"), eqn.params.values()):
            yield from _inner(part, inside or eqn.primitive.name in ("scan", "while"))


def _equations(function, inputs):
    try:
        return list(_inner(jax.make_jaxpr(function)(inputs)))
    except Exception:  # it runs, but not as a program of JAX's
        return []


def scanned(*names, loops=1):
    """What was returned, by name, if so many loops of JAX's made it."""

    def measure(function, inputs):
        value = function(inputs)
        if isinstance(value, _Named) or not isinstance(value, tuple | list) or len(value) != len(names):
            return value
        _require_loops(_equations(function, inputs), loops, len(jax.tree.leaves(inputs)[-1]))
        return dict(zip(names, value, strict=True))

    return measured(measure)


def _require_loops(equations, loops, T):
    found = [eqn.primitive.name for eqn, _ in equations]
    made = sum(found.count(name) for name in ("scan", "while"))
    if made < loops:
        raise RefusedError(f"{made} of {loops} scans: a Python loop is written out T times. Use jax.lax.scan.")
    if max(found.count(name) for name in ("dot_general", "tanh", "mul")) >= T > 5:
        raise RefusedError("Beside the scan it is written out step by step. Let the scan do the work.")


def _multiplications(eqn):
    """Those of a matrix product, also where it is written as a product over three axes and a sum; else none."""
    made = eqn.outvars[0].aval
    if eqn.primitive.name == "dot_general":
        (axes, _), _ = eqn.params["dimension_numbers"]
        return made.size * math.prod(eqn.invars[0].aval.shape[i] for i in axes)
    return made.size if eqn.primitive.name == "mul" and made.ndim > 2 else 0


def counted(function, inputs):
    """Outputs if `h @ W_hh` is the only product in a loop, else zeros; what is in the loops."""
    ys, equations = function(inputs), _equations(function, inputs)
    products = [n for eqn, inside in equations if inside and (n := _multiplications(eqn))]
    alone = products == [inputs["xs"].shape[1] * inputs["params"].W_hh.size]
    return {"ys_if_hoisted": ys * alone, "products": len(products), "multiplications": sum(products)}


def on_the_loop(inputs, answer):
    """What the loop holds, where that is wrong."""
    if np.any(answer["ys_if_hoisted"]):
        return None
    if not answer["products"]:
        return "No product is in a loop of JAX's. A Python loop is written out T times: use scan."
    alone = inputs["xs"].shape[1] * inputs["params"].W_hh.size
    held = f"products {answer['products']}, multiplications a step {answer['multiplications']}"
    return f"In the loop: {held}. It should be 1 and {alone}: h @ W_hh alone."


def _by_params(function, inputs):
    return lambda params: function(inputs | {"params": params})


def gradient(function, inputs):
    """A loss, and its gradient by the parameters of the recurrence."""
    loss, grads = jax.jit(jax.value_and_grad(_by_params(function, inputs)))(inputs["params"])
    return {"loss": loss} | {name: getattr(grads, name) for name in ("W_xh", "W_hh", "b_h", "h0")}


def _limits(inputs):
    """How many numbers may be kept, and how many may be in an array of states."""
    (T, B, _), H = inputs["xs"].shape, inputs["params"].h0.size
    chunks = -(-T // int(inputs["chunk"]))
    return 2 * (chunks + 1) * B * H, max((max(inputs["chunk"], chunks) + 1) * B * H, H * H)


def _largest(program, H, K):
    """Of the states, and of the outputs where they are computed or scored."""
    of_outputs = ("scan", "dot_general", "sub")
    return max(
        v.aval.size
        for eqn, _ in _inner(program)
        for v in eqn.outvars
        if v.aval.shape[-1:] == (H,) or (v.aval.shape[-1:] == (K,) and eqn.primitive.name in of_outputs)
    )


def with_memory(function, inputs):
    """A loss, and its gradient where the limits of memory are kept."""
    loss, params = _by_params(function, inputs), inputs["params"]
    program = jax.make_jaxpr(jax.value_and_grad(loss))(params)
    value, *grads = jax.jit(jaxpr_as_fun(program))(*params)
    back = jax.eval_shape(lambda params: jax.vjp(loss, params)[1], params)
    kept, given, chunk = (sum(map(np.size, jax.tree.leaves(tree))) for tree in (back, inputs, inputs["chunk"]))
    used = {"kept": max(kept - given + chunk, 0), "largest": _largest(program, *params.W_hy.shape)}
    vector = jnp.concatenate([g.ravel() for g in grads])
    little, small = (vector * (n <= limit) for n, limit in zip(used.values(), _limits(inputs), strict=True))
    return {"loss": value, "gradient_if_little_is_kept": little, "gradient_if_no_array_is_large": small} | used


def on_memory(inputs, answer):
    """What is kept and made, against what may be, where that is too much."""
    used, limits = [answer["kept"], answer["largest"]], _limits(inputs)
    if all(n <= limit for n, limit in zip(used, limits, strict=True)):
        return None
    numbers = "kept {} (allowed {}), largest array {} (allowed {})".format(*np.ravel([*zip(used, limits, strict=True)]))
    at = f"T = {len(inputs['xs'])}, chunk = {inputs['chunk']}"
    return f"{at}: {numbers}. Keep the states between chunks; run `chunk` steps again at a time; score chunk by chunk."


def jit(function):
    """Compile in half the time what runs only once or twice; inside another jit it is part of that."""
    quick = jax.jit(function, compiler_options={"xla_backend_optimization_level": 0})

    def call(*args):
        traced = any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(args))
        return (function if traced else quick)(*args)

    return call


class Precompiled(partial):
    """A reference or a mistake, whose dear parts are compiled already."""


def compiled(f, *args):
    """Call a learner's function as training does, under jax.jit."""
    if isinstance(f, Precompiled):
        return f(*args)
    try:
        return jit(f)(*args)
    except jax.errors.JAXTypeError as error:
        says = "under jax.jit there are no numbers yet. Use jnp, and neither float() nor np."
        raise TypeError(says).with_traceback(error.__traceback__) from None
