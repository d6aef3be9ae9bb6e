"""CQ500 in exactly its published layout."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from scanned.ct_slice import write_slice

from triage_node.training.datasets import DatasetRejected
from triage_node.training.datasets.cq500 import COLUMN_OF_TARGET, cq500_dataset

READER_COLUMNS = (
    *("ICH", "IPH", "IVH", "SDH", "EDH", "SAH", "BleedLocation-Left", "BleedLocation-Right", "ChronicBleed"),
    *("Fracture", "CalvarialFracture", "OtherFracture", "MassEffect", "MidlineShift"),
)


def write_reads(folder: Path, readings: dict[str, list[set[str]]], drop: str = "") -> None:
    """Write ``reads.csv``: for each study what each of the three readers saw."""
    header = ["name", "Category", *(f"R{n}:{column}" for n in (1, 2, 3) for column in READER_COLUMNS)]
    lines = []
    for name, readers in readings.items():
        seen = [str(int(column in reader)) for reader in readers for column in READER_COLUMNS]
        lines.append([name, "B1", *seen])
    keep = [index for index, column in enumerate(header) if column != drop]
    text = "\n".join(",".join(line[index] for index in keep) for line in [header, *lines])
    (folder / "reads.csv").write_text(text + "\n")


def write_cq500_series(
    folder: Path, study: int, description: str, slices: int, spacing_mm: float, **elements: object
) -> None:
    home = folder / f"CQ500CT{study} CQ500CT{study}" / "Unknown Study" / f"CT {description}"
    for index in range(slices):
        write_slice(
            home / f"CT{index:06d}.dcm",
            index * spacing_mm,
            SeriesDescription=description,
            SliceThickness=spacing_mm,
            InstanceNumber=slices - index,
            **elements,
        )


READINGS: dict[str, list[set[str]]] = {
    "CQ500-CT-0": [{"ICH", "SDH"}, {"ICH", "SDH", "SAH"}, {"ICH", "SAH", "IPH"}],
    "CQ500-CT-11": [set(), set(), {"ICH", "EDH"}],
}


@pytest.fixture
def cq500(tmp_path: Path) -> Path:
    write_reads(tmp_path, READINGS)
    write_cq500_series(tmp_path, 0, "Plain", 30, 5.0)
    write_cq500_series(tmp_path, 0, "Thin Plain", 240, 0.625)
    write_cq500_series(tmp_path / "qct01", 11, "PRE CONTRAST 5MM STD", 28, 5.0)
    return tmp_path


def test_cq500_labels_are_the_majority_of_three_readers(cq500: Path) -> None:
    first, second = cq500_dataset(cq500).scans
    assert dict(zip(COLUMN_OF_TARGET, first.labels, strict=True)) == {
        "any": 1, "CPH": 0, "IVH": 0, "SDH": 1, "EDH": 0, "SAH": 1,
    }  # fmt: skip
    assert second.labels.tolist() == [0] * 6
    assert first.slice_labels is None
    assert first.load().volume_hu.shape == (30, 4, 6)


@pytest.mark.parametrize(
    ("description", "elements"),
    [
        ("BONE THIN", {}),
        ("H60s sharp", {}),
        ("POST CONTRAST", {}),
        ("C THIN", {}),
        ("4cc sec 150cc D3D on", {}),
        ("axial", {"ContrastBolusAgent": "Omnipaque"}),
        ("scout", {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}),
        ("MPR", {"ImageType": ["DERIVED", "SECONDARY", "REFORMATTED"]}),
        ("coronal", {"orientation": (1, 0, 0, 0, 0, -1)}),
    ],
)
def test_the_plain_soft_series_is_chosen(tmp_path: Path, description: str, elements: dict[str, object]) -> None:
    write_reads(tmp_path, {"CQ500-CT-0": [set(), set(), set()]})
    write_cq500_series(tmp_path, 0, "Plain", 26, 5.0)
    write_cq500_series(tmp_path, 0, description, 30, 5.0, **elements)
    (scan,) = cq500_dataset(tmp_path).scans
    assert scan.notes == ("read: Plain",)


def test_a_series_without_contrast_is_not_mistaken_for_one_with_it(tmp_path: Path) -> None:
    write_reads(tmp_path, {"CQ500-CT-0": [set(), set(), set()]})
    write_cq500_series(tmp_path, 0, "HEAD W/O CONTRAST", 26, 5.0)
    assert len(cq500_dataset(tmp_path).scans) == 1


def test_a_study_without_a_plain_series_is_excluded_with_the_reasons(cq500: Path) -> None:
    shutil.rmtree(cq500 / "qct01")
    write_cq500_series(cq500, 11, "POST CONTRAST", 30, 5.0)
    dataset = cq500_dataset(cq500)
    assert [each.series for each in dataset.scans] == ["CQ500-CT-0"]
    assert dataset.excluded[0].series == "CQ500-CT-11"
    assert "POST CONTRAST: its name says 'POST', contrast" in dataset.excluded[0].reason


def test_a_majority_for_a_subtype_without_one_for_blood_counts_as_blood(tmp_path: Path) -> None:
    write_reads(tmp_path, {"CQ500-CT-0": [{"SDH"}, {"SDH"}, set()]})
    write_cq500_series(tmp_path, 0, "Plain", 30, 5.0)
    (scan,) = cq500_dataset(tmp_path).scans
    assert scan.labels[0] == 1
    assert "taken to bleed" in scan.notes[0]


def test_a_cq500_folder_that_contradicts_itself_is_refused(cq500: Path) -> None:
    write_reads(cq500, {**READINGS, "CQ500-CT-12": [set()] * 3})
    with pytest.raises(DatasetRejected, match="row 4: CQ500-CT-12 has a row and no images"):
        cq500_dataset(cq500)
    write_reads(cq500, {"CQ500-CT-0": READINGS["CQ500-CT-0"]})
    with pytest.raises(DatasetRejected, match=r"study 11 has images in .* and no row"):
        cq500_dataset(cq500)
    write_reads(cq500, {"CQ500-CT-zero": READINGS["CQ500-CT-0"]})
    with pytest.raises(DatasetRejected, match="row 2: 'CQ500-CT-zero' is not"):
        cq500_dataset(cq500)
    write_reads(cq500, READINGS, drop="R2:EDH")
    with pytest.raises(DatasetRejected, match="column R2:EDH is missing"):
        cq500_dataset(cq500)
