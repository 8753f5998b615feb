"""Programs that JAX has made, read as one would write them: which loops they hold, what enters these, and what is done inside.

A jaxpr is a list of equations, each `outputs = primitive[options] inputs`. A scan is one of them, and has a jaxpr of its own: its body.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Var

INFIX = {"add": "+", "add_any": "+", "sub": "−", "mul": "⊙", "div": "/"}
# Written where it is used, not on a line of its own:
SHORT = {"transpose": "{}ᵀ", "reduce_sum": "Σ {}", "reshape": "{}", "convert_element_type": "{}"}


def scans(program: ClosedJaxpr) -> list[JaxprEqn]:
    """List the scans of a program, in the order in which they run; those inside of another equation are not looked for.

    Args:
        program: from `jax.make_jaxpr`.

    Returns:
        Its scans, each an equation: `params["reverse"]`, `params["length"]`, `params["jaxpr"]`, the body, and more.

    Example:
        >>> def total(w):
        ...     return jax.lax.scan(lambda h, x: (w * h + x, None), 0.0, np.ones(6))[0]
        >>> [loop.params["reverse"] for loop in scans(jax.make_jaxpr(jax.grad(total))(0.5))]
        [False, True]

    Source: JAX's documentation, The jaxpr language, section on higher-order primitives.
    """
    return [eqn for eqn in program.eqns if eqn.primitive.name == "scan"]


def count(program: ClosedJaxpr | Jaxpr) -> int:
    """Count the equations of a program, those inside of its loops and calls once.

    Args:
        program: from `jax.make_jaxpr`, or the body of a scan.

    Returns:
        How many there are: what has to be compiled, not what is run.

    Example:
        >>> count(jax.make_jaxpr(lambda xs: jax.lax.scan(lambda h, x: (h + x, None), np.float32(0), xs)[0])(np.ones(1000, "f")))
        2
    """
    inner = [value for eqn in program.eqns for value in eqn.params.values() if hasattr(value, "eqns")]
    return len(program.eqns) + sum(map(count, inner))


def values(program: ClosedJaxpr, variables: Iterable[Any], *args) -> list[Any]:
    """Run a program as far as some of its variables, such as those that enter or leave one of its scans.

    Args:
        program: from `jax.make_jaxpr(function)(*args)`.
        variables: `eqn.invars` or `eqn.outvars` of its equations.
        args: what the function takes.

    Returns:
        The value of each.

    Example:
        >>> program = jax.make_jaxpr(lambda x: (2 * x) ** 2)(1.0)
        >>> [float(value) for value in values(program, program.eqns[0].outvars, 5.0)]
        [10.0]
    """
    part = program.jaxpr.replace(outvars=list(variables))
    return jax.core.eval_jaxpr(part, program.consts, *jax.tree.leaves(args))


def names(scan: JaxprEqn, entering: Iterable[Any], known: Mapping[str, Any]) -> dict[Var, str]:
    """Name what enters a scan, by comparing it with what is known.

    Args:
        scan: one of `scans`.
        entering: the values of `scan.invars`, as `values` gives them.
        known: by name, an array, or the shape of something that begins at zero, such as a sum; the first that agrees is taken.

    Returns:
        For each variable that enters the body its name; "?" where nothing known agrees. Constants come first, then the carry
        (`scan.params["num_consts"]` and `["num_carry"]` of them), then the xs.

    Example:
        >>> xs = np.arange(6.0)
        >>> (loop,) = scans(jax.make_jaxpr(lambda xs: jax.lax.scan(lambda h, x: (h + x, None), 0.0, xs)[0])(xs))
        >>> list(names(loop, [0.0, xs], {"carried": (), "x": xs}).values())
        ['carried', 'x']
    """
    variables = scan.params["jaxpr"].jaxpr.invars
    agree = [[name for name, like in known.items() if _agrees(like, value)] for value in entering]
    return {variable: (same or ["?"])[0] for variable, same in zip(variables, agree, strict=True)}


def read(scan: JaxprEqn, names: Mapping[Var, str]) -> str:
    """Write the body of a scan out, a line for each operation; results are v1, v2, ..., ⊙ multiplies entry by entry.

    Args:
        scan: one of `scans`.
        names: what enters it, from `names`; what is missing keeps JAX's own name.

    Returns:
        The lines, and at last what is handed on: first the carry, then what is laid aside.

    Example:
        >>> (loop,) = scans(jax.make_jaxpr(lambda xs: jax.lax.scan(lambda h, x: (h * x, None), 1.0, xs)[0])(np.ones(6)))
        >>> print(read(loop, dict(zip(loop.params["jaxpr"].jaxpr.invars, ["h", "x"]))))
         v1 = h ⊙ x
        handed on: v1
    """
    body, called, lines = scan.params["jaxpr"].jaxpr, dict(names), []
    for eqn in body.eqns:
        line = _written(eqn, [_name(variable, called) for variable in eqn.invars]).replace("Σ Σ", "Σ")
        if eqn.primitive.name in SHORT:
            called[eqn.outvars[0]] = line
            continue
        new = [f"v{len(lines) + 1}{'abcdefgh'[i] if i else ''}" for i in range(len(eqn.outvars))]
        called |= zip(eqn.outvars, new, strict=True)
        lines.append(f"{', '.join(new):>3} = {line}")
    return "\n".join([*lines, " ".join(["handed on:", *(_name(variable, called) for variable in body.outvars)])])


def _agrees(like, value):
    if isinstance(like, tuple):
        return like == np.shape(value) and not np.any(value)
    return np.shape(like) == np.shape(value) and np.allclose(like, value)


def _name(variable, called):
    return called.get(variable, str(variable)) if isinstance(variable, Var) else str(variable.val)  # or a literal


def _written(eqn, operands):
    operation = eqn.primitive.name
    if operation == "dot_general" and [variable.aval.ndim for variable in eqn.invars] == [2, 2]:
        ((i,), (j,)), _ = eqn.params["dimension_numbers"]
        a, b = operands
        return f"{a}{'' if i else 'ᵀ'} @ {b}{'ᵀ' if j else ''}"
    if operation in INFIX:
        return f" {INFIX[operation]} ".join(operands)
    return SHORT[operation].format(*operands) if operation in SHORT else " ".join([operation, *operands])
