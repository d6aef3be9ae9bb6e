"""Who reads a study: ``core.ports.ReaderTasks`` on SQL, each method one transaction under the lock of the study's row.

The functions on a locked study are shared with the DICOM side (``workitems``), so that a study that is taken over DICOM
is taken on the web, and the other way round.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import flag_modified

from triage_node.core.finding import SUBTYPES
from triage_node.core.ports.reader_tasks import EscalationNote, Feedback, ReaderTask
from triage_node.core.reader_task import (
    FindingChanged,
    TaskEvent,
    TaskInOtherState,
    TaskState,
    TaskTaken,
    UnknownStudy,
    Verdict,
    next_workitem_uid,
    task_after,
)
from triage_node.worklist.engine import Database
from triage_node.worklist.reader_tables import EscalationRow, FeedbackRow, ReaderTaskRow
from triage_node.worklist.row_locks import locked_studies
from triage_node.worklist.standing import shown_analysis
from triage_node.worklist.tables import StudyRow

FINDINGS = ("ICH", *SUBTYPES)
"""What feedback may be given of."""


def task_of(session: Session, study: StudyRow) -> ReaderTaskRow:
    """Return the row of a study's task, a new one where nobody has touched it yet."""
    task = session.get(ReaderTaskRow, study.id)
    if task is None:
        task = ReaderTaskRow(study_id=study.id)
        session.add(task)
    return task


def acknowledge(session: Session, study: StudyRow, actor: str, now: datetime) -> None:
    """Note who has taken note; the first one stands."""
    task = task_of(session, study)
    if task.acknowledged_at is None:
        task.acknowledged_by, task.acknowledged_at = actor, now
        flag_modified(study, "task_state")  # nothing of the row differs, yet whoever watches changed_at must see it


def take(session: Session, study: StudyRow, performer: str, now: datetime, transaction_uid: str | None) -> str:
    """Give the task to a performer under a transaction UID."""
    task = task_of(session, study)
    if study.task_state is TaskState.IN_PROGRESS:
        return _taken_again(task, performer, transaction_uid)
    study.task_state = task_after(study.task_state, TaskEvent.TAKE)
    task.performer, task.taken_at = performer, now
    task.transaction_uid = transaction_uid or f"2.25.{uuid.uuid4().int}"
    task.progress = None
    acknowledge(session, study, performer, now)
    return task.transaction_uid


def _taken_again(task: ReaderTaskRow, performer: str, transaction_uid: str | None) -> str:
    lock = str(task.transaction_uid)
    if task.performer != performer or transaction_uid not in (None, lock):
        raise taken(task)
    return lock


def taken(task: ReaderTaskRow) -> TaskTaken:
    """Say who has a task that is in progress."""
    assert task.performer is not None
    assert task.taken_at is not None
    return TaskTaken(task.performer, task.taken_at)


def release(session: Session, study: StudyRow) -> None:
    """Let the study wait for a reader again, as a new workitem: the one that was in progress is given up."""
    _leave(session, study, TaskEvent.RELEASE)
    study.workitem_uid = next_workitem_uid(study.workitem_uid)


def complete(session: Session, study: StudyRow, performer: str, now: datetime) -> None:
    """Note who ended the reading."""
    task = _leave(session, study, TaskEvent.COMPLETE)
    task.completed_by, task.completed_at = performer, now


def _leave(session: Session, study: StudyRow, event: TaskEvent) -> ReaderTaskRow:
    study.task_state = task_after(study.task_state, event)
    task = task_of(session, study)
    task.performer = None
    if event is TaskEvent.RELEASE:
        task.taken_at = task.transaction_uid = task.progress = None
    return task


def reopen(study: StudyRow) -> None:
    """Let a completed task wait again, as a new workitem; who completed it stays written."""
    study.task_state = task_after(study.task_state, TaskEvent.REOPEN)
    study.workitem_uid = next_workitem_uid(study.workitem_uid)


def note_new_flag(session: Session, study: StudyRow) -> None:
    """A study that was not flagged now is: what was acknowledged was another answer, and a reading that ended is due anew.

    The audit trail, the feedback and the last completion keep what was before.
    """
    task = session.get(ReaderTaskRow, study.id)
    if task is not None:
        task.acknowledged_by = task.acknowledged_at = None
    if study.task_state is TaskState.COMPLETED:
        reopen(study)


