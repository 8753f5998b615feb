"""What JAX makes of a learner's function: a program without Python, made of the inputs' shapes alone, to be looked at and run elsewhere.

`made` turns a function into its parts, as `jax.export` does, wherever the learner's code lives; `forms.measured` counts what is in
these and runs them on the inputs. The grader calls the two in different processes, and the first never sees the numbers that the second
uses. So what is counted can't be feigned, and what comes out was computed by what was counted.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import export
from jax._src.interpreters.mlir import make_ir_context  # the public one knows no functions
from jax.extend.mlir import ir
from jax.extend.mlir.dialects import stablehlo

from rnnlib.coursework.answers import FORM, RefusedError

MOST = 100_000  # operations of a program that are looked at
# What computes arrays of arrays, in sight: no call of anything outside, no body that is kept elsewhere, no solver
PLAIN = """abs add and atan2 bitcast_convert broadcast broadcast_in_dim case cbrt ceil clamp compare complex concatenate constant
convert convolution cosine count_leading_zeros divide dot_general dynamic_broadcast_in_dim dynamic_conv dynamic_gather
dynamic_iota dynamic_pad dynamic_reshape dynamic_slice dynamic_update_slice exponential exponential_minus_one floor gather
get_dimension_size if imag iota is_finite log log_plus_one logistic maximum minimum multiply negate not optimization_barrier
or pad popcnt power real reduce reduce_precision reduce_window remainder reshape return reverse rng_bit_generator
round_nearest_afz round_nearest_even rsqrt scatter select select_and_scatter shift_left shift_right_arithmetic
shift_right_logical sign sine slice sort sqrt subtract tan tanh transpose while xor"""
ALLOWED = {"func.call", "func.return", *(f"stablehlo.{name}" for name in PLAIN.split())}
RESULTS = {  # what a learner's function returns
    "ps4/change_net": ("last", "ys"),
    "ps4/translated": ("a", "s"),
    "ps4/hoisted": ("ys",),
    "ps4/checkpointed_loss": ("loss",),
    "ps4/returns_and_back": ("returns", "d_rewards", "d_discounts", "d_last"),
    "ps4/scan_with_resets": ("states",),
}
ADVICE = {  # words of JAX's → what to do
    "carry input and carry output must": "The carry must leave the body as it came: same form, order, shapes and dtypes. "
    "Is h0, (H,), broadcast to (B, H)?",
    "__array__() was called on traced array": "In a body use jnp, not np: what JAX traces has no numbers yet.",
    "Incompatible shapes for broadcasting": "(B,) beside (B, H) needs an axis: [:, None].",
    **dict.fromkeys(("boolean conversion", "truth value"), "`if` can't ask what JAX traces: choose by jnp.where."),
    "host_callbacks": "Python can't be called from a program: take out jax.debug.print and callbacks.",
}


class Operation(NamedTuple):
    """A line of a program."""

    name: str  # such as "dot_general"
    inside: bool  # of a loop, or not
    shapes: list[tuple[int, ...]]  # of its results
    terms: int  # that a product sums up; 1 for all else


def advised(function: Callable, inputs: dict[str, Any]) -> Any:
    """Call a function; say what to do about JAX's own errors."""
    try:
        return function(**inputs)
    except Exception as error:
        _advise(error)
        raise


def _advise(error):
    text = str(error)
    if says := [advice for words, advice in ADVICE.items() if words in text]:
        error.args = (" ".join(says + [line for line in text.splitlines() if "has type" in line][:1]),)


def made(id: str, function: Callable, inputs: dict[str, Any]) -> list[export.Exported]:
    """Turn a function into a program, or into two where it is asked what is kept in between: ahead, and back.

    Args:
        id: of the Question, one of `RESULTS`.
        function: the answer.
        inputs: by name; of arrays only shapes and dtypes are looked at, plain numbers are part of the program.

    Returns:
        The parts.

    Raises:
        RefusedError: it does not return what it should.
    """
    fixed = {name: value for name, value in inputs.items() if isinstance(value, int | float)}
    leaves, tree = arrays(inputs)
    try:
        if id == "ps4/checkpointed_loss":
            return _ahead_and_back(function, fixed, leaves, tree)
        return [_exported(lambda *given: _results(id, advised(function, tree.unflatten(given) | fixed)), leaves)]
    except NotImplementedError as error:
        if not error.args:  # the learner's own: not answered yet
            raise
        _advise(error)
        raise TypeError(*error.args) from error


def arrays(inputs: dict[str, Any]) -> tuple[list[Any], Any]:
    """List the arrays among inputs, and how they belong together."""
    return jax.tree.flatten({name: value for name, value in inputs.items() if not isinstance(value, int | float)})


