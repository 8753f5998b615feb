"""Where a line may live: the rooms of rnnlib, what each may import, and how long a module may be; read from the sources."""

import ast
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "rnnlib").rglob("*.py"))

CORE = {
    *("cells", "bptt", "losses", "unroll", "truncation", "batching", "train", "starts", "dynamics", "gradcheck"),
    *("curvature", "cg", "quadratic", "hessian_free", "online", "parallel"),
    *("tasks", "datasets", "checkpoints", "validation"),
}
BESIDE = {"figures", "clinic", "coursework"}
MAY_IMPORT = dict.fromkeys(CORE, CORE) | {room: CORE | {room} for room in BESIDE} | {"coursework": CORE | BESIDE}
NOR_IMPORTS = {  # not even through another room
    "cells": {"bptt", "unroll", "truncation", "train"},  # a step knows no time
    "bptt": {"unroll", "train"},
    "unroll": {"losses"},
    "losses": {"cells"},
    "truncation": {"train"},
    "curvature": {"cg"},
    "cg": {"cells", "bptt", "unroll"},
    "hessian_free": {"tasks"},
    "datasets": {"cells", "bptt", "unroll", "train"},
}
NUMPY_ALONE = {"bptt", "losses", "gradcheck", "clinic"}
LONGER = {  # than 250 lines, and why
    "rnnlib/losses.py": "two losses, their gradients and their means, each a few lines beside its equation and example",
    "rnnlib/hessian_free.py": "its settings, one update and the loop around it are read together; the model is in quadratic.py",
    "rnnlib/coursework/problem_sets/ps1.py": "a third is the text of mistakes",
    "rnnlib/coursework/problem_sets/ps2.py": "a third is the text of mistakes",
    "rnnlib/coursework/problem_sets/ps4.py": "a third is the text of mistakes",
}


def room_of(name):
    """rnnlib.cells.elman to cells; None for rnnlib itself and for what is its own affair, such as rnnlib._threads."""
    room = name.split(".")[1] if "." in name else "_"
    return None if room.startswith("_") else room


def module_name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


MODULES = {module_name(path): path for path in FILES}


def imported(tree, whole=True):
    """Every (module, name) that a syntax tree imports; without what waits inside of functions, if not the whole."""
    nodes = [tree]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.module, alias.name) for alias in node.names)
        elif whole or not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            nodes += ast.iter_child_nodes(node)


def imports_of(module, whole=True):
    """Full names: `from rnnlib import cells` and `import rnnlib.cells` are both rnnlib.cells."""
    for source, name in imported(ast.parse(MODULES[module].read_text(encoding="utf-8")), whole):
        yield f"{source}.{name}" if name and f"{source}.{name}" in MODULES else source


def rooms_imported():
    """Each room, and those that it imports, {room: {room: where}}."""
    rooms = defaultdict(dict)
    for module in MODULES:
        for name in imports_of(module):
            if name.startswith("rnnlib.") and room_of(module):
                rooms[room_of(module)].setdefault(room_of(name), f"{module} imports {name}")
    return rooms


ROOMS = rooms_imported()


def reached(room):
    """All rooms that a room imports, directly or through others."""
    found, waiting = set(), [room]
    while waiting:
        new = set(ROOMS[waiting.pop()]) - found - {room}
        found, waiting = found | new, [*waiting, *new]
    return found


