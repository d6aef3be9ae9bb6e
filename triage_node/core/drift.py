"""Has the stream of studies changed? Cumulative sum charts on what the node reads, refuses and flags.

In: what a scanner's first series gave (the reference) and what came after them, in order of time. Out: charts, each with
its alarm. Rules only; where the series come from, and who is told, is the worklist's and the pipeline's part.

Rates are charted by Page's log-likelihood CUSUM (Page, Biometrika 1954; Steiner et al., Biostatistics 2000), the mean
score by the tabular CUSUM on standardised scores (Montgomery, Introduction to Statistical Quality Control, ch. 9). The
decision interval follows from how seldom a false alarm may come; ``docs/decisions/0006-drift.md`` gives the reasons.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

SCORE_BINS = 20
"""Bins of equal width over scores of 0 to 1."""


class Measure(StrEnum):
    """What a chart watches."""

    POSITIVE_RATE = "positive_rate"
    REFUSAL_RATE = "refusal_rate"
    MEAN_SCORE = "mean_score"


class Direction(StrEnum):
    """Which way it went."""

    UP = "up"
    DOWN = "down"


@dataclass(frozen=True)
class DriftRules:
    """How charts are laid out.

    Attributes
    ----------
    reference_series
        So many series of a scanner make its reference; until then its charts are learning.
    false_alarm_every
        Average number of series, without any change, until one side of one chart raises a false alarm.
    odds_ratio
        Change of a rate that a chart is made to find: odds multiplied by this, or divided by it.
    shift_sd
        The same for the mean score, in standard deviations of the reference.
    """

    reference_series: int = 500
    false_alarm_every: int = 100_000
    odds_ratio: float = 2.0
    shift_sd: float = 0.5


@dataclass(frozen=True)
class Chart:
    """One side of one chart at its last series.

    Attributes
    ----------
    reference, recent
        Mean over the reference, and over the last ``RECENT`` series (fewer where there are fewer; NaN where none).
    value, interval
        The cumulative sum, and the decision interval it may not reach.
    raised_at
        Index of the series at which the alarm that still stands was raised; None where none stands.
    changed_at
        Index of the first series after the sum last was zero: where the change most likely began.
    """

    measure: Measure
    direction: Direction
    reference: float
    recent: float
    value: float
    interval: float
    raised_at: int | None
    changed_at: int


@dataclass(frozen=True, order=True)
class Scanner:
    """Who sent: the calling AE title, and the station name in the headers; empty where unknown.

    Examples
    --------
    >>> str(Scanner("CT1", "SOMATOM7")), str(Scanner("ROUTER", "")), str(EVERY_SCANNER)
    ('CT1/SOMATOM7', 'ROUTER', 'all scanners')
    """

    calling_ae_title: str
    station_name: str

    def __str__(self) -> str:
        if self == EVERY_SCANNER:
            return "all scanners"
        return "/".join(each for each in (self.calling_ae_title, self.station_name) if each) or "unknown"


EVERY_SCANNER = Scanner("*", "*")


@dataclass(frozen=True)
class DriftAlarm:
    """An alarm that stands.

    Attributes
    ----------
    since
        When the series that raised it was read or refused.
    changed_at
        The same of the first series of the change, by the chart's estimate.
    reference, recent
        As ``Chart`` has them.
    """

    scanner: Scanner
    measure: Measure
    direction: Direction
    since: datetime
    changed_at: datetime
    reference: float
    recent: float

    @property
    def key(self) -> tuple[str, str, str, str, datetime]:
        """What tells it from every other alarm."""
        scanner = self.scanner
        return scanner.calling_ae_title, scanner.station_name, self.measure.value, self.direction.value, self.since

    def __str__(self) -> str:
        what = self.measure.value.replace("_", " ")
        went = "rose" if self.direction is Direction.UP else "fell"
        if self.measure is Measure.MEAN_SCORE:
            before, after = f"{self.reference:.2f}", f"{self.recent:.2f}"
        else:
            before, after = f"{self.reference:.1%}", f"{self.recent:.1%}"
        return (
            f"{what} of {self.scanner} {went} from {before} to {after} over its last {RECENT} series; alarm since "
            f"{self.since:%Y-%m-%d %H:%M} UTC, change likely from {self.changed_at:%Y-%m-%d %H:%M}"
        )


@dataclass(frozen=True)
class ScannerDrift:
    """One scanner's charts.

    Attributes
    ----------
    model_name, operating_point
        The release that reads now, which the charts of readings are of.
    read, offered
        How many series the two references have so far: of readings, and of readings with refusals.
    charts
        Empty as long as the references are not complete.
    """

    scanner: Scanner
    model_name: str
    operating_point: str
    read: int
    offered: int
    charts: tuple[Chart, ...]
    alarms: tuple[DriftAlarm, ...]


@dataclass(frozen=True)
class DriftTotals:
    """What was counted since the beginning, for metrics: numbers that only grow, and the alarms that stand."""

    read: Mapping[Scanner, int]
    flagged: Mapping[Scanner, int]
    refused: Mapping[tuple[Scanner, str], int]
    alarms: Sequence[tuple[Scanner, str, str]]


def score_bin(score: float) -> int:
    """Return the bin of a score.

    Parameters
    ----------
    score : 0 to 1

    Examples
    --------
    >>> score_bin(0.0), score_bin(0.05), score_bin(0.999), score_bin(1.0)
    (0, 1, 19, 19)
    """
    return min(int(score * SCORE_BINS), SCORE_BINS - 1)


def rate_charts(
    measure: Measure, reference: Sequence[float], later: Sequence[float], rules: DriftRules
) -> tuple[Chart, Chart]:
    """Chart a rate: each series counts 1 (flagged, refused) or 0; one chart a direction.

    The reference rate is Jeffreys's estimate, so that a reference without any 1 is no claim that there is none. Each chart
    starts from one standard error beyond it: what may be no more than the reference's own error is not called a change.

    Examples
    --------
    >>> reference = [1, 0, 0, 0, 0] * 100
    >>> up, down = rate_charts(Measure.POSITIVE_RATE, reference, [0] * 200, DriftRules())
    >>> up.raised_at, down.raised_at, down.changed_at
    (None, 83, 0)
    """
    estimate = (sum(reference) + 0.5) / (len(reference) + 1)
    error = math.sqrt(estimate * (1 - estimate) / (len(reference) + 1))
    charts = []
    for direction in Direction:
        upwards = direction is Direction.UP
        rate = min(estimate + error, (1 + estimate) / 2) if upwards else max(estimate - error, estimate / 2)
        odds = rate / (1 - rate) * (rules.odds_ratio if upwards else 1 / rules.odds_ratio)
        changed = odds / (1 + odds)
        weight_of_one, weight_of_zero = math.log(changed / rate), math.log((1 - changed) / (1 - rate))
        downhill = -(rate * weight_of_one + (1 - rate) * weight_of_zero)
        interval = decision_interval(1.0, downhill, rules.false_alarm_every)  # a likelihood ratio has exponent 1
        weights = (weight_of_one if each else weight_of_zero for each in later)
        charts.append(_chart(measure, direction, estimate, later, weights, interval))
    return charts[0], charts[1]


def mean_charts(
    measure: Measure, reference: Sequence[float], later: Sequence[float], rules: DriftRules
) -> tuple[Chart, Chart]:
    """Chart a mean, whatever the distribution; one chart a direction.

    Examples
    --------
    >>> reference = [0.02, 0.05, 0.1, 0.04, 0.9] * 100
    >>> up, down = mean_charts(Measure.MEAN_SCORE, reference, [0.3, 0.4, 0.5, 0.4, 0.9] * 40, DriftRules())
    >>> up.raised_at is not None, down.raised_at is None
    (True, True)
    """
    mean = sum(reference) / len(reference)
    variance = sum((each - mean) ** 2 for each in reference) / len(reference)
    deviation = max(math.sqrt(variance), _LEAST_DEVIATION)
    allowance = rules.shift_sd / 2
    charts = []
    for direction in Direction:
        sign = 1.0 if direction is Direction.UP else -1.0
        drops = [sign * (each - mean) / deviation - allowance for each in reference]
        interval = decision_interval(_exponent(drops, 2 * allowance), allowance, rules.false_alarm_every)
        weights = (sign * (each - mean) / deviation - allowance for each in later)
        charts.append(_chart(measure, direction, mean, later, weights, interval))
    return charts[0], charts[1]


def decision_interval(exponent: float, downhill: float, false_alarm_every: int) -> float:
    """Return the interval at which false alarms come on average so seldom.

    Solves Siegmund's average run length of a random walk that is held at zero, (exp(t h) - 1 - t h) / (t d), for h.

    Parameters
    ----------
    exponent
        t: the positive root of E[exp(t w)] = 1 over the weights w of an unchanged stream.
    downhill
        d: how far such a stream falls with each series, on average.

    Examples
    --------
    >>> round(decision_interval(1.0, 0.036, 100_000), 2)
    8.19
    """
    wanted = false_alarm_every * exponent * downhill
    low, high = 0.0, 100.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if math.expm1(middle) - middle < wanted else (low, middle)
    return high / exponent


_LEAST_DEVIATION = 0.02
"""A reference of nearly equal scores has no spread to measure shifts in."""
RECENT = 100
"""Series that ``Chart.recent`` is the mean of, at most."""


def _exponent(weights: Sequence[float], of_normal: float) -> float:
    """Return the positive root t of mean(exp(t w)) = 1, at most what a normal distribution has.

    Scores are skewed: most heads do not bleed. A normal distribution's interval would raise false alarms several times as
    often as was asked for.
    """

    def excess(exponent: float) -> float:
        return sum(math.exp(min(exponent * each, 700.0)) for each in weights) / len(weights) - 1.0

    if excess(of_normal) <= 0.0:
        return of_normal
    low, high = 0.0, of_normal
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if excess(middle) < 0.0 else (low, middle)
    return max(low, of_normal / 10)


def _chart(
    measure: Measure,
    direction: Direction,
    reference: float,
    later: Sequence[float],
    weights: Iterable[float],
    interval: float,
) -> Chart:
    """Run the sum. An alarm stands until the sum is back at zero; it is capped, so that what is mended clears in time."""
    value, raised_at, changed_at = 0.0, None, 0
    for index, weight in enumerate(weights):
        value = min(value + weight, 2 * interval)
        if value <= 0.0:
            value, raised_at, changed_at = 0.0, None, index + 1
        elif value >= interval and raised_at is None:
            raised_at = index
    recent = sum(later[-RECENT:]) / len(later[-RECENT:]) if later else math.nan
    return Chart(measure, direction, reference, recent, value, interval, raised_at, changed_at)
