"""The figures of the statistics as pictures, and the rows of the tables beside them.

In: what ``core.ports.Statistics`` returns. Out: values for ``templates/statistics.html``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from triage_node.core.proportion import Proportion, share_text
from triage_node.core.scanner_silence import ScannerSilence
from triage_node.web.pictures import Dot, Path, Picture, Places, count_scale, duration_scale, share_scale
from triage_node.web.study_timeline import duration

MOST_DAYS_BY_DAY = 45
"""Over more days a column is a week."""
DAYS_A_WEEK = 7
SHOWN_ALARM_LIMITS = 2.0
"""Silence is drawn up to so many times the time after which it is an alarm."""
ROOM_ABOVE = 1.6
"""So many times the highest share flagged is drawn; intervals of few studies end at the upper edge."""
_COUNTS = ("studies", "read", "flagged", "not_analysed", "failed")

Figures = Mapping[str, Any]


@dataclass(frozen=True)
class Span:
    """Volume of a day, or of a week (the last one may be shorter)."""

    first: date
    last: date
    studies: int
    read: int
    flagged: int
    not_analysed: int
    failed: int

    @property
    def flagged_share(self) -> Proportion:
        """Flagged of those that were read."""
        return Proportion(self.flagged, self.read)

    @property
    def name(self) -> str:
        """Its days as a table writes them."""
        return str(self.first) if self.first == self.last else f"{self.first} to {self.last:%m-%d}"

    @property
    def short_name(self) -> str:
        """Its first day as an axis writes it."""
        return day_text(self.first)


def day_text(day: date) -> str:
    """Return a day without its year.

    Examples
    --------
    >>> day_text(date(2026, 3, 2))
    '2 Mar'
    """
    return f"{day.day} {day:%b}"


def volume_spans(days: Sequence[Figures]) -> Sequence[Span]:
    """Join days to weeks where they are many."""
    size = 1 if len(days) <= MOST_DAYS_BY_DAY else DAYS_A_WEEK
    return [_span(days[start : start + size]) for start in range(0, len(days), size)]


def _span(days: Sequence[Figures]) -> Span:
    first, last = (date.fromisoformat(each["day"]) for each in (days[0], days[-1]))
    return Span(first, last, *(sum(day[name] for day in days) for name in _COUNTS))


def volume_picture(spans: Sequence[Span]) -> Picture:
    """Draw how many studies came, and what became of them."""
    scale, places = count_scale(max(each.studies for each in spans)), Places([each.short_name for each in spans])
    columns = [
        column
        for index, each in enumerate(spans)
        for column in places.stack(
            index,
            scale,
            [
                (each.flagged, "flagged", f"{each.name}: {each.flagged} flagged"),
                (each.read - each.flagged, "read", f"{each.name}: {each.read - each.flagged} read, not flagged"),
                (each.studies - each.read, "unread", f"{each.name}: {each.studies - each.read} not read"),
            ],
        )
    ]
    most = max(spans, key=lambda each: each.studies)
    return Picture(
        words=f"Columns: studies received, {_span_word(spans)} each, {sum(each.studies for each in spans)} together;"
        f" most in {most.name}: {most.studies}, of which {most.flagged} flagged. The table has every value.",
        across=places.ticks,
        up=scale.ticks,
        columns=columns,
        keys=(("unread", "not read"), ("read", "read, not flagged"), ("flagged", "flagged")),
    )


def flagged_share_picture(spans: Sequence[Span]) -> Picture:
    """Draw which share of those read was flagged, with its interval."""
    shares = [each.flagged_share for each in spans]
    highest = max((each.value or 0.0 for each in shares), default=0.0)
    scale = share_scale(min(1.0, ROOM_ABOVE * highest) if highest else 1.0)
    places = Places([each.short_name for each in spans])
    columns, dots = [], []
    for index, (span, share) in enumerate(zip(spans, shares, strict=True)):
        if share.value is None or share.lower_95 is None or share.upper_95 is None:
            continue
        words = f"{span.name}: {share_text(share.as_json())}"
        columns.append(places.span(index, scale, (share.lower_95, share.upper_95), "interval", words))
        dots.append(Dot(places.middle(index), scale.place(share.value), "flagged", words))
    together = Proportion(sum(each.flagged for each in spans), sum(each.read for each in spans))
    return Picture(
        words=f"Dots with 95 % intervals: share of the read studies that was flagged, {_span_word(spans)} each;"
        f" together {share_text(together.as_json())}. The table has every value.",
        across=places.ticks,
        up=scale.ticks,
        columns=columns,
        dots=dots,
        keys=(("dot flagged", "flagged of those read"), ("interval", "95 % interval")),
    )


def _span_word(spans: Sequence[Span]) -> str:
    return "a day" if spans[0].first == spans[0].last else "a week"


def hours_picture(hours: Sequence[Figures], what: str) -> Picture:
    """Draw median and 95th percentile of a duration by the hour in which the last slice came (UTC)."""
    counted = [each for each in hours if each["count"]]
    scale = duration_scale([value for each in counted for value in (each["p50_s"], each["p95_s"])])
    places = Places([f"{each['hour']:02}" for each in hours])
    columns, dots = [], []
    for each in counted:
        index, ends = each["hour"], (each["p50_s"], each["p95_s"])
        words = (
            f"{index:02} h: median {duration(ends[0])}, 95th percentile {duration(ends[1])}, {each['count']} studies"
        )
        columns.append(places.span(index, scale, ends, "between", words))
        x = places.middle(index)
        dots += [Dot(x, scale.place(value), look, words) for value, look in zip(ends, ("median", "slow"), strict=True)]
    slowest = max(counted, key=lambda each: each["p95_s"], default=None)
    told = (
        f"slowest hour: {slowest['hour']:02}, 95th percentile {duration(slowest['p95_s'])}" if slowest else "no study"
    )
    return Picture(
        words=f"Two dots an hour of the day: {what}, median and 95th percentile, on a logarithmic scale; {told}."
        " The table has every value.",
        across=places.ticks,
        up=scale.ticks,
        columns=columns,
        dots=dots,
        keys=(("dot slow", "95th percentile"), ("dot median", "median")),
    )


def rolling_picture(agreement: Figures, measure: str, name: str) -> Picture:
    """Draw a share of the judged findings over the days before each day, with its interval."""
    rolling, scale = agreement["rolling"], share_scale()
    places = Places([day_text(date.fromisoformat(each["day"])) for each in rolling])
    shares = [each[measure] for each in rolling]
    values = [each["value"] for each in shares]
    ends = [None if each["value"] is None else (each["lower_95"], each["upper_95"]) for each in shares]
    paths: list[Path] = [*places.band(scale, ends, "band"), *places.line(scale, values, "line")]
    step = max(1, len(rolling) // 60)
    dots = [
        Dot(places.middle(index), scale.place(each["value"]), "line", f"{rolling[index]['day']}: {share_text(each)}")
        for index, each in enumerate(shares)
        if each["value"] is not None and (index % step == 0 or index == len(shares) - 1)
    ]
    return Picture(
        words=f"Line with a 95 % band: {name} over the {agreement['rolling_days']} days before each day;"
        f" at the end {share_text(shares[-1])}. The table has the values.",
        across=places.ticks,
        up=scale.ticks,
        paths=paths,
        dots=dots,
        keys=(("line", name), ("band", "95 % interval")),
    )


def rolling_rows(agreement: Figures) -> Sequence[Figures]:
    """Return the rolling agreement at the end of each week, the latest first."""
    return [*reversed(agreement["rolling"])][::DAYS_A_WEEK]


@dataclass(frozen=True)
class RefusedScanner:
    """What was refused of one scanner; ``bar`` is the share refused, per cent."""

    name: str
    read: int
    refused: int
    reasons: Mapping[str, int]

    @property
    def bar(self) -> float:
        """Per cent of its series."""
        return round(100.0 * self.refused / (self.read + self.refused), 1)


def refused_scanners(refusals: Figures) -> Sequence[RefusedScanner]:
    """Return the scanners, the one with most refusals first."""
    found = [
        RefusedScanner(each["scanner"], each["read"], each["refused"], each["reasons"]) for each in refusals["scanners"]
    ]
    return sorted(found, key=lambda each: (-each.refused, each.name))


def silence_bar(scanner: ScannerSilence) -> float:
    """Return its silence as a share of ``SHOWN_ALARM_LIMITS`` times its limit, per cent, 100 at most."""
    limit_s = scanner.alarm_after_s
    return 0.0 if limit_s is None else round(min(100.0, 100.0 * scanner.silence_s / limit_s / SHOWN_ALARM_LIMITS), 1)
