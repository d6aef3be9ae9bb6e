"""The associations of an SCP process that is gone: nobody else would ever note their end.

In: heartbeats, in which every SCP process says what the ids of its associations begin with. Out: those associations ended as
aborts, once the process has been silent too long. A process that comes back after a pause loses nothing by it: its series
close after the quiet period instead of at the release, and a late slice opens the next revision.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Engine, Select, select

from triage_node.worklist.arrivals import end_association
from triage_node.worklist.engine import Database
from triage_node.worklist.tables import AssociationRow, ProcessRow

SILENT_S = 60.0
"""Heartbeats come every 5 s, on every host."""
PREFIX = "association_prefix"
"""Where a heartbeat says it."""


class SqlLostAssociations:
    """Ends them, on SQLite or PostgreSQL."""

    def __init__(self, engine: Engine) -> None:
        self._database = Database(engine)

    def end(self, now: datetime) -> int:
        """End the open associations of processes that have gone; return how many."""
        gone = select(ProcessRow).where(
            ProcessRow.name == "scp", ProcessRow.last_seen_at < now - timedelta(seconds=SILENT_S)
        )
        with self._database.reading() as session:
            prefixes = sorted({str(row.detail[PREFIX]) for row in session.scalars(gone) if row.detail.get(PREFIX)})
            lost = [each for prefix in prefixes for each in session.scalars(_open_under(prefix))]
        for association_id in lost:
            with self._database.writing() as session:
                end_association(session, association_id, now, aborted=True)
        return len(lost)


def _open_under(prefix: str) -> Select[str]:
    return (
        select(AssociationRow.association_id)
        .where(
            AssociationRow.association_id.startswith(f"{prefix}-", autoescape=True), AssociationRow.ended_at.is_(None)
        )
        .order_by(AssociationRow.association_id)
    )
