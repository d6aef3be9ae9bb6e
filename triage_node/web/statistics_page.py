"""The statistics for people: pictures with a table beside each, over the days that were asked for.

No patient is in any of it. Days and hours are UTC, as everywhere in the figures.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import HTMLResponse

from triage_node.core.access import Permission, Visitor
from triage_node.core.errors import ConfigurationRejected
from triage_node.core.ports import LONGEST_WINDOW, Statistics, Window
from triage_node.core.proportion import share_text
from triage_node.core.reader_agreement import FEEDBACK_CAVEAT
from triage_node.core.scanner_silence import SILENCE_RULE
from triage_node.web import statistics_pictures as drawn
from triage_node.web.pages import page
from triage_node.web.parts import WebParts
from triage_node.web.study_timeline import duration
from triage_node.web.visitors import require

USUAL_DAYS = 28
CHOICES = (7, 28, 90, LONGEST_WINDOW.days - 1)
"""Days back that are one press away."""
_LONGEST_TEXT = 40
_FIRST_YEAR, _LAST_YEAR = 1990, 2999

MaySeeStatistics = Annotated[Visitor, Depends(require(Permission.SEE_STATISTICS))]


class NoPeriod(ConfigurationRejected):
    """What was asked for is no span of days; the message tells the visitor why."""


@dataclass(frozen=True)
class Period:
    """Whole days, UTC, the last one included."""

    first: date
    last: date

    @property
    def window(self) -> Window:
        """The same as moments.

        Raises
        ------
        NoPeriod
            It is longer than the statistics go.
        """
        if self.last - self.first >= LONGEST_WINDOW:
            raise NoPeriod(f"At most {LONGEST_WINDOW.days} days can be shown at once.")
        return Window(_midnight(self.first), _midnight(self.last + timedelta(days=1)))


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def read_period(given: Mapping[str, str], today: date) -> Period:
    """Return the days that a query string asks for; where it names no end, today.

    Raises
    ------
    NoPeriod
        A value is no day, or the days are in the wrong order.
    """
    last = _day(given.get("until", ""), "last day") or today
    first = _day(given.get("from", ""), "first day") or last - timedelta(days=USUAL_DAYS - 1)
    if first > last:
        raise NoPeriod(f"The first day ({first}) lies after the last ({last}).")
    return Period(first, last)


def _day(text: str, name: str) -> date | None:
    text = text.strip()
    if not text:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = date.min
    if not _FIRST_YEAR <= day.year <= _LAST_YEAR:
        raise NoPeriod(f"The {name} is written like 2026-03-01, not {text[:_LONGEST_TEXT]!r}.")
    return day


def routes(parts: WebParts, source: Statistics) -> APIRouter:
    """Return the routes."""
    router = APIRouter(include_in_schema=False)

    @router.get("/statistics", response_class=HTMLResponse)
    def statistics(request: Request, visitor: MaySeeStatistics) -> Response:
        now = parts.clock.now()
        today = now.astimezone(UTC).date()
        asked = {name: request.query_params.get(name, "")[:_LONGEST_TEXT] for name in ("from", "until")}
        common: dict[str, Any] = {
            "choices": [(days, today - timedelta(days=days - 1)) for days in CHOICES],
            "today": today,
            "scanners": source.scanners(now),
            **_WORDS,
        }
        try:
            period = read_period(asked, today)
            shown = _shown(source, period)
        except NoPeriod as refused:
            return page(request, "statistics.html", status_code=400, told=str(refused), asked=asked, **common)
        asked = {"from": str(period.first), "until": str(period.last)}
        return page(request, "statistics.html", asked=asked, period=period, **shown, **common)

    return router


_WORDS: dict[str, Any] = {
    "duration": duration,
    "share_text": share_text,
    "silence_bar": drawn.silence_bar,
    "alarm_limit": 100.0 / drawn.SHOWN_ALARM_LIMITS,
    "silence_rule": SILENCE_RULE,
    "feedback_caveat": FEEDBACK_CAVEAT,
}


def _shown(source: Statistics, period: Period) -> dict[str, Any]:
    found = source.statistics(period.window)
    spans, agreement = drawn.volume_spans(found["volume"]["days"]), found["agreement"]
    return {
        "found": found,
        "ich": agreement["findings"][0],
        "spans": spans,
        "rolling_rows": drawn.rolling_rows(agreement),
        "refused_scanners": drawn.refused_scanners(found["refusals"]),
        "pictures": {
            "volume": drawn.volume_picture(spans),
            "flagged_share": drawn.flagged_share_picture(spans),
            "to_flag": drawn.hours_picture(found["time_to_flag"]["hours"], "time from the last slice to the result"),
            "to_acknowledge": drawn.hours_picture(
                found["acknowledgement"]["hours"], "time from the flag to its acknowledgement"
            ),
            "sensitivity": drawn.rolling_picture(agreement, "sensitivity", "sensitivity"),
            "ppv": drawn.rolling_picture(agreement, "positive_predictive_value", "positive predictive value"),
        },
    }
