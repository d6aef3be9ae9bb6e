"""How far readers agree with each other, and whether two of them differ: kappa (the paper's Table 2) and McNemar.

In: yes or no of several readers on the same subjects. Out: Cohen's kappa for pairs, Fleiss' for all, McNemar's exact test.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from triage_node.training.bootstrap import bootstrap_estimate
from triage_node.training.estimates import Estimate, unknown

FloatArray = npt.NDArray[np.floating]
LANDIS_AND_KOCH = ((0.0, "poor"), (0.2, "slight"), (0.4, "fair"), (0.6, "moderate"), (0.8, "substantial"))
"""Upper bounds of the words of Landis and Koch, Biometrics 1977, 33:159; above the last one it is almost perfect."""


def in_words(kappa: float) -> str:
    """Say a kappa in the words of Landis and Koch.

    Examples
    --------
    >>> in_words(0.75)
    'substantial'
    """
    if np.isnan(kappa):
        return "not defined"
    return next((word for bound, word in LANDIS_AND_KOCH if kappa <= bound), "almost perfect")


def cohen_kappa(first: FloatArray, second: FloatArray) -> Estimate:
    """Give Cohen's kappa of two readers with its asymptotic interval (Fleiss, Cohen and Everitt 1969).

    Parameters
    ----------
    first, second : (subjects,), 0 or 1, NaN where not read
    """
    known = ~(np.isnan(first) | np.isnan(second))
    first, second = first[known], second[known]
    if len(first) == 0:
        return unknown(0, "no subject was read by both")
    if len(np.unique(np.concatenate([first, second]))) < 2:
        return unknown(len(first), "both readers gave one answer throughout")
    from statsmodels.stats.inter_rater import cohens_kappa

    table = np.array([[int(((first == a) & (second == b)).sum()) for b in (0, 1)] for a in (0, 1)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a perfect table divides 0 by 0 in the variance
        found = cohens_kappa(table)  # type: ignore[no-untyped-call]
    lower, upper = max(-1.0, float(found.kappa_low)), min(1.0, float(found.kappa_upp))
    return Estimate(float(found.kappa), lower, upper, len(first), None, "Fleiss, Cohen and Everitt")


def fleiss_kappa(readings: FloatArray, seed: int = 0) -> Estimate:
    """Give Fleiss' kappa of all readers with a bootstrap interval over subjects.

    Parameters
    ----------
    readings : (subjects, readers), 0 or 1; a subject with a NaN is left out
    """
    complete = readings[~np.isnan(readings).any(axis=1)]
    if len(complete) == 0 or readings.shape[1] < 2:
        return unknown(len(complete), "no subject was read by all")
    yes = complete.sum(axis=1)
    counts = np.stack([complete.shape[1] - yes, yes], axis=1).astype(np.int64)

    def kappa(drawn: npt.NDArray[np.intp]) -> float:
        from statsmodels.stats.inter_rater import fleiss_kappa as of_table

        table = counts[drawn]
        if (table.sum(axis=0) == 0).any():
            return float("nan")
        return float(of_table(table))  # type: ignore[no-untyped-call]

    return bootstrap_estimate(kappa, np.arange(len(counts)), replicates=1000, seed=seed)


@dataclass(frozen=True)
class PairedTest:
    """McNemar's exact test of two decisions on the same cases.

    Attributes
    ----------
    only_first_right, only_second_right
        The discordant cases.
    p_value
        Two-sided, binomial; 1 where no case is discordant.
    count
        All cases.
    """

    only_first_right: int
    only_second_right: int
    p_value: float
    count: int


def mcnemar(labels: FloatArray, first: FloatArray, second: FloatArray) -> PairedTest:
    """Test whether two deciders are right equally often.

    Parameters
    ----------
    labels, first, second : (cases,), 0 or 1; a case with a NaN is left out
    """
    known = ~(np.isnan(labels) | np.isnan(first) | np.isnan(second))
    first_right, second_right = (first == labels)[known], (second == labels)[known]
    only_first, only_second = int((first_right & ~second_right).sum()), int((~first_right & second_right).sum())
    if only_first + only_second == 0:
        return PairedTest(0, 0, 1.0, int(known.sum()))
    from statsmodels.stats.contingency_tables import mcnemar as exact

    found = exact([[0, only_first], [only_second, 0]], exact=True)  # type: ignore[no-untyped-call]
    return PairedTest(only_first, only_second, min(1.0, float(found.pvalue)), int(known.sum()))
