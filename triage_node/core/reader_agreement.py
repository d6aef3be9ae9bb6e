"""How far readers agree with the node, from what they said of its findings.

Only studies that somebody judged count. A hemorrhage that the node missed and nobody judged is in none of these figures:
sensitivity from feedback is that among judged studies, and too high where only flagged ones are judged.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

from triage_node.core.proportion import Proportion

ROLLING_DAYS = 28
FEEDBACK_CAVEAT = (
    "Only findings that a reader judged count, the reader being right. A hemorrhage that the node missed and nobody judged is"
    " in none of these figures: where mainly flagged studies are judged, sensitivity comes out too high."
)


@dataclass(frozen=True)
class Judgement:
    """The last word of the readers on one finding of one study."""

    day: date
    finding: str
    present: bool
    """What the node had said."""
    present_by_reader: bool


@dataclass(frozen=True)
class Agreement:
    """Judged findings as a table of two by two, the reader being right.

    Examples
    --------
    >>> Agreement(hits=9, misses=1, false_alarms=3, correct_rejections=27).positive_predictive_value.value
    0.75
    """

    hits: int = 0
    misses: int = 0
    false_alarms: int = 0
    correct_rejections: int = 0

    @property
    def judged(self) -> int:
        """How many findings were judged."""
        return self.hits + self.misses + self.false_alarms + self.correct_rejections

    @property
    def sensitivity(self) -> Proportion:
        """Of the findings that are there according to the reader, how many the node had said."""
        return Proportion(self.hits, self.hits + self.misses)

    @property
    def specificity(self) -> Proportion:
        """Of those that are not there, how many the node had not said."""
        return Proportion(self.correct_rejections, self.correct_rejections + self.false_alarms)

    @property
    def positive_predictive_value(self) -> Proportion:
        """Of the findings that the node had said, how many are there."""
        return Proportion(self.hits, self.hits + self.false_alarms)

    @property
    def negative_predictive_value(self) -> Proportion:
        """Of those that it had not said, how many are not there."""
        return Proportion(self.correct_rejections, self.correct_rejections + self.misses)

    def as_json(self) -> dict[str, object]:
        """Return counts and figures as plain JSON values."""
        return {
            "judged": self.judged,
            "hits": self.hits,
            "misses": self.misses,
            "false_alarms": self.false_alarms,
            "correct_rejections": self.correct_rejections,
            "sensitivity": self.sensitivity.as_json(),
            "specificity": self.specificity.as_json(),
            "positive_predictive_value": self.positive_predictive_value.as_json(),
            "negative_predictive_value": self.negative_predictive_value.as_json(),
        }


@dataclass
class _Counts:
    """Of one day; the key is (present, present_by_reader)."""

    counted: dict[tuple[bool, bool], int] = field(default_factory=dict)

    def add(self, key: tuple[bool, bool], count: int = 1) -> None:
        self.counted[key] = self.counted.get(key, 0) + count

    def agreement(self) -> Agreement:
        found = self.counted.get
        return Agreement(
            hits=found((True, True), 0),
            misses=found((False, True), 0),
            false_alarms=found((True, False), 0),
            correct_rejections=found((False, False), 0),
        )


def agreement_by_finding(judgements: Iterable[Judgement]) -> Mapping[str, Agreement]:
    """Return the agreement on each finding that was judged.

    Examples
    --------
    >>> judged = [Judgement(date(2026, 1, 1), "ICH", True, True), Judgement(date(2026, 1, 1), "ICH", True, False)]
    >>> agreement_by_finding(judged)["ICH"].positive_predictive_value.value
    0.5
    """
    counts: dict[str, _Counts] = {}
    for each in judgements:
        counts.setdefault(each.finding, _Counts()).add((each.present, each.present_by_reader))
    return {finding: each.agreement() for finding, each in counts.items()}


def rolling_agreement(judgements: Sequence[Judgement], first: date, last: date) -> Iterator[tuple[date, Agreement]]:
    """Yield, for each day, the agreement over the ``ROLLING_DAYS`` days that end with it."""
    by_day: dict[date, _Counts] = {}
    for each in judgements:
        by_day.setdefault(each.day, _Counts()).add((each.present, each.present_by_reader))
    rolling = _Counts()
    for offset in range(1, ROLLING_DAYS):
        _add(rolling, by_day.get(first - timedelta(days=offset)), 1)
    day = first
    while day <= last:
        _add(rolling, by_day.get(day), 1)
        yield day, rolling.agreement()
        _add(rolling, by_day.get(day - timedelta(days=ROLLING_DAYS - 1)), -1)
        day += timedelta(days=1)


def _add(rolling: _Counts, day: _Counts | None, sign: int) -> None:
    for key, count in (day.counted if day else {}).items():
        rolling.add(key, sign * count)
