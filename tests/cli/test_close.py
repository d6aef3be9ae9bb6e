"""``close``: an operator who does not want to wait for more slices; and ``show`` of what was not read yet."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakes.site import STUDY, Site, head
from hospital.node import command

from triage_node.worklist import migrate
from triage_node.worklist.audit import SqlAuditTrail
from triage_node.worklist.engine import make_engine
from triage_node.worklist.repository import SqlStudyRepository


@pytest.fixture
def site(tmp_path: Path, migrations_folder: Path) -> Site:
    url = f"sqlite:///{tmp_path / 'triage_node.sqlite3'}"
    migrate.upgrade(url, migrations_folder)
    return Site(SqlStudyRepository(make_engine(url)))


def test_a_receiving_series_is_closed_at_once_and_then_read(site: Site, tmp_path: Path) -> None:
    site.arrive(head(site.clock.now())[:-1], release=False)
    shown = command("show", STUDY, "--data-dir", tmp_path)
    assert "RECEIVING" in shown.stdout, shown.stderr
    closed = command("close", STUDY, "--data-dir", tmp_path)
    assert (closed.returncode, closed.stdout) == (0, f"1 series of {STUDY} closed\n"), closed.stderr
    assert site.state() == "CLOSED"
    (line,) = SqlAuditTrail(make_engine(f"sqlite:///{tmp_path / 'triage_node.sqlite3'}")).of_study(STUDY, 10)
    assert (line.actor.partition(":")[0], line.action, line.detail) == ("cli", "CLOSED", {"series": 1})
    site.path.ring_due()
    assert site.bell.reads
    again = command("close", STUDY, "--data-dir", tmp_path)
    assert again.returncode == 1
    assert "nothing to close" in again.stderr
