"""A file gives its header or a refusal with a reason; never another error, and never half a file unnoticed."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from triage_node.assembly import part10 as part10_module
from triage_node.assembly.header_reader import TruncatedDataset, UnreadableDataset, read_header
from triage_node.core.errors import Refused
from triage_node.core.identifiers import IllegalUid
from triage_node.core.instance import InstanceHeader

Make = Callable[..., Dataset]
Write = Callable[..., bytes]


def with_transfer_syntax(dataset: Dataset, uid: str) -> Dataset:
    dataset.file_meta.TransferSyntaxUID = uid
    return dataset


def test_a_ct_slice_gives_its_header(made_slice: Make, part10: Write) -> None:
    header = read_header(part10(made_slice(3)))
    assert header.sop_instance_uid.endswith(".3")
    assert header.transfer_syntax_uid == "1.2.840.10008.1.2.1"
    assert (header.modality, header.image_type) == ("CT", ("ORIGINAL", "PRIMARY", "AXIAL"))
    assert (header.rows, header.columns, header.bits_allocated, header.number_of_frames) == (128, 128, 16, 1)
    assert header.image_position_patient == (-114.3, -114.3, 12.0)
    assert header.image_orientation_patient == (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    assert (header.pixel_spacing_mm, header.slice_thickness_mm) == ((1.8, 1.8), 6.0)
    assert (header.series_number, header.instance_number, header.kvp) == (2, 3, 120.0)
    assert header.has_pixels
    assert InstanceHeader.from_json(header.to_json()) == header


def test_a_path_and_its_bytes_give_the_same_header(made_slice: Make, part10: Write, tmp_path: Path) -> None:
    content = part10(made_slice())
    path = tmp_path / "slice.dcm"
    path.write_bytes(content)
    assert read_header(path) == read_header(content)


@pytest.mark.parametrize("uid", [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian])
def test_every_encoding_gives_the_same_header(uid: str, made_slice: Make, part10: Write) -> None:
    plain = read_header(part10(made_slice()))
    dataset = made_slice()
    if uid == ExplicitVRBigEndian:
        dataset.PixelData = bytes(
            byte for pair in zip(dataset.PixelData[1::2], dataset.PixelData[::2], strict=True) for byte in pair
        )
    encoded = read_header(part10(with_transfer_syntax(dataset, uid)))
    assert encoded.transfer_syntax_uid == uid
    assert encoded.to_json() | {"transfer_syntax_uid": ""} == plain.to_json() | {"transfer_syntax_uid": ""}


@pytest.mark.parametrize("keyword", ["SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"])
@pytest.mark.parametrize("value", ["../../etc/passwd", "1.2.", "1" * 65, "1.2.abc"])
@pytest.mark.filterwarnings("ignore")
def test_an_illegal_uid_is_refused_by_name(keyword: str, value: str, made_slice: Make, part10: Write) -> None:
    dataset = made_slice()
    part10(dataset)  # fills the file meta information in, which does not take illegal UIDs
    dataset[keyword]._value = value
    with pytest.raises(IllegalUid, match=keyword):
        read_header(part10(dataset))


def test_a_missing_uid_is_refused(made_slice: Make, part10: Write) -> None:
    with pytest.raises(IllegalUid, match="SeriesInstanceUID"):
        read_header(part10(made_slice(SeriesInstanceUID=None)))


@pytest.mark.parametrize("content", [b"", b"GIF89a", b"\0" * 131, b"\0" * 128 + b"DICM", b"GET / HTTP/1.1\r\n" * 40])
def test_what_is_not_dicom_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "other"
    path.write_bytes(content)
    for source in (content, path):
        with pytest.raises(UnreadableDataset):
            read_header(source)


@settings(deadline=None)
@given(share=st.floats(0, 0.999))
@pytest.mark.parametrize("way", ["explicit", "implicit", "deflated", "rle"])
def test_a_file_cut_anywhere_is_noticed(way: str, share: float, made_slice: Make, part10: Write) -> None:
    """The one cut that cannot be told is between two elements: it leaves a whole dataset, but no pixels."""
    dataset = made_slice(ReferencedImageSequence=Sequence([Dataset(), Dataset()]))
    dataset["ReferencedImageSequence"].is_undefined_length = True
    if way == "rle":
        dataset.compress(RLELossless, generate_instance_uid=False)
    elif way != "explicit":
        with_transfer_syntax(
            dataset, {"implicit": ImplicitVRLittleEndian, "deflated": DeflatedExplicitVRLittleEndian}[way]
        )
    content = part10(dataset)
    try:
        header = read_header(content[: int(share * len(content))])
    except Refused:
        return
    assert not header.has_pixels


@settings(max_examples=300, deadline=None)
@given(hits=st.lists(st.tuples(st.integers(128, 1400), st.integers(0, 255)), min_size=1, max_size=8))
def test_damaged_bytes_never_raise_anything_else(hits: list[tuple[int, int]], made_slice: Make, part10: Write) -> None:
    content = bytearray(part10(made_slice()))
    for place, byte in hits:
        content[place] = byte
    with suppress(Refused):
        header = read_header(bytes(content))
        assert InstanceHeader.from_json(header.to_json()) == header


def test_fewer_pixels_than_rows_and_columns_say_are_refused(made_slice: Make, part10: Write) -> None:
    dataset = made_slice()
    dataset.PixelData = dataset.PixelData[:-2]
    with pytest.raises(TruncatedDataset, match="32766 bytes of pixel data are there, 32768 are needed"):
        read_header(part10(dataset))


def test_a_sequence_without_an_end_is_refused(made_slice: Make, part10: Write) -> None:
    dataset = made_slice()
    dataset.compress(RLELossless, generate_instance_uid=False)
    content = part10(dataset)
    assert content.endswith(b"\xfe\xff\xdd\xe0\0\0\0\0")
    with pytest.raises(TruncatedDataset):
        read_header(content[:-8])


def test_endless_nesting_is_refused(made_slice: Make, part10: Write) -> None:
    content = part10(made_slice(PixelData=None))
    sequence = b"\x09\x00\x01\x10SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    with pytest.raises(UnreadableDataset, match="nested deeper"):
        read_header(content + sequence * 5000)


def test_a_deflated_bomb_is_refused(made_slice: Make, part10: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(part10_module, "INFLATED_LIMIT_BYTES", 100_000)
    content = part10(with_transfer_syntax(made_slice(), DeflatedExplicitVRLittleEndian))
    assert read_header(content).rows == 128
    meta_end = content.index(b"1.2.840.10008.1.2.1.99") + 22
    deflator = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    bomb = content[:meta_end] + deflator.compress(b"\x08\x00\x05\x00CS\x00\x00" + b"\0" * 1_000_000) + deflator.flush()
    with pytest.raises(UnreadableDataset):
        read_header(bomb)


def test_zeros_behind_the_dataset_are_padding(made_slice: Make, part10: Write) -> None:
    content = part10(made_slice())
    assert read_header(content + b"\0" * 512) == read_header(content)


def test_names_in_any_character_set_become_unicode(made_slice: Make, part10: Write) -> None:
    japanese = made_slice(SpecificCharacterSet=["", "ISO 2022 IR 87"])
    japanese.PatientName = "Yamada^Tarou=山田^太郎"
    assert read_header(part10(japanese)).patient_name == "Yamada^Tarou=山田^太郎"
    assert read_header(part10(made_slice(PatientName="山田^太郎"))).patient_name == "山田^太郎"
    assert (
        read_header(part10(made_slice(SpecificCharacterSet="GB18030", PatientName="王^小东"))).patient_name == "王^小东"
    )


@pytest.mark.filterwarnings("ignore")
def test_bytes_outside_the_character_set_are_replaced(made_slice: Make, part10: Write) -> None:
    content = part10(made_slice(PatientName="M\u00fcl^Up"))
    assert "\ufffd" in read_header(content.replace("M\u00fcl".encode(), b"M\xfc\xfel")).patient_name
    unknown = content.replace(b"ISO_IR 192", b"ISO_IR 999")
    assert read_header(unknown).patient_name.endswith("^Up")


def test_a_path_as_name_is_only_a_name(made_slice: Make, part10: Write) -> None:
    header = read_header(part10(made_slice(PatientName="../../etc/passwd", PatientID="")))
    assert (header.patient_name, header.patient_id) == ("../../etc/passwd", "")


@pytest.mark.filterwarnings("ignore")
def test_odd_values_in_places_that_do_not_matter_are_left_empty(made_slice: Make, part10: Write) -> None:
    content = part10(made_slice(SliceThickness="6.0 ", GantryDetectorTilt="0000", KVP="120 "))
    content = content.replace(b"DS\x04\x006.0 ", b"DS\x04\x00six ").replace(b"0000", b"nan ")
    header = read_header(content)
    assert header.slice_thickness_mm is None
    assert header.gantry_tilt_deg is None
    assert header.kvp == 120.0


def test_several_values_where_one_is_due_give_the_first(made_slice: Make, part10: Write) -> None:
    header = read_header(part10(made_slice(ConvolutionKernel=["Hr40f", "3"], GantryDetectorTilt=["5", "7"])))
    assert header.convolution_kernel == "Hr40f\\3"
    assert header.gantry_tilt_deg == 5.0


def test_a_position_of_two_numbers_is_no_position(made_slice: Make, part10: Write) -> None:
    assert read_header(part10(made_slice(ImagePositionPatient=["1", "2"]))).image_position_patient is None


def test_an_object_without_pixels_says_so(made_slice: Make, part10: Write) -> None:
    assert not read_header(part10(made_slice(PixelData=None))).has_pixels


def test_the_count_that_the_sender_gives_is_kept(made_slice: Make, part10: Write) -> None:
    assert read_header(part10(made_slice(NumberOfSeriesRelatedInstances="24"))).expected_instances == 24
