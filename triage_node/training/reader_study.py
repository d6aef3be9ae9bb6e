"""Readers beside the model: their figures, their spread, how far they agree, and whether the model differs from them.

A reader says yes or no, so has a point in the ROC plane and no curve: what stands in the AUC column for a reader is
(sensitivity + specificity) / 2, and is labelled so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from triage_node.training.agreement import PairedTest, cohen_kappa, fleiss_kappa, mcnemar
from triage_node.training.datasets.labelled_scan import TARGETS
from triage_node.training.estimates import Estimate
from triage_node.training.metrics import METRICS, TargetMetrics, reader_metrics
from triage_node.training.predictions import Predictions
from triage_node.training.readings import Readings


@dataclass(frozen=True)
class Spread:
    """Mean and sample standard deviation (n - 1) over readers; the deviation is NaN with one reader."""

    mean: float
    deviation: float
    readers: int


@dataclass(frozen=True)
class ModelAgainstReader:
    """McNemar's tests of the model against one reader on one target: all subjects, positives alone, negatives alone."""

    target: str
    reader: str
    accuracy: PairedTest
    sensitivity: PairedTest
    specificity: PairedTest


@dataclass(frozen=True)
class TargetAgreement:
    """How far readers agree on one target.

    Attributes
    ----------
    pairs
        Cohen's kappa of every two readers.
    fleiss
        Of all readers.
    with_truth
        Cohen's kappa of each reader with the labels.
    """

    target: str
    pairs: Mapping[str, Estimate]
    fleiss: Estimate
    with_truth: Mapping[str, Estimate]


@dataclass(frozen=True)
class ReaderStudy:
    """All that is known of the readers.

    Attributes
    ----------
    as_paper
        By reader: any hemorrhage on all subjects, subtypes on those that truly bleed.
    spread
        By target and figure.
    """

    readers: tuple[str, ...]
    as_paper: Mapping[str, tuple[TargetMetrics, ...]]
    spread: Mapping[str, Mapping[str, Spread]]
    against_model: tuple[ModelAgainstReader, ...]
    agreement: tuple[TargetAgreement, ...]


def reader_study(predictions: Predictions, readings: Readings, called: npt.NDArray[np.bool_]) -> ReaderStudy:
    """Judge readers on the subjects of the predictions.

    Parameters
    ----------
    predictions
        For the labels.
    readings
        On the same subjects in the same order.
    called : (subjects, 6)
        The model's decisions.
    """
    labels = predictions.labels
    as_paper = {
        reader: tuple(
            reader_metrics(target, *_population(index, labels, calls)) for index, target in enumerate(TARGETS)
        )
        for reader, calls in zip(readings.readers, readings.calls, strict=True)
    }
    return ReaderStudy(
        readers=readings.readers,
        as_paper=as_paper,
        spread={target: _spreads([each[index] for each in as_paper.values()]) for index, target in enumerate(TARGETS)},
        against_model=tuple(
            _against(target, reader, *_population(index, labels, calls), _population(index, labels, called)[1])
            for index, target in enumerate(TARGETS)
            for reader, calls in zip(readings.readers, readings.calls, strict=True)
        ),
        agreement=tuple(_agreement(index, readings, labels) for index in range(len(TARGETS))),
    )


def _population(
    index: int, labels: npt.NDArray[np.float64], calls: npt.NDArray[np.generic]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Labels and calls of one target: subtypes on the subjects that truly bleed."""
    among = np.ones(len(labels), dtype=bool) if index == 0 else labels[:, 0] == 1
    return labels[among, index], np.asarray(calls[among, index], dtype=np.float64)


def _spreads(rows: Sequence[TargetMetrics]) -> dict[str, Spread]:
    spreads = {}
    for name in METRICS:
        values = np.array([row.figures[name].value for row in rows])
        values = values[~np.isnan(values)]
        mean = float(values.mean()) if len(values) else math.nan
        deviation = float(values.std(ddof=1)) if len(values) > 1 else math.nan
        spreads[name] = Spread(mean, deviation, len(values))
    return spreads


def _against(
    target: str,
    reader: str,
    labels: npt.NDArray[np.float64],
    calls: npt.NDArray[np.float64],
    model: npt.NDArray[np.float64],
) -> ModelAgainstReader:
    def test(among: npt.NDArray[np.bool_]) -> PairedTest:
        return mcnemar(labels[among], model[among], calls[among])

    return ModelAgainstReader(
        target, reader, test(np.ones(len(labels), dtype=bool)), test(labels == 1), test(labels == 0)
    )


def _agreement(index: int, readings: Readings, labels: npt.NDArray[np.float64]) -> TargetAgreement:
    calls = readings.calls[:, :, index]
    return TargetAgreement(
        target=TARGETS[index],
        pairs={
            f"{readings.readers[one]} and {readings.readers[two]}": cohen_kappa(calls[one], calls[two])
            for one, two in combinations(range(len(readings.readers)), 2)
        },
        fleiss=fleiss_kappa(calls.T),
        with_truth={
            reader: cohen_kappa(called, labels[:, index])
            for reader, called in zip(readings.readers, calls, strict=True)
        },
    )
