"""`gradcheck.trees` held to `jax.tree`: leaves, names, structures and what is built from them, over drawn trees."""

import sys
from collections import OrderedDict
from dataclasses import dataclass
from typing import NamedTuple

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnlib.gradcheck import compare, trees


class Pair(NamedTuple):
    left: object
    right: object


class Other(NamedTuple):
    left: object
    right: object


@jax.tree_util.register_dataclass
@dataclass
class Layer:
    weight: object
    bias: object


@jax.tree_util.register_dataclass
@dataclass
class Nothing:
    pass


def nested(inner):
    keys = st.text("Wbh_.0", max_size=3)
    return (
        st.lists(inner, max_size=3)
        | st.tuples()
        | st.tuples(inner, inner)
        | st.builds(Pair, inner, inner)
        | st.builds(Other, inner, inner)
        | st.dictionaries(keys, inner, max_size=3)
        | st.dictionaries(st.integers(-2, 12), inner, max_size=3)
    )


LEAVES = st.floats(-2, 2) | st.integers(0, 3) | st.just("text") | st.none()
PLAIN = st.recursive(LEAVES, nested, max_leaves=6)
KNOWN_TO_JAX = st.recursive(
    LEAVES,
    lambda inner: (
        nested(inner)
        | st.builds(Layer, inner, inner)
        | st.builds(Nothing)
        | st.lists(st.tuples(st.sampled_from("cab"), inner), max_size=3).map(OrderedDict)
    ),
    max_leaves=6,
)


def jax_names(tree):
    ways = [way for way, _ in jax.tree.leaves_with_path(tree)]
    return [jax.tree_util.keystr(way, simple=True, separator=".") or "value" for way in ways]


def is_as_in_jax(tree):
    leaves, structure = trees.flatten(tree)
    wanted, wanted_structure = jax.tree.flatten(tree)
    assert leaves == wanted
    assert trees.names(structure) == jax_names(tree)
    new = list(range(len(leaves)))
    built, wanted = trees.unflatten(structure, new), jax.tree.unflatten(wanted_structure, new)
    assert (built, jax.tree.structure(built)) == (wanted, wanted_structure)


@given(PLAIN)
def test_plain_trees_are_as_in_jax(tree):
    is_as_in_jax(tree)


@given(KNOWN_TO_JAX)
def test_what_is_registered_with_jax_is_as_in_jax(tree):
    is_as_in_jax(tree)


@given(KNOWN_TO_JAX, KNOWN_TO_JAX)
def test_structures_are_equal_where_those_of_jax_are(a, b):
    same = jax.tree.structure(a) == jax.tree.structure(b)
    assert (trees.flatten(a)[1] == trees.flatten(b)[1]) is same
    assert trees.flatten(a)[1] == trees.flatten(jax.tree.map(lambda leaf: 0, a))[1]


def test_arrays_are_leaves():
    for leaf in (np.ones(2), np.float32(1), jax.numpy.ones(2)):
        leaves, structure = trees.flatten(leaf)
        assert leaves[0] is leaf
        assert trees.names(structure) == ["value"]


@given(PLAIN)
def test_plain_trees_need_no_jax(tree):
    with pytest.MonkeyPatch.context() as patch:
        with_jax = trees.flatten(tree)
        patch.delitem(sys.modules, "jax")
        assert trees.flatten(tree) == with_jax


def test_without_jax_an_object_is_a_leaf(monkeypatch):
    layer = Layer(1.0, 2.0)
    assert trees.flatten(layer)[0] == [1.0, 2.0]
    monkeypatch.delitem(sys.modules, "jax")
    assert trees.flatten(layer)[0] == [layer]


@pytest.mark.parametrize(
    ("tree", "written"),
    [
        (3.0, "*"),
        (None, "None"),
        ({"b": 1, "W": [2, (3, None)]}, "{'W': [*, (*, None)], 'b': *}"),
        (Pair(1, ()), "Pair(left=*, right=())"),
        (Layer(1, 2), "Layer(weight=*, bias=*)"),
    ],
)
def test_a_structure_is_written_as_its_tree(tree, written):
    assert str(trees.flatten(tree)[1]) == written


def test_gradients_in_an_object_of_jax_are_compared_by_name():
    comparison = compare({"cell": Layer(np.ones(2), np.zeros(2))}, {"cell": Layer(np.ones(2), np.ones(2))})
    assert [(row.name, row.verdict) for row in comparison.rows] == [
        ("cell.weight", "agree"),
        ("cell.bias", "one is zero"),
    ]
