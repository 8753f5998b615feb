"""What nets learned: the stored runs of `make experiments`, and what the chapters print."""

from collections import defaultdict
from statistics import mean, median

from tests.results.markdown import quoted, section, table
from tests.results.records import EXPERIMENTS, read

LAST_PASS = 13  # stretches of the window race in its last pass through the text


def _by(runs, *keys):
    """Runs that share these keys, in order."""
    groups = defaultdict(list)
    for run in runs:
        groups[tuple(run[key] for key in keys)].append(run)
    return groups


def _from(name, runs, note=""):
    """Say where stored runs come from."""
    seeds = ", ".join(str(seed) for seed in sorted({run["seed"] for run in runs}))
    where = f"seeds {seeds}; two cores, whose model the runs do not keep"
    return f"*`make experiments` (`notebooks/experiments/{name}.py`): {where}.{' ' * bool(note)}{note}*"


def _best(groups, score):
    """Of a setting's groups by rate, the one whose mean score is lowest."""
    return min(groups.items(), key=lambda item: mean(map(score, item[1])))


def truncation() -> str:
    """The sign of a truncated gradient, and the race of windows on text."""
    runs = read("window_race", EXPERIMENTS)

    def late(run):
        return mean(row[3] for row in run["history"][-LAST_PASS:])

    rows = []
    for (window,), some in _by(runs, "window").items():
        (rate,), chosen = _best(_by(some, "rate"), late)
        scores = [late(run) for run in chosen]
        rows.append([window, f"{mean(scores):.3f}", f"{min(scores):.3f} to {max(scores):.3f}", f"{rate:g}"])
    characters = runs[0]["history"][-1][0]
    read_so_far = f"Held-out nats a character in the last pass, after {characters:,} characters of the help pages"
    told = f"{read_so_far}; Adam at the better of two rates. The next table searches further."
    head = ["window", "mean", "over seeds", "rate"]
    exact = "Influence balancing (linear, 23 units): from which window on, and from which chunk on, the gradient has the right sign. Exact."
    windows = [told, table(head, rows), _from("window_race", runs)]
    return section("Truncation", exact, quoted("06", "influence"), *windows, *_look_back())


def _look_back():
    """Look-back and update frequency apart: each pair at the rate that one seed chose, judged on others."""
    runs = read("look_back_race", EXPERIMENTS)
    chosen_on = min(run["seed"] for run in runs)
    rows = []
    for some in _by([run | {"pair": str(run["pair"])} for run in runs], "pair").values():
        pair, judged = some[0]["pair"], [run for run in some if run["seed"] != chosen_on]
        rates = sorted(run["rate"] for run in some if run["seed"] == chosen_on)
        scores = [mean(row[2] for row in run["history"][-LAST_PASS:]) for run in judged]
        if scores:
            spread = f"{min(scores):.3f} to {max(scores):.3f}"
            rate = f"{judged[0]['rate']:g} of {rates[0]:g} to {rates[-1]:g}"
            rows.append([*(pair.strip("[]").split(", ") * 2)[:2], f"{mean(scores):.3f}", spread, rate])
    told = f"The same net and text; the rate chosen on seed {chosen_on}, the losses those of the other seeds."
    head = ["look back, at most", "an update every", "mean", "over seeds", "rate"]
    return [told, table(head, rows), _from("look_back_race", runs)]


def text() -> str:
    """The net by hand on English text."""
    told = "An Elman net in NumPy alone, trained on the help pages of Python; nats a character."
    return section("Text", told, quoted("03", "text-and-baselines", "more-seeds"))


def tasks() -> str:
    """Slot filling, music, highlighting."""
    return section("Real tasks", *_atis(), *_music(), *_highlighting())


def _atis():
    runs = read("atis", EXPERIMENTS)
    rows = []
    for (net, dropout), some in _by(runs, "net", "dropout").items():
        scores = [run["test"] for run in some]
        rows.append([net, f"{dropout:g}", f"{mean(scores):.2f}", f"{min(scores):.2f} to {max(scores):.2f}"])
    head = ["ATIS slot filling", "dropout", "chunk F1 on the test set, %", "over seeds"]
    beside = "[Chapter 11](notebooks/11_tagging.ipynb#Words,-and-chords) sets both beside published numbers."
    return [table(head, rows), _from("atis", runs), beside]


def _music():
    runs = read("music", EXPERIMENTS)
    rows = []
    for (data, net, way, clip), some in _by(runs, "data", "net", "way", "clip").items():
        (rate,), chosen = _best(_by(some, "rate"), lambda run: min(run["valid"]))
        scores = ", ".join(f"{run['seed']}: {run['test']:.2f}" for run in chosen)
        name = f"{net}, {way}{', clipped' if clip else ''}"
        rows.append([data.replace("_", " "), name, f"{mean(run['test'] for run in chosen):.2f}", scores, f"{rate:g}"])
    head = ["music", "net", "nats a step on the test set", "by seed", "rate"]
    return [
        table(head, rows),
        _from("music", runs, "The rate and the epoch are those that are best on the validation set."),
    ]


