"""A student in JupyterLab: types answers into a released problem set, and reads what is right and what is wrong."""

import pytest
from playwright.sync_api import expect

from tests.browser.test_lab import READY, SCREENSHOTS, complaints, left_as_it_is

pytestmark = pytest.mark.browser

WRONG = """def readout_gradients(hs, ys, targets, weights):
d_ys = ys - targets
return np.einsum("tbh,tbk->hk", hs[1:], d_ys), d_ys.sum((0, 1))
"""
RIGHT = WRONG.replace("= ys", "= weights[..., None] * (ys").replace("targets\n", "targets)\n", 1)
RAISES = "def readout_gradients(hs, ys, targets, weights):\nreturn hs[1000]\n"


def cell(page, id):
    """The notebook's cell of this id."""
    ids = page.evaluate("jupyterapp.shell.currentWidget.context.model.toJSON().cells.map(c => c.id)")
    return page.locator(".jp-Notebook > * .jp-Cell, .jp-Notebook .jp-Cell").nth(ids.index(id))


def type_and_check(page, answer):
    """Replace the answer by keyboard, run it, then the check."""
    editor = cell(page, "readout-answer").locator(".cm-content")
    editor.click()
    page.keyboard.press("Control+a")
    for line in answer.split("\n"):
        page.keyboard.insert_text(line)
        page.keyboard.press("Enter")  # which indents
    page.keyboard.press("Shift+Enter")
    page.keyboard.press("Shift+Enter")
    return cell(page, "readout-check").locator(".jp-OutputArea")


def test_a_student_types_a_wrong_and_a_right_answer(lab, page):
    file = "problem_sets/ps2_backward/ps2_backward.ipynb"
    page.goto(f"{lab}/{file}?token=t&reset")
    page.wait_for_function(READY, arg=file, timeout=60_000)
    try:
        left_as_it_is(page)
        cell(page, "imports").click()
        page.keyboard.press("Shift+Enter")
        cell(page, "readout-answer").locator(".cm-content").click()
        page.keyboard.press("Shift+Enter")
        page.keyboard.press("Shift+Enter")
        shown = cell(page, "readout-check").locator(".jp-OutputArea")
        expect(shown).to_contain_text("Not answered yet", timeout=60_000)

        shown = type_and_check(page, WRONG)
        expect(shown).to_contain_text("✗ ps2/readout_gradients", timeout=30_000)
        expect(shown).to_contain_text("weight")
        expect(shown).to_contain_text("NotYet: 0 of 1 points so far")
        shown.screenshot(path=SCREENSHOTS / "problem-set-wrong.png")

        expect(type_and_check(page, RAISES)).to_contain_text("IndexError", timeout=30_000)

        shown = type_and_check(page, RIGHT)
        expect(shown).to_contain_text("✓ ps2/readout_gradients", timeout=30_000)
        expect(shown).to_contain_text("1 of 1 points")
        expect(shown).not_to_contain_text("NotYet")
        cell(page, "readout-question").scroll_into_view_if_needed()
        page.screenshot(path=SCREENSHOTS / "problem-set-right.png")
        assert complaints(page) == []
    finally:
        page.evaluate("jupyterapp.shell.currentWidget.sessionContext.shutdown()")
