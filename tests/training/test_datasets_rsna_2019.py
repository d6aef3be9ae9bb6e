"""The RSNA 2019 challenge in exactly its published layout, defects included."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path

import numpy as np
import pydicom
import pytest
from scanned.ct_slice import write_slice

from triage_node.training.datasets import DatasetRejected
from triage_node.training.datasets.dicom_series import read_series
from triage_node.training.datasets.rsna_2019 import HEADER_INDEX, read_image_labels, rsna_2019_dataset

TYPES = ("epidural", "intraparenchymal", "intraventricular", "subarachnoid", "subdural", "any")


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
