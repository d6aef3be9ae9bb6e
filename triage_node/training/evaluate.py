"""Judge models, and readers beside them, on the same subjects: everything the report shows, as numbers.

In: predictions with labels, readers' calls, thresholds. Out: an ``Evaluation``. Subtypes are judged twice: on the subjects
that truly bleed, as the paper does, and end to end behind stage one, as a hospital would see it. Judging never changes a
score: a subtype without a score counts as not seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from triage_node.core.finding import SUBTYPES
from triage_node.training.datasets.labelled_scan import TARGETS, DatasetRejected
from triage_node.training.datasets.lesion_table import LesionTable
from triage_node.training.delong import auc
from triage_node.training.heatmap_scores import HeatmapEvaluation
from triage_node.training.lesion_evaluation import LesionEvaluation, evaluate_lesions
from triage_node.training.metrics import PAPER_THRESHOLD, TargetMetrics, subject_metrics
from triage_node.training.predictions import Predictions
from triage_node.training.reader_study import ReaderStudy, reader_study
from triage_node.training.readings import Readings
from triage_node.training.release_comparison import ReleaseComparison, compare_predictions
from triage_node.training.reliability import Reliability, reliability
from triage_node.training.slice_evaluation import SliceEvaluation, evaluate_slices
from triage_node.training.threshold_sweep import (
    PREVALENCES,
    Gate,
    MeasuredPoint,
    PredictiveValues,
    gate,
    operating_points,
    predictive_values,
)

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Thresholds:
    """At or above these a target counts as called; the paper's 0.5 unless a release says otherwise."""

    subject: float = PAPER_THRESHOLD
    slice: float = PAPER_THRESHOLD
    subtypes: Mapping[str, float] = field(default_factory=lambda: dict.fromkeys(SUBTYPES, PAPER_THRESHOLD))


@dataclass(frozen=True)
class WrongCall:
    """A subject on the wrong side of the threshold, for looking at."""

    subject: str
    fold: str
    score: float
    bleeds: bool
    subtypes: tuple[str, ...]


@dataclass(frozen=True)
class FoldArea:
    """AUC for any hemorrhage within one held-out fold."""

    fold: str
    subjects: int
    positives: int
    auc: float


@dataclass(frozen=True)
class ModelEvaluation:
    """One model's figures.

    Attributes
    ----------
    name
        As in the tables.
    as_paper
        Any hemorrhage on all subjects, then the subtypes on those that truly bleed.
    end_to_end
        The subtypes on all subjects, called only where stage one is.
    missing_subtype_scores
        Truly bleeding subjects without a subtype score, which count as not seen.
    """

    name: str
    as_paper: tuple[TargetMetrics, ...]
    end_to_end: tuple[TargetMetrics, ...]
    missing_subtype_scores: int
    slices: SliceEvaluation | None
    reliability: tuple[Reliability, ...]
    operating_points: tuple[MeasuredPoint, ...]
    predictive_values: tuple[PredictiveValues, ...]
    gate: Gate
    wrong_calls: tuple[WrongCall, ...]
    folds: tuple[FoldArea, ...]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """All that one report shows.

    Attributes
    ----------
    predictions
        What was judged; the curves are drawn from it.
    models
        One for each of ``predictions``; the first is the one that readers and the shadow are compared with.
    warnings
        What a reader of the report must know first.
    seen_in_training
        Why these subjects are not unseen, said in large letters; empty where nothing is known against them.
    heatmaps
        The first model's, where regions were drawn.
    lesions
        The first model's, where volumes are known.
    """

    predictions: tuple[Predictions, ...]
    thresholds: Thresholds
    models: tuple[ModelEvaluation, ...]
    readers: ReaderStudy | None
    comparison: ReleaseComparison | None
    warnings: tuple[str, ...] = ()
    seen_in_training: tuple[str, ...] = ()
    heatmaps: HeatmapEvaluation | None = None
    lesions: LesionEvaluation | None = None


