"""The box: what a worker can reach, what stops it, and that it leaves nothing behind."""

import errno
import os
import re
import struct
import subprocess
import sys
import time
from contextlib import nullcontext, suppress
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from rnnlib.coursework.grading import box, cgroup, outputs, seccomp, watch
from rnnlib.coursework.grading.grader import REFERENCE, Job, Step, grade, require_fair
from rnnlib.coursework.grading.limits import Limits
from rnnlib.coursework.grading.sandbox import Worker, WorkerLostError
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
        assert time.perf_counter() - start < 60, "long before a loop would end"


def test_a_worker_that_does_not_start_is_nobodys_zero(boxed, monkeypatch):
    broken = [sys.executable, "-c", "raise SystemExit('no space left on device')"]
    monkeypatch.setattr(box, "command", lambda *settings: broken)
    with pytest.raises(RuntimeError, match="grading: the worker did not start: no space left on device"):
        grade(Job((Step("", "ps2/backward", "backward"),), "seed"), SMALL, boxed)


def test_the_reference_earns_everything_here(boxed):
    outputs, starved = grade(REFERENCE, SMALL, boxed)
    assert not starved
    require_fair(outputs)
    outputs[-1][-1]["data"]["text/plain"] = "0"
    with pytest.raises(RuntimeError, match="the reference answer earns 0 points here, so nobody was graded"):
        require_fair(outputs)


@pytest.mark.parametrize(
    ("worked", "busy", "passed", "stopped", "starved"),
    [
        *[(0.4, 0.4, 0.1, False, False), (0.6, 0.6, 0.1, True, False), (0.49, 9.0, 9.0, True, False)],
        *[(0.1, 9.0, 9.0, True, True), (0.1, 0.2, 9.0, True, False)],
    ],
)
def test_a_limit_is_on_work_and_who_had_to_leave_the_core_to_others_was_starved(
    monkeypatch, worked, busy, passed, stopped, starved
):
    worker = Worker()
    worker._core, worker._worked, worker.starved = 0, 7.0 + worked, False
    monkeypatch.setattr(watch, "busy", lambda core: 5.0 + busy)
    with pytest.raises(WorkerLostError, match=r"stopped after 0\.5 s") if stopped else nullcontext():
        worker._in_time(time.monotonic() - passed, (7.0, 5.0), 0.5)
    assert worker.starved == starved


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no process is kept to a core here")
def test_a_core_is_busy_as_long_as_somebody_uses_it():
    core = min(os.sched_getaffinity(0))
    before = watch.busy(core)
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as loop:
        os.sched_setaffinity(loop.pid, {core})
        time.sleep(1.5)
        loop.kill()
    assert 1 < watch.busy(core) - before < 5
    assert watch.busy(None) == float("inf")


def test_what_a_worker_says_is_a_line_that_can_be_stored():
    assert outputs.line("a\n  \u2713 ps2: 3 of 3 points\x1b[2J\ud800") == "a \u2713 ps2: 3 of 3 points\ufffd[2J?"
    assert outputs.line("x" * 5000) == "x" * 500


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no process is kept to a core here")
def test_each_worker_keeps_to_a_core_and_the_cores_are_shared_out():
    cores = os.sched_getaffinity(0)
    with Worker(sandboxed=False) as worker, watch.on_a_core() as other:
        assert text(worker.run("import os; print(os.sched_getaffinity(0))")) == f"{ {worker._core} }\n"
        assert other != worker._core or len(cores) == 1
    watch.leave(other)
    assert os.sched_getaffinity(0) == cores
    assert not +watch._taken


@pytest.mark.sandbox
def test_in_the_box_nobody_makes_a_box():
    if not box._no_namespaces():
        pytest.skip("bubblewrap is older than 0.8: namespaces of its own can't be refused")
    with Worker() as worker:
        shown = worker.run("import ctypes\nprint(ctypes.CDLL(None, use_errno=True).unshare(0x10000000))")
    assert text(shown) == "-1\n"


