"""DICOM series as public data sets publish them, read into the node's axes.

In: files whose UIDs may be illegal and whose File Meta Information may be missing, as anonymised data sets have them.
Out: headers, and volumes in HU in slice order. The node itself refuses such files; only training reads them.
Order follows position along the slice normal (PS3.3 C.7.6.2.1.1), never the file name or InstanceNumber.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from triage_node.training.datasets.labelled_scan import DatasetRejected, ScanVolume

AXIAL_COSINE = 0.5
"""A series counts as axial where its normal lies within 60 degrees of the body's axis: gantry tilt reaches 30."""
SAME_POSITION_MM = 0.01

_TAGS = [
    "PatientID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "PixelSpacing",
    "Rows",
    "Columns",
]


@dataclass(frozen=True, slots=True)
class SliceHeader:
    """What ordering and grouping need of one image; texts are empty where the file says nothing.

    Attributes
    ----------
    path
        The file.
    patient, study, series
        Identifiers as written, legal UIDs or not.
    position_mm : (x, y, z) of the first pixel, mm; None where missing
    orientation : direction cosines of a row, then of a column; None where missing
    pixel_spacing_mm : between rows, between columns; None where missing
    shape : (rows, columns)
    """

    path: Path
    patient: str
    study: str
    series: str
    position_mm: tuple[float, float, float] | None
    orientation: tuple[float, float, float, float, float, float] | None
    pixel_spacing_mm: tuple[float, float] | None
    shape: tuple[int, int]


def slice_header(path: Path) -> SliceHeader:
    """Read one file's header.

    Raises
    ------
    DatasetRejected
        The file is not DICOM.
    """
    dataset = _dataset(path, pixels=False)
    return SliceHeader(
        path=path,
        patient=_text(dataset, "PatientID"),
        study=_text(dataset, "StudyInstanceUID"),
        series=_text(dataset, "SeriesInstanceUID"),
        position_mm=_numbers(dataset, "ImagePositionPatient", 3),
        orientation=_numbers(dataset, "ImageOrientationPatient", 6),
        pixel_spacing_mm=_numbers(dataset, "PixelSpacing", 2),
        shape=(int(dataset.get("Rows", 0) or 0), int(dataset.get("Columns", 0) or 0)),
    )


def slice_normal(orientation: Sequence[float]) -> npt.NDArray[np.float64]:
    """Give the unit normal of a slice, pointing to the patient's head.

    Parameters
    ----------
    orientation : (6,), direction cosines of a row, then of a column

    Returns
    -------
    (3,), x to the patient's left, y to posterior, z to the head

    Examples
    --------
    >>> slice_normal((1, 0, 0, 0, 1, 0)).tolist()
    [0.0, 0.0, 1.0]
    """
    normal = np.cross(np.asarray(orientation[:3], dtype=np.float64), np.asarray(orientation[3:], dtype=np.float64))
    normal /= np.linalg.norm(normal) or 1.0
    return np.asarray(normal if normal[2] >= 0 else -normal)


class NotAnAxialStack(ValueError):
    """A series is no single stack of axial slices; the message says why."""


def ordered_slices(headers: Iterable[SliceHeader]) -> list[SliceHeader]:
    """Put the slices of one series in order from inferior to superior.

    Raises
    ------
    NotAnAxialStack
        Position or orientation is missing, the slices are not axial or differ in shape, or two share a position.
    """
    slices = list(headers)
    if not slices:
        raise NotAnAxialStack("it has no images")
    if any(each.position_mm is None or each.orientation is None or each.pixel_spacing_mm is None for each in slices):
        raise NotAnAxialStack("position, orientation or pixel spacing is missing")
    if len({each.shape for each in slices}) > 1:
        raise NotAnAxialStack("its images differ in size")
    normal = slice_normal(slices[0].orientation or ())
    if normal[2] < AXIAL_COSINE:
        raise NotAnAxialStack("its slices are not axial")
    heights = {each.path: float(np.dot(normal, each.position_mm or ())) for each in slices}
    slices.sort(key=lambda each: heights[each.path])
    gaps = np.diff([heights[each.path] for each in slices])
    if (gaps < SAME_POSITION_MM).any():
        raise NotAnAxialStack("two of its slices share a position")
    return slices


def slice_spacing_mm(slices: Sequence[SliceHeader]) -> float:
    """Give the median distance between neighbours along the normal, mm; 5 where there is one slice."""
    if len(slices) < 2:
        return 5.0
    normal = slice_normal(slices[0].orientation or ())
    return float(np.median(np.diff([np.dot(normal, each.position_mm or ()) for each in slices])))