def evaluate(
    predictions: Sequence[Predictions],
    *,
    readings: Readings | None = None,
    shadow: Predictions | None = None,
    thresholds: Thresholds | None = None,
    with_slices: bool = False,
    warnings: Sequence[str] = (),
    seen_in_training: Sequence[str] = (),
    heatmaps: HeatmapEvaluation | None = None,
    lesions: LesionTable | None = None,
) -> Evaluation:
    """Judge one or more models on the same subjects.

    Parameters
    ----------
    predictions
        At least one; all must hold the same subjects with the same labels.
    readings
        Calls of readers on the subjects of the first.
    shadow
        Scores of another release, compared with the first subject by subject.
    thresholds
        The paper's where None.
    with_slices
        Whether to judge slices too; every one of ``predictions`` that has them is.
    warnings, seen_in_training
        Put at the head of the report.
    heatmaps
        Shown as they are.
    lesions
        Volumes and look-alikes by the subjects of the first.

    Raises
    ------
    DatasetRejected
        The models were not run on the same subjects, or slices are wanted and there are none.
    """
    thresholds = thresholds or Thresholds()
    first = predictions[0]
    for other in predictions[1:]:
        refuse_other_subjects(first, other)
    if with_slices and first.slices is None:
        raise DatasetRejected(first.name, "it holds no slices", "Leave --slices out, or predict slices too")
    return Evaluation(
        predictions=tuple(predictions),
        thresholds=thresholds,
        models=tuple(_model(each, thresholds, with_slices) for each in predictions),
        readers=reader_study(first, readings, called_by(first, thresholds)) if readings else None,
        comparison=_comparison(first, shadow, thresholds) if shadow else None,
        warnings=(*warnings, *_several_scans(first)),
        seen_in_training=tuple(seen_in_training),
        heatmaps=heatmaps,
        lesions=evaluate_lesions(first, called_by(first, thresholds)[:, 0], lesions) if lesions else None,
    )


def _several_scans(predictions: Predictions) -> list[str]:
    patients = len(set(predictions.patient_index.tolist()))
    if patients == len(predictions.subjects):
        return []
    return [
        f"These {len(predictions.subjects)} subjects are scans of {patients} patients. Intervals that draw patients heed it; "
        "those of Wilson and DeLong take scans as independent and are too narrow."
    ]


def refuse_other_subjects(first: Predictions, other: Predictions) -> None:
    """Refuse two models that were not run on the same subjects with the same labels.

    Raises
    ------
    DatasetRejected
        They were not.
    """
    if set(first.subjects) != set(other.subjects):
        differing = sorted(set(first.subjects) ^ set(other.subjects))
        problem = f"its subjects are not those of {first.name} (for example {differing[0]})"
        raise DatasetRejected(other.name, problem, "Predict the same subjects with both models")
    index_of = {subject: index for index, subject in enumerate(other.subjects)}
    order = [index_of[subject] for subject in first.subjects]
    differs = ~((first.labels == other.labels[order]) | (np.isnan(first.labels) & np.isnan(other.labels[order])))
    if differs.any():
        subject = first.subjects[int(np.flatnonzero(differs.any(axis=1))[0])]
        raise DatasetRejected(
            other.name, f"subject {subject} is labelled otherwise than in {first.name}", "Use one truth"
        )


def called_by(predictions: Predictions, thresholds: Thresholds) -> npt.NDArray[np.bool_]:
    """Decide (subjects, 6): stage one, and each subtype by its own score, behind no stage one.

    A model that says at which thresholds it calls is taken at its word: two releases seldom have the same.
    """
    limits = np.array([thresholds.subject, *(thresholds.subtypes[each] for each in SUBTYPES)])
    if predictions.thresholds is not None:
        limits = np.where(np.isnan(predictions.thresholds), limits, predictions.thresholds)
    return np.asarray(np.nan_to_num(predictions.scores, nan=-1.0) >= limits)


