"""How often, how large and how bright: the published distribution of 1,873 real lesions, as a sampler.

In: a random generator. Out: which kinds a made-up patient has, and each lesion's volume in mL and HU.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from triage_node.core.finding import SUBTYPES


@dataclass(frozen=True)
class LesionStatistics:
    """HU median with 5th and 95th percentile; volume median and 95th percentile in mL."""

    median_hu: float
    low_hu: float
    high_hu: float
    median_ml: float
    high_ml: float
    largest_ml: float


STATISTICS: Mapping[str, LesionStatistics] = {
    "CPH": LesionStatistics(51.0, 38.0, 60.0, 1.2, 55.8, 90.0),
    "IVH": LesionStatistics(43.0, 31.0, 58.0, 0.54, 12.7, 45.0),
    "SDH": LesionStatistics(51.0, 24.0, 69.0, 0.54, 42.0, 90.0),
    "EDH": LesionStatistics(58.0, 42.0, 68.0, 3.9, 36.8, 90.0),
    "SAH": LesionStatistics(45.0, 35.0, 58.0, 0.18, 2.6, 18.0),
}
SMALLEST_ML = 0.05
FAINT_BELOW_ML: Mapping[str, float] = {"CPH": 3.0, "IVH": 3.0, "SDH": 15.0, "EDH": 3.0, "SAH": 18.0}
"""Bleeds smaller than this are brighter than the median of their kind: darker ones of this size are not seen by anybody.
A subdural bleed as dark as brain shows by its thickness, sulcal blood by its brightness alone."""
VISIBLE_ML: Mapping[str, float] = {"CPH": 0.25, "IVH": 0.2, "SDH": 0.9, "EDH": 0.8, "SAH": 0.4}
"""The smallest main bleed of a patient, mL."""
SPOT_ML = 0.08, 0.8
SPOT_HU = 52.0, 72.0
"""Torn vessels in brain leave spots of 5 to 12 mm. They are brighter than the published percentiles, which are of the medians of
lesions over 1 mL: two such spots in the brainstem of CT-ICH patients (069, 072) have peaks of 67 to 73 HU."""
_NORMAL_95 = 1.645

_PATTERNS: tuple[tuple[tuple[str, ...], float], ...] = (
    (("CPH",), 0.17),
    (("SDH",), 0.17),
    (("EDH",), 0.15),
    (("SAH",), 0.13),
    (("IVH",), 0.04),
    (("CPH", "IVH"), 0.08),
    (("IVH", "SAH"), 0.05),
    (("SDH", "SAH"), 0.06),
    (("CPH", "SAH"), 0.04),
    (("CPH", "SDH", "SAH"), 0.03),
    (("CPH", "IVH", "SAH"), 0.04),
    (("SDH", "EDH"), 0.02),
    (("EDH", "SAH"), 0.02),
)
"""Kinds that come together, with their weight among bleeding patients."""


def drawn_kinds(rng: np.random.Generator, bleeding: float = 0.5) -> tuple[str, ...]:
    """Draw the kinds of one patient; nothing with probability ``1 - bleeding``."""
    if rng.random() >= bleeding:
        return ()
    weights = np.array([weight for _, weight in _PATTERNS])
    kinds = _PATTERNS[int(rng.choice(len(_PATTERNS), p=weights / weights.sum()))][0]
    return tuple(kind for kind in SUBTYPES if kind in kinds)


def drawn_count(rng: np.random.Generator, kind: str) -> int:
    """How many separate bleeds of one kind a patient has."""
    more = {"CPH": 0.4, "IVH": 0.0, "SDH": 0.3, "EDH": 0.1, "SAH": 1.5}[kind]
    return 1 + min(int(rng.poisson(more)), 4)


def drawn_volume_ml(rng: np.random.Generator, kind: str, *, main: bool = False) -> float:
    """Draw a lesion's volume from a log-normal through the median and the 95th percentile.

    The main bleed of a patient is drawn again until it can be seen on a 5 mm slice.
    """
    law = STATISTICS[kind]
    sigma = math.log(law.high_ml / law.median_ml) / _NORMAL_95
    smallest = VISIBLE_ML[kind] if main else SMALLEST_ML
    while True:
        volume = law.median_ml * math.exp(sigma * float(rng.standard_normal()))
        if volume >= smallest or not main:
            return float(np.clip(volume, SMALLEST_ML, law.largest_ml))


def drawn_hu(rng: np.random.Generator, kind: str, volume_ml: float = math.inf) -> float:
    """Draw a lesion's HU from two half normals through the median and both percentiles.

    Bleeds below ``FAINT_BELOW_ML`` are drawn from the upper part.
    """
    law = STATISTICS[kind]
    deviate = float(np.clip(rng.standard_normal(), -1.3, 1.9))
    if volume_ml < FAINT_BELOW_ML[kind]:
        deviate = abs(deviate)
    width = law.high_hu - law.median_hu if deviate > 0 else law.median_hu - law.low_hu
    return law.median_hu + deviate * width / _NORMAL_95


def drawn_spot(rng: np.random.Generator) -> tuple[float, float]:
    """Draw a spot's volume in mL, small ones as often as large ones by its logarithm, and its HU."""
    smallest, largest = SPOT_ML
    return math.exp(float(rng.uniform(math.log(smallest), math.log(largest)))), float(rng.uniform(*SPOT_HU))
