"""Studies as the worklist shows them: the study, how far its deliveries and its reading are. JSON-ready, changes nothing.

Three statements, however many studies: what they are and who reads them, their series with the reading they show, their
deliveries.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Row, and_, func, literal, select, union_all
from sqlalchemy.orm import Session

from triage_node.core.study_state import FINAL_STATES, DeliveryState, State
from triage_node.worklist.id_lists import among_given
from triage_node.worklist.queries import iso, study_entry
from triage_node.worklist.reader_tables import ReaderTaskRow
from triage_node.worklist.tables import AnalysisRow, DeliveryRow, EvidenceRow, SeriesRow, StudyRow

_SHOWN: tuple[Any, ...] = (
    StudyRow.id,
    StudyRow.study_instance_uid,
    StudyRow.patient_id,
    StudyRow.patient_name,
    StudyRow.accession_number,
    StudyRow.study_date,
    StudyRow.study_time,
    StudyRow.study_description,
    StudyRow.state,
    StudyRow.reason,
    StudyRow.reason_detail,
    StudyRow.priority,
    StudyRow.ich_probability,
    StudyRow.flagged,
    StudyRow.subtypes,
    StudyRow.received_at,
    StudyRow.released_at,
    StudyRow.classified_at,
    StudyRow.forwarded_at,
    StudyRow.task_state,
    ReaderTaskRow.acknowledged_by,
    ReaderTaskRow.acknowledged_at,
    ReaderTaskRow.performer,
    ReaderTaskRow.taken_at,
    ReaderTaskRow.completed_by,
    ReaderTaskRow.completed_at,
)
"""Columns, not ``StudyRow``: a page reads many rows and changes none."""

# Made once: to put a statement together takes this process longer than a database takes to answer it.
_IDS = "study_ids"
_STUDIES = (
    select(*_SHOWN)
    .outerjoin(ReaderTaskRow, ReaderTaskRow.study_id == StudyRow.id)
    .where(among_given(StudyRow.id, _IDS))
)
_THAT_IS_SHOWN = and_(
    AnalysisRow.series_id == SeriesRow.id,
    AnalysisRow.classified_at == StudyRow.classified_at,
    AnalysisRow.ich_probability == StudyRow.ich_probability,
)
_SERIES = (
    select(SeriesRow.study_id, SeriesRow.id, SeriesRow.instance_count, AnalysisRow.subtypes_present)
    .join(StudyRow, StudyRow.id == SeriesRow.study_id)
    .outerjoin(AnalysisRow, _THAT_IS_SHOWN)
    .where(among_given(SeriesRow.study_id, _IDS))
    .order_by(SeriesRow.id.desc())
)
_DELIVERIES = (
    select(SeriesRow.study_id, DeliveryRow.destination, DeliveryRow.state, func.count())
    .join(EvidenceRow, EvidenceRow.id == DeliveryRow.evidence_id)
    .join(SeriesRow, SeriesRow.id == EvidenceRow.series_id)
    .where(among_given(SeriesRow.study_id, _IDS), EvidenceRow.revision == SeriesRow.revision)
    .group_by(SeriesRow.study_id, DeliveryRow.destination, DeliveryRow.state)
    .order_by(DeliveryRow.destination)
)


def latest(session: Session, limit: int) -> list[dict[str, Any]]:
    """Return the studies that are not done and the latest that are, by priority, the longest waiting first.

    Where there are more than ``limit``, the oldest finished ones stay away: new studies are never pushed off the list by
    old ones, however urgent those once were.
    """
    runs = []
    for done, states in ((False, set(State) - FINAL_STATES), (True, FINAL_STATES)):
        run = select(StudyRow.id, StudyRow.received_at, literal(done).label("done")).where(StudyRow.state.in_(states))
        newest = run.order_by(StudyRow.received_at.desc(), StudyRow.id.desc()).limit(limit)
        runs.append(select(newest.subquery()))
    both = union_all(*runs).subquery()
    kept = select(both.c.id).order_by(both.c.done, both.c.received_at.desc(), both.c.id.desc()).limit(limit)
    urgent_first = (StudyRow.urgency, StudyRow.received_at, StudyRow.id)
    ids = session.scalars(select(StudyRow.id).where(StudyRow.id.in_(kept)).order_by(*urgent_first)).all()
    entries = worklist_entries(session, ids)
    return [entries[study_id] for study_id in ids if study_id in entries]


def worklist_entries(session: Session, study_ids: Sequence[int]) -> dict[int, dict[str, Any]]:
    """Return studies as the worklist shows them, by id; one that has gone meanwhile is left out."""
    if not study_ids:
        return {}
    asked = {_IDS: study_ids}
    studies, series, deliveries = (session.execute(each, asked) for each in (_STUDIES, _SERIES, _DELIVERIES))
    series_of, deliveries_of = _series(series), _deliveries(deliveries)
    return {
        study.id: study_entry(study)
        | series_of.get(study.id, _NO_SERIES)
        | {"deliveries": deliveries_of.get(study.id, {}), "reading": _reading_entry(study)}
        for study in studies
    }


def _reading_entry(study: Row[Any]) -> dict[str, Any]:
    return {
        "state": study.task_state.value,
        "acknowledged_by": study.acknowledged_by,
        "acknowledged_at": iso(study.acknowledged_at),
        "performer": study.performer,
        "taken_at": iso(study.taken_at) if study.performer else None,
        "completed_by": study.completed_by,
        "completed_at": iso(study.completed_at),
    }


_NO_SERIES = {"series_count": 0, "instance_count": 0, "subtypes_present": None}


def _series(rows: Iterable[Any]) -> dict[int, dict[str, Any]]:
    """Per study, what is counted below it, and the subtypes that the reading it shows found, by that reading's own
    operating points."""
    found: dict[int, dict[str, Any]] = {}
    last_series_id = None
    for study_id, series_id, instance_count, subtypes_present in rows:
        entry = found.setdefault(study_id, dict(_NO_SERIES))
        if series_id != last_series_id:
            entry["series_count"] += 1
            entry["instance_count"] += instance_count
        if subtypes_present is not None:
            entry["subtypes_present"] = subtypes_present
        last_series_id = series_id
    return found


def _deliveries(rows: Iterable[Any]) -> dict[int, dict[str, dict[str, int]]]:
    """Per study and destination, how many objects of the current revisions are in each delivery state."""
    counts: dict[int, dict[str, dict[str, int]]] = defaultdict(dict)
    for study_id, destination, state, count in rows:
        counts[study_id].setdefault(destination, {each.value: 0 for each in DeliveryState})[state.value] = count
    return counts
