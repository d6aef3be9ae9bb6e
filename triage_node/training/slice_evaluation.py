"""Slices judged with patients as clusters, beside the baseline that knows the slice's height alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from triage_node.core.finding import SUBTYPES
from triage_node.training.bootstrap import PatientDraws
from triage_node.training.datasets.labelled_scan import TARGETS
from triage_node.training.delong import auc
from triage_node.training.estimates import Estimate
from triage_node.training.metrics import TargetMetrics, clustered_metrics
from triage_node.training.positional_baseline import positional_scores
from triage_node.training.predictions import Predictions
from triage_node.training.reliability import Reliability, reliability


class SliceThresholds(Protocol):
    """At or above these a slice counts as called."""

    @property
    def slice(self) -> float:
        """For any hemorrhage."""
        ...

    @property
    def subtypes(self) -> Mapping[str, float]:
        """For each subtype."""
        ...


@dataclass(frozen=True)
class SliceTarget:
    """One target on slices.

    Attributes
    ----------
    metrics
        The model's.
    positional_auc
        Of the baseline, on the same slices.
    gain
        The model's AUC less the baseline's; both are drawn from the same patients.
    """

    metrics: TargetMetrics
    positional_auc: Estimate
    gain: Estimate


@dataclass(frozen=True)
class SliceEvaluation:
    """All targets on slices: any hemorrhage on all slices, subtypes on the slices of patients that truly bleed.

    Attributes
    ----------
    slices, patients
        How many any hemorrhage was judged on.
    reliability
        Of any hemorrhage.
    """

    slices: int
    patients: int
    targets: tuple[SliceTarget, ...]
    reliability: Reliability


def evaluate_slices(predictions: Predictions, thresholds: SliceThresholds) -> SliceEvaluation:
    """Judge the slices of predictions that have some."""
    slices = predictions.slices
    assert slices is not None
    patients = predictions.patient_index[slices.subject_index]
    of_bleeding = (predictions.labels[:, 0] == 1)[slices.subject_index]
    everything = np.ones(len(patients), dtype=bool)
    limits = (thresholds.slice, *(thresholds.subtypes[each] for each in SUBTYPES))
    targets = []
    for index, target in enumerate(TARGETS):
        among = everything if index == 0 else of_bleeding
        if np.isnan(slices.scores[among, index]).all() or np.isnan(slices.labels[among, index]).all():
            continue
        targets.append(_target(predictions, index, among, target, limits[index]))
    known = ~np.isnan(slices.labels[:, 0])
    return SliceEvaluation(
        slices=int(known.sum()),
        patients=len(np.unique(patients[known])),
        targets=tuple(targets),
        reliability=reliability(TARGETS[0], slices.labels[:, 0], slices.scores[:, 0], patients),
    )


def _target(
    predictions: Predictions, index: int, among: npt.NDArray[np.bool_], target: str, limit: float
) -> SliceTarget:
    slices = predictions.slices
    assert slices is not None
    labels, scans = slices.labels[among, index], slices.subject_index[among]
    patients = predictions.patient_index[scans]
    scores = np.nan_to_num(slices.scores[among, index], nan=0.0)
    by_height = positional_scores(labels, scans, patients)
    known = ~np.isnan(labels)
    labels, scores, by_height, patients = labels[known], scores[known], by_height[known], patients[known]
    draws = PatientDraws(patients)
    classes = labels == 1, labels == 0
    model_draws, height_draws = draws.areas(labels, scores), draws.areas(labels, by_height)
    height_area = auc(labels, by_height)
    return SliceTarget(
        metrics=clustered_metrics(target, labels, scores, scores >= limit, patients),
        positional_auc=draws.estimate(height_area, height_draws, *classes),
        gain=draws.estimate(auc(labels, scores) - height_area, model_draws - height_draws, *classes),
    )
