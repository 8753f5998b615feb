"""The course's secret seed, from which every submission's inputs are drawn; it lies outside the project."""

import os
import secrets
from pathlib import Path


def secret() -> str:
    """Read the course's secret seed: RNN_COURSE_SEED, or the file RNN_COURSE_SEED_FILE, by default ~/.config/bptt-course/seed.

    Returns:
        The seed.

    Raises:
        RuntimeError: there is none yet.
    """
    if "RNN_COURSE_SEED" in os.environ:
        return os.environ["RNN_COURSE_SEED"]
    if not where().exists():
        raise RuntimeError(f"grading: there is no secret seed at {where()}. Make one with: make course-seed")
    return where().read_text().strip()


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
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_hex(32))
    return path
