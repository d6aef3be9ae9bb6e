"""What each threshold would cost: operating points that reach a wanted sensitivity or specificity, and the gate.

In: labels and scores of subjects. Out: thresholds with the sensitivity and specificity measured there. A threshold chosen on
the subjects it is measured on looks better than it is; the report says so beside every such figure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from triage_node.training.estimates import Estimate
from triage_node.training.metrics import PAPER_THRESHOLD, Confusion

FloatArray = npt.NDArray[np.floating]
WANTED_SENSITIVITIES = (0.90, 0.95, 0.98, 1.00)
WANTED_SPECIFICITIES = (0.90, 0.95, 0.98)
GATE_BOUND = 0.80
"""The lower 95 % bounds that FDA's clearances of triage software (product code QAS) show for both figures."""
PREVALENCES = (0.05, 0.10, 0.15)


@dataclass(frozen=True)
class MeasuredPoint:
    """A threshold and what it gives.

    Attributes
    ----------
    name
        Why this threshold.
    threshold
        A case is flagged at or above it.
    """

    name: str
    threshold: float
    confusion: Confusion
    sensitivity: Estimate
    specificity: Estimate


def measured_point(name: str, labels: FloatArray, scores: FloatArray, threshold: float) -> MeasuredPoint:
    """Measure one threshold on (cases,) labels and scores; cases with an unknown label are left out."""
    known = ~np.isnan(labels)
    confusion = Confusion.of(labels[known], scores[known] >= threshold)
    return MeasuredPoint(name, threshold, confusion, confusion.sensitivity, confusion.specificity)


def operating_points(labels: FloatArray, scores: FloatArray, threshold: float = PAPER_THRESHOLD) -> list[MeasuredPoint]:
    """Give the threshold in use, the paper's, those that reach a wanted figure at the least cost, and the balanced one.

    Parameters
    ----------
    labels, scores : (subjects,)
    threshold
        The one in use.
    """
    known = ~np.isnan(labels)
    labels, scores = labels[known], scores[known]
    positive, negative = np.sort(scores[labels == 1]), np.sort(scores[labels == 0])
    points = [measured_point("the paper's 0.5", labels, scores, PAPER_THRESHOLD)]
    if threshold != PAPER_THRESHOLD:
        points.insert(0, measured_point("in use", labels, scores, threshold))
    if len(positive) == 0 or len(negative) == 0:
        return points
    for wanted in WANTED_SENSITIVITIES:
        may_miss = int(np.floor((1.0 - wanted) * len(positive) + 1e-9))
        threshold = _below(scores, float(positive[may_miss]))
        points.append(measured_point(f"sensitivity at least {wanted:.2f}", labels, scores, threshold))
    for wanted in WANTED_SPECIFICITIES:
        may_flag = int(np.floor((1.0 - wanted) * len(negative) + 1e-9))
        threshold = _above(scores, float(negative[len(negative) - 1 - may_flag]))
        points.append(measured_point(f"specificity at least {wanted:.2f}", labels, scores, threshold))
    points.append(measured_point("highest sensitivity + specificity (Youden)", labels, scores, _youden(labels, scores)))
    return points


def _below(scores: FloatArray, score: float) -> float:
    """Flag a score and all above it: halfway to the next lower one, so that the threshold survives being written and rounded."""
    lower = scores[scores < score]
    return float((score + (lower.max() if len(lower) else 0.0)) / 2)


def _above(scores: FloatArray, score: float) -> float:
    """Keep a score and all below it: halfway to the next higher one."""
    higher = scores[scores > score]
    return float((score + higher.min()) / 2) if len(higher) else float(np.nextafter(score, 2.0))


def _youden(labels: FloatArray, scores: FloatArray) -> float:
    thresholds = np.unique(scores)
    positive, negative = np.sort(scores[labels == 1]), np.sort(scores[labels == 0])
    sensitivity = 1.0 - np.searchsorted(positive, thresholds) / len(positive)
    specificity = np.searchsorted(negative, thresholds) / len(negative)
    return _below(scores, float(thresholds[int(np.argmax(sensitivity + specificity))]))


@dataclass(frozen=True)
class PredictiveValues:
    """PPV and NPV at a prevalence, by Bayes' rule from sensitivity and specificity.

    The bounds put both figures at the ends of their intervals at once, so they are wider than 95 %.
    """

    prevalence: float
    ppv: Estimate
    npv: Estimate


def predictive_values(sensitivity: Estimate, specificity: Estimate, prevalence: float) -> PredictiveValues:
    """Carry sensitivity and specificity to a site's prevalence.

    Examples
    --------
    >>> from triage_node.training.estimates import proportion
    >>> values = predictive_values(proportion(90, 100), proportion(180, 200), 0.1)
    >>> round(values.ppv.value, 3), round(values.npv.value, 3)
    (0.5, 0.988)
    """

    def ppv(sens: float, spec: float) -> float:
        flagged = sens * prevalence + (1 - spec) * (1 - prevalence)
        return sens * prevalence / flagged if flagged > 0 else float("nan")

    def npv(sens: float, spec: float) -> float:
        kept = spec * (1 - prevalence) + (1 - sens) * prevalence
        return spec * (1 - prevalence) / kept if kept > 0 else float("nan")

    count = sensitivity.count + specificity.count
    ends = [(sensitivity.value, specificity.value), (sensitivity.lower, specificity.lower)]
    ends.append((sensitivity.upper, specificity.upper))

    def carried(rule: Callable[[float, float], float]) -> Estimate:
        value, lower, upper = (rule(*end) for end in ends)
        return Estimate(value, lower, upper, count, None, "Bayes, ends of both Wilson intervals")

    return PredictiveValues(prevalence, carried(ppv), carried(npv))


@dataclass(frozen=True)
class Gate:
    """Whether the figures would pass the bar that cleared triage software shows."""

    passed: bool
    verdict: str
    bound: float = GATE_BOUND


def gate(figures: Mapping[str, Estimate], bound: float = GATE_BOUND) -> Gate:
    """Judge whether the lower 95 % bounds of ``sensitivity`` and ``specificity`` lie over the bound, in plain words."""
    sentences = []
    passed = True
    for name in ("sensitivity", "specificity"):
        figure = figures[name]
        if not figure.known:
            passed = False
            sentences.append(f"{name} cannot be measured: there is no such subject.")
            continue
        above = figure.lower > bound
        passed &= above
        sentences.append(
            f"{name.capitalize()} is {figure.value:.3f} on {figure.count} subjects; with 95 % confidence it is at least "
            f"{figure.lower:.3f}, which is {'over' if above else 'not over'} {bound:.2f}."
        )
    opening = "Passes the gate." if passed else "Does not pass the gate."
    return Gate(passed, " ".join([opening, *sentences]), bound)
