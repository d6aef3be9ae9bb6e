"""``deliveries list`` and ``retry``: what an operator sees of the outbox, of warnings and of destinations that are away."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fakes.site import PACS, STUDY, Site
from hospital.node import command

from triage_node.core.audit import AuditFilter
from triage_node.core.circuit_breaker import BreakerRules
from triage_node.core.dimse_status import Action
from triage_node.worklist import migrate
from triage_node.worklist.audit import SqlAuditTrail
from triage_node.worklist.engine import make_engine
from triage_node.worklist.repository import SqlStudyRepository


@pytest.fixture
def site(tmp_path: Path, migrations_folder: Path) -> Site:
    """A data folder with one study whose evidence is due."""
    url = f"sqlite:///{tmp_path / 'triage_node.sqlite3'}"
    migrate.upgrade(url, migrations_folder)
    return Site(SqlStudyRepository(make_engine(url)))


def deliveries(data_dir: Path, *arguments: object) -> str:
    ended = command("deliveries", *arguments, "--data-dir", data_dir, within_s=60)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def listed(data_dir: Path, *arguments: object) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(deliveries(data_dir, "list", "--json", *arguments))
    return rows


def test_a_warning_is_shown_with_what_the_peer_said(site: Site, tmp_path: Path) -> None:
    site.sender.script = [Action.DONE_WITH_WARNING]
    site.forwarding.forward(site.evidenced(), PACS.name)
    assert {(each["state"], each["warning"], each["breaker"]) for each in listed(tmp_path)} == {
        ("SENT", "DONE_WITH_WARNING", "CLOSED")
    }


def test_a_destination_that_is_left_alone_is_shown_until_a_retry_probes_it(site: Site, tmp_path: Path) -> None:
    site.sender.script = [Action.GIVE_UP]
    site.forwarding.forward(site.evidenced(), PACS.name)
    now = datetime.now(UTC)
    for _ in range(3):
        site.repository.note_silence(PACS.name, now, BreakerRules(3, 3000, 3000), "no connection")
    rows = listed(tmp_path, "--state", "GIVEN_UP")
    assert {each["breaker"] for each in rows} == {"OPEN"}
    text = deliveries(tmp_path, "list")
    assert "Destinations that do not answer" in text
    assert f"\nStudy {STUDY}\n" in text
    assert "; 1 attempt" in text
    assert deliveries(tmp_path, "retry") == "2 deliveries are due again\n"
    assert {(each["state"], each["breaker"]) for each in listed(tmp_path)} == {("DUE", "HALF_OPEN")}
    (line,) = SqlAuditTrail(make_engine(f"sqlite:///{tmp_path / 'triage_node.sqlite3'}")).page(AuditFilter(), 10)
    assert (line.action, line.detail) == ("DELIVERIES_RETRIED", {"count": 2})
