"""What people and programs read: the worklist, one study in full, deliveries, quarantine. JSON-ready, changes nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from triage_node.core.study_state import FINAL_STATES, DeliveryState, State
from triage_node.worklist.reader_tables import ReaderTaskRow
from triage_node.worklist.tables import (
    AnalysisRow,
    DeliveryRow,
    EvidenceRow,
    QuarantineRow,
    SeriesRow,
    StudyRow,
)


def iso(moment: datetime | None) -> str | None:
    """Return a time as ISO 8601 in UTC."""
    return None if moment is None else moment.isoformat()


def worklist(session: Session, limit: int) -> list[dict[str, Any]]:
    """Return the studies that are not done and the latest that are, by priority, the longest waiting first.

    Where there are more than ``limit``, the oldest finished ones stay away: new studies are never pushed off the list by
    old ones, however urgent those once were.
    """
    newest = select(StudyRow).order_by(StudyRow.received_at.desc(), StudyRow.id.desc()).limit(limit)
    shown = list(session.scalars(newest.where(StudyRow.state.in_(set(State) - FINAL_STATES))))
    finished = [study for study in session.scalars(newest) if study.state in FINAL_STATES]
    studies = {study.id: study for study in shown + finished[: limit - len(shown)]}
    urgent_first = sorted(studies.values(), key=lambda each: (each.priority.rank, each.received_at, each.id))
    entries = _entries(session, urgent_first)
    return [entries[each.id] for each in urgent_first]


def worklist_entries(session: Session, study_ids: Sequence[int]) -> dict[int, dict[str, Any]]:
    """Return studies as the worklist shows them, by id, in a few statements however many they are."""
    return _entries(session, session.scalars(select(StudyRow).where(StudyRow.id.in_(study_ids))).all())


def _entries(session: Session, studies: Sequence[StudyRow]) -> dict[int, dict[str, Any]]:
    ids = [each.id for each in studies]
    counts, deliveries = _series_counts(session, ids), _delivery_counts(session, ids)
    present, tasks = _subtypes_present(session, ids), _tasks(session, ids)
    return {
        each.id: study_entry(each)
        | counts[each.id]
        | {
            "deliveries": deliveries[each.id],
            "subtypes_present": present.get(each.id),
            "reading": _reading_entry(each, tasks.get(each.id)),
        }
        for each in studies
    }


def _tasks(session: Session, study_ids: Sequence[int]) -> dict[int, ReaderTaskRow]:
    rows = session.scalars(select(ReaderTaskRow).where(ReaderTaskRow.study_id.in_(study_ids)))
    return {row.study_id: row for row in rows}


def _reading_entry(study: StudyRow, task: ReaderTaskRow | None) -> dict[str, Any]:
    task = task or ReaderTaskRow()
    return {
        "state": study.task_state.value,
        "acknowledged_by": task.acknowledged_by,
        "acknowledged_at": iso(task.acknowledged_at),
        "performer": task.performer,
        "taken_at": iso(task.taken_at),
        "completed_by": task.completed_by,
        "completed_at": iso(task.completed_at),
    }


def _subtypes_present(session: Session, study_ids: Sequence[int]) -> dict[int, list[str]]:
    """Per study, the subtypes that the reading it shows found, by that reading's own operating points."""
    statement = (
        select(SeriesRow.study_id, AnalysisRow.subtypes_present)
        .join(SeriesRow, SeriesRow.id == AnalysisRow.series_id)
        .join(StudyRow, StudyRow.id == SeriesRow.study_id)
        .where(StudyRow.id.in_(study_ids), AnalysisRow.classified_at == StudyRow.classified_at)
        .where(AnalysisRow.ich_probability == StudyRow.ich_probability)
        .order_by(AnalysisRow.series_id.desc())
    )
    return dict(iter(session.execute(statement)))


def study_entry(study: StudyRow) -> dict[str, Any]:
    """Return a study as the worklist shows it."""
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


def _series_counts(session: Session, study_ids: Iterable[int]) -> dict[int, dict[str, int]]:
    ids = list(study_ids)
    statement = (
        select(SeriesRow.study_id, func.count(), func.sum(SeriesRow.instance_count))
        .where(SeriesRow.study_id.in_(ids))
        .group_by(SeriesRow.study_id)
    )
    counts = {study_id: {"series_count": 0, "instance_count": 0} for study_id in ids}
    for study_id, series_count, instance_count in session.execute(statement):
        counts[study_id] = {"series_count": series_count, "instance_count": int(instance_count)}
    return counts


def _delivery_counts(session: Session, study_ids: Iterable[int]) -> dict[int, dict[str, dict[str, int]]]:
    """Per study and destination, how many objects of the current revisions are in each delivery state."""
    statement = (
        select(SeriesRow.study_id, DeliveryRow.destination, DeliveryRow.state, func.count())
        .join(EvidenceRow, EvidenceRow.id == DeliveryRow.evidence_id)
        .join(SeriesRow, SeriesRow.id == EvidenceRow.series_id)
        .where(SeriesRow.study_id.in_(list(study_ids)), EvidenceRow.revision == SeriesRow.revision)
        .group_by(SeriesRow.study_id, DeliveryRow.destination, DeliveryRow.state)
        .order_by(DeliveryRow.destination)
    )
    counts: dict[int, dict[str, dict[str, int]]] = defaultdict(dict)
    for study_id, destination, state, count in session.execute(statement):
        counts[study_id].setdefault(destination, {each.value: 0 for each in DeliveryState})[state.value] = count
    return counts


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
