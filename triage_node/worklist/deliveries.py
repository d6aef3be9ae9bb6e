"""The outbox: which objects are due where, who is sending them, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.orm import Session

from triage_node.core.dimse_status import Action
from triage_node.core.ports import DeliveryBatch, EvidenceObject, SendOutcome
from triage_node.core.reason import Reason, Refusal
from triage_node.core.study_state import DeliveryEvent, DeliveryState, Event, State, delivery_after
from triage_node.worklist.breakers import admit, blocked, probe_now
from triage_node.worklist.closing import end_series
from triage_node.worklist.message_order import in_order
from triage_node.worklist.row_locks import lock_study, locked_delivery
from triage_node.worklist.standing import update_standing
from triage_node.worklist.tables import DeliveryRow, EvidenceRow, SeriesRow, StudyRow

FEW_OBJECTS, EACH_S = 10, 2.0
"""A lease is made for a few objects; each one more may take a slow archive so many seconds longer."""


def _due(now: datetime) -> ColumnElement[bool]:
    return and_(
        DeliveryRow.state == DeliveryState.DUE,
        DeliveryRow.next_attempt_at <= now,
        or_(DeliveryRow.leased_until.is_(None), DeliveryRow.leased_until <= now),
    )


def destinations_due(session: Session, now: datetime) -> list[tuple[int, str]]:
    """Return where something is due, the longest waiting first; what is behind an open breaker is not even looked at."""
    left_alone, to_probe = blocked(session, now)
    waiting_since = func.min(DeliveryRow.due_since)
    statement = (
        select(SeriesRow.study_id, DeliveryRow.destination)
        .join(EvidenceRow, EvidenceRow.id == DeliveryRow.evidence_id)
        .join(SeriesRow, SeriesRow.id == EvidenceRow.series_id)
        .where(_due(now), DeliveryRow.destination.not_in(left_alone | to_probe))
        .group_by(SeriesRow.study_id, DeliveryRow.destination)
        .order_by(waiting_since, SeriesRow.study_id)
    )
    due = [(study_id, destination) for study_id, destination in session.execute(statement)]
    for destination in sorted(to_probe):
        due.extend(_probe(session, destination, now))
    return due


def _probe(session: Session, destination: str, now: datetime) -> list[tuple[int, str]]:
    """Return the study that has waited longest, alone: the breaker admits one attempt."""
    statement = (
        select(SeriesRow.study_id)
        .join(EvidenceRow, EvidenceRow.series_id == SeriesRow.id)
        .join(DeliveryRow, DeliveryRow.evidence_id == EvidenceRow.id)
        .where(DeliveryRow.destination == destination, _due(now))
        .order_by(DeliveryRow.due_since, DeliveryRow.id)
        .limit(1)
    )
    return [(study_id, destination) for study_id in session.scalars(statement)]


def claim_deliveries(
    session: Session, study_id: int, destination: str, now: datetime, lease_s: float
) -> DeliveryBatch | None:
    """Claim what became due together, the oldest first: a report is sent before the one that supersedes it.

    A message is never sent after one that supersedes it (``message_order``).
    Whatever is due goes where the breaker admits it; where this is the probe, the breaker admits nobody else meanwhile.
    """
    study = lock_study(session, study_id)
    statement = (
        select(DeliveryRow, EvidenceRow)
        .join(EvidenceRow, EvidenceRow.id == DeliveryRow.evidence_id)
        .join(SeriesRow, SeriesRow.id == EvidenceRow.series_id)
        .where(SeriesRow.study_id == study_id, DeliveryRow.destination == destination, _due(now))
        .order_by(DeliveryRow.due_since, DeliveryRow.id)
    )
    found = [(delivery, evidence) for delivery, evidence in session.execute(statement)]
    due = in_order(session, study_id, destination, found, now)
    if not due or not admit(session, destination, now, lease_s):
        return None
    due_since = due[0][0].due_since
    batch = [(delivery, evidence) for delivery, evidence in due if delivery.due_since == due_since]
    attempts = max(delivery.attempts for delivery, _ in batch)
    for delivery, _ in batch:
        delivery.attempts += 1
        delivery.leased_until = now + timedelta(seconds=lease_s + EACH_S * max(0, len(batch) - FEW_OBJECTS))
    return DeliveryBatch(
        destination=destination,
        objects=tuple((delivery.id, _object(study, evidence)) for delivery, evidence in batch),
        attempts=attempts,
        due_since=due_since,
    )


def _object(study: StudyRow, evidence: EvidenceRow) -> EvidenceObject:
    return EvidenceObject(
        kind=evidence.kind,
        number=evidence.number,
        sop_class_uid=evidence.sop_class_uid,
        sop_instance_uid=evidence.sop_instance_uid,
        series_instance_uid=evidence.series_instance_uid,
        study_instance_uid=study.study_instance_uid,
        path=Path(evidence.path),
    )


def save_outcome(
    session: Session, delivery_id: int, outcome: SendOutcome, now: datetime, next_attempt_at: datetime | None
) -> None:
    """Note what an attempt came to, and end the series once nothing of it is due."""
    delivery, series = locked_delivery(session, delivery_id)
    if outcome.action in (Action.DONE, Action.DONE_WITH_WARNING):
        _accept(delivery, now)
    elif delivery.state is DeliveryState.DUE:
        event = DeliveryEvent.GIVE_UP if next_attempt_at is None else DeliveryEvent.PUT_OFF
        delivery.state = delivery_after(delivery.state, event)
        delivery.next_attempt_at = next_attempt_at or delivery.next_attempt_at
    else:
        return  # a slower courier's failure takes nothing back from one that was done
    delivery.leased_until = None
    delivery.status_code = outcome.status_code
    delivery.detail = outcome.detail
    delivery.warned = outcome.action is Action.DONE_WITH_WARNING
    end_if_nothing_due(session, series, now)


def _accept(delivery: DeliveryRow, now: datetime) -> None:
    """Accepted is accepted, even where another courier had given up meanwhile."""
    if delivery.state is DeliveryState.GIVEN_UP:
        delivery.state = delivery_after(delivery.state, DeliveryEvent.RETRY)
    delivery.state = delivery_after(delivery.state, DeliveryEvent.ACCEPTED)
    delivery.sent_at = delivery.sent_at or now


def give_up_overdue(session: Session, destination: str, due_before: datetime, now: datetime, detail: str) -> list[int]:
    """Give up what has waited too long at a destination that does not answer, most of it without its own attempt."""
    statement = (
        select(DeliveryRow.id)
        .join(EvidenceRow, EvidenceRow.id == DeliveryRow.evidence_id)
        .join(SeriesRow, SeriesRow.id == EvidenceRow.series_id)
        .join(StudyRow, StudyRow.id == SeriesRow.study_id)
        .where(DeliveryRow.destination == destination, DeliveryRow.state == DeliveryState.DUE)
        .where(DeliveryRow.due_since <= due_before)
        .order_by(StudyRow.study_instance_uid, DeliveryRow.id)
    )
    return [id_ for id_ in session.scalars(statement).all() if _gave_up(session, id_, now, detail)]


def _gave_up(session: Session, delivery_id: int, now: datetime, detail: str) -> bool:
    delivery, series = locked_delivery(session, delivery_id)
    leased = delivery.leased_until is not None and delivery.leased_until > now
    if delivery.state is not DeliveryState.DUE or leased:
        return False
    delivery.state = delivery_after(delivery.state, DeliveryEvent.GIVE_UP)
    delivery.detail = detail
    end_if_nothing_due(session, series, now)
    return True


def end_if_nothing_due(session: Session, series: SeriesRow, now: datetime) -> None:
    """FORWARDED when all of the current revision is sent; FAILED when some is given up and nothing is due any more."""
    session.flush()
    statement = (
        select(DeliveryRow.state, DeliveryRow.destination)
        .join(EvidenceRow, EvidenceRow.id == DeliveryRow.evidence_id)
        .where(EvidenceRow.series_id == series.id, EvidenceRow.revision == series.revision)
        .order_by(DeliveryRow.id)
    )
    found = session.execute(statement).all()
    states = {state for state, _ in found}
    awaiting = series.state is State.EVIDENCED or (
        series.state is State.FAILED and series.reason is Reason.DELIVERY_GIVEN_UP
    )
    if not awaiting or not found or DeliveryState.DUE in states:
        return
    if states <= {DeliveryState.SENT, DeliveryState.SUPERSEDED}:
        end_series(series, Event.FORWARD, now)
    elif series.state is State.EVIDENCED:
        lost = dict.fromkeys(destination for state, destination in found if state is DeliveryState.GIVEN_UP)
        end_series(series, Event.FAIL, now, Refusal(Reason.DELIVERY_GIVEN_UP, ", ".join(lost)))
    else:
        return
    update_standing(session, series.study)


def retry_deliveries(
    session: Session, now: datetime, study_instance_uid: str | None, delivery_ids: Sequence[int] | None
) -> int:
    """Make given-up deliveries due again, counting attempts and waiting anew; their destinations are probed at once."""
    statement = (
        select(DeliveryRow.id, DeliveryRow.destination)
        .join(EvidenceRow, EvidenceRow.id == DeliveryRow.evidence_id)
        .join(SeriesRow, SeriesRow.id == EvidenceRow.series_id)
        .join(StudyRow, StudyRow.id == SeriesRow.study_id)
        .where(DeliveryRow.state == DeliveryState.GIVEN_UP)
        .order_by(StudyRow.study_instance_uid, DeliveryRow.id)
    )
    if study_instance_uid is not None:
        statement = statement.where(StudyRow.study_instance_uid == study_instance_uid)
    if delivery_ids is not None:
        statement = statement.where(DeliveryRow.id.in_(delivery_ids))
    given_up = session.execute(statement).all()
    again = sum(_retry(session, delivery_id, now) for delivery_id, _ in given_up)
    probe_now(session, {destination for _, destination in given_up}, now)
    return again


def _retry(session: Session, delivery_id: int, now: datetime) -> bool:
    delivery, _ = locked_delivery(session, delivery_id)
    if delivery.state is not DeliveryState.GIVEN_UP:
        return False
    delivery.state = delivery_after(delivery.state, DeliveryEvent.RETRY)
    delivery.attempts = 0
    delivery.due_since = now
    delivery.next_attempt_at = now
    delivery.leased_until = None
    return True
