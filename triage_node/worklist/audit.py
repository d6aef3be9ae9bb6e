"""The audit trail on SQL. Rows are only ever added here; nothing in this package changes or removes one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Engine, select, tuple_

from triage_node.core.audit import AuditAction, AuditEntry, AuditFilter
from triage_node.worklist.account_tables import AuditRow
from triage_node.worklist.column_types import storable_text
from triage_node.worklist.engine import Database

_NEWEST_FIRST = (AuditRow.at.desc(), AuditRow.id.desc())


class SqlAuditTrail:
    """``core.ports.AuditTrail`` on SQL."""

    def __init__(self, engine: Engine) -> None:
        self._database = Database(engine)

    def note(
        self,
        actor: str,
        action: AuditAction,
        study_instance_uid: str | None,
        address: str,
        detail: Mapping[str, Any],
        at: datetime,
    ) -> None:
        """Add a line."""
        row = AuditRow(
            at=at,
            actor=actor,
            action=action.value,
            study_instance_uid=study_instance_uid,
            address=address,
            detail=dict(detail),
        )
        with self._database.writing() as session:
            session.add(row)

    def of_study(self, study_instance_uid: str, limit: int) -> Sequence[AuditEntry]:
        """Return what was done with one study, newest first."""
        return self.page(AuditFilter(study_instance_uid=study_instance_uid), limit)

    def page(self, wanted: AuditFilter, limit: int, before: int | None = None) -> Sequence[AuditEntry]:
        """Return lines, newest first; a ``before`` that is no line's id begins at the newest."""
        statement = select(AuditRow).where(*_conditions(wanted)).order_by(*_NEWEST_FIRST).limit(limit)
        with self._database.reading() as session:
            last = session.get(AuditRow, before) if before is not None else None
            if last is not None:
                statement = statement.where(tuple_(AuditRow.at, AuditRow.id) < tuple_(last.at, last.id))
            return [_entry(row) for row in session.scalars(statement)]


def _conditions(wanted: AuditFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.actor:
        conditions.append(AuditRow.actor == wanted.actor)
    if wanted.action:
        conditions.append(AuditRow.action == storable_text(wanted.action))
    if wanted.study_instance_uid:
        conditions.append(AuditRow.study_instance_uid == storable_text(wanted.study_instance_uid))
    if wanted.since is not None:
        conditions.append(AuditRow.at >= wanted.since)
    if wanted.until is not None:
        conditions.append(AuditRow.at < wanted.until)
    return conditions


def _entry(row: AuditRow) -> AuditEntry:
    return AuditEntry(row.id, row.at, row.actor, row.action, row.study_instance_uid, row.address, row.detail)
