"""The engine: what SQLite is told, and which errors mean "try again"."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import Engine, select, text
from sqlalchemy.exc import DBAPIError, StatementError

from triage_node.core.errors import ConfigurationRejected
from triage_node.core.ports import ProcessPulse
from triage_node.worklist import engine as engine_module
from triage_node.worklist.engine import Database, DatabaseUnavailable, make_engine
from triage_node.worklist.repository import SqlStudyRepository
from triage_node.worklist.tables import ProcessRow

NOW = datetime(2026, 3, 1, 8, 0, 0, 123456, tzinfo=UTC)


def test_sqlite_is_durable_and_lets_readers_pass(sqlite_engine: Engine) -> None:
    with sqlite_engine.connect() as connection:
        values = {
            name: connection.execute(text(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert values == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 30_000}


def test_readers_do_not_wait_for_a_writer(sqlite_engine: Engine) -> None:
    database = Database(sqlite_engine)
    with database.writing() as writer:
        writer.execute(text("DELETE FROM studies"))
        with database.reading() as reader:
            assert reader.execute(text("SELECT count(*) FROM studies")).scalar() == 0


def test_a_lock_that_is_not_given_in_time_is_transient(sqlite_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "LOCK_WAIT_S", 0)
    impatient = make_engine(sqlite_engine.url.render_as_string())
    with Database(sqlite_engine).writing() as session:
        session.execute(text("DELETE FROM studies"))
        with pytest.raises(DatabaseUnavailable, match="locked"):
            SqlStudyRepository(impatient).heartbeat(ProcessPulse("beat", "h", 1, NOW, NOW))
    impatient.dispose()


def test_a_database_that_is_not_there_is_transient() -> None:
    engine = make_engine("postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(DatabaseUnavailable):
        SqlStudyRepository(engine).worklist()


def test_a_missing_table_is_a_defect_not_a_reason_to_try_again(tmp_path: Path) -> None:
    engine = make_engine(f"sqlite:///{tmp_path / 'empty.db'}")
    with pytest.raises(DBAPIError, match="no such table"):
        SqlStudyRepository(engine).worklist()
    engine.dispose()


@pytest.mark.parametrize("url", ["mysql://somewhere/db", "no url", ""])
def test_other_databases_are_refused(url: str) -> None:
    with pytest.raises(ConfigurationRejected):
        make_engine(url)


def test_a_writing_transaction_that_fails_leaves_nothing(engine: Engine) -> None:
    row = ProcessRow(name="beat", host="h", pid=1, started_at=NOW, last_seen_at=NOW, detail={})

    def write_and_fail() -> None:
        with Database(engine).writing() as session:
            session.add(row)
            session.flush()
            raise KeyError(row.name)

    with pytest.raises(KeyError):
        write_and_fail()
    assert SqlStudyRepository(engine).processes() == []


def test_times_come_back_aware_and_in_utc(engine: Engine) -> None:
    elsewhere = NOW.astimezone(timezone(timedelta(hours=9)))
    SqlStudyRepository(engine).heartbeat(ProcessPulse("beat", "h", 1, elsewhere, NOW))
    with Database(engine).reading() as session:
        started_at, last_seen_at = session.execute(select(ProcessRow.started_at, ProcessRow.last_seen_at)).one()
    assert started_at == last_seen_at == NOW
    assert started_at.tzinfo is UTC


def test_naive_times_are_refused(engine: Engine) -> None:
    naive = NOW.replace(tzinfo=None)
    with pytest.raises(StatementError, match="without a time zone"):
        SqlStudyRepository(engine).heartbeat(ProcessPulse("beat", "h", 1, naive, NOW))


def test_an_error_never_shows_the_values_of_its_statement(engine: Engine) -> None:
    with engine.connect() as connection, pytest.raises(DBAPIError) as raised:
        connection.execute(text("INSERT INTO nowhere VALUES (:name)"), {"name": "Secret^Name"})
    assert "nowhere" in str(raised.value)
    assert "Secret" not in str(raised.value)


def test_a_connection_that_broke_while_it_was_idle_costs_no_failed_step(
    new_postgresql_database: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "_TRUSTED_S", 0.0)
    engine, other = (make_engine(new_postgresql_database()) for _ in range(2))
    with Database(engine).reading() as session:
        process = session.execute(text("SELECT pg_backend_pid()")).scalar_one()
    with other.connect() as connection:
        assert connection.execute(text("SELECT pg_terminate_backend(:pid, 10000)"), {"pid": process}).scalar()
    with Database(engine).reading() as session:
        assert session.execute(text("SELECT pg_backend_pid()")).scalar_one() != process
    engine.dispose()
    other.dispose()


def test_reading_on_postgresql_opens_no_transaction_and_writing_does(
    new_postgresql_database: Callable[[], str],
) -> None:
    engine = make_engine(new_postgresql_database())
    begun = text("SELECT now() = statement_timestamp()")  # now() is the start of the transaction
    for _ in range(2):
        with Database(engine).reading() as session:
            session.execute(text("SELECT pg_sleep(0.01)"))
            assert session.execute(begun).scalar_one()
        with Database(engine).writing() as session:
            session.execute(text("SELECT pg_sleep(0.01)"))
            assert not session.execute(begun).scalar_one()
    engine.dispose()
