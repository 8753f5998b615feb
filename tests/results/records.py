"""Records: what was measured, on which machine, by which command. Measured into build/, kept in stored/."""

import importlib.metadata
import json
import os
import platform
from datetime import date
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
BUILD, STORED = ROOT / "build", Path(__file__).parent / "stored"
EXPERIMENTS = ROOT / "notebooks" / "experiments" / "results"
BENCH = BUILD / "bench.json"
TABLES = ("chapters", "problem sets", "explorables", "known mistakes", "submissions")  # of `measured` in the tests
PACKAGES = ("numpy", "jax", "torch", "flax", "pytensor", "hessianfree")


def machine() -> dict[str, Any]:
    """Describe this machine, and with what it measures: None for a package that is not installed."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    versions = {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}
    return {"processor": processor(), "cores": cores, "system": platform.system(), "versions": versions}


def processor() -> str:
    """Name the model of the processor, as Linux tells it."""
    cpu = Path("/proc/cpuinfo")
    lines = cpu.read_text().splitlines() if cpu.exists() else []
    return next((line.split(":")[1].strip() for line in lines if "model name" in line), platform.machine())


def version(package: str) -> str | None:
    """Look an installed version up."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def read(name: str, folder: Path | None = None) -> Any:
    """Read a record, or None where there is none; from STORED, if no folder is named."""
    path = (folder or STORED) / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else None


def write(path: Path, record: Any) -> None:
    """Write a record, a row a line, so that a difference can be read."""
    head, rows = {k: v for k, v in record.items() if k != "rows"}, record["rows"]
    lines = ",\n".join(json.dumps(row) for row in rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(head, indent=1)[:-2] + f',\n "rows": [\n{lines}\n ]\n}}\n')


def keep_tests() -> list[str]:
    """Keep the tables of the last tests; say of each how many rows it has and had."""
    said = []
    for table in TABLES:
        rows, before = read(table, BUILD), read(table)
        if rows is not None:
            made = date.fromtimestamp((BUILD / f"{table}.json").stat().st_mtime).isoformat()
            here = machine() | {"versions": {name: version(name) for name in ("numpy", "jax")}}
            write(STORED / f"{table}.json", {"command": "make test", "date": made, "machine": here, "rows": rows})
            said.append(f"{table}: {len(rows)} rows, {len(before['rows']) if before else 0} before")
    return said or ["no tables in build/. Try make test"]


def keep_bench() -> list[str]:
    """Keep what the last `make bench` measured, if it was finished and had all the peers beside it."""
    if not BENCH.exists():
        return ["no build/bench.json. Try make peers bench"]
    record = json.loads(BENCH.read_text())
    absent = [name for name, number in record["machine"]["versions"].items() if number is None]
    if absent or not record["finished"]:
        why = f"{', '.join(absent)} not installed: make peers, then " if absent else "not finished: "
        return [f"bench: left out, {why}make bench"]
    write(STORED / "bench.json", record)
    return [f"bench: {len(record['rows'])} rows"]
