"""What JAX makes of a learner's function: a program without Python, made of the inputs' shapes alone, looked at and run elsewhere.

`made` turns a function into its parts, as `jax.export` does, wherever the learner's code lives; `measured` counts what is in the parts and
runs them on the inputs. The grader calls the two in different processes, and the first never sees the numbers that the second uses. So what
is counted can't be feigned, and what comes out was computed by what was counted.
"""

import math
from collections import Counter
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

LONG = 20  # steps from which on a program must be shorter than its inputs: a scan of a step or two may be unrolled
MOST = 100_000  # operations of a program that are looked at
STRUCTURE = (
    "constant",
    "return",
    "call",
    "broadcast_in_dim",
    "reshape",
    "convert",
)  # of which a short program may have many
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
    leaves, tree = _given(inputs)
    try:
        if id == "ps4/checkpointed_loss":
            return _ahead_and_back(function, fixed, leaves, tree)
        return [_exported(lambda *given: _results(id, advised(function, tree.unflatten(given) | fixed)), leaves)]
    except NotImplementedError as error:
        if not error.args:  # the learner's own: not answered yet
            raise
        _advise(error)
        raise TypeError(*error.args) from error


def _given(inputs):
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
    """The loss with what the way back needs, and the way back from that alone, to the gradient by the parameters."""
    back = None

    def ahead(*given):
        nonlocal back
        inputs = tree.unflatten(given)

        def loss(params):
            return _results("ps4/checkpointed_loss", advised(function, inputs | {"params": params} | fixed))[0]

        value, back = jax.vjp(loss, inputs["params"])
        kept, back = jax.tree.flatten(back)
        return value, *kept

    first = _exported(ahead, leaves)
    loss, *kept = first.out_avals
    if loss.shape:
        raise RefusedError(f"The loss must be a number, got an array of shape {loss.shape}.")
    return [first, _exported(lambda *kept: jax.tree.leaves(back.unflatten(kept)(jnp.ones((), loss.dtype))), kept)]


def measured(id: str, parts: list[export.Exported], inputs: dict[str, Any]) -> dict[str, Any]:
    """Look at a program and run it.

    Args:
        id: of the Question.
        parts: from `made`, if perhaps by way of `serialize` and `deserialize`.
        inputs: by name, of the shapes that it was made of.

    Returns:
        Its results, and what was counted, by the names that the Question's reference gives.

    Raises:
        RefusedError: its form is not what was asked for.
    """
    programs = [list(_operations(part)) for part in parts]
    return MEASURES[id](id, programs, parts, inputs)


def _operations(part) -> Iterator[Operation]:
    """All that a program does, in loops and in branches and in what it calls; each as often as it is written."""
    with make_ir_context():
        module = ir.Module.parse(part.mlir_module())
        functions = {ir.StringAttr(f.attributes["sym_name"]).value: f.operation for f in module.body.operations}
        for count, (operation, inside) in enumerate(_walk(functions["main"], functions, inside=False)):
            name = operation.name.partition(".")[2]
            if count > MOST:
                raise RefusedError(f"{FORM}It has more than {MOST} operations. Use jax.lax.scan.")
            if name == "custom_call":
                target = ir.StringAttr(operation.attributes["call_target_name"]).value
                raise RefusedError(f"{FORM}It calls {target}, beside JAX's own array operations.")
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


def _run(part, given):
    wanted = [(aval.shape, aval.dtype) for aval in part.in_avals]
    if wanted != [(np.shape(leaf), jnp.result_type(leaf)) for leaf in given]:
        raise RefusedError(f"{FORM}It takes other inputs.")
    return jit(part.call)(*given)


def _require_short(operations, T, says):
    """Raise where something stands as often as there are steps."""
    often = Counter(operation.name for operation in operations if operation.name not in STRUCTURE)
    if T >= LONG and often.most_common(1)[0][1] >= T:
        raise RefusedError(FORM + says)


def scanned(over: str, loops: int = 1) -> Callable:
    """Measure results that so many loops of JAX's must have made, over the steps of an input."""

    def measure(id, programs, parts, inputs):
        (operations,), (part,) = programs, parts
        made = sum(operation.name == "while" for operation in operations)
        if made < loops and len(inputs[over]) >= LONG:
            raise RefusedError(
                f"{FORM}{made} of {loops} scans: a Python loop is written out T times. Use jax.lax.scan."
            )
        _require_short(
            operations, len(inputs[over]), "Beside the scan it is written out step by step. Let the scan do the work."
        )
        return dict(zip(RESULTS[id], _run(part, _given(inputs)[0]), strict=True))

    return measure


