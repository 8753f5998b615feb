"""Where a Question asks for the form of a program too, right numbers in another form earn next to nothing."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import nbformat
import numpy as np
import pytest
from jax.lax import scan

from rnnlib.coursework import asking
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
    return scan(lambda h, x: (h + 0 * x.sum(), None), last, xs)[0], ys


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


def change_in_a_branch(params, xs):
    return jax.lax.cond(xs[0, 0, 0] > 9, change_net, change_by_a_loop, params, xs)


def change_named(params, xs):
    return dict(zip(("last", "ys"), change_by_a_loop(params, xs), strict=True))


def change_in_numpy(params, xs):
    def by_hand(*given):
        given = [np.asarray(a) for a in given]
        return change_by_a_loop(type(params)(*given[1:]), given[0])

    shapes = jax.eval_shape(change_by_a_loop, params, xs)
    return jax.pure_callback(by_hand, shapes, xs, *params)


def change_that_knows_when(params, xs):
    if len(xs) > 5:
        return change_by_a_loop(params, xs)
    return change_net(params, xs)


def change_net(params, xs):
    def body(old, x):
        new = jnp.tanh(x @ params.W_xh + old @ params.W_hh + params.b_h)
        return new, (new - old) @ params.W_hy + params.b_y

    return scan(body, jnp.broadcast_to(params.h0, (xs.shape[1], params.h0.size)), xs)


def resets_by_a_loop(As, bs, resets):
    h, hs = 0 * bs[0], []
    for A, b, reset in zip(As, bs, resets, strict=True):
        h = A @ jnp.where(reset == 1, 0, h) + b
        hs.append(h)
    return jnp.stack(hs)


def resets_in_a_branch(As, bs, resets):
    def loop(As, bs, resets):
        def body(h, now):
            A, b, reset = now
            h = A @ jnp.where(reset == 1, 0, h) + b
            return h, h

        return scan(body, 0 * bs[0], (As, bs, resets))[1]

    return jax.lax.switch(0, [loop], As, bs, resets)


def hoisted_in_a_branch(params, xs, W_xg, b_g):
    inside = given("ps4_scan/ps4_scan.ipynb", "all-inside")["all_inside"]
    return jax.lax.cond(True, inside, inside, params, xs, W_xg, b_g)


def hoisted_but_one_product_is_a_sum(params, xs, W_xg, b_g):
    driven = xs @ params.W_xh + params.b_h

    def body(h, now):
        x, p = now
        g = jax.nn.sigmoid((x[:, :, None] * W_xg[None]).sum(1) + b_g)
        h = g * jnp.tanh(p + h @ params.W_hh) + (1 - g) * h
        return h, h

    h0 = jnp.broadcast_to(params.h0, (xs.shape[1], params.h0.size))
    return scan(body, h0, (xs, driven))[1] @ params.W_hy + params.b_y


def hidden(function):
    """The body of a composite is kept aside of the program."""

    @partial(jax.lax.composite, name="my.step")
    def composed(*leaves):
        return function(*jax.tree.unflatten(structure, leaves))

    structure = None

    def answer(**given):
        nonlocal structure
        leaves, structure = jax.tree.flatten(tuple(given.values()))
        return composed(*leaves)

    return answer


def resets_solved(As, bs, resets):
    T, H = bs.shape
    kept = jnp.where(resets[:, None, None] == 1, 0, As)
    whole = (
        jnp.eye(T * H)
        .reshape(T, H, T, H)
        .at[jnp.arange(1, T), :, jnp.arange(T - 1)]
        .add(-kept[1:])
        .reshape(T * H, T * H)
    )
    return jax.lax.linalg.triangular_solve(whole, bs.reshape(-1, 1), left_side=True, lower=True).reshape(T, H)


FORMS = {
    "change_net, a loop in a composite": ("ps4/change_net", hidden(change_beside_a_scan), "It uses stablehlo.composite"),
    "resets, a scan in a composite": ("ps4/scan_with_resets", hidden(resets_in_a_branch), "It uses stablehlo.composite"),
    "resets, a solver": ("ps4/scan_with_resets", resets_solved, "It uses"),
    "change_net, a loop": ("ps4/change_net", change_by_a_loop, "0 of 1 scans: a Python loop is written out T times"),
    "change_net, a loop beside a scan": ("ps4/change_net", change_beside_a_scan, "written out step by step"),
    "change_net, a loop in a branch": ("ps4/change_net", change_in_a_branch, "written out step by step"),
    "change_net, a loop by names": ("ps4/change_net", change_named, "0 of 1 scans"),
    "change_net, in NumPy": ("ps4/change_net", change_in_numpy, "callback"),
    "change_net, a loop where it is long": ("ps4/change_net", change_that_knows_when, "0 of 1 scans"),
    "translated, a loop": ("ps4/translated", translated_by_a_loop, "0 of 1 scans"),
    "hoisted, the unchanged start": ("ps4/hoisted", given("ps4_scan/ps4_scan.ipynb", "all-inside")["all_inside"], "products 4"),
    "hoisted, the same in a branch": ("ps4/hoisted", hoisted_in_a_branch, "products 8"),
    "hoisted, one as a sum": ("ps4/hoisted", hoisted_but_one_product_is_a_sum, "products 2"),
    "returns, by jax.vjp": ("ps4/returns_and_back", returns_by_vjp, "Nothing is held within the limit"),
    "resets, a loop": ("ps4/scan_with_resets", resets_by_a_loop, "It is written out step by step, T turns"),
    "resets, a scan in a branch": ("ps4/scan_with_resets", resets_in_a_branch, "A loop takes its steps one after another"),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMS)
def test_right_numbers_in_another_form_earn_nothing(name):
    id, answer, says = FORMS[name]
    question = load(id)
    verdict = question.grade(lambda inputs: question.ask(answer, inputs))
    assert verdict.earned == 0, verdict
    assert says in str(verdict)


class Both(NamedTuple):
    last: jax.Array
    ys: jax.Array


def by_while(params, xs):
    def body(now):
        t, h, ys = now
        new = jnp.tanh(xs[t] @ params.W_xh + h @ params.W_hh + params.b_h)
        return t + 1, new, ys.at[t].set((new - h) @ params.W_hy + params.b_y)

    begin = 0, jnp.tile(params.h0, (xs.shape[1], 1)), jnp.zeros((*xs.shape[:2], params.b_y.size))
    return jax.lax.while_loop(lambda now: now[0] < len(xs), body, begin)[1:]


def solved(id):
    """The answer of the instructor's notebook, as a function of its inputs."""
    cell = id.partition("/")[2].split("_")[0].replace("scan", "resets").replace("loss", "cuts")
    return given("ps4_scan/ps4_scan.ipynb", f"{cell}-answer")[id.partition("/")[2]]


