"""RSNA 2019, CQ500 and hospital folders in exactly their published layouts, defects included."""

from __future__ import annotations

import pickle
import shutil
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from triage_node.training.datasets import DatasetRejected, open_dataset
from triage_node.training.datasets.cq500 import COLUMN_OF_TARGET, cq500_dataset
from triage_node.training.datasets.dicom_series import read_series
from triage_node.training.datasets.labelled_folder import labelled_folder_dataset
from triage_node.training.datasets.rsna_2019 import HEADER_INDEX, read_image_labels, rsna_2019_dataset

TYPES = ("epidural", "intraparenchymal", "intraventricular", "subarachnoid", "subdural", "any")
UPRIGHT = (1, 0, 0, 0, 1, 0)


def write_slice(
    path: Path,
    height_mm: float,
    *,
    stored: npt.NDArray[np.uint16] | None = None,
    orientation: Sequence[float] = UPRIGHT,
    intercept: float = -1024,
    **elements: object,
) -> None:
    """Write one CT slice; ``elements`` replace or, as None, remove data elements."""
    stored = np.full((4, 6), 1064, dtype=np.uint16) if stored is None else stored
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = generate_uid(entropy_srcs=[str(path)])
    dataset.StudyInstanceUID = "1.2.3"
    dataset.SeriesInstanceUID = generate_uid(entropy_srcs=[str(path.parent)])
    dataset.PatientID = "P"
    dataset.Modality = "CT"
    dataset.ImagePositionPatient = [0, 0, height_mm]
    dataset.ImageOrientationPatient = list(orientation)
    dataset.PixelSpacing = [40, 50]  # a field of view as a head needs
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns = stored.shape
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 0
    dataset.RescaleIntercept, dataset.RescaleSlope = intercept, 1
    dataset.PixelData = stored.astype("<u2").tobytes()
    for keyword, value in elements.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=dataset.get("SOPClassUID") is not None)


# RSNA 2019 -----------------------------------------------------------------------------------------------------------