def _highlighting():
    return ["Python files never seen, the class of each character:", quoted("11", "baselines", "f1-by-class")]


def gates() -> str:
    """The first bit of a hundred, and digits."""
    told = "Remember the first of 100 bits: live in 300 updates, then nine starts, each at its own best rate. Digits pixel by pixel."
    live = quoted("10", "run-the-race", "first-bit-table", "digits-rates", "digits-race")
    stored = [_from(name, read(name, EXPERIMENTS)) for name in ("first_bit", "digits")]
    return section("Gates", told, live, *stored)


def hessian_free() -> str:
    """The pathological tasks within a budget, T = 200 run on, what matters, the two dampings on a grid, and the live training."""
    parts = (*_pathological(), *_long_lags(), *_ablation(), *_variants(), *_damping_grid(), *_live())
    return section("Hessian-free training", *parts)


def _solved(runs):
    """How many runs solved their task, and the median time of these."""
    times = [run["seconds"] for run in runs if run["solved"]]
    return f"{len(times)} of {len(runs)}" + (f", {median(times):.0f} s" if times else "")


def _pathological():
    runs = read("pathological", EXPERIMENTS)
    methods = sorted({run["method"] for run in runs})
    parts = ["Pathological tasks: runs solved of those tried, and the median seconds of one core that it took them."]
    for (T,), some in _by(sorted(runs, key=lambda run: run["T"]), "T").items():
        cells = _by(some, "task", "method")
        names = sorted({run["task"] for run in some})
        rows = [[name, *(_solved(cells[name, m]) if (name, m) in cells else "-" for m in methods)] for name in names]
        rows.append(["**all**", *(_total(some, method) for method in methods)])
        parts.append(table([f"T = {T}", *methods], rows))
    note = (
        "The script has the settings and budgets. What was not solved at a shorter length is not tried at a longer one."
    )
    return [*parts, _from("pathological", runs, note)]


def _total(runs, method):
    outcomes = [run["solved"] for run in runs if run["method"] == method]
    return f"**{sum(outcomes)} of {len(outcomes)}**"


def _long_lags():
    runs = read("long_lags", EXPERIMENTS)
    rows = [
        [task, *map(_spent, sorted(some, key=lambda run: run["seed"]))] for (task,), some in _by(runs, "task").items()
    ]
    seeds = sorted({run["seed"] for run in runs})
    told = "T = 200 again, with structural damping, run on until it is solved or four million gradients of one sequence are spent."
    padded = [row + ["not run yet"] * (len(seeds) + 1 - len(row)) for row in rows]
    return [told, table(["task", *(f"seed {seed}" for seed in seeds)], padded), _from("long_lags", runs)]


def _spent(run):
    """Updates and gradients until it was solved, or what was missed at best."""
    if run["solved"]:
        return f"{run['updates']} updates, {run['gradients'] / 1e6:.2f} million"
    return f"not solved; missed at best {min(missed for _, missed in run['missed']):.0%}"


def _ablation():
    told = "What matters in it, one part changed at a time: runs solved, median seconds of these; median gradients of one sequence, of all."
    return [told, _changes("ablation"), _from("ablation", read("ablation", EXPERIMENTS))]


def _variants():
    told = "The same on a budget of 300,000 gradients, with variants of the published parts; seeds that are not run yet are missing."
    return [told, _changes("variants"), _from("variants", read("variants", EXPERIMENTS))]


def _changes(name):
    cells = _by(read(name, EXPERIMENTS), "setting", "task", "T")
    cases = sorted({key[1:] for key in cells})
    rows = [
        [setting, *(_changed(cells.get((setting, *case), [])) for case in cases)]
        for setting in sorted({key[0] for key in cells})
    ]
    return table(["change", *(f"{task}, T = {T}" for task, T in cases)], rows)


def _changed(runs):
    return f"{_solved(runs)}; {median(run['gradients'] for run in runs):,.0f}" if runs else "-"


def _damping_grid():
    runs = read("damping_grid", EXPERIMENTS)
    cells = _by([run for run in runs if run["held"] == "states"], "structural", "damping")
    prices, dampings = (sorted({key[i] for key in cells}) for i in (0, 1))
    rows = [[f"{price:g}", *(_learned(cells[price, damping]) for damping in dampings)] for price in prices]
    told = "Five bits over a pause of ten steps, 12 units: nets that learn them, and the median cost of these in gradients of the batch."
    held = _by([run for run in runs if (run["structural"], run["damping"]) == (10, 0.1)], "held")
    beside = "; ".join(f"{what} {_learned(some)}" for (what,), some in held.items())
    told_too = f"What has the price μ = 10, at λ = 0.1: {beside}."
    return [told, table(["μ", *(f"first λ = {d:g}" for d in dampings)], rows), told_too, _from("damping_grid", runs)]


def _learned(runs):
    costs = [run["gradients"] for run in runs if run["solved"]]
    return f"{len(costs)} of {len(runs)}" + (f", {median(costs):.0f}" if costs else "")


def _live():
    return ["Trained live, five bits over a hundred steps:", quoted("13", "hessian-free", "plateau", "bits-right")]
