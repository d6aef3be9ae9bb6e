"""What the ensemble says of patients that it was not trained on: predictions, calibration and operating points.

In: finished jobs of all folds. Out: one logit set a scan, the mean over the fold's members, and everything that is
fitted to them. Thresholds and calibrations are chosen on the same out-of-fold logits that they are reported on, so a
nested figure, with the threshold chosen without the fold it is measured on, stands beside them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from triage_node.cascade.calibration import Calibration
from triage_node.cascade.weights import HEADS
from triage_node.core.finding import SUBTYPES
from triage_node.training.delong import auc_estimate
from triage_node.training.estimates import Estimate
from triage_node.training.held_out import PARTS, ScanLogits, held_out_logits
from triage_node.training.job import JobSetting, TrainingJob
from triage_node.training.metrics import PAPER_THRESHOLD, Confusion
from triage_node.training.predictions import Predictions, SlicePredictions, subject_names
from triage_node.training.slice_bank import SliceBank

FloatArray = npt.NDArray[np.float64]
_TEMPERATURES = np.geomspace(0.25, 8.0, 61)
_OFFSETS = np.linspace(-4.0, 4.0, 81)
_PRIOR_STRENGTH = 0.5
"""Pulls towards temperature 1 and offset 0, in units of cases: a subtype may have three positives."""
HIGH_SENSITIVITY = 0.95
FEWEST_PATIENTS = 5
"""With fewer patients who show a kind, or who bleed without it, its threshold would be theirs alone."""


@dataclass(frozen=True, eq=False)
class OutOfFold:
    """Logits and labels of every real scan with labels.

    Attributes
    ----------
    bank
        Where the scans lie.
    scans, folds
        Indices into the bank, and the fold each was kept aside in.
    logits
        One a scan.
    """

    bank: SliceBank
    scans: tuple[int, ...]
    folds: tuple[int, ...]
    logits: tuple[ScanLogits, ...]

    def subjects(self) -> tuple[FloatArray, FloatArray]:
        """Logits and labels of subjects : (subjects, 6) each."""
        logits = np.stack([each.subject for each in self.logits]).astype(np.float64)
        return logits, self.bank.subject_labels[list(self.scans)].astype(np.float64)

    def slices(self) -> tuple[FloatArray, FloatArray]:
        """Logits and labels of slices : (slices, 6) each."""
        labels = [self.bank.labels[slice(*self.bank.ranges[scan])] for scan in self.scans]
        return np.concatenate([each.slices for each in self.logits]).astype(np.float64), np.concatenate(labels).astype(
            np.float64
        )


def collected(bank: SliceBank, jobs: Sequence[TrainingJob], setting: JobSetting) -> OutOfFold:
    """Average the members' logits, scan by scan, over the jobs that kept the scan's patient aside."""
    found: dict[int, list[ScanLogits]] = {}
    for job in jobs:
        for scan, logits in held_out_logits(job, setting, bank).items():
            found.setdefault(scan, []).append(logits)
    scans = tuple(sorted(found))
    means = tuple(
        ScanLogits(*(np.mean([getattr(each, name) for each in found[scan]], axis=0) for name in PARTS))
        for scan in scans
    )
    folds = tuple(setting.fold_of_subject[bank.subjects[scan]] for scan in scans)
    return OutOfFold(bank, scans, folds, means)


def fitted_calibration(logits: FloatArray, labels: FloatArray) -> Calibration:
    """Choose temperature and offset that make the likelihood of known labels largest, on a grid, with a weak prior at (1, 0)."""
    known = ~np.isnan(labels)
    if len(np.unique(labels[known])) < 2:
        return Calibration()
    best, chosen = np.inf, Calibration()
    for temperature in _TEMPERATURES:
        moved = logits[known][None, :] / temperature + _OFFSETS[:, None]
        losses = (np.logaddexp(0.0, moved) - labels[known] * moved).sum(axis=1)
        losses += _PRIOR_STRENGTH * (np.log(temperature) ** 2 + _OFFSETS**2)
        index = int(np.argmin(losses))
        if losses[index] < best:
            best, chosen = float(losses[index]), Calibration(float(temperature), float(_OFFSETS[index]))
    return chosen


def calibrations(found: OutOfFold) -> dict[str, Calibration]:
    """Fit every head: subjects and slices of stage one, and stage two's subtypes on subjects that bleed, as it is run."""
    subject_logits, subject_labels = found.subjects()
    slice_logits, slice_labels = found.slices()
    fitted = {
        "subject": fitted_calibration(subject_logits[:, 0], subject_labels[:, 0]),
        "slice": fitted_calibration(slice_logits[:, 0], slice_labels[:, 0]),
    }
    bleeding = subject_labels[:, 0] == 1
    for column, kind in enumerate(SUBTYPES, start=1):
        fitted[kind] = fitted_calibration(subject_logits[bleeding, column], subject_labels[bleeding, column])
    return {head: fitted[head] for head in HEADS}


def out_of_fold_predictions(name: str, found: OutOfFold, fitted: Mapping[str, Calibration]) -> Predictions:
    """Calibrated probabilities as the evaluation reads them; subtypes are given for every subject, flagged or not."""
    subject_logits, subject_labels = found.subjects()
    slice_logits, slice_labels = found.slices()
    subject_scores, slice_scores = np.empty_like(subject_logits), np.empty_like(slice_logits)
    subject_scores[:, 0] = fitted["subject"].probabilities(subject_logits[:, 0])
    slice_scores[:, 0] = fitted["slice"].probabilities(slice_logits[:, 0])
    for column, kind in enumerate(SUBTYPES, start=1):
        subject_scores[:, column] = fitted[kind].probabilities(subject_logits[:, column])
        slice_scores[:, column] = fitted[kind].probabilities(slice_logits[:, column])
    lengths = [len(each.slices) for each in found.logits]
    slices = SlicePredictions(
        subject_index=np.repeat(np.arange(len(lengths)), lengths).astype(np.intp),
        slice_ids=tuple(each for scan in found.scans for each in found.bank.slice_ids[scan]),
        scores=slice_scores,
        labels=slice_labels,
    )
    return Predictions(
        name=name,
        subjects=subject_names(
            [found.bank.subjects[scan] for scan in found.scans], [found.bank.scans[scan] for scan in found.scans]
        ),
        folds=tuple(str(fold) for fold in found.folds),
        scores=subject_scores,
        labels=subject_labels,
        slices=slices,
    )


