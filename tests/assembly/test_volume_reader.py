"""Files become a volume in HU, in order, whatever their transfer syntax; what cannot be decoded is declined with its reason."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    EnhancedCTImageStorage,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from triage_node.assembly.header_reader import read_header
from triage_node.assembly.volume_reader import FileOutOfReach, PixelVolumeReader
from triage_node.core.instance import InstanceHeader
from triage_node.core.ports import SeriesVolume
from triage_node.core.reason import Reason, Refusal
from triage_node.core.series import eligibility, ordered

Change = Callable[[Dataset], object]
Files = Callable[..., list[Path]]
Head = npt.NDArray[np.int16]


def assembled(paths: list[Path]) -> SeriesVolume | Refusal:
    """Read files as the node does: headers, eligibility, order, volume."""
    instances: list[tuple[InstanceHeader, Path]] = [(read_header(path), path) for path in paths]
    return eligibility([header for header, _ in instances]) or PixelVolumeReader(threads=2).read(ordered(instances))


def volume_of(paths: list[Path]) -> SeriesVolume:
    volume = assembled(paths)
    assert isinstance(volume, SeriesVolume), volume
    return volume


def refusal_of(paths: list[Path]) -> Refusal:
    refusal = assembled(paths)
    assert isinstance(refusal, Refusal)
    return refusal


def stored_as(uid: str) -> Change:
    def change(dataset: Dataset) -> None:
        dataset.file_meta.TransferSyntaxUID = uid
        if uid == ExplicitVRBigEndian:
            dataset.PixelData = np.frombuffer(dataset.PixelData, "<u2").astype(">u2").tobytes()

    return change


def compressed(uid: str) -> Change:
    return lambda dataset: dataset.compress(uid, generate_instance_uid=False)


def test_slices_come_out_in_order_whatever_order_they_came_in(head_files: Files, head_hu: Head) -> None:
    paths = head_files()
    volume = volume_of(random.Random(3).sample(paths, len(paths)))
    assert np.array_equal(volume.volume_hu, head_hu)
    assert volume.volume_hu.dtype == np.int16
    assert [path.name for path in volume.paths] == [f"{number}.dcm" for number in range(1, 25)]
    assert [uid.rpartition(".")[2] for uid in volume.sop_instance_uids] == [str(number) for number in range(1, 25)]
    assert volume.frame_numbers == (1,) * 24
    assert (volume.slice_spacing_mm, volume.pixel_spacing_mm, volume.tilt_deg) == (6.0, (1.8, 1.8), 0.0)
    assert volume.positions_mm == tuple(6.0 * index for index in range(24))
    assert not volume.flipped_rows
    assert not volume.flipped_columns


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(stored_as(ImplicitVRLittleEndian), id="implicit"),
        pytest.param(stored_as(ExplicitVRBigEndian), id="big endian"),
        pytest.param(stored_as(DeflatedExplicitVRLittleEndian), id="deflated"),
        pytest.param(compressed(RLELossless), id="RLE"),
        pytest.param(compressed(JPEGLSLossless), id="JPEG-LS"),
        pytest.param(compressed(JPEG2000Lossless), id="JPEG 2000"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_every_lossless_transfer_syntax_gives_the_same_volume(change: Change, head_files: Files, head_hu: Head) -> None:
    assert np.array_equal(volume_of(head_files(change)).volume_hu, head_hu)


def as_signed(dataset: Dataset) -> None:
    """GE's way: signed HU with padding of -2000 outside the circle."""
    hu = np.frombuffer(dataset.PixelData, "<u2").astype(np.int32) - 1024
    hu[: 5 * 128] = -2000
    dataset.PixelData = hu.astype("<i2").tobytes()
    dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation, dataset.RescaleIntercept = 16, 15, 1, "0"
    dataset.add_new(0x00280120, "SS", -2000)


def as_padded_in_twelve_bits(dataset: Dataset) -> None:
    """Padding outside the stored bits must be seen before they are cut off, or it turns to bone."""
    stored = np.frombuffer(dataset.PixelData, "<u2").copy()
    stored[: 5 * 128] = 63536
    dataset.PixelData = stored.tobytes()
    dataset.add_new(0x00280120, "US", 63536)


