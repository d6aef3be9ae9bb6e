"""Storage commitment in the outbox: what has to be asked for, under which transaction, and what archives reported."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.orm import Session

from triage_node.core.commitment import (
    LASTING_REASONS,
    CommitmentEvent,
    CommitmentResult,
    CommitmentState,
    InstanceReference,
    commitment_after,
    failure_text,
)
from triage_node.core.identifiers import derived_uid
from triage_node.core.ports import CommitmentOrder
from triage_node.core.study_state import DeliveryEvent, DeliveryState, Event, State, after, delivery_after
from triage_node.worklist.deliveries import end_if_nothing_due
from triage_node.worklist.row_locks import lock_study, locked_delivery
from triage_node.worklist.standing import update_standing
from triage_node.worklist.tables import DeliveryRow, EvidenceRow, InstanceRow, SeriesRow


def to_ask(now: datetime) -> ColumnElement[bool]:
    """Sent, wanted, and not asked for or not answered in time."""
    return and_(
        DeliveryRow.state == DeliveryState.SENT,
        DeliveryRow.commitment.in_((CommitmentState.WANTED, CommitmentState.ASKED)),
        or_(DeliveryRow.commitment_due_at.is_(None), DeliveryRow.commitment_due_at <= now),
    )


def studies_to_ask(session: Session, now: datetime) -> list[tuple[int, str]]:
    """Return (study_id, destination) with something to ask for."""
    statement = (
        select(SeriesRow.study_id, DeliveryRow.destination)
        .join(EvidenceRow, EvidenceRow.id == DeliveryRow.evidence_id)
        .join(SeriesRow, SeriesRow.id == EvidenceRow.series_id)
        .where(to_ask(now))
        .distinct()
    )
    return [(study_id, destination) for study_id, destination in session.execute(statement)]


def claim_commitments(
    session: Session, study_id: int, destination: str, now: datetime, ask_again_at: datetime
) -> CommitmentOrder | None:
    """Note that these are asked for now, before they are: a report may be faster than our own next line."""
    study = lock_study(session, study_id)
    statement = (
        select(DeliveryRow, EvidenceRow)
        .join(EvidenceRow, EvidenceRow.id == DeliveryRow.evidence_id)
        .join(SeriesRow, SeriesRow.id == EvidenceRow.series_id)
        .where(SeriesRow.study_id == study_id, DeliveryRow.destination == destination, to_ask(now))
        .order_by(DeliveryRow.id)
    )
    found = session.execute(statement).all()
    if not found:
        return None
    transaction_uid = derived_uid("storage commitment", study.study_instance_uid, destination, now.isoformat())
    for delivery, _ in found:
        assert delivery.commitment is not None
        delivery.commitment = commitment_after(delivery.commitment, CommitmentEvent.ASK)
        delivery.commitment_transaction_uid = transaction_uid
        delivery.commitment_due_at = ask_again_at
    references = {
        evidence.sop_instance_uid: InstanceReference(evidence.sop_class_uid, evidence.sop_instance_uid)
        for _, evidence in found
    }
    return CommitmentOrder(transaction_uid, tuple(references.values()))


def _of_transaction(session: Session, transaction_uid: str) -> list[tuple[DeliveryRow, SeriesRow, str]]:
    """Lock and return what waits for this transaction: (delivery, its series, SOP Instance UID)."""
    statement = (
        select(DeliveryRow.id, EvidenceRow.sop_instance_uid)
        .join(EvidenceRow, EvidenceRow.id == DeliveryRow.evidence_id)
        .where(DeliveryRow.commitment_transaction_uid == transaction_uid)
        .order_by(DeliveryRow.id)
    )
    found = [(*locked_delivery(session, id_), uid) for id_, uid in session.execute(statement).all()]
    return [
        (delivery, series, uid)
        for delivery, series, uid in found
        if delivery.commitment is CommitmentState.ASKED and delivery.commitment_transaction_uid == transaction_uid
    ]


def put_off_commitments(session: Session, transaction_uid: str, again_at: datetime) -> None:
    """The destination could not be asked: ask at that time, under another transaction."""
    for delivery, _, _ in _of_transaction(session, transaction_uid):
        delivery.commitment_due_at = again_at


def give_up_commitments(
    session: Session, study_id: int, destination: str, sent_before: datetime, now: datetime
) -> list[int]:
    """Ask no more for what was sent before then; it stays sent, with a warning."""
    lock_study(session, study_id)
    statement = (
        select(DeliveryRow)
        .join(EvidenceRow, EvidenceRow.id == DeliveryRow.evidence_id)
        .join(SeriesRow, SeriesRow.id == EvidenceRow.series_id)
        .where(SeriesRow.study_id == study_id, DeliveryRow.destination == destination, to_ask(now))
        .where(DeliveryRow.commitment == CommitmentState.ASKED, DeliveryRow.sent_at < sent_before)
        .order_by(DeliveryRow.id)
    )
    given_up = list(session.scalars(statement))
    for delivery in given_up:
        _move(delivery, CommitmentEvent.REFUSE, "not committed: asked for the set time without a report")
        delivery.warned = True
    return [delivery.id for delivery in given_up]


def decline_commitments(session: Session, transaction_uid: str, detail: str) -> None:
    """The destination does not offer the service: what it has accepted counts as delivered."""
    for delivery, _, _ in _of_transaction(session, transaction_uid):
        _move(delivery, CommitmentEvent.DECLINE, detail)


def save_commitment(
    session: Session, result: CommitmentResult, now: datetime, send_again_at: datetime, due_before: datetime
) -> list[int] | None:
    """Note a report; one that comes twice, or of a transaction that another one has replaced, changes nothing."""
    waiting = _of_transaction(session, result.transaction_uid)
    if not waiting:
        return None
    missed = []
    for delivery, series, sop_instance_uid in waiting:
        reason = result.failed.get(sop_instance_uid)
        if reason is not None:
            missed.append(delivery.id)
            _miss(session, delivery, series, reason, now, send_again_at, due_before)
        elif sop_instance_uid in result.committed:
            _move(delivery, CommitmentEvent.COMMIT, delivery.detail)
            delivery.committed_at = now
    return missed


def _move(delivery: DeliveryRow, event: CommitmentEvent, detail: str) -> None:
    assert delivery.commitment is not None
    delivery.commitment = commitment_after(delivery.commitment, event)
    delivery.commitment_due_at = None
    delivery.detail = detail


def _miss(
    session: Session,
    delivery: DeliveryRow,
    series: SeriesRow,
    reason: int,
    now: datetime,
    send_again_at: datetime,
    due_before: datetime,
) -> None:
    """Send again what the archive does not have; what it will never commit to stays sent, with the reason."""
    detail = f"not committed: {failure_text(reason)}"
    if reason in LASTING_REASONS:
        _move(delivery, CommitmentEvent.REFUSE, detail)
        delivery.warned = True
        return
    _move(delivery, CommitmentEvent.MISS, detail)
    delivery.state = delivery_after(delivery.state, DeliveryEvent.NOT_COMMITTED)
    delivery.next_attempt_at = send_again_at
    current = session.get_one(EvidenceRow, delivery.evidence_id).revision == series.revision
    if current and series.state is State.FORWARDED:
        series.state = after(series.state, Event.SEND_AGAIN)
        series.ended_at = None
        update_standing(session, series.study)
    if delivery.due_since < due_before:
        delivery.state = delivery_after(delivery.state, DeliveryEvent.GIVE_UP)
        end_if_nothing_due(session, series, now)


def kept_instances(session: Session, sop_instance_uids: Sequence[str]) -> dict[str, list[tuple[str, Path]]]:
    """Return SOP class and file of every stored instance with one of these UIDs."""
    kept: dict[str, list[tuple[str, Path]]] = {}
    for first in range(0, len(sop_instance_uids), 500):  # SQLite takes a limited number of parameters
        some = sop_instance_uids[first : first + 500]
        statement = select(InstanceRow.sop_instance_uid, InstanceRow.header, InstanceRow.path)
        for uid, header, path in session.execute(statement.where(InstanceRow.sop_instance_uid.in_(some))):
            kept.setdefault(uid, []).append((str(header["sop_class_uid"]), Path(path)))
    return kept
