"""What the answers of a problem set may use, and what is withheld from them: in the grader's box it is not there, `check` names it."""

import ast
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

from rnnlib.coursework import problem_sets

ROOT = Path(__file__).parents[1]  # of rnnlib
NEEDED = {  # by what calls the answers, whoever they are
    *("__init__.py", "_threads.py", "validation.py", "coursework/__init__.py", "coursework/answers.py"),
    *(
        "coursework/asking.py",
        "coursework/problem_sets/__init__.py",
        "coursework/problem_sets/programs.py",
        "coursework/problem_sets/forms.py",
        "coursework/problem_sets/calls.py",
    ),
    *("coursework/grading/__init__.py", "coursework/grading/wire.py", "coursework/grading/worker.py"),
}
OUTSIDE = {  # packages that hold answers, or that no answer needs, unless a set uses them: none of their files is in the box
    "jax": ("jax", "jaxlib"),
    "jax.scipy.sparse": ("jax/scipy/sparse", "jax/_src/scipy/sparse"),
    **{
        name: (name,)
        for name in ("optax", "scipy", "sklearn", "seqeval", "matplotlib", "autograd", "torch", "tensorflow")
    },
}
DOOR = '''

class WithheldError(Exception):
    """An answer used what it was asked to write."""


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)

    def withheld(*args, **kwargs):
        raise WithheldError(f"{__name__}.{name} is not there for answers: this problem set asks for it by hand")

    return withheld
'''


def uses(set_name: str) -> tuple[str, ...]:
    """Tell what the answers of a problem set may use besides NumPy.

    Args:
        set_name: such as "ps2".

    Returns:
        Rooms of rnnlib and functions in them, such as "cells" and "bptt.forward"; "jax" where JAX is there.

    Example:
        >>> uses("ps2")
        ('cells', 'bptt.forward', 'losses.squared_error')
    """
    return import_module(f"{problem_sets.__name__}.{set_name}").USES


def outside(set_name: str) -> tuple[str, ...]:
    """Tell which folders of other packages are withheld, relative to where packages are.

    Args:
        set_name: such as "ps2".

    Returns:
        The folders.

    Example:
        >>> "jax" in outside("ps2"), "jax" in outside("ps4"), "optax" in outside("ps4")
        (True, False, True)
    """
    return tuple(folder for name, folders in OUTSIDE.items() if name not in uses(set_name) for folder in folders)


def write_bare(set_name: str, folder: Path) -> None:
    """Write a copy of rnnlib without what a problem set asks for; whatever is missing says so when it is called.

    Args:
        set_name: such as "ps2".
        folder: where the package rnnlib, and what stands for the other packages, is written.
    """
    allowed = uses(set_name)
    for room in {path.relative_to(ROOT).parts[0] for path in ROOT.rglob("*.py")}:
        names = [name.partition(".")[2] for name in allowed if name.partition(".")[0] == room.removesuffix(".py")]
        for path in sorted((ROOT / room).rglob("*.py")) or [ROOT / room]:
            inner = path.relative_to(ROOT)
            if str(inner) in NEEDED or "" in names:
                _write(folder / "rnnlib" / inner, path.read_text("utf-8"))
            elif names:
                _write(folder / "rnnlib" / inner, _reachable(path.read_text("utf-8"), names) + DOOR)
            elif inner.parts[0] == "coursework":
                _write(folder / "rnnlib" / inner, DOOR)
        if not (folder / "rnnlib" / room).exists():
            _write(folder / "rnnlib" / f"{room.removesuffix('.py')}.py", DOOR)
    for name in outside(set_name):
        says = f"{name.replace('/', '.')} is not there for answers: this problem set asks for none of it"
        _write(folder / name / "__init__.py", f"raise ImportError({says!r})\n")


@contextmanager
def watched(set_name: str) -> Iterator[list[str]]:
    """List what a learner's code calls of what is withheld from it.

    Args:
        set_name: such as "ps2".

    Yields:
        The names, each once, filled as they are called; such as "rnnlib.bptt.backward".
    """
    found, before = [], sys.getprofile()
    allowed = uses(set_name)
    hidden = ("rnnlib", *(folder.replace("/", ".") for folder in outside(set_name) if folder != "matplotlib"))

    def look(frame, event, argument):
        if event != "call" or frame.f_back is None or frame.f_code.co_name[0] in "_<":
            return
        module, caller = (str(f.f_globals.get("__name__")) for f in (frame, frame.f_back))
        if _within(caller, hidden) or not _within(module, hidden):
            return
        name = f"{'.'.join(module.split('.')[:2])}.{frame.f_code.co_name}"
        if name not in found and not _is_open(module, frame.f_code.co_name, allowed):
            found.append(name)

    sys.setprofile(look)
    try:
        yield found
    finally:
        sys.setprofile(before)


def _within(module, packages):
    return any(f"{module}.".startswith(f"{package}.") for package in packages)


def _is_open(module, name, allowed):
    if not module.startswith("rnnlib."):
        return False
    room = module.split(".")[1]
    return room in (*allowed, "coursework", "validation") or f"{room}.{name}" in allowed


def _write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


def _reachable(source, names):
    """A module without the functions that these ones don't call."""
    tree, kept, waiting = ast.parse(source), set(), set(names)
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    while waiting:
        kept |= waiting
        said = {
            node.id for name in waiting & functions.keys() for node in ast.walk(functions[name]) if hasattr(node, "id")
        }
        waiting = said & functions.keys() - kept
    tree.body = [node for node in tree.body if not isinstance(node, ast.FunctionDef) or node.name in kept]
    return ast.unparse(tree)
