"""RESULTS.md is what the stored records say, and can be read where a record is missing."""

import json
import subprocess
import sys

import pytest

from tests import results
from tests.notebook_style import broken_links
from tests.results import checks, learning, markdown, records, speed
from tests.results.records import ROOT

HERE = {"processor": "a processor", "cores": 2, "system": "Linux", "versions": {"numpy": "1", "torch": None}}


@pytest.fixture
def stored(tmp_path, monkeypatch):
    """A place of its own for records; give it a name and rows."""
    monkeypatch.setattr(records, "STORED", tmp_path)

    def store(name, *rows):
        about = {"command": "make it", "date": "2026-01-01", "machine": HERE, "seconds": 8}
        records.write(tmp_path / f"{name}.json", about | {"rows": rows})

    return store


def test_results_are_current():
    assert (ROOT / "RESULTS.md").read_text(encoding="utf-8") == results.page(), (
        "RESULTS.md is stale: a record or a chapter's stored output has changed. Try make results"
    )


def test_links_of_results():
    assert not broken_links(results.page(), ROOT / "RESULTS.md")


def test_what_is_not_measured_says_how(stored):
    for part in (checks.gradients, checks.explorables, checks.chapters, checks.coursework):
        assert "Not measured yet: `make" in part()
    for part in (speed.steps, speed.products, speed.memory, speed.compilation):
        assert 'Not measured yet: `make peers bench`, then `make results KEEP="bench"`' in part()


def test_a_table_says_machine_and_command(stored):
    stored("chapters", {"chapter": "01_unrolling", "seconds": 2.5, "peak_MiB": 243, "cells": 40})
    page = checks.chapters()
    assert "| 01_unrolling | 2.5 | 243 |" in page
    assert "*`make it`, 2026-01-01: a processor, 2 cores, Linux; numpy 1.*" in page


def test_shares_are_of_the_same_step(stored):
    row = {"part": "steps", "threads": 1, "load": 0.5, "cell": "elman", "size": [32, 1, 50, 32], "share": 0.05}
    stored("bench", row | {"ms": {"rnnlib": 1.0, "slow": 4.0}, "missing": {"absent": "not installed"}})
    page = speed.steps()
    assert "| elman, 1 thread | H = 32, B = 1, T = 50, D = K = 32 |" in page
    assert "| rnnlib, ms | 1.00 |\n| of the peak | 5% |\n| of slow | 0.25 |\n| of absent | - |" in page


def test_memory_grows_by_the_exponent_that_is_said(stored):
    rows = [
        {"part": "memory", "form": form, "T": T, "temporaries": T**power, "seconds": 1.0, "gradient": [1.0, 2.0]}
        for form, power in (("plain", 1), ("checkpointed", 0.5))
        for T in (100, 10_000)
    ]
    stored("bench", *rows)
    assert "grows as T to the 0.50" in speed.memory()
    assert "| 10,000 | 10000.0 | 100.0 | 1.00 | 1.00 | 0e+00 |" in speed.memory()


def test_a_rate_is_chosen_on_its_mean():
    runs = [{"rate": rate, "score": score} for rate, score in ((1, 0.0), (1, 9.0), (2, 3.0), (2, 4.0))]
    (rate,), chosen = learning._best(learning._by(runs, "rate"), lambda run: run["score"])
    assert (rate, len(chosen)) == (2, 2)


def test_a_cell_that_is_gone_is_named():
    with pytest.raises(KeyError, match=r"03_backward\.ipynb has no longer: nowhere"):
        markdown.quoted("03", "train", "nowhere")


def test_a_record_survives_writing(tmp_path):
    record = {"command": "make it", "finished": True, "rows": [{"a": [1, 2]}, {"a": None}]}
    records.write(tmp_path / "one.json", record)
    assert records.read("one", tmp_path) == record
    assert records.read("none", tmp_path) is None


@pytest.mark.parametrize(
    ("finished", "torch", "says"),
    [(True, None, "torch not installed"), (False, "2", "not finished"), (True, "2", "1 rows")],
)
def test_only_whole_benchmarks_are_kept(tmp_path, monkeypatch, finished, torch, says):
    monkeypatch.setattr(records, "BENCH", tmp_path / "bench.json")
    monkeypatch.setattr(records, "STORED", tmp_path / "stored")
    here = HERE | {"versions": {"torch": torch}}
    records.write(records.BENCH, {"machine": here, "finished": finished, "rows": [{}]})
    (said,) = records.keep_bench()
    assert says in said
    assert (tmp_path / "stored" / "bench.json").exists() == (says == "1 rows")


def test_tables_of_the_tests_are_kept_with_their_machine(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "BUILD", tmp_path)
    monkeypatch.setattr(records, "STORED", tmp_path / "stored")
    (tmp_path / "chapters.json").write_text(json.dumps([{"chapter": "01"}]))
    assert records.keep_tests() == ["chapters: 1 rows, 0 before"]
    kept = records.read("chapters")
    assert kept["rows"] == [{"chapter": "01"}]
    assert kept["machine"]["cores"] >= 1


def test_an_unknown_name_is_refused():
    command = [sys.executable, "-m", "tests.results", "nothing"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode
    assert "make results: KEEP must be of tests, bench, got nothing." in ran.stderr
