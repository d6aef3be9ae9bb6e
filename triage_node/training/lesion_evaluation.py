"""Is small blood seen, and are look-alikes taken for blood: flags by volume, by kind and by mimic.

In: flags of subjects, and how much blood and which look-alikes each has. Out: shares with Wilson's intervals. All of it is of
stage one, at the threshold that the report judges: would the worklist have moved?
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from triage_node.core.finding import SUBTYPES
from triage_node.training.datasets.labelled_scan import TARGETS
from triage_node.training.datasets.lesion_table import LesionTable
from triage_node.training.estimates import Estimate, proportion
from triage_node.training.predictions import Predictions

BoolArray = npt.NDArray[np.bool_]

VOLUME_BANDS = ("any volume", "under 1 mL", "1 to 5 mL", "over 5 mL")
MIMICS_ONLY_AIM = 0.05
"""A head with look-alikes and no blood is not flagged more often than 1 in 20."""


@dataclass(frozen=True)
class SensitivityByVolume:
    """Share of subjects with a target that are flagged, by volume.

    Attributes
    ----------
    target
        ``any``: all subjects with blood, by the volume of all of it; a kind: those that show it, by that kind's volume.
    flagged
        One for each of ``VOLUME_BANDS``.
    """

    target: str
    flagged: tuple[Estimate, ...]


@dataclass(frozen=True)
class MimicFlags:
    """How often one look-alike's carriers without blood are flagged."""

    mimic: str
    flagged: Estimate


@dataclass(frozen=True)
class LesionEvaluation:
    """Flags by what the heads truly hold.

    Attributes
    ----------
    sensitivity
        For each target that some subject has.
    without_volume
        Bleeding subjects whose volume no table gives; they are left out.
    mimics_only
        Share flagged of subjects with look-alikes and without blood, beside ``aim``.
    nothing
        Share flagged of subjects with neither.
    by_mimic
        The most often flagged first; None of them where no look-alikes are known.
    """

    sensitivity: tuple[SensitivityByVolume, ...]
    without_volume: int
    mimics_only: Estimate
    nothing: Estimate
    by_mimic: tuple[MimicFlags, ...]
    aim: float = MIMICS_ONLY_AIM

    @property
    def verdict(self) -> str:
        """Say in words whether look-alikes are taken for blood."""
        found = self.mimics_only
        if not found.known:
            return "No head with look-alikes alone was read, so how often they are flagged is not known."
        said = f"Flagged of heads with look-alikes and no blood: {found.successes} of {found.count}"
        share, lower, upper = (f"{100 * each:.1f} %" for each in (found.value, found.lower, found.upper))
        bounds = f"({share}, 95 % interval {lower} to {upper})"
        aim = f"The aim is at most {100 * self.aim:.0f} %"
        if found.value > self.aim:
            return f"{said} {bounds}. {aim}: it is missed."
        sure = "and so does the upper bound" if found.upper <= self.aim else "though the upper bound does not"
        return f"{said} {bounds}. {aim}: the share keeps to it, {sure}."


def evaluate_lesions(predictions: Predictions, flagged: BoolArray, table: LesionTable) -> LesionEvaluation:
    """Judge the flags of one model.

    Parameters
    ----------
    flagged : (subjects,)
        Stage one's decision.
    table
        Names subjects as ``predictions`` does.
    """
    labels, subjects = predictions.labels, predictions.subjects
    volumes = [table.volume_ml.get(each, {}) for each in subjects]
    carried = [table.mimics.get(each, frozenset()) for each in subjects]
    bleeds = labels[:, 0] == 1
    bloodless = (labels[:, 0] == 0) & np.array([not each for each in volumes], dtype=bool)
    with_mimics = np.array([bool(each) for each in carried], dtype=bool)
    known_mimics = np.array([each in table.mimics for each in subjects], dtype=bool)
    names = sorted(frozenset().union(*carried))
    by_mimic = [
        MimicFlags(name, _share(flagged, bloodless & np.array([name in each for each in carried]))) for name in names
    ]
    return LesionEvaluation(
        sensitivity=tuple(_by_target(labels, volumes, flagged)),
        without_volume=int((bleeds & np.array([not each for each in volumes], dtype=bool)).sum()),
        mimics_only=_share(flagged, bloodless & with_mimics),
        nothing=_share(flagged, bloodless & known_mimics & ~with_mimics),
        by_mimic=tuple(sorted(by_mimic, key=lambda each: -np.nan_to_num(each.flagged.value, nan=-1.0))),
    )


def _by_target(
    labels: npt.NDArray[np.float64], volumes: Sequence[Mapping[str, float]], flagged: BoolArray
) -> list[SensitivityByVolume]:
    found = []
    for index, target in enumerate(TARGETS):
        kinds = SUBTYPES if index == 0 else (target,)
        volume_ml = np.array([sum(each.get(kind, 0.0) for kind in kinds) for each in volumes], dtype=np.float64)
        shown = (labels[:, index] == 1) & (volume_ml > 0)
        if shown.any():
            bands = (volume_ml > 0, volume_ml < 1, (volume_ml >= 1) & (volume_ml <= 5), volume_ml > 5)
            found.append(SensitivityByVolume(target, tuple(_share(flagged, shown & band) for band in bands)))
    return found


def _share(flagged: BoolArray, among: BoolArray) -> Estimate:
    return proportion(int((flagged & among).sum()), int(among.sum()))
