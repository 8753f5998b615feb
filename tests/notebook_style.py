"""The rules that a chapter keeps, checked on the stored notebook: `problems(path)` lists what is wrong, by cell, and what to do."""

import ast
import os
import re
from pathlib import Path
from statistics import median

import nbformat

ROOT = Path(__file__).parents[1]
CHAPTERS = sorted(ROOT.glob("notebooks/[0-9]*.ipynb"))
PROBLEM_SETS = sorted(ROOT.glob("notebooks/assignments/*/*.ipynb"))  # their sources, with solutions

FIRST = "What you will be able to do"
LAST = ["What to remember", "Questionnaire", "Going further"]
# No assert is asked of these, nor of an exercise, which has its own check, nor of the prose of chapter 00, the map.
WITHOUT_ASSERT = {"", FIRST, *LAST}
VIEW, STATE = (f"application/vnd.jupyter.widget-{part}+json" for part in ("view", "state"))
ABSOLUTE = re.compile(r"(?<![\w.~/])/(?:home|root|work|Users|tmp)/|\b[A-Z]:\\(?=\w)")
RANDOM_ID = re.compile(r"[0-9a-f]{8}(-|$)")


def problems(path: Path) -> list[str]:
    """Everything a chapter does that a chapter must not; empty for a good one."""
    notebook = read(path)
    rules = (_structure, _cells, _code, _outputs, _figures, _sections)
    found = [problem for rule in rules for problem in rule(notebook, path)]
    found += [
        f"{cell.id}: {problem}"
        for cell in notebook.cells
        if cell.cell_type == "markdown"
        for problem in broken_links(cell.source, path)
    ]
    if path.stat().st_size > 600_000:
        found.append(
            f"{path.name}: {path.stat().st_size // 1000} kB, 600 at most: lower the figures' dpi or draw fewer"
        )
    return found


def read(path: Path):
    """A notebook as it is stored; nbformat.read would mend double ids in passing."""
    return nbformat.v4.reads(path.read_text(encoding="utf-8"))


def sections(notebook) -> dict[str, list]:
    """The cells under each `##` heading, the heading's own cell included; "" holds what comes before the first."""
    result, titles = {}, [""]
    for cell in notebook.cells:
        found = re.findall(r"^## (.+?)\s*$", cell.source, re.M) if cell.cell_type == "markdown" else []
        titles = found or titles[-1:]
        for title in titles:
            result.setdefault(title, []).append(cell)
    return result


def explorables(notebook) -> list[str]:
    """The cells that show an anywidget, by id, once for each."""
    states = notebook.metadata.get("widgets", {}).get(STATE, {}).get("state", {})
    shown = [(cell.id, output.get("data", {})) for cell in notebook.cells for output in cell.get("outputs", [])]
    models = [(cell, states.get(data.get(VIEW, {}).get("model_id"), {})) for cell, data in shown]
    return [cell for cell, model in models if model.get("model_module") == "anywidget"]


def headings(path: Path) -> list[str]:
    """The headings of a notebook or a Markdown file, without what stands in code fences."""
    if path.suffix == ".ipynb":
        text = "\n\n".join(cell.source for cell in read(path).cells if cell.cell_type == "markdown")
    else:
        text = path.read_text(encoding="utf-8")
    return re.findall(r"^#+ (.+?)\s*$", _without_code(text), re.M)


def broken_links(markdown: str, path: Path) -> list[str]:
    """Links of a Markdown text in `path` to files or headings that are not there; the network is left alone."""
    found = []
    for target in re.findall(r"\]\(([^)\s]+)\)|<img[^>]+src=\"([^\"]+)\"", _without_code(markdown)):
        target = "".join(target)
        if re.match(r"https?:|mailto:|attachment:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (path.parent / name).resolve() if name else path
        if not file.is_relative_to(ROOT) and not file.is_relative_to(path.parent):
            found.append(f"the link {target} climbs out of the repository")
        elif not file.exists():
            found.append(f"the link {target} leads nowhere: there is no {name}")
        elif anchor and anchor not in _anchors(file):
            found.append(f"the link {target} names no heading of {file.name}; there are {sorted(_anchors(file))}")
    return found


def _anchors(path):
    """A notebook's anchors keep their capitals, in JupyterLab and on GitHub; a Markdown file's on GitHub do not."""
    if path.suffix == ".ipynb":
        return {heading.replace(" ", "-") for heading in headings(path)}
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings(path)}


def _without_code(markdown):
    return re.sub(r"^```.*?^```|`[^`\n]*`|\$\$.*?\$\$|\$[^$\n]*\$", "", markdown, flags=re.M | re.S)


def _structure(notebook, path):
    first, number = notebook.cells[0], path.name[:2]
    if first.cell_type != "markdown" or not re.match(rf"# {number} · \S.*\n+\S", first.source):
        yield f"{first.id}: the first cell must be '# {number} · Title' and then the question that the chapter answers"
    titles = [title for title in sections(notebook) if title]
    if titles[:1] != [FIRST] or titles[-3:] != LAST:
        yield f"{path.name}: the ## headings must begin with {FIRST!r} and end with {LAST}, got {titles}"
    answers = sum(cell.source.count("<details>") for cell in sections(notebook).get("Questionnaire", []))
    if not 5 <= answers <= 8:
        yield f"{path.name}: the questionnaire needs 5 to 8 answers in <details>, got {answers}"