def write_challenge_image(folder: Path, name: str, series: str, height_mm: float, **elements: object) -> None:
    """Write an image as the challenge did: UIDs that are no UIDs, and several elements missing."""
    with pydicom.config.disable_value_validation(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        write_slice(
            folder / "stage_2_train" / f"{name}.dcm",
            height_mm,
            **{
                "SOPClassUID": None,
                "SOPInstanceUID": name,
                "StudyInstanceUID": f"ID_st{series}",
                "SeriesInstanceUID": f"ID_se{series}",
                "PatientID": f"ID_pa{series}",
                "WindowCenter": [40, 600],
                "WindowWidth": [80, 2800],
                **elements,
            },
        )


def challenge_rows(name: str, *present: str) -> list[str]:
    return [f"{name}_{kind},{int(kind in present)}" for kind in TYPES]


def write_challenge_table(folder: Path, rows: list[str], header: str = "ID,Label") -> None:
    (folder / "stage_2_train.csv").write_text("\n".join([header, *rows]) + "\n")


CHALLENGE_ROWS = [
    *challenge_rows("ID_00000000b", "any", "subdural"),
    *challenge_rows("ID_00000000a"),
    *challenge_rows("ID_0000000c0"),
    *challenge_rows("ID_00000000a"),  # four images are duplicated like this
    *challenge_rows("ID_6431af929", "any", "epidural"),
]


@pytest.fixture
def challenge(tmp_path: Path) -> Path:
    write_challenge_table(tmp_path, CHALLENGE_ROWS)
    write_challenge_image(tmp_path, "ID_00000000b", "1", 5.0)
    write_challenge_image(tmp_path, "ID_00000000a", "1", 0.0)
    wrapped = np.full((4, 6), 4096 - 1000, dtype=np.uint16)
    wrapped[0, 0] = 40
    write_challenge_image(tmp_path, "ID_0000000c0", "2", 0.0, stored=wrapped, intercept=0, BitsStored=12, HighBit=11)
    (tmp_path / "stage_2_train/ID_6431af929.dcm").write_bytes(b"\x00" * 200)
    return tmp_path


def test_challenge_images_are_grouped_by_series_and_ordered_by_position(challenge: Path) -> None:
    dataset = rsna_2019_dataset(challenge)
    first, second = dataset.scans
    assert first.slice_ids == ("ID_00000000a", "ID_00000000b")
    assert (first.subject, first.series) == ("ID_pa1", "ID_se1")
    assert first.slice_labels is not None
    assert first.slice_labels.tolist() == [[0] * 6, [1, 0, 0, 1, 0, 0]]
    assert first.labels.tolist() == [1, 0, 0, 1, 0, 0]
    assert second.labels.tolist() == [0] * 6
    volume = pickle.loads(pickle.dumps(first)).load()
    assert volume.volume_hu.shape == (2, 4, 6)
    assert (volume.pixel_spacing_mm, volume.slice_spacing_mm) == ((40, 50), 5.0)
    assert (volume.volume_hu == 40).all()


def test_the_challenges_corrupt_image_is_left_out_and_counted(challenge: Path) -> None:
    (corrupt,) = rsna_2019_dataset(challenge).excluded
    assert corrupt.series == "ID_6431af929"


def test_the_challenges_corrupt_image_may_have_been_deleted(challenge: Path) -> None:
    (challenge / "stage_2_train/ID_6431af929.dcm").unlink()
    assert len(rsna_2019_dataset(challenge).scans) == 2


def test_wrapped_12_bit_values_are_unwrapped(challenge: Path) -> None:
    volume_hu = rsna_2019_dataset(challenge).scans[1].load().volume_hu
    assert volume_hu[0, 0, 0] == 40
    assert volume_hu[0, 3, 5] == -1000


def test_12_bit_values_with_the_usual_intercept_are_left_alone(tmp_path: Path) -> None:
    stored = np.full((2, 2), 4000, dtype=np.uint16)
    write_slice(tmp_path / "a.dcm", 0.0, stored=stored, BitsStored=12, HighBit=11)
    assert (read_series([tmp_path / "a.dcm"], 5.0).volume_hu == 2976).all()


def test_headers_are_read_once(challenge: Path) -> None:
    before = rsna_2019_dataset(challenge)
    assert (challenge / HEADER_INDEX).is_file()
    for path in (challenge / "stage_2_train").iterdir():
        path.write_bytes(b"")  # a second reading of any header would fail
    after = rsna_2019_dataset(challenge)
    assert [each.slice_ids for each in after.scans] == [each.slice_ids for each in before.scans]


def test_images_added_after_indexing_are_found(challenge: Path) -> None:
    rsna_2019_dataset(challenge)
    write_challenge_image(challenge, "ID_0000000d0", "2", 5.0)
    write_challenge_table(challenge, [*CHALLENGE_ROWS, *challenge_rows("ID_0000000d0")])
    assert rsna_2019_dataset(challenge).scans[1].slice_ids == ("ID_0000000c0", "ID_0000000d0")


def test_a_series_that_is_no_stack_is_excluded_with_its_reason(challenge: Path) -> None:
    write_challenge_image(challenge, "ID_0000000d0", "2", 0.0)
    write_challenge_table(challenge, [*CHALLENGE_ROWS, *challenge_rows("ID_0000000d0")])
    dataset = rsna_2019_dataset(challenge)
    assert len(dataset.scans) == 1
    assert dataset.excluded[-1].reason == "two of its slices share a position"


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (CHALLENGE_ROWS[:-1], "image ID_6431af929 has no label for any"),
        (
            [*CHALLENGE_ROWS, "ID_00000000a_any,1"],
            "row 32: image ID_00000000a has another label of this type in row 13",
        ),
        ([*CHALLENGE_ROWS, "ID_00000000a_chronic,1"], "row 32: 'ID_00000000a_chronic,1' is not ID_<hex>_<type>"),
        ([*CHALLENGE_ROWS, "ID_00000000a_any,2"], "row 32"),
        ([*CHALLENGE_ROWS, *challenge_rows("ID_0000000ff")], "row 32: image ID_0000000ff has labels and no file"),
        (CHALLENGE_ROWS[6:], "image ID_00000000b.dcm has no row"),
        (
            [*challenge_rows("ID_00000000b", "subdural"), *CHALLENGE_ROWS[6:]],
            "row 2: image ID_00000000b has a subtype where 'any' is 0",
        ),
    ],
)
def test_a_challenge_table_that_does_not_fit_is_refused(challenge: Path, rows: list[str], said: str) -> None:
    write_challenge_table(challenge, rows)
    with pytest.raises(DatasetRejected, match=said):
        rsna_2019_dataset(challenge)


