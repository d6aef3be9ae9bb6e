"""From a Part 10 file to the header that every later station works with.

In: the bytes or the path of one file. Out: an ``InstanceHeader``, or a refusal that says what is wrong with the file. Pixels
are never decoded here; that they are all there is checked. Odd values in places that do not matter are left empty, because
a scanner's slip must not cost the patient the reading. Answers to PS3.3 A.3 (CT Image IOD) and A.38 (Enhanced CT).
"""

from __future__ import annotations

import math
import mmap
from pathlib import Path
from typing import Any

from triage_node.assembly.frame_geometry import FUNCTIONAL_GROUPS, described_frames
from triage_node.assembly.header_values import HeaderValues
from triage_node.assembly.part10 import (
    UNDEFINED_LENGTH,
    Part10,
    TruncatedDataset,
    UnreadableDataset,
    parsed_part10,
)
from triage_node.core.identifiers import checked_uid
from triage_node.core.instance import InstanceHeader

__all__ = ["TruncatedDataset", "UnreadableDataset", "read_header"]

_TEXTS = {
    "modality": "Modality",
    "patient_id": "PatientID",
    "patient_name": "PatientName",
    "accession_number": "AccessionNumber",
    "study_date": "StudyDate",
    "study_time": "StudyTime",
    "study_description": "StudyDescription",
    "series_description": "SeriesDescription",
    "protocol_name": "ProtocolName",
    "body_part_examined": "BodyPartExamined",
    "manufacturer": "Manufacturer",
    "station_name": "StationName",
    "scan_options": "ScanOptions",
    "contrast_agent": "ContrastBolusAgent",
    "convolution_kernel": "ConvolutionKernel",
    "photometric_interpretation": "PhotometricInterpretation",
}
_UIDS = {
    "sop_instance_uid": "SOPInstanceUID",
    "sop_class_uid": "SOPClassUID",
    "series_instance_uid": "SeriesInstanceUID",
    "study_instance_uid": "StudyInstanceUID",
}
_NUMBERS = {
    "kvp": "KVP",
    "slice_thickness_mm": "SliceThickness",
    "gantry_tilt_deg": "GantryDetectorTilt",
    "rescale_slope": "RescaleSlope",
    "rescale_intercept": "RescaleIntercept",
}
_INTEGERS = {
    "series_number": "SeriesNumber",
    "instance_number": "InstanceNumber",
    "acquisition_number": "AcquisitionNumber",
    # Images in Acquisition is not used: where one acquisition is reconstructed twice it counts for neither series.
    "expected_instances": "NumberOfSeriesRelatedInstances",
}
_SIZES = {
    "rows": "Rows",
    "columns": "Columns",
    "number_of_frames": "NumberOfFrames",
    "samples_per_pixel": "SamplesPerPixel",
    "bits_allocated": "BitsAllocated",
}
_VECTORS = {
    "image_position_patient": ("ImagePositionPatient", 3),
    "image_orientation_patient": ("ImageOrientationPatient", 6),
    "pixel_spacing_mm": ("PixelSpacing", 2),
}
_KEYWORDS = frozenset(
    {"SpecificCharacterSet", "ImageType", *FUNCTIONAL_GROUPS}
    | {keyword for each in (_TEXTS, _UIDS, _NUMBERS, _INTEGERS, _SIZES) for keyword in each.values()}
    | {keyword for keyword, _ in _VECTORS.values()},
)
_UNCOMPRESSED = frozenset(
    {"1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"},
)


def read_header(part10: bytes | Path) -> InstanceHeader:
    """Read one file's header and check that the file is complete.

    Raises
    ------
    UnreadableDataset
        Not DICOM, or not to be parsed.
    TruncatedDataset
        The file ends before its dataset does, or there are fewer pixels than rows and columns say.
    IllegalUid
        The SOP class, SOP instance, series or study UID is missing or not a UID.
    """
    if isinstance(part10, bytes):
        return _header(parsed_part10(part10))
    if part10.stat().st_size == 0:
        raise UnreadableDataset("the file is empty")
    with part10.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        return _header(parsed_part10(mapped))


def _header(part10: Part10) -> InstanceHeader:
    values = HeaderValues(part10, _KEYWORDS)
    found: dict[str, Any] = {name: checked_uid(values.text(keyword), keyword) for name, keyword in _UIDS.items()}
    found |= {name: values.text(keyword) for name, keyword in _TEXTS.items()}
    found |= {name: values.number(keyword) for name, keyword in _NUMBERS.items()}
    found |= {name: values.integer(keyword) for name, keyword in _INTEGERS.items()}
    found |= {name: size for name, keyword in _SIZES.items() if (size := values.integer(keyword) or 0) > 0}
    found |= {name: values.numbers(keyword, count) for name, (keyword, count) in _VECTORS.items()}
    found |= described_frames(values.dataset)
    if len(found.get("frames", ())) != found.get("number_of_frames", 1):
        found.pop("frames", None)  # not every frame is described: which one lies where cannot be told
    header = InstanceHeader.from_json(
        found
        | {
            "transfer_syntax_uid": part10.transfer_syntax_uid,
            "image_type": values.texts("ImageType"),
            "has_pixels": part10.pixel_data is not None and part10.pixel_data.length > 0,
        },
    )
    _check_pixel_length(header, part10)
    return header


def _check_pixel_length(header: InstanceHeader, part10: Part10) -> None:
    """Compare uncompressed pixel data with what rows and columns need; the walk has seen to encapsulated ones."""
    element = part10.pixel_data
    if element is None or element.length in (0, UNDEFINED_LENGTH) or header.transfer_syntax_uid not in _UNCOMPRESSED:
        return
    samples = header.rows * header.columns * header.number_of_frames * header.samples_per_pixel
    bits = samples * header.bits_allocated
    if header.photometric_interpretation == "YBR_FULL_422":
        bits = bits * 2 // 3
    needed_bytes = math.ceil(bits / 8)
    if element.length < needed_bytes:
        raise TruncatedDataset(
            f"{element.length} bytes of pixel data are there, {needed_bytes} are needed for {header.number_of_frames} x "
            f"{header.rows} x {header.columns} pixels of {header.bits_allocated} bits",
        )