def _cells(notebook, path):
    ids = [cell.id for cell in notebook.cells]
    for cell in notebook.cells:
        if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", cell.id) or RANDOM_ID.match(cell.id):
            yield f"{cell.id}: an id must be lower-case words joined by hyphens, such as forward-by-hand"
        if ids.count(cell.id) > 1:
            yield f"{cell.id}: another cell has this id too: rename one"
        if ABSOLUTE.search(cell.source):
            yield f"{cell.id}: an absolute path in the source: make it relative to the notebook"
        if cell.cell_type == "markdown":
            words = len(re.sub(r"<details>.*?</details>", "", cell.source, flags=re.S).split())
            if words > 200:
                yield f"{cell.id}: {words} words, 200 at most (answers in <details> not counted): split it"
            if re.search(r"!\[\s*\]\(", cell.source):
                yield f"{cell.id}: an image without alt text: write ![what is seen](file)"


def _code(notebook, path):
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    lengths = [len(cell.source.splitlines()) for cell in code]
    seen = [n for n, cell in zip(lengths, code, strict=True) if not _folded(cell)]
    if seen and median(seen) > 8:
        yield f"{path.name}: half of the code cells have {median(seen):g} lines or more, 8 at most: one idea a cell"
    for cell, length in zip(code, lengths, strict=True):
        if length > 25:
            yield f"{cell.id}: {length} lines, 25 at most: split it, or move the known part to rnnlib"
        if "widgets.predict(" in cell.source and not _folded(cell):
            yield f"{cell.id}: the answer can be read in its code: collapse it (jupyter.source_hidden in its metadata)"
        try:
            tree = ast.parse(cell.source)
        except SyntaxError:
            yield f"{cell.id}: not plain Python: magics and shell commands fail outside JupyterLab"
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.names[0].name == "*":
                yield f"{cell.id}: import * hides where names come from: name them"
            if isinstance(node, ast.Name) and node.id == "get_ipython":
                yield f"{cell.id}: get_ipython() is a magic in disguise: use plain Python"
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "show":
                missing = {"caption", "alt"} - {keyword.arg for keyword in node.keywords}
                if missing:
                    yield f"{cell.id}: show() needs {' and '.join(sorted(missing))}: what it teaches, what is seen"


def _folded(cell):
    return cell.metadata.get("jupyter", {}).get("source_hidden", False)


def _outputs(notebook, path):
    code = (cell for cell in notebook.cells if cell.cell_type == "code")
    for count, cell in enumerate(code, start=1):
        if cell.execution_count != count:
            hint = f"run make notebooks NOTEBOOKS={os.path.relpath(path, ROOT)}"
            yield f"{cell.id}: execution count {cell.execution_count} where {count} is due: {hint}"
        for output in cell.outputs:
            if output.output_type == "error":
                yield f"{cell.id}: ended in {output.ename}: mend it, or catch it in the cell and print it"
            if output.get("name") == "stderr":
                yield f"{cell.id}: wrote to stderr: {output.text.strip()[:80]!r}: no warning may reach the reader"
            texts = [value for mime, value in output.get("data", {}).items() if mime.startswith("text/")]
            if ABSOLUTE.search("\n".join([output.get("text", ""), *map(str, texts)])):
                yield f"{cell.id}: an absolute path in the output: print path.name instead"


def _figures(notebook, path):
    for cell in notebook.cells:
        outputs = cell.get("outputs", [])
        for output, after in zip(outputs, [*outputs, {}][1:], strict=True):
            for mime in (mime for mime in output.get("data", {}) if mime.startswith("image/")):
                if not output.metadata.get(mime, {}).get("alt", "").strip():
                    yield f"{cell.id}: a figure without alt text: show(fig, caption=..., alt=...)"
                if "text/markdown" not in after.get("data", {}):
                    yield f"{cell.id}: a figure without a caption after it: show(fig, caption=..., alt=...)"


def _sections(notebook, path):
    interactive = explorables(notebook)
    for title, cells in sections(notebook).items():
        code = [cell for cell in cells if cell.cell_type == "code"]
        exempt = title in WITHOUT_ASSERT or title.startswith("Exercise") or (path.name.startswith("00") and not code)
        if not exempt and not any(re.search(r"^\s*assert\b", cell.source, re.M) for cell in code):
            yield f"{cells[0].id}: the section {title!r} claims without an assert: end it in one"
        shown = [cell.id for cell in code if cell.id in interactive and "widgets.predict" not in cell.source]
        if shown and not any("image/png" in output.get("data", {}) for cell in code for output in cell.outputs):
            yield f"{shown[0]}: an explorable without a figure in its section: paper and GitHub need one"