def test_there_are_no_rooms_but_these():
    entries = {
        path.stem for path in (ROOT / "rnnlib").glob("*") if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert {entry for entry in entries if entry[0] != "_"} <= CORE | BESIDE, (
        "A new room needs a place in this list, and in CONTRIBUTING's map."
    )
    assert len(CORE) <= 20


def test_the_map_at_the_door_names_every_room():
    door = ast.get_docstring(ast.parse(MODULES["rnnlib"].read_text(encoding="utf-8")))
    assert {room_of(module) for module in MODULES} - {None} <= set(re.findall(r"\w+", door))


@pytest.mark.parametrize("room", sorted({room_of(module) for module in MODULES} - {None}))
def test_a_room_imports_what_it_may(room):
    wrong = [where for other, where in ROOMS[room].items() if other not in MAY_IMPORT[room] and other != room]
    assert not wrong, f"{room} may import {', '.join(sorted(MAY_IMPORT[room]))}."


@pytest.mark.parametrize("room", sorted(NOR_IMPORTS))
def test_nor_through_another_room(room):
    assert not reached(room) & NOR_IMPORTS[room]


@pytest.mark.parametrize("room", sorted(CORE))
def test_no_room_of_the_core_needs_itself(room):
    assert not [other for other in reached(room) if room in reached(other)]


def test_tasks_read_no_files():
    modules = [path for name, path in MODULES.items() if room_of(name) == "tasks"]
    names = [pair for path in modules for pair in imported(ast.parse(path.read_text(encoding="utf-8")))]
    assert {name for source, name in names if source.startswith("rnnlib.datasets")} == {"one_hot"}
    assert not {source.split(".")[0] for source, _ in names} & {"io", "os", "pathlib"}


def test_a_module_is_short_or_its_length_has_a_reason():
    longer = {str(path.relative_to(ROOT)) for path in FILES if len(path.read_text(encoding="utf-8").splitlines()) > 250}
    assert longer == set(LONGER)


# --- the chapters by hand are NumPy alone -----------------------------------------------------------------------------

OTHERS = ["jax", "jaxlib", "matplotlib", "scipy", "sklearn", "optax", "tqdm"]
IMPORT = "import rnnlib.bptt, rnnlib.losses, rnnlib.gradcheck, rnnlib.clinic\n"
WITHOUT = f"""
import sys

class Missing:
    def find_spec(name, path=None, target=None):
        if name.split(".")[0] in {OTHERS}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing)
try:
    import jax
except ModuleNotFoundError:
    pass
else:
    raise AssertionError("JAX is there after all")
"""
CHECK = """
import numpy as np
from rnnlib import bptt, clinic, gradcheck, losses
from rnnlib.cells import init_elman

rng = np.random.default_rng(0)
params, xs, ids = init_elman(3, 4, 3, rng=rng), rng.standard_normal((5, 2, 3)), rng.integers(0, 3, (5, 2))
params = params._replace(h0=rng.standard_normal(4))
tape = bptt.forward(params, xs)
d_ys = losses.softmax_cross_entropy_grad(tape.ys, ids)
grads = bptt.backward(params, tape, d_ys)
judge = gradcheck.finite_differences(lambda p: losses.softmax_cross_entropy(bptt.forward(p, xs).ys, ids), params)
assert gradcheck.compare(grads, judge).agree
assert clinic.diagnose(grads, params, xs, d_ys).verdict == "correct"
one_step = bptt.backward(params, tape, d_ys, window=1)
assert clinic.diagnose(one_step, params, xs, d_ys).names == ("error_not_carried",)
"""


def fresh(program):
    """Run a program in a process of its own, where the shapes in signatures are not checked and nothing is loaded yet."""
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_gradient_is_checked_by_hand_where_there_is_no_jax():
    fresh(WITHOUT + IMPORT + CHECK)


def test_jax_is_not_loaded_where_it_is_there():
    assert fresh(IMPORT + f"import sys; print([name for name in {OTHERS} if name in sys.modules])").strip() == "[]"


@pytest.mark.parametrize("room", sorted(NUMPY_ALONE))
def test_nothing_but_numpy_is_imported_at_the_top(room):
    modules = [module for module in MODULES if room_of(module) in {room} | reached(room)]
    outside = {name.split(".")[0] for module in modules for name in imports_of(module, whole=False)}
    assert outside - set(sys.stdlib_module_names) <= {"rnnlib", "numpy", "jaxtyping"}
