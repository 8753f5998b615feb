"""What the tests and the exactness part of the benchmarks found."""

from collections import defaultdict

from tests.results.markdown import missing, section, source, table
from tests.results.records import read


def gradients() -> str:
    """Gradients beside each other, and the clinic's verdicts."""
    record = read("bench")
    rows = [row for row in record["rows"] if row["part"] == "gradients"] if record else []
    if not rows:
        return section("Gradients", missing("make peers bench", "bench"))
    (row,) = rows
    errors = table(
        ["one gradient, beside another", "largest relative error"],
        [[name, f"{error:.0e}"] for name, error in row["agreement"].items()],
    )
    verdicts = table(
        ["`clinic.diagnose`", "tried", "outcome"],
        [
            [
                "right gradients, all cells, from a carried state too, both precisions: called wrong",
                row["alarms"]["drawn"],
                row["alarms"]["called wrong"],
            ],
            ["one mistake of the catalogue: named, and no other", *row["one mistake"].values()],
            ["two together: both named (else one hides the other)", *row["two mistakes"].values()],
        ],
    )
    drawn = f"{row['nets']} nets drawn from seeds 0 to {row['nets'] - 1} (a fifth of them for each cell of the last rows), float64."
    return section("Gradients", errors, verdicts, source(record, drawn))


def coursework() -> str:
    """The known mistakes of the problem sets, and what submissions earned."""
    return section("Problem sets and grading", *_mistakes(), *_submissions())


def _mistakes():
    record = read("known mistakes")
    if not record:
        return ["Known mistakes handed in as answers. " + missing("make test", "tests")]
    sets = defaultdict(list)
    for row in record["rows"]:
        sets[row["question"].split("/")[0]].append(row["mistakes"])
    rows = [[name, len(counts), sum(counts)] for name, counts in sorted(sets.items())]
    rows.append(["all", *(sum(row[i] for row in rows) for i in (1, 2))])
    told = "Each known mistake was handed in as an answer, rejected, and called by its name."
    return [told, table(["set", "Questions", "known mistakes"], rows), source(record, "Inputs from one seed.")]


def _submissions():
    record = read("submissions")
    if not record:
        return ["Submissions to one set, most of them hostile. " + missing("make test", "tests")]
    rows = [[row["submission"], f"{row['wanted']:g}", f"{row['earned']:g}", row["told"]] for row in record["rows"]]
    told = "One set, released, handed in so by each of these students, graded in the sandbox and returned; most are hostile."
    head = ["submission", "its answers are worth", "it earned", "feedback says why"]
    return [told, table(head, rows), source(record, "One secret seed.")]


def explorables() -> str:
    """From a key press to the next paint."""
    record = read("explorables")
    if not record:
        return section("Explorables", missing("make test", "tests"))
    slowest = defaultdict(dict)
    for row in record["rows"]:
        chapter, slowest_yet = row["explorable"].split("-explorable-")[0], slowest[row["explorable"].split("-")[0]]
        slowest_yet[row["place"]] = max(row["slowest_ms"], slowest_yet.get(row["place"], 0))
        slowest_yet["chapter"] = chapter
    places = sorted({row["place"] for row in record["rows"]})
    rows = [[one["chapter"], *(one.get(place, "-") for place in places)] for _, one in sorted(slowest.items())]
    told = "Milliseconds from a key press on a slider to the next paint, the slowest slider of each chapter; the goal is 50."
    head = ["chapter", *(f"in {place}" if place == "JupyterLab" else "exported page" for place in places)]
    return section("Explorables", told, table(head, rows), source(record, "Headless Chromium."))


def chapters() -> str:
    """Time and memory of chapters and problem sets, top to bottom in a fresh kernel."""
    parts = ["Top to bottom in a fresh kernel without a network; the peak is the kernel's."]
    for name, key in (("chapters", "chapter"), ("problem sets", "set")):
        record = read(name)
        if record:
            rows = sorted([row[key], row["seconds"], row["peak_MiB"]] for row in record["rows"])
            parts += [table([key, "seconds", "peak MiB"], rows), source(record)]
        else:
            parts.append(f"The {name}. " + missing("make test", "tests"))
    return section("Chapters", *parts)
