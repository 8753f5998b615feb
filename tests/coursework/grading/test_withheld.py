"""Shortcuts: what a problem set asks for by hand is not there when its Questions are asked, by whatever way it is sought."""

import pytest

from rnnlib.coursework.grading.sandbox import Worker
from rnnlib.coursework.questions import check, load

BACKWARD = "def backward(params, xs, d_ys):\n    return "
CG = "scipy.sparse.linalg.cg(A, b, x0=x0, M=lambda r: inverse * r, tol=0, maxiter=n)[0] for n in range(steps + 1)]"
SHORTCUTS = {  # what a learner hands in, and for which Question
    "the reference": ("ps2/backward", "from rnnlib import bptt\n" + BACKWARD + "bptt.backward(params, bptt.forward(params, xs), d_ys)"),
    "its twin": ("ps2/backward", BACKWARD + "__import__('rnnlib').bptt.backward_per_step(params, None, d_ys)"),
    "its deltas": ("ps2/deltas", "from rnnlib.bptt import *\nfrom rnnlib.bptt import deltas"),
    "no mistake of the clinic's": ("ps2/backward", "from rnnlib import clinic\n" + BACKWARD + "clinic.wrong_gradient((), params, xs, d_ys)"),
    "loaded again": ("ps2/backward", "import importlib, rnnlib.bptt\n" + BACKWARD + "importlib.reload(rnnlib.bptt).backward(params, None, d_ys)"),
    "read and run": (
        "ps2/backward",
        "import rnnlib.bptt\nnames = {}\nexec(open(rnnlib.bptt.__file__).read(), names)\n" + BACKWARD + "names['backward'](params, None, d_ys)",
    ),
    "asked of the Question": (
        "ps2/backward",
        "from rnnlib.coursework.questions import load\n" + BACKWARD + "load('ps2/backward').reference(params=params, xs=xs, d_ys=d_ys)",
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
    "cg.solve": (
        "ps6/solve",
        "from rnnlib import cg\ndef solve(product, b, x0, inverse, steps):\n"
        "    found = cg.solve(product, b, x0, precondition=lambda r: inverse * r, iterations=steps, progress=0.0)\n"
        "    return found.x, found.values",
    ),
    "JAX's": (
        "ps6/solve",
        "def solve(product, b, x0, inverse, steps):\n    import jax.scipy.sparse.linalg\n"
        f"    A, found = product, [jax.{CG}\n    return found[-1], jnp.stack([0.5 * x @ A(x) - b @ x for x in found])",
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
}  # fmt: skip


@pytest.fixture(scope="module", params=["ps2", "ps4", "ps5", "ps6"])
def bare(request):
    with Worker(sandboxed=False, bare=request.param) as worker:
        yield worker


def test_a_shortcut_earns_nothing(bare):
    for what, (id, source) in SHORTCUTS.items():
        if id.startswith(bare.bare):
            bare.define("import jax\nimport jax.numpy as jnp\nimport numpy as np")
            bare.define(source)
            question, name = load(id), source.rpartition("def ")[2].partition("(")[0].split()[-1]
            verdict = question.grade(lambda inputs, id=id, name=name: bare.answer(id, name, inputs))
            assert verdict.earned == 0, f"{what}: {verdict}"
            assert any(words in str(verdict) for words in ("is not there for answers", "no attribute", "There is no", "KeyError")), (
                f"{what}: {verdict}"
            )


@pytest.mark.sandbox
def test_in_the_box_its_files_are_not_there_either():
    spies = {
        "ps2": "import jax\ndef look():\n    import jaxlib",
        "ps6": "def look():\n    import jax\n    jax.numpy.ones(2)\n    import scipy",
    }
    for name, source in spies.items():
        with Worker(bare=name) as worker:
            worker.define(
                source + "\n    import glob, rnnlib, sys\n    texts = [open(f, 'rb').read() for f in glob.glob(rnnlib.__path__[0] + '/**/*.py', recursive=True)]"
                "\n    return sum(b'def backward' in t or b'def solve' in t or b'def hessian_vector' in t for t in texts)"
            )
            assert "is not there for answers" in worker.answer(f"{name}/x", "look", {}).trouble
            worker.define("def backward():\n" + source.partition("\n    ")[0] * 0 + "    import glob, rnnlib\n"
                "    texts = [open(f, 'rb').read() for f in glob.glob(rnnlib.__path__[0] + '/**/*.py', recursive=True)]\n"
                "    return sum(b'def backward' in t or b'def solve' in t or b'def hessian_vector' in t for t in texts)")
            assert worker.answer(f"{name}/x", "backward", {}).value == 0
