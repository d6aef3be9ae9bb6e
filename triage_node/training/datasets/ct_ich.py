"""CT-ICH: 82 trauma patients, two radiologists' labels for every slice (Hssayeni et al., Data 2020, 5(1):14).

Two layouts exist. The first releases hold each slice twice as an 8-bit screen export, ``NNN/brain/SS.jpg`` (centre 40,
width 120 HU) and ``NNN/bone/SS.jpg`` (centre 700, width 3200 HU), beside ``hemorrhage_diagnosis.csv``. The later one
holds ``ct_scans/NNN.nii`` beside ``hemorrhage_diagnosis_raw_ct.csv``. Slices count from 1, the most inferior.

The screen exports lost the geometry: 512 x 512 pixels of 0.46 mm and 5 mm between slices are assumed, as when the
same patients are sent to the node over DICOM, so that training sees what the node sees.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from triage_node.core.finding import SUBTYPES
from triage_node.core.hounsfield import Window
from triage_node.training.datasets.label_table import label_of, table_rows, whole_number
from triage_node.training.datasets.labelled_scan import (
    TARGETS,
    DatasetRejected,
    LabelledScan,
    ScanVolume,
    check_scans,
    scan_labels,
)
from triage_node.training.datasets.nifti import nifti_geometry, nifti_scan

SOURCE = "ct-ich"
EXPORT_LABELS = "hemorrhage_diagnosis.csv"
NIFTI_LABELS = "hemorrhage_diagnosis_raw_ct.csv"
COLUMN_OF_SUBTYPE = {
    "CPH": "Intraparenchymal",
    "IVH": "Intraventricular",
    "SDH": "Subdural",
    "EDH": "Epidural",
    "SAH": "Subarachnoid",
}
NO_BLOOD_COLUMN = "No_Hemorrhage"

ROWS = COLUMNS = 512
PIXEL_SPACING_MM = 0.46
SLICE_SPACING_MM = 5.0
FINE_WINDOW = Window(40.0, 120.0)
COARSE_WINDOW = Window(700.0, 3200.0)
SATURATED_GREY = 2
"""JPEG noise moves grey values by about this much: nearer to black or white the fine window says nothing."""
AIR_HU = -1000.0


@dataclass
class _PatientRows:
    """The rows of one patient, by slice number: line of the table, and labels (6,)."""

    row_of: dict[int, int] = field(default_factory=dict)
    labels: dict[int, npt.NDArray[np.float32]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def first_row(self) -> int:
        return min(self.row_of.values())


def ct_ich_scans(folder: Path) -> list[LabelledScan]:
    """Index a CT-ICH folder of either layout; one scan for each patient, in the order of patient numbers.

    Raises
    ------
    DatasetRejected
        A column, an image or a label is missing, or a label is unknown.
    """
    if (folder / NIFTI_LABELS).is_file():
        file, index = folder / NIFTI_LABELS, _nifti_slices
    else:
        file, index = folder / EXPORT_LABELS, _export_slices
    patients = _rows_by_patient(file)
    _refuse_unlabelled(folder, file, set(patients))
    scans = [
        _scan(index(folder, patient, file, rows.first_row), file, patient, rows)
        for patient, rows in sorted(patients.items())
    ]
    check_scans(scans)
    return scans


def hounsfield_of_exports(brain: npt.NDArray[np.float32], bone: npt.NDArray[np.float32]) -> npt.NDArray[np.int16]:
    """Restore HU from the two screen exports of one slice.

    Inside the brain window its export is used (steps of 0.47 HU). Where that is black or white the bone window's is
    (steps of 12.5 HU), held on the right side of the brain window's edge; where both are black there is air.

    Parameters
    ----------
    brain, bone : (rows, columns), grey values 0 to 255

    Returns
    -------
    (rows, columns), HU
    """
    fine = brain / 255.0 * FINE_WINDOW.width_hu + FINE_WINDOW.lower_hu
    coarse = bone / 255.0 * COARSE_WINDOW.width_hu + COARSE_WINDOW.lower_hu
    black = brain <= SATURATED_GREY
    white = brain >= 255 - SATURATED_GREY
    joined = np.where(black, np.minimum(coarse, FINE_WINDOW.lower_hu), fine)
    joined = np.where(white, np.maximum(coarse, FINE_WINDOW.lower_hu + FINE_WINDOW.width_hu), joined)
    joined[bone <= 1] = AIR_HU
    return np.rint(joined).astype(np.int16)


def _rows_by_patient(file: Path) -> dict[int, _PatientRows]:
    columns = ["PatientNumber", "SliceNumber", *COLUMN_OF_SUBTYPE.values(), NO_BLOOD_COLUMN]
    patients: dict[int, _PatientRows] = defaultdict(_PatientRows)
    for row, cells in table_rows(file, columns):
        patient = whole_number(cells, "PatientNumber", file, row)
        number = whole_number(cells, "SliceNumber", file, row)
        mine = patients[patient]
        if number in mine.labels:
            raise DatasetRejected(file, f"patient {patient} slice {number} occurs twice", "Keep one of the rows", row)
        subtypes = [label_of(cells, COLUMN_OF_SUBTYPE[name], file, row) for name in SUBTYPES]
        bleeds = label_of(cells, NO_BLOOD_COLUMN, file, row) == 0
        if bleeds and not any(subtypes):
            mine.notes.append(f"slice {number} bleeds but no subtype is named: its subtypes are taken as unknown")
            subtypes = [np.nan] * len(SUBTYPES)
        elif any(subtypes) and not bleeds:
            mine.notes.append(f"slice {number} names a subtype and no hemorrhage: it is taken to bleed")
            bleeds = True
        mine.row_of[number] = row
        mine.labels[number] = np.array([float(bleeds), *subtypes], dtype=np.float32)
    return patients


def _refuse_unlabelled(folder: Path, file: Path, labelled: set[int]) -> None:
    images = [*_export_root(folder).glob("[0-9]*/brain"), *(folder / "ct_scans").glob("[0-9]*.nii*")]
    for image in images:
        name = image.parent.name if image.name == "brain" else image.name.split(".")[0]
        if name.isdigit() and int(name) not in labelled:
            problem = f"patient {name} has images in {image} and no row"
            raise DatasetRejected(file, problem, "Add the patient's labels or move the images away")


def _scan(
    found: tuple[tuple[int, ...], partial[ScanVolume]], file: Path, patient: int, rows: _PatientRows
) -> LabelledScan:
    """Join the slice numbers found on disk, from inferior to superior, with the labels."""
    numbers, reader = found
    unlabelled, missing = sorted(set(numbers) - set(rows.labels)), sorted(set(rows.labels) - set(numbers))
    if unlabelled:
        problem = f"patient {patient} slice {unlabelled[0]} has an image and no row; slices like it: {len(unlabelled)}"
        raise DatasetRejected(file, problem, "Add the slices' labels or move the images away")
    if missing:
        problem = f"patient {patient} slice {missing[0]} has a row and no image; slices like it: {len(missing)}"
        raise DatasetRejected(file, problem, "Bring the images or delete the rows", rows.row_of[missing[0]])
    slice_labels = np.stack([rows.labels[number] for number in numbers])
    return LabelledScan(
        subject=f"CTICH-{patient:03d}",
        series=f"{patient:03d}",
        source=SOURCE,
        labels=scan_labels(slice_labels),
        slice_labels=slice_labels.reshape(-1, len(TARGETS)),
        slice_ids=tuple(str(number) for number in numbers),
        reader=reader,
        label_file=file,
        notes=tuple(rows.notes),
    )


def _export_root(folder: Path) -> Path:
    """The published archive keeps the patients one level down, in ``Patients_CT``."""
    nested = folder / "Patients_CT"
    return nested if nested.is_dir() else folder


def _export_slices(folder: Path, patient: int, file: Path, row: int) -> tuple[tuple[int, ...], partial[ScanVolume]]:
    home = _export_root(folder) / f"{patient:03d}"
    # The first release keeps masks, SS_HGE_Seg.jpg, beside the slices: only names that are numbers are slices.
    by_window = [
        {int(path.stem): path for path in (home / window).glob("*.jpg") if path.stem.isdigit()}
        for window in ("brain", "bone")
    ]
    brain, bone = by_window
    for number in sorted(brain.keys() ^ bone.keys()):
        lacking = "bone" if number in brain else "brain"
        problem = f"slice {number} of patient {patient} has no {lacking} window"
        raise DatasetRejected(home / lacking, problem, "Bring the file, or remove the slice's other window and its row")
    if not brain:
        problem = f"patient {patient} has rows and no images in {home}"
        raise DatasetRejected(file, problem, "Bring the images or delete the patient's rows", row)
    numbers = tuple(sorted(brain))
    return numbers, partial(_read_exports, tuple((brain[number], bone[number]) for number in numbers))


def _read_exports(pairs: tuple[tuple[Path, Path], ...]) -> ScanVolume:
    volume_hu = np.empty((len(pairs), ROWS, COLUMNS), dtype=np.int16)
    for index, (brain, bone) in enumerate(pairs):
        volume_hu[index] = hounsfield_of_exports(_grey(brain), _grey(bone))
    return ScanVolume(volume_hu, (PIXEL_SPACING_MM, PIXEL_SPACING_MM), SLICE_SPACING_MM)


def _grey(path: Path) -> npt.NDArray[np.float32]:
    try:
        with Image.open(path) as image:
            resized = image.convert("L").resize((COLUMNS, ROWS), Image.Resampling.BILINEAR)
    except OSError as error:
        raise DatasetRejected(path, f"the image cannot be read ({error})", "Download the file again") from error
    return np.asarray(resized, dtype=np.float32)


def _nifti_slices(folder: Path, patient: int, file: Path, row: int) -> tuple[tuple[int, ...], partial[ScanVolume]]:
    candidates = [folder / "ct_scans" / f"{patient:03d}{ending}" for ending in (".nii", ".nii.gz")]
    path = next((each for each in candidates if each.is_file()), None)
    if path is None:
        problem = f"patient {patient} has rows and no volume {candidates[0]}"
        raise DatasetRejected(file, problem, "Bring the volume or delete the patient's rows", row)
    geometry = nifti_geometry(path)
    numbers = tuple(index + 1 for index in geometry.stored_slices)
    return numbers, partial(nifti_scan, path)
