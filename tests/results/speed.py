"""Time and memory, beside other libraries and other ways."""

import math

from tests.results.markdown import missing, section, source, table
from tests.results.records import read


def _rows(part):
    record = read("bench")
    return record, [row for row in record["rows"] if row["part"] == part] if record else []


def _size(row):
    H, B, T, D = row["size"]
    return f"H = {H}, B = {B}, T = {T}, D = K = {D}"


def steps() -> str:
    """One training step of the same net in every way, by cell and number of threads."""
    title, (record, rows) = "Speed: one training step", _rows("steps")
    if not rows:
        return section(title, missing("make peers bench", "bench"))
    told = (
        "Forward, cross-entropy at each step, backward, SGD; the same net from the same weights, checked to train alike. rnnlib's time, "
        "its share of the machine's peak in float32 products, and **rnnlib's time as a share of the others'**: below 1 rnnlib is faster."
    )
    parts = []
    for cell, threads in dict.fromkeys((row["cell"], row["threads"]) for row in rows):
        some = [row for row in rows if (row["cell"], row["threads"]) == (cell, threads)]
        head = [f"{cell}, {threads} thread{'s' * (threads > 1)}", *map(_size, some)]
        parts.append(table(head, _steps(some)))
    note = f"Medians of {record['seconds']:g} s in turns, seed 0; on a CPU, no GPU was tried."
    return section(title, told, *parts, source(record, note))


def _steps(rows):
    """A line for each way, a column for each size."""
    yield ["rnnlib, ms", *(f"{row['ms']['rnnlib']:.2f}" for row in rows)]
    yield ["of the peak", *(f"{row['share']:.0%}" for row in rows)]
    for name in rows[0]["ms"] | rows[0]["missing"]:
        if name != "rnnlib":
            yield [f"of {name}", *(_share(row["ms"], name) for row in rows)]


def _share(ms, name):
    return f"{ms['rnnlib'] / ms[name]:.2f}" if name in ms else "-"


def products() -> str:
    """Gauss-Newton products in units of a gradient."""
    title, (record, rows) = "Speed: one Gauss-Newton product", _rows("products")
    if not rows:
        return section(title, missing("make peers bench", "bench"))
    names = [name for name in rows[0]["ms"] if name != "rnnlib, gradient"]
    in_gradients = [[f"{row['ms'][name] / row['ms']['rnnlib, gradient']:.2f}" for name in names] for row in rows]
    told = "An Elman net with its forward pass stored, one thread; times in units of rnnlib's own gradient."
    head = ["", "rnnlib's gradient, ms", *(name if "," in name else f"{name}, product" for name in names)]
    body = [
        [_size(row), f"{row['ms']['rnnlib, gradient']:.2f}", *times]
        for row, times in zip(rows, in_gradients, strict=True)
    ]
    note = f"Medians of {record['seconds']:g} s in turns, ten products in a row, seed 0."
    return section(title, told, table(head, body), source(record, note))


def memory() -> str:
    """One gradient over many steps, with everything kept and with checkpoints."""
    title, (record, rows) = "Memory: one gradient of many steps", _rows("memory")
    if not rows:
        return section(title, missing("make peers bench", "bench"))
    at = {(row["form"], row["T"]): row for row in rows}
    lengths = sorted({row["T"] for row in rows})
    body = [
        [f"{T:,}", *_both(at, T, "temporaries", ".1f"), *_both(at, T, "seconds", ".2f"), _gap(at, T)] for T in lengths
    ]
    head = ["T", "MB, all kept", "MB, checkpoints", "s, all kept", "s, checkpoints", "gradients apart by"]
    last, before = (at["checkpointed", T]["temporaries"] for T in (lengths[-1], lengths[-2]))
    slope = math.log(last / before) / math.log(lengths[-1] / lengths[-2])
    told = f"An Elman net, H = 100, B = 16, D = K = 32, a loss at every step. With checkpoints memory grows as T to the {slope:.2f}."
    return section(title, told, table(head, body), source(record, "XLA's temporaries; float32, one thread, seed 0."))


def _both(at, T, what, form):
    return [format(at[name, T][what], form) for name in ("plain", "checkpointed")]


def _gap(at, T):
    a, b = at["plain", T]["gradient"], at["checkpointed", T]["gradient"]
    return f"{max(abs(x - y) for x, y in zip(a, b, strict=True)) / max(map(abs, a)):.0e}"


def compilation() -> str:
    """How long a gradient takes to compile, by the number of steps."""
    title, (record, rows) = "Speed: compiling one gradient", _rows("compilation")
    if not rows:
        return section(title, missing("make peers bench", "bench"))
    seconds = {(row["form"], row["T"]): f"{row['seconds']:.2f}" for row in rows}
    forms, lengths = (list(dict.fromkeys(key[i] for key in seconds)) for i in (0, 1))
    body = [[f"`{form}`", *(seconds.get((form, T), "-") for T in lengths)] for form in forms]
    told = "Seconds, H = 100, B = 16, D = K = 32."
    return section(title, told, table(["", *(f"T = {T:,}" for T in lengths)], body), source(record))
