"""What a study shows, worked out from its series whenever one of them changes.

A study with CT in it stands where its CT stands: a dose report that is still arriving beside a head that was read does
not matter. A finding stands until a later revision's reading takes its place, so that a late slice never takes a flag
off the worklist.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from triage_node.core.reason import Reason
from triage_node.core.study_state import State, leading_state
from triage_node.worklist.tables import AnalysisRow, AssociationRow, SeriesAssociationRow, SeriesRow, StudyRow


def update_standing(session: Session, study: StudyRow) -> None:
    """Bring the study's row up to date with its series, analyses and associations; its priority is left alone."""
    session.flush()
    every = session.scalars(select(SeriesRow).where(SeriesRow.study_id == study.id)).all()
    counting = [series for series in every if series.modality == "CT"] or every
    study.state = leading_state(series.state for series in counting)
    leaders = [series for series in counting if series.state is study.state]

    best = shown_analysis(session, study)
    if best is not None:
        _show(study, best)
    leader = next((each for each in leaders if best and each.id == best.series_id), None) or _most_telling(leaders)
    study.reason = leader.reason
    study.reason_detail = leader.reason_detail
    study.forwarded_at = leader.ended_at if leader.state is State.FORWARDED else None
    study.released_at = _released_at(session, leader)


def _most_telling(leaders: Sequence[SeriesRow]) -> SeriesRow:
    """The one with the most instances; BETTER_SERIES says nothing where the better one was not read either."""
    return max(leaders, key=lambda each: (each.reason is not Reason.BETTER_SERIES, each.instance_count, -each.id))


def shown_analysis(session: Session, study: StudyRow) -> AnalysisRow | None:
    """Of each series' latest reading, return a flagged one before others, then the one with the highest probability."""
    statement = (
        select(AnalysisRow)
        .join(SeriesRow, SeriesRow.id == AnalysisRow.series_id)
        .where(SeriesRow.study_id == study.id)
        .order_by(AnalysisRow.revision)
    )
    latest = {analysis.series_id: analysis for analysis in session.scalars(statement)}
    return max(latest.values(), key=lambda each: (each.flagged, each.ich_probability, -each.series_id), default=None)


def _show(study: StudyRow, best: AnalysisRow) -> None:
    if best.flagged and not study.flagged:
        study.flagged_at = best.classified_at
    study.ich_probability = best.ich_probability
    study.flagged = best.flagged
    study.subtypes = best.subtypes
    study.classified_at = best.classified_at


def _released_at(session: Session, series: SeriesRow) -> datetime | None:
    statement = (
        select(func.max(AssociationRow.ended_at))
        .join(SeriesAssociationRow, SeriesAssociationRow.association_id == AssociationRow.association_id)
        .where(
            SeriesAssociationRow.series_id == series.id,
            SeriesAssociationRow.revision > 0,
            AssociationRow.aborted.is_(False),
        )
    )
    return session.scalar(statement)
