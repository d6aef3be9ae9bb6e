"""The drift charts on what was observed, the alarms that stand, and the baselines that somebody accepted.

A chart's reference is the first series of a scanner under the release that reads now, from its baseline on; what came
after them is charted, the latest ``_WINDOW`` series at most. Charts are worked out anew each time, so that a late slice
or another rule never leaves a sum that nobody can explain; only alarms are kept, so that each is told once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Engine, and_, func, or_, select
from sqlalchemy.orm import Session

from triage_node.core.drift import (
    EVERY_SCANNER,
    Chart,
    DriftAlarm,
    DriftRules,
    DriftTotals,
    Measure,
    Scanner,
    ScannerDrift,
    mean_charts,
    rate_charts,
)
from triage_node.core.errors import Refused
from triage_node.worklist import drift_counts
from triage_node.worklist.engine import Database
from triage_node.worklist.observations import READ
from triage_node.worklist.tables import DriftAlarmRow, DriftBaselineRow, ObservationRow
from triage_node.worklist.upsert import insert_or_update

_WINDOW = 20_000


class _Seen(NamedTuple):
    """One observation."""

    id: int
    at: datetime
    scanner: Scanner
    outcome: str
    score: float | None
    flagged: bool | None


@dataclass(frozen=True)
class _Stream:
    """The release that reads now, and its first reading."""

    model_name: str
    operating_point: str
    first_id: int

    @property
    def readings(self) -> ColumnElement[bool]:
        return and_(
            ObservationRow.outcome == READ,
            ObservationRow.model_name == self.model_name,
            ObservationRow.operating_point == self.operating_point,
        )

    @property
    def offers(self) -> ColumnElement[bool]:
        """Readings and the refusals that are charted."""
        other = [READ, *(each.value for each in drift_counts.NOT_CHARTED)]
        return or_(self.readings, ObservationRow.outcome.not_in(other))


class SqlDriftWatch:
    """Drift in the results database; each method is one transaction.

    Parameters
    ----------
    engine
        As ``SqlStudyRepository`` has it.
    rules
        How charts are laid out.
    """

    def __init__(self, engine: Engine, rules: DriftRules | None = None) -> None:
        self._database = Database(engine)
        self._rules = rules or DriftRules()

    def days(self, since: date) -> list[dict[str, Any]]:
        """See ``drift_counts.days``."""
        with self._database.reading() as session:
            return drift_counts.days(session, since)

    def totals(self) -> DriftTotals:
        """See ``drift_counts.totals``."""
        with self._database.reading() as session:
            return drift_counts.totals(session)

    def standing(self) -> list[ScannerDrift]:
        """Return every scanner's charts, all scanners together first; nothing before the first reading."""
        with self._database.reading() as session:
            return _standing(session, self._rules)

    def watch(self, now: datetime) -> tuple[list[DriftAlarm], list[str]]:
        """Bring the alarms that are kept up to date; return those that are new, and the names of those that are over."""
        alarms = {each.key: each for drift in self.standing() for each in drift.alarms}
        with self._database.reading() as session:
            kept = {_key(row) for row in _kept_standing(session)}
        if kept == set(alarms):
            return [], []  # the rule: nobody waits for a writer's lock
        with self._database.writing() as session:
            return _keep(session, alarms, now)

    def accept(self, scanner: Scanner, now: datetime) -> None:
        """Learn a scanner's charts anew from the next series on: it changed, and rightly so.

        Raises
        ------
        Refused
            Nothing was ever observed of it.
        """
        with self._database.writing() as session:
            of_scanner = _of(scanner)
            if session.scalar(select(ObservationRow.id).where(*of_scanner).limit(1)) is None:
                raise Refused(f"nothing was ever read or refused of {scanner}; `triage-node drift` lists the scanners")
            row = {
                "calling_ae_title": scanner.calling_ae_title,
                "station_name": scanner.station_name,
                "after_observation_id": session.scalar(select(func.max(ObservationRow.id))),
                "accepted_at": now,
            }
            key = ("calling_ae_title", "station_name")
            insert_or_update(session, DriftBaselineRow, row, key=key, update=("after_observation_id", "accepted_at"))


def _standing(session: Session, rules: DriftRules) -> list[ScannerDrift]:
    stream = _stream(session)
    if stream is None:
        return []
    baselines = {
        Scanner(each.calling_ae_title, each.station_name): each.after_observation_id
        for each in session.scalars(select(DriftBaselineRow))
    }
    window: dict[Scanner, list[_Seen]] = defaultdict(list)
    for each in _latest(session, stream):
        window[EVERY_SCANNER].append(each)
        window[each.scanner].append(each)
    return [
        _scanner_drift(session, stream, scanner, window[scanner], baselines.get(scanner, 0), rules)
        for scanner in sorted(window, key=lambda each: (each != EVERY_SCANNER, each))
    ]


def _stream(session: Session) -> _Stream | None:
    latest = session.execute(
        select(ObservationRow.model_name, ObservationRow.operating_point)
        .where(ObservationRow.outcome == READ, ObservationRow.counted)
        .order_by(ObservationRow.id.desc())
        .limit(1)
    ).first()
    if latest is None:
        return None
    model_name, operating_point = (str(each) for each in latest)
    first_id = session.scalar(
        select(func.min(ObservationRow.id)).where(
            ObservationRow.model_name == model_name, ObservationRow.operating_point == operating_point
        )
    )
    return _Stream(model_name, operating_point, int(first_id or 0))


