"""Submissions to a problem set, from perfect to hostile, and what each must earn."""

import copy
from collections.abc import Callable
from typing import NamedTuple

from nbformat.v4 import new_code_cell, new_markdown_cell

ALL = 17.0  # points of the Questions
WITHOUT_DELTAS = 15.0


class Submission(NamedTuple):
    """What a student hands in: a change of the solved, or of the unsolved, notebook."""

    change: Callable = lambda notebook: None
    solved: bool = True
    earns: float = ALL
    says: str = ""  # somewhere in the feedback


def cell(source):
    """Add a code cell at the start: it runs before everything else."""
    return lambda notebook: notebook.cells.insert(1, new_code_cell(source))


def answer(**sources):
    """Replace answers, by cell id with _ for -."""

    def change(notebook):
        for one in notebook.cells:
            one.source = sources.get(one.id.replace("-", "_"), one.source)

    return change


def _edited_tests(notebook):
    for one in notebook.cells:
        info = one.metadata.get("nbgrader", {})
        if info.get("grade"):
            one.source = "100.0"
            info |= {"points": 100, "solution": True, "locked": False, "schema_version": 99}


def _deleted_tests(notebook):
    notebook.cells = [one for one in notebook.cells if not one.id.endswith("-check")]


def _doubled_tests(notebook):
    for one in list(notebook.cells):
        if one.id.endswith("-check"):
            twin = copy.deepcopy(one)
            twin.source, twin.id = "6.0", one.id + "-2"
            notebook.cells.insert(0, twin)


def _scripts(notebook):
    evil = "<script>alert(1)</script><img src=x onerror=alert(1)> [here](javascript:alert(1))"
    notebook.cells.append(new_markdown_cell(evil))
    shown = f"from IPython.display import HTML, Javascript, display\ndisplay(HTML({evil!r}), Javascript('alert(1)'))\nprint({evil!r})"
    notebook.cells.append(new_code_cell(shown))
    for one in notebook.cells:
        if one.id == "row-answer":
            one.source = evil


def _odd_metadata(notebook):
    notebook.cells[2].metadata = {"nbgrader": {"grade_id": ["x"]}}
    notebook.cells[3].metadata = {"nbgrader": [], "tags": 5}
    notebook.metadata = {"kernelspec": {"name": "bash", "display_name": "x"}, "celltoolbar": [1]}
    notebook.cells.append(new_markdown_cell("![a picture](attachment:gone.gif) and half a character \ud800"))


