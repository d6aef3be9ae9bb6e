"""What drift is counted from: one row for each series that was read or refused, written with the reading or refusal itself.

Rows carry the scanner, the release and the outcome, and outlive their series: retention cuts the tie. A step that is
repeated adds nothing. Each series counts once, as its latest revision ended; a series that is only read again (a
reprocess: no slice came in) does not count again, because it says nothing new of its scanner.

The caller holds the lock of the study.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from triage_node.core.drift import score_bin
from triage_node.core.finding import Finding
from triage_node.core.reason import Reason
from triage_node.worklist.tables import AssociationRow, InstanceRow, ObservationRow, SeriesAssociationRow, SeriesRow

READ = "READ"
"""The outcome of a series that was read; every other outcome is a reason code."""


def observe_reading(session: Session, series: SeriesRow, revision: int, finding: Finding, at: datetime) -> None:
    """Note that a release read a revision."""
    reading = {
        "model_name": finding.model_name,
        "operating_point": finding.operating_point,
        "ich_probability": float(finding.ich_probability),
        "score_bin": score_bin(finding.ich_probability),
        "flagged": bool(finding.flagged),
    }
    _observe(session, series, revision, READ, at, **reading)


def observe_refusal(session: Session, series: SeriesRow, revision: int, reason: Reason, at: datetime) -> None:
    """Note that a revision was not read, and why."""
    _observe(session, series, revision, reason.value, at)


def _observe(session: Session, series: SeriesRow, revision: int, outcome: str, at: datetime, **reading: Any) -> None:
    earlier = session.scalars(select(ObservationRow).where(ObservationRow.series_id == series.id)).all()
    if any((each.revision, each.outcome) == (revision, outcome) for each in earlier):
        return
    overtaken = any(each.revision > revision for each in earlier)
    counted = not overtaken and (not earlier or _has_slices_of(session, series, revision))
    if counted:
        for each in earlier:
            each.counted = False
    calling_ae_title, station_name = _scanner(session, series)
    row = ObservationRow(
        series_id=series.id,
        revision=revision,
        outcome=outcome,
        counted=counted,
        observed_at=at,
        observed_on=at.astimezone(UTC).date(),
        calling_ae_title=calling_ae_title,
        station_name=station_name,
        **reading,
    )
    session.add(row)


def _has_slices_of(session: Session, series: SeriesRow, revision: int) -> bool:
    """Whether slices opened this revision; only a reprocess opens one without."""
    of_revision = exists().where(InstanceRow.series_id == series.id, InstanceRow.revision == revision)
    return bool(session.scalar(select(of_revision)))


def _scanner(session: Session, series: SeriesRow) -> tuple[str, str]:
    """Return the calling AE title that last added to a series, and the station name its headers give; empty: unknown."""
    calling_ae_title = session.scalar(
        select(AssociationRow.calling_ae_title)
        .join(SeriesAssociationRow, SeriesAssociationRow.association_id == AssociationRow.association_id)
        .where(SeriesAssociationRow.series_id == series.id)
        .order_by(SeriesAssociationRow.revision.desc(), AssociationRow.opened_at.desc())
        .limit(1)
    )
    station_name = session.scalar(
        select(InstanceRow.header["station_name"].as_string())
        .where(InstanceRow.series_id == series.id)
        .order_by(InstanceRow.sop_instance_uid)
        .limit(1)
    )
    return calling_ae_title or "", station_name or ""