def unrolled(params, xs):
    def body(old, x):
        new = jnp.tanh(x @ params.W_xh + old @ params.W_hh + params.b_h)
        return new, (new - old) @ params.W_hy + params.b_y

    return scan(body, jnp.broadcast_to(params.h0, (xs.shape[1], params.h0.size)), xs, unroll=2)


def readout_after(params, xs):
    h0 = jnp.broadcast_to(params.h0, (xs.shape[1], params.h0.size))
    driven = jnp.einsum("tbd,dh->tbh", xs, params.W_xh)

    def body(h, p):
        h = jnp.tanh(p + h @ params.W_hh + params.b_h)
        return h, h

    last, hs = scan(body, h0, driven)
    return last, jnp.diff(hs, axis=0, prepend=h0[None]) @ params.W_hy + params.b_y


def each_sequence(params, xs):
    def one(x):
        last, ys = change_net(params, x[:, None])
        return last[0], ys[:, 0]

    return jax.vmap(one, 1, (0, 1))(xs)


def by_index(params, xs):
    """fori_loop into an array, each step a function of its own, compiled, over the batch by vmap."""

    @jax.jit
    def step(h, x):
        return jnp.tanh(x @ params.W_xh + h @ params.W_hh + params.b_h)

    def body(t, carry):
        h, ys = carry
        new = jax.vmap(step)(h, xs[t])
        return new, ys.at[t].set((new - h) @ params.W_hy + params.b_y)

    h0 = jnp.tile(params.h0, (xs.shape[1], 1))
    return jax.lax.fori_loop(0, len(xs), body, (h0, jnp.zeros((*xs.shape[:2], len(params.b_y)), xs.dtype)))


def checkpointed_by_hand(params, xs, targets, chunk):
    """Checkpoints of a learner's own, by custom_vjp."""
    run = solved("ps4/checkpointed_loss")

    @jax.custom_vjp
    def loss(params):
        return run(params, xs, targets, chunk)

    def back(params, error):
        return jax.vjp(lambda p: run(p, xs, targets, chunk), params)[1](error)

    loss.defvjp(lambda params: (loss(params), params), back)
    return loss(params)


