"""The measured tables as pictures."""

import matplotlib
import matplotlib.pyplot as plt
import numpy as np

from tests.results.records import BUILD

matplotlib.use("Agg")
plt.style.use("rnnlib.figures.course")
FOLDER = BUILD / "benchmarks"


def draw(rows):
    """A picture of each part that has one."""
    for name, picture in (("steps", steps), ("memory", memory), ("compilation", compilation)):
        chosen = [row for row in rows if row["part"] == name and row["threads"] == 1]
        picture(chosen)


def save(fig, name):
    FOLDER.mkdir(parents=True, exist_ok=True)
    fig.savefig(FOLDER / f"{name}.png", dpi=150, bbox_inches="tight")
    plt.close(fig)


def steps(rows):
    fig, axes = plt.subplots(1, len(rows), figsize=(3.2 * len(rows), 3.6), layout="constrained", squeeze=False)
    for ax, row in zip(axes[0], rows, strict=True):
        names = list(row["ms"])[::-1]
        ax.barh(names, [row["ms"][name] / row["ms"]["rnnlib"] for name in names], color="C0")
        ax.axvline(1, color="0.3", ls="--", lw=1)
        H, B, T, D = row["size"]
        ax.set(title=f"{row['cell']}, H = {H}, B = {B},\nT = {T}, D = K = {D}", xlabel="time / rnnlib's")
    save(fig, "steps")


def memory(rows):
    fig, ax = plt.subplots()
    for form, marker in (("plain", "o"), ("checkpointed", "s")):
        T, used = zip(*((row["T"], row["temporaries"]) for row in rows if row["form"] == form), strict=True)
        slope = np.polyfit(np.log(T), np.log(used), 1)[0]
        ax.loglog(T, used, marker=marker, label=f"{form}, slope {slope:.2f}")
    ax.set(xlabel="T (steps)", ylabel="temporaries of a gradient (MB)")
    ax.legend()
    save(fig, "memory")


def compilation(rows):
    fig, ax = plt.subplots()
    for name, marker in (("unroll_loop", "o"), ("unroll_scan", "s")):
        points = [(row["T"], row["seconds"]) for row in rows if row["form"] == name]
        ax.loglog(*zip(*points, strict=True), marker=marker, label=name)
    ax.set(xlabel="T (steps)", ylabel="compilation of a gradient (s)")
    ax.legend()
    save(fig, "compilation")