def with_overlay_bits(dataset: Dataset) -> None:
    """Old scanners keep an overlay in the bits above the stored ones."""
    stored = np.frombuffer(dataset.PixelData, "<u2").copy()
    stored[::3] |= 0x8000
    dataset.PixelData = stored.tobytes()


def as_short_signed(dataset: Dataset) -> None:
    """Twelve signed bits whose sign was never extended to sixteen."""
    hu = np.frombuffer(dataset.PixelData, "<u2").astype(np.int32) - 1024
    dataset.PixelData = (hu & 0x0FFF).astype("<u2").tobytes()
    dataset.PixelRepresentation, dataset.RescaleIntercept = 1, "0"


def with_steep_rescale(dataset: Dataset) -> None:
    stored = np.frombuffer(dataset.PixelData, "<u2").astype(np.int32)
    dataset.PixelData = (stored * 4).astype("<u2").tobytes()
    dataset.BitsStored, dataset.HighBit, dataset.RescaleSlope = 16, 15, "0.25"


@pytest.mark.parametrize(
    "change", [as_signed, as_padded_in_twelve_bits, with_overlay_bits, as_short_signed, with_steep_rescale]
)
@pytest.mark.filterwarnings("ignore")
def test_vendors_ways_of_storing_give_the_same_hounsfield_units(
    change: Change, head_files: Files, head_hu: Head
) -> None:
    volume_hu = volume_of(head_files(change)).volume_hu
    assert np.array_equal(volume_hu[:, 5:], head_hu[:, 5:])
    assert (volume_hu[:, :5] <= -900).all()


def test_monochrome1_is_a_way_to_show_not_a_value(head_files: Files, head_hu: Head) -> None:
    def change(dataset: Dataset) -> None:
        dataset.PhotometricInterpretation = "MONOCHROME1"

    assert np.array_equal(volume_of(head_files(change)).volume_hu, head_hu)


@pytest.mark.parametrize(
    ("orientation", "rows", "columns"),
    [
        (["-1", "0", "0", "0", "-1", "0"], True, True),
        (["-1", "0", "0", "0", "1", "0"], False, True),
        (["1", "0", "0", "0", "-1", "0"], True, False),
    ],
)
def test_a_head_stored_another_way_up_is_turned_and_says_so(
    orientation: list[str], rows: bool, columns: bool, head_files: Files, head_hu: Head
) -> None:
    def change(dataset: Dataset) -> None:
        stored = np.frombuffer(dataset.PixelData, "<u2").reshape(128, 128)
        dataset.PixelData = stored[:: -1 if rows else 1, :: -1 if columns else 1].tobytes()
        dataset.ImageOrientationPatient = orientation

    volume = volume_of(head_files(change))
    assert np.array_equal(volume.volume_hu, head_hu)
    assert (volume.flipped_rows, volume.flipped_columns) == (rows, columns)
    source = np.frombuffer(pydicom.dcmread(volume.paths[9]).PixelData, "<u2").reshape(128, 128)
    assert np.array_equal(volume.as_stored(volume.volume_hu[9]), source.astype(np.int32) - 1024)


@pytest.fixture
def enhanced_head(made_slice: Callable[..., Dataset], head_hu: Head) -> Dataset:
    """Return a multi-frame head whose frames stand from top to bottom and rescale each in their own way (PS3.3 C.7.6.16)."""
    dataset = made_slice(1)
    dataset.SOPClassUID = EnhancedCTImageStorage
    dataset.NumberOfFrames = 24
    for keyword in (
        "ImagePositionPatient",
        "ImageOrientationPatient",
        "PixelSpacing",
        "RescaleSlope",
        "RescaleIntercept",
    ):
        delattr(dataset, keyword)
    measures, orientation, shared = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = ["1.8", "1.8"], "6"
    orientation.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = Sequence([measures]), Sequence([orientation])
    dataset.SharedFunctionalGroupsSequence = Sequence([shared])
    frames, groups = [], []
    for index in range(23, -1, -1):
        position, rescale, group = Dataset(), Dataset(), Dataset()
        position.ImagePositionPatient = ["-114.3", "-114.3", str(6 * index)]
        rescale.RescaleSlope, rescale.RescaleIntercept = "1", str(-1024 - index)
        group.PlanePositionSequence, group.PixelValueTransformationSequence = Sequence([position]), Sequence([rescale])
        groups.append(group)
        frames.append((head_hu[index].astype(np.int32) + 1024 + index).astype("<u2"))
    dataset.PerFrameFunctionalGroupsSequence = Sequence(groups)
    dataset.PixelData = np.stack(frames).tobytes()
    return dataset


