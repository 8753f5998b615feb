"""What a machine lacks is said before anything is done and after all of it, and fails where CI is set."""

import json
import sys

import pytest

from tests import left_out, parts

pytest_plugins = ["pytester"]


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """`machine(apt-get="exit 0", ...)` is a machine with these commands alone, each a script; its home is empty, and nobody is root."""

    def commands(**scripts):
        for name, script in scripts.items():
            path = tmp_path / "bin" / name.replace("_", "-")
            path.parent.mkdir(exist_ok=True)
            path.write_text(f"#!/bin/sh\n{script}\n")
            path.chmod(0o755)

    commands()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(tmp_path / "browsers"))
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr(parts, "RECORD", tmp_path / "left_out.json")
    monkeypatch.setattr(parts, "PLAYWRIGHT", ("playwright",))
    monkeypatch.setattr(parts.os, "geteuid", lambda: 1000)
    forget()
    yield commands
    forget()


def forget():
    for known in (parts.browser, parts.why_not, parts._packages_may_help):
        known.cache_clear()


def brings(name, script="exit 0"):
    """A script that writes another into the machine's folder of commands."""
    path = f'"$(dirname "$0")/{name}"'
    return f"/bin/echo '#!/bin/sh' > {path}; /bin/echo '{script}' >> {path}; /bin/chmod +x {path}".replace(
        "dirname", "/usr/bin/dirname"
    )


PAGE = "echo '<html></html>'"


def test_what_is_there_is_named(machine, capsys):
    machine(chromium=PAGE, bwrap="exit 0")
    parts.say(["browser", "sandbox"])
    told = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in told] == [["browser", "there:"], ["sandbox", "there:"]]


def test_what_is_missing_is_told_with_the_command_that_adds_it(machine, capsys):
    machine(apt_get="exit 1", sudo="exit 1")
    parts.say(["browser", "sandbox"])
    browser, sandbox = capsys.readouterr().out.splitlines()
    assert "Playwright's installer is tried" in browser
    assert "apt-get is tried" not in browser + sandbox  # it would ask for a password
    assert sandbox.endswith("sudo apt-get install -y --no-install-recommends bubblewrap")


def test_a_chromium_that_does_not_start_is_none(machine):
    machine(chromium="echo this is a stub; exit 1")
    assert "that starts" in parts.why_not("browser")


def test_playwrights_shell_will_do(machine, tmp_path):
    shell = tmp_path / "browsers/chromium_headless_shell-1/chrome-linux/headless_shell"
    shell.parent.mkdir(parents=True)
    shell.write_text(f"#!/bin/sh\n{PAGE}\n")
    shell.chmod(0o755)
    assert parts.browser() == str(shell)


def test_the_package_manager_comes_after_playwright_and_without_a_password_alone(machine, capsys):
    machine(
        playwright="echo Error: no network; exit 1",
        sudo='shift; "$@"',
        true="exit 0",
        apt_get=brings("chromium", 'echo "</html>"'),
    )
    parts.install(["browser"])
    told = capsys.readouterr().out
    assert "failed: Error: no network" in told
    assert parts.browser().endswith("chromium")

    (parts.Path(parts.browser())).unlink()
    machine(sudo="exit 1")
    forget()
    parts.install(["browser"])
    told = capsys.readouterr().out
    assert "apt-get update" not in told
    assert "browser  LEFT OUT" in told


def test_where_ci_is_set_a_missing_part_is_a_failure(machine, monkeypatch):
    machine(playwright="exit 1")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(SystemExit, match="nothing may be left out"):
        parts.install(["browser"])


def test_a_sandbox_that_is_forbidden_is_not_installed_again(machine, capsys):
    machine(bwrap="exit 1", apt_get="exit 0", sudo="exit 0")
    parts.install(["sandbox"])
    told = capsys.readouterr().out
    assert "apt-get" not in told
    assert "namespaces" in told


def test_the_last_lines_say_how_many_why_and_the_one_command(machine, capsys):
    machine(apt_get="exit 1")
    parts.RECORD.write_text(json.dumps({"browser": 31, "sandbox": 12}))
    parts.left_out()
    *counts, remedy = capsys.readouterr().out.splitlines()
    assert [line.split(" that ")[0] for line in counts] == ["Left out: 31 tests", "Left out: 12 tests"]
    assert remedy == "To add them: sudo apt-get install -y --no-install-recommends chromium bubblewrap"
    parts.say([])  # a new run begins
    parts.left_out()
    assert capsys.readouterr().out == "Nothing was left out.\n"


TESTS = """
import pytest

@pytest.mark.browser
@pytest.mark.parametrize("n", range(3))
def test_page(n): pass

def test_sum(): pass
"""


def test_marked_tests_are_left_out_counted_and_fail_in_ci(machine, pytester, monkeypatch):
    pytester.makeini("[pytest]\nmarkers =\n  browser: x\n  sandbox: y")
    pytester.makepyfile(TESTS)
    for _ in range(2):  # two runs of pytest in one of make
        result = pytester.inline_run("-p", left_out.__name__)
        result.assertoutcome(passed=1, skipped=3)
    assert json.loads(parts.RECORD.read_text()) == {"browser": 6}
    monkeypatch.setenv("CI", "true")
    pytester.inline_run("-p", left_out.__name__).assertoutcome(passed=1, failed=3)


def test_it_needs_nothing_but_python():
    assert {name.partition(".")[0] for name in vars(parts) if not name.startswith("_")}.isdisjoint({"pytest", "rnnlib"})
    assert sys.version_info >= (3, 11)
