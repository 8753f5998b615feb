"""Where a Question asks for the form of a program too, right numbers in another form earn next to nothing."""

import jax
import jax.numpy as jnp
import nbformat
import numpy as np
import pytest
from jax.lax import scan

from rnnlib.coursework.questions import load
from tests.conftest import ROOT

pytestmark = pytest.mark.usefixtures("as_learners_write")
NOTEBOOKS = ROOT / "notebooks" / "assignments"


@pytest.fixture
def as_learners_write():
    """Biases of another rank are added as they come."""
    with jax.numpy_rank_promotion("allow"):
        yield


def given(path, *cells):
    """What a learner's notebook defines before an answer."""
    notebook, names = nbformat.read(NOTEBOOKS / path, as_version=4), {"np": np, "jnp": jnp, "jax": jax}
    for cell in notebook.cells:
        if cell.id in ("imports", *cells):
            exec(cell.source.partition("\nplt.style")[0], names)
    return names


def change_by_a_loop(params, xs):
    hs = [jnp.broadcast_to(params.h0, (xs.shape[1], params.h0.size))]
    for x in xs:
        hs.append(jnp.tanh(x @ params.W_xh + hs[-1] @ params.W_hh + params.b_h))
    hs = jnp.stack(hs)
    return hs[-1], (hs[1:] - hs[:-1]) @ params.W_hy + params.b_y


def change_beside_a_scan(params, xs):
    last, ys = change_by_a_loop(params, xs)
    return scan(lambda h, x: (h, x), last, xs)[0], ys


def translated_by_a_loop(us, vs, start, W_1, W_2, V):
    (two, one), results = start, []
    for u, v in zip(us[::-1], vs[::-1], strict=True):
        two, one = one, jnp.tanh(u + one @ W_1 + two @ W_2)
        results.append((one, v * (one @ V)))
    return tuple(map(jnp.stack, zip(*results, strict=True)))


def returns_by_vjp(rewards, discounts, last, d_returns, limit):
    def ahead(*given):
        def body(after, now):
            return 2 * (now[0] + now[1] * after, 0)[:1]

        return scan(body, given[2], given[:2], reverse=True)[1]

    values, back = jax.vjp(ahead, rewards, discounts, last)
    return values, *back(d_returns)


FORMS = {
    "change_net, a loop": ("ps4/change_net", change_by_a_loop, "0 of 1 scans: a Python loop is written out T times"),
    "change_net, a loop beside a scan": ("ps4/change_net", change_beside_a_scan, "written out step by step"),
    "translated, a loop": ("ps4/translated", translated_by_a_loop, "0 of 1 scans"),
    "hoisted, the unchanged start": ("ps4/hoisted", given("ps4_scan/ps4_scan.ipynb", "all-inside")["all_inside"], "products 4"),
    "returns, by jax.vjp": ("ps4/returns_and_back", returns_by_vjp, "Nothing is held within the limit"),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMS)
def test_right_numbers_in_another_form_earn_a_tenth_at_most(name):
    id, answer, says = FORMS[name]
    question = load(id)
    verdict = question.grade(lambda inputs: question.ask(answer, inputs))
    assert verdict.earned <= (0.34 if "beside" in name else 0.1) * question.points, verdict
    assert says in str(verdict)


def test_the_loss_with_every_state_kept_earns_nothing():
    kept = given("ps4_scan/ps4_scan.ipynb", "memory")["all_kept"]
    question = load("ps4/checkpointed_loss")
    verdict = question.grade(
        lambda inputs: question.ask(lambda params, xs, targets, chunk: kept(params, xs, targets), inputs)
    )
    assert verdict.earned == 0, verdict
    assert "kept 30550 (allowed 768)" in str(verdict)


def test_differences_of_the_gradient_are_not_exact():
    def by_differences(objective, theta, v, h=1e-5):
        slope = jax.grad(objective)
        Hv = (slope(theta + h * v) - slope(theta - h * v)) / (2 * h)
        return Hv, v @ Hv / (v @ v)

    question = load("ps6/directional_curvature")
    verdict = question.grade(lambda inputs: question.ask(by_differences, inputs))
    assert verdict.earned == 0, verdict
    assert "a quotient of differences is not exact" in str(verdict)
