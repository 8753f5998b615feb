"""The course's secret seed, from which every submission's inputs are drawn; it lies outside the project."""

import os
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path

LEAST = 16  # characters: fewer could be tried out


def secret() -> str:
    """Read the course's secret seed: RNN_COURSE_SEED, or the file RNN_COURSE_SEED_FILE, by default ~/.config/bptt-course/seed.

    Returns:
        The seed.

    Raises:
        RuntimeError: there is none yet, or one that could be guessed.
    """
    if "RNN_COURSE_SEED" in os.environ:
        found, place = os.environ["RNN_COURSE_SEED"], "in RNN_COURSE_SEED"
    elif where().exists():
        found, place = where().read_text().strip(), f"in {where()}"
    else:
        raise RuntimeError(f"grading: there is no secret seed at {where()}. Make one with: make course-seed")
    if len(found) < LEAST:
        raise RuntimeError(f"grading: the secret seed {place} has {len(found)} characters; it needs {LEAST} or more.")
    return found


def where() -> Path:
    """Where the secret seed lies: outside the project."""
    base = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return Path(os.environ.get("RNN_COURSE_SEED_FILE") or base / "bptt-course" / "seed")


def make() -> Path:
    """Write a new secret seed that its owner alone can read; one that exists stays.

    Returns:
        Where it lies.
    """
    path = where()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():
        with tempfile.NamedTemporaryFile("w", dir=path.parent) as file:  # that its owner alone can read
            file.write(secrets.token_hex(32))
            file.flush()
            with suppress(FileExistsError):
                os.link(file.name, path)
    return path
