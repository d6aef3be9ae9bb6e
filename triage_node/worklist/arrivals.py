"""Indexing what the storage SCP has put into the spool: associations, studies, series, instances, quarantine.

In: batches of instances in any order, from several processes at once. Out: rows, each instance once. A known instance
changes nothing; a new one for a series past RECEIVING opens its next revision.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from triage_node.core.instance import InstanceHeader
from triage_node.core.ports import AssociationPeer, QuarantinedObject, StoredInstance
from triage_node.core.reader_task import TaskState, workitem_uid
from triage_node.core.study_state import Event, Priority, State, after
from triage_node.worklist.row_locks import locked_studies
from triage_node.worklist.search import index_terms
from triage_node.worklist.standing import update_standing
from triage_node.worklist.tables import (
    AssociationRow,
    InstanceRow,
    QuarantineRow,
    SeriesAssociationRow,
    SeriesRow,
    StudyRow,
)
from triage_node.worklist.upsert import insert_missing

_KEYS_AT_ONCE = 500
"""Bound parameters in one IN list; SQLite takes 32766, PostgreSQL 65535."""


def add_instances(session: Session, stored: Sequence[StoredInstance]) -> None:
    """Index a batch."""
    by_study: dict[str, list[StoredInstance]] = defaultdict(list)
    for each in stored:
        by_study[each.header.study_instance_uid].append(each)
    _note_associations(session, stored)
    known = set(session.scalars(select(StudyRow.study_instance_uid).where(StudyRow.study_instance_uid.in_(by_study))))
    insert_missing(session, StudyRow, [_new_study(by_study[uid]) for uid in sorted(by_study)])
    studies = locked_studies(session, sorted(by_study))
    index_terms(session, (studies[uid] for uid in sorted(studies) if uid not in known))
    for uid in sorted(by_study):
        _add_to_study(session, studies[uid], by_study[uid])


def _note_associations(session: Session, stored: Iterable[StoredInstance]) -> None:
    """An instance may be indexed before its association is: by another process, or after a crash."""
    rows: dict[str, dict[str, Any]] = {}
    for each in stored:
        if each.peer is not None:
            rows.setdefault(each.peer.association_id, _new_association(each.peer, each.received_at))
    insert_missing(session, AssociationRow, [rows[key] for key in sorted(rows)])


def _new_association(peer: AssociationPeer, opened_at: datetime) -> dict[str, Any]:
    return {
        "association_id": peer.association_id,
        "calling_ae_title": peer.calling_ae_title,
        "called_ae_title": peer.called_ae_title,
        "address": peer.address,
        "opened_at": opened_at,
        "ended_at": None,
        "aborted": False,
    }


def _new_study(stored: Sequence[StoredInstance]) -> dict[str, Any]:
    header = stored[0].header
    return {
        "study_instance_uid": header.study_instance_uid,
        "patient_id": header.patient_id,
        "patient_name": header.patient_name,
        "accession_number": header.accession_number,
        "study_date": header.study_date,
        "study_time": header.study_time,
        "study_description": header.study_description,
        "state": State.RECEIVING,
        "reason_detail": "",
        "priority": Priority.ROUTINE,
        "urgency": Priority.ROUTINE.rank,
        "task_state": TaskState.SCHEDULED,
        "workitem_uid": workitem_uid(header.study_instance_uid),
        "received_at": min(each.received_at for each in stored),
        "last_received_at": max(each.received_at for each in stored),
    }


def _new_series(study: StudyRow, stored: Sequence[StoredInstance]) -> dict[str, Any]:
    header = stored[0].header
    return {
        "study_id": study.id,
        "series_instance_uid": header.series_instance_uid,
        "modality": header.modality,
        "series_description": header.series_description,
        "revision": 1,
        "state": State.RECEIVING,
        "reason_detail": "",
        "instance_count": 0,
        "revision_opened_at": min(each.received_at for each in stored),
        "last_received_at": max(each.received_at for each in stored),
        "claims": 0,
    }


def _add_to_study(session: Session, study: StudyRow, stored: Sequence[StoredInstance]) -> None:
    by_series: dict[str, list[StoredInstance]] = defaultdict(list)
    for each in stored:
        by_series[each.header.series_instance_uid].append(each)
    insert_missing(session, SeriesRow, [_new_series(study, by_series[uid]) for uid in sorted(by_series)])
    statement = select(SeriesRow).where(
        SeriesRow.study_id == study.id, SeriesRow.series_instance_uid.in_(sorted(by_series))
    )
    grown = [_add_to_series(session, each, by_series[each.series_instance_uid]) for each in session.scalars(statement)]
    if any(grown):
        study.received_at = min(study.received_at, *(each.received_at for each in stored))
        study.last_received_at = max(study.last_received_at, *(each.received_at for each in stored))
        update_standing(session, study)


def _add_to_series(session: Session, series: SeriesRow, stored: Sequence[StoredInstance]) -> bool:
    """Return whether any of the instances was new."""
    known = _known_instances(session, series, [each.header.sop_instance_uid for each in stored])
    new: dict[str, StoredInstance] = {}
    for each in stored:
        if each.header.sop_instance_uid not in known:
            new.setdefault(each.header.sop_instance_uid, each)
    if new:
        _take_in(series, list(new.values()))
        session.execute(insert(InstanceRow), [_new_instance(series, each) for each in new.values()])
    _link_associations(session, series, stored)
    return bool(new)


def _known_instances(session: Session, series: SeriesRow, sop_instance_uids: Sequence[str]) -> set[str]:
    known: set[str] = set()
    for some in _chunks(sop_instance_uids):
        statement = select(InstanceRow.sop_instance_uid).where(
            InstanceRow.series_id == series.id, InstanceRow.sop_instance_uid.in_(some)
        )
        known.update(session.scalars(statement))
    return known


def _chunks(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(keys), _KEYS_AT_ONCE):
        yield keys[start : start + _KEYS_AT_ONCE]


def _take_in(series: SeriesRow, new: Sequence[StoredInstance]) -> None:
    """Move the series by SLICE_ARRIVED; past RECEIVING that opens the next revision, with a clean slate."""
    was = series.state
    series.state = after(was, Event.SLICE_ARRIVED)
    series.instance_count += len(new)
    series.last_received_at = max(series.last_received_at, *(each.received_at for each in new))
    if was is not State.RECEIVING:
        open_revision(series, min(each.received_at for each in new))


def open_revision(series: SeriesRow, opened_at: datetime) -> None:
    """Number the next revision; claims, lease, reason and ending belonged to the one before."""
    series.revision += 1
    series.revision_opened_at = opened_at
    series.reason = None
    series.reason_detail = ""
    series.closed_at = None
    series.ended_at = None
    series.claims = 0
    series.leased_until = None


def _new_instance(series: SeriesRow, stored: StoredInstance) -> dict[str, Any]:
    return {
        "series_id": series.id,
        "sop_instance_uid": stored.header.sop_instance_uid,
        "revision": series.revision,
        "path": str(stored.path),
        "received_at": stored.received_at,
        "header": _storable(stored.header),
    }


def _storable(header: InstanceHeader) -> dict[str, Any]:
    """JSON has no NaN: a value that is not a number is as good as missing (and geometry says so)."""
    return {name: value for name, value in header.to_json().items() if _is_finite(value)}


def _is_finite(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return all(_is_finite(each) for each in value) if isinstance(value, tuple | list) else True


def _link_associations(session: Session, series: SeriesRow, stored: Sequence[StoredInstance]) -> None:
    """Note who carried the series. A repetition counts as a contribution only while the series is still receiving."""
    revision = series.revision if series.state is State.RECEIVING else 0
    carriers = sorted({each.peer.association_id for each in stored if each.peer is not None})
    rows = [{"series_id": series.id, "association_id": key, "revision": revision} for key in carriers]
    insert_missing(session, SeriesAssociationRow, rows)
    if not revision:
        return
    for key in carriers:
        session.get_one(SeriesAssociationRow, (series.id, key)).revision = revision


def add_quarantined(session: Session, quarantined: QuarantinedObject) -> None:
    """Note a quarantined object; the same file twice is one note."""
    peer = quarantined.peer
    row = {
        "path": str(quarantined.path),
        "reason": quarantined.reason,
        "status_code": quarantined.status_code,
        "received_at": quarantined.received_at,
        "association_id": peer.association_id if peer else None,
        "calling_ae_title": peer.calling_ae_title if peer else "",
        "address": peer.address if peer else "",
    }
    insert_missing(session, QuarantineRow, [row])


def open_association(session: Session, peer: AssociationPeer, opened_at: datetime) -> None:
    """Note an association; one that has already ended stays so."""
    insert_missing(session, AssociationRow, [_new_association(peer, opened_at)])


def end_association(session: Session, association_id: str, ended_at: datetime, *, aborted: bool) -> None:
    """Note the end of an association, the first end if it is told twice, and what it means for its studies."""
    association = session.get(AssociationRow, association_id, with_for_update={"key_share": True})
    if association is None or association.ended_at is not None:
        return  # an association that was never noted has carried nothing
    association.ended_at = ended_at
    association.aborted = aborted
    session.flush()
    statement = (
        select(StudyRow.study_instance_uid)
        .join(SeriesRow, SeriesRow.study_id == StudyRow.id)
        .join(SeriesAssociationRow, SeriesAssociationRow.series_id == SeriesRow.id)
        .where(SeriesAssociationRow.association_id == association_id)
        .distinct()
    )
    studies = locked_studies(session, sorted(session.scalars(statement)))
    for study in studies.values():
        update_standing(session, study)
