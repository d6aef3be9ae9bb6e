"""Health page, probes and metrics: true to the heartbeats and the states, and without a patient on any of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fakes.ports import SteppedClock
from fakes.slices import head
from fakes.web import web_parts
from fastapi.testclient import TestClient
from sqlalchemy import Engine

from triage_node.core.ports import ProcessPulse
from triage_node.core.study_state import State
from triage_node.web.app import make_app
from triage_node.web.health import NEEDED
from triage_node.worklist.repository import SqlStudyRepository

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)


@pytest.fixture
def repository(sqlite_engine: Engine) -> SqlStudyRepository:
    return SqlStudyRepository(sqlite_engine)


@pytest.fixture
def client(sqlite_engine: Engine, tmp_path: Path) -> TestClient:
    parts = web_parts(sqlite_engine, tmp_path, clock=SteppedClock(NOW))
    return TestClient(make_app(parts))


def _beat(repository: SqlStudyRepository, *names: str, seen_s_ago: float = 1.0) -> None:
    seen = NOW - timedelta(seconds=seen_s_ago)
    for pid, name in enumerate(names, start=100):
        repository.heartbeat(ProcessPulse(name, "host1", pid, NOW - timedelta(hours=1), seen, {"device": "cpu"}))


def test_node_is_ready_when_every_kind_of_process_beats(repository: SqlStudyRepository, client: TestClient) -> None:
    _beat(repository, *NEEDED)
    answer = client.get("/health/ready")
    assert answer.status_code == 200
    assert answer.json()["missing"] == []
    assert "Ready: every process is alive" in client.get("/health").text
    assert "triage_node_ready 1.0" in client.get("/metrics").text


@pytest.mark.parametrize("missing", NEEDED)
def test_node_without_one_kind_of_process_is_not_ready_and_says_which(
    repository: SqlStudyRepository, client: TestClient, missing: str
) -> None:
    _beat(repository, *(name for name in NEEDED if name != missing))
    answer = client.get("/health/ready")
    assert (answer.status_code, answer.json()["missing"]) == (503, [missing])
    assert f"no heartbeat from {missing}" in client.get("/health").text
    assert "triage_node_ready 0.0" in client.get("/metrics").text


def test_process_that_has_not_beaten_for_a_while_counts_as_gone(
    repository: SqlStudyRepository, client: TestClient
) -> None:
    _beat(repository, *NEEDED, seen_s_ago=21)
    assert client.get("/health/ready").status_code == 503


def test_web_process_is_live_whatever_the_others_do(client: TestClient) -> None:
    assert (client.get("/health/live").status_code, client.get("/health/ready").status_code) == (200, 503)


def test_metrics_count_studies_by_state_and_processes_by_name(
    repository: SqlStudyRepository, client: TestClient
) -> None:
    repository.add_instances(head(NOW, association=None))
    _beat(repository, "worker", "worker", "scp")
    metrics = client.get("/metrics").text
    assert 'triage_node_studies{state="RECEIVING"} 1.0' in metrics
    assert all(f'triage_node_studies{{state="{state}"}}' in metrics for state in State)
    assert 'triage_node_processes{name="worker"} 2.0' in metrics
    assert "triage_node_spool_free_bytes" in metrics


def test_nothing_shows_a_patient(repository: SqlStudyRepository, client: TestClient) -> None:
    told = {"patient_name": "Secret^Name", "patient_id": "SECRET-1", "accession_number": "SECRET-2"}
    repository.add_instances(head(NOW, association=None, **told))
    _beat(repository, *NEEDED)
    for path in ("/health", "/health/ready", "/metrics"):
        assert "secret" not in client.get(path).text.lower()


def test_page_says_that_it_is_research_use_only(client: TestClient) -> None:
    page = client.get("/health").text
    assert "Research use only. Not for diagnostic use." in page
    assert "1.2.3" in page