def in_rounds(id, programs, parts, inputs):
    """States, if no loop made them, neither one of JAX's nor one that is written out."""
    (operations,), (part,) = programs, parts
    if any(operation.name == "while" for operation in operations):
        raise RefusedError(f"{FORM}A loop takes its steps one after another. Use jax.lax.associative_scan.")
    says = "It is written out step by step, T turns. Use jax.lax.associative_scan."
    _require_short(operations, len(inputs["resets"]), says)
    return dict(zip(RESULTS[id], _run(part, _given(inputs)[0]), strict=True))


def _multiplications(operation):
    """Those of a matrix product, also where it is written as a product over three axes and a sum; else none."""
    size = math.prod(operation.shapes[0]) if operation.shapes else 0
    if operation.name in ("dot_general", "convolution"):
        return size * operation.terms
    return size if operation.name == "multiply" and len(operation.shapes[0]) > 2 else 0


def counted(id, programs, parts, inputs):
    """Outputs if `h @ W_hh` is the only product in a loop, else zeros; what is in the loops."""
    (operations,), (part,) = programs, parts
    products = [n for operation in operations if operation.inside and (n := _multiplications(operation))]
    (ys,) = _run(part, _given(inputs)[0])
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


def gradient(function, inputs):
    """A loss, and its gradient by the parameters of the recurrence."""

    def loss(params):
        return advised(function, inputs | {"params": params})

    value, grads = jax.jit(jax.value_and_grad(loss))(inputs["params"])
    return {"loss": value} | {name: getattr(grads, name) for name in ("W_xh", "W_hh", "b_h", "h0")}


def _limits(inputs):
    """How many numbers may be kept, and how many may be in an array of states."""
    (T, B, _), H = inputs["xs"].shape, inputs["params"].h0.size
    chunks = -(-T // int(inputs["chunk"]))
    return 2 * (chunks + 1) * B * H, max((max(inputs["chunk"], chunks) + 1) * B * H, H * H)


def with_memory(id, programs, parts, inputs):
    """A loss, and its gradient where the limits of memory are kept."""
    given = _given(inputs)[0]
    loss, *held = _run(parts[0], given)
    vector = jnp.concatenate([d.ravel() for d in _run(parts[1], held)])
    kept = max(sum(map(np.size, held)) - sum(map(np.size, given)), 0)
    used = {"kept": kept, "largest": _largest(programs, inputs)}
    little, small = (vector * (n <= limit) for n, limit in zip(used.values(), _limits(inputs), strict=True))
    return {"loss": loss, "gradient_if_little_is_kept": little, "gradient_if_no_array_is_large": small} | used


def _largest(programs, inputs):
    """Of the states, wherever their axis is, of the outputs where they are computed or scored, and of what is larger than any input."""
    (H, K), given = inputs["params"].W_hy.shape, max(inputs["xs"].size, inputs["targets"].size)
    of_outputs = ("dynamic_update_slice", "dot_general", "subtract")
    return max(
        math.prod(shape)
        for operations in programs
        for operation in operations
        for shape in operation.shapes
        if H in shape or (K in shape and operation.name in of_outputs) or math.prod(shape) > given
    )


def on_memory(inputs, answer):
    """What is kept and made, against what may be, where that is too much."""
    used, limits = [answer["kept"], answer["largest"]], _limits(inputs)
    if all(n <= limit for n, limit in zip(used, limits, strict=True)):
        return None
    numbers = "kept {} (allowed {}), largest array {} (allowed {})".format(*np.ravel([*zip(used, limits, strict=True)]))
    at = f"T = {len(inputs['xs'])}, chunk = {inputs['chunk']}"
    return f"{at}: {numbers}. Keep the states between chunks; run `chunk` steps again at a time; score chunk by chunk."


MEASURES = {
    "ps4/change_net": scanned("xs"),
    "ps4/translated": scanned("us"),
    "ps4/hoisted": counted,
    "ps4/checkpointed_loss": with_memory,
    "ps4/returns_and_back": scanned("rewards", loops=2),
    "ps4/scan_with_resets": in_rounds,
}


def jit(function):
    """Compile in half the time what runs only once or twice; inside another jit it is part of that."""
    quick = jax.jit(function, compiler_options={"xla_backend_optimization_level": 0})

    def call(*args):
        traced = any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(args))
        return (function if traced else quick)(*args)

    return call


def compiled(f, *args):
    """Call a learner's function as training does, under jax.jit."""
    try:
        return jit(f)(*args)
    except jax.errors.JAXTypeError as error:
        says = "under jax.jit there are no numbers yet. Use jnp, and neither float() nor np."
        raise TypeError(says).with_traceback(error.__traceback__) from None
