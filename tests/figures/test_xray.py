import matplotlib.pyplot as plt
import numpy as np
import pytest

from rnnlib.figures.xray import draw_xray

SQUARES = np.array([["right", "future", ""], ["wrong", "scaled", ""], ["missing", "right", "right"]])
SCALE = np.array([[1, np.nan, np.nan], [np.nan, 1 / 6, np.nan], [0, 1, 1]])


@pytest.fixture
def ax():
    fig, ax = plt.subplots()
    yield ax
    plt.close(fig)


def test_every_square_has_a_symbol_and_stands_in_its_row(ax):
    draw_xray(ax, SQUARES, SCALE)
    placed = {text.get_position(): text.get_text() for text in ax.texts}
    expected = {(0, 0): "✓", (1, 0): "!", (0, 1): "✗", (1, 1): "×0.17", (0, 2): "·", (1, 2): "✓", (2, 2): "✓"}
    assert placed == expected
    assert len(ax.patches) == 7


def test_axes_are_named_and_counted_from_one(ax):
    draw_xray(ax, SQUARES, SCALE)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("step s", "loss t")
    assert [label.get_text() for label in ax.get_xticklabels()] == ["1", "2", "3"]
    assert ax.get_ylim()[0] > ax.get_ylim()[1], "the first loss is at the top, as in a matrix"


def test_the_legend_names_what_occurs(ax):
    draw_xray(ax, SQUARES[2:, 1:2], None)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["✓  right"]
    ax.get_legend().remove()
    draw_xray(ax, SQUARES, legend=False)
    assert ax.get_legend() is None
    assert "×" in [text.get_text() for text in ax.texts], "without scale the symbol alone"


def test_no_two_kinds_look_alike_without_colour(ax):
    draw_xray(ax, SQUARES, SCALE)
    looks = {(patch.get_hatch(), patch.get_facecolor()) for patch in ax.patches}
    assert len(looks) == 5


@pytest.mark.bad_input
def test_bad_input_is_explained(ax):
    with pytest.raises(ValueError, match=r"draw_xray: squares must be \(T, T\), got \(2, 3\)"):
        draw_xray(ax, SQUARES[:2])
    with pytest.raises(ValueError, match=r"draw_xray: squares must hold right, missing, .* got odd"):
        draw_xray(ax, np.array([["odd"]]))