_COLUMNS = (
    ObservationRow.id,
    ObservationRow.observed_at,
    ObservationRow.calling_ae_title,
    ObservationRow.station_name,
    ObservationRow.outcome,
    ObservationRow.ich_probability,
    ObservationRow.flagged,
)


def _seen(rows: Sequence[Any]) -> list[_Seen]:
    return [_Seen(row[0], row[1], Scanner(row[2], row[3]), row[4], row[5], row[6]) for row in rows]


def _latest(session: Session, stream: _Stream) -> list[_Seen]:
    """Return the latest observations, oldest first."""
    statement = (
        select(*_COLUMNS)
        .where(ObservationRow.id >= stream.first_id, ObservationRow.counted, stream.offers)
        .order_by(ObservationRow.id.desc())
        .limit(_WINDOW)
    )
    return _seen(session.execute(statement).all())[::-1]


def _of(scanner: Scanner) -> list[ColumnElement[bool]]:
    if scanner == EVERY_SCANNER:
        return []
    return [
        ObservationRow.calling_ae_title == scanner.calling_ae_title,
        ObservationRow.station_name == scanner.station_name,
    ]


def _scanner_drift(
    session: Session, stream: _Stream, scanner: Scanner, window: Sequence[_Seen], baseline: int, rules: DriftRules
) -> ScannerDrift:
    def first(which: ColumnElement[bool]) -> list[_Seen]:
        """The reference: the scanner's first observations from its baseline on."""
        statement = (
            select(*_COLUMNS)
            .where(*_of(scanner), ObservationRow.id >= max(stream.first_id, baseline + 1))
            .where(ObservationRow.counted, which)
            .order_by(ObservationRow.id)
            .limit(rules.reference_series)
        )
        return _seen(session.execute(statement).all())

    read, offered = first(stream.readings), first(stream.offers)
    charts: list[tuple[Chart, Sequence[_Seen]]] = []
    if len(read) == rules.reference_series:
        later = [each for each in window if each.id > read[-1].id and each.outcome == READ]
        charts += _charted(rate_charts, Measure.POSITIVE_RATE, read, later, _flag, rules)
        charts += _charted(mean_charts, Measure.MEAN_SCORE, read, later, _score, rules)
    if len(offered) == rules.reference_series:
        later = [each for each in window if each.id > offered[-1].id]
        charts += _charted(rate_charts, Measure.REFUSAL_RATE, offered, later, _refusal, rules)
    return ScannerDrift(
        scanner=scanner,
        model_name=stream.model_name,
        operating_point=stream.operating_point,
        read=len(read),
        offered=len(offered),
        charts=tuple(chart for chart, _ in charts),
        alarms=tuple(_alarm(scanner, chart, later) for chart, later in charts if chart.raised_at is not None),
    )


_Charts = Callable[[Measure, Sequence[float], Sequence[float], DriftRules], tuple[Chart, Chart]]


def _charted(
    make: _Charts,
    measure: Measure,
    reference: Sequence[_Seen],
    later: Sequence[_Seen],
    value: Callable[[_Seen], float],
    rules: DriftRules,
) -> list[tuple[Chart, Sequence[_Seen]]]:
    made = make(measure, [value(each) for each in reference], [value(each) for each in later], rules)
    return [(chart, later) for chart in made]


def _flag(seen: _Seen) -> float:
    return float(bool(seen.flagged))


def _score(seen: _Seen) -> float:
    return seen.score or 0.0


def _refusal(seen: _Seen) -> float:
    return float(seen.outcome != READ)


def _alarm(scanner: Scanner, chart: Chart, later: Sequence[_Seen]) -> DriftAlarm:
    assert chart.raised_at is not None  # the caller asks for nothing else
    since, changed_at = later[chart.raised_at].at, later[chart.changed_at].at
    return DriftAlarm(scanner, chart.measure, chart.direction, since, changed_at, chart.reference, chart.recent)


_Key = tuple[str, str, str, str, datetime]
_KEY = ("calling_ae_title", "station_name", "measure", "direction", "since")


def _key(row: DriftAlarmRow) -> _Key:
    return row.calling_ae_title, row.station_name, row.measure, row.direction, row.since


def _kept_standing(session: Session) -> list[DriftAlarmRow]:
    return list(session.scalars(select(DriftAlarmRow).where(DriftAlarmRow.cleared_at.is_(None))))


def _keep(session: Session, alarms: Mapping[_Key, DriftAlarm], now: datetime) -> tuple[list[DriftAlarm], list[str]]:
    """Clear what no longer stands and insert what is new; an alarm whose beginning has moved is not told again."""
    standing = {_key(row): row for row in _kept_standing(session)}
    for key in standing.keys() - alarms.keys():
        standing[key].cleared_at = now
    for key in alarms.keys() - standing.keys():
        row = dict(zip(_KEY, key, strict=True)) | {"noticed_at": now, "cleared_at": None}
        insert_or_update(session, DriftAlarmRow, row, key=_KEY, update=("cleared_at",))
    told, now_standing = ({key[:4] for key in keys} for keys in (standing, alarms))
    over = [
        f"{measure} {direction} of {Scanner(calling_ae_title, station_name)}"
        for calling_ae_title, station_name, measure, direction in sorted(told - now_standing)
    ]
    return [alarms[key] for key in sorted(alarms) if key[:4] not in told], over
