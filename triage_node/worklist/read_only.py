"""People's own queries, in a connection that cannot change anything, and that ends after a set time.

On SQLite the file is opened read-only and an authorizer lets nothing pass but reading; on PostgreSQL the query is declared as
a cursor, which only a SELECT can be, in a read-only transaction with a statement time-out.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy.engine import make_url

from triage_node.core.errors import Refused
from triage_node.worklist.engine import make_engine

_READING = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE})
_STEPS_BETWEEN_LOOKS_AT_THE_CLOCK = 10_000


class QueryRefused(Refused):
    """The database did not run the query: what it says of that, and what to do."""


@dataclass(frozen=True)
class QueryAnswer:
    """What a query found; ``more`` says that there are further rows."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    more: bool


def ask(url: str, query: str, *, limit: int, timeout_s: float) -> QueryAnswer:
    """Run one SELECT.

    Parameters
    ----------
    url
        SQLAlchemy URL of the results database.
    limit
        Most rows that are returned.

    Raises
    ------
    QueryRefused
        It is none, is wrong, would change something, or took too long.
    """
    if make_url(url).get_backend_name() == "sqlite":
        return _ask_sqlite(make_url(url).database or "", query, limit, timeout_s)
    return _ask_postgresql(url, query, limit, timeout_s)


def _ask_sqlite(file: str, query: str, limit: int, timeout_s: float) -> QueryAnswer:
    deadline = time.monotonic() + timeout_s
    with (
        _as_refusal(sqlite3.Error, timeout_s),
        closing(sqlite3.connect(f"file:{_in_uri(file)}?mode=ro", uri=True, timeout=timeout_s)) as connection,
    ):
        connection.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS_BETWEEN_LOOKS_AT_THE_CLOCK)
        connection.set_authorizer(_only_reading)
        cursor = connection.execute(query)
        return _answer(cursor, limit)


def _in_uri(file: str) -> str:
    return file.replace("%", "%25").replace("?", "%3f").replace("#", "%23")


def _only_reading(action: int, *_what: str | None) -> int:
    return sqlite3.SQLITE_OK if action in _READING else sqlite3.SQLITE_DENY


def _ask_postgresql(url: str, query: str, limit: int, timeout_s: float) -> QueryAnswer:
    engine = make_engine(url)
    error: type[Exception] = engine.dialect.loaded_dbapi.Error
    try:
        with _as_refusal(error, timeout_s), closing(engine.raw_connection()) as connection:
            cursor: Any = connection.cursor()
            cursor.execute("SET TRANSACTION READ ONLY")
            cursor.execute(f"SET LOCAL statement_timeout = {int(timeout_s * 1000)}")
            # Prepared, so that the server refuses a second statement behind a semicolon.
            cursor.execute(f"DECLARE asked NO SCROLL CURSOR FOR {query.strip().rstrip(';')}", prepare=True)
            cursor.execute(f"FETCH {limit + 1} FROM asked")
            return _answer(cursor, limit)
    finally:
        engine.dispose()


def _answer(cursor: Any, limit: int) -> QueryAnswer:
    if cursor.description is None:
        raise QueryRefused("the query is empty")
    rows = [tuple(each) for each in cursor.fetchmany(limit + 1)]
    return QueryAnswer(tuple(each[0] for each in cursor.description), tuple(rows[:limit]), len(rows) > limit)


@contextmanager
def _as_refusal(error: type[Exception], timeout_s: float) -> Iterator[None]:
    try:
        yield
    except error as refused:
        said = " ".join(str(refused).split())
        if said == "interrupted" or "statement timeout" in said:
            said = f"the query took longer than {timeout_s:g} s; ask for less, or give --timeout-s"
        elif said == "not authorized" or "DECLARE" in said or "prohibited" in said:
            said = f"only one SELECT that changes nothing is run ({said})"
        raise QueryRefused(said) from None
