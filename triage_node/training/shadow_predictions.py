"""What two releases read at a site, as tables that ``evaluate`` compares: the active release's and the shadow's.

In: readings in the shadow, and labels where somebody has them. Out: one ``Predictions`` a release. A subject is a study by
its Study Instance UID; of several series of a study each is one, STUDY/SERIES.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from triage_node.core.shadow import Scores, ShadowReadings
from triage_node.training.datasets.label_table import label_of, table_rows
from triage_node.training.datasets.labelled_scan import TARGETS, DatasetRejected
from triage_node.training.predictions import Predictions, SlicePredictions, subject_thresholds

_UNKNOWN = (float("nan"),) * len(TARGETS)


def read_labels(file: Path) -> dict[str, tuple[float, ...]]:
    """Read labels by subject: columns ``subject`` and ``TARGETS``, 0 or 1, or empty where unknown.

    Raises
    ------
    DatasetRejected
        A column is missing, a label is unknown, or a subject occurs twice.
    """
    labels: dict[str, tuple[float, ...]] = {}
    for row, cells in table_rows(file, ("subject", *TARGETS)):
        subject = cells["subject"].strip()
        if subject in labels:
            raise DatasetRejected(file, f"subject {subject} occurs twice", "Keep one of the rows", row)
        labels[subject] = tuple(label_of(cells, target, file, row, unknown_allowed=True) for target in TARGETS)
    return labels


def shadow_predictions(
    readings: ShadowReadings, labels: Mapping[str, Sequence[float]]
) -> tuple[Predictions, Predictions]:
    """Return the active release's predictions and the shadow's.

    Parameters
    ----------
    labels
        (6,) in the order of ``TARGETS`` by subject or by study; those of other subjects are passed over.
    """
    studies = Counter(each.study_instance_uid for each in readings.pairs)
    subjects = [
        each.study_instance_uid
        if studies[each.study_instance_uid] == 1
        else f"{each.study_instance_uid}/{each.series_instance_uid}"
        for each in readings.pairs
    ]
    truth = [
        labels.get(subject, labels.get(each.study_instance_uid, _UNKNOWN))
        for subject, each in zip(subjects, readings.pairs, strict=True)
    ]
    active, shadow = readings.active, readings.shadow
    return (
        _predictions(active, subjects, [each.active for each in readings.pairs], truth),
        _predictions(f"{shadow} (shadow)", subjects, [each.shadow for each in readings.pairs], truth),
    )


def _predictions(
    name: str, subjects: Sequence[str], scores: Sequence[Scores], truth: Sequence[Sequence[float]]
) -> Predictions:
    return Predictions(
        name=name,
        subjects=tuple(subjects),
        folds=("",) * len(subjects),
        scores=np.array([_row(each.ich_probability, each.subtypes) for each in scores]).reshape(-1, len(TARGETS)),
        labels=np.array(truth, dtype=np.float64).reshape(-1, len(TARGETS)),
        slices=_slices(scores),
        thresholds=subject_thresholds([each.operating_threshold for each in scores]),
    )


def _row(probability: float, subtypes: Mapping[str, float] | None) -> list[float]:
    return [probability, *((subtypes or {}).get(kind, float("nan")) for kind in TARGETS[1:])]


def _slices(scores: Sequence[Scores]) -> SlicePredictions | None:
    """Return every slice once; frames of one multi-frame instance are told apart by their number."""
    subject_index, slice_ids, rows = [], [], []
    for index, each in enumerate(scores):
        frames = Counter(uid for uid, _, _ in each.slices)
        for number, (uid, probability, subtypes) in enumerate(each.slices, start=1):
            subject_index.append(index)
            slice_ids.append(uid if frames[uid] == 1 else f"{uid}/{number}")
            rows.append(_row(probability, subtypes))
    if not rows:
        return None
    return SlicePredictions(
        subject_index=np.array(subject_index, dtype=np.intp),
        slice_ids=tuple(slice_ids),
        scores=np.array(rows, dtype=np.float64),
        labels=np.full((len(rows), len(TARGETS)), np.nan),
    )
