"""``bench worklist-page`` in small: the real web process over a made-up archive, and databases that it leaves alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
import typer
from fakes.studies import Studies
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from typer.testing import CliRunner, Result

from triage_node.bench.worklist_page import _KINDS
from triage_node.cli import bench_commands
from triage_node.core.errors import Refused
from triage_node.core.study_state import Priority
from triage_node.core.worklist_order import WorklistFilter
from triage_node.worklist import migrate
from triage_node.worklist.engine import make_engine
from triage_node.worklist.made_up_archive import fill, received_at
from triage_node.worklist.repository import SqlStudyRepository
from triage_node.worklist.tables import StudyRow
from triage_node.worklist.worklist_page import SqlWorklist

app = typer.Typer()
bench_commands.register(app)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["bench", "worklist-page", *(str(each) for each in arguments)])


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'bench.db'}"
    new_database: Callable[[], str] = request.getfixturevalue("new_postgresql_database")
    return new_database()


def test_every_kind_of_page_is_asked_for_and_timed(new_postgresql_database: Callable[[], str]) -> None:
    url = new_postgresql_database()
    result = run("--studies", 400, "--database-url", url, "--per-second", 50, "--seconds", 2, "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert (told["studies"], told["database"], told["requests"]) == (400, "postgresql", 100)
    assert set(told["kinds"]) == set(_KINDS)
    assert sum(each["requests"] for each in told["kinds"].values()) == 100
    assert 0 < told["p50_ms"] <= told["p95_ms"] <= told["max_ms"]


def test_sqlite_is_timed_where_no_database_is_given() -> None:
    result = run("--studies", 100, "--per-second", 20, "--seconds", 1)
    assert result.exit_code == 0, result.output
    assert "first page" in result.stdout
    assert "100 studies in sqlite, 20 requests a second" in result.stdout


def test_database_with_studies_of_its_own_is_left_alone(tmp_path: Path, migrations_folder: Path) -> None:
    url = f"sqlite:///{tmp_path / 'own.db'}"
    migrate.upgrade(url, migrations_folder)
    Studies(SqlStudyRepository(make_engine(url))).arrive()
    result = run("--studies", 400, "--database-url", url)
    assert isinstance(result.exception, Refused)
    with Session(make_engine(url)) as session:
        assert session.scalar(select(func.count()).select_from(StudyRow)) == 1


def test_archive_looks_like_a_hospital(worklist: SqlWorklist) -> None:
    now = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
    page = worklist.page(WorklistFilter(priority=Priority.STAT), limit=500)
    flagged = [row for row in page.rows if row.entry["flagged"]]
    assert len(flagged) == 100  # one in ten of 1,000
    assert all(row.entry["subtypes_present"] == ["CPH", "SDH"] for row in flagged)
    assert worklist.page(WorklistFilter(text="acc77"), limit=50).rows[0].entry["series_count"] == 1
    (latest,) = [row for row in worklist.page(WorklistFilter(text="acc1"), limit=200).rows if row.place.study_id == 1]
    assert abs((latest.place.received_at - received_at(1, 1000, now)).total_seconds()) < 0.01


@pytest.fixture
def worklist(database_url: str, migrations_folder: Path) -> SqlWorklist:
    migrate.upgrade(database_url, migrations_folder)
    engine = make_engine(database_url)
    for _ in range(2):  # a second time, the archive that is there is left as it is
        fill(engine, 1000, datetime(2026, 3, 2, 8, 0, tzinfo=UTC), lambda _: None)
    with pytest.raises(Refused, match="1000 made-up studies, not 999"):
        fill(engine, 999, datetime(2026, 3, 2, 8, 0, tzinfo=UTC), lambda _: None)
    return SqlWorklist(engine)
