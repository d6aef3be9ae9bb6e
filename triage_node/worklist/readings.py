"""The worker's side: leases on series, findings, evidence, failures, and reading again.

A lease keeps two workers off one series. It is a courtesy, not a guard: every step may run twice, and what it writes the
second time is what is there already.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import and_, delete, insert, or_, select
from sqlalchemy.orm import Session

from triage_node.core.commitment import CommitmentState
from triage_node.core.destination import Destination, wants
from triage_node.core.finding import Finding
from triage_node.core.ports import EarlierReport, EvidenceObject
from triage_node.core.reason import Reason, Refusal
from triage_node.core.report import EarlierAnswer
from triage_node.core.study_state import (
    FINAL_STATES,
    DeliveryState,
    Event,
    State,
    after,
    proposed_priority,
    raised,
)
from triage_node.worklist.arrivals import open_revision
from triage_node.worklist.closing import end_series
from triage_node.worklist.observations import observe_reading
from triage_node.worklist.reader_tasks import note_new_flag
from triage_node.worklist.row_locks import current_series, locked_series, locked_studies
from triage_node.worklist.standing import update_standing
from triage_node.worklist.tables import (
    AnalysisRow,
    AssociationRow,
    DeliveryRow,
    EvidenceRow,
    SeriesAssociationRow,
    SeriesRow,
    SliceScoreRow,
)

_READABLE = (State.CLOSED, State.CLASSIFIED)
_CLAIMS_ALLOWED = 2
"""A series whose readers died twice is likely what kills them; a third try would take down one worker after another."""


def claim(session: Session, series_id: int, revision: int, now: datetime, lease_s: float) -> bool:
    """Take the lease, or say no."""
    series = locked_series(session, series_id)
    if series.revision != revision or series.state not in _READABLE:
        return False
    if series.leased_until is not None and series.leased_until > now:
        return False
    if series.claims >= _CLAIMS_ALLOWED:
        refusal = Refusal(Reason.WORKER_LOST, f"{series.claims} workers took the series and did not come back")
        end_series(series, Event.FAIL, now, refusal)
        update_standing(session, series.study)
        return False
    series.claims += 1
    series.leased_until = now + timedelta(seconds=lease_s)
    return True


def release_claim(session: Session, series_id: int, revision: int) -> None:
    """Give the lease back; a claim that another revision or an expiry has already ended is none."""
    series = locked_series(session, series_id)
    if series.revision == revision and series.leased_until is not None:
        series.leased_until = None
        series.claims = max(0, series.claims - 1)


def due_for_reading(session: Session, now: datetime) -> list[tuple[int, int]]:
    """Return what waits for a worker, the longest waiting first."""
    statement = (
        select(SeriesRow.id, SeriesRow.revision)
        .where(
            SeriesRow.state.in_(_READABLE),
            or_(SeriesRow.leased_until.is_(None), SeriesRow.leased_until <= now),
        )
        .order_by(SeriesRow.closed_at, SeriesRow.id)
    )
    return [(series_id, revision) for series_id, revision in session.execute(statement)]


def _keep_finding(
    session: Session, series: SeriesRow, revision: int, finding: Finding, classified_at: datetime
) -> None:
    """Keep what the cascade said of a revision, current or not, and raise the study's priority if it asks for that."""
    key = (AnalysisRow.series_id == series.id) & (AnalysisRow.revision == revision)
    session.execute(delete(AnalysisRow).where(key))
    analysis = AnalysisRow(
        series_id=series.id,
        revision=revision,
        ich_probability=float(finding.ich_probability),
        flagged=bool(finding.flagged),
        subtypes=_plain(finding.subtypes),
        subtypes_present=list(finding.subtypes_present),
        model_name=finding.model_name,
        model_version=finding.model_version,
        weights_sha256=finding.weights_sha256,
        operating_point=finding.operating_point,
        operating_threshold=float(finding.operating_threshold),
        elapsed_ms=float(finding.elapsed_ms),
        classified_at=classified_at,
    )
    session.add(analysis)
    session.flush()
    session.execute(insert(SliceScoreRow), _slice_scores(analysis.id, finding))
    observe_reading(session, series, revision, finding, classified_at)
    series.study.priority = raised(series.study.priority, proposed_priority(finding))


def _plain(subtypes: Mapping[str, float] | None) -> dict[str, float] | None:
    """Plain floats for JSON: a network's outputs are NumPy's."""
    return None if subtypes is None else {name: float(value) for name, value in subtypes.items()}


def _slice_scores(analysis_id: int, finding: Finding) -> list[dict[str, Any]]:
    return [
        {
            "analysis_id": analysis_id,
            "slice_index": index,
            "sop_instance_uid": each.sop_instance_uid,
            "ich_probability": float(each.ich_probability),
            "subtypes": _plain(each.subtypes),
            "flagged": bool(each.flagged),
        }
        for index, each in enumerate(finding.slices)
    ]


def save_finding(session: Session, series_id: int, revision: int, finding: Finding, classified_at: datetime) -> bool:
    """Move the series to CLASSIFIED where it still waits for this finding; keep the finding in any case.

    A reading that evidence has been written from is not replaced: the report would no longer say what is on the
    worklist. Returns False where the series has moved on or ended meanwhile.
    """
    series = locked_series(session, series_id)
    study, was_flagged = series.study, series.study.flagged
    current = series.revision == revision
    if current and series.state in (State.EVIDENCED, State.FORWARDED):
        return True
    _keep_finding(session, series, revision, finding, classified_at)
    awaited = current and series.state in _READABLE
    if awaited:
        series.state = after(series.state, Event.CLASSIFY)
    update_standing(session, study)
    if study.flagged and not was_flagged:
        note_new_flag(session, study)
    return awaited