REFUSED = """
import ctypes, errno, mmap, os, socket
from rnnlib.coursework.grading import seccomp
kernel, column = ctypes.CDLL(None, use_errno=True), seccomp.ARCHITECTURES[os.uname().machine][0]
def call(name, *args):
    kernel.syscall(seccomp.REFUSED[name][column], *args)
    return errno.errorcode.get(ctypes.get_errno())
print("note", call("add_key", b"user", b"note", b"the answers", 11, -4), call("keyctl", 0, -4, 1))
print("others", {call(name, *[0] * 5) for name in seccomp.REFUSED})
def attempted(f):
    try:
        f()
    except OSError as error:
        return errno.errorcode[error.errno]
print("shared", attempted(lambda: mmap.mmap(-1, 4096)), attempted(lambda: mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)))
print("zero", attempted(lambda: mmap.mmap(os.open("/dev/zero", os.O_RDWR), 4096)))
print("nets", {attempted(lambda: socket.socket(family, kind)) for family in (2, 10, 16, 38, 40) for kind in (1, 2, 5)})
print("pair", attempted(socket.socketpair))
"""


@pytest.mark.sandbox
def test_the_kernel_refuses_what_would_outlive_the_box_or_be_counted_by_nobody():
    if not seccomp.program():
        pytest.skip("the numbers of this machine's calls are not known")
    with Worker() as worker:
        shown = text(worker.run(REFUSED))
    assert shown.splitlines() == [
        "note EPERM EPERM",
        "others {'EPERM'}",
        "shared EPERM None",
        "zero EACCES",
        "nets {'ENETUNREACH'}",
        "pair None",
    ]


HONEST = """
import asyncio, mmap, multiprocessing, subprocess, sys, tempfile
import jax.numpy as jnp
with multiprocessing.get_context("fork").Pool(1) as pool:
    print(pool.map(abs, [-1, -2]))
print(jnp.arange(4.0) @ jnp.ones(4), subprocess.run([sys.executable, "-c", "print(3)"], capture_output=True).stdout)
await asyncio.sleep(0)
with tempfile.TemporaryFile() as file:
    file.truncate(4096)
    print(len(mmap.mmap(file.fileno(), 4096)))
"""


@pytest.mark.sandbox
def test_what_honest_code_does_is_not_refused():
    with Worker() as worker:
        assert text(worker.run(HONEST)) == "[1, 2]\n6.0 b'3\\n'\n4096\n"


def judged(program, number, arguments=(), audited=0xC000003E):
    """What the kernel's machine answers to a call: the filter, step by step."""
    data = struct.pack("<iIQ6Q", number, audited, 0, *[*arguments, *[0] * 6][:6])
    held, at = 0, 0
    while True:
        code, true, false, k = struct.unpack_from("=HBBI", program, 8 * at)
        match code:
            case seccomp.LOAD:
                (held,) = struct.unpack_from("<I", data, k)
            case seccomp.AND:
                held &= k
            case seccomp.RETURN:
                return k
        at += 1 + {seccomp.EQUAL: (false, true)[held == k], seccomp.AT_LEAST: (false, true)[held >= k]}.get(code, 0)


@pytest.mark.parametrize("machine", seccomp.ARCHITECTURES)
def test_the_filter_s_every_way(machine):
    column, audited = seccomp.ARCHITECTURES[machine]
    ask = partial(judged, seccomp.program(machine), audited=audited)
    refused, unreachable = seccomp.ERROR | errno.EPERM, seccomp.ERROR | errno.ENETUNREACH
    assert {ask(numbers[column]) for numbers in seccomp.REFUSED.values()} == {refused}
    assert ask(1000) == ask(seccomp.SOCKET[column], (1,)) == seccomp.ALLOW
    assert ask(seccomp.SOCKET[column], (2,)) == ask(seccomp.SOCKET[column], (40,)) == unreachable
    maps = [ask(seccomp.MMAP[column], (0, 4096, 3, flags)) for flags in (0x01, 0x02, 0x22, 0x21, 0x40021)]
    assert maps == [seccomp.ALLOW] * 3 + [refused] * 2
    assert ask(seccomp.X32 + 1) == refused
    assert ask(1000, audited=0x40000003) == seccomp.KILL, "another architecture's numbers mean other calls"


def test_what_grows_while_nothing_is_asked_is_stopped(boxed):
    grows = """
import threading
hoard = []
def grow():
    while True: hoard.append(bytes(10_000_000) + b"x")
threading.Thread(target=grow).start()
"""
    with Worker(SMALL, sandboxed=boxed) as worker:
        with suppress(WorkerLostError):  # it may be stopped at once
            worker.run(grows)
        worker._process.wait(timeout=60)
        with pytest.raises(WorkerLostError, match="more than 700 MiB of memory"):
            worker.run("")


