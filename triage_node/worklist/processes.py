"""Heartbeats: which processes of the node are alive, and where."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from triage_node.core.ports import ProcessPulse
from triage_node.worklist.tables import ProcessRow
from triage_node.worklist.upsert import insert_or_update


def heartbeat(session: Session, pulse: ProcessPulse) -> None:
    """Note a sign of life."""
    row = {
        "name": pulse.name,
        "host": pulse.host,
        "pid": pulse.pid,
        "started_at": pulse.started_at,
        "last_seen_at": pulse.last_seen_at,
        "detail": dict(pulse.detail),
    }
    update = ("started_at", "last_seen_at", "detail")
    insert_or_update(session, ProcessRow, row, key=("name", "host", "pid"), update=update)


def processes(session: Session, seen_since: datetime | None) -> list[ProcessPulse]:
    """Return who was seen since then, or ever."""
    statement = select(ProcessRow).order_by(ProcessRow.name, ProcessRow.host, ProcessRow.pid)
    if seen_since is not None:
        statement = statement.where(ProcessRow.last_seen_at >= seen_since)
    return [
        ProcessPulse(row.name, row.host, row.pid, row.started_at, row.last_seen_at, row.detail)
        for row in session.scalars(statement)
    ]
