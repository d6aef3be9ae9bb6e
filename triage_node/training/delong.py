"""Area under the ROC curve with DeLong's variance, for one score and for two scores of the same subjects.

In: labels and scores. Out: estimates and tests. DeLong, DeLong and Clarke-Pearson, Biometrics 1988, 44:837 (equations 3 to
5), computed from midranks (Sun and Xu, IEEE Signal Process Lett 2014, 21:1389).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from triage_node.training.estimates import Estimate, Z, unknown

FloatArray = npt.NDArray[np.floating]


def auc(labels: FloatArray, scores: FloatArray) -> float:
    """Give the area alone: the chance that a positive scores above a negative, ties counting half.

    Parameters
    ----------
    labels, scores : (cases,)
        Labels 0, 1, or NaN where unknown; unknown cases are left out.

    Returns
    -------
    NaN where one of the classes is missing.

    Examples
    --------
    >>> auc(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.4, 0.8]))
    0.875
    """
    labels, scores = _known(labels, scores)
    positive = labels == 1
    positives = int(positive.sum())
    negatives = len(labels) - positives
    if positives == 0 or negatives == 0:
        return math.nan
    ranks = rankdata(scores)
    return float((ranks[positive].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def auc_estimate(labels: FloatArray, scores: FloatArray) -> Estimate:
    """Give the area with its interval: DeLong's on the logit scale, Newcombe's score interval where that has no width.

    Where the classes are separated without a fault, DeLong's variance is 0 and its interval a point, which would promise
    more than a handful of cases can show.

    Parameters
    ----------
    labels, scores : (cases,)
        Labels 0, 1, or NaN where unknown; unknown cases are left out, and not counted.
    """
    labels, scores = _known(labels, scores)
    positive = labels == 1
    positives, negatives = int(positive.sum()), int((~positive).sum())
    if positives == 0 or negatives == 0:
        return unknown(len(labels), "one class is missing")
    area = auc(labels, scores)
    # DeLong needs two cases of each class.
    variance = _variance(_components(labels, scores)) if min(positives, negatives) > 1 else 0.0
    if variance <= 1e-12 or not 0.0 < area < 1.0:
        lower, upper = _newcombe_interval(area, positives, negatives)
        return Estimate(area, lower, upper, len(labels), None, "Newcombe (DeLong's variance is 0)")
    logit = math.log(area / (1 - area))
    half_width = Z * math.sqrt(variance) / (area * (1 - area))
    lower, upper = (1 / (1 + math.exp(-(logit + side * half_width))) for side in (-1, 1))
    return Estimate(area, lower, upper, len(labels), None, "DeLong")


def _known(labels: FloatArray, scores: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Leave out the cases whose label is unknown: taken as negative, each would spoil the figure in silence."""
    known = ~np.isnan(labels)
    return labels[known], scores[known]


@dataclass(frozen=True)
class AucDifference:
    """Two scores on the same cases.

    Attributes
    ----------
    first, second
        Areas.
    difference
        Second less first, with its 95 % interval.
    p_value
        Two-sided, of no difference; NaN where the variance of the difference is 0.
    """

    first: float
    second: float
    difference: Estimate
    p_value: float


def paired_difference(labels: FloatArray, first: FloatArray, second: FloatArray) -> AucDifference:
    """Compare two scores of the same cases by DeLong's test (equation 5).

    Parameters
    ----------
    labels, first, second : (cases,)
    """
    areas = auc(labels, first), auc(labels, second)
    cases = len(labels)
    if min(int((labels == 1).sum()), int((labels == 0).sum())) < 2:
        return AucDifference(*areas, unknown(cases, "fewer than two cases of a class"), math.nan)
    difference = areas[1] - areas[0]
    one, two = _components(labels, first), _components(labels, second)
    variance = _variance((two[0] - one[0], two[1] - one[1]))
    error = math.sqrt(variance)
    lower, upper = max(-1.0, difference - Z * error), min(1.0, difference + Z * error)
    estimate = Estimate(difference, lower, upper, cases, None, "DeLong, paired")
    p_value = 2 * NormalDist().cdf(-abs(difference) / error) if error > 1e-12 else math.nan
    return AucDifference(*areas, estimate, p_value)


def _components(labels: FloatArray, scores: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Structural components: for each positive the share of negatives below it, for each negative of positives above."""
    positive = labels == 1
    positives, negatives = int(positive.sum()), int((~positive).sum())
    ranks = rankdata(scores)
    above_negatives = (ranks[positive] - rankdata(scores[positive])) / negatives
    below_positives = 1.0 - (ranks[~positive] - rankdata(scores[~positive])) / positives
    return above_negatives, below_positives


def _variance(components: tuple[FloatArray, FloatArray]) -> float:
    of_positives, of_negatives = components
    return float(np.var(of_positives, ddof=1) / len(of_positives) + np.var(of_negatives, ddof=1) / len(of_negatives))


def _newcombe_interval(area: float, positives: int, negatives: int) -> tuple[float, float]:
    """Score-type interval for an area (Newcombe, Stat Med 2006, 25:559, method 5): where |observed - true| = z SE(true)."""
    pseudo_count = (positives + negatives) / 2 - 1

    def error(true: float) -> float:
        spread = (1 - true) / (2 - true) + true / (1 + true)
        return math.sqrt(true * (1 - true) * (1 + pseudo_count * spread) / (positives * negatives))

    def crossing(inside: float, outside: float) -> float:
        """Bisect for where the truth stops being compatible with the area observed."""
        for _ in range(60):
            middle = (inside + outside) / 2
            if abs(area - middle) <= Z * error(middle):
                inside = middle
            else:
                outside = middle
        return inside

    lower = 0.0 if area <= 0.0 else crossing(max(area - 1e-12, 0.0), 0.0)
    upper = 1.0 if area >= 1.0 else crossing(min(area + 1e-12, 1.0), 1.0)
    return lower, upper
