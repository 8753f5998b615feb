"""The questions and the X-rays alone on a page, with no kernel: by click and by keyboard."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from playwright.sync_api import expect

from rnnlib.figures import widgets

pytestmark = pytest.mark.browser
ADDRESS = "http://course.invalid/"  # answered by the test: a page needs an address to keep a guess
QUESTION = {"question": "Which way?", "choices": ["forward", "backward"], "answer": "backward", "key": "16/way"}


@pytest.fixture
def alone(page):
    """Open a page that holds these explorables and nothing else."""

    def opened(*explorables):
        page.unroute_all()
        page.route(ADDRESS, lambda route: route.fulfill(content_type="text/html", body="<body></body>"))
        page.goto(ADDRESS)
        for one in explorables:
            page.evaluate(RENDER, [str(one._esm), json.dumps(one.data)])
        return page

    return opened


RENDER = """async ([code, data]) => {
  const module = await import(URL.createObjectURL(new Blob([code], { type: "text/javascript" })));
  const el = document.body.appendChild(document.createElement("div"));
  const model = { get: (name) => (name === "data" ? JSON.parse(data) : ""), on() {}, off() {} };
  await module.default.render({ model, el });
}"""


def test_a_click_shows_the_answer_and_keeps_the_guess(alone):
    asked, listed = widgets.predict(**QUESTION, why="Because."), widgets.predictions("16")
    page = alone(asked, listed)
    expect(page.get_by_text("Because.")).to_have_count(0)
    page.get_by_role("button", name="forward").click()
    expect(page.get_by_text("You said forward. It is backward. Because.")).to_be_visible()
    expect(page.get_by_text("1 predicted, 1 of them to read again.")).to_be_visible()
    alone(asked)
    expect(page.get_by_text("You said forward")).to_be_visible()


def test_the_keyboard_answers_too(alone):
    page = alone(widgets.predict(**QUESTION))
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_text("✓ Yes.")).to_be_visible()
    expect(page.get_by_role("button", name="ask me again")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="forward")).to_be_focused()


def test_a_number_is_typed(alone):
    page = alone(widgets.predict("How many?", answer=3, key="16/many", tolerance=0.5))
    page.get_by_role("spinbutton").fill("3.4")
    page.keyboard.press("Enter")
    expect(page.get_by_text("✓ Yes.")).to_be_visible()


def test_arrows_go_from_choice_to_choice(alone):
    page = alone(widgets.predict(**QUESTION))
    page.get_by_role("button", name="forward").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("button", name="backward")).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("button", name="forward")).to_be_focused()


def test_a_list_whose_cell_was_run_again_listens_no_more(alone):
    asked, listed = widgets.predict(**QUESTION), widgets.predictions("16")
    page = alone(asked, listed)
    old = page.evaluate_handle("document.body.lastElementChild")
    old.evaluate("list => list.remove()")
    page.get_by_role("button", name="forward").click()
    assert "No prediction made yet" in old.evaluate("list => list.textContent")


def xray(word, scale, message):
    """What an X-ray of two steps would say, its last loss in full."""
    return SimpleNamespace(
        squares=np.array([[word, ""], ["missing", word]]), scale=np.array([[scale, np.nan]] * 2), message=message
    )


def test_another_pass_has_another_picture(alone):
    page = alone(widgets.xrays({"as it is": xray("right", 1.0, "Right."), "doubled": xray("scaled", 2.0, "Twice.")}))
    expect(page.get_by_text("×2.0")).to_have_count(0)
    expect(page.get_by_role("button", name="what is it?")).to_be_hidden()
    page.get_by_role("button", name="doubled").click()
    expect(page.get_by_text("×2.0")).to_be_visible()
    expect(page.get_by_text("Twice.")).to_be_visible()


def test_what_a_pass_is_waits_for_a_click_where_one_is_to_guess(alone):
    passes = {"as it is": xray("right", 1.0, "Right."), "doubled": xray("scaled", 2.0, "Twice.")}
    page = alone(widgets.xrays(passes, guess=True))
    page.get_by_role("button", name="B", exact=True).click()
    expect(page.get_by_text("Twice.")).to_have_count(0)
    page.get_by_role("button", name="what is it?").click()
    expect(page.get_by_text("doubled: Twice.")).to_be_visible()
    page.get_by_role("button", name="A", exact=True).click()
    expect(page.get_by_text("Say first what was done there.")).to_be_visible()


def test_squares_are_reached_by_arrows_and_by_touch(alone):
    page = alone(widgets.xrays({"doubled": xray("scaled", 2.0, "Twice.")}))
    page.locator("[data-at='0,0']").focus()
    expect(page.locator("p", has_text="loss 1 at step 1: a multiple, 2.00 times the right one")).to_be_visible()
    page.keyboard.press("ArrowRight")  # there is nothing above the diagonal
    page.keyboard.press("ArrowDown")
    expect(page.locator("p", has_text="loss 2 at step 1: missing")).to_be_visible()
    page.locator("[data-at='1,1']").click()
    expect(page.locator("p", has_text="loss 2 at step 2: a multiple")).to_be_visible()
