"""What the address of the worklist page asks for: read from the query string, and written back into links.

Everything is in the address, so that a view can be bookmarked. A value that means nothing is left out and named on the
page: the worklist then shows more than was asked, never less.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Any, TypeVar
from urllib.parse import urlencode

from triage_node.core.reason import Reason
from triage_node.core.study_state import Priority, State
from triage_node.core.worklist_order import Place, ReadingFilter, WorklistFilter

ALL_DAYS = "all"
SHOWN_DAYS = (1, 3, 7, 30, 365)
_LONGEST_TEXT = 200
_MOST_DAYS = 36500

Code = TypeVar("Code", bound=StrEnum)


@dataclass(frozen=True)
class WorklistQuery:
    """One view of the worklist.

    Attributes
    ----------
    days
        How many days back; None for all. It does not count where ``received_on_or_after`` is given.
    received_on_or_after, received_on_or_before
        Days in the time zone of the node.
    after
        The place after which the page begins.
    ignored
        Names of values that meant nothing.
    """

    days: int | None
    text: str = ""
    flagged: bool = False
    state: State | None = None
    priority: Priority | None = None
    reason: Reason | None = None
    reading: ReadingFilter | None = None
    received_on_or_after: date | None = None
    received_on_or_before: date | None = None
    after: Place | None = field(default=None, compare=False)
    ignored: tuple[str, ...] = field(default=(), compare=False)

    def filter(self, now: datetime, performer: str) -> WorklistFilter:
        """Return what is wanted at this moment by this person."""
        received_from = None if self.days is None else now - timedelta(days=self.days)
        if self.received_on_or_after is not None:
            received_from = _midnight(self.received_on_or_after)
        before = self.received_on_or_before
        return WorklistFilter(
            text=self.text,
            flagged=self.flagged or None,
            state=self.state,
            priority=self.priority,
            reason=self.reason,
            reading=self.reading,
            performer=performer if self.reading is ReadingFilter.MINE else "",
            received_from=received_from,
            received_before=None if before is None else _midnight(before + timedelta(days=1)),
        )

    @property
    def is_narrowed(self) -> bool:
        """Whether it asks for more than a span of time."""
        return self.without_narrowing() != self

    def without_narrowing(self) -> WorklistQuery:
        """Return the same span of time with every study in it."""
        return WorklistQuery(
            days=self.days,
            received_on_or_after=self.received_on_or_after,
            received_on_or_before=self.received_on_or_before,
        )

    def to_query(self, usual_days: int, **changed: Any) -> str:
        """Return the query string, with some values changed; empty for the usual view."""
        meant = replace(self, **changed)
        values = {
            "q": meant.text,
            "flagged": "yes" if meant.flagged else "",
            "reading": meant.reading or "",
            "state": meant.state or "",
            "priority": meant.priority or "",
            "reason": meant.reason or "",
            "days": "" if meant.days == usual_days else meant.days or ALL_DAYS,
            "from": meant.received_on_or_after or "",
            "until": meant.received_on_or_before or "",
            "after": str(meant.after) if meant.after else "",
        }
        return urlencode({name: value for name, value in values.items() if value})


def read_query(given: Mapping[str, str], usual_days: int) -> WorklistQuery:
    """Return the view that a query string asks for."""
    values = {name: given.get(name, "").strip() for name in given}
    ignored: list[str] = []
    return WorklistQuery(
        text=values.get("q", "")[:_LONGEST_TEXT],
        flagged=values.get("flagged", "") == "yes",
        state=_code(State, "state", values, ignored),
        priority=_code(Priority, "priority", values, ignored),
        reason=_code(Reason, "reason", values, ignored),
        reading=_code(ReadingFilter, "reading", values, ignored),
        days=_days(values, usual_days, ignored),
        received_on_or_after=_day("from", values, ignored),
        received_on_or_before=_day("until", values, ignored),
        after=_place(values, ignored),
        ignored=tuple(ignored),
    )


def _code(codes: type[Code], name: str, values: Mapping[str, str], ignored: list[str]) -> Code | None:
    if not values.get(name):
        return None
    try:
        return codes(values[name])
    except ValueError:
        ignored.append(name)
        return None


def _days(values: Mapping[str, str], usual_days: int, ignored: list[str]) -> int | None:
    given = values.get("days", "")
    if given == ALL_DAYS:
        return None
    if not given:
        return usual_days
    if given.isascii() and given.isdigit() and len(given) <= 9 and 0 < int(given) <= _MOST_DAYS:
        return int(given)
    ignored.append("days")
    return usual_days


def _day(name: str, values: Mapping[str, str], ignored: list[str]) -> date | None:
    if not values.get(name):
        return None
    try:
        day = date.fromisoformat(values[name])
    except ValueError:
        day = date.max
    if date(1900, 1, 1) <= day < date(3000, 1, 1):
        return day
    ignored.append(name)
    return None


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day).astimezone().astimezone(UTC)


def _place(values: Mapping[str, str], ignored: list[str]) -> Place | None:
    if not values.get("after"):
        return None
    try:
        return Place.parse(values["after"])
    except ValueError:
        ignored.append("after")
        return None
