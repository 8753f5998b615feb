"""Gradings that are done, each in a file of its own: a run that was killed goes on where it was."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def load(path: Path, key: str) -> list | None:
    """Find an earlier grading of the same cells with the same random seed.

    Args:
        path: where it would be.
        key: of the `grader.Job`.

    Returns:
        Its outputs; None where there is none.
    """
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return stored["outputs"] if isinstance(stored, dict) and stored.get("key") == key else None


def save(path: Path, key: str, outputs: list) -> None:
    """Store a grading, whole or not at all.

    Args:
        path: where.
        key: of the `grader.Job`.
        outputs: what `grader.grade` gave.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, suffix=".part", delete=False, encoding="utf-8") as part:
        json.dump({"key": key, "outputs": outputs}, part)
    Path(part.name).replace(path)


@contextmanager
def alone(root: Path) -> Iterator[None]:
    """Keep a second grading run out while this one goes on.

    Args:
        root: the course.

    Raises:
        RuntimeError: another one is going on.
    """
    (root / "course").mkdir(parents=True, exist_ok=True)
    with (root / "course" / "grading.lock").open("w") as file:
        with suppress(ImportError):  # not a Unix
            import fcntl

            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise RuntimeError(
                    "grade: another `make grade` is going on in this course. Wait until it ends"
                ) from None
        yield
