"""Alembic's entry: runs revisions on the connection that ``triage_node.worklist.migrate`` hands over.

The caller holds the lock that keeps other migrations away and commits; nothing here opens a database.
"""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection, text

from triage_node.worklist.schema import Base

LOCK_TIMEOUT = "10s"
"""An ALTER that waits for a table stops everyone behind it; better to give up and be run again at a quieter moment."""

STATEMENT_TIMEOUT = "15min"


def _run(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))
        connection.execute(text(f"SET LOCAL statement_timeout = '{STATEMENT_TIMEOUT}'"))
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        transactional_ddl=True,
        render_as_batch=connection.dialect.name == "sqlite",
    )
    with context.begin_transaction():
        context.run_migrations()


_run(context.config.attributes["connection"])