def test_a_challenge_table_of_another_shape_is_refused(challenge: Path) -> None:
    write_challenge_table(challenge, CHALLENGE_ROWS, "ID;Label")
    with pytest.raises(DatasetRejected, match="row 1: the header is not ID,Label"):
        read_image_labels(challenge / "stage_2_train.csv")


def test_an_unreadable_image_names_its_file(challenge: Path) -> None:
    (challenge / "stage_2_train/ID_00000000a.dcm").write_bytes(b"")
    with pytest.raises(DatasetRejected, match=r"ID_00000000a\.dcm: it is not readable as DICOM"):
        rsna_2019_dataset(challenge)
    assert not (challenge / HEADER_INDEX).exists()


# CQ500 ---------------------------------------------------------------------------------------------------------------

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


# A hospital's folder -------------------------------------------------------------------------------------------------

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


def test_a_refusal_in_a_worker_arrives_whole() -> None:
    refusal = DatasetRejected("images/a.dcm", "it is cut short", "Fetch it again", 7)
    arrived = pickle.loads(pickle.dumps(refusal))
    assert (type(arrived), str(arrived), arrived.row) == (DatasetRejected, str(refusal), 7)


@pytest.mark.parametrize(
    ("orientation", "turned"),
    [
        (UPRIGHT, lambda stored: stored),
        ((-1, 0, 0, 0, 1, 0), lambda stored: stored[:, ::-1]),
        ((1, 0, 0, 0, -1, 0), lambda stored: stored[::-1]),
        ((0, 1, 0, 1, 0, 0), lambda stored: stored.T),
    ],
)
def test_slices_are_turned_upright(
    tmp_path: Path, orientation: tuple[float, ...], turned: Callable[[npt.NDArray[np.int64]], npt.NDArray[np.int64]]
) -> None:
    stored = np.arange(24, dtype=np.uint16).reshape(4, 6) + 1024
    write_slice(tmp_path / "a.dcm", 0.0, stored=stored, orientation=orientation)
    expected = turned(stored.astype(np.int64) - 1024)
    assert (read_series([tmp_path / "a.dcm"], 5.0).volume_hu[0] == expected).all()


def test_sources_are_named_with_their_folder(tmp_path: Path) -> None:
    with pytest.raises(DatasetRejected, match="Write SOURCE:FOLDER, SOURCE being ct-ich, rsna-2019, cq500, folder"):
        open_dataset("brains:/somewhere")
    with pytest.raises(DatasetRejected, match="the folder is missing"):
        open_dataset(f"cq500:{tmp_path / 'nowhere'}")


def test_a_folders_study_without_a_head_series_is_left_out_with_its_reason(hospital: Path) -> None:
    for path in (hospital / "B").iterdir():
        path.unlink()
    write_subject(hospital, "B", "2", slices=3)
    dataset = labelled_folder_dataset(hospital)
    assert [each.series for each in dataset.scans] == ["A"]
    assert dataset.excluded[0].series == "B"
    assert "TOO_FEW_SLICES" in dataset.excluded[0].reason
