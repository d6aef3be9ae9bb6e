"""From the last slice to a decision whether a series is read: open series, closing, declining, choosing."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from sqlalchemy import and_, case, func, select
from sqlalchemy.orm import Session

from triage_node.core.instance import InstanceHeader
from triage_node.core.ports import Candidate, OpenSeries, SeriesRecord
from triage_node.core.reason import Reason, Refusal
from triage_node.core.study_state import Event, IllegalTransition, State, after
from triage_node.worklist.observations import observe_refusal
from triage_node.worklist.row_locks import NoSuchRow, current_series, locked_series
from triage_node.worklist.standing import update_standing
from triage_node.worklist.tables import AssociationRow, InstanceRow, SeriesAssociationRow, SeriesRow


def open_series(session: Session) -> list[OpenSeries]:
    """Return the series in RECEIVING with what their associations are doing, the longest waiting first."""
    ended = AssociationRow.ended_at.is_not(None)
    contributed = SeriesAssociationRow.revision == SeriesRow.revision
    released = and_(ended, contributed, AssociationRow.aborted.is_(False))
    statement = (
        select(
            SeriesRow.id,
            SeriesRow.revision,
            SeriesRow.revision_opened_at,
            SeriesRow.last_received_at,
            func.count(case((AssociationRow.ended_at.is_(None), AssociationRow.association_id))),
            func.count(case((and_(contributed, AssociationRow.aborted), AssociationRow.association_id))),
            func.max(case((released, AssociationRow.ended_at))),
        )
        .outerjoin(SeriesAssociationRow, SeriesAssociationRow.series_id == SeriesRow.id)
        .outerjoin(AssociationRow, AssociationRow.association_id == SeriesAssociationRow.association_id)
        .where(SeriesRow.state == State.RECEIVING)
        .group_by(SeriesRow.id)
        .order_by(SeriesRow.last_received_at, SeriesRow.id)
    )
    return [OpenSeries(*row) for row in session.execute(statement)]


def series_record(session: Session, series_id: int) -> SeriesRecord:
    """Return one series with the headers and files of all its instances."""
    series = session.get(SeriesRow, series_id)
    if series is None:
        raise NoSuchRow(f"there is no series {series_id}")
    statement = (
        select(InstanceRow.header, InstanceRow.path).where(InstanceRow.series_id == series_id).order_by(InstanceRow.id)
    )
    return SeriesRecord(
        series_id=series.id,
        study_id=series.study_id,
        study_instance_uid=series.study.study_instance_uid,
        series_instance_uid=series.series_instance_uid,
        revision=series.revision,
        state=series.state,
        instances=tuple((InstanceHeader.from_json(header), Path(path)) for header, path in session.execute(statement)),
    )


def close_series(
    session: Session, series_id: int, revision: int, closed_at: datetime, instance_count: int | None
) -> bool:
    """Close what is still receiving at this revision; of several who try, one is told True."""
    series = locked_series(session, series_id)
    if series.revision != revision or series.state is not State.RECEIVING:
        return False
    if instance_count is not None and series.instance_count != instance_count:
        return False
    series.state = after(series.state, Event.CLOSE)
    series.closed_at = closed_at
    update_standing(session, series.study)
    return True


def candidates(session: Session, study_id: int) -> list[Candidate]:
    """Return the series of a study that are past RECEIVING, in the order of their arrival."""
    statement = (
        select(SeriesRow)
        .where(SeriesRow.study_id == study_id, SeriesRow.state != State.RECEIVING)
        .order_by(SeriesRow.id)
    )
    return [_candidate(session, series) for series in session.scalars(statement)]


def _candidate(session: Session, series: SeriesRow) -> Candidate:
    statement = select(InstanceRow.header).where(InstanceRow.series_id == series.id).order_by(InstanceRow.id)
    return Candidate(
        series_id=series.id,
        revision=series.revision,
        state=series.state,
        refusal_reason=series.reason.value if series.reason else None,
        headers=tuple(InstanceHeader.from_json(header) for header in session.scalars(statement)),
    )


def decline(session: Session, series_id: int, revision: int, refusal: Refusal, declined_at: datetime) -> None:
    """End a closed series with its reason; one that was declined already keeps the first reason."""
    series = current_series(session, series_id, revision)
    if series.state is State.NOT_ANALYSED:
        return
    end_series(series, Event.DECLINE, declined_at, refusal)
    observe_refusal(session, series, revision, refusal.reason, declined_at)
    update_standing(session, series.study)


def end_series(series: SeriesRow, event: Event, ended_at: datetime, refusal: Refusal | None = None) -> None:
    """Move a series to a final state; whoever held its lease has no more to do."""
    series.state = after(series.state, event)
    series.ended_at = ended_at
    series.leased_until = None
    series.reason = refusal.reason if refusal else None
    series.reason_detail = refusal.detail if refusal else ""


def choose(session: Session, series_id: int, revision: int) -> None:
    """Take back BETTER_SERIES.

    Raises
    ------
    IllegalTransition
        The series was declined for what it is, which no choice can mend.
    """
    series = current_series(session, series_id, revision)
    if series.state is State.CLOSED:
        return
    if series.state is State.NOT_ANALYSED and series.reason is not Reason.BETTER_SERIES:
        raise IllegalTransition(f"series {series_id} was declined for {series.reason}, not for a better series")
    series.state = after(series.state, Event.CHOOSE)
    series.ended_at = None
    series.reason = None
    series.reason_detail = ""
    update_standing(session, series.study)
