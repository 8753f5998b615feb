import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnlib import datasets
from rnnlib.datasets import CLASSES
from rnnlib.figures import highlight


def text_of(page):
    """What a browser would show of it."""
    import html

    return html.unescape(re.sub(r"<[^>]*>", "", page))


@given(st.text(), st.randoms(use_true_random=False))
def test_a_page_shows_the_text_and_nothing_of_it_is_markup(source, random):
    labels = np.array([random.randrange(len(CLASSES)) for _ in source], int)
    page = highlight.page(source, labels)
    assert text_of(page) == source
    assert set(re.findall(r"</?(\w+)", page)) <= {"pre", "span"}


def test_a_page_escapes_html_in_source_and_title():
    page = highlight.page("a<b>&'\"", np.full(7, CLASSES.index("name")), title="<i>")
    assert "a&lt;b&gt;&amp;&#x27;&quot;" in page
    assert "<b>&lt;i&gt;</b>" in page


def test_a_page_has_one_element_for_each_run_in_the_style_of_its_class():
    source = "if x:  # y"
    page = highlight.page(source, datasets.token_classes(source))
    assert page.count("<span") == page.count("</span>") == 6
    for name in ("keyword", "name", "operator", "comment"):
        assert f'<span style="{highlight.STYLES[name]}">' in page


def test_an_empty_page():
    assert "<span" not in highlight.page("", np.zeros(0, int))


@pytest.mark.bad_input
@pytest.mark.parametrize("length", [0, 2, 4])
def test_labels_of_another_length_are_explained(length):
    message = f"page: labels must be one for each of 3 characters, got {length}."
    with pytest.raises(ValueError, match=re.escape(message)):
        highlight.page("abc", np.zeros(length, int))


def test_each_class_has_a_style():
    assert set(highlight.STYLES) == set(CLASSES)
