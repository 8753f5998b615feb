"""Measurements as Markdown that reads well on GitHub."""

import json
from collections.abc import Iterable
from typing import Any

from tests.results.records import ROOT


def section(title: str, *parts: str) -> str:
    """Set a heading above its paragraphs and tables."""
    return "\n\n".join([f"## {title}", *parts]) + "\n"


def table(head: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    """Set a table; all columns but the first to the right."""
    head = list(head)
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def missing(command: str, kept: str) -> str:
    """Say how to measure what has no record."""
    return f'Not measured yet: `{command}`, then `make results KEEP="{kept}"`.'


def source(record: dict, note: str = "") -> str:
    """Say by what command, when and on which machine a record was measured."""
    here = record["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in here["versions"].items() if number)
    loads = [row["load"] for row in record["rows"] if "load" in row]
    load = f", load {min(loads):.1f} to {max(loads):.1f}" if loads else ""
    machine = f"{here['processor']}, {here['cores']} cores{load}, {here['system']}; {versions}"
    return f"*`{record['command']}`, {record['date']}: {machine}.{' ' * bool(note)}{note}*"


def quoted(chapter: str, *cells: str) -> str:
    """Quote what cells of a chapter printed when its outputs were last stored."""
    path = next((ROOT / "notebooks").glob(f"{chapter}_*.ipynb"))
    by_id = {cell["id"]: cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]}
    if absent := [name for name in cells if name not in by_id]:
        raise KeyError(
            f"tests/results quotes cells that {path.name} has no longer: {', '.join(absent)}. Put its new id."
        )
    outputs = [output for name in cells for output in by_id[name]["outputs"] if output.get("name") == "stdout"]
    text = "\n".join("".join(output["text"]).strip("\n") for output in outputs)
    where = f"[chapter {chapter}](notebooks/{path.name}) printed it, and has settings and seeds; a notebook does not keep the machine"
    return f"```\n{text}\n```\n\n*`make notebooks NOTEBOOKS=notebooks/{path.name}`: {where}.*"