class SqlReaderTasks:
    """``core.ports.ReaderTasks`` on SQLite or PostgreSQL."""

    def __init__(self, engine: Engine) -> None:
        self._database = Database(engine)

    @contextmanager
    def _locked(self, study_instance_uid: str) -> Iterator[tuple[Session, StudyRow]]:
        with self._database.writing() as session:
            study = locked_studies(session, [study_instance_uid]).get(study_instance_uid)
            if study is None:
                raise UnknownStudy("there is no such study")
            yield session, study

    def acknowledge(self, study_instance_uid: str, actor: str, now: datetime) -> None:
        """Note that somebody has taken note of the study."""
        with self._locked(study_instance_uid) as (session, study):
            acknowledge(session, study, actor, now)

    def take(self, study_instance_uid: str, performer: str, now: datetime, transaction_uid: str | None = None) -> str:
        """Begin to read, alone."""
        with self._locked(study_instance_uid) as (session, study):
            return take(session, study, performer, now, transaction_uid)

    def release(self, study_instance_uid: str, actor: str, now: datetime, *, from_anyone: bool = False) -> None:
        """Give the task back unread."""
        with self._locked(study_instance_uid) as (session, study):
            if not from_anyone:
                _held_by(session, study, actor, TaskEvent.RELEASE)
            release(session, study)

    def complete(self, study_instance_uid: str, performer: str, now: datetime) -> None:
        """End the reading."""
        with self._locked(study_instance_uid) as (session, study):
            _held_by(session, study, performer, TaskEvent.COMPLETE)
            complete(session, study, performer, now)

    def reopen(self, study_instance_uid: str, now: datetime) -> None:
        """Let a completed task wait for a reader again."""
        with self._locked(study_instance_uid) as (_, study):
            reopen(study)

    def give_feedback(
        self,
        study_instance_uid: str,
        reader: str,
        now: datetime,
        *,
        revision: int,
        finding: str,
        verdict: Verdict,
        comment: str = "",
    ) -> None:
        """Keep what a reader says of a finding of the revision that was seen."""
        if finding not in FINDINGS:
            raise FindingChanged(f"a finding is one of {', '.join(FINDINGS)}")
        with self._locked(study_instance_uid) as (session, study):
            shown = shown_analysis(session, study)
            if shown is None:
                raise FindingChanged("the study was not analysed")
            if shown.revision != revision:
                raise FindingChanged(f"the study shows revision {shown.revision} by now, not {revision}")
            given = FeedbackRow(
                study_id=study.id,
                revision=revision,
                finding=finding,
                present=shown.flagged if finding == "ICH" else finding in shown.subtypes_present,
                verdict=verdict,
                comment=comment,
                reader=reader,
                given_at=now,
            )
            session.add(given)
            flag_modified(study, "task_state")  # see acknowledge

    def state_of(self, study_instance_uid: str) -> ReaderTask | None:
        """Return where the task stands."""
        with self._database.reading() as session:
            study = session.scalar(select(StudyRow).where(StudyRow.study_instance_uid == study_instance_uid))
            return None if study is None else _reader_task(session, study)


def _held_by(session: Session, study: StudyRow, performer: str, event: TaskEvent) -> None:
    """Refuse whoever does not have the task."""
    if study.task_state is not TaskState.IN_PROGRESS:
        raise TaskInOtherState(study.task_state, event)
    task = task_of(session, study)
    if task.performer != performer:
        raise taken(task)


def _reader_task(session: Session, study: StudyRow) -> ReaderTask:
    task = session.get(ReaderTaskRow, study.id) or ReaderTaskRow()
    shown = shown_analysis(session, study)
    given = session.scalars(select(FeedbackRow).where(FeedbackRow.study_id == study.id).order_by(FeedbackRow.id))
    called = session.scalars(
        select(EscalationRow)
        .where(EscalationRow.study_id == study.id)
        .order_by(EscalationRow.flagged_at, EscalationRow.step)
    )
    return ReaderTask(
        study_instance_uid=study.study_instance_uid,
        state=study.task_state,
        performer=task.performer,
        taken_at=task.taken_at if task.performer else None,
        acknowledged_by=task.acknowledged_by,
        acknowledged_at=task.acknowledged_at,
        completed_by=task.completed_by,
        completed_at=task.completed_at,
        shown_revision=None if shown is None else shown.revision,
        feedback=tuple(_feedback(row) for row in given),
        escalations=tuple(_escalation(row) for row in called),
    )


def _feedback(row: FeedbackRow) -> Feedback:
    return Feedback(row.revision, row.finding, row.present, row.verdict, row.comment, row.reader, row.given_at)


def _escalation(row: EscalationRow) -> EscalationNote:
    return EscalationNote(row.step, row.state, row.due_at, row.ended_at, row.attempts, row.detail)
