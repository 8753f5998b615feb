"""Which programs a grade depends on: those of its Questions and of what they import from rnnlib, and no others."""

import ast
import hashlib
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parents[2]
JUDGE = {f"rnnlib.coursework.{name}" for name in ("questions", "asking", "withheld")}  # with what they import
DRAWN = "rnnlib.figures"  # changes no number
IMPORT = re.compile(r"\b(?:from|import)\s+(rnnlib[.\w]*)(?:\s+import\s+\(?([\w\s,]*))?")


@cache
def edition(questions: tuple[str, ...], sources: tuple[str, ...] = ()) -> str:
    """Digest the programs that Questions, and the cells around them, are made of: another digest, another grade.

    Comments, docstrings and how things are drawn are left out.

    Args:
        questions: ids, such as "ps2/backward".
        sources: of cells, which import from rnnlib too.

    Returns:
        The digest.

    Example:
        >>> edition(("ps1/lookup",)) == edition(("ps1/lookup",), ("import numpy",)) != edition(("ps2/backward",))
        True
    """
    roots = {*JUDGE, *(f"rnnlib.coursework.problem_sets.{id.partition('/')[0]}" for id in questions)}
    for source in sources:
        for module, names in IMPORT.findall(source):  # not parsed: it may be a learner's, and of any length
            roots |= {module, *(f"{module}.{name}" for name in re.findall(r"\w+", names))}
    digest = hashlib.sha256()
    for name in sorted(_reached(roots)):
        digest.update(f"{name} {_program(_path(name).read_bytes())[0]}".encode())
    return digest.hexdigest()


def _reached(names: Iterable[str]) -> set[str]:
    """These modules, and all of rnnlib that they lead to."""
    found, waiting = set(), list(names)
    while waiting:
        name = waiting.pop()
        if name in found or name.startswith(DRAWN) or not _path(name):
            continue
        found.add(name)
        waiting += [name.rpartition(".")[0], *_program(_path(name).read_bytes())[1]]
    return found


def _path(name):
    """Where a module of rnnlib lies; None for what is no module of it, such as a name of a learner's: no file is sought by that."""
    return _modules(PACKAGE).get(name)


@cache
def _modules(package):
    parts = {path: path.relative_to(package.parent).with_suffix("").parts for path in package.rglob("*.py")}
    return {".".join(part for part in names if part != "__init__"): path for path, names in parts.items()}


@cache
def _program(source):
    """A module without its words, digested, and what it imports."""
    tree = ast.parse(source)
    imported = _imported(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body[0] = ast.Pass()
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest(), imported


def _imported(tree):
    """The names of modules, or of what may be one, that a program imports from rnnlib."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {name for name in names if name.split(".")[0] == "rnnlib"}
