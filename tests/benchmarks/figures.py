"""The measured tables as pictures."""

import matplotlib
import matplotlib.pyplot as plt
import numpy as np

from tests.benchmarks import RESULTS

matplotlib.use("Agg")
plt.style.use("rnnlib.figures.course")


def draw(results):
    steps(results["steps, 1 thread(s)"]["rows"])
    memory(results["memory"])
    compilation(results["compilation"])


def save(fig, name):
    fig.savefig(RESULTS / f"{name}.png", dpi=150, bbox_inches="tight")
    plt.close(fig)


def steps(rows):
    fig, axes = plt.subplots(1, len(rows), figsize=(3.2 * len(rows), 3.6), layout="constrained")
    for ax, row in zip(axes, rows, strict=True):
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
        ax.loglog(*zip(*((T, took) for form, T, took in rows if form == name), strict=True), marker=marker, label=name)
    ax.set(xlabel="T (steps)", ylabel="compilation of a gradient (s)")
    ax.legend()
    save(fig, "compilation")
