"""What is taken from a submitted notebook: the learner's answers and the cells they added. All else comes from the release."""

import copy
import re
from pathlib import Path
from typing import Any

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell

from rnnlib.coursework import handout

LARGEST = 20 * 2**20  # bytes of a notebook
MARKDOWN = 20_000  # characters of a Markdown cell that are kept: what renders them takes the square of their number
ADDED, CODE, ALL = 300, 50_000, 400_000  # cells of a learner's own; characters of a code cell, and of all cells
# A fence, behind marks of lists and quotations, and the language it names: some colourings take for ever
FENCE = re.compile(r"^([\s>*+\-\d.)]*)(`{3,}|~{3,})([^\n]*)$", re.M)
TAG = re.compile(r"<(?=[a-zA-Z/!?])")
LINK = re.compile(r"\](?=\((?!https?://|attachment:)|:(?!\s*https?://))")  # what it leads to may be a script
# Every picture but an attached one, whole and plain: to show one from elsewhere would tell its owner who looks, and when.
PICTURE = re.compile(r"!\[(?:([^\[\]\\`]{0,300})\]\(attachment:([^()\n\\`]{0,200})\))?")
FUNCTION = re.compile(r"^def (\w+)", re.M)
EDITED = (
    "These cells were taken as they were handed out, without your changes (to import more, add a cell of your own):"
)
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

    An answer is the first cell with the grade_id of an answer cell; where an editor has lost these names, what stands in its place. Any
    other code or Markdown cell of the learner's stays behind the cell of the release that it follows. Markdown loses its HTML, links to
    anything but pages, which an instructor's browser would run, and pictures from elsewhere, which it would fetch: these become links.

    Args:
        release: the notebook as it was handed out, or its latest correction.
        submitted: what came back.

    Returns:
        The notebook to grade: every other cell, and all metadata, as released. Its metadata names the locked cells that were "edited",
        and a first cell tells their author.
    """
    known = {_name(cell): cell for cell in release.cells}
    submitted.cells = _few(submitted.cells, known)
    names = _recognised(release.cells, submitted.cells)
    answers, added, edited, anchor = {}, {None: []}, [], None
    for name, cell in zip(names, submitted.cells, strict=True):
        if name in known and name not in answers:
            answers[name], anchor = cell, name
            edited += [name] if _edited(known[name], cell) else []
        elif cell.cell_type in ("code", "markdown") and cell.source.strip():
            make = new_code_cell if cell.cell_type == "code" else new_markdown_cell
            added.setdefault(anchor, []).append(_sanitised(make(), cell))
    result = copy.deepcopy(release)
    result.metadata["edited"] = edited
    result.cells = [new_markdown_cell(f"{EDITED} {', '.join(edited)}.")] if edited else []
    result.cells += added[None]
    for cell in copy.deepcopy(release.cells):
        name = _name(cell)
        if cell.metadata.get("nbgrader", {}).get("solution") and name in answers:
            cell = _sanitised(cell, answers[name])
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
        result.cells += [cell, *added.get(name, ())]
    return result


def _few(cells, known):
    """The cells, as many and as long as can be looked at; what is too much is left out, and says so."""
    kept, own, size = [], 0, 0
    for cell in cells:
        own += _name(cell) not in known
        size += min(
            len(cell.source), MARKDOWN if cell.cell_type == "markdown" else CODE
        )  # beyond, it is cut, or left out
        if own > ADDED + len(known) or size > ALL or (cell.cell_type == "code" and len(cell.source) > CODE):
            most = f"A code cell may have {CODE:,}, a notebook {ALL:,}, and {ADDED} added cells."
            cell.source = f"# Left out: {len(cell.source):,} characters. {most}"
        if own <= ADDED + len(known) + 1:
            kept.append(cell)
    return kept


def _name(cell):
    """What a cell is known by: its grade_id, else its id."""
    info = cell.metadata.get("nbgrader")
    name = (info.get("grade_id") if isinstance(info, dict) else None) or cell.get("id")
    return name if isinstance(name, str) else None


def _recognised(released, cells):
    """The name of each cell: its own, or of the released cell that it must be where nobody bears that name."""
    names = [_name(cell) for cell in cells]
    lost = [cell for cell in released if _name(cell) not in names]
    order, last = [_name(cell) for cell in released], None
    for i, cell in enumerate(cells):
        if names[i] not in order:
            follows = order[order.index(last) + 1] if last in order[:-1] else None
            twin = next((one for one in lost if _same(one, cell, _name(one) == follows)), None)
            if twin is not None:
                names[i] = _name(twin)
                lost.remove(twin)
        last = names[i] if names[i] in order else last
    return names


def _same(released, cell, follows):
    """Whether a cell without its name is this released one: the same text, an answer's function, or words in an answer's place."""
    if released.cell_type != cell.cell_type:
        return False
    if not released.metadata.get("nbgrader", {}).get("solution"):
        return released.source.strip() == cell.source.strip()
    if cell.cell_type == "markdown":
        return follows
    wanted = FUNCTION.search(released.source)
    return bool(wanted) and wanted[1] in {found[1] for found in FUNCTION.finditer(cell.source)}


def _edited(released, cell):
    """Whether a locked cell was changed; one of an older release, as it was handed out, was not."""
    info, theirs = released.metadata.get("nbgrader", {}), cell.metadata.get("nbgrader")
    if info.get("solution") or not info.get("locked") or cell.source.strip() == released.source.strip():
        return False
    try:
        return theirs["checksum"] != handout.checksum(cell, theirs)
    except (KeyError, TypeError, ValueError, UnicodeError):
        return True


def _sanitised(cell, theirs):
    """A cell with the source of the learner's, and its pictures."""
    cell.source = theirs.source.encode("utf-8", "replace").decode()  # half of a surrogate pair is no text
    if cell.cell_type == "markdown":
        kept = cell.attachments = dict(_pictures(theirs.get("attachments")))
        cut = f"\n\n(cut off after {MARKDOWN:,} characters)" if len(cell.source) > MARKDOWN else ""
        source = LINK.sub("] ", TAG.sub("&lt;", FENCE.sub(r"\1\2", cell.source[:MARKDOWN]) + cut))
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
