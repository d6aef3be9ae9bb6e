"""Scores beside labels, the table that training writes and evaluation reads.

One CSV row for each subject and, where wanted, one for each slice::

    subject,slice,fold,any,CPH,IVH,SDH,EDH,SAH,label_any,label_CPH,label_IVH,label_SDH,label_EDH,label_SAH

``slice`` is empty in a subject's own row. A patient is a subject; of several scans of one patient each is, written
PATIENT/SERIES. Slice rows follow from inferior to superior. Scores lie in 0 to 1; a subtype's is empty where stage two
did not run. Labels are 0 or 1, empty where unknown. ``fold`` names the fold that was held out, empty where the model
never saw any of these subjects. Scores must be of subjects the model was not trained on: nothing here can tell. A further
column, ``threshold``, may say in a subject's row from which score for any hemorrhage on its model flags.
"""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from triage_node.training.datasets.label_table import label_of, table_rows
from triage_node.training.datasets.labelled_scan import TARGETS, DatasetRejected

LABEL_COLUMNS = tuple(f"label_{target}" for target in TARGETS)
COLUMNS = ("subject", "slice", "fold", *TARGETS, *LABEL_COLUMNS)
THRESHOLD_COLUMN = "threshold"
DECIMALS = 6

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SlicePredictions:
    """Slices of all subjects, each subject's from inferior to superior.

    Attributes
    ----------
    subject_index : (slices,), index into the subjects
    slice_ids
        One a slice.
    scores, labels : (slices, 6) in the order of ``TARGETS``, NaN where there is none
    """

    subject_index: npt.NDArray[np.intp]
    slice_ids: tuple[str, ...]
    scores: FloatArray
    labels: FloatArray


@dataclass(frozen=True, eq=False)
class Predictions:
    """One model's scores of some subjects.

    Attributes
    ----------
    name
        What the model is called in tables.
    subjects, folds
        One a subject; a fold is empty where none was held out.
    scores, labels : (subjects, 6) in the order of ``TARGETS``, NaN where there is none
    slices
        None where only subjects were scored.
    thresholds : (subjects, 6)
        At or above these the model itself calls a target; NaN where it does not say, None where it says nothing.
    """

    name: str
    subjects: tuple[str, ...]
    folds: tuple[str, ...]
    scores: FloatArray
    labels: FloatArray
    slices: SlicePredictions | None = None
    thresholds: FloatArray | None = None

    def __post_init__(self) -> None:
        shape = (len(self.subjects), len(TARGETS))
        if self.thresholds is not None and self.thresholds.shape != shape:
            raise ValueError(f"thresholds are {shape}, not {self.thresholds.shape}")
        if self.scores.shape != shape or self.labels.shape != shape or len(self.folds) != len(self.subjects):
            raise ValueError(f"scores and labels are {shape}, not {self.scores.shape} and {self.labels.shape}")

    @property
    def patient_index(self) -> npt.NDArray[np.intp]:
        """Number the patient of each subject, (subjects,): scans named PATIENT/SERIES share one."""
        patients = [_patient_of(subject) for subject in self.subjects]
        return np.asarray(np.unique(patients, return_inverse=True)[1], dtype=np.intp)


def _patient_of(subject: str) -> str:
    return subject.rpartition("/")[0] or subject


def subject_names(patients: Sequence[str], series: Sequence[str]) -> tuple[str, ...]:
    """Name scans as subjects: the patient, or PATIENT/SERIES where the patient has several.

    Examples
    --------
    >>> subject_names(["A", "B", "A"], ["1", "2", "3"])
    ('A/1', 'B', 'A/3')
    """
    scans_of = Counter(patients)
    named = zip(patients, series, strict=True)
    return tuple(patient if scans_of[patient] == 1 else f"{patient}/{each}" for patient, each in named)


@dataclass
class _Rows:
    """Rows as they are read."""

    subjects: dict[str, int] = field(default_factory=dict)
    folds: list[str] = field(default_factory=list)
    fold_of_patient: dict[str, str] = field(default_factory=dict)
    scores: list[list[float]] = field(default_factory=list)
    labels: list[list[float]] = field(default_factory=list)
    thresholds: list[float] = field(default_factory=list)
    slice_rows: list[tuple[int, str, str, str, list[float], list[float]]] = field(default_factory=list)
    slices_seen: set[tuple[str, str]] = field(default_factory=set)


def read_predictions(file: Path, name: str | None = None) -> Predictions:
    """Read a table.

    Parameters
    ----------
    file
        As described above; columns beyond those are ignored.
    name
        Of the model; the file's name where None.

    Raises
    ------
    DatasetRejected
        A column is missing, a score lies outside 0 to 1, a label is unknown, a subject or slice occurs twice, a subject
        is in two folds, or slices have no subject's row.
    """
    rows = _Rows()
    for row, cells in table_rows(file, COLUMNS):
        _take(rows, file, row, cells)
    if not rows.subjects:
        raise DatasetRejected(file, "it has no subject's row", "Write one row with an empty slice for each subject")
    return Predictions(
        name=name or file.stem,
        subjects=tuple(rows.subjects),
        folds=tuple(rows.folds),
        scores=np.array(rows.scores, dtype=np.float64),
        labels=np.array(rows.labels, dtype=np.float64),
        slices=_slices(rows, file),
        thresholds=subject_thresholds(rows.thresholds),
    )


