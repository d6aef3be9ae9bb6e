"""A hospital's own data: ``labels.csv`` beside one folder of DICOM files for each subject.

``labels.csv`` has the columns ``subject``, ``any``, ``CPH``, ``IVH``, ``SDH``, ``EDH``, ``SAH`` and, where wanted, ``slice``,
``patient`` and ``fold``. ``subject`` names the folder. A row whose ``slice`` is empty labels the subject; one that names a SOP
Instance UID or a file labels a slice. A subject labelled by slices alone takes its label from them. An empty label means
unknown. ``patient`` groups subjects that are the same person; ``fold`` keeps a given split.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from triage_node.core.instance import InstanceHeader
from triage_node.training.datasets.label_table import label_of, table_rows
from triage_node.training.datasets.labelled_dataset import Exclusion, LabelledDataset
from triage_node.training.datasets.labelled_scan import (
    TARGETS,
    DatasetRejected,
    LabelledScan,
    check_scans,
    scan_labels,
)
from triage_node.training.datasets.series_choice import (
    ChosenSeries,
    Instance,
    NoSuitableSeries,
    chosen_series,
    read_instances,
)

SOURCE = "folder"
LABELS = "labels.csv"


@dataclass
class _SubjectRows:
    """The rows of one subject as they are read."""

    first_row: int
    patient: str
    fold: str
    labels: npt.NDArray[np.float32] | None = None
    slices: dict[str, tuple[int, npt.NDArray[np.float32]]] = field(default_factory=dict)


def labelled_folder_dataset(folder: Path) -> LabelledDataset:
    """Index a folder; one scan for each subject.

    Raises
    ------
    DatasetRejected
        A column, an image or a label is missing, a label is unknown, a patient is in two folds, or one patient's images
        lie under two subjects that are not declared as one patient.
    """
    file = folder / LABELS
    subjects = _read_rows(file)
    for home in sorted(each for each in folder.iterdir() if each.is_dir()):
        if home.name not in subjects and any(home.rglob("*.dcm")):
            problem = f"folder {home.name} has images and no row"
            raise DatasetRejected(file, problem, "Add the subject's labels or move the images away")
    scans: list[LabelledScan] = []
    excluded: list[Exclusion] = []
    owner: dict[str, tuple[str, str]] = {}
    for subject in sorted(subjects):
        rows = subjects[subject]
        instances = read_instances(path for path in sorted((folder / subject).rglob("*")) if _may_be_dicom(path))
        if not instances:
            problem = f"subject {subject} has a row and no images"
            raise DatasetRejected(
                file, problem, f"Put its files into {folder / subject} or delete the row", rows.first_row
            )
        _refuse_missing_images(file, subject, rows, instances)
        _refuse_shared_patient(file, subject, rows, instances[0][0].patient_id, owner)
        try:
            scans.append(_scan(file, subject, rows, chosen_series(instances)))
        except NoSuitableSeries as problem:
            excluded.append(Exclusion(subject, str(problem)))
    check_scans(scans)
    return LabelledDataset(SOURCE, tuple(scans), tuple(excluded))


def _read_rows(file: Path) -> dict[str, _SubjectRows]:
    subjects: dict[str, _SubjectRows] = {}
    fold_of_patient: dict[str, str] = {}
    for row, cells in table_rows(file, ["subject", *TARGETS]):
        subject = cells["subject"].strip()
        if not subject or subject in {".", ".."} or "/" in subject or "\\" in subject:
            raise DatasetRejected(file, f"{subject!r} names no folder", "Write the name of the subject's folder", row)
        patient, fold = cells.get("patient", "").strip() or subject, cells.get("fold", "").strip()
        rows = subjects.setdefault(subject, _SubjectRows(row, patient, fold))
        if (rows.patient, rows.fold) != (patient, fold):
            problem = f"subject {subject} is in fold {rows.fold or '-'} and in fold {fold or '-'}"
            if rows.patient != patient:
                problem = f"subject {subject} is patient {rows.patient} and patient {patient}"
            raise DatasetRejected(file, problem, "Give all rows of a subject the same patient and fold", row)
        if fold_of_patient.setdefault(patient, fold) != fold:
            problem = f"patient {patient} is in fold {fold_of_patient[patient] or '-'} and in fold {fold or '-'}"
            raise DatasetRejected(file, problem, "Give all rows of a patient the same fold", row)
        labels = np.array([label_of(cells, name, file, row, unknown_allowed=True) for name in TARGETS], np.float32)
        if labels[0] == 0 and (labels[1:] == 1).any():
            problem = f"subject {subject} has a subtype where 'any' is 0"
            raise DatasetRejected(file, problem, "Set 'any' to 1 or the subtype to 0", row)
        name = cells.get("slice", "").strip()
        if name in rows.slices or (not name and rows.labels is not None):
            problem = f"subject {subject} {'slice ' + name if name else ''} occurs twice"
            raise DatasetRejected(file, problem, "Keep one of the rows", row)
        if name:
            rows.slices[name] = (row, labels)
        else:
            rows.labels = labels
    for subject, rows in subjects.items():
        _refuse_contradicting_slices(file, subject, rows)
    return subjects


def _refuse_contradicting_slices(file: Path, subject: str, rows: _SubjectRows) -> None:
    if rows.labels is None:
        return
    for name, (row, labels) in rows.slices.items():
        shown = np.flatnonzero((rows.labels == 0) & (labels == 1))
        if len(shown):
            problem = f"slice {name} shows {TARGETS[shown[0]]}, which subject {subject} is labelled free of"
            raise DatasetRejected(file, problem, "Label the subject as its slices, or correct the slice", row)


def _names(header: InstanceHeader, path: Path) -> set[str]:
    """What a row may call an image."""
    return {header.sop_instance_uid, path.name, path.stem}


def _refuse_missing_images(file: Path, subject: str, rows: _SubjectRows, instances: Sequence[Instance]) -> None:
    """Refuse a slice's row without any image, before a gap that the image has left excludes the series instead."""
    present = set().union(*(_names(header, path) for header, path in instances))
    for name, (row, _) in rows.slices.items():
        if name not in present:
            problem = f"subject {subject} slice {name} has a row and no image"
            raise DatasetRejected(file, problem, "Bring the image, or delete the row", row)


