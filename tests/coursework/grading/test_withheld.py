"""Shortcuts: what a problem set asks for by hand is not there when its Questions are asked, by whatever way it is sought."""

from functools import partial

import pytest

from rnnlib import bptt
from rnnlib.coursework import problem_sets
from rnnlib.coursework.grading import grader, packages
from rnnlib.coursework.grading.sandbox import Worker
from rnnlib.coursework.questions import check, load
from rnnlib.coursework.withheld import uses
from tests.conftest import ROOT

RUN = "bptt.backward(params, bptt.forward(params, xs), d_ys)"
BACKWARD = "def backward(params, xs, d_ys):\n    return "
SHORTCUTS = {  # what a learner hands in, and for which Question
    "the reference": ("ps2/backward", "from rnnlib import bptt\n" + BACKWARD + RUN),
    "its twin": ("ps2/backward", BACKWARD + "__import__('rnnlib').bptt.backward_per_step(params, None, d_ys)"),
    "its deltas": (
        "ps2/deltas",
        "from rnnlib.bptt import deltas as d\ndef deltas(params, hs, d_ys):\n    return d(params, hs, d_ys)",
    ),
    "no mistake of the clinic's": (
        "ps2/backward",
        "from rnnlib import clinic\n" + BACKWARD + "clinic.wrong_gradient((), params, xs, d_ys)",
    ),
    "loaded again": (
        "ps2/backward",
        "import importlib\nfrom rnnlib import bptt\nimportlib.reload(bptt)\n" + BACKWARD + RUN,
    ),
    "read and run": (
        "ps2/backward",
        "import rnnlib.bptt\nnames = {}\nexec(open(rnnlib.bptt.__file__).read(), names)\n"
        + BACKWARD
        + "names['backward'](params, None, d_ys)",
    ),
    "asked of the Question": (
        "ps2/backward",
        "from rnnlib.coursework.questions import load\n"
        + BACKWARD
        + "load('ps2/backward').reference(params=params, xs=xs, d_ys=d_ys)",
    ),
    "jax.grad": (
        "ps2/bug_hunt",
        "import jax\ndef leaky_backward(params, xs, hs, d_ys, leak):\n    import jax\n"
        "    return jax.grad(lambda p: (p.h0 ** 2).sum())(params)._asdict()",
    ),
    "library": (
        "ps5/chunks",
        "def score_chunks(tags, guess, mask):\n    from seqeval.metrics import f1_score\n    return f1_score([['O']], [['O']])",
    ),
    "two means of rnnlib's": (
        "ps5/means",
        "from rnnlib import losses\ndef means(errors, mask):\n"
        "    return tuple((w(mask) * errors).sum() for w in (losses.mean_over_steps, losses.mean_over_sequences))",
    ),
    "checkpointed": (
        "ps4/checkpointed_loss",
        "from rnnlib.unroll import loss_checkpointed\ndef checkpointed_loss(params, xs, targets, chunk):\n"
        "    return loss_checkpointed(None, params, xs, targets, chunk=chunk)",
    ),
    "a scan of rnnlib's": (
        "ps4/scan_with_resets",
        "from rnnlib import parallel\ndef scan_with_resets(As, bs, resets):\n"
        "    return parallel.linear_scan(As[:, None], bs[:, None], resets=resets[:, None])[:, 0]",
    ),
    "cg.solve": (
        "ps6/solve",
        "from rnnlib import cg\ndef solve(product, b, x0, inverse, steps):\n"
        "    found = cg.solve(product, b, x0, precondition=lambda r: inverse * r, iterations=steps, progress=0.0)\n"
        "    return found.x, found.values",
    ),
    "JAX's": (
        "ps6/solve",
        "def solve(A, b, x0, inverse, steps):\n    from jax.scipy.sparse.linalg import cg\n"
        "    xs = [cg(A, b, x0=x0, M=lambda r: inverse * r, tol=0, maxiter=n)[0] for n in range(steps + 1)]\n"
        "    return xs[-1], jnp.stack([0.5 * x @ A(x) - b @ x for x in xs])",
    ),
    "a product of rnnlib's": (
        "ps6/directional_curvature",
        "from rnnlib.curvature import hessian_vector\ndef directional_curvature(objective, theta, v):\n"
        "    Hv = hessian_vector(objective, theta, v)\n    return Hv, v @ Hv / (v @ v)",
    ),
    "Gauss and Newton of rnnlib's": (
        "ps6/gauss_newton",
        "from rnnlib import curvature, losses\ndef gauss_newton(outputs, theta, v, weights):\n"
        "    return curvature.gauss_newton(outputs, lambda ys: losses.softmax_cross_entropy(ys, 0, weights), theta)(v)",
    ),
}


