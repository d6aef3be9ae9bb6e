"""CT-ICH in both published layouts, and what is refused."""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from triage_node.training.datasets import TARGETS, DatasetRejected
from triage_node.training.datasets.ct_ich import ct_ich_scans, hounsfield_of_exports

HEADER = (
    "PatientNumber,SliceNumber,Intraventricular,Intraparenchymal,Subarachnoid,Epidural,Subdural,"
    "No_Hemorrhage,Fracture_Yes_No"
)
ROWS = ["49,1,0,0,0,0,0,1,0", "49,2,0,0,0,1,0,0,1", "50,1,0,0,0,0,0,1,0", "50,2,0,0,0,0,0,1,0"]


def write_table(file: Path, rows: list[str], header: str = HEADER) -> None:
    file.write_text("\ufeff" + "\r\n".join([header, *rows]) + "\r\n", encoding="utf-8")


def write_exports(folder: Path, patient: int, numbers: list[int], name: str = "{:02d}.jpg") -> None:
    for window, grey in (("brain", 128), ("bone", 70)):
        home = folder / f"{patient:03d}" / window
        home.mkdir(parents=True, exist_ok=True)
        for number in numbers:
            Image.new("L", (65, 65), grey).save(home / name.format(number))


@pytest.fixture
def exports(tmp_path: Path) -> Path:
    write_table(tmp_path / "hemorrhage_diagnosis.csv", ROWS)
    write_exports(tmp_path, 49, [1, 2])
    write_exports(tmp_path, 50, [1, 2])
    return tmp_path


def test_screen_exports_become_scans_with_slice_and_subject_labels(exports: Path) -> None:
    first, second = ct_ich_scans(exports)
    assert (first.subject, first.series, first.slice_ids) == ("CTICH-049", "049", ("1", "2"))
    assert first.slice_labels is not None
    assert dict(zip(TARGETS, first.slice_labels[1], strict=True)) == {
        "any": 1, "CPH": 0, "IVH": 0, "SDH": 0, "EDH": 1, "SAH": 0,
    }  # fmt: skip
    assert first.labels.tolist() == [1, 0, 0, 0, 1, 0]
    assert second.labels.tolist() == [0] * 6
    scan = pickle.loads(pickle.dumps(first)).load()
    assert scan.volume_hu.shape == (2, 512, 512)
    assert scan.slice_spacing_mm == 5.0
    assert abs(int(scan.volume_hu[0, 200, 200]) - 40) <= 1  # grey 128 of the brain window


def test_published_names_without_zeros_and_masks_beside_slices_are_read(tmp_path: Path) -> None:
    write_table(tmp_path / "hemorrhage_diagnosis.csv", ROWS[:2])
    write_exports(tmp_path / "Patients_CT", 49, [1, 2], "{}.jpg")
    (tmp_path / "Patients_CT/049/brain/2_HGE_Seg.jpg").write_bytes(b"")
    (scan,) = ct_ich_scans(tmp_path)
    assert scan.slice_ids == ("1", "2")


@pytest.mark.parametrize(
    ("brain", "bone", "hu"),
    [
        (128, 70, 40),  # grey matter: the fine window
        (0, 69, -34),  # fat: coarse, below the fine window's lower edge
        (0, 80, -20),  # coarse noise above the edge is held at it
        (255, 200, 1610),  # bone: coarse
        (255, 60, 100),  # coarse noise below the upper edge is held at it
        (0, 0, -1000),  # air
    ],
)
def test_hounsfield_units_are_restored_from_both_windows(brain: float, bone: float, hu: int) -> None:
    joined = hounsfield_of_exports(np.full((1, 1), brain, np.float32), np.full((1, 1), bone, np.float32))
    assert joined.dtype == np.int16
    assert joined[0, 0] == hu


def test_inconsistent_rows_are_noted_and_never_lose_a_bleed(exports: Path) -> None:
    write_table(
        exports / "hemorrhage_diagnosis.csv",
        ["49,1,0,1,0,0,0,1,0", "49,2,0,0,0,0,0,0,0", *ROWS[2:]],  # a subtype beside "none"; blood of no kind
    )
    scan, clean = ct_ich_scans(exports)
    assert scan.slice_labels is not None
    assert scan.slice_labels[:, 0].tolist() == [1, 1]
    assert scan.labels[1] == 1  # CPH seen in slice 1
    assert np.isnan(scan.labels[2:]).all()
    assert len(scan.notes) == 2
    assert clean.notes == ()