def bleeding_patients(found: Predictions) -> int:
    """Count patients with blood, however many scans each has."""
    return len(np.unique(found.patient_index[found.labels[:, 0] == 1]))


def balanced_threshold(labels: FloatArray, scores: FloatArray) -> float:
    """The threshold whose worse figure, of sensitivity and specificity, is highest, halfway to the next lower score.

    Neither may be paid for with the other, as the sum of both allows; of equals the one with the higher sum. Where one class is
    missing, as among slices of scans that are labelled as a whole, it is the paper's 0.5.
    """
    positive, negative = scores[labels == 1], scores[labels == 0]
    if not len(positive) or not len(negative):
        return PAPER_THRESHOLD
    levels = np.unique(scores)
    if len(levels) < 2:
        return PAPER_THRESHOLD
    thresholds = (levels[:-1] + levels[1:]) / 2
    # Counted by sorting, since a large set has three quarters of a million slices.
    sensitivity = 1.0 - np.searchsorted(np.sort(positive), thresholds) / len(positive)
    specificity = np.searchsorted(np.sort(negative), thresholds) / len(negative)
    worse = np.minimum(sensitivity, specificity).round(9)
    best = np.flatnonzero(worse == worse.max())
    return float(thresholds[best[np.argmax((sensitivity + specificity).round(9)[best])]])


def sensitive_threshold(labels: FloatArray, scores: FloatArray, wanted: float = HIGH_SENSITIVITY) -> float:
    """The highest threshold that flags at least the wanted share of positives, halfway to the next lower score."""
    positive = np.sort(scores[labels == 1])
    highest = float(positive[int(np.floor((1.0 - wanted) * len(positive) + 1e-9))])
    below = scores[scores < highest]
    return float((highest + below.max()) / 2) if len(below) else highest


def _described(estimate: Estimate) -> dict[str, Any]:
    return {
        "value": round(estimate.value, 4),
        "lower_95": round(estimate.lower, 4),
        "upper_95": round(estimate.upper, 4),
        "n": estimate.count,
    }


def measured(labels: FloatArray, scores: FloatArray, threshold: float) -> dict[str, Any]:
    """Sensitivity and specificity at a threshold with their intervals."""
    known = ~np.isnan(labels)
    confusion = Confusion.of(labels[known], scores[known] >= threshold)
    return {"sensitivity": _described(confusion.sensitivity), "specificity": _described(confusion.specificity)}


def nested(labels: FloatArray, scores: FloatArray, folds: Sequence[int]) -> dict[str, Any]:
    """Sensitivity and specificity where each fold's balanced threshold was chosen on the other folds."""
    of_fold = np.array(folds)
    flagged = np.zeros(len(scores), dtype=bool)
    for fold in np.unique(of_fold):
        inside = of_fold == fold
        flagged[inside] = scores[inside] >= balanced_threshold(labels[~inside], scores[~inside])
    known = ~np.isnan(labels)
    confusion = Confusion.of(labels[known], flagged[known])
    return {"sensitivity": _described(confusion.sensitivity), "specificity": _described(confusion.specificity)}


def kind_threshold(found: Predictions, column: int) -> float:
    """The threshold from which a kind is named in subjects that bleed: balanced, or 0.5 where few patients show it."""
    bleeding = found.labels[:, 0] == 1
    labels, scores = found.labels[bleeding, column], found.scores[bleeding, column]
    patients = found.patient_index[bleeding]
    if min(len(np.unique(patients[labels == label])) for label in (0, 1)) < FEWEST_PATIENTS:
        return PAPER_THRESHOLD
    return balanced_threshold(labels, scores)


def operating_points(found: Predictions) -> dict[str, dict[str, Any]]:
    """The release's named operating points: ``balanced``, ``high_sensitivity`` and the paper's 0.5."""
    assert found.slices is not None
    labels, scores = found.labels[:, 0], found.scores[:, 0]
    slice_threshold = balanced_threshold(found.slices.labels[:, 0], found.slices.scores[:, 0])
    thresholds = {
        "balanced": balanced_threshold(labels, scores),
        "high_sensitivity": sensitive_threshold(labels, scores),
        "paper": PAPER_THRESHOLD,
    }
    points = {}
    for name, threshold in thresholds.items():
        subtype_thresholds = dict.fromkeys(SUBTYPES, PAPER_THRESHOLD)
        if name != "paper":
            subtype_thresholds = {kind: kind_threshold(found, column) for column, kind in enumerate(SUBTYPES, start=1)}
        figures = measured(labels, scores, threshold)
        figures["auc"] = _described(auc_estimate(labels, scores))
        if name == "balanced":
            figures["threshold_chosen_without_the_fold"] = nested(labels, scores, [int(fold) for fold in found.folds])
        points[name] = {
            "threshold": threshold,
            "slice_threshold": PAPER_THRESHOLD if name == "paper" else slice_threshold,
            "subtype_thresholds": subtype_thresholds,
            "measured": figures,
        }
    return points
