"""A hospital's own folder of DICOM series beside its labels.csv."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scanned.ct_slice import write_slice

from triage_node.training.datasets import DatasetRejected, open_dataset
from triage_node.training.datasets.labelled_folder import labelled_folder_dataset

HEADER = "subject,slice,any,CPH,IVH,SDH,EDH,SAH,patient,fold"


def write_labels(folder: Path, rows: list[str], header: str = HEADER) -> None:
    (folder / "labels.csv").write_text("\n".join([header, *rows]) + "\n")


def write_subject(folder: Path, subject: str, patient_id: str, slices: int = 20) -> None:
    for index in range(slices):
        write_slice(folder / subject / f"{index + 1:02d}.dcm", index * 5.0, PatientID=patient_id)


@pytest.fixture
def hospital(tmp_path: Path) -> Path:
    write_labels(tmp_path, ["A,,1,1,0,0,0,,,0", "B,,0,0,0,0,0,0,,1"])
    write_subject(tmp_path, "A", "1")
    write_subject(tmp_path, "B", "2")
    return tmp_path


def test_a_folder_with_subject_labels_is_read(hospital: Path) -> None:
    first, second = open_dataset(f"folder:{hospital}").scans
    assert first.labels[:5].tolist() == [1, 1, 0, 0, 0]
    assert np.isnan(first.labels[5])  # left empty: unknown
    assert (first.fold, second.fold) == ("0", "1")
    assert first.load().volume_hu.shape == (20, 4, 6)


def test_slice_rows_label_the_subject_where_it_has_no_row_of_its_own(hospital: Path) -> None:
    rows = [f"A,{index:02d}.dcm,{int(index == 3)},0,0,{int(index == 3)},0,0,," for index in range(1, 21)]
    write_labels(hospital, [*rows, "B,,0,0,0,0,0,0,,"])
    first = labelled_folder_dataset(hospital).scans[0]
    assert first.labels.tolist() == [1, 0, 0, 1, 0, 0]
    assert first.slice_labels is not None
    assert np.flatnonzero(first.slice_labels[:, 0]).tolist() == [2]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (["A,,1,1,0,0,0,0,,0", "A,01.dcm,1,1,0,0,0,0,,1"], "row 3: subject A is in fold 0 and in fold 1"),
        (["A,,yes,1,0,0,0,0,,0"], "row 2: unknown label 'yes' in column any"),
        (["A,,0,1,0,0,0,0,,"], "row 2: subject A has a subtype where 'any' is 0"),
        (
            ["A,,0,0,0,0,0,0,,", "A,03.dcm,1,0,1,0,0,0,,"],
            "row 3: slice 03.dcm shows any, which subject A is labelled free",
        ),
        (["A,,1,1,0,0,0,0,,", "A,,1,1,0,0,0,0,,"], "row 3: subject A  ?occurs twice"),
        (["A,,1,1,0,0,0,0,,", "A,99.dcm,1,1,0,0,0,0,,"], "row 3: subject A slice 99.dcm has a row and no image"),
        (["A,,1,1,0,0,0,0,,", "A,03.dcm,1,1,0,0,0,0,,"], "image 01.dcm has no row while other slices"),
        (["A,,1,1,0,0,0,0,,", "C,,0,0,0,0,0,0,,"], "row 3: subject C has a row and no images"),
        (["../A,,1,1,0,0,0,0,,"], "row 2: '../A' names no folder"),
    ],
)
def test_a_folder_that_contradicts_itself_is_refused(hospital: Path, rows: list[str], said: str) -> None:
    write_labels(hospital, [*rows, "B,,0,0,0,0,0,0,,1"])
    with pytest.raises(DatasetRejected, match=said):
        labelled_folder_dataset(hospital)


def test_images_without_labels_and_a_missing_column_are_refused(hospital: Path) -> None:
    write_labels(hospital, ["A,,1,1,0,0,0,0,,0"])
    with pytest.raises(DatasetRejected, match="folder B has images and no row"):
        labelled_folder_dataset(hospital)
    write_labels(hospital, ["A,,1,1,0,0,0,,0"], HEADER.replace("EDH,", ""))
    with pytest.raises(DatasetRejected, match="row 1: column EDH is missing"):
        labelled_folder_dataset(hospital)


def share_a_patient(hospital: Path, patients: tuple[str, str]) -> None:
    write_subject(hospital, "B", "1")
    write_labels(hospital, [f"A,,1,1,0,0,0,0,{patients[0]},0", f"B,,0,0,0,0,0,0,{patients[1]},1"])


def test_one_person_under_two_subjects_must_be_declared_and_share_a_fold(hospital: Path) -> None:
    share_a_patient(hospital, ("", ""))
    with pytest.raises(DatasetRejected, match="subjects A and B carry the same PatientID"):
        labelled_folder_dataset(hospital)
    share_a_patient(hospital, ("X", "X"))
    with pytest.raises(DatasetRejected, match=r"labels\.csv, row 3: patient X is in fold 0 and in fold 1"):
        labelled_folder_dataset(hospital)


def test_a_slices_row_without_an_image_is_refused_although_its_gap_would_exclude_the_series(hospital: Path) -> None:
    rows = [f"A,{index:02d}.dcm,0,0,0,0,0,0,," for index in range(1, 21)]
    write_labels(hospital, [*rows, "B,,0,0,0,0,0,0,,"])
    (hospital / "A/04.dcm").unlink()
    with pytest.raises(DatasetRejected, match=r"row 5: subject A slice 04\.dcm has a row and no image"):
        labelled_folder_dataset(hospital)


def test_a_table_with_semicolons_is_told_apart_from_one_without_columns(hospital: Path) -> None:
    write_labels(hospital, ["A;;1;1;0;0;0;0;;0"], HEADER.replace(",", ";"))
    with pytest.raises(DatasetRejected, match=r"row 1: its cells are separated by semicolons\. Save it with commas"):
        labelled_folder_dataset(hospital)


def test_a_folders_study_without_a_head_series_is_left_out_with_its_reason(hospital: Path) -> None:
    for path in (hospital / "B").iterdir():
        path.unlink()
    write_subject(hospital, "B", "2", slices=3)
    dataset = labelled_folder_dataset(hospital)
    assert [each.series for each in dataset.scans] == ["A"]
    assert dataset.excluded[0].series == "B"
    assert "TOO_FEW_SLICES" in dataset.excluded[0].reason