ALWAYS_EQUAL = """
class Agreeable(np.ndarray):
    __eq__ = __le__ = __lt__ = lambda self, other: True
    __abs__ = __sub__ = __rsub__ = lambda self, *other: np.zeros(self.shape)
def readout_gradients(hs, ys, targets, weights):
    return np.zeros((hs.shape[2], ys.shape[2])).view(Agreeable), np.zeros(ys.shape[2]).view(Agreeable)
"""
PATCHED = """
import numpy as np
from rnnlib.coursework import answers, questions, verdicts
np.allclose = np.array_equal = np.isclose = lambda *a, **k: True
verdicts.compare = lambda *a: (verdicts.Part("all", True, ""),)
questions.compare = verdicts.compare
questions.Question.judge = lambda self, case, *a: verdicts.Case(case, (verdicts.Part("all", True, ""),), "", ())
questions.check = check = lambda *a, **k: 6.0
"""
TRANSFORMER = """
import ast
class Nothing(ast.NodeTransformer):
    def visit_Expr(self, node):
        return ast.Expr(ast.Constant(6.0)) if "check" in ast.dump(node) else node
get_ipython().ast_transformers.append(Nothing())
"""
HOOK = """
def forge(info):
    get_ipython().user_ns["check"] = lambda *a, **k: 6.0
get_ipython().events.register("pre_run_cell", forge)
"""
FORGED = """
import os
from rnnlib.coursework.grading import wire
frame = wire.encode({"value": None, "inputs": None, "trouble": None, "earned": 6.0,
                     "outputs": [{"output_type": "execute_result", "data": {"text/plain": "6.0"}}]})
for fd in range(3, 30):
    try:
        os.write(fd, frame * 20)
    except OSError:
        pass
"""
ODD_FRAMES = """
import json, os
from rnnlib.coursework.grading import wire
texts = [{"dtype": "<f8", "shape": [10**4200] * 800},
         {"dict": {"outputs": {"list": [1] * 100_000}}},
         {"dict": {"outputs": 5}},
         {"dict": {"outputs": {"list": [{"dict": {"output_type": "stream", "name": 5, "text": "x"}}]}}},
         {"dict": {"outputs": {"list": [{"dict": {"output_type": {"dtype": "<f8", "shape": [0]}}}]}}}]
for text in [json.dumps(text).encode() for text in texts]:
    for fd in range(3, 30):
        try:
            if "pipe" in os.readlink(f"/proc/self/fd/{fd}"):
                os.write(fd, wire.HEAD.pack(len(text), 0) + text)
        except OSError:
            pass
"""
MUCH_SHOWN = """
from IPython.display import display
for i in range(700):
    display({"text/plain": "x" * 15_000}, raw=True)
print(chr(0xD800), "half a character")
"""
HIDDEN_MEMORY = """
import os
hidden = [os.memfd_create(str(i)) for i in range(8)]
for fd in hidden:
    os.write(fd, bytes(200_000_000))
import time; time.sleep(5)
"""
FULL_DISK = """
import os
wrote = 0
for path in ("/dev/shm/x", "/dev/x", "/x", "/proc/sys/vm/overcommit_memory", "/tmp/x"):
    try:
        with open(path, "wb") as file:
            for _ in range(2000):
                wrote += file.write(bytes(2**20))
    except OSError as error:
        print(path, type(error).__name__)
print("wrote", wrote < 400 * 2**20)
"""
SPY = """
import glob, os, pathlib, subprocess
for path in [{seed!r}, {gradebook!r}, {source!r}, "/etc/passwd", *glob.glob({course!r} + "/**", recursive=True)]:
    try:
        print(path, open(path, "rb").read())
    except OSError as error:
        print(type(error).__name__)
print(subprocess.run("cat /proc/*/environ; env; ps aux", shell=True, capture_output=True).stdout)
"""
WRECKER = """
import shutil, pathlib, rnnlib, os, sqlite3
for path in [{course!r}, str(pathlib.Path(rnnlib.__file__).parent), os.path.expanduser("~"), "/usr/bin"]:
    shutil.rmtree(path, ignore_errors=True)
try:
    sqlite3.connect({gradebook!r}).execute("update grade set auto_score = 6, manual_score = 6")
except Exception as error:
    print(error)
"""
ENDLESS = """
while True:
    try:
        while True: pass
    except BaseException: pass
"""
BACKWARD = """
def backward(params, xs, d_ys):
    d_ys, hs, carried, d_as = {sign}d_ys, bptt.forward(params, xs).hs, 0, np.zeros((*xs.shape[:2], len(params.h0)))
    for t in reversed(range(len(xs))):
        d_as[t] = (d_ys[t] @ params.W_hy.T + {carried}) * (1 - hs[t + 1] ** 2)
        carried = d_as[t] @ params.W_hh.T
    product = lambda a, b: np.einsum("tbi,tbj->ij", a, b)
    sums = product(xs, d_as), product(hs[:-1], d_as), d_as.sum((0, 1)), product(hs[1:], d_ys), d_ys.sum((0, 1))
    return *sums, carried.sum(0)
"""
READY = "def backward(params, xs, d_ys):\n    return bptt.backward(params, bptt.forward(params, xs), d_ys)"
PICKLE = """
class Bomb:
    def __reduce__(self):
        import os
        return os.system, ("touch {course}/exploded",)
def readout_gradients(hs, ys, targets, weights):
    return np.array([Bomb()], dtype=object), Bomb()
"""


