"""Trainings on disk: save what `train` returned, load it in another process, and go on as if nothing had happened."""

import json
import os
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rnnlib.train import Trained


def save(path: str | Path, trained: Trained) -> None:
    """Write a learner and its history to one file, in NumPy's format and without pickle.

    The file appears whole or not at all: an interrupted save leaves the one before it.

    Args:
        path: the file, by custom `something.npz`; an older one is replaced.
        trained: what `train.train` or `hessian_free.train` returned.

    Raises:
        OSError: a folder that does not exist or cannot be written.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "run.npz"
        >>> save(file, Trained({"w": np.ones(2)}, (), None))
        >>> load(file, like=Trained({"w": np.zeros(2)}, (), None)).learner["w"].tolist()
        [1.0, 1.0]
    """
    leaves = {f"learner{key}": np.asarray(leaf) for key, leaf in _named(trained.learner)}
    rest = {"history": [list(row) for row in trained.history], "stopped": trained.stopped}
    part = Path(path).with_name(Path(path).name + ".part")
    with part.open("wb") as file:
        np.savez(file, rest=np.array(json.dumps(rest)), **leaves)
    os.replace(part, path)


def load(path: str | Path, *, like: Trained, row: Any = None) -> Trained:
    """Read what `save` wrote.

    Args:
        path: the file.
        like: a training of the same net by the same method, such as its start: it says how the arrays are put together.
        row: the type of a line of the history, such as `hessian_free.Row`; None for plain tuples.

    Returns:
        `Trained`, every array as it was, bit for bit.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a file of another net or method.

    Example:
        See `save`.
    """
    with np.load(path, allow_pickle=False) as file:
        stored = dict(file)
    rest = json.loads(str(stored.pop("rest")))
    wanted = {f"learner{key}": np.shape(leaf) for key, leaf in _named(like.learner)}
    got = {key: array.shape for key, array in stored.items()}
    if wanted != got:
        odd = next(key for key in [*wanted, *got] if wanted.get(key) != got.get(key))
        raise ValueError(
            f"load: {odd} must be {wanted.get(odd, 'absent')} as in `like`, got {got.get(odd, 'nothing')} in {Path(path).name}. "
            "Is it another net's, or another method's?"
        )
    learner = jax.tree.unflatten(jax.tree.structure(like.learner), [jnp.asarray(stored[key]) for key in wanted])
    history = tuple(tuple(line) if row is None else row(*line) for line in rest["history"])
    return Trained(learner, history, rest["stopped"])


def _named(tree):
    """Leaves by the way to them, such as '.params.W_hh'."""
    return [(jax.tree_util.keystr(path), leaf) for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]]
