"""What a node measured of its own queue: how many studies come, when, and how long a reading takes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from triage_node.core.measured_rates import MeasuredRates
from triage_node.core.proportion import Proportion

LONGEST_READING = timedelta(hours=2)
"""What a reader held for longer was left open, not read all the time; it counts as no reading."""
FEWEST_STUDIES = 20
FEWEST_READINGS = 10
_SHORTEST_TIME = timedelta(days=1)


@dataclass(frozen=True)
class MeasuredLoad:
    """Studies and readings of some days.

    Attributes
    ----------
    observed
        How long it was counted: since the first study, where the node is younger than what was asked for.
    by_hour
        How many studies came in each hour of the day (UTC), 24 counts.
    flagged
        Of those that were read.
    readings
        From taking a study to completing it, of at most ``LONGEST_READING``.
    reading_min, reading_sd_min : minutes
        Their mean and standard deviation; None of nothing.
    """

    observed: timedelta
    by_hour: tuple[int, ...]
    flagged: Proportion
    readings: int
    reading_min: float | None
    reading_sd_min: float | None

    @property
    def studies(self) -> int:
        """All of them."""
        return sum(self.by_hour)

    @property
    def arrivals_per_hour(self) -> float | None:
        """Mean over the day; None where too few came to say."""
        if self.studies < FEWEST_STUDIES:
            return None
        return self.studies / (max(self.observed, _SHORTEST_TIME) / timedelta(hours=1))

    @property
    def hourly_weights(self) -> tuple[float, ...] | None:
        """How many come in each hour relative to the others; None where too few came to say."""
        return tuple(map(float, self.by_hour)) if self.studies >= FEWEST_STUDIES else None

    @property
    def mean_reading_min(self) -> float | None:
        """Mean of a reading, minutes; None where too few were measured to say."""
        return self.reading_min if self.readings >= FEWEST_READINGS and self.reading_min else None

    @property
    def reading_cv(self) -> float | None:
        """Coefficient of variation of a reading; None where too few were measured to say."""
        mean_min = self.mean_reading_min
        return self.reading_sd_min / mean_min if mean_min and self.reading_sd_min else None

    def prevalence(self, rates: MeasuredRates | None) -> float | None:
        """Estimate the share that bleeds from the share that is flagged (Rogan and Gladen, Am J Epidemiol 1978;107:71-76).

        None where too few were read, nothing was measured of the flag, or the estimate is no share.

        Examples
        --------
        >>> rates = MeasuredRates("made_up", "balanced", 0.9, 0.8, 100, 100)
        >>> load = MeasuredLoad(timedelta(days=7), (100,) * 24, Proportion(648, 2400), 0, None, None)
        >>> round(load.prevalence(rates), 4)
        0.1
        """
        if rates is None or self.flagged.value is None or self.flagged.count < FEWEST_STUDIES:
            return None
        gain = rates.sensitivity + rates.specificity - 1.0
        if gain <= 0.0:
            return None
        share = (self.flagged.value + rates.specificity - 1.0) / gain
        return share if 0.0 < share < 1.0 else None