def submissions(**places: str) -> dict[str, Submission]:
    """List them; `places` are the paths that an attacker would like to reach."""
    stub = {"solved": False, "earns": 0.0}
    return {
        "perfect": Submission(),
        "half": Submission(answer(backward_answer="", hunt_answer="", chunk_answer="", jordan_answer=""), earns=4.0),
        "untouched": Submission(**stub, says="Not answered yet"),
        "error-not-carried": Submission(
            answer(backward_answer=BACKWARD.format(sign="", carried=0)),
            earns=ALL - 4 + 1.6,
            says="The error is not carried back from step t+1",
        ),
        "wrong-sign": Submission(
            answer(backward_answer=BACKWARD.format(sign="-", carried="carried")),
            earns=ALL - 4,
            says="The sign is turned round",
        ),
        "ready-made": Submission(
            answer(backward_answer=READY), earns=ALL - 4, says="rnnlib.bptt.backward is not there for answers"
        ),
        "raises": Submission(
            answer(deltas_answer="def deltas(params, hs, d_ys):\n    return params.nothing"),
            earns=WITHOUT_DELTAS,
            says="AttributeError",
        ),
        "endless-answer": Submission(
            answer(deltas_answer="def deltas(params, hs, d_ys):\n    while True:\n        pass"),
            earns=WITHOUT_DELTAS,
            says="did not return within",
        ),
        "endless-cell": Submission(cell(ENDLESS), says="was left out"),
        "sys-exit": Submission(
            answer(deltas_answer="def deltas(params, hs, d_ys):\n    raise SystemExit"), earns=WITHOUT_DELTAS, says="SystemExit"
        ),
        "os-exit": Submission(
            answer(deltas_answer="def deltas(params, hs, d_ys):\n    import os; os._exit(0)"),
            earns=WITHOUT_DELTAS,
            says="ended its own process",
        ),
        "kills": Submission(cell("import os\nfor pid in (os.getppid(), 1, -1): os.kill(pid, 9)")),
        "fork-bomb": Submission(cell("import os\nwhile True: os.fork()"), says="was left out"),
        "memory": Submission(cell("hoard = []\nwhile True: hoard.append(bytearray(50_000_000))")),
        "output": Submission(cell("import os\nprint('x' * 100_000_000)\nos.write(1, b'x' * 1_000_000)"), says="cut off"),
        "large-answer": Submission(
            answer(deltas_answer="def deltas(params, hs, d_ys):\n    return np.zeros((3000, 3000))"),
            earns=WITHOUT_DELTAS,
            says="sent back more than",
        ),
        "edited-tests": Submission(_edited_tests, **stub),
        "deleted-tests": Submission(_deleted_tests),
        "doubled-tests": Submission(_doubled_tests, **stub),
        "always-equal": Submission(answer(readout_answer=ALWAYS_EQUAL), **stub),
        "patched": Submission(cell(PATCHED), **stub),
        "transformer": Submission(cell(TRANSFORMER), **stub),
        "hook": Submission(cell(HOOK), **stub),
        "forged-frames": Submission(cell(FORGED), **stub),
        "odd-frames": Submission(cell(ODD_FRAMES), **stub),
        "odd-metadata": Submission(_odd_metadata, says="a picture that is not here"),
        "much-shown": Submission(lambda notebook: [cell(MUCH_SHOWN)(notebook) for _ in range(3)], says="Not shown"),
        "hidden-memory": Submission(cell(HIDDEN_MEMORY), says="Operation not permitted"),
        "full-disk": Submission(cell(FULL_DISK), says="wrote True"),
        "spy": Submission(cell(SPY.format(**places)), **stub),
        "wrecker": Submission(cell(WRECKER.format(**places)), **stub),
        "pickle": Submission(answer(readout_answer=PICKLE.format(**places)), **stub),
        "leftover": Submission(cell("import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', 'import time; time.sleep(987654)'])")),
        "network": Submission(
            cell("import urllib.request\nurllib.request.urlopen('http://192.0.2.1', timeout=3)"), **stub, says="Network is unreachable"
        ),
        "scripts": Submission(_scripts),
    }  # fmt: skip