LOOK = """
def look():
    import glob, rnnlib
    texts = [open(path, "rb").read() for path in glob.glob(rnnlib.__path__[0] + "/**/*", recursive=True) if path[-3:] == ".py"]
    return [sum(text.count(b"def " + name) for text in texts) for name in (b"ask", b"backward", b"solve", b"hessian_vector", b"_score")]
"""


ELSEWHERE = """
def elsewhere():
    import glob, os, sys
    tops = ["/usr", "/usr/local", "/opt/*", sys.prefix, sys.base_prefix]
    places = [p for top in tops for kind in ("site", "dist") for p in glob.glob(f"{top}/lib*/python3*/{kind}-packages")]
    names = ["scipy", "sklearn", "optax", "torch", "autograd"]
    whole = [p for place in places for p in glob.glob(f"{place}/*") if os.path.basename(p) in names and len(os.listdir(p)) > 2]
    return np.array([len(whole), len(places)])
"""


@pytest.fixture(scope="module", params=["ps2", "ps4", "ps5", "ps6"])
def bare(request):
    with Worker(bare=request.param) as worker:
        worker.define("import jax\nimport jax.numpy as jnp\nimport numpy as np")
        yield worker


@pytest.mark.sandbox
def test_a_shortcut_earns_nothing(bare):
    for what, (id, source) in SHORTCUTS.items():
        if id.startswith(bare.bare):
            bare.define(source)
            name = source.rpartition("\ndef ")[2].partition("(")[0].removeprefix("def ")
            verdict = load(id).grade(partial(bare.answer, id, name))
            assert verdict.earned == 0, f"{what}: {verdict}"
            assert "is not there for answers" in str(verdict) or "KeyError" in str(verdict), f"{what}: {verdict}"


@pytest.mark.sandbox
def test_nor_can_it_be_read(bare):
    bare.define(LOOK)
    assert bare.answer("ps2/deltas", "look", {}).value == (1, 0, 0, 0, 0)


@pytest.mark.sandbox
def test_nor_is_it_there_in_another_python_s_packages(bare):
    bare.define(ELSEWHERE)
    whole, places = bare.answer("ps2/deltas", "elsewhere", {}).value
    assert whole == 0
    assert places >= 1, "our own"


def test_packages_of_another_python_are_covered_and_our_own_are_not(tmp_path):
    base, ours = tmp_path / "base", tmp_path / "ours" / "lib/python3.11/site-packages"
    others = [
        base / "lib/python3.11/site-packages",
        base / "lib/python3/dist-packages",
        base / "envs/x/lib/python3.12/site-packages",
    ]
    for place in (*others, ours):
        place.mkdir(parents=True)
    found = [
        path for path in packages.others({str(base), str(tmp_path / "ours")}, [ours]) if path.is_relative_to(tmp_path)
    ]
    assert found == sorted(path.resolve() for path in others)


def test_check_names_what_will_not_be_there(capsys):
    check("ps2/backward", lambda params, xs, d_ys: bptt.backward(params, bptt.forward(params, xs), d_ys))
    said = capsys.readouterr().out
    assert "It calls rnnlib.bptt.backward, which this set asks you to write." in said
    assert "forward" not in said
    namespace = {}
    exec(grader.REFERENCE.steps[0].source, namespace)
    check("ps2/readout_gradients", namespace["answer"])
    assert "It calls" not in capsys.readouterr().out


@pytest.mark.parametrize("name", problem_sets.NAMES)
def test_each_set_says_what_its_answers_may_use(name):
    (path,) = (ROOT / "notebooks" / "assignments").glob(f"{name}_*/{name}_*.ipynb")
    text = path.read_text("utf-8")
    assert "is not there" in text, "in words"
    for used in uses(name):
        assert used == "jax" or f"`rnnlib.{used}`" in text, used


def test_only_what_is_needed_of_a_release_is_run_for_answers():
    source = "import numpy as np\njax.config.update('a', 1)\nx = train()\ndef f(x):\n    return x\nprint(x)"
    assert grader._needed(source) == "import numpy as np\njax.config.update('a', 1)\n\ndef f(x):\n    return x"
