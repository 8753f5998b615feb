"""Nested parameters to a list of arrays and back: what `jax.tree` does, for checks that need no JAX.

Tuples, NamedTuples, lists, dicts (by their sorted keys) and None are known here. Only for another object, such as a dataclass that is
registered with JAX, is JAX asked what it is made of, and only where it is loaded already; else the object is a leaf.
"""

import sys
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np


class Structure(NamedTuple):
    """What is left of a tree without its leaves; written as the tree with a * for each leaf."""

    kind: Any  # what to build: a type, or how JAX describes the object; "*" for a leaf
    keys: tuple  # how each child is called
    children: tuple["Structure", ...]

    def __repr__(self) -> str:
        """Write the tree."""
        return repr(unflatten(self, [_STAR] * len(names(self))))


class _Star:
    def __repr__(self):
        return "*"


_STAR, _LEAF = _Star(), Structure("*", (), ())


def flatten(tree: Any) -> tuple[list, Structure]:
    """Take a tree apart: its leaves from left to right, and its structure.

    Args:
        tree: nested tuples, NamedTuples, lists, dicts; whatever is none of these is a leaf, and None is no leaf.

    Returns:
        `(leaves, structure)`.

    Example:
        >>> flatten({"W": 1.0, "b": (2.0, None)})
        ([1.0, 2.0], {'W': *, 'b': (*, None)})

    Source: `jax.tree.flatten`, to which a test holds it.
    """
    opened = _opened(tree)
    if opened is None:
        return [tree], _LEAF
    kind, keys, children = opened
    parts = [flatten(child) for child in children]
    return [leaf for leaves, _ in parts for leaf in leaves], Structure(kind, keys, tuple(part for _, part in parts))


def unflatten(structure: Structure, leaves: Sequence) -> Any:
    """Put a tree together again: the inverse of `flatten`.

    Args:
        structure: from `flatten`.
        leaves: as many as it has.

    Returns:
        The tree.

    Example:
        >>> unflatten(flatten({"W": 1.0, "b": 2.0})[1], [3.0, 4.0])
        {'W': 3.0, 'b': 4.0}

    Source: `jax.tree.unflatten`.
    """
    return _built(structure, iter(leaves))


def names(structure: Structure) -> list[str]:
    """Name each leaf by the way to it, such as "cell.W_hh" or "layers.0"; "value" for a tree that is a leaf itself.

    Args:
        structure: from `flatten`.

    Returns:
        A name for each leaf, in their order.

    Example:
        >>> names(flatten({"layers": [1.0, 2.0]})[1])
        ['layers.0', 'layers.1']

    Source: `jax.tree_util.keystr`, simple and with dots.
    """
    return [".".join(way) or "value" for way in _ways(structure)]


def require_real(where: str, tree: Any) -> None:
    """Raise a `TypeError` that names the first leaf with complex numbers.

    Args:
        where: the function that asks, named at the start of the message.
        tree: of arrays and numbers.

    Raises:
        TypeError: some leaf is complex.

    Example:
        >>> require_real("compare", {"w": 1.0})
    """
    leaves, structure = flatten(tree)
    for name, leaf in zip(names(structure), leaves, strict=True):
        if np.iscomplexobj(leaf):
            raise TypeError(
                f"{where}: {name} must be real, got complex numbers. Try its real and imaginary parts apart."
            )


def _opened(node):
    """What a node is, how its children are called, and the children; None for a leaf."""
    kind = type(node)
    if node is None:
        return kind, (), ()
    if kind is dict:
        keys = tuple(sorted(node))
        return kind, keys, tuple(node[key] for key in keys)
    if isinstance(node, tuple) and hasattr(node, "_fields"):
        return kind, node._fields, tuple(node)
    if kind in (tuple, list):
        return kind, tuple(range(len(node))), tuple(node)
    return _opened_by_jax(node) if sys.modules.get("jax") else None


def _opened_by_jax(node):
    """The same of an object that JAX knows, one level deep."""
    from jax.tree_util import keystr, tree_flatten_with_path

    children, structure = tree_flatten_with_path(node, is_leaf=lambda part: part is not node)
    if children and not children[0][0]:  # no way leads from the node to itself: it is a leaf
        return None
    keys = tuple(keystr(way, simple=True) for way, _ in children)
    return structure, keys, tuple(child for _, child in children)


def _built(structure, leaves: Iterator):
    if structure is _LEAF:
        return next(leaves)
    kind, keys, _ = structure
    children = [_built(child, leaves) for child in structure.children]
    if kind is type(None):
        return None
    if kind is dict:
        return dict(zip(keys, children, strict=True))
    if kind in (tuple, list):
        return kind(children)
    return kind(*children) if isinstance(kind, type) else kind.unflatten(children)


def _ways(structure):
    if structure is _LEAF:
        return [()]
    return [
        (str(key), *way) for key, child in zip(structure.keys, structure.children, strict=True) for way in _ways(child)
    ]