def _may_be_dicom(path: Path) -> bool:
    """Files end in .dcm, in nothing, or in the last number of a UID."""
    ending = path.suffix.lower().removeprefix(".")
    return (
        (ending in {"dcm", ""} or ending.isdigit()) and path.is_file() and not path.name.startswith((".", "DICOMDIR"))
    )


def _refuse_shared_patient(
    file: Path, subject: str, rows: _SubjectRows, patient_id: str, owner: dict[str, tuple[str, str]]
) -> None:
    """One PatientID under two subjects is one person, who would leak from training into testing."""
    if not patient_id:
        return
    other, patient = owner.setdefault(patient_id, (subject, rows.patient))
    if patient != rows.patient:
        problem = f"subjects {other} and {subject} carry the same PatientID and are not declared as one patient"
        raise DatasetRejected(file, problem, "Add a column 'patient' with the same value for both", rows.first_row)


def _scan(file: Path, subject: str, rows: _SubjectRows, chosen: ChosenSeries) -> LabelledScan:
    slice_labels = _slice_labels(file, subject, rows, chosen) if rows.slices else None
    labels = rows.labels
    if labels is None:
        assert slice_labels is not None
        labels = scan_labels(slice_labels)
    return LabelledScan(
        subject=rows.patient,
        series=subject,
        source=SOURCE,
        labels=labels,
        slice_labels=slice_labels,
        slice_ids=chosen.slice_ids,
        reader=chosen.reader(),
        fold=rows.fold or None,
        label_file=file,
    )


def _slice_labels(file: Path, subject: str, rows: _SubjectRows, chosen: ChosenSeries) -> npt.NDArray[np.float32]:
    index_of: dict[str, list[int]] = defaultdict(list)
    for index, (header, path) in enumerate(chosen.slices):
        for name in _names(header, path):
            index_of[name].append(index)
    labels = np.full((len(chosen.slices), len(TARGETS)), np.nan, dtype=np.float32)
    unlabelled = set(range(len(chosen.slices)))
    for name, (row, values) in rows.slices.items():
        found = index_of.get(name, [])
        if len(found) != 1:
            problem = f"subject {subject} slice {name} names {len(found) or 'no'} images of the series that is read"
            raise DatasetRejected(file, problem, "Name one image of that series, or delete the row", row)
        labels[found[0]] = values
        unlabelled.discard(found[0])
    if unlabelled:
        image = chosen.slices[min(unlabelled)][1].name
        problem = f"subject {subject} image {image} has no row while other slices of the subject do"
        raise DatasetRejected(file, problem, "Label every slice, or none", rows.first_row)
    return labels
