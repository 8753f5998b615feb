import base64

import matplotlib.pyplot as plt
import numpy as np
import pytest

from rnnlib.figures import plotting


@pytest.fixture
def shown(monkeypatch):
    """What `show` hands to the notebook: a list of (arguments, options)."""
    calls = []
    monkeypatch.setattr(plotting, "display", lambda *args, **options: calls.append((args, options)))
    return calls


def test_a_figure_comes_with_its_alt_text_and_its_lesson(shown):
    fig, ax = plt.subplots()
    ax.plot([1, 2])
    plotting.show(fig, caption="It rises.", alt="A line from 1 to 2.")
    ((image,), options), ((lesson,), _) = shown
    assert base64.b64decode(image["image/png"]).startswith(b"\x89PNG")
    assert image["text/plain"] == "A line from 1 to 2."
    assert options == {"metadata": {"image/png": {"alt": "A line from 1 to 2."}}, "raw": True}
    assert lesson.data == "*It rises.*"
    assert not plt.fignum_exists(fig.number), "an open figure would be shown twice"


@pytest.mark.parametrize("words", [{"caption": " ", "alt": "A line."}, {"caption": "It rises.", "alt": ""}])
def test_a_figure_without_words_is_refused(shown, words):
    fig = plt.figure()
    with pytest.raises(ValueError, match=r"show: (caption|alt) must say something, got"):
        plotting.show(fig, **words)
    assert shown == []
    plt.close(fig)


def test_a_heatmap_is_white_at_zero_and_writes_no_negative_zero():
    fig, ax = plt.subplots()
    image = plotting.heatmap(ax, np.array([[-0.001, 2.0], [0.5, -4.0]]), numbers=True)
    assert image.get_clim() == (-4.0, 4.0)
    assert [text.get_text() for text in ax.texts] == ["0.00", "2.00", "0.50", "-4.00"]
    assert plotting.heatmap(ax, np.zeros((2, 2))).get_clim() == (-1.0, 1.0), "all zero still has a scale"
    plt.close(fig)


def test_the_style_can_be_used_by_its_name():
    with plt.style.context("rnnlib.figures.course"):
        assert plt.rcParams["font.size"] >= 10
        colours, dashes = (plt.rcParams["axes.prop_cycle"].by_key()[key] for key in ("color", "linestyle"))
        assert len(set(zip(colours, dashes, strict=True))) == len(colours), "never colour alone"
