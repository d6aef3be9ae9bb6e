"""Escalation on SQL: ``core.ports.Escalations``. A call is noted before it is made, so that a crash repeats none at once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Engine, Select, and_, exists, or_, select
from sqlalchemy.orm import Session

from triage_node.core.dimse_status import Action
from triage_node.core.escalation import EscalationCall, EscalationStep
from triage_node.core.ports import SendOutcome
from triage_node.core.reader_task import EscalationState, TaskState
from triage_node.core.study_state import Priority, raised
from triage_node.worklist.engine import Database
from triage_node.worklist.reader_tables import EscalationRow, ReaderTaskRow
from triage_node.worklist.row_locks import lock_study
from triage_node.worklist.standing import shown_analysis
from triage_node.worklist.tables import StudyRow

_PLANNED_AT_ONCE = 500


def _acknowledged() -> ColumnElement[bool]:
    task = and_(ReaderTaskRow.study_id == StudyRow.id, ReaderTaskRow.acknowledged_at.is_not(None))
    return or_(StudyRow.task_state != TaskState.SCHEDULED, exists().where(task))


def _already_noted(step: int) -> ColumnElement[bool]:
    return exists().where(
        EscalationRow.study_id == StudyRow.id,
        EscalationRow.step == step,
        EscalationRow.flagged_at == StudyRow.flagged_at,
    )


class SqlEscalations:
    """``core.ports.Escalations`` on SQLite or PostgreSQL."""

    def __init__(self, engine: Engine) -> None:
        self._database = Database(engine)

    def plan(self, chain: Sequence[EscalationStep], now: datetime, *, flagged_since: datetime) -> int:
        """Note each step that became due for a flagged study that nobody acknowledged."""
        noted = 0
        with self._database.writing() as session:
            for number, step in enumerate(chain, start=1):
                for study_id in session.scalars(_due(number, step, now, flagged_since)).all():
                    noted += _note(session, study_id, number, step, now)
        return noted

    def claim(self, now: datetime, *, lease_s: float) -> EscalationCall | None:
        """Take one call that is due."""
        with self._database.writing() as session:
            _stop_acknowledged(session, now)
            statement = (
                select(EscalationRow)
                .where(
                    EscalationRow.state == EscalationState.DUE,
                    EscalationRow.next_attempt_at <= now,
                    or_(EscalationRow.leased_until.is_(None), EscalationRow.leased_until <= now),
                )
                .order_by(EscalationRow.next_attempt_at, EscalationRow.id)
                .limit(1)
                .with_for_update(skip_locked=True)
            )
            row = session.scalar(statement)
            if row is None:
                return None
            row.leased_until = now + timedelta(seconds=lease_s)
            return _call(session, row)

    def save(self, escalation_id: int, outcome: SendOutcome, now: datetime, *, again_at: datetime | None) -> None:
        """Note what came of a call."""
        with self._database.writing() as session:
            row = session.get_one(EscalationRow, escalation_id)
            row.attempts += 1
            row.detail = outcome.detail
            row.leased_until = None
            if row.state is not EscalationState.DUE:
                return
            if outcome.action is Action.TRY_AGAIN and again_at is not None:
                row.next_attempt_at = again_at
                return
            made = outcome.action in (Action.DONE, Action.DONE_WITH_WARNING)
            row.state = EscalationState.DONE if made else EscalationState.GIVEN_UP
            row.ended_at = now

    def raise_waiting(self, now: datetime, waited: timedelta, limit: int = 500) -> int:
        """Raise studies that have waited so long for a reader from ROUTINE to HIGH."""
        with self._database.writing() as session:
            statement = (
                select(StudyRow)
                .where(
                    StudyRow.task_state == TaskState.SCHEDULED,
                    StudyRow.urgency == Priority.ROUTINE.rank,
                    StudyRow.received_at <= now - waited,
                )
                .order_by(StudyRow.received_at)
                .limit(limit)
                .with_for_update(key_share=True, skip_locked=True)
            )
            studies = session.scalars(statement).all()
            for study in studies:
                study.priority = raised(study.priority, Priority.HIGH)
            return len(studies)


def _due(number: int, step: EscalationStep, now: datetime, flagged_since: datetime) -> Select[int]:
    due_before = now - timedelta(seconds=step.after_s)
    return (
        select(StudyRow.id)
        .where(
            StudyRow.flagged_at >= flagged_since,
            StudyRow.flagged_at <= due_before,
            StudyRow.flagged.is_(True),
            ~_acknowledged(),
            ~_already_noted(number),
        )
        .order_by(StudyRow.flagged_at)
        .limit(_PLANNED_AT_ONCE)
    )


def _note(session: Session, study_id: int, number: int, step: EscalationStep, now: datetime) -> int:
    """Note one step under the study's lock: two couriers may have seen it due."""
    study = lock_study(session, study_id)
    session.refresh(study)
    seen = session.scalar(
        select(EscalationRow.id).where(
            EscalationRow.study_id == study_id,
            EscalationRow.step == number,
            EscalationRow.flagged_at == study.flagged_at,
        )
    )
    if seen is not None or study.flagged_at is None:
        return 0
    due_at = study.flagged_at + timedelta(seconds=step.after_s)
    session.add(
        EscalationRow(
            study_id=study_id,
            step=number,
            flagged_at=study.flagged_at,
            state=EscalationState.DUE,
            due_at=due_at,
            next_attempt_at=now,
            leased_until=None,
            attempts=0,
            ended_at=None,
            detail="",
        )
    )
    return 1


def _stop_acknowledged(session: Session, now: datetime) -> None:
    statement = (
        select(EscalationRow)
        .join(StudyRow, StudyRow.id == EscalationRow.study_id)
        .where(EscalationRow.state == EscalationState.DUE, or_(_acknowledged(), StudyRow.flagged.is_not(True)))
    )
    for row in session.scalars(statement):
        row.state, row.ended_at, row.leased_until = EscalationState.STOPPED, now, None


def _call(session: Session, row: EscalationRow) -> EscalationCall:
    study = session.get_one(StudyRow, row.study_id)
    shown = shown_analysis(session, study)
    return EscalationCall(
        escalation_id=row.id,
        step=row.step,
        attempts=row.attempts,
        flagged_at=row.flagged_at,
        due_at=row.due_at,
        study_instance_uid=study.study_instance_uid,
        patient_id=study.patient_id,
        patient_name=study.patient_name,
        accession_number=study.accession_number,
        study_description=study.study_description,
        ich_probability=study.ich_probability or 0.0,
        subtypes_present=() if shown is None else tuple(shown.subtypes_present),
    )