def subject_thresholds(thresholds: Sequence[float]) -> FloatArray | None:
    """Thresholds for any hemorrhage alone, one a subject, as ``Predictions`` has them; None where all are NaN."""
    if np.isnan(thresholds).all():
        return None
    known = np.full((len(thresholds), len(TARGETS)), np.nan)
    known[:, 0] = thresholds
    return known


def _take(rows: _Rows, file: Path, row: int, cells: Mapping[str, str]) -> None:
    subject, slice_id, fold = (cells[column].strip() for column in ("subject", "slice", "fold"))
    if not subject:
        raise DatasetRejected(file, "the subject is empty", "Name the subject", row)
    scores = [_score(cells, target, file, row, may_be_empty=target != TARGETS[0]) for target in TARGETS]
    labels = [label_of(cells, column, file, row, unknown_allowed=True) for column in LABEL_COLUMNS]
    if labels[0] == 0 and 1.0 in labels[1:]:
        raise DatasetRejected(file, "a subtype is labelled present where label_any is 0", "Correct the labels", row)
    if slice_id:
        if (subject, slice_id) in rows.slices_seen:
            raise DatasetRejected(file, f"slice {slice_id} of {subject} occurs twice", "Keep one of the rows", row)
        rows.slices_seen.add((subject, slice_id))
        rows.slice_rows.append((row, subject, slice_id, fold, scores, labels))
        return
    if subject in rows.subjects:
        problem = f"subject {subject} occurs twice"
        remedy = "Keep one row a subject; several scans of a patient are written PATIENT/SERIES"
        raise DatasetRejected(file, problem, remedy, row)
    held_out = rows.fold_of_patient.setdefault(_patient_of(subject), fold)
    if held_out != fold:
        problem = f"patient {_patient_of(subject)} is in fold {held_out or '-'} and in fold {fold or '-'}"
        raise DatasetRejected(file, problem, "Predict all scans of a patient with a model that saw none of them", row)
    rows.subjects[subject] = len(rows.subjects)
    rows.folds.append(fold)
    rows.scores.append(scores)
    rows.labels.append(labels)
    named = THRESHOLD_COLUMN in cells
    rows.thresholds.append(_score(cells, THRESHOLD_COLUMN, file, row, may_be_empty=True) if named else float("nan"))


def _score(cells: Mapping[str, str], column: str, file: Path, row: int, may_be_empty: bool) -> float:
    text = cells[column].strip()
    if may_be_empty and text.lower() in {"", "nan"}:
        return float("nan")
    try:
        score = float(text)
    except ValueError:
        score = float("nan")
    if not 0.0 <= score <= 1.0:
        raise DatasetRejected(file, f"{text!r} in column {column} is no score", "Write a number from 0 to 1", row)
    return score


def _slices(rows: _Rows, file: Path) -> SlicePredictions | None:
    if not rows.slice_rows:
        return None
    for row, subject, _, fold, _, _ in rows.slice_rows:
        if subject not in rows.subjects:
            problem = f"subject {subject} has slices and no row of its own"
            raise DatasetRejected(file, problem, "Add the subject's row, with an empty slice", row)
        expected = rows.folds[rows.subjects[subject]]
        if fold != expected:
            problem = f"subject {subject} is in fold {expected or '-'} and in fold {fold or '-'}"
            raise DatasetRejected(file, problem, "Give all rows of a subject the same fold", row)
    return SlicePredictions(
        subject_index=np.array([rows.subjects[each[1]] for each in rows.slice_rows], dtype=np.intp),
        slice_ids=tuple(each[2] for each in rows.slice_rows),
        scores=np.array([each[4] for each in rows.slice_rows], dtype=np.float64),
        labels=np.array([each[5] for each in rows.slice_rows], dtype=np.float64),
    )


def write_predictions(file: Path, predictions: Predictions) -> None:
    """Write a table that ``read_predictions`` reads back; the file appears whole or not at all."""
    partial = file.with_name(f"{file.name}.{os.getpid()}.part")
    try:
        with partial.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream)
            with_thresholds = predictions.thresholds is not None
            writer.writerow([*COLUMNS, THRESHOLD_COLUMN] if with_thresholds else COLUMNS)
            writer.writerows(_table_rows(predictions))
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)


def _table_rows(predictions: Predictions) -> Iterator[list[str]]:
    slices = predictions.slices
    for index, (subject, fold) in enumerate(zip(predictions.subjects, predictions.folds, strict=True)):
        own = [] if predictions.thresholds is None else _cells(predictions.thresholds[index, :1])
        yield [subject, "", fold, *_cells(predictions.scores[index]), *_cells(predictions.labels[index], 0), *own]
        if slices is None:
            continue
        for each in np.flatnonzero(slices.subject_index == index):
            numbers = [*_cells(slices.scores[each]), *_cells(slices.labels[each], 0)]
            yield [subject, slices.slice_ids[each], fold, *numbers, *([""] * len(own))]


def _cells(values: Sequence[float] | FloatArray, decimals: int = DECIMALS) -> list[str]:
    return ["" if np.isnan(value) else f"{value:.{decimals}f}" for value in values]