def resets_doubling(As, bs, resets):
    """By hand: what is twice as far at each round."""
    A, b, far = jnp.where(resets[:, None, None] == 1, 0, As), bs, 1
    while far < len(bs):
        before = jnp.pad(A, ((far, 0), (0, 0), (0, 0)))[:-far], jnp.pad(b, ((far, 0), (0, 0)))[:-far]
        A, b, far = A @ before[0], jnp.einsum("tij,tj->ti", A, before[1]) + b, 2 * far
    return b


def resets_in_a_branch_of_rounds(As, bs, resets):
    return jax.lax.cond(resets.sum() >= 0, lambda: resets_doubling(As, bs, resets), lambda: 0 * bs)


HONEST = {
    "as it is": ("ps4/change_net", change_net),
    "jitted": ("ps4/change_net", jax.jit(change_net)),
    "a list": ("ps4/change_net", lambda params, xs: [*change_net(params, xs)]),
    "a NamedTuple": ("ps4/change_net", lambda params, xs: Both(*change_net(params, xs))),
    "names in another order": ("ps4/change_net", lambda params, xs: {"ys": change_net(params, xs)[1], "last": change_net(params, xs)[0]}),
    "a while loop": ("ps4/change_net", by_while),
    "a loop by index": ("ps4/change_net", by_index),
    "unrolled twice": ("ps4/change_net", unrolled),
    "each sequence": ("ps4/change_net", each_sequence),
    "readout after": ("ps4/change_net", readout_after),
    "run again on the way back": ("ps4/change_net", lambda params, xs: jax.checkpoint(change_net)(params, xs)),
    "jitted, turned round": ("ps4/returns_and_back", lambda **given: jax.jit(solved("ps4/returns_and_back"))(**given)),
    "jitted, hoisted": ("ps4/hoisted", lambda **given: jax.jit(solved("ps4/hoisted"))(**given)),
    "custom_vjp around checkpoints": ("ps4/checkpointed_loss", checkpointed_by_hand),
    "rounds by hand": ("ps4/scan_with_resets", resets_doubling),
    "rounds in a branch": ("ps4/scan_with_resets", resets_in_a_branch_of_rounds),
}  # fmt: skip


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_answer_in_whatever_style_earns_all(name):
    id, answer = HONEST[name]
    question = load(id)
    verdict = question.grade(lambda inputs: question.ask(answer, inputs))
    assert verdict.right, verdict


def test_a_program_is_made_without_the_numbers_and_run_with_them():
    """What the judge runs is bytes; the one that made them has seen zeros."""
    question = load("ps4/change_net")
    inputs = question.inputs("one sequence", "a")
    made = asking.make(question.id, change_net, asking.blank(inputs), seconds=30)
    answer = asking.measure(question.id, made.value, inputs, seconds=30)
    assert question.judge("one sequence", inputs, answer).share == 1
    other = question.inputs("a single step", "a")
    assert "It takes other inputs" in asking.measure(question.id, made.value, other, seconds=30).trouble


def test_a_program_that_is_no_program_is_refused():
    inputs = load("ps4/change_net").inputs("one sequence", "a")
    answer = asking.measure("ps4/change_net", (np.arange(99, dtype=np.uint8),), inputs, seconds=30)
    assert answer.value is None
    assert answer.trouble


def test_the_loss_with_every_state_kept_earns_nothing():
    kept = given("ps4_scan/ps4_scan.ipynb", "memory")["all_kept"]
    question = load("ps4/checkpointed_loss")
    verdict = question.grade(
        lambda inputs: question.ask(lambda params, xs, targets, chunk: kept(params, xs, targets), inputs)
    )
    assert verdict.earned == 0, verdict
    assert "kept 153430 (allowed 5376)" in str(verdict)


def test_a_checkpoint_around_all_of_it_runs_it_again_in_one_piece():
    kept = given("ps4_scan/ps4_scan.ipynb", "memory")["all_kept"]
    question = load("ps4/checkpointed_loss")
    verdict = question.grade(
        lambda inputs: question.ask(
            lambda params, xs, targets, chunk: jax.checkpoint(kept)(params, xs, targets), inputs
        )
    )
    assert verdict.earned == 0, verdict
    assert "largest array" in str(verdict)


def test_differences_of_the_gradient_are_not_exact():
    def by_differences(objective, theta, v, h=1e-5):
        slope = jax.grad(objective)
        Hv = (slope(theta + h * v) - slope(theta - h * v)) / (2 * h)
        return Hv, v @ Hv / (v @ v)

    question = load("ps6/directional_curvature")
    verdict = question.grade(lambda inputs: question.ask(by_differences, inputs))
    assert verdict.earned == 0, verdict
    assert "a quotient of differences is not exact" in str(verdict)