def _exported(function, leaves):
    like = [jax.ShapeDtypeStruct(np.shape(leaf), jnp.result_type(leaf)) for leaf in leaves]
    return export.export(jax.jit(function))(*like)


def _results(id, value):
    names = RESULTS[id]
    value = value._asdict() if hasattr(value, "_asdict") else value
    if value is None:
        raise TypeError("the function returned None: is return missing?")
    if isinstance(value, dict) and {*value} == {*names}:
        return tuple(jnp.asarray(value[name]) for name in names)
    several = isinstance(value, tuple | list | dict)
    if several and id == "ps4/scan_with_resets":
        raise RefusedError("It returns pairs. From zero a map arrives at its b: return b alone.")
    if (len(value) if several else 1) != len(names) or isinstance(value, dict):
        got = f"{type(value).__name__} of {len(value)}" if several else type(value).__name__
        raise RefusedError(f"It should return {', '.join(names)}, got {got}.")
    return tuple(map(jnp.asarray, value)) if several else (jnp.asarray(value),)


def _ahead_and_back(function, fixed, leaves, tree):
    """The loss with what the way back needs, and the way back from that and the inputs, to the gradient by the parameters."""

    def ahead(*given):
        inputs = tree.unflatten(given)

        def loss(params):
            return _results("ps4/checkpointed_loss", advised(function, inputs | {"params": params} | fixed))[0]

        value, back = jax.vjp(loss, inputs["params"])
        if value.shape:
            raise RefusedError(f"The loss must be a number, got an array of shape {value.shape}.")
        return value, back

    def behind(*given):
        given, kept = given[: len(leaves)], given[len(leaves) :]
        value, back = ahead(*given)  # for the function's own closures; its numbers are those that were kept
        return jax.tree.leaves(jax.tree.structure(back).unflatten(kept)(jnp.ones_like(value)))

    first = _exported(lambda *given: jax.tree.leaves(ahead(*given)), leaves)
    return [first, _exported(behind, [*leaves, *first.out_avals[1:]])]


def operations(part: export.Exported) -> Iterator[Operation]:
    """All that a program does, in loops and in branches and in what it calls; each as often as it is written."""
    with make_ir_context():
        module = ir.Module.parse(part.mlir_module())
        functions = {ir.StringAttr(f.attributes["sym_name"]).value: f.operation for f in module.body.operations}
        for count, (operation, inside) in enumerate(_walk(functions["main"], functions, inside=False)):
            name = operation.name.partition(".")[2]
            if count > MOST:
                raise RefusedError(f"{FORM}It has more than {MOST} operations. Use jax.lax.scan.")
            if operation.name not in ALLOWED and not operation.name.startswith("chlo."):
                what = operation.attributes["call_target_name"] if name == "custom_call" else operation.name
                raise RefusedError(f"{FORM}It uses {str(what)[:100]}, beside JAX's plain array operations.")
            shapes = [tuple(r.type.shape) for r in operation.results if isinstance(r.type, ir.RankedTensorType)]
            yield Operation(name, inside, shapes, _terms(operation, name))


def _walk(operation, functions, inside, depth=0):
    if depth > 50:
        raise RefusedError(f"{FORM}It is nested too deeply.")
    for region in operation.regions:
        for block in region.blocks:
            for inner in (each.operation for each in block.operations):
                yield inner, inside
                if inner.name == "func.call":
                    called = functions[ir.FlatSymbolRefAttr(inner.attributes["callee"]).value]
                    yield from _walk(called, functions, inside, depth + 1)
                yield from _walk(inner, functions, inside or inner.name == "stablehlo.while", depth + 1)


def _terms(operation, name):
    if name != "dot_general":
        return 1
    axes = stablehlo.DotDimensionNumbers(operation.attributes["dot_dimension_numbers"]).lhs_contracting_dimensions
    shape = operation.operands[0].type.shape
    return math.prod(shape[axis] for axis in axes)


def run(part: export.Exported, given: list[Any]) -> list[Any]:
    """Run a program on inputs of the shapes that it was made of."""
    wanted = [(aval.shape, aval.dtype) for aval in part.in_avals]
    if wanted != [(np.shape(leaf), jnp.result_type(leaf)) for leaf in given]:
        raise RefusedError(f"{FORM}It takes other inputs.")
    return jit(part.call)(*given)


def jit(function):
    """Compile in half the time what runs only once or twice; inside another jit it is part of that."""
    quick = jax.jit(function, compiler_options={"xla_backend_optimization_level": 0})

    def call(*args):
        traced = any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(args))
        return (function if traced else quick)(*args)

    return call