@pytest.mark.sandbox
def test_what_waits_in_sockets_is_counted():
    fill = "import socket, time\npairs = [socket.socketpair() for _ in range(100)]\ntime.sleep(9)"
    with Worker(SMALL._replace(memory=90)) as worker, pytest.raises(WorkerLostError, match="more than 90 MiB"):
        worker.run(fill)


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
    outputs = grade(Job(steps, "seed"), SMALL, boxed).outputs
    assert "left out" in text(outputs[1])
    assert [outputs[i][1]["data"]["text/plain"] for i in (3, 5)] == ["1", "0"]
    assert "It ended its own process" in outputs[5][0]["data"]["text/plain"]


def test_the_whole_time_is_limited(boxed):
    steps = (Step("import time; time.sleep(1.5)"), Step("print('late')"), Step("", "ps2/backward", "backward"))
    outputs = grade(Job(steps, "seed"), SMALL._replace(total=1.0), boxed).outputs
    assert text(outputs[1]) == "All its cells and answers took more than 1 s.\n"
    assert "took more than 1 s" in outputs[2][0]["data"]["text/plain"]
    assert outputs[2][1]["data"]["text/plain"] == "0"


ODD = ["None", "'text'", "{'W_xh': None}", "[[[]]]", "float('nan')", "open", "xs.astype(object)", "(xs,) * 3"]


def test_odd_answers_are_judged_and_break_nothing(boxed):
    steps = [(Step(f"def f(params, xs, d_ys):\n    return {value}"), Step("", "ps2/backward", "f")) for value in ODD]
    outputs = grade(Job(sum(steps, ()), "seed"), sandboxed=boxed).outputs
    assert [outputs[i][1]["data"]["text/plain"] for i in range(1, 2 * len(ODD), 2)] == ["0"] * len(ODD)


def test_what_holds_the_course_the_seed_or_a_home_is_not_mounted(tmp_path, monkeypatch):
    box.require_hidden(tmp_path)
    for where, what in ((tmp_path, tmp_path / "course"), (tmp_path.parent, tmp_path), (Path.home(), tmp_path / "seed")):
        monkeypatch.setattr(sys, "prefix", str(where))
        with pytest.raises(
            RuntimeError, match=f"submissions would see .* lies in {re.escape(str(where))}, where Python"
        ):
            box.require_hidden(what)
    monkeypatch.undo()
    with pytest.raises(RuntimeError, match=r"would see /usr/course, as it lies in /usr"):
        box.require_hidden(Path("/usr/course"))
    (tmp_path / "course").symlink_to("/usr/share")
    with pytest.raises(RuntimeError, match="Move it, or set Python up in another folder"):
        box.require_hidden(tmp_path / "course")


def test_without_bubblewrap_it_says_what_to_do(monkeypatch):
    box.require_sandbox.cache_clear()
    monkeypatch.setattr(box.shutil, "which", lambda name: None)
    with pytest.raises(
        RuntimeError, match=r"bwrap\) is not installed. Try apt install bubblewrap. .*--without-sandbox"
    ):
        box.require_sandbox()
    box.require_sandbox.cache_clear()


@pytest.mark.parametrize("given", [True, False])
def test_a_control_group_where_there_is_one_and_the_watcher_elsewhere(monkeypatch, given):
    monkeypatch.setattr(cgroup, "available", lambda: given)
    line = box.command(SMALL._replace(memory=700, files=256, processes=64), (), True)
    at = line.index("bwrap")
    assert (line[:2] == ["systemd-run", "--user"]) == given == ("MemoryMax=1020M" in line[:at]) == (at > 0)
    assert box.counted_by().startswith("memory: a control group" if given else "memory: watched")


def test_what_is_shown_can_run_nowhere():
    good = {"output_type": "display_data", "data": {"text/plain": "x", "image/png": "aGk="}, "metadata": {}}
    assert outputs.taken(good) == good
    assert outputs.taken(good | {"data": good["data"] | {"text/html": "<b>"}}) == good
    for bad in ({"text/html": "<b>"}, {"image/png": '"><script>'}, {"image/png": 3}, {"text/plain": ["x"]}):
        assert not outputs.taken(good | {"data": bad})
    assert not outputs.taken(good | {"output_type": "execute_result"})
    assert not outputs.taken({"output_type": "stream", "name": "<script>", "text": "x"})
    assert not outputs.taken(np.zeros(3))
