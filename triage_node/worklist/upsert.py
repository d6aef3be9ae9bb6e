"""INSERT ... ON CONFLICT, which SQLite and PostgreSQL spell alike and SQLAlchemy keeps in two dialects.

Two processes may come with the same row at once; the later one then finds it there instead of failing. Rows are
inserted in the order given: callers sort by key, so that two of them never wait for each other in a circle.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from triage_node.worklist.base import Base


def _insert(session: Session, table: type[Base]) -> postgresql.Insert | sqlite.Insert:
    if session.get_bind().dialect.name == "postgresql":
        return postgresql.insert(table)
    return sqlite.insert(table)


def insert_missing(session: Session, table: type[Base], rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert the rows whose key is not there yet; leave the others as they are."""
    if rows:
        session.execute(_insert(session, table).on_conflict_do_nothing(), list(rows))


def insert_or_update(
    session: Session, table: type[Base], row: Mapping[str, Any], *, key: Sequence[str], update: Sequence[str]
) -> None:
    """Insert a row, or give the one with the same key the new values of the columns in ``update``."""
    statement = _insert(session, table).values(**row)
    new_values = {name: statement.excluded[name] for name in update}
    session.execute(statement.on_conflict_do_update(index_elements=list(key), set_=new_values))
