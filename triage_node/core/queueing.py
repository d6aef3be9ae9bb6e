"""A reading queue with and without triage: its load, the orders of reading, and a discrete-event simulation of them.

In: how many studies come, how long one takes to read, how many bleed, how well they are flagged. Out: how long each kind
waits until a reader opens it. A reader who has begun a study finishes it, and none is idle while a study waits. What can
be worked out instead of simulated is in ``queueing_theory``; tests hold the two against each other.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from triage_node.core.errors import ConfigurationRejected
from triage_node.core.reading_times import Distribution as Distribution

HOURS_A_DAY = 24


class Unstable(ConfigurationRejected):
    """More work comes in than the readers can do: the queue would grow without end, and no mean waiting exists."""


class Order(StrEnum):
    """In which order waiting studies are read."""

    FIRST_COME = "first come, first read"
    FLAGGED_FIRST = "flagged first"
    FLAGGED_FIRST_CAPPED = "flagged first, with a waiting cap"


class Kind(StrEnum):
    """Which studies a figure is of."""

    ALL = "all"
    BLEEDING = "bleeding"
    FOUND = "bleeding and flagged"
    MISSED = "bleeding and missed"
    NOT_BLEEDING = "not bleeding"


@dataclass(frozen=True)
class ReadingLoad:
    """What comes in and who reads it.

    Attributes
    ----------
    arrivals_per_hour
        Mean over the day; arrivals are Poisson.
    reading_time_min : minutes
        Mean time that one reading takes.
    prevalence, sensitivity, specificity : 0 to 1
        Of bleeding among all studies, and of the flag.
    readers
        Who read side by side from one queue.
    distribution, reading_time_cv
        Shape of the reading time; its coefficient of variation where that is lognormal.
    hourly_weights
        How many arrive in each hour of the day relative to the others, 24 values; None: the same all day.

    Raises
    ------
    Unstable
        The readers cannot keep up.
    ConfigurationRejected
        A value is out of its range.

    Examples
    --------
    >>> ReadingLoad(4.0, 10.0, prevalence=0.1, sensitivity=0.9, specificity=0.9, readers=1).utilisation
    0.6666666666666666
    """

    arrivals_per_hour: float
    reading_time_min: float
    prevalence: float
    sensitivity: float
    specificity: float
    readers: int = 1
    distribution: Distribution = Distribution.EXPONENTIAL
    reading_time_cv: float = 0.5
    hourly_weights: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        for name in ("arrivals_per_hour", "reading_time_min", "reading_time_cv"):
            if not 0.0 < getattr(self, name) < math.inf:
                raise ConfigurationRejected(f"{name.replace('_', ' ')} must be above 0, not {getattr(self, name)}")
        for name in ("prevalence", "sensitivity", "specificity"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ConfigurationRejected(f"{name} must lie in 0 to 1, not {getattr(self, name)}")
        if self.readers < 1:
            raise ConfigurationRejected(f"at least one reader is needed, not {self.readers}")
        self._check_weights()
        if self.utilisation >= 1.0:
            raise Unstable(self._what_to_change())

    def _check_weights(self) -> None:
        weights = self.hourly_weights
        if weights is None:
            return
        if len(weights) != HOURS_A_DAY or min(weights) < 0.0 or not 0.0 < sum(weights) < math.inf:
            raise ConfigurationRejected("hourly weights are 24 values of 0 or more, not all 0")

    def _what_to_change(self) -> str:
        most_arrivals = 60.0 * self.readers / self.reading_time_min
        longest_min = 60.0 * self.readers / self.arrivals_per_hour
        fewest = math.floor(self.arrivals_per_hour * self.reading_time_min / 60.0) + 1
        return (
            f"the queue would grow without end: {self.arrivals_per_hour:g} studies an hour of {self.reading_time_min:g} min each"
            f" keep {self.readers} reader(s) busy {self.utilisation:.0%} of the time; take fewer than {most_arrivals:.3g}"
            f" an hour, a reading time below {longest_min:.3g} min, or at least {fewest} readers"
        )

    @property
    def utilisation(self) -> float:
        """Share of the readers' time that reading takes, averaged over the day."""
        return self.arrivals_per_hour * self.reading_time_min / 60.0 / self.readers

    @property
    def flagged_share(self) -> float:
        """Share of the studies that are flagged, rightly or not."""
        return self.prevalence * self.sensitivity + (1.0 - self.prevalence) * (1.0 - self.specificity)

    @property
    def squared_cv(self) -> float:
        """Squared coefficient of variation of the reading time."""
        by_distribution = {Distribution.EXPONENTIAL: 1.0, Distribution.DETERMINISTIC: 0.0}
        return by_distribution.get(self.distribution, self.reading_time_cv**2)


