"""Weeks of a hospital in the database, as the statistics see them: two scanners, readers who judge, one scanner that stops."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from triage_node.core.reader_task import TaskState, Verdict
from triage_node.core.reason import Reason
from triage_node.core.study_state import Priority, State
from triage_node.worklist.base import Base
from triage_node.worklist.observations import READ
from triage_node.worklist.reader_tables import FeedbackRow, ReaderTaskRow
from triage_node.worklist.tables import AnalysisRow, ObservationRow, SeriesRow, StudyRow

BUSY, HOSTILE = "CT_ER", "<script>alert(1)</script>"
STOPPED = "CT_WARD"
STUDIES_BY_HOUR = (0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 0, 0, 1, 0)
REASONS = (Reason.CONTRAST, Reason.CONTRAST, Reason.CONTRAST, Reason.MISSING_SLICES, Reason.NOT_HEAD)


def fill_weeks(engine: Engine, now: datetime, *, days: int = 28, seed: int = 7) -> int:
    """Write the studies of the days before ``now`` and return how many; the same seed writes the same."""
    draw = random.Random(seed)
    moments = list(_moments(now, days, draw))
    rows = [row for number, at in enumerate(moments, start=1) for row in _study(number, at, now, draw)]
    with Session(engine) as session, session.begin():
        for kind in (StudyRow, SeriesRow, AnalysisRow, ObservationRow, ReaderTaskRow, FeedbackRow):
            session.bulk_save_objects([row for row in rows if isinstance(row, kind)])  # keys lead to earlier kinds
    return len(moments)


def _moments(now: datetime, days: int, draw: random.Random) -> Iterator[datetime]:
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    for day in range(days - 1, -1, -1):
        for hour, usual in enumerate(STUDIES_BY_HOUR):
            for _ in range(usual + (draw.random() < 0.15)):
                at = midnight - timedelta(days=day) + timedelta(hours=hour, minutes=draw.uniform(0, 60))
                if at < now - timedelta(minutes=5):
                    yield at


def _study(number: int, at: datetime, now: datetime, draw: random.Random) -> Iterator[Base]:
    scanner = draw.choices((BUSY, STOPPED, HOSTILE), (6, 3, 1))[0]
    if scanner == STOPPED and now - at < timedelta(days=3):
        scanner = BUSY
    bleeding, refused = draw.random() < 0.12, draw.random() < 0.08
    flagged = None if refused else draw.random() < (0.86 if bleeding else 0.07)
    reason = draw.choice(REASONS) if refused else None
    last_at = at + timedelta(seconds=draw.uniform(3, 9))
    done_at = last_at + timedelta(seconds=draw.lognormvariate(0.5 if 8 <= at.hour < 16 else 0.1, 0.5))
    state = State.NOT_ANALYSED if refused else State.FORWARDED
    study = StudyRow(
        id=number,
        study_instance_uid=f"1.2.826.0.2.{number}",
        patient_id=f"MRN{number}",
        patient_name=f"Doe^Jane{number}",
        accession_number=f"A{number}",
        study_date="",
        study_time="",
        study_description="CT head",
        state=state,
        reason=reason,
        reason_detail="",
        priority=Priority.STAT if flagged else Priority.ROUTINE,
        task_state=TaskState.COMPLETED,
        workitem_uid=f"2.25.{number}",
        ich_probability=None if refused else (0.9 if flagged else 0.1),
        flagged=flagged,
        received_at=at,
        last_received_at=last_at,
        classified_at=None if refused else done_at,
        flagged_at=done_at if flagged else None,
        changed_at=done_at,
    )
    yield study
    yield _series(number, at, last_at, done_at, state, reason)
    if not refused:
        yield _analysis(number, bool(flagged), done_at)
    yield _observation(number, scanner, done_at, reason, flagged)
    if draw.random() < 0.9:
        yield _reading(number, done_at, draw)
        if flagged is not None and draw.random() < (0.8 if flagged else 0.3):
            yield _feedback(number, flagged, bleeding, done_at + timedelta(minutes=25))


def _series(number: int, at: datetime, last_at: datetime, done_at: datetime, state: State, reason: Any) -> SeriesRow:
    return SeriesRow(
        id=number,
        study_id=number,
        series_instance_uid=f"1.2.826.0.2.{number}.1",
        modality="CT",
        series_description="Head 5.0",
        revision=1,
        state=state,
        reason=reason,
        reason_detail="",
        instance_count=32,
        revision_opened_at=at,
        last_received_at=last_at,
        closed_at=last_at,
        ended_at=done_at,
        claims=1,
    )


def _analysis(number: int, flagged: bool, done_at: datetime) -> AnalysisRow:
    return AnalysisRow(
        series_id=number,
        revision=1,
        ich_probability=0.9 if flagged else 0.1,
        flagged=flagged,
        subtypes_present=[],
        model_name="made_up",
        model_version="1.0",
        weights_sha256="a" * 64,
        operating_point="balanced",
        operating_threshold=0.5,
        elapsed_ms=180.0,
        classified_at=done_at,
    )


def _observation(
    number: int, scanner: str, at: datetime, reason: Reason | None, flagged: bool | None
) -> ObservationRow:
    return ObservationRow(
        series_id=number,
        revision=1,
        outcome=reason.value if reason else READ,
        counted=True,
        observed_at=at,
        observed_on=at.astimezone(UTC).date(),
        calling_ae_title=scanner,
        station_name="",
        model_name=None if reason else "made_up",
        operating_point=None if reason else "balanced",
        ich_probability=None if reason else 0.5,
        score_bin=None if reason else 10,
        flagged=flagged,
    )


def _reading(number: int, done_at: datetime, draw: random.Random) -> ReaderTaskRow:
    acknowledged_at = done_at + timedelta(minutes=draw.lognormvariate(1.2, 0.8))
    completed_at = acknowledged_at + timedelta(minutes=draw.lognormvariate(2.0, 0.5))
    return ReaderTaskRow(
        study_id=number,
        acknowledged_by="house",
        acknowledged_at=acknowledged_at,
        taken_at=acknowledged_at,
        completed_by="house",
        completed_at=completed_at,
    )


def _feedback(number: int, flagged: bool, bleeding: bool, at: datetime) -> FeedbackRow:
    return FeedbackRow(
        study_id=number,
        revision=1,
        finding="ICH",
        present=flagged,
        verdict=Verdict.AGREE if flagged == bleeding else Verdict.DISAGREE,
        comment="",
        reader="house",
        given_at=at,
    )
