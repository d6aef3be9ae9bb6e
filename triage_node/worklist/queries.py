"""What people and programs read: a study, deliveries, quarantine. JSON-ready, changes nothing; see ``worklist_entries`` too."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, func, or_, select
from sqlalchemy.orm import Session

from triage_node.core.study_state import DeliveryState, State
from triage_node.worklist.tables import DeliveryRow, EvidenceRow, QuarantineRow, SeriesRow, StudyRow


def iso(moment: datetime | None) -> str | None:
    """Return a time as ISO 8601 in UTC."""
    return None if moment is None else moment.isoformat()


def study_entry(study: StudyRow | Row[Any]) -> dict[str, Any]:
    """Return a study, or a row with its columns, as the worklist shows it."""
    return {
        "study_instance_uid": study.study_instance_uid,
        "patient_id": study.patient_id,
        "patient_name": study.patient_name,
        "accession_number": study.accession_number,
        "study_date": study.study_date,
        "study_time": study.study_time,
        "study_description": study.study_description,
        "state": study.state.value,
        "reason": study.reason.value if study.reason else None,
        "detail": study.reason_detail or None,
        "priority": study.priority.value,
        "ich_probability": study.ich_probability,
        "flagged": study.flagged,
        "subtypes": study.subtypes,
        "received_at": iso(study.received_at),
        "released_at": iso(study.released_at),
        "classified_at": iso(study.classified_at),
        "forwarded_at": iso(study.forwarded_at),
    }


def studies_named(session: Session, identifier: str, limit: int) -> list[str]:
    """Return the UIDs of the studies that people mean by an identifier."""
    meant = or_(
        StudyRow.study_instance_uid == identifier,
        StudyRow.accession_number == identifier,
        StudyRow.patient_id == identifier,
    )
    newest = StudyRow.received_at.desc(), StudyRow.id.desc()
    return list(session.scalars(select(StudyRow.study_instance_uid).where(meant).order_by(*newest).limit(limit)))


def counts_by_state(session: Session) -> dict[State, int]:
    """Return how many studies are in each state."""
    rows = session.execute(select(StudyRow.state, func.count()).group_by(StudyRow.state))
    counts = dict.fromkeys(State, 0)
    for state, count in rows:
        counts[state] = count
    return counts


def deliveries(
    session: Session, state: DeliveryState | None, limit: int, before: int | None
) -> Sequence[dict[str, Any]]:
    """Return deliveries, newest first; ``before`` is the id of the last one of the page before."""
    statement = (
        select(DeliveryRow, EvidenceRow, StudyRow.study_instance_uid)
        .join(EvidenceRow, EvidenceRow.id == DeliveryRow.evidence_id)
        .join(SeriesRow, SeriesRow.id == EvidenceRow.series_id)
        .join(StudyRow, StudyRow.id == SeriesRow.study_id)
        .order_by(DeliveryRow.id.desc())
        .limit(limit)
    )
    if state is not None:
        statement = statement.where(DeliveryRow.state == state)
    if before is not None:
        statement = statement.where(DeliveryRow.id < before)
    return [
        {"study_instance_uid": study_instance_uid} | evidence_entry(evidence) | delivery_entry(delivery)
        for delivery, evidence, study_instance_uid in session.execute(statement)
    ]


def evidence_entry(evidence: EvidenceRow) -> dict[str, Any]:
    """Return one evidence object."""
    return {
        "kind": evidence.kind,
        "number": evidence.number,
        "revision": evidence.revision,
        "sop_class_uid": evidence.sop_class_uid,
        "sop_instance_uid": evidence.sop_instance_uid,
        "series_instance_uid": evidence.series_instance_uid,
        "path": evidence.path,
        "created_at": iso(evidence.created_at),
    }


def delivery_entry(delivery: DeliveryRow) -> dict[str, Any]:
    """Return one delivery."""
    return {
        "delivery_id": delivery.id,
        "destination": delivery.destination,
        "state": delivery.state.value,
        "attempts": delivery.attempts,
        "due_since": iso(delivery.due_since),
        "next_attempt_at": iso(delivery.next_attempt_at) if delivery.state is DeliveryState.DUE else None,
        "sent_at": iso(delivery.sent_at),
        "status_code": delivery.status_code,
        "detail": delivery.detail or None,
        "warning": delivery.detail if delivery.warned else None,
        "commitment": delivery.commitment.value if delivery.commitment else None,
        "committed_at": iso(delivery.committed_at),
    }


def quarantined(session: Session, limit: int) -> list[dict[str, Any]]:
    """Return quarantined objects, newest first."""
    statement = select(QuarantineRow).order_by(QuarantineRow.received_at.desc(), QuarantineRow.id.desc()).limit(limit)
    return [
        {
            "path": row.path,
            "reason": row.reason,
            "status_code": row.status_code,
            "received_at": iso(row.received_at),
            "calling_ae_title": row.calling_ae_title,
            "address": row.address,
            "association_id": row.association_id,
        }
        for row in session.scalars(statement)
    ]
