"""What a release in the shadow read: kept beside the active release's findings, and shown by ``drift --shadow`` alone.

Nothing here changes a study, a priority or a delivery, and nothing else reads these rows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session, aliased

from triage_node.core.finding import Finding
from triage_node.core.shadow import ReadTwice, Scores, ShadowReadings
from triage_node.worklist.engine import Database
from triage_node.worklist.tables import AnalysisRow, SeriesRow, ShadowAnalysisRow, SliceScoreRow, StudyRow
from triage_node.worklist.upsert import insert_or_update

_KEY = ("series_id", "revision", "model_name")


class SqlShadowLog:
    """Readings in the shadow, in the results database; each method is one transaction."""

    def __init__(self, engine: Engine) -> None:
        self._database = Database(engine)

    def save(self, series_id: int, revision: int, finding: Finding, read_at: datetime) -> None:
        """Keep a finding; the same release on the same revision replaces it."""
        row = {
            "series_id": series_id,
            "revision": revision,
            "ich_probability": float(finding.ich_probability),
            "flagged": bool(finding.flagged),
            "subtypes": _plain(finding.subtypes),
            "slices": [
                {
                    "sop_instance_uid": each.sop_instance_uid,
                    "ich_probability": float(each.ich_probability),
                    "subtypes": _plain(each.subtypes),
                }
                for each in finding.slices
            ],
            "model_name": finding.model_name,
            "model_version": finding.model_version,
            "weights_sha256": finding.weights_sha256,
            "operating_point": finding.operating_point,
            "operating_threshold": float(finding.operating_threshold),
            "elapsed_ms": float(finding.elapsed_ms),
            "read_at": read_at,
        }
        with self._database.writing() as session:
            insert_or_update(
                session, ShadowAnalysisRow, row, key=_KEY, update=[each for each in row if each not in _KEY]
            )

    def readings(self, *, since: datetime | None = None, with_slices: bool = False) -> ShadowReadings | None:
        """Return what the latest shadow read beside the latest active release; None where there is none.

        Parameters
        ----------
        since
            Only readings from then on.
        with_slices
            Whether slices' scores are wanted, too.
        """
        with self._database.reading() as session:
            return _readings(session, since, with_slices)


def _plain(subtypes: Mapping[str, float] | None) -> dict[str, float] | None:
    return None if subtypes is None else {name: float(value) for name, value in subtypes.items()}


def _readings(session: Session, since: datetime | None, with_slices: bool) -> ShadowReadings | None:
    same = (AnalysisRow.series_id == ShadowAnalysisRow.series_id) & (AnalysisRow.revision == ShadowAnalysisRow.revision)
    latest = session.execute(
        select(AnalysisRow.model_name, ShadowAnalysisRow.model_name)
        .join(ShadowAnalysisRow, same)
        .order_by(ShadowAnalysisRow.id.desc())
        .limit(1)
    ).first()
    if latest is None:
        return None
    active, shadow = (str(each) for each in latest)
    statement = (
        select(StudyRow.study_instance_uid, SeriesRow.series_instance_uid, AnalysisRow, ShadowAnalysisRow)
        .join(ShadowAnalysisRow, same)
        .join(SeriesRow, SeriesRow.id == AnalysisRow.series_id)
        .join(StudyRow, StudyRow.id == SeriesRow.study_id)
        .where(AnalysisRow.model_name == active, ShadowAnalysisRow.model_name == shadow)
        .where(*([ShadowAnalysisRow.read_at >= since] if since else []))
        .order_by(AnalysisRow.series_id, AnalysisRow.revision)
    )
    rows = {row[2].series_id: row for row in session.execute(statement)}  # the latest revision of each series
    slices = _slice_scores(session, [row[2].id for row in rows.values()]) if with_slices else {}
    pairs = tuple(
        ReadTwice(study, series, _scores(analysis, slices.get(analysis.id, ())), _shadow_scores(other, with_slices))
        for study, series, analysis, other in rows.values()
    )
    return ShadowReadings(active, shadow, pairs, _left_out(session, active, shadow, since))


def _scores(analysis: AnalysisRow, slices: Sequence[SliceScoreRow]) -> Scores:
    scored = tuple((each.sop_instance_uid, each.ich_probability, each.subtypes) for each in slices)
    return Scores(analysis.ich_probability, analysis.flagged, analysis.subtypes, scored, analysis.operating_threshold)


def _shadow_scores(shadow: ShadowAnalysisRow, with_slices: bool) -> Scores:
    kept: list[dict[str, Any]] = shadow.slices if with_slices else []
    scored = tuple((each["sop_instance_uid"], each["ich_probability"], each["subtypes"]) for each in kept)
    return Scores(shadow.ich_probability, shadow.flagged, shadow.subtypes, scored, shadow.operating_threshold)


def _slice_scores(session: Session, analysis_ids: Sequence[int]) -> dict[int, list[SliceScoreRow]]:
    scores: dict[int, list[SliceScoreRow]] = defaultdict(list)
    for first in range(0, len(analysis_ids), 500):
        some = select(SliceScoreRow).where(SliceScoreRow.analysis_id.in_(analysis_ids[first : first + 500]))
        for each in session.scalars(some.order_by(SliceScoreRow.analysis_id, SliceScoreRow.slice_index)):
            scores[each.analysis_id].append(each)
    return scores


def _left_out(session: Session, active: str, shadow: str, since: datetime | None) -> int:
    """How many current readings of the active release, since the shadow began, it has no part in."""
    began = session.scalar(select(func.min(ShadowAnalysisRow.read_at)).where(ShadowAnalysisRow.model_name == shadow))
    start = max(each for each in (began, since) if each is not None)
    other = aliased(ShadowAnalysisRow)
    has_shadow = (
        select(other.id)
        .where(other.series_id == AnalysisRow.series_id, other.revision == AnalysisRow.revision)
        .where(other.model_name == shadow)
        .exists()
    )
    statement = (
        select(func.count())
        .select_from(AnalysisRow)
        .join(SeriesRow, (SeriesRow.id == AnalysisRow.series_id) & (SeriesRow.revision == AnalysisRow.revision))
        .where(AnalysisRow.model_name == active, AnalysisRow.classified_at >= start, ~has_shadow)
    )
    return int(session.scalar(statement) or 0)