def predecessor_report(session: Session, series_id: int, revision: int) -> EarlierReport | None:
    """Return the latest SR that an earlier revision of the series has, or the study as one that was not analysed."""
    series = session.get_one(SeriesRow, series_id)
    earlier = and_(EvidenceRow.series_id == series_id, EvidenceRow.revision < revision)
    not_analysed = and_(SeriesRow.study_id == series.study_id, SeriesRow.id != series_id, AnalysisRow.id.is_(None))
    statement = (
        select(EvidenceRow, AnalysisRow)
        .join(SeriesRow, SeriesRow.id == EvidenceRow.series_id)
        .outerjoin(
            AnalysisRow,
            and_(AnalysisRow.series_id == EvidenceRow.series_id, AnalysisRow.revision == EvidenceRow.revision),
        )
        .where(EvidenceRow.kind == "SR", or_(earlier, not_analysed))
        .order_by(EvidenceRow.created_at.desc(), EvidenceRow.id.desc())
        .limit(1)
    )
    found = session.execute(statement).first()
    if found is None:
        return None
    evidence, analysis = found
    answer = EarlierAnswer(analysis.flagged, tuple(analysis.subtypes_present)) if analysis else EarlierAnswer(None)
    return EarlierReport(Path(evidence.path), answer)


def save_evidence(
    session: Session,
    series_id: int,
    revision: int,
    objects: Sequence[EvidenceObject],
    destinations: Sequence[Destination],
    now: datetime,
) -> None:
    """Move the series to EVIDENCED and fill the outbox with what each destination wants."""
    series = current_series(session, series_id, revision)
    if series.state in (State.EVIDENCED, State.FORWARDED):
        return
    series.state = after(series.state, Event.WRITE_EVIDENCE)
    series.leased_until = None
    if not fill_outbox(session, series, objects, destinations, now):
        end_series(series, Event.FORWARD, now)
    update_standing(session, series.study)


def fill_outbox(
    session: Session,
    series: SeriesRow,
    objects: Sequence[EvidenceObject],
    destinations: Sequence[Destination],
    now: datetime,
) -> int:
    """Keep note of the evidence of a series' current revision and make it due where it is wanted; return at how many."""
    rows = [_evidence(series, each, now) for each in objects]
    session.add_all(rows)
    session.flush()
    owed = _owed(session, series, rows, destinations)
    session.add_all(_delivery(row, destination, now) for row, destination in owed)
    return len(owed)


def _owed(
    session: Session, series: SeriesRow, rows: Sequence[EvidenceRow], destinations: Sequence[Destination]
) -> list[tuple[EvidenceRow, Destination]]:
    """Return which object goes where, by ``core.destination.wants``."""
    flagged = session.scalar(
        select(AnalysisRow.flagged).where(AnalysisRow.series_id == series.id, AnalysisRow.revision == series.revision)
    )
    told_before = set(
        session.scalars(
            select(DeliveryRow.destination)
            .join(EvidenceRow, EvidenceRow.id == DeliveryRow.evidence_id)
            .where(EvidenceRow.series_id == series.id)
        )
    )
    called_ae_titles = set(
        session.scalars(
            select(AssociationRow.called_ae_title)
            .join(SeriesAssociationRow, SeriesAssociationRow.association_id == AssociationRow.association_id)
            .join(SeriesRow, SeriesRow.id == SeriesAssociationRow.series_id)
            .where(SeriesRow.study_id == series.study_id)
        )
    )
    return [
        (row, each)
        for row in rows
        for each in dict.fromkeys(destinations)
        if wants(
            each,
            row.kind,
            flagged=bool(flagged) or each.name in told_before,
            called_ae_titles=called_ae_titles,
        )
    ]


def _evidence(series: SeriesRow, made: EvidenceObject, now: datetime) -> EvidenceRow:
    return EvidenceRow(
        series_id=series.id,
        revision=series.revision,
        kind=made.kind,
        number=made.number,
        sop_class_uid=made.sop_class_uid,
        sop_instance_uid=made.sop_instance_uid,
        series_instance_uid=made.series_instance_uid,
        path=str(made.path),
        created_at=now,
    )


def _delivery(evidence: EvidenceRow, destination: Destination, now: datetime) -> DeliveryRow:
    return DeliveryRow(
        evidence_id=evidence.id,
        destination=destination.name,
        state=DeliveryState.DUE,
        attempts=0,
        due_since=now,
        next_attempt_at=now,
        detail="",
        warned=False,
        commitment=CommitmentState.WANTED if destination.storage_commitment else None,
    )


def fail(session: Session, series_id: int, revision: int, refusal: Refusal, failed_at: datetime) -> None:
    """End a series as failed; the first failure of a revision stands, and an overtaken revision is left alone."""
    series = locked_series(session, series_id)
    if series.revision != revision or series.state is State.FAILED:
        return
    end_series(series, Event.FAIL, failed_at, refusal)
    update_standing(session, series.study)


def reprocess(session: Session, study_instance_uid: str, requested_at: datetime) -> list[tuple[int, int]]:
    """Close every ended series of a study anew, as its next revision."""
    study = locked_studies(session, [study_instance_uid]).get(study_instance_uid)
    if study is None:
        return []
    ended = select(SeriesRow).where(
        SeriesRow.study_id == study.id, SeriesRow.state.in_((*FINAL_STATES, State.EVIDENCED))
    )
    reopened = []
    for series in session.scalars(ended.order_by(SeriesRow.id)):
        series.state = after(series.state, Event.REPROCESS)
        open_revision(series, requested_at)
        series.closed_at = requested_at
        reopened.append((series.id, series.revision))
    if reopened:
        update_standing(session, study)
    return reopened
