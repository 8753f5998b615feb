"""Measure speed and memory on this machine: `make bench`, or `python -m tests.benchmarks SECONDS` for so long a case.

Prints tables; writes them as JSON and as figures to build/benchmarks. `make peers` installs what rnnlib is compared with.
"""

import importlib.metadata
import json
import platform
import sys
from pathlib import Path

import numpy as np

from tests.benchmarks import CORES, RESULTS, figures, measured

PACKAGES = ("jax", "numpy", "torch", "flax", "pytensor", "hessianfree")
MEMORY = [(form, T) for T in (1000, 10_000, 100_000) for form in ("plain", "checkpointed")]


def machine():
    """What was measured on, and with."""
    cpu = Path("/proc/cpuinfo")
    lines = cpu.read_text().splitlines() if cpu.exists() else []
    model = next((line.split(":")[1].strip() for line in lines if "model name" in line), "")
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = None
    return {"processor": model or platform.machine(), "cores": len(CORES), **versions}


def print_steps(threads, result):
    print(
        f"\n{threads} thread(s): milliseconds a training step, and rnnlib's share of each; peak {result['peak']:.0f} GFLOP/s"
    )
    for row in result["rows"]:
        H, B, T, D = row["size"]
        print(f"  {row['cell']}, H = {H}, B = {B}, T = {T}, D = K = {D}: {row['share of peak']:.0%} of the peak")
        for name, ms in row["ms"].items():
            print(f"    {name:<26}{ms:10.3f}{row['ms']['rnnlib'] / ms:8.2f}")
        for name, why in row["missing"].items():
            print(f"    {name:<26}{why:>18}")


def print_products(rows):
    print(
        "\none Gauss-Newton product on a stored forward pass, Elman net, one thread: milliseconds, in gradients of rnnlib"
    )
    for row in rows:
        H, B, T, D = row["size"]
        print(f"  H = {H}, B = {B}, T = {T}, D = K = {D}")
        for name, ms in row["ms"].items():
            print(f"    {name:<30}{ms:10.3f}{ms / row['ms']['rnnlib, gradient']:8.2f}")


def print_memory(rows):
    print(
        "\none gradient, H = 100, B = 16, D = K = 32, a loss at every step: XLA's temporaries, growth of the process, time"
    )
    for row in rows:
        print(
            f"  T = {row['T']:>7,} {row['form']:<13}{row['temporaries']:9.1f} MB{row['growth']:7.0f} MB{row['seconds']:8.3f} s"
        )
    by = {(row["form"], row["T"]): row for row in rows}
    last, before = by["checkpointed", 100_000], by["checkpointed", 10_000]
    slope = np.log10(last["temporaries"] / before["temporaries"])
    whole = by["plain", 100_000]
    gap = np.abs(np.subtract(last["gradient"], whole["gradient"])).max() / np.abs(whole["gradient"]).max()
    ratio = last["seconds"] / whole["seconds"]
    print(
        f"  checkpointed: growth exponent {slope:.2f}; at T = 100,000 {ratio:.2f} times plain's time, gradients apart by {gap:.0e}"
    )


def main(seconds=8.0):
    results = {"machine": machine()}
    print(results["machine"])
    counts = [1, 2] if len(CORES) > 1 else [1]
    for threads in counts:
        results[f"steps, {threads} thread(s)"] = measured("steps", seconds, threads=threads)
        print_steps(threads, results[f"steps, {threads} thread(s)"])
    results["products"] = measured("products", seconds)
    print_products(results["products"])
    results["memory"] = [measured("memory", form, T) for form, T in MEMORY]
    print_memory(results["memory"])
    results["compilation"] = measured("compilation")
    print("\nseconds to compile one gradient")
    for name, T, took in results["compilation"]:
        print(f"  {name}, T = {T:>6,}{took:8.2f} s")
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / "results.json").write_text(json.dumps(results, indent=1))
    figures.draw(results)
    print(f"\nwritten to {RESULTS}")


if __name__ == "__main__":
    main(*map(float, sys.argv[1:]))
