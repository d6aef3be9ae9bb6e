"""Intervals by drawing whole patients again.

Slices of one patient are alike, so an interval that treats them as independent is far too narrow: the unit that is drawn
is the patient, and a drawn patient brings all slices (Field and Welsh 2007, the cluster bootstrap). Counts and areas are
computed for all draws at once from how often each patient was drawn; other statistics are computed draw by draw.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from triage_node.training.estimates import CONFIDENCE, Estimate, unknown

REPLICATES = 2000
FEWEST_REPLICATES = 200
LARGEST_EFFORT = 100_000_000
"""Cases drawn in all (replicates times cases): keeps a set of 750,000 slices to minutes."""
LARGEST_CHUNK = 4_000_000
"""Weights held at a time, in numbers."""
FEWEST_PATIENTS = 5
"""With a class in fewer patients than this, drawing them again says nothing of patients not seen."""
LEAST_USABLE_SHARE = 0.5
"""Where a class is so rare that half of the draws lack it, a percentile interval would be of a different question."""

FloatArray = npt.NDArray[np.floating]


class PatientDraws:
    """How often each patient was drawn, for many draws of as many patients as there are.

    Parameters
    ----------
    patients : (cases,), at least one case
        The patient of each case, as any numbers.
    replicates
        How many draws; fewer where there are very many cases.
    seed
        Of the draws: the same seed gives the same interval, and draws of the same patients can be subtracted.
    """

    def __init__(self, patients: npt.NDArray[np.intp], replicates: int = REPLICATES, seed: int = 0) -> None:
        names, self.patient_of_case = np.unique(patients, return_inverse=True)
        self.cases, self.patients = len(patients), len(names)
        replicates = min(replicates, max(FEWEST_REPLICATES, LARGEST_EFFORT // self.cases))
        shares = np.full(self.patients, 1.0 / self.patients)
        self.times_drawn = (
            np.random.default_rng(seed).multinomial(self.patients, shares, size=replicates).astype(np.int32)
        )

    def carriers(self, of_class: npt.NDArray[np.bool_]) -> int:
        """Count the patients that carry a class, (cases,)."""
        return len(np.unique(self.patient_of_case[of_class]))

    def sums(self, of_cases: FloatArray) -> npt.NDArray[np.float64]:
        """Sum (cases, quantities) over the cases of each draw: (draws, quantities)."""
        by_patient = np.zeros((self.patients, of_cases.shape[1]))
        np.add.at(by_patient, self.patient_of_case, of_cases)
        return np.asarray(self.times_drawn @ by_patient)

    def areas(self, labels: FloatArray, scores: FloatArray) -> npt.NDArray[np.float64]:
        """Area under the ROC curve of each draw, ties counting half; NaN where a draw lacks a class.

        Parameters
        ----------
        labels, scores : (cases,)
        """
        order = np.argsort(scores, kind="stable")
        starts = np.flatnonzero(np.r_[True, np.diff(scores[order]) > 0])
        positive, patient = (labels[order] == 1).astype(np.float64), self.patient_of_case[order]
        areas = np.empty(len(self.times_drawn))
        step = max(1, LARGEST_CHUNK // self.cases)
        for first in range(0, len(areas), step):
            weights = self.times_drawn[first : first + step][:, patient].astype(np.float64)
            positives = np.add.reduceat(weights * positive, starts, axis=1)
            negatives = np.add.reduceat(weights * (1 - positive), starts, axis=1)
            below = np.cumsum(negatives, axis=1) - negatives / 2
            pairs = positives.sum(axis=1) * negatives.sum(axis=1)
            wins = (positives * below).sum(axis=1)
            areas[first : first + step] = np.divide(wins, pairs, out=np.full(len(pairs), np.nan), where=pairs > 0)
        return areas

    def estimate(self, value: float, draws: npt.NDArray[np.float64], *rests_on: npt.NDArray[np.bool_]) -> Estimate:
        """Put the percentile interval of a statistic's draws round its value.

        Each of ``rests_on`` (cases,) marks a class the statistic rests on; carried by too few patients, it allows no interval.
        """
        carriers = min((self.carriers(each) for each in rests_on), default=self.patients)
        if carriers < FEWEST_PATIENTS and not np.isnan(value):
            method = f"no interval: a class it rests on is in {carriers} patients only"
            return Estimate(value, np.nan, np.nan, self.cases, None, method)
        return _percentile_estimate(value, draws, self.cases, self.patients)


def bootstrap_estimate(
    statistic: Callable[[npt.NDArray[np.intp]], float],
    clusters: npt.NDArray[np.intp],
    replicates: int = REPLICATES,
    seed: int = 0,
) -> Estimate:
    """Give any statistic with its percentile interval over draws of whole clusters.

    Parameters
    ----------
    statistic
        Maps indices of cases, (drawn cases,), to a figure; NaN where it is not defined.
    clusters : (cases,)
        The patient of each case, as any numbers.
    replicates
        How many draws.
    seed
        Of the draws: the same seed gives the same interval.
    """
    cases = len(clusters)
    if cases == 0:
        return unknown(0, "no cases")
    order = np.argsort(clusters, kind="stable")
    members = np.split(order, np.flatnonzero(np.diff(clusters[order])) + 1)
    if len(members) < FEWEST_PATIENTS:
        method = f"no interval: there are {len(members)} patients only"
        return Estimate(statistic(np.arange(cases)), np.nan, np.nan, cases, None, method)
    chance = np.random.default_rng(seed)
    draws = np.empty(replicates)
    for index in range(replicates):
        chosen = chance.integers(len(members), size=len(members))
        draws[index] = statistic(np.concatenate([members[each] for each in chosen]))
    return _percentile_estimate(statistic(np.arange(cases)), draws, cases, len(members))


def _percentile_estimate(value: float, draws: npt.NDArray[np.float64], cases: int, patients: int) -> Estimate:
    if np.isnan(value):
        return unknown(cases, "not defined on these cases")
    usable = draws[~np.isnan(draws)]
    method = f"bootstrap over {patients} patients"
    if len(usable) < LEAST_USABLE_SHARE * len(draws):
        return Estimate(value, np.nan, np.nan, cases, None, f"{method}: too few positives")
    if usable.min() == usable.max():
        return Estimate(value, np.nan, np.nan, cases, None, f"{method}: no draw differs")
    tail = (1.0 - CONFIDENCE) / 2
    lower, upper = np.quantile(usable, [tail, 1.0 - tail])
    return Estimate(value, float(lower), float(upper), cases, None, method)
