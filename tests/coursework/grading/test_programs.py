"""Programs of JAX's are made in one box and looked at in another: whatever the first one's code does to itself, it earns what it wrote."""

import time

import pytest

from rnnlib.coursework.grading.grader import Job, Step, grade
from rnnlib.coursework.grading.limits import DEFAULT_LIMITS
from rnnlib.coursework.questions import load

pytestmark = pytest.mark.sandbox
IMPORTS = "import jax\nimport jax.numpy as jnp\nimport numpy as np\nfrom jax.lax import scan\n"
HONEST = """
def change_net(params, xs):
    def body(old, x):
        new = jnp.tanh(x @ params.W_xh + old @ params.W_hh + params.b_h)
        return new, (new - old) @ params.W_hy + params.b_y

    return scan(body, jnp.broadcast_to(params.h0, (xs.shape[1], params.h0.size)), xs)
"""
LOOP = """
def change_net(params, xs):
    hs = [jnp.broadcast_to(params.h0, (xs.shape[1], params.h0.size))]
    for x in xs:
        hs.append(jnp.tanh(x @ params.W_xh + hs[-1] @ params.W_hh + params.b_h))
    hs = jnp.stack(hs)
    return hs[-1], (hs[1:] - hs[:-1]) @ params.W_hy + params.b_y
"""
PATCHED = """
from rnnlib.coursework import answers, asking
from rnnlib.coursework.problem_sets import forms, programs
forms._require_short = lambda *a: None
forms.LONG, programs.MOST = 10**9, 10**9
forms.measured = lambda *a: {"last": np.zeros((1, 1)), "ys": np.zeros((1, 1))}
asking.PROGRAMS.clear()
"""
BAKED = """
import gc
def change_net(params, xs):
    seen = [d for d in gc.get_objects() if isinstance(d, dict) and "xs" in d and "params" in d and type(d["xs"]) is np.ndarray]
    given = next(d for d in seen if d["xs"].shape == xs.shape)
    xs, params = given["xs"], given["params"]
    h = np.broadcast_to(params.h0, (xs.shape[1], params.h0.size))
    ys = []
    for x in xs:
        h, old = np.tanh(x @ params.W_xh + h @ params.W_hh + params.b_h), h
        ys.append((h - old) @ params.W_hy + params.b_y)
    return scan(lambda h, y: (h + 0 * y.sum(), y), jnp.asarray(h), jnp.stack(ys))
"""
FORGED = """
class Forged:
    def serialize(self):
        return bytearray(b"no program at all" * 99)
from rnnlib.coursework.problem_sets import programs
programs.made = lambda *a: [Forged()]
"""
SUBMISSIONS = {
    "honest": (HONEST, 1, "2 of 2 points"),
    "a loop": (LOOP, 0, "0 of 1 scans"),
    "a loop, and what counts is patched": (PATCHED + LOOP, 0, ""),
    "numbers found in memory": (BAKED, 0, ""),
    "bytes that are no program": (FORGED + HONEST, 0, ""),
}


@pytest.mark.parametrize("name", SUBMISSIONS)
def test_what_is_counted_is_what_was_written(name):
    source, share, says = SUBMISSIONS[name]
    job = Job((Step(IMPORTS), Step(source), Step("", "ps4/change_net", "change_net")), "a seed")
    verdict, points = (output["data"]["text/plain"] for output in grade(job).outputs[-1])
    assert float(points) == share * load("ps4/change_net").points, verdict
    assert says in verdict


NAMES = ("change_net", "translated")
TRANSLATED = """
def translated(us, vs, start, W_1, W_2, V):
    def body(carry, now):
        a = jnp.tanh(now[0] + carry[1] @ W_1 + carry[0] @ W_2)
        return (carry[1], a), (a, now[1] * (a @ V))

    _, (a, s) = scan(body, (start[0], start[1]), (us, vs), reverse=True)
    return a[::-1], s[::-1]
"""
ENDLESS = (
    HONEST
    + """
change = change_net
def change_net(params, xs):
    never = jax.lax.while_loop(lambda c: c >= 0, lambda c: jnp.abs(c * 0.5), xs.sum() ** 2)
    last, ys = change(params, xs)
    return last + never, ys
"""
)


def test_a_program_that_never_ends_is_charged_and_tried_once():
    limits = DEFAULT_LIMITS._replace(answer=2.0)
    job = Job((Step(IMPORTS), Step(ENDLESS + TRANSLATED), *(Step("", f"ps4/{name}", name) for name in NAMES)), "a seed")
    began = time.monotonic()
    grading = grade(job, limits)
    verdicts = [outputs[-2]["data"]["text/plain"] for outputs in grading.outputs[2:]]
    assert "Its program could not be run. It was stopped after" in verdicts[0]
    assert "3 of 3 points" in verdicts[1], "the next Question has another box"
    assert time.monotonic() - began < 200
