"""The Unified Procedure Steps that stand for the reading of studies, on SQL.

In: a selection of studies, or the SOP Instance UID of one workitem and what its performer wants. Out: records, and an answer
of PS3.4 CC.2. A claim goes the way of the browser's: ``reader_tasks`` under the lock of the study's row.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import flag_modified

from triage_node.core.query_status import (
    FINAL_STATE_NOT_MET,
    NO_LONGER_UPDATED,
    NO_SUCH_WORKITEM,
    NOT_YET_IN_PROGRESS,
    RESOURCE_LIMITATION,
    SUCCESS,
    WRONG_TRANSACTION,
    Answer,
)
from triage_node.core.reader_task import TaskState
from triage_node.core.workitem import StepState, refusal
from triage_node.worklist import reader_tasks
from triage_node.worklist.engine import Database
from triage_node.worklist.reader_tables import ReaderTaskRow
from triage_node.worklist.row_locks import locked_studies
from triage_node.worklist.study_selection import Selection, select_studies
from triage_node.worklist.tables import InstanceRow, SeriesRow, StudyRow

_PROGRESS_BYTES = 65_536
"""Of JSON; what a performer sets is a few codes, times and references."""
_PERFORMED_PROCEDURE = "00741216"
_FINAL = ("00404028", "00404050", "00404019", "00404051")
"""Performed Station Name Code Sequence, Start DateTime, Workitem Code Sequence and End DateTime: with a value in one item
of Unified Procedure Step Performed Procedure Sequence where a step is COMPLETED (PS3.4 Table CC.2.5-3)."""


@dataclass(frozen=True)
class SeriesReference:
    """A series to be read: the class and UID of each instance."""

    series_instance_uid: str
    instances: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Workitem:
    """A study with what is known of its reading; the rows are read, never changed.

    ``series`` is empty where it was not asked for.
    """

    study: StudyRow
    task: ReaderTaskRow | None
    series: tuple[SeriesReference, ...]

    @property
    def progress(self) -> Mapping[str, Any]:
        """What the performer has set, in the DICOM JSON model."""
        return (self.task and self.task.progress) or {}


class SqlWorkitems:
    """Workitems on SQLite or PostgreSQL."""

    def __init__(self, engine: Engine) -> None:
        self._database = Database(engine)
        self.is_sqlite = engine.dialect.name == "sqlite"

    def select(self, selection: Selection, limit: int) -> list[int]:
        """Return the ids of the first studies that are asked for."""
        with self._database.reading() as session:
            return select_studies(session, selection, limit)

    def workitems(self, study_ids: Sequence[int], *, with_series: bool) -> list[Workitem]:
        """Return workitems in this order; a study that has gone meanwhile is left out."""
        with self._database.reading() as session:
            return _workitems(session, study_ids, with_series)

    def workitem(self, workitem_uid: str) -> Workitem | None:
        """Return one workitem in full."""
        with self._database.reading() as session:
            study_id = session.scalar(select(StudyRow.id).where(StudyRow.workitem_uid == workitem_uid))
            return None if study_id is None else next(iter(_workitems(session, [study_id], True)), None)

    @contextmanager
    def _locked(self, workitem_uid: str) -> Iterator[tuple[Session, StudyRow | None]]:
        with self._database.writing() as session:
            named = session.scalar(select(StudyRow.study_instance_uid).where(StudyRow.workitem_uid == workitem_uid))
            study = locked_studies(session, [named]).get(named) if named is not None else None
            if study is not None and study.workitem_uid != workitem_uid:
                study = None  # given back between the two statements
            yield session, study

    def change_state(
        self, workitem_uid: str, wanted: StepState, transaction_uid: str | None, performer: str, now: datetime
    ) -> tuple[Answer, str | None]:
        """Claim, complete or give up; return the answer and the study that it is about."""
        with self._locked(workitem_uid) as (session, study):
            if study is None:
                return NO_SUCH_WORKITEM, None
            task = reader_tasks.task_of(session, study)
            answer = refusal(study.task_state, wanted, lock=task.transaction_uid, transaction_uid=transaction_uid)
            if answer is None and wanted is StepState.COMPLETED and not meets_final_state(task.progress or {}):
                answer = FINAL_STATE_NOT_MET
            if answer is None:
                _change(session, study, wanted, transaction_uid, performer, now)
            return answer or SUCCESS, study.study_instance_uid

    def set_progress(
        self, workitem_uid: str, transaction_uid: str | None, progress: Mapping[str, Any]
    ) -> tuple[Answer, str | None]:
        """Keep what the performer says of the work, element by element of the outermost level."""
        with self._locked(workitem_uid) as (session, study):
            if study is None:
                return NO_SUCH_WORKITEM, None
            task = reader_tasks.task_of(session, study)
            answer = _refused_progress(study, task, transaction_uid)
            merged = {**(task.progress or {}), **progress}
            if answer is None and len(json.dumps(merged)) > _PROGRESS_BYTES:
                answer = RESOURCE_LIMITATION
            if answer is None:
                task.progress = merged
                flag_modified(study, "task_state")  # whoever watches changed_at sees it
            return answer or SUCCESS, study.study_instance_uid


def _refused_progress(study: StudyRow, task: ReaderTaskRow, transaction_uid: str | None) -> Answer | None:
    """PS3.4 Table CC.2.6-1: before a claim, by another, after the end."""
    if study.task_state is TaskState.SCHEDULED:
        return NOT_YET_IN_PROGRESS
    if transaction_uid is None or transaction_uid != task.transaction_uid:
        return WRONG_TRANSACTION
    return NO_LONGER_UPDATED if study.task_state is TaskState.COMPLETED else None


def _change(
    session: Session, study: StudyRow, wanted: StepState, transaction_uid: str | None, performer: str, now: datetime
) -> None:
    if wanted is StepState.IN_PROGRESS:
        reader_tasks.take(session, study, performer, now, transaction_uid)
    elif wanted is StepState.COMPLETED:
        reader_tasks.complete(session, study, performer, now)
    else:
        reader_tasks.release(session, study)


def meets_final_state(progress: Mapping[str, Any]) -> bool:
    """Return whether a step may be COMPLETED with what its performer has set."""
    items = progress.get(_PERFORMED_PROCEDURE, {}).get("Value", [])
    return any(all(item.get(tag, {}).get("Value") for tag in _FINAL) for item in items)


def _workitems(session: Session, study_ids: Sequence[int], with_series: bool) -> list[Workitem]:
    statement = (
        select(StudyRow, ReaderTaskRow)
        .outerjoin(ReaderTaskRow, ReaderTaskRow.study_id == StudyRow.id)
        .where(StudyRow.id.in_(study_ids))
    )
    found = {study.id: (study, task) for study, task in session.execute(statement)}
    series = _series(session, list(found)) if with_series else {}
    return [Workitem(*found[study_id], tuple(series.get(study_id, ()))) for study_id in study_ids if study_id in found]


def _series(session: Session, study_ids: Sequence[int]) -> dict[int, list[SeriesReference]]:
    """The CT series of each study, all of them where none is CT."""
    statement = (
        select(
            SeriesRow.study_id,
            SeriesRow.series_instance_uid,
            SeriesRow.modality,
            InstanceRow.header["sop_class_uid"].as_string(),
            InstanceRow.sop_instance_uid,
        )
        .join(InstanceRow, InstanceRow.series_id == SeriesRow.id)
        .where(SeriesRow.study_id.in_(study_ids))
        .order_by(SeriesRow.study_id, SeriesRow.id, InstanceRow.id)
    )
    grouped: dict[int, dict[tuple[str, str], list[tuple[str, str]]]] = {}
    for study_id, series_uid, modality, sop_class_uid, sop_instance_uid in session.execute(statement):
        series = grouped.setdefault(study_id, {}).setdefault((modality, series_uid), [])
        series.append((sop_class_uid, sop_instance_uid))
    references = {}
    for study_id, by_series in grouped.items():
        read = {key: instances for key, instances in by_series.items() if key[0] == "CT"} or by_series
        references[study_id] = [SeriesReference(uid, tuple(instances)) for (_, uid), instances in read.items()]
    return references
