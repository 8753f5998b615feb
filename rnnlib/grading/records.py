"""Gradings that are done, each in a file of its own: a run that was killed goes on where it was."""

import json
from pathlib import Path


def load(path: Path, key: str) -> list | None:
    """Find an earlier grading of the same cells with the same dice.

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
    return stored["outputs"] if stored.get("key") == key else None


def save(path: Path, key: str, outputs: list) -> None:
    """Store a grading, whole or not at all.

    Args:
        path: where.
        key: of the `grader.Job`.
        outputs: what `grader.grade` gave.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps({"key": key, "outputs": outputs}), encoding="utf-8")
    part.replace(path)
