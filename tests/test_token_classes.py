import numpy as np
import pytest

from rnnlib import datasets
from rnnlib.datasets import CLASSES

LETTERS = dict(zip(CLASSES, ".nk0osc", strict=True))


def spelled(source):
    """The classes of a source, a letter each: space . name n keyword k number 0 operator o string s comment c."""
    return "".join(LETTERS[CLASSES[k]] for k in datasets.token_classes(source))


def test_every_class_is_found():
    source = 'if x >= 0x1F: y = "a b"  # so\n'
    wanted = "kk.n.oo.0000o.n.o.sssss..cccc."
    assert spelled(source) == wanted
    assert set(datasets.token_classes(source)) == set(range(len(CLASSES)))


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("match = case", "nnnnn.o.nnnn"),  # soft keywords are names
        ("None is not True", "kkkk.kk.kkk.kkkk"),
        ("1_000.5e-3j", "00000000000"),
        ("@f", "on"),
        ("a->b", "noon"),
        ("é = ü", "n.o.n"),
        ("rb'x' 'y'", "sssss.sss"),
        ("'# no'", "ssssss"),
        ("# 'no'", "cccccc"),
        ("x = 1 \\\n + 2", "n.o.0....o.0"),
        ("if x:\n\treturn", "kk.no..kkkkkk"),
        ("", ""),
        ("\n\n", ".."),
    ],
)
def test_snippets(source, wanted):
    assert spelled(source) == wanted


def test_strings_of_several_lines_are_strings_to_their_end():
    source = 'x = """a\n  # b\n"""\ny'
    assert spelled(source) == "n.o." + "s" * 14 + ".n"


@pytest.mark.parametrize(
    "string", ["f'{x!r:>{width}} {y}'", "f'''{x\n}'''", "f\"{d['k']:%Y}\"", "rf'\\{x}'", "f'{{}}'"]
)
def test_f_strings_are_strings_from_end_to_end_however_deep(string):
    assert spelled(f"a = {string} + b") == "n.o." + "s" * len(string) + ".o.n"


def test_f_strings_beside_each_other_and_within():
    assert spelled("f'{a}' f'{b}', c") == "ssssss.sssssso.n"
    assert spelled("f'{f\"{x}\"}'") == "s" * 11


def test_a_form_feed_ends_no_line():
    source = "x = 1\n\x0c\ny = '''a\x0cb'''\nz = 2"
    assert spelled(source) == "n.o.0...n.o.sssssssss.n.o.0"
    np.testing.assert_array_equal(datasets.line_starts("a\x0cb\nc"), [0, 4, 6])


@pytest.mark.parametrize("source", ["x = (1,\n", '"""never closed\n', "if x:\n    y\n  z\n"])
def test_source_that_is_not_complete_is_explained(source):
    with pytest.raises(ValueError, match="token_classes: source must be complete Python, got "):
        datasets.token_classes(source)


def test_the_error_says_where():
    with pytest.raises(ValueError, match="multi-line"):
        datasets.token_classes("x = 1\ny = (2\n")