def drop_column(folder: Path) -> None:
    write_table(folder / "hemorrhage_diagnosis.csv", ROWS, HEADER.replace("Epidural,", ""))


def unknown_label(folder: Path) -> None:
    write_table(folder / "hemorrhage_diagnosis.csv", [ROWS[0], "49,2,0,0,0,maybe,0,0,1", *ROWS[2:]])


def repeat_row(folder: Path) -> None:
    write_table(folder / "hemorrhage_diagnosis.csv", [ROWS[0], *ROWS])


def remove_image(folder: Path) -> None:
    for window in ("brain", "bone"):
        (folder / "050" / window / "02.jpg").unlink()


def remove_patient(folder: Path) -> None:
    shutil.rmtree(folder / "050")


def remove_window(folder: Path) -> None:
    (folder / "050/bone/02.jpg").unlink()


def add_image(folder: Path) -> None:
    write_exports(folder, 50, [3])


def add_patient(folder: Path) -> None:
    write_exports(folder, 51, [1])


def cut_row(folder: Path) -> None:
    write_table(folder / "hemorrhage_diagnosis.csv", [*ROWS, "50,3,0"])


def remove_table(folder: Path) -> None:
    (folder / "hemorrhage_diagnosis.csv").unlink()


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (drop_column, ["hemorrhage_diagnosis.csv, row 1", "column Epidural is missing"]),
        (
            unknown_label,
            ["hemorrhage_diagnosis.csv, row 3", "unknown label 'maybe' in column Epidural", "Write 0 or 1"],
        ),
        (repeat_row, ["row 3", "patient 49 slice 1 occurs twice"]),
        (
            remove_image,
            [
                "hemorrhage_diagnosis.csv, row 5: patient 50 slice 2 has a row and no image",
                "Bring the images or delete the rows",
            ],
        ),
        (remove_patient, ["hemorrhage_diagnosis.csv, row 4: patient 50 has rows and no images"]),
        (remove_window, ["050/bone", "slice 2 of patient 50 has no bone window"]),
        (add_image, ["patient 50 slice 3 has an image and no row"]),
        (add_patient, ["patient 051 has images", "Add the patient's labels"]),
        (cut_row, ["row 6", "3 cells where the header names 9 columns"]),
        (remove_table, ["hemorrhage_diagnosis.csv", "cannot be read"]),
    ],
)
def test_a_folder_that_contradicts_itself_is_refused(
    exports: Path, damage: Callable[[Path], None], said: list[str]
) -> None:
    damage(exports)
    with pytest.raises(DatasetRejected) as refused:
        ct_ich_scans(exports)
    assert all(each in str(refused.value) for each in said), str(refused.value)


@pytest.mark.parametrize("upright", [True, False])
def test_nifti_release_is_read_into_the_nodes_axes(tmp_path: Path, upright: bool) -> None:
    nibabel = pytest.importorskip("nibabel")
    stored = np.zeros((8, 6, 2), dtype=np.int16)  # x to the right, y to anterior
    stored[7, 5, 0] = 100  # right anterior voxel of the slice stored first
    stored[:, :, 1] = 1
    affine = np.diag([0.5, 0.4, 5.0 if upright else -5.0, 1.0])
    (tmp_path / "ct_scans").mkdir()
    nibabel.save(nibabel.Nifti1Image(stored, affine), tmp_path / "ct_scans/049.nii")
    write_table(tmp_path / "hemorrhage_diagnosis_raw_ct.csv", ROWS[:2])
    (scan,) = ct_ich_scans(tmp_path)
    assert scan.slice_ids == (("1", "2") if upright else ("2", "1"))
    assert scan.slice_labels is not None
    assert scan.slice_labels[:, 0].tolist() == ([0, 1] if upright else [1, 0])
    volume = scan.load()
    first_stored = 0 if upright else 1
    # patient right is the first column, anterior the first row
    assert volume.volume_hu[first_stored, 0, 0] == 100
    assert volume.volume_hu.shape == (2, 6, 8)
    assert volume.pixel_spacing_mm == pytest.approx((0.4, 0.5))
    assert volume.slice_spacing_mm == 5.0