def _model(predictions: Predictions, thresholds: Thresholds, with_slices: bool) -> ModelEvaluation:
    labels, called = predictions.labels, called_by(predictions, thresholds)
    scores = np.nan_to_num(predictions.scores, nan=0.0)
    bleeds = labels[:, 0] == 1
    flagged = called[:, 0]
    judged = [index for index in range(1, len(TARGETS)) if not np.isnan(predictions.scores[:, index]).all()]
    patients = predictions.patient_index
    as_paper = [subject_metrics(TARGETS[0], labels[:, 0], scores[:, 0], flagged, patients)]
    as_paper += [
        subject_metrics(
            TARGETS[index], labels[bleeds, index], scores[bleeds, index], called[bleeds, index], patients[bleeds]
        )
        for index in judged
    ]
    end_to_end = [
        subject_metrics(
            TARGETS[index], labels[:, index], scores[:, index] * flagged, called[:, index] & flagged, patients
        )
        for index in judged
    ]
    sensitivity, specificity = (as_paper[0].figures[name] for name in ("sensitivity", "specificity"))
    slices = evaluate_slices(predictions, thresholds) if with_slices and predictions.slices is not None else None
    return ModelEvaluation(
        name=predictions.name,
        as_paper=tuple(as_paper),
        end_to_end=tuple(end_to_end),
        missing_subtype_scores=int(np.isnan(predictions.scores[bleeds][:, judged]).any(axis=1).sum()) if judged else 0,
        slices=slices,
        reliability=_reliabilities(predictions, judged),
        operating_points=tuple(operating_points(labels[:, 0], scores[:, 0], thresholds.subject)),
        predictive_values=tuple(predictive_values(sensitivity, specificity, each) for each in PREVALENCES),
        gate=gate(as_paper[0].figures),
        wrong_calls=_wrong_calls(predictions, flagged),
        folds=_fold_areas(predictions),
    )


def _reliabilities(predictions: Predictions, judged: Sequence[int]) -> tuple[Reliability, ...]:
    everyone = np.arange(len(predictions.subjects))
    found = [reliability(TARGETS[0], predictions.labels[:, 0], predictions.scores[:, 0], everyone)]
    for index in judged:
        scored = (predictions.labels[:, 0] == 1) & ~np.isnan(predictions.scores[:, index])
        labels, scores = predictions.labels[scored, index], predictions.scores[scored, index]
        found.append(reliability(TARGETS[index], labels, scores, everyone[scored]))
    return tuple(found)


def _wrong_calls(predictions: Predictions, flagged: npt.NDArray[np.bool_]) -> tuple[WrongCall, ...]:
    """Missed subjects first, the least suspected on top; then false alarms, the most suspected on top."""
    labels, scores = predictions.labels[:, 0], predictions.scores[:, 0]
    missed = [index for index in np.argsort(scores) if labels[index] == 1 and not flagged[index]]
    alarms = [index for index in np.argsort(-scores) if labels[index] == 0 and flagged[index]]
    return tuple(
        WrongCall(
            subject=predictions.subjects[index],
            fold=predictions.folds[index],
            score=float(scores[index]),
            bleeds=bool(labels[index] == 1),
            subtypes=tuple(SUBTYPES[kind] for kind in np.flatnonzero(predictions.labels[index, 1:] == 1)),
        )
        for index in [*missed, *alarms]
    )


def _fold_areas(predictions: Predictions) -> tuple[FoldArea, ...]:
    folds = np.array(predictions.folds)
    areas = []
    for fold in sorted(set(predictions.folds) - {""}):
        mine = (folds == fold) & ~np.isnan(predictions.labels[:, 0])
        labels = predictions.labels[mine, 0]
        areas.append(FoldArea(fold, len(labels), int(labels.sum()), auc(labels, predictions.scores[mine, 0])))
    return tuple(areas)


def _comparison(first: Predictions, shadow: Predictions, thresholds: Thresholds) -> ReleaseComparison:
    return compare_predictions(first, shadow, called_by(first, thresholds), called_by(shadow, thresholds))