@dataclass(frozen=True)
class Waiting:
    """How long one kind of study waits for its reader, minutes.

    ``mean_min`` and ``p95_min`` are means over the replications, the interval is Student's at 95 %; ``max_min`` is the
    longest of all.
    """

    studies: int
    mean_min: float
    lower_95_min: float
    upper_95_min: float
    p95_min: float
    max_min: float


@dataclass(frozen=True)
class Run:
    """How long and how often to simulate.

    ``hours`` are counted after ``warm_up_hours`` from an empty queue; as many again follow uncounted, so that what waits at
    the end is overtaken as ever. The same seed gives the same studies to every order.
    """

    hours: float = 720.0
    warm_up_hours: float = 72.0
    replications: int = 50
    seed: int = 1

    def __post_init__(self) -> None:
        if not 0.0 < self.hours < math.inf or not 0.0 <= self.warm_up_hours < math.inf or self.replications < 2:
            raise ConfigurationRejected("a run takes more than 0 hours and at least 2 replications")

    def studies(self, load: ReadingLoad) -> float:
        """Return how many studies pass through the queue, expected, all replications together, for one order."""
        return load.arrivals_per_hour * (self.hours + 2 * self.warm_up_hours) * self.replications


@dataclass(frozen=True)
class _Stream:
    """Studies in the order of arrival; times in minutes."""

    arrival_min: npt.NDArray[np.float64]
    reading_min: npt.NDArray[np.float64]
    bleeding: npt.NDArray[np.bool_]
    flagged: npt.NDArray[np.bool_]


Times = npt.NDArray[np.float64]


def simulate(
    load: ReadingLoad, run: Run, *, waiting_cap_min: float | None = None
) -> Mapping[Order, Mapping[Kind, Waiting | None]]:
    """Simulate every order on the same studies.

    Parameters
    ----------
    waiting_cap_min : minutes
        An unflagged study that has waited so long counts as flagged from then on, behind those that were flagged before;
        None leaves that order out.

    Returns
    -------
    Mapping[Order, Mapping[Kind, Waiting | None]]
        None for a kind that never came.

    Examples
    --------
    >>> load = ReadingLoad(4.0, 10.0, prevalence=0.1, sensitivity=0.9, specificity=0.9)
    >>> waiting = simulate(load, Run(hours=200.0))
    >>> first_come, flagged_first = waiting[Order.FIRST_COME], waiting[Order.FLAGGED_FIRST]
    >>> flagged_first[Kind.FOUND].mean_min < first_come[Kind.FOUND].mean_min
    True
    """
    head_starts = head_starts_min(waiting_cap_min)
    waited: dict[Order, list[Mapping[Kind, Times]]] = {order: [] for order in head_starts}
    for replication in range(run.replications):
        stream = _studies(load, run, np.random.default_rng([run.seed, replication]))
        counted = (stream.arrival_min >= run.warm_up_hours * 60.0) & (
            stream.arrival_min < (run.warm_up_hours + run.hours) * 60.0
        )
        for order, head_start_min in head_starts.items():
            waiting_min = _waiting_min(stream, load.readers, head_start_min)
            waited[order].append(_by_kind(stream, counted, waiting_min))
    return {order: {kind: _summary([each[kind] for each in runs]) for kind in Kind} for order, runs in waited.items()}


def head_starts_min(waiting_cap_min: float | None) -> dict[Order, float]:
    """Return by how much a flagged study goes ahead in each order, minutes.

    Raises
    ------
    ConfigurationRejected
        A cap that is not above 0.
    """
    orders = {Order.FIRST_COME: 0.0, Order.FLAGGED_FIRST: math.inf}
    if waiting_cap_min is not None:
        if not 0.0 < waiting_cap_min < math.inf:
            raise ConfigurationRejected(f"the waiting cap must be above 0 min, not {waiting_cap_min}")
        orders[Order.FLAGGED_FIRST_CAPPED] = waiting_cap_min
    return orders


def _studies(load: ReadingLoad, run: Run, rng: np.random.Generator) -> _Stream:
    last_hour = run.hours + 2 * run.warm_up_hours
    arrival_min = 60.0 * _arrival_hours(load, last_hour, rng)
    count = len(arrival_min)
    bleeding = rng.random(count) < load.prevalence
    flagged = rng.random(count) < np.where(bleeding, load.sensitivity, 1.0 - load.specificity)
    return _Stream(arrival_min, _reading_min(load, count, rng), bleeding, flagged)


