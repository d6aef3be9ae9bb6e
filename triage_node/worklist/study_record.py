"""One study in full, as ``triage-node show`` and the web page of a study have it: from series down to deliveries."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from triage_node.worklist.queries import delivery_entry, evidence_entry, iso, study_entry
from triage_node.worklist.tables import (
    AnalysisRow,
    AssociationRow,
    DeliveryRow,
    EvidenceRow,
    SeriesAssociationRow,
    SeriesRow,
    SliceScoreRow,
    StudyRow,
)


def study_record(session: Session, study_instance_uid: str) -> dict[str, Any] | None:
    """Return all that is known of a study, or None."""
    study = session.scalar(select(StudyRow).where(StudyRow.study_instance_uid == study_instance_uid))
    if study is None:
        return None
    series = session.scalars(select(SeriesRow).where(SeriesRow.study_id == study.id).order_by(SeriesRow.id))
    return study_entry(study) | {
        "study_id": study.id,
        "last_received_at": iso(study.last_received_at),
        "series": [_series_entry(session, each) for each in series],
    }


def _series_entry(session: Session, series: SeriesRow) -> dict[str, Any]:
    return {
        "series_id": series.id,
        "series_instance_uid": series.series_instance_uid,
        "modality": series.modality,
        "series_description": series.series_description,
        "revision": series.revision,
        "state": series.state.value,
        "reason": series.reason.value if series.reason else None,
        "detail": series.reason_detail or None,
        "instance_count": series.instance_count,
        "revision_opened_at": iso(series.revision_opened_at),
        "last_received_at": iso(series.last_received_at),
        "closed_at": iso(series.closed_at),
        "ended_at": iso(series.ended_at),
        "claims": series.claims,
        "leased_until": iso(series.leased_until),
        "associations": _associations(session, series),
        "revisions": _revisions(session, series),
    }


def _associations(session: Session, series: SeriesRow) -> list[dict[str, Any]]:
    statement = (
        select(AssociationRow)
        .join(SeriesAssociationRow, SeriesAssociationRow.association_id == AssociationRow.association_id)
        .where(SeriesAssociationRow.series_id == series.id)
        .order_by(AssociationRow.opened_at, AssociationRow.association_id)
    )
    return [
        {
            "association_id": each.association_id,
            "calling_ae_title": each.calling_ae_title,
            "called_ae_title": each.called_ae_title,
            "address": each.address,
            "opened_at": iso(each.opened_at),
            "ended_at": iso(each.ended_at),
            "aborted": each.aborted,
        }
        for each in session.scalars(statement)
    ]


def _revisions(session: Session, series: SeriesRow) -> list[dict[str, Any]]:
    """The current revision and every earlier one that left something, oldest first."""
    analyses = {
        each.revision: each for each in session.scalars(select(AnalysisRow).where(AnalysisRow.series_id == series.id))
    }
    evidence = _evidence(session, series)
    return [
        {
            "revision": revision,
            **_analysis_entry(analyses.get(revision)),
            "slices": _slice_entries(session, analyses.get(revision)),
            "evidence": evidence.get(revision, []),
        }
        for revision in sorted({series.revision, *analyses, *evidence})
    ]


_ANALYSIS_VALUES = (
    "ich_probability",
    "flagged",
    "subtypes",
    "subtypes_present",
    "model_name",
    "model_version",
    "weights_sha256",
    "operating_point",
    "operating_threshold",
    "elapsed_ms",
)


def _analysis_entry(analysis: AnalysisRow | None) -> dict[str, Any]:
    if analysis is None:
        return dict.fromkeys((*_ANALYSIS_VALUES, "classified_at"))
    return {name: getattr(analysis, name) for name in _ANALYSIS_VALUES} | {"classified_at": iso(analysis.classified_at)}


def _slice_entries(session: Session, analysis: AnalysisRow | None) -> list[dict[str, Any]]:
    """From inferior to superior."""
    if analysis is None:
        return []
    scores = select(SliceScoreRow).where(SliceScoreRow.analysis_id == analysis.id).order_by(SliceScoreRow.slice_index)
    return [
        {
            "sop_instance_uid": each.sop_instance_uid,
            "ich_probability": each.ich_probability,
            "subtypes": each.subtypes,
            "flagged": each.flagged,
        }
        for each in session.scalars(scores)
    ]


def _evidence(session: Session, series: SeriesRow) -> dict[int, list[dict[str, Any]]]:
    deliveries: dict[int, list[dict[str, Any]]] = defaultdict(list)
    of_series = select(EvidenceRow).where(EvidenceRow.series_id == series.id).order_by(EvidenceRow.id)
    sent = (
        select(DeliveryRow)
        .join(EvidenceRow, EvidenceRow.id == DeliveryRow.evidence_id)
        .where(EvidenceRow.series_id == series.id)
        .order_by(DeliveryRow.id)
    )
    for delivery in session.scalars(sent):
        deliveries[delivery.evidence_id].append(delivery_entry(delivery))
    entries: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for each in session.scalars(of_series):
        entries[each.revision].append(evidence_entry(each) | {"deliveries": deliveries[each.id]})
    return entries
