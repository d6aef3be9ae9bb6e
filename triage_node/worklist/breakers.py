"""The circuit breakers of the destinations, shared by all couriers: one row a destination that has failed.

Locked after the study, never before it; see ``row_locks``.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from triage_node.core.circuit_breaker import Breaker, BreakerRules, BreakerState
from triage_node.core.study_state import DeliveryState
from triage_node.worklist.queries import iso
from triage_node.worklist.tables import BreakerRow, DeliveryRow
from triage_node.worklist.upsert import insert_missing


def _breaker(row: BreakerRow) -> Breaker:
    return Breaker(row.failures, row.open_until, row.probing_until)


def _locked(session: Session, destination: str) -> BreakerRow | None:
    statement = select(BreakerRow).where(BreakerRow.destination == destination).with_for_update()
    return session.scalar(statement.execution_options(populate_existing=True))


def admit(session: Session, destination: str, now: datetime, lease_s: float) -> bool:
    """Return whether an attempt may start now; where it is the probe, no other starts until ``lease_s`` are over."""
    row = session.get(BreakerRow, destination)
    if row is None or row.open_until is None:
        return True
    row = _locked(session, destination)
    if row is None:
        return True  # another courier has just closed it
    breaker = _breaker(row)
    if not breaker.admits(now):
        return False
    row.probing_until = breaker.probed(now, lease_s).probing_until
    return True


def blocked(session: Session, now: datetime) -> tuple[set[str], set[str]]:
    """Return the destinations that are left alone now, and those of which one study may go as the probe."""
    closed_to_all: set[str] = set()
    probe_only: set[str] = set()
    for row in session.scalars(select(BreakerRow).where(BreakerRow.open_until.is_not(None))):
        half_open = _breaker(row).state(now) is BreakerState.HALF_OPEN
        (probe_only if half_open else closed_to_all).add(row.destination)
    return closed_to_all, probe_only


def is_noted(session: Session, destination: str) -> bool:
    """Return whether the destination failed last time."""
    return session.get(BreakerRow, destination) is not None


def note_answer(session: Session, destination: str, now: datetime) -> bool:
    """Forget the failures; where the breaker was open, what was put off need not wait for its own time any longer."""
    row = _locked(session, destination)
    if row is None:
        return False
    was_open = row.open_until is not None
    session.execute(delete(BreakerRow).where(BreakerRow.destination == destination))
    if was_open:
        put_off = (DeliveryRow.destination == destination) & (DeliveryRow.state == DeliveryState.DUE)
        session.execute(
            update(DeliveryRow).where(put_off, DeliveryRow.next_attempt_at > now).values(next_attempt_at=now)
        )
    return was_open


def note_silence(
    session: Session, destination: str, now: datetime, rules: BreakerRules, detail: str
) -> datetime | None:
    """Count a failure; return until when the breaker is open."""
    insert_missing(session, BreakerRow, [{"destination": destination, "failures": 0, "detail": ""}])
    row = _locked(session, destination)
    assert row is not None  # inserted a line above, and only note_answer removes it
    failed = _breaker(row).failed(now, rules)
    row.failures, row.open_until, row.probing_until = failed.failures, failed.open_until, failed.probing_until
    row.failed_at, row.detail = now, detail
    return failed.open_until


def probe_now(session: Session, destinations: Collection[str], now: datetime) -> None:
    """Let these be probed at once: the operator says that they are mended."""
    opened = BreakerRow.destination.in_(destinations) & (BreakerRow.open_until > now)
    session.execute(update(BreakerRow).where(opened).values(open_until=now))


def breakers(session: Session, now: datetime) -> list[dict[str, Any]]:
    """Return the destinations that failed last time, by name."""
    return [
        {
            "destination": row.destination,
            "breaker": _breaker(row).state(now).value,
            "failures": row.failures,
            "open_until": iso(row.open_until),
            "failed_at": iso(row.failed_at),
            "detail": row.detail or None,
        }
        for row in session.scalars(select(BreakerRow).order_by(BreakerRow.destination))
    ]
