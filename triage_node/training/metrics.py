"""Accuracy, sensitivity, specificity, F1 and AUC of one target, as the paper's Table 3 has them, with intervals.

In: labels and scores of cases; a case with an unknown label is left out. Out: figures with counts and 95 % intervals:
Wilson's for proportions of independent subjects, DeLong's for AUC, and the cluster bootstrap wherever cases share patients.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from triage_node.training.bootstrap import PatientDraws
from triage_node.training.delong import auc, auc_estimate
from triage_node.training.estimates import Estimate, proportion, unknown

PAPER_THRESHOLD = 0.5
METRICS = ("accuracy", "sensitivity", "specificity", "f1", "auc")
"""Order of the paper's columns."""

FloatArray = npt.NDArray[np.floating]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Confusion:
    """Counts of a decision against the truth."""

    true_positives: int
    false_positives: int
    false_negatives: int
    true_negatives: int

    @classmethod
    def of(cls, labels: FloatArray, flagged: BoolArray) -> Confusion:
        """Count; every label is 0 or 1."""
        positive = labels == 1
        return cls(
            int((positive & flagged).sum()),
            int((~positive & flagged).sum()),
            int((positive & ~flagged).sum()),
            int((~positive & ~flagged).sum()),
        )

    @property
    def positives(self) -> int:
        """Cases that bleed."""
        return self.true_positives + self.false_negatives

    @property
    def negatives(self) -> int:
        """Cases that do not."""
        return self.true_negatives + self.false_positives

    @property
    def count(self) -> int:
        """All cases."""
        return self.positives + self.negatives

    @property
    def accuracy(self) -> Estimate:
        """Share of right decisions."""
        return proportion(self.true_positives + self.true_negatives, self.count)

    @property
    def sensitivity(self) -> Estimate:
        """Share of positives that are flagged."""
        return proportion(self.true_positives, self.positives)

    @property
    def specificity(self) -> Estimate:
        """Share of negatives that are not flagged."""
        return proportion(self.true_negatives, self.negatives)


@dataclass(frozen=True)
class TargetMetrics:
    """One row of Table 3: one target read by one model or reader.

    Attributes
    ----------
    figures
        The five of ``METRICS`` by name.
    auc_is_balanced_accuracy
        True for a reader's yes and no, whose "AUC" is (sensitivity + specificity) / 2.
    auc_by_drawing
        The AUC with the interval of the bootstrap over patients, where ``figures`` has DeLong's.
    """

    target: str
    confusion: Confusion
    figures: Mapping[str, Estimate]
    auc_is_balanced_accuracy: bool = False
    auc_by_drawing: Estimate | None = None


def subject_metrics(
    target: str,
    labels: FloatArray,
    scores: FloatArray,
    flagged: BoolArray,
    patients: npt.NDArray[np.intp] | None = None,
    seed: int = 0,
) -> TargetMetrics:
    """Judge subjects, taken as independent but where patients are drawn.

    Parameters
    ----------
    target
        Name of the target.
    labels, scores, flagged : (subjects,)
        Labels 0, 1, or NaN where unknown; scores 0 to 1; decisions.
    patients : (subjects,)
        Numbers the patient of each subject; every subject is one of its own where None.
    seed
        Of the bootstrap, which F1 and the second interval of the AUC need.
    """
    known = ~np.isnan(labels)
    drawn = (np.arange(len(labels)) if patients is None else patients)[known]
    labels, scores, flagged = labels[known], scores[known], flagged[known]
    if len(labels) == 0:
        return _nothing(target)
    confusion = Confusion.of(labels, flagged)
    draws = PatientDraws(drawn, seed=seed)
    figures = {
        "accuracy": confusion.accuracy,
        "sensitivity": confusion.sensitivity,
        "specificity": confusion.specificity,
        "f1": _drawn_figures(draws, labels, flagged)["f1"],
        "auc": auc_estimate(labels, scores),
    }
    return TargetMetrics(target, confusion, figures, auc_by_drawing=_drawn_area(draws, labels, scores))


def clustered_metrics(
    target: str,
    labels: FloatArray,
    scores: FloatArray,
    flagged: BoolArray,
    patients: npt.NDArray[np.intp],
    seed: int = 0,
) -> TargetMetrics:
    """Judge cases, such as slices, that share patients; every interval draws whole patients.

    Parameters
    ----------
    labels, scores, flagged, patients : (cases,)
        ``patients`` numbers the patient of each case.
    """
    known = ~np.isnan(labels)
    labels, scores, flagged, patients = labels[known], scores[known], flagged[known], patients[known]
    if len(labels) == 0:
        return _nothing(target)
    draws = PatientDraws(patients, seed=seed)
    figures = _drawn_figures(draws, labels, flagged)
    figures["auc"] = _drawn_area(draws, labels, scores)
    return TargetMetrics(target, Confusion.of(labels, flagged), figures)


def _drawn_area(draws: PatientDraws, labels: FloatArray, scores: FloatArray) -> Estimate:
    """Give the AUC with the interval of draws of whole patients."""
    area = auc(labels, scores)
    if np.isnan(area):
        return unknown(len(labels), "one class is missing")
    return draws.estimate(area, draws.areas(labels, scores), labels == 1, labels == 0)


def _nothing(target: str) -> TargetMetrics:
    return TargetMetrics(target, Confusion(0, 0, 0, 0), {name: unknown(0, "no cases") for name in METRICS})


def _drawn_figures(draws: PatientDraws, labels: FloatArray, flagged: BoolArray) -> dict[str, Estimate]:
    """Give the four figures of a decision with bootstrap intervals."""
    positive = labels == 1
    cells = np.stack([positive & flagged, ~positive & flagged, positive & ~flagged, ~positive & ~flagged], axis=1)
    whole = cells.sum(axis=0, keepdims=True).astype(np.float64)
    drawn = draws.sums(cells.astype(np.float64))
    rests_on = {"sensitivity": (positive,), "specificity": (~positive,)}
    return {
        name: draws.estimate(float(rule(whole)[0]), rule(drawn), *rests_on.get(name, (positive, ~positive)))
        for name, rule in _RULES.items()
    }


def _ratio(numerator: FloatArray, denominator: FloatArray) -> npt.NDArray[np.float64]:
    return np.asarray(np.divide(numerator, denominator, out=np.full(len(numerator), np.nan), where=denominator > 0))


_RULES: Mapping[str, Callable[[FloatArray], npt.NDArray[np.float64]]] = {
    "accuracy": lambda cells: _ratio(cells[:, 0] + cells[:, 3], cells.sum(axis=1)),
    "sensitivity": lambda cells: _ratio(cells[:, 0], cells[:, 0] + cells[:, 2]),
    "specificity": lambda cells: _ratio(cells[:, 3], cells[:, 3] + cells[:, 1]),
    "f1": lambda cells: _ratio(2 * cells[:, 0], 2 * cells[:, 0] + cells[:, 1] + cells[:, 2]),
}
"""Figures from (draws, 4): true positives, false positives, false negatives, true negatives."""


def reader_metrics(target: str, labels: FloatArray, calls: FloatArray, seed: int = 0) -> TargetMetrics:
    """Judge a reader, who says yes or no.

    Parameters
    ----------
    labels, calls : (subjects,)
        0 or 1; NaN where unknown or not read.
    """
    known = ~(np.isnan(labels) | np.isnan(calls))
    labels, flagged = labels[known], calls[known] == 1
    judged = subject_metrics(target, labels, flagged.astype(np.float64), flagged, seed=seed)
    return replace(judged, auc_is_balanced_accuracy=True, auc_by_drawing=None)
