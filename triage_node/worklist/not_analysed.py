"""Reports that say NOT ANALYSED: which studies wait for one, and the outbox filled with it.

Such a series stays in NOT_ANALYSED whatever becomes of its report; each delivery has its own state.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from triage_node.core.destination import MESSAGE_KINDS, Destination
from triage_node.core.not_analysed import NEVER_EXPECTED, SeriesStanding, leading_refusal
from triage_node.core.ports import EvidenceObject, NotAnalysedSeries
from triage_node.core.reason import Refusal
from triage_node.core.study_state import IllegalTransition, State
from triage_node.worklist.readings import fill_outbox
from triage_node.worklist.row_locks import current_series
from triage_node.worklist.tables import EvidenceRow, InstanceRow, SeriesRow, StudyRow

LOOK_BACK = timedelta(days=1)
"""Studies that came earlier are left alone: switching the reports on must not send those of years."""

_SAID_BY = ("SR", "PDF", *MESSAGE_KINDS)


def to_report(session: Session, quiet_since: datetime, *, first_reports: bool) -> list[tuple[int, int]]:
    """Return (series_id, revision) of the series that speak for studies that were not analysed and do not say so yet.

    Without ``first_reports`` only where an earlier report of the study has to be taken back.
    """
    in_study = select(EvidenceRow.id).join(SeriesRow, SeriesRow.id == EvidenceRow.series_id)
    in_study = in_study.where(SeriesRow.study_id == StudyRow.id)
    told = in_study.where(EvidenceRow.revision == SeriesRow.revision).exists()
    expected = (
        select(SeriesRow.id)
        .where(
            SeriesRow.study_id == StudyRow.id,
            SeriesRow.modality == "CT",
            SeriesRow.reason.not_in(sorted(NEVER_EXPECTED)),
        )
        .exists()
    )
    due = select(StudyRow.id).where(
        StudyRow.state == State.NOT_ANALYSED,
        StudyRow.last_received_at <= quiet_since,
        StudyRow.last_received_at > quiet_since - LOOK_BACK,
        expected,
        ~told,
    )
    if not first_reports:
        due = due.where(in_study.where(EvidenceRow.kind.in_(_SAID_BY)).exists())
    statement = select(SeriesRow).where(SeriesRow.study_id.in_(due)).order_by(SeriesRow.study_id, SeriesRow.id)
    by_study: dict[int, list[SeriesRow]] = defaultdict(list)
    for series in session.scalars(statement):
        by_study[series.study_id].append(series)
    return [found for rows in by_study.values() if (found := _leading(rows)) is not None]


def _leading(rows: Sequence[SeriesRow]) -> tuple[int, int] | None:
    standing = [SeriesStanding(row.id, row.modality, row.state, row.reason, row.instance_count) for row in rows]
    leader = leading_refusal(standing)
    if leader is None:
        return None
    return next((row.id, row.revision) for row in rows if row.id == leader.series_id)


def not_analysed_series(session: Session, series_id: int, revision: int) -> NotAnalysedSeries | None:
    """Return what a report on a refused series needs; None where it is told already or has moved on."""
    series = session.get(SeriesRow, series_id)
    if series is None or series.revision != revision or series.state is not State.NOT_ANALYSED:
        return None
    if series.reason is None or series.ended_at is None or _is_told(session, series):
        return None
    paths = select(InstanceRow.path).where(InstanceRow.series_id == series_id).order_by(InstanceRow.id)
    return NotAnalysedSeries(
        study_id=series.study_id,
        series_instance_uid=series.series_instance_uid,
        paths=tuple(Path(path) for path in session.scalars(paths)),
        refusal=Refusal(series.reason, series.reason_detail),
        declined_at=series.ended_at,
    )


def save_not_analysed(
    session: Session,
    series_id: int,
    revision: int,
    objects: Sequence[EvidenceObject],
    destinations: Sequence[Destination],
    now: datetime,
) -> None:
    """Fill the outbox with the report on a refused series; the second time nothing happens.

    Raises
    ------
    Overtaken, IllegalTransition
        The series has moved on: to another revision, or to a reading after all.
    """
    series = current_series(session, series_id, revision)
    if series.state is not State.NOT_ANALYSED:
        raise IllegalTransition(f"series {series_id} is {series.state}, not {State.NOT_ANALYSED}")
    if not _is_told(session, series):
        fill_outbox(session, series, objects, destinations, now)


def _is_told(session: Session, series: SeriesRow) -> bool:
    statement = select(EvidenceRow.id).where(
        EvidenceRow.series_id == series.id, EvidenceRow.revision == series.revision
    )
    return session.scalar(statement.limit(1)) is not None
