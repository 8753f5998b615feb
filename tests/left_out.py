"""Tests marked `browser` or `sandbox` where there is none: left out, counted for the end of the run, and a failure where CI is set."""

import json
import os
from collections import Counter

import pytest

from tests import parts


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """Leave out what can't run here, before anything is set up for it."""
    for part in parts.PACKAGES:
        if item.get_closest_marker(part) and (why := parts.why_not(part)):
            if "CI" in os.environ:
                pytest.fail(f"needs a {part}: {why}. CI is set, so that nothing may be left out.", pytrace=False)
            item.user_properties.append(("left out", part))
            pytest.skip(f"needs a {part}: {why}")


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter):
    """Say what was left out, and add it to the record that `make test` ends with."""
    skipped = terminalreporter.stats.get("skipped", [])
    counts = Counter(part for report in skipped for kind, part in report.user_properties if kind == "left out")
    if not counts or hasattr(terminalreporter.config, "workerinput"):  # xdist's workers report to the main process
        return
    before = json.loads(parts.RECORD.read_text()) if parts.RECORD.exists() else {}
    parts.RECORD.parent.mkdir(exist_ok=True)
    parts.RECORD.write_text(json.dumps(Counter(before) + counts))
    terminalreporter.section("left out")
    for line in parts.told(counts):
        terminalreporter.write_line(line)
