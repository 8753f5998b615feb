"""What is taken from a submitted notebook: the learner's answers and the cells they added. All else comes from the release."""

import copy
import re
from pathlib import Path
from typing import Any

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell

LARGEST = 20 * 2**20  # bytes of a notebook
MARKDOWN = 20_000  # characters of a Markdown cell that are kept: what renders them takes the square of their number
TAG = re.compile(r"<(?=[a-zA-Z/!?])")
LINK = re.compile(r"\](?=\((?!https?://|attachment:)|:(?!\s*https?://))")  # what it leads to may be a script
# Every picture but an attached one, whole and plain: to show one from elsewhere would tell its owner who looks, and when.
PICTURE = re.compile(r"!\[(?:([^\[\]\\`]{0,300})\]\(attachment:([^()\n\\`]{0,200})\))?")
ATTACHED = re.compile(r"\]\(attachment:([^()\n]{0,200})\)")
BASE64 = re.compile(r"[A-Za-z0-9+/=\s]*")


def read(path: Path) -> Any:
    """Read a submitted notebook, whatever its author made of it.

    Args:
        path: the file.

    Returns:
        The notebook.

    Raises:
        ValueError: it is no file of its own, too large, or no notebook; the message says which.
    """
    if path.is_symlink() or not path.is_file():
        raise ValueError(f"{path.name} is a link or no file")
    if path.stat().st_size > LARGEST:
        raise ValueError(f"{path.name} has {path.stat().st_size / 2**20:.0f} MiB, {LARGEST // 2**20} at most")
    try:
        notebook = nbformat.reads(path.read_text(encoding="utf-8-sig"), as_version=4)
        cells = [(cell.cell_type, cell.source, dict(cell.metadata)) for cell in notebook.cells]
        if not all(isinstance(source, str) for _, source, _ in cells):
            raise TypeError("a source is no text")
    except Exception as error:
        raise ValueError(f"{path.name} is no notebook: {type(error).__name__}: {str(error)[:200]}") from error
    return notebook


def restored(release: Any, submitted: Any) -> Any:
    """Put a submission's answers and added cells into the released notebook.

    An answer is the first cell with the grade_id of an answer cell. Any other code or Markdown cell of the learner's stays behind the
    cell of the release that it follows. Markdown loses its HTML, links to
    anything but pages, which an instructor's browser would run, and pictures from elsewhere, which it would fetch: these become links.

    Args:
        release: the notebook as it was handed out, or its latest correction.
        submitted: what came back.

    Returns:
        The notebook to grade: every other cell, and all metadata, as released.
    """
    known = {_name(cell): cell for cell in release.cells}
    answers, added, anchor = {}, {None: []}, None
    for cell in submitted.cells:
        name = _name(cell)
        if name in known and name not in answers:
            answers[name], anchor = cell, name
        elif cell.cell_type in ("code", "markdown") and cell.source.strip():
            make = new_code_cell if cell.cell_type == "code" else new_markdown_cell
            added.setdefault(anchor, []).append(_sanitised(make(), cell))
    result = copy.deepcopy(release)
    result.cells = list(added[None])
    for cell in copy.deepcopy(release.cells):
        name = _name(cell)
        if cell.metadata.get("nbgrader", {}).get("solution") and name in answers:
            cell = _sanitised(cell, answers[name])
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
        result.cells += [cell, *added.get(name, ())]
    return result


def _name(cell):
    """What a cell is known by: its grade_id, else its id."""
    info = cell.metadata.get("nbgrader")
    name = (info.get("grade_id") if isinstance(info, dict) else None) or cell.get("id")
    return name if isinstance(name, str) else None


def _sanitised(cell, theirs):
    """A cell with the source of the learner's, and its pictures."""
    cell.source = theirs.source.encode("utf-8", "replace").decode()  # half of a surrogate pair is no text
    if cell.cell_type == "markdown":
        kept = cell.attachments = dict(_pictures(theirs.get("attachments")))
        cut = f"\n\n(cut off after {MARKDOWN:,} characters)" if len(cell.source) > MARKDOWN else ""
        source = LINK.sub("] ", TAG.sub("&lt;", cell.source[:MARKDOWN] + cut))
        source = PICTURE.sub(lambda picture: "! [" if picture[2] is None else picture[0], source)
        cell.source = ATTACHED.sub(
            lambda link: link[0] if link[1] in kept else "] (a picture that is not here)", source
        )
    return cell


def _pictures(attachments):
    for name, bundle in attachments.items() if isinstance(attachments, dict) else ():
        for mime, data in bundle.items() if isinstance(bundle, dict) else ():
            if mime in ("image/png", "image/jpeg") and isinstance(data, str) and BASE64.fullmatch(data):
                yield name, {mime: data}