def test_a_multi_frame_head_is_read_frame_by_frame(
    enhanced_head: Dataset, part10: Callable[..., bytes], head_hu: Head, tmp_path: Path
) -> None:
    path = tmp_path / "enhanced.dcm"
    path.write_bytes(part10(enhanced_head))

    volume = volume_of([path])

    assert np.array_equal(volume.volume_hu, head_hu)
    assert volume.frame_numbers == tuple(range(24, 0, -1))
    assert len(set(volume.sop_instance_uids)) == 1


def test_a_frame_without_a_readable_position_leaves_the_stack_without_geometry(
    enhanced_head: Dataset, part10: Callable[..., bytes], tmp_path: Path
) -> None:
    path = tmp_path / "enhanced.dcm"
    path.write_bytes(part10(enhanced_head).replace(b"-114.3\\-114.3\\66", b"-114.3\\-1w4.3\\66"))
    assert refusal_of([path]).reason is Reason.NO_GEOMETRY


@pytest.mark.filterwarnings("ignore")
def test_a_damaged_code_stream_is_undecodable(head_files: Files) -> None:
    paths = head_files(compressed(JPEG2000Lossless))
    content = bytearray(paths[7].read_bytes())
    start = content.index(b"\xff\x4f\xff\x51")
    content[start : start + 60] = b"\0" * 60
    paths[7].write_bytes(bytes(content))
    assert refusal_of(paths).reason is Reason.UNDECODABLE


@pytest.mark.filterwarnings("ignore")
def test_a_code_stream_of_another_size_is_undecodable_at_once(head_files: Files) -> None:
    """OpenJPEG works for minutes on what a damaged size promises."""
    paths = head_files(compressed(JPEG2000Lossless))
    content = bytearray(paths[7].read_bytes())
    width = content.index(b"\xff\x4f\xff\x51") + 8
    content[width : width + 4] = b"\x7f\xff\xff\xff"
    paths[7].write_bytes(bytes(content))
    refusal = refusal_of(paths)
    assert refusal.reason is Reason.UNDECODABLE
    assert "the code stream holds" in refusal.detail


@pytest.mark.filterwarnings("ignore")
def test_a_decoder_that_panics_is_a_refusal_too(head_files: Files) -> None:
    """pylibjpeg-rle is Rust: on segments too short it raises a PanicException, which is no Exception."""
    paths = head_files(compressed(RLELossless))
    dataset = pydicom.dcmread(paths[7])
    frame = next(generate_frames(dataset.PixelData, number_of_frames=1))
    dataset.PixelData = encapsulate([frame[: len(frame) // 4 * 2]])
    dataset.save_as(paths[7])
    assert refusal_of(paths).reason is Reason.UNDECODABLE


def test_a_slice_that_shrank_on_disk_is_undecodable(head_files: Files) -> None:
    paths = head_files()
    instances = [(read_header(path), path) for path in paths]
    paths[4].write_bytes(paths[4].read_bytes()[:-100])
    refusal = PixelVolumeReader(threads=2).read(ordered(instances))
    assert isinstance(refusal, Refusal)
    assert refusal.reason is Reason.UNDECODABLE


def test_a_file_that_cannot_be_opened_is_tried_again_later(head_files: Files) -> None:
    paths = head_files()
    instances = [(read_header(path), path) for path in paths]
    paths[4].unlink()
    with pytest.raises(FileOutOfReach):
        PixelVolumeReader().read(ordered(instances))


def test_the_pixels_of_another_body_part_are_declined_under_head_tags(head_files: Files) -> None:
    def change(dataset: Dataset) -> None:
        stored = np.frombuffer(dataset.PixelData, "<u2").copy()
        stored[stored > 1300] = 1064
        dataset.PixelData = stored.tobytes()

    refusal = refusal_of(head_files(change))
    assert refusal.reason is Reason.NOT_HEAD
    assert "ml of brain" in refusal.detail


def test_rows_from_front_to_back_are_declined(head_files: Files) -> None:
    def change(dataset: Dataset) -> None:
        dataset.ImageOrientationPatient = ["0", "1", "0", "1", "0", "0"]

    assert refusal_of(head_files(change)).reason is Reason.NOT_AXIAL
