"""A measured figure with its 95 % interval and what it was counted on.

In: counts. Out: estimates that carry their own uncertainty, so that no report can show one without the other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

CONFIDENCE = 0.95
Z = 1.959963984540054
"""The normal quantile of a two-sided 95 % interval."""


@dataclass(frozen=True)
class Estimate:
    """One figure.

    Attributes
    ----------
    value, lower, upper
        The figure and its 95 % interval; NaN where the data cannot give it.
    count
        What it was counted on: subjects, slices or pairs.
    successes
        Numerator of a proportion, None for other figures.
    method
        How the interval was made.
    """

    value: float
    lower: float
    upper: float
    count: int
    successes: int | None = None
    method: str = ""

    @property
    def known(self) -> bool:
        """Whether the data gave the figure at all."""
        return not math.isnan(self.value)


def unknown(count: int, why: str) -> Estimate:
    """Say that a figure cannot be had from these data."""
    return Estimate(math.nan, math.nan, math.nan, count, None, why)


def proportion(successes: int, count: int) -> Estimate:
    """Give a proportion with Wilson's score interval (Wilson 1927).

    Examples
    --------
    >>> estimate = proportion(19, 20)
    >>> round(estimate.lower, 3), round(estimate.upper, 3)
    (0.764, 0.991)
    """
    if count == 0:
        return unknown(0, "no cases")
    from statsmodels.stats.proportion import proportion_confint

    lower, upper = proportion_confint(successes, count, alpha=1.0 - CONFIDENCE, method="wilson")
    return Estimate(successes / count, max(0.0, float(lower)), min(1.0, float(upper)), count, successes, "Wilson")