def read_series(paths: Sequence[Path], spacing_mm: float) -> ScanVolume:
    """Read the pixels of one series.

    Parameters
    ----------
    paths
        In order from inferior to superior.
    spacing_mm
        Between neighbouring slices (mm).

    Raises
    ------
    DatasetRejected
        A file cannot be decoded or differs in size from the first.
    """
    volume_hu: npt.NDArray[np.int16] | None = None
    for index, path in enumerate(paths):
        dataset = _dataset(path, pixels=True)
        slice_hu = _hounsfield(path, dataset)
        if volume_hu is None:
            volume_hu = np.empty((len(paths), *slice_hu.shape), dtype=np.int16)
            row_mm, column_mm = _numbers(dataset, "PixelSpacing", 2) or (0.5, 0.5)
        if slice_hu.shape != volume_hu.shape[1:]:
            problem = f"it is {slice_hu.shape[0]} x {slice_hu.shape[1]} and its series {volume_hu.shape[1:]}"
            raise DatasetRejected(path, problem, "Remove the image from the series")
        volume_hu[index] = slice_hu
    assert volume_hu is not None
    return ScanVolume(volume_hu, (row_mm, column_mm), spacing_mm)


def unwrapped_12_bit(stored: npt.NDArray[np.generic]) -> npt.NDArray[np.int32]:
    """Undo the wrap of 12-bit values that were signed and are declared unsigned.

    Air at -1000 HU wraps to 3096 and above; nothing in a head reaches 3096 HU but metal.

    Examples
    --------
    >>> unwrapped_12_bit(np.array([40, 3096, 4095])).tolist()
    [40, -1000, -1]
    """
    values = np.asarray(stored).astype(np.int32)
    return np.where(values >= 3096, values - 4096, values)


def _hounsfield(path: Path, dataset: Any) -> npt.NDArray[np.int16]:
    try:
        stored = dataset.pixel_array
    except Exception as error:  # decoders raise what they like
        problem = f"its pixels cannot be decoded ({type(error).__name__}: {error})"
        raise DatasetRejected(path, problem, "Download the file again or remove it with its labels") from error
    if stored.ndim != 2:
        raise DatasetRejected(path, f"its pixels have shape {stored.shape}", "Remove it: it is no single CT slice")
    slope = (_numbers(dataset, "RescaleSlope", 1) or (1.0,))[0]
    intercept = (_numbers(dataset, "RescaleIntercept", 1) or (0.0,))[0]
    unsigned_12_bit = dataset.get("BitsStored") == 12 and dataset.get("PixelRepresentation") == 0
    if unsigned_12_bit and intercept > -100:
        stored = unwrapped_12_bit(stored)
    hu = np.clip(np.rint(np.asarray(stored, dtype=np.float32) * slope + intercept), -32768, 32767).astype(np.int16)
    return _upright(hu, _numbers(dataset, "ImageOrientationPatient", 6))


def _upright(hu: npt.NDArray[np.int16], orientation: Sequence[float] | None) -> npt.NDArray[np.int16]:
    """Turn a slice so that columns increase to the patient's left and rows to posterior."""
    if orientation is None:
        return hu
    if abs(orientation[0]) < abs(orientation[1]):  # a row runs along y: the slice is stored transposed
        hu, orientation = hu.T, (*orientation[3:], *orientation[:3])
    if orientation[0] < 0:
        hu = hu[:, ::-1]
    if orientation[4] < 0:
        hu = hu[::-1]
    return hu


def _dataset(path: Path, *, pixels: bool) -> Any:
    try:
        dataset = pydicom.dcmread(
            path, force=True, stop_before_pixels=not pixels, specific_tags=None if pixels else list(_TAGS)
        )
        if len(dataset) == 0:
            raise ValueError("it holds no data element")
        if "TransferSyntaxUID" not in dataset.file_meta:
            implicit = bool(dataset.original_encoding[0])
            dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
    except Exception as error:  # a malformed file makes the parser raise almost anything
        problem = f"it is not readable as DICOM ({error})"
        raise DatasetRejected(path, problem, "Download the file again or remove it with its labels") from error
    return dataset


def _several(dataset: Any, keyword: str) -> tuple[str, ...]:
    """Return the values of a text element as stored: converting ``ID_0a1b2c3d4`` to a UID would be complained about."""
    element = dataset.get_item(keyword)
    if element is None or element.value is None:
        return ()
    if not isinstance(element.value, bytes):
        return tuple(str(each) for each in element.value) if element.VM > 1 else (str(element.value),)
    text = element.value.decode("latin-1").rstrip(" \0")  # latin-1 keeps different bytes different
    return tuple(each.strip() for each in text.split("\\")) if text else ()


def _text(dataset: Any, keyword: str) -> str:
    return "\\".join(_several(dataset, keyword))


def _numbers(dataset: Any, keyword: str, count: int) -> Any:
    """Return ``count`` finite numbers, or None; of a value with too many the first are taken."""
    try:
        values = tuple(float(each) for each in _several(dataset, keyword)[:count])
    except ValueError:
        return None
    return values if len(values) == count and np.isfinite(values).all() else None
