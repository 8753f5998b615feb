"""What `make bench` measures. Nothing here runs in a test: a clock never decides one."""

import json
from pathlib import Path

RESULTS = Path("build/benchmarks")
REFERENCE = "rnnlib unroll_scan"


def report(subject, name, result):
    """Write a result to build/benchmarks/<subject>_<name>.json."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / f"{subject}_{name}.json").write_text(json.dumps(result, indent=1))
