"""A page of feedback for each student: made by nbgrader, on all cores, and again only where something on it has changed."""

import hashlib
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from rnnlib.coursework.answers import LateError, deadline
from rnnlib.coursework.grading import course, nbgrader_api, watch

SECONDS = 60  # a page may take
FEW = 60  # pages a process, some ten seconds: with fewer it takes longer to start one


def feedback(root: Path, assignments: list[str] | None = None) -> list[course.Submission]:
    """Write a page of feedback for every graded submission, in course/feedback.

    Args:
        root: the course.
        assignments: their names; None for all.

    Returns:
        Every submission, with a note where there is no feedback.
    """
    results, states = [], {}
    with nbgrader_api.start(root).gradebook as gradebook:
        for one in course.submissions(root, assignments):
            if one.note or not course.autograded(root, one).exists():
                results.append(one._replace(note=one.note or "not graded yet"))
                continue
            state = _state(root, one, gradebook.find_submission(one.assignment, one.student))
            if page(root, one).exists() and _stored(root, one) == state:
                results.append(one)
            else:
                states[one] = state
    for one, note in _made(root, list(states)):
        if not note:
            _state_of(root, one).write_text(states[one])
        results.append(one._replace(note=note))
    return sorted(results)


def page(root: Path, one: course.Submission) -> Path:
    """Say where the page of a submission lies."""
    return root / "course" / "feedback" / one.student / one.assignment / f"{one.assignment}.html"


def _made(root, pages):
    """Make pages, here or in several processes; each with what went wrong."""
    jobs = min(watch.cores(), len(pages) // FEW)
    if jobs < 2:
        yield from ((one, _make(root, one)) for one in tqdm(pages, desc="feedback") if pages)
        return
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        notes = pool.map(_make, [root] * len(pages), pages, chunksize=4)
        yield from zip(pages, tqdm(notes, total=len(pages), desc="feedback"), strict=True)


def _make(root, one):
    """Make a page, and say what went wrong; what colours and renders a learner's text may take for ever."""
    try:
        with deadline(SECONDS):
            return nbgrader_api.cause(_started(root).generate_feedback(one.assignment, one.student))
    except LateError:
        _started.cache_clear()  # it may have been left anywhere
        return f"no page: to make it took more than {SECONDS} s. Look at the notebook"


_started = cache(nbgrader_api.start)


def _state(root: Path, one: course.Submission, graded: Any) -> str:
    """All that a page shows, digested: the cells as graded, points, comments, a late penalty."""
    digest = hashlib.sha256(course.autograded(root, one).read_bytes())
    for notebook in graded.notebooks:
        scores = [(g.name, g.auto_score, g.manual_score, g.extra_credit, g.needs_manual_grade) for g in notebook.grades]
        said = [(c.name, c.auto_comment, c.manual_comment) for c in notebook.comments]
        digest.update(repr((sorted(scores, key=str), sorted(said, key=str), notebook.late_submission_penalty)).encode())
    return digest.hexdigest()


def _state_of(root, one):
    return course.record_of(root, one).with_suffix(".page")


def _stored(root, one):
    with suppress(OSError):
        return _state_of(root, one).read_text()
    return None