def _arrival_hours(load: ReadingLoad, last_hour: float, rng: np.random.Generator) -> Times:
    """Draw arrivals at an even rate, then move them along the day's cumulative rate (inversion)."""
    count = rng.poisson(load.arrivals_per_hour * last_hour)
    even = np.sort(rng.uniform(0.0, last_hour, count))
    if load.hourly_weights is None:
        return even
    weights = np.array(load.hourly_weights) / np.mean(load.hourly_weights)
    hours = np.arange(math.ceil(last_hour / HOURS_A_DAY) * HOURS_A_DAY + 1, dtype=float)
    cumulative = np.concatenate([[0.0], np.cumsum(np.resize(weights, len(hours) - 1))])
    hours_of_arrival: Times = np.interp(even, cumulative, hours)
    return hours_of_arrival


def _reading_min(load: ReadingLoad, count: int, rng: np.random.Generator) -> Times:
    if load.distribution is Distribution.DETERMINISTIC:
        return np.full(count, load.reading_time_min)
    if load.distribution is Distribution.EXPONENTIAL:
        return rng.exponential(load.reading_time_min, count)
    variance = math.log1p(load.squared_cv)  # of the logarithm
    return rng.lognormal(math.log(load.reading_time_min) - variance / 2.0, math.sqrt(variance), count)


def _waiting_min(stream: _Stream, readers: int, head_start_min: float) -> Times:
    """Run the queue: whoever is free first opens the study with the earliest due time.

    A flagged study is due when it arrives, an unflagged one ``head_start_min`` later. So 0 is the order of arrival,
    infinity strict priority, and anything between promotes the unflagged after that time.
    """
    arrivals, readings = stream.arrival_min.tolist(), stream.reading_min.tolist()
    due = np.where(stream.flagged, stream.arrival_min, stream.arrival_min + head_start_min).tolist()
    count = len(arrivals)
    opened = np.empty(count)
    free_at = [0.0] * readers
    waiting: list[tuple[float, int]] = []
    next_arrival = 0
    for _ in range(count):
        now = heapq.heappop(free_at)
        if not waiting:
            now = max(now, arrivals[next_arrival])
        while next_arrival < count and arrivals[next_arrival] <= now:
            heapq.heappush(waiting, (due[next_arrival], next_arrival))
            next_arrival += 1
        _, study = heapq.heappop(waiting)
        opened[study] = now
        heapq.heappush(free_at, now + readings[study])
    waited: Times = opened - stream.arrival_min
    return waited


def _by_kind(stream: _Stream, counted: npt.NDArray[np.bool_], waiting_min: Times) -> Mapping[Kind, Times]:
    bleeding, flagged = stream.bleeding, stream.flagged
    of_kind = {
        Kind.ALL: np.ones_like(bleeding),
        Kind.BLEEDING: bleeding,
        Kind.FOUND: bleeding & flagged,
        Kind.MISSED: bleeding & ~flagged,
        Kind.NOT_BLEEDING: ~bleeding,
    }
    return {kind: waiting_min[counted & chosen] for kind, chosen in of_kind.items()}


def _summary(replications: Sequence[Times]) -> Waiting | None:
    present = [each for each in replications if len(each)]
    if not present:
        return None
    means = np.array([each.mean() for each in present])
    half_width = math.inf
    if len(present) > 1:
        half_width = student_95(len(present) - 1) * float(means.std(ddof=1)) / math.sqrt(len(present))
    mean = float(means.mean())
    return Waiting(
        studies=sum(len(each) for each in present),
        mean_min=mean,
        lower_95_min=max(0.0, mean - half_width),
        upper_95_min=mean + half_width,
        p95_min=float(np.mean([np.percentile(each, 95) for each in present])),
        max_min=float(max(each.max() for each in present)),
    )


def student_95(degrees_of_freedom: int) -> float:
    """Return the two-sided 95 % quantile of Student's distribution (Fisher's expansion about the normal; Abramowitz and
    Stegun 26.7.5), to 0.01 from 4 degrees of freedom on.

    Examples
    --------
    >>> round(student_95(19), 2)
    2.09
    """
    z, n = NormalDist().inv_cdf(0.975), degrees_of_freedom
    return (
        z
        + (z**3 + z) / (4 * n)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * n**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * n**3)
    )
