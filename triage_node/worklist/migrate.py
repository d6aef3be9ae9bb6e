"""Bringing a database to the tables of this release, from any process, safely when several start at once.

The scripts lie in ``migrations/``; where that folder is, the caller knows. All pending revisions run in one transaction
on both databases: a migration either happened or did not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from triage_node.core.errors import ConfigurationRejected, Defect
from triage_node.worklist.engine import for_writing, make_engine, unavailable_as_transient

_ADVISORY_LOCK = 0x7472_6961_6765
"""Key of the PostgreSQL advisory lock ("triage" in ASCII); whoever migrates this database holds it."""


class BrokenReferences(Defect):
    """A migration left rows that point to nothing; it was rolled back."""


def migration_config(migrations_folder: Path) -> Config:
    """Return Alembic's configuration for the scripts in a folder; there is no ini file.

    Raises
    ------
    ConfigurationRejected
        The folder holds no scripts.
    """
    if not (migrations_folder / "env.py").is_file():
        raise ConfigurationRejected(f"no migration scripts in {migrations_folder}")
    config = Config()
    config.set_main_option("script_location", str(migrations_folder).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.set_main_option("file_template", "%%(year)d%%(month).2d%%(day).2d_%%(rev)s_%%(slug)s")
    config.set_main_option("timezone", "UTC")
    return config


def upgrade(engine_or_url: Engine | str, migrations_folder: Path, to: str = "head") -> None:
    """Run what is pending, up to a revision. A database that is there already is left alone."""
    _migrate(engine_or_url, migrations_folder, lambda config: command.upgrade(config, to))


def downgrade(engine_or_url: Engine | str, migrations_folder: Path, to: str) -> None:
    """Take revisions back, down to one or to ``base``. Data in dropped tables and columns is lost."""
    _migrate(engine_or_url, migrations_folder, lambda config: command.downgrade(config, to))


def current(engine_or_url: Engine | str) -> str | None:
    """Return the revision the database is at; None before the first."""
    with _engine(engine_or_url) as engine, unavailable_as_transient(), engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def head(migrations_folder: Path) -> str | None:
    """Return the revision that this release expects."""
    return ScriptDirectory.from_config(migration_config(migrations_folder)).get_current_head()


@contextmanager
def _engine(engine_or_url: Engine | str) -> Iterator[Engine]:
    if isinstance(engine_or_url, Engine):
        yield engine_or_url
        return
    engine = make_engine(engine_or_url)
    try:
        yield engine
    finally:
        engine.dispose()


def _migrate(engine_or_url: Engine | str, migrations_folder: Path, run: Callable[[Config], None]) -> None:
    config = migration_config(migrations_folder)
    with _engine(engine_or_url) as engine, unavailable_as_transient(), for_writing(engine).connect() as connection:
        alone = _alone_on_sqlite if connection.dialect.name == "sqlite" else _alone_on_postgresql
        with alone(connection):
            config.attributes["connection"] = connection
            run(config)


@contextmanager
def _alone_on_postgresql(connection: Connection) -> Iterator[None]:
    """Wait for other migrations as long as they take; the lock goes with the transaction, and with a lost connection."""
    with connection.begin():
        connection.execute(text("SET LOCAL lock_timeout = 0"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
        yield


@contextmanager
def _alone_on_sqlite(connection: Connection) -> Iterator[None]:
    """Hold the write lock, with references unenforced: altering a table there means making it anew and dropping it."""
    _enforce_references(connection, enforce=False)
    try:
        with connection.begin():
            yield
            broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
            if broken:
                raise BrokenReferences(f"{len(broken)} rows point to nothing, the first in {broken[0][0]}")
    finally:
        _enforce_references(connection, enforce=True)


def _enforce_references(connection: Connection, *, enforce: bool) -> None:
    """Set ``foreign_keys`` outside a transaction; within one, SQLite ignores it."""
    dbapi_connection = connection.connection.dbapi_connection
    if dbapi_connection is not None:
        dbapi_connection.cursor().execute(f"PRAGMA foreign_keys = {'ON' if enforce else 'OFF'}")
