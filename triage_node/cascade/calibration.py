"""From logits to probabilities: temperature, and the shift to a site's prevalence.

In: logits. Out: probabilities, 0 to 1. A score is called a probability only after both steps; an operating point is
shifted along with it, so that neither step ever changes which studies are flagged.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_LARGEST_LOGIT = 30.0


@dataclass(frozen=True)
class Calibration:
    """A logistic map of one head: ``sigmoid(logit / temperature + offset)`` (Platt 1999; Guo et al. 2017, equation 9).

    Attributes
    ----------
    temperature
        Above 1 where the head is over-confident.
    offset
        In logits; 0 for pure temperature scaling.
    """

    temperature: float = 1.0
    offset: float = 0.0

    def __post_init__(self) -> None:
        if not self.temperature > 0 or not math.isfinite(self.temperature + self.offset):
            raise ValueError(f"temperature must be above 0 and offset finite, not {self.temperature}, {self.offset}")

    def probabilities(self, logits: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        """Calibrate logits of any shape.

        Examples
        --------
        >>> Calibration().probabilities(np.zeros(1)).tolist()
        [0.5]
        """
        calibrated = np.asarray(logits, dtype=np.float64) / self.temperature + self.offset
        return 1.0 / (1.0 + np.exp(-np.clip(calibrated, -_LARGEST_LOGIT, _LARGEST_LOGIT)))


def prior_shift(probability: float, trained_prevalence: float, site_prevalence: float) -> float:
    """Move a probability from the prevalence it was calibrated at to a site's (Saerens et al. 2002, equation 2.4).

    Parameters
    ----------
    probability
        0 to 1, calibrated.
    trained_prevalence, site_prevalence
        Share of subjects with blood, above 0 and below 1.

    Examples
    --------
    >>> round(prior_shift(0.5, 0.5, 0.1), 6)
    0.1
    """
    if not (0.0 < trained_prevalence < 1.0 and 0.0 < site_prevalence < 1.0):
        raise ValueError(f"a prevalence lies between 0 and 1, not {trained_prevalence} and {site_prevalence}")
    positive = probability * site_prevalence / trained_prevalence
    negative = (1.0 - probability) * (1.0 - site_prevalence) / (1.0 - trained_prevalence)
    return positive / (positive + negative)
