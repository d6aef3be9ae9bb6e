"""Figures over a window of time, from the tables and from the view that people query too (``v_turnaround``).

Every statement is bounded by an indexed time. What leaves the database is a few rows a day or a reason, and for the times one
narrow row for each study.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Boolean, ColumnElement, Engine, Float, and_, case, column, extract, func, select, table
from sqlalchemy.orm import InstrumentedAttribute, Session

from triage_node.core.drift import Scanner
from triage_node.core.finding import SUBTYPES
from triage_node.core.measured_load import MeasuredLoad
from triage_node.core.ports import Window
from triage_node.core.proportion import Proportion
from triage_node.core.reader_agreement import (
    ROLLING_DAYS,
    Agreement,
    Judgement,
    agreement_by_finding,
    rolling_agreement,
)
from triage_node.core.reader_task import Verdict
from triage_node.core.reason import REASON_TEXTS, Reason
from triage_node.core.scanner_silence import ScannerSilence
from triage_node.core.study_state import State
from triage_node.worklist.column_types import UtcDateTime
from triage_node.worklist.engine import Database
from triage_node.worklist.observations import READ
from triage_node.worklist.percentiles import percentiles
from triage_node.worklist.reader_tables import FeedbackRow
from triage_node.worklist.reading_load import HOURS_A_DAY, reading_load
from triage_node.worklist.scanner_activity import scanner_activity
from triage_node.worklist.tables import ObservationRow, StudyRow

_TURNAROUND = table(
    "v_turnaround",
    column("received_at", UtcDateTime()),
    column("last_slice_at", UtcDateTime()),
    column("flagged", Boolean()),
    column("slice_to_flag_s", Float()),
    column("flag_to_acknowledge_s", Float()),
)


class _Turnaround(NamedTuple):
    """Of one reading: the hour (UTC) in which its last slice came, and seconds; None: not acknowledged."""

    hour: int
    flagged: bool
    to_flag_s: float
    to_acknowledge_s: float | None


class SqlStatistics:
    """``core.ports.Statistics`` on SQL; each method is one transaction."""

    def __init__(self, engine: Engine) -> None:
        self._database = Database(engine)

    def statistics(self, window: Window) -> dict[str, Any]:
        """Return the figures."""
        with self._database.reading() as session:
            turnarounds = _turnarounds(session, window)
            return {
                "since": window.since.astimezone(UTC).isoformat(),
                "until": window.until.astimezone(UTC).isoformat(),
                "volume": _volume(session, window),
                "time_to_flag": _time_to_flag(turnarounds),
                "acknowledgement": _acknowledgement(turnarounds),
                "agreement": _agreement(session, window),
                "refusals": _refusals(session, window),
            }

    def scanners(self, now: datetime) -> Sequence[ScannerSilence]:
        """Return every scanner of the last days, the silent ones first, then by name."""
        with self._database.reading() as session:
            return scanner_activity(session, now)

    def load(self, window: Window) -> MeasuredLoad:
        """Return how many studies came in the window, when, and how long they took to read."""
        with self._database.reading() as session:
            return reading_load(session, window)


Column = ColumnElement[Any] | InstrumentedAttribute[Any]


def _within(moment: Column, window: Window) -> ColumnElement[bool]:
    return and_(moment >= window.since, moment < window.until)


def _counted(condition: Column) -> ColumnElement[int]:
    return func.count(case((condition, 1)))


def _volume(session: Session, window: Window) -> dict[str, Any]:
    day = func.date(StudyRow.received_at)  # the session's time zone is UTC on both databases
    statement = (
        select(
            day,
            func.count(),
            _counted(StudyRow.flagged.is_not(None)),
            _counted(StudyRow.flagged),
            _counted(StudyRow.state == State.NOT_ANALYSED),
            _counted(StudyRow.state == State.FAILED),
        )
        .where(_within(StudyRow.received_at, window))
        .group_by(day)
    )
    names = ("studies", "read", "flagged", "not_analysed", "failed")
    found = {str(key): dict(zip(names, counts, strict=True)) for key, *counts in session.execute(statement)}
    none = dict.fromkeys(names, 0)
    days = [{"day": day.isoformat()} | found.get(day.isoformat(), none) for day in _days(window)]
    total = {name: sum(each[name] for each in found.values()) for name in names}
    return total | {"flagged_share": Proportion(total["flagged"], total["read"]).as_json(), "days": days}


def _days(window: Window) -> list[date]:
    first, last = window.since.astimezone(UTC).date(), _last_day(window)
    return [first + timedelta(days=offset) for offset in range((last - first).days + 1)]


def _last_day(window: Window) -> date:
    """The last day (UTC) that has a moment of the window."""
    return (window.until.astimezone(UTC) - timedelta(microseconds=1)).date()


def _turnarounds(session: Session, window: Window) -> Sequence[_Turnaround]:
    shown = _TURNAROUND.c
    hour = extract("hour", shown.last_slice_at)
    statement = select(hour, shown.flagged, shown.slice_to_flag_s, shown.flag_to_acknowledge_s)
    rows = session.execute(statement.where(_within(shown.received_at, window)))
    return [_Turnaround(int(hour), flagged, to_flag_s, to_ack_s) for hour, flagged, to_flag_s, to_ack_s in rows]


def _time_to_flag(turnarounds: Sequence[_Turnaround]) -> dict[str, Any]:
    return {
        "all": percentiles(each.to_flag_s for each in turnarounds),
        "flagged": percentiles(each.to_flag_s for each in turnarounds if each.flagged),
        "hours": _by_hour((each.hour, each.to_flag_s) for each in turnarounds),
    }


def _acknowledgement(turnarounds: Sequence[_Turnaround]) -> dict[str, Any]:
    flagged = [each for each in turnarounds if each.flagged]
    acknowledged = [(each.hour, each.to_acknowledge_s) for each in flagged if each.to_acknowledge_s is not None]
    after_flag = [(hour, took_s) for hour, took_s in acknowledged if took_s >= 0.0]
    return {
        "flagged": len(flagged),
        "acknowledged": len(acknowledged),
        **percentiles(took_s for _, took_s in after_flag),
        "hours": _by_hour(after_flag),
    }


def _by_hour(durations: Iterable[tuple[int, float]]) -> list[dict[str, Any]]:
    of_hour: list[list[float]] = [[] for _ in range(HOURS_A_DAY)]
    for hour, took_s in durations:
        of_hour[hour].append(took_s)
    return [{"hour": hour, **percentiles(each)} for hour, each in enumerate(of_hour)]


def _agreement(session: Session, window: Window) -> dict[str, Any]:
    first, last = window.since.astimezone(UTC).date(), _last_day(window)
    judgements = _judgements(session, window)
    within = [each for given_at, each in judgements if given_at >= window.since]
    by_finding = agreement_by_finding(within)
    of_ich = [each for _, each in judgements if each.finding == "ICH"]
    return {
        "findings": [{"finding": name} | by_finding.get(name, Agreement()).as_json() for name in ("ICH", *SUBTYPES)],
        "rolling_days": ROLLING_DAYS,
        "rolling": [
            {
                "day": day.isoformat(),
                "judged": each.judged,
                "sensitivity": each.sensitivity.as_json(),
                "positive_predictive_value": each.positive_predictive_value.as_json(),
            }
            for day, each in rolling_agreement(of_ich, first, last)
        ],
    }


def _judgements(session: Session, window: Window) -> list[tuple[datetime, Judgement]]:
    """The last word on each finding of each study that was judged in the window or the days that roll into it, and when."""
    since = window.since - timedelta(days=ROLLING_DAYS)
    statement = (
        select(
            FeedbackRow.study_id, FeedbackRow.finding, FeedbackRow.present, FeedbackRow.verdict, FeedbackRow.given_at
        )
        .where(FeedbackRow.given_at >= since, FeedbackRow.given_at < window.until)
        .order_by(FeedbackRow.id)
    )
    last = {
        (study_id, finding): (
            given_at,
            Judgement(given_at.date(), finding, present, present if verdict is Verdict.AGREE else not present),
        )
        for study_id, finding, present, verdict, given_at in session.execute(statement)
    }
    return list(last.values())


def _refusals(session: Session, window: Window) -> dict[str, Any]:
    scanner = (ObservationRow.calling_ae_title, ObservationRow.station_name)
    statement = (
        select(*scanner, ObservationRow.outcome, func.count())
        .where(
            ObservationRow.observed_on >= window.since.astimezone(UTC).date(),
            ObservationRow.observed_on <= _last_day(window),
            _within(ObservationRow.observed_at, window),
            ObservationRow.counted,
        )
        .group_by(*scanner, ObservationRow.outcome)
    )
    reasons: dict[str, int] = {}
    scanners: dict[Scanner, dict[str, Any]] = {}
    for title, station, outcome, count in session.execute(statement):
        entry = scanners.setdefault(Scanner(title, station), {"read": 0, "refused": 0, "reasons": {}})
        if outcome == READ:
            entry["read"] += count
            continue
        entry["refused"] += count
        entry["reasons"][outcome] = count
        reasons[outcome] = reasons.get(outcome, 0) + count
    return {
        "reasons": [
            {"reason": name, "text": REASON_TEXTS[Reason(name)], "count": count} for name, count in _largest(reasons)
        ],
        "scanners": [
            {"scanner": str(each)} | scanners[each] | {"reasons": dict(_largest(scanners[each]["reasons"]))}
            for each in sorted(scanners)
        ],
    }


def _largest(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda each: (-each[1], each[0]))
