"""The alarm of silent scanners in the metrics."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from fakes.ports import SteppedClock
from fakes.web import web_parts
from fakes.weeks import BUSY, STOPPED, fill_weeks
from fastapi.testclient import TestClient
from sqlalchemy import Engine

from triage_node.web.app import make_app
from triage_node.web.scanner_metrics import ASKED_EVERY

NOW = datetime(2026, 3, 2, 18, 0, tzinfo=UTC)


def _silent(client: TestClient) -> dict[str, float]:
    lines = [
        line for line in client.get("/metrics").text.splitlines() if line.startswith("triage_node_scanner_silent{")
    ]
    return {line.split('"')[1]: float(line.rsplit(" ", 1)[1]) for line in lines}


def test_scanner_that_stopped_raises_its_gauge_and_one_that_sends_does_not(
    sqlite_engine: Engine, tmp_path: Path
) -> None:
    fill_weeks(sqlite_engine, NOW)
    clock = SteppedClock(NOW)
    client = TestClient(make_app(web_parts(sqlite_engine, tmp_path, clock=clock)))
    silent = _silent(client)
    assert (silent[STOPPED], silent[BUSY]) == (1.0, 0.0)
    assert "Doe" not in client.get("/metrics").text
    clock.advance(2 * 86400)
    assert _silent(client)[BUSY] == 1.0


def test_scanner_that_was_never_busy_has_no_gauge(sqlite_engine: Engine, tmp_path: Path) -> None:
    fill_weeks(sqlite_engine, NOW.replace(hour=9), days=1)
    client = TestClient(make_app(web_parts(sqlite_engine, tmp_path, clock=SteppedClock(NOW))))
    assert _silent(client) == {}


def test_database_is_not_asked_again_by_every_scrape(sqlite_engine: Engine, tmp_path: Path) -> None:
    clock = SteppedClock(NOW)
    client = TestClient(make_app(web_parts(sqlite_engine, tmp_path, clock=clock)))
    assert _silent(client) == {}
    fill_weeks(sqlite_engine, NOW)
    assert _silent(client) == {}
    clock.advance(ASKED_EVERY.total_seconds())
    assert _silent(client)
