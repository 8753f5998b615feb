"""The box: what a worker can reach, what stops it, and that it leaves nothing behind."""

import sys
import time

import numpy as np
import pytest

from rnnlib.coursework.grading import box, sandbox
from rnnlib.coursework.grading.grader import REFERENCE, Job, Step, grade, require_fair
from rnnlib.coursework.grading.sandbox import Limits, Worker, WorkerLostError
from rnnlib.coursework.questions import load

SMALL = Limits(cell=10, answer=5, memory=700, output=1)


@pytest.fixture(params=[pytest.param(True, marks=pytest.mark.sandbox, id="boxed"), pytest.param(False, id="unboxed")])
def boxed(request):
    return request.param


def text(outputs):
    return "".join(output.get("text", "") for output in outputs)


def test_cells_run_and_answers_come_back(boxed):
    question = load("ps2/backward")
    with Worker(sandboxed=boxed) as worker:
        assert text(worker.run("print(1 + 1)")) == "2\n"
        assert "ZeroDivisionError" in text(worker.run("1 / 0"))
        worker.run(
            "from rnnlib import bptt\ndef backward(params, xs, d_ys):\n    return bptt.backward(params, bptt.forward(params, xs), d_ys)"
        )
        assert question.grade(lambda inputs: worker.answer(question.id, "backward", inputs), seed="s").right
        assert worker.answer(question.id, "forward", {}).trouble == "There is no function forward."
        shown = worker.run("import matplotlib.pyplot as plt\nplt.plot([1, 2]); plt.show()")
        assert [list(output["data"]) for output in shown] == [["text/plain", "image/png"]]


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("while True: pass", "It was stopped after 1 s."),
        ("import os; os._exit(0)", "It ended its own process."),
        ("hoard = []\nwhile True: hoard.append(b'x' * 20_000_000)", "memory"),
    ],
)
def test_what_takes_too_much_is_stopped(boxed, source, why):
    limits = SMALL._replace(cell=1.0) if "pass" in source else SMALL
    with Worker(limits, sandboxed=boxed) as worker:
        start = time.perf_counter()
        try:
            assert "MemoryError" in text(worker.run(source)), "the kernel's limit came first"
        except WorkerLostError as lost:
            assert why in str(lost)  # noqa: PT017  (either end is fine)
        assert time.perf_counter() - start < limits.cell + 5


def test_a_worker_that_does_not_start_is_nobodys_zero(boxed, monkeypatch):
    broken = [sys.executable, "-c", "raise SystemExit('no space left on device')"]
    monkeypatch.setattr(box, "command", lambda *settings: broken)
    with pytest.raises(RuntimeError, match="grading: the worker did not start: no space left on device"):
        grade(Job((Step("", "ps2/backward", "backward"),), "seed"), SMALL, boxed)


def test_the_reference_earns_everything_here(boxed):
    outputs = grade(REFERENCE, SMALL, boxed)
    require_fair(outputs)
    outputs[-1][-1]["data"]["text/plain"] = "0"
    with pytest.raises(RuntimeError, match="the reference answer earns 0 points here, so nobody was graded"):
        require_fair(outputs)


@pytest.mark.sandbox
def test_in_the_box_nobody_makes_a_box():
    if not box._no_namespaces():
        pytest.skip("bubblewrap is older than 0.8: namespaces of its own can't be refused")
    with Worker() as worker:
        shown = worker.run("import ctypes\nprint(ctypes.CDLL(None, use_errno=True).unshare(0x10000000))")
    assert text(shown) == "-1\n"


@pytest.mark.sandbox
def test_in_the_box_there_is_neither_course_nor_network():
    with Worker() as worker:
        worker.run("import os, pathlib, rnnlib, socket\nroot = pathlib.Path(rnnlib.__file__).parents[1]")
        assert text(worker.run("print(sorted(p.name for p in root.iterdir() if p.name[0] != '.'))")) == "['rnnlib']\n"
        assert "Read-only file system" in text(worker.run("(root / 'rnnlib' / 'bptt.py').write_text('')"))
        assert "Network is unreachable" in text(worker.run("socket.create_connection(('192.0.2.1', 80))"))
        assert text(worker.run("print(os.listdir(os.path.expanduser('~')), len(os.listdir('/proc')) < 100)"))
        assert "RNN_COURSE" not in text(worker.run("print(os.environ)"))


def test_a_lost_step_is_left_out_and_the_rest_is_graded(boxed):
    steps = (
        Step("import os"),
        Step("os._exit(0)"),
        *REFERENCE.steps,
        Step("answer = lambda **inputs: os._exit(0)"),
        Step("", "ps2/readout_gradients", "answer"),
        Step("print('after')"),
    )
    outputs = grade(Job(steps, "seed"), SMALL, boxed)
    assert "left out" in text(outputs[1])
    assert [outputs[i][1]["data"]["text/plain"] for i in (3, 5)] == ["2", "0"]
    assert "It ended its own process" in outputs[5][0]["data"]["text/plain"]


def test_the_whole_time_is_limited(boxed):
    steps = (Step("import time; time.sleep(1.5)"), Step("print('late')"), Step("", "ps2/backward", "backward"))
    outputs = grade(Job(steps, "seed"), SMALL._replace(total=1.0), boxed)
    assert text(outputs[1]) == "All its cells and answers took more than 1 s.\n"
    assert "took more than 1 s" in outputs[2][0]["data"]["text/plain"]
    assert outputs[2][1]["data"]["text/plain"] == "0"


ODD = ["None", "'text'", "{'W_xh': None}", "[[[]]]", "float('nan')", "open", "xs.astype(object)", "(xs,) * 3"]


def test_odd_answers_are_judged_and_break_nothing(boxed):
    steps = [(Step(f"def f(params, xs, d_ys):\n    return {value}"), Step("", "ps2/backward", "f")) for value in ODD]
    outputs = grade(Job(sum(steps, ()), "seed"), sandboxed=boxed)
    assert [outputs[i][1]["data"]["text/plain"] for i in range(1, 2 * len(ODD), 2)] == ["0"] * len(ODD)


def test_without_bubblewrap_it_says_what_to_do(monkeypatch):
    box.require_sandbox.cache_clear()
    monkeypatch.setattr(box.shutil, "which", lambda name: None)
    with pytest.raises(
        RuntimeError, match=r"bwrap\) is not installed. Try apt install bubblewrap. .*--without-sandbox"
    ):
        box.require_sandbox()
    box.require_sandbox.cache_clear()


def test_what_is_shown_can_run_nowhere():
    good = {"output_type": "display_data", "data": {"text/plain": "x", "image/png": "aGk="}, "metadata": {}}
    assert sandbox._taken(good) == good
    assert sandbox._taken(good | {"data": good["data"] | {"text/html": "<b>"}}) == good
    for bad in ({"text/html": "<b>"}, {"image/png": '"><script>'}, {"image/png": 3}, {"text/plain": ["x"]}):
        assert not sandbox._taken(good | {"data": bad})
    assert not sandbox._taken(good | {"output_type": "execute_result"})
    assert not sandbox._taken({"output_type": "stream", "name": "<script>", "text": "x"})
    assert not sandbox._taken(np.zeros(3))
