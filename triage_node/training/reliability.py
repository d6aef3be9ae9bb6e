"""Do scores mean what they say: Brier score, expected calibration error and the points of a reliability plot.

In: labels and scores. Out: figures and bins. Guo et al., ICML 2017 (section 2) for the bins and the error; bins here hold
equally many cases, because most scores lie near 0 and equal widths would leave the middle empty.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from triage_node.training.bootstrap import PatientDraws, bootstrap_estimate
from triage_node.training.estimates import Estimate, proportion, unknown

FloatArray = npt.NDArray[np.floating]
LARGEST_BIN_COUNT = 10
SMALLEST_BIN = 8
"""A bin of fewer cases says nothing."""


@dataclass(frozen=True)
class ReliabilityBin:
    """Cases of similar score: what was said and what was so."""

    mean_score: float
    observed: Estimate


@dataclass(frozen=True)
class Reliability:
    """Calibration of one target.

    Attributes
    ----------
    brier, expected_calibration_error
        With bootstrap intervals over patients.
    brier_of_prevalence
        What a constant score at the prevalence would reach.
    mean_score, prevalence
        Said and observed on the whole.
    """

    target: str
    brier: Estimate
    brier_of_prevalence: float
    expected_calibration_error: Estimate
    mean_score: float
    prevalence: float
    bins: tuple[ReliabilityBin, ...]


def reliability(target: str, labels: FloatArray, scores: FloatArray, patients: npt.NDArray[np.intp]) -> Reliability:
    """Judge calibration.

    Parameters
    ----------
    labels, scores, patients : (cases,)
        Cases with an unknown label are left out; ``patients`` numbers the patient of each case.
    """
    known = ~np.isnan(labels)
    labels, scores, patients = labels[known], scores[known], patients[known]

    def calibration_error(drawn: npt.NDArray[np.intp]) -> float:
        return expected_calibration_error(labels[drawn], scores[drawn])

    prevalence = float(labels.mean()) if len(labels) else float("nan")
    bins = tuple(
        ReliabilityBin(float(scores[each].mean()), proportion(int(labels[each].sum()), len(each)))
        for each in score_bins(scores)
    )
    return Reliability(
        target=target,
        brier=_mean_estimate((scores - labels) ** 2, patients),
        brier_of_prevalence=prevalence * (1.0 - prevalence),
        expected_calibration_error=bootstrap_estimate(calibration_error, patients, replicates=500),
        mean_score=float(scores.mean()) if len(scores) else float("nan"),
        prevalence=prevalence,
        bins=bins,
    )


def _mean_estimate(values: FloatArray, patients: npt.NDArray[np.intp]) -> Estimate:
    if len(values) == 0:
        return unknown(0, "no cases")
    draws = PatientDraws(patients)
    sums = draws.sums(np.stack([values, np.ones(len(values))], axis=1))
    return draws.estimate(float(values.mean()), sums[:, 0] / sums[:, 1])


def score_bins(scores: FloatArray) -> list[npt.NDArray[np.intp]]:
    """Cut cases into at most ten bins of equally many, by score; each bin is the indices of its cases."""
    if len(scores) == 0:
        return []
    count = int(np.clip(len(scores) // SMALLEST_BIN, 1, LARGEST_BIN_COUNT))
    return [each for each in np.array_split(np.argsort(scores, kind="stable"), count) if len(each)]


def expected_calibration_error(labels: FloatArray, scores: FloatArray) -> float:
    """Mean gap between score and observed frequency over the bins, weighted by their cases (Guo et al. 2017, equation 3).

    Examples
    --------
    >>> expected_calibration_error(np.array([0.0, 0.0, 1.0, 1.0]), np.array([0.5, 0.5, 0.5, 0.5]))
    0.0
    """
    bins = score_bins(scores)
    gaps = [len(each) * abs(float(scores[each].mean()) - float(labels[each].mean())) for each in bins]
    return sum(gaps) / len(scores) if len(scores) else float("nan")
