"""How every test runs: the shapes in rnnlib's signatures are checked, float64 is on, and nothing is broadcast by accident."""

import json
from pathlib import Path

import hypothesis
import jax
import jaxtyping
import matplotlib
import pytest

ROOT = Path(__file__).parents[1]
pytest_plugins = ["tests.left_out"]

# Before the first test imports them: the modules that state shapes. In the others the hook would check nothing, at every call.
STATED = [path.relative_to(ROOT) for path in ROOT.glob("rnnlib/**/*.py") if "jaxtyping" in path.read_text("utf-8")]
jaxtyping.install_import_hook(
    [".".join(path.with_suffix("").parts).removesuffix(".__init__") for path in sorted(STATED)], "beartype.beartype"
)
from rnnlib import _threads  # noqa: E402

_threads.one_blas_thread()  # two on two busy cores can be eight times slower
jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_disable_most_optimizations", True)  # what a test compiles runs once or twice
# Whatever is compiled is kept: the next run finds it, if what it is made from is the same. So hypothesis draws the same each time.
jax.config.update("jax_compilation_cache_dir", str(ROOT / "build" / "jax" / "tests"))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
matplotlib.use("Agg")
hypothesis.settings.register_profile("course", deadline=None, derandomize=True)
hypothesis.settings.load_profile("course")


@pytest.fixture(autouse=True)
def _signatures(request):
    """Leave a wrong shape to rnnlib's own messages in tests marked `bad_input`; everywhere else the signature objects first."""
    jaxtyping.config.update("jaxtyping_disable", request.node.get_closest_marker("bad_input") is not None)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture(scope="session")
def shared_data():
    """`shared_data("atis")` is the path of real data beside the checkout, in ../shared/data; without it the test is skipped."""

    def path(name):
        path = ROOT.parent / "shared" / "data" / name
        if not path.exists():
            pytest.skip(f"no real data at ../shared/data/{name}, beside the checkout")
        return path

    return path


@pytest.fixture
def measured(record_property):
    """`measured("chapters", chapter=..., seconds=...)` adds a row to a table, shown after the tests and kept in build/chapters.json."""
    return lambda table, **row: record_property(table, row)


def pytest_terminal_summary(terminalreporter):
    """Print what `measured` gathered, on whichever worker, whether or not output is captured."""
    tables = {}
    for reports in terminalreporter.stats.values():
        for report in reports:
            for table, row in getattr(report, "user_properties", []) if getattr(report, "when", "") == "call" else []:
                tables.setdefault(table, []).append(row)
    for table, rows in tables.items():
        terminalreporter.section(table)
        columns = list(dict.fromkeys(column for row in rows for column in row))
        cells = [columns, *([str(row.get(column, "")) for column in columns] for row in rows)]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        for line in cells:
            texts = [cell.ljust(width) for cell, width in zip(line, widths, strict=True)]
            terminalreporter.write_line("  ".join(texts).rstrip())
        (ROOT / "build").mkdir(exist_ok=True)
        (ROOT / "build" / f"{table}.json").write_text(json.dumps(rows, indent=1) + "\n")
