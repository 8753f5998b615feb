"""What a Question of ps4 asks of the form of a program, and what is measured of it: loops, products, memory."""

import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import export

from rnnlib.coursework.answers import FORM, RefusedError
from rnnlib.coursework.problem_sets.programs import RESULTS, arrays, operations, run

LONG = 20  # steps from which on a program must be shorter than its inputs: a scan of a step or two may be unrolled
STRUCTURE = (
    "constant",
    "return",
    "call",
    "broadcast_in_dim",
    "reshape",
    "convert",
)  # of which a short program may have many
MOVES = (
    *STRUCTURE,
    "while",
    "dynamic_slice",
    "dynamic_update_slice",
    "compare",
    "dot_general",
)  # what takes from arrays, and puts back


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
    programs = [list(operations(part)) for part in parts]
    return MEASURES[id](id, programs, parts, inputs)


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
        return dict(zip(RESULTS[id], run(part, arrays(inputs)[0]), strict=True))

    return measure


def in_rounds(id, programs, parts, inputs):
    """States, if no loop made them, neither one of JAX's nor one that is written out."""
    (operations,), (part,) = programs, parts
    if any(operation.name == "while" for operation in operations):
        raise RefusedError(f"{FORM}A loop takes its steps one after another. Use jax.lax.associative_scan.")
    says = "It is written out step by step, T turns. Use jax.lax.associative_scan."
    _require_short(operations, len(inputs["resets"]), says)
    return dict(zip(RESULTS[id], run(part, arrays(inputs)[0]), strict=True))


def _multiplications(operation):
    """Those of a matrix product, also where it is written as a product over three axes and a sum; else none."""
    size = math.prod(operation.shapes[0]) if operation.shapes else 0
    if operation.name in ("dot_general", "convolution"):
        return size * operation.terms
    return size if operation.name == "multiply" and len(operation.shapes[0]) > 2 else 0


def counted(id, programs, parts, inputs):
    """Outputs if `h @ W_hh` is the only product in a loop, however it is written, else zeros; what is in the loops."""
    (operations,), (part,), (_, B, _) = programs, parts, inputs["xs"].shape
    _require_short(
        operations, len(inputs["xs"]), "Beside the scan it is written out step by step. Let the scan do the work."
    )
    inner = [operation for operation in operations if operation.inside]
    products = [n for operation in inner if (n := _multiplications(operation))]
    (ys,) = run(part, arrays(inputs)[0])
    made = sum(math.prod(shape) for o in inner if o.name not in MOVES for shape in o.shapes)
    alone = products == [B * inputs["params"].W_hh.size] and made <= 30 * B * len(inputs["params"].h0) + 30
    return {"ys_if_hoisted": ys * alone, "products": len(products), "multiplications": sum(products), "made": made}


def on_the_loop(inputs, answer):
    """What the loop holds, where that is wrong."""
    if np.any(answer["ys_if_hoisted"]):
        return None
    if not answer["products"]:
        return "No product is in a loop of JAX's. A Python loop is written out T times: use scan."
    alone = inputs["xs"].shape[1] * inputs["params"].W_hh.size
    held = f"products {answer['products']}, multiplications a step {answer['multiplications']}, numbers made {answer['made']}"
    return f"In the loop: {held}. It should be 1 and {alone}, h @ W_hh alone, and a few numbers for each unit."


def _limits(inputs):
    """How many numbers may be kept, how many may be in an array of states, and how many a loop may hand on beside the inputs."""
    (T, B, _), H = inputs["xs"].shape, inputs["params"].h0.size
    chunks = -(-T // int(inputs["chunk"]))
    longer = max(int(inputs["chunk"]), chunks)
    return 2 * (chunks + 1) * B * H, max((longer + 1) * B * H, H * H), 7 * (longer + 1) * B * H


def with_memory(id, programs, parts, inputs):
    """A loss, and its gradient where the limits of memory are kept."""
    given = arrays(inputs)[0]
    loss, *held = run(parts[0], given)
    vector = jnp.concatenate([d.ravel() for d in run(parts[1], [*given, *held])])
    kept = max(sum(map(np.size, held)) - sum(map(np.size, given)), 0)
    own = sum(map(np.size, given)) + sum(map(np.size, inputs["params"]))  # inputs, and a gradient that is added up
    used = {"kept": kept, "largest": _largest(programs, inputs), "carried": max(map(_carried, programs)) - own}
    within = [n <= limit for n, limit in zip(used.values(), _limits(inputs), strict=True)]
    little, small = vector * within[0], vector * all(within[1:])
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


def _carried(operations):
    """The most numbers that a loop hands on, of all its arrays together."""
    return max(
        (sum(map(math.prod, operation.shapes)) for operation in operations if operation.name == "while"), default=0
    )


def on_memory(inputs, answer):
    """What is kept and made, against what may be, where that is too much."""
    used, limits = [answer[name] for name in ("kept", "largest", "carried")], _limits(inputs)
    if all(n <= limit for n, limit in zip(used, limits, strict=True)):
        return None
    names = ("kept", "largest array", "handed on in a loop, beside the inputs")
    numbers = ", ".join(f"{name} {n} (allowed {most})" for name, n, most in zip(names, used, limits, strict=True))
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
