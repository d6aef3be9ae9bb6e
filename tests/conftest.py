"""What every test shares: no settings from outside, and the rule about skips.

With ``NO_SKIPS=1`` a skipped test fails the run: the gate installs all that a skip could be for.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def pytest_configure(config: pytest.Config) -> None:
    for name in [each for each in os.environ if each.startswith("TRIAGE_")]:
        del os.environ[name]


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or hasattr(session.config, "workerinput"):
        return
    skipped = reporter.stats.get("skipped", [])
    if skipped and os.environ.get("NO_SKIPS") == "1":
        reporter.write_line(f"NO_SKIPS is set and {len(skipped)} tests were skipped: the run fails")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave one closing line for the gate, which runs more after the tests."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or hasattr(config, "workerinput") or os.environ.get("NO_SKIPS") != "1":
        return
    counts = {name: len(reporter.stats.get(name, [])) for name in ("passed", "failed", "error", "skipped")}
    line = f"{counts['passed']} passed, {counts['failed'] + counts['error']} failed, {counts['skipped']} skipped\n"
    Path(config.rootpath, ".pytest_summary").write_text(line)
