"""Opening the database, and the two kinds of transaction on it.

SQLite and PostgreSQL are both written to by several processes and threads at once. SQLite serialises writers: a writing
transaction takes the write lock at its start (BEGIN IMMEDIATE), because upgrading a read lock later fails at once
instead of waiting. PostgreSQL serialises by study: see ``row_locks``. Errors never show the values of a statement: they
would carry patients into the log.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, DisconnectionError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from triage_node.core.errors import ConfigurationRejected, Transient

LOCK_WAIT_S = 30
"""How long a transaction waits for others; longer than any honest transaction, shorter than a lease."""

_TRUSTED_S = 1.0
"""A connection that was used so lately is not asked whether it still stands: no server restarts faster."""

_BEGIN_OPTION = "sqlite_begin"


class DatabaseUnavailable(Transient):
    """The database did not answer, or a lock was not given in time; the step is tried again."""


def make_engine(url: str) -> Engine:
    """Open the database at a SQLAlchemy URL.

    An engine holds sockets and file handles: make it after a process has forked.

    Raises
    ------
    ConfigurationRejected
        Neither SQLite nor PostgreSQL, or no URL at all.
    """
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise ConfigurationRejected(
            f"not a database URL, for example sqlite:////var/lib/triage/triage.db: {url!r}"
        ) from error
    backend = parsed.get_backend_name()
    if backend == "sqlite":
        return _sqlite_engine(parsed)
    if backend == "postgresql":
        return _postgresql_engine(parsed)
    raise ConfigurationRejected(f"the database is SQLite or PostgreSQL, not {backend!r}")


def _postgresql_engine(url: URL) -> Engine:
    engine = create_engine(
        url.set(drivername="postgresql+psycopg"),
        hide_parameters=True,
        pool_recycle=1800,
        pool_use_lifo=True,  # few connections that are used often, with their statements prepared
        connect_args={
            "connect_timeout": 10,
            "application_name": "triage_node",
            # Compiling a plan takes longer than any of our statements runs.
            "options": f"-c timezone=UTC -c lock_timeout={LOCK_WAIT_S}s -c jit=off",
        },
    )
    _ping_idle_connections(engine)
    return engine


def _ping_idle_connections(engine: Engine) -> None:
    """A restarted server or a firewall's idle timeout costs a reconnect, not a failed step; a busy pool asks for nothing."""

    def returned(_dbapi_connection: Any, record: Any) -> None:
        record.info["returned_at"] = time.monotonic()

    def taken(dbapi_connection: Any, record: Any, _proxy: Any) -> None:
        returned_at = record.info.get("returned_at")
        if returned_at is None or time.monotonic() - returned_at < _TRUSTED_S:
            return
        try:
            engine.dialect.do_ping(dbapi_connection)
        except engine.dialect.loaded_dbapi.Error as error:
            raise DisconnectionError(str(error)) from error  # the pool takes another one

    event.listen(engine, "checkin", returned)
    event.listen(engine, "checkout", taken)


def _sqlite_engine(url: URL) -> Engine:
    driver = url.set(drivername="sqlite+pysqlite")
    engine = create_engine(driver, hide_parameters=True, connect_args={"timeout": LOCK_WAIT_S})
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(dbapi_connection: Any, _record: Any) -> None:
    """Set what SQLite keeps per connection.

    ``synchronous=FULL``: with NORMAL, a power cut may undo the last commits of a WAL database. Instances would come
    back from the spool and readings could be repeated, but an operator's action or a quarantine note would be gone,
    and a study that the worklist had shown as flagged would not be. A commit costs one fsync, some milliseconds.
    """
    dbapi_connection.isolation_level = None  # BEGIN is ours: the driver's own is deferred and skips DDL
    cursor = dbapi_connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {LOCK_WAIT_S * 1000}")
    _switch_to_wal(cursor)
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _switch_to_wal(cursor: Any) -> None:
    """Readers do not wait for writers in WAL. The switch needs the file alone and does not heed busy_timeout."""
    deadline = time.monotonic() + LOCK_WAIT_S
    while True:
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
            return
        except Exception:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def _begin_sqlite(connection: Connection) -> None:
    kind = connection.get_execution_options().get(_BEGIN_OPTION, "DEFERRED")
    connection.exec_driver_sql(f"BEGIN {kind}")


def for_writing(engine: Engine) -> Engine:
    """Return the same engine whose transactions take SQLite's write lock at their start."""
    return engine.execution_options(**{_BEGIN_OPTION: "IMMEDIATE"})


def for_reading(engine: Engine) -> Engine:
    """Return the same engine without transactions around what only reads, where they would change nothing.

    PostgreSQL gives each statement its own snapshot anyway (READ COMMITTED), and BEGIN and ROLLBACK are a round trip each.
    On SQLite a transaction is one snapshot, and is kept.
    """
    return engine if engine.dialect.name == "sqlite" else engine.execution_options(isolation_level="AUTOCOMMIT")


class Database:
    """An engine, seen as two kinds of transaction."""

    def __init__(self, engine: Engine) -> None:
        self._for_reading = for_reading(engine)
        self._for_writing = for_writing(engine)

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Open what only reads."""
        with unavailable_as_transient(), Session(self._for_reading) as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """Open a transaction that commits at its end, or leaves nothing."""
        with unavailable_as_transient(), Session(self._for_writing) as session, session.begin():
            yield session


@contextmanager
def unavailable_as_transient() -> Iterator[None]:
    """Tell a database that is down, locked or deadlocked from a defect in a statement.

    Raises
    ------
    DatabaseUnavailable
        In place of the driver's error.
    """
    try:
        yield
    except PoolTimeout as error:
        raise DatabaseUnavailable(str(error)) from error
    except DBAPIError as error:
        if not _is_transient(error):
            raise
        raise DatabaseUnavailable(str(error.orig)) from error


_LASTING_SQLITE_ERRORS = frozenset({"SQLITE_ERROR", "SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_READONLY"})


def _is_transient(error: DBAPIError) -> bool:
    """The driver's OperationalError; SQLite's says of a missing table or a broken file the same as of a lock."""
    if error.connection_invalidated or isinstance(error, InterfaceError):
        return True
    return (
        isinstance(error, OperationalError)
        and getattr(error.orig, "sqlite_errorname", "") not in _LASTING_SQLITE_ERRORS
    )
