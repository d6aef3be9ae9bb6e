"""Counts of observations: per day, scanner and release for people, in total for metrics. Changes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import date
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from triage_node.core.drift import SCORE_BINS, DriftTotals, Scanner
from triage_node.core.reason import Reason
from triage_node.worklist.observations import READ
from triage_node.worklist.tables import DriftAlarmRow, ObservationRow

NOT_CHARTED = (Reason.NOT_CT, Reason.NO_PIXELS, Reason.BETTER_SERIES)
"""Refusals that say nothing of a scanner's images: other objects of a study, and the choice between eligible series."""


def days(session: Session, since: date) -> list[dict[str, Any]]:
    """Return one entry for each day (UTC), scanner and release, newest day first; refusals have no release.

    ``histogram`` counts readings by score in ``SCORE_BINS`` bins of equal width. ``refusal_rate`` is the scanner's on that
    day, over all releases and without the refusals that are ``NOT_CHARTED``; None where nothing else came.
    """
    key = (
        ObservationRow.observed_on,
        ObservationRow.calling_ae_title,
        ObservationRow.station_name,
        ObservationRow.model_name,
        ObservationRow.operating_point,
    )
    what = (ObservationRow.outcome, ObservationRow.score_bin, ObservationRow.flagged)
    statement = (
        select(*key, *what, func.count(), func.sum(ObservationRow.ich_probability))
        .where(ObservationRow.observed_on >= since, ObservationRow.counted)
        .group_by(*key, *what)
    )
    entries: dict[tuple[Any, ...], dict[str, Any]] = {}
    for *named, outcome, bin_, flagged, count, score in session.execute(statement):
        entry = entries.setdefault(tuple(named), _empty(*named))
        if outcome == READ:
            entry["read"] += count
            entry["flagged"] += count if flagged else 0
            entry["score_sum"] += score
            entry["histogram"][bin_] += count
        else:
            entry["refused"][outcome] = count
    order = sorted(entries, key=lambda each: (each[0], *(part or "" for part in each[1:])))
    order.sort(key=lambda each: each[0], reverse=True)
    rates = _refusal_rates(entries)
    return [_finished(entries[each]) | {"refusal_rate": rates[each[:_BY_SCANNER]]} for each in order]


_BY_SCANNER = 3
"""The first parts of an entry's key: day, calling AE title, station name."""


def _refusal_rates(entries: Mapping[tuple[Any, ...], Mapping[str, Any]]) -> dict[tuple[Any, ...], float | None]:
    """Return the share refused of what each scanner offered each day."""
    not_charted = {each.value for each in NOT_CHARTED}
    read: Counter[tuple[Any, ...]] = Counter()
    refused: Counter[tuple[Any, ...]] = Counter()
    for key, entry in entries.items():
        read[key[:_BY_SCANNER]] += entry["read"]
        counts = (count for reason, count in entry["refused"].items() if reason not in not_charted)
        refused[key[:_BY_SCANNER]] += sum(counts)
    offered = {key: read[key] + refused[key] for key in read}
    return {key: refused[key] / count if count else None for key, count in offered.items()}


def _empty(
    day: date, calling_ae_title: str, station_name: str, model_name: str | None, operating_point: str | None
) -> dict[str, Any]:
    return {
        "day": day.isoformat(),
        "calling_ae_title": calling_ae_title,
        "station_name": station_name,
        "release": model_name,
        "operating_point": operating_point,
        "read": 0,
        "flagged": 0,
        "score_sum": 0.0,
        "histogram": [0] * SCORE_BINS,
        "refused": {},
    }


def _finished(entry: dict[str, Any]) -> dict[str, Any]:
    read, score_sum = entry["read"], entry.pop("score_sum")
    return entry | {
        "positive_rate": entry["flagged"] / read if read else None,
        "mean_score": score_sum / read if read else None,
        "refused": dict(sorted(entry["refused"].items())),
    }


def totals(session: Session) -> DriftTotals:
    """Return what was ever observed, by scanner; overtaken revisions stay in it, so that no total ever falls."""
    statement = select(
        ObservationRow.calling_ae_title,
        ObservationRow.station_name,
        ObservationRow.outcome,
        ObservationRow.flagged,
        func.count(),
    ).group_by(
        ObservationRow.calling_ae_title, ObservationRow.station_name, ObservationRow.outcome, ObservationRow.flagged
    )
    read: dict[Scanner, int] = {}
    flags: dict[Scanner, int] = {}
    refused: dict[tuple[Scanner, str], int] = {}
    for calling_ae_title, station_name, outcome, flagged, count in session.execute(statement):
        scanner = Scanner(calling_ae_title, station_name)
        if outcome != READ:
            refused[scanner, outcome] = count
            continue
        read[scanner] = read.get(scanner, 0) + count
        flags[scanner] = flags.get(scanner, 0) + (count if flagged else 0)
    standing = select(DriftAlarmRow).where(DriftAlarmRow.cleared_at.is_(None))
    alarms = [
        (Scanner(each.calling_ae_title, each.station_name), each.measure, each.direction)
        for each in session.scalars(standing)
    ]
    return DriftTotals(read, flags, refused, alarms)
