"""Write RESULTS.md: `make results`, or `python -m tests.results [tests] [bench]` to keep what these measured last before."""

import sys

from tests.results import page
from tests.results.records import ROOT, keep_bench, keep_tests

KEEP = {"tests": keep_tests, "bench": keep_bench}

if __name__ == "__main__":
    if unknown := set(sys.argv[1:]) - set(KEEP):
        sys.exit(f"make results: KEEP must be of {', '.join(KEEP)}, got {', '.join(unknown)}.")
    for name in sys.argv[1:]:
        print(*KEEP[name](), sep="\n")
    (ROOT / "RESULTS.md").write_text(page(), encoding="utf-8")
