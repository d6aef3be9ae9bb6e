"""Heatmaps as Secondary Capture: plain RGB images, one a flagged slice, in a series of their own in the same study.

In: slices, heatmaps, the finding. Out: Secondary Capture Image objects in Explicit VR Little Endian that the plainest viewer
shows. The Image Plane attributes and the Frame of Reference UID of the slice are kept as a standard extended class
(PS3.2 3.11.4), so that viewers put picture and slice side by side.
Answers to PS3.3 A.8.1 (Secondary Capture), C.7.6.1 (General Image) and C.8.6 (SC Equipment, SC Image).
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import highdicom as hd
import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from pydicom.valuerep import format_number_as_ds

from triage_node.core.finding import SUBTYPES, Finding
from triage_node.core.ports import SeriesVolume
from triage_node.core.report import NOTICE, subtypes_in_words
from triage_node.evidence import codes
from triage_node.evidence.heatmap_picture import SMALLEST_SIDE, Captions, enlargement, heatmap_picture
from triage_node.evidence.legal_values import legal_element
from triage_node.evidence.provenance import Provenance
from triage_node.evidence.source_series import SlicePlane, SourceSeries, SourceSlice

SERIES_DESCRIPTION = "Triage of intracranial hemorrhage: heatmaps"


@dataclass(frozen=True)
class HeatmapSource:
    """What the heatmaps of one reading are made from."""

    volume: SeriesVolume
    finding: Finding
    heatmaps: Mapping[int, npt.NDArray[np.float32]]


def secondary_capture(
    index: int, number: int, source: HeatmapSource, series: SourceSeries, provenance: Provenance
) -> hd.sc.SCImage:
    """Build the object of one slice.

    Parameters
    ----------
    index
        Of the slice in the volume.
    number
        Of the object within its series, from 1.
    """
    where = series.slices[index]
    slice_hu = source.volume.as_stored(source.volume.volume_hu[index])  # as the plane below describes it
    spacing_mm = source.volume.pixel_spacing_mm
    factor = enlargement(*slice_hu.shape)
    written = captions(index, source, where)
    picture = heatmap_picture(slice_hu, source.volume.as_stored(source.heatmaps[index]), written)
    image = hd.sc.SCImage(
        pixel_array=picture,
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        patient_orientation=("L", "P"),  # highdicom knows no oblique ones; set below
        study_instance_uid=series.study_instance_uid,
        transfer_syntax_uid=ExplicitVRLittleEndian,
        **provenance.identifiers("SC", number, SERIES_DESCRIPTION),
        **provenance.equipment(),
    )
    del image.DateOfSecondaryCapture, image.TimeOfSecondaryCapture
    image.PixelSpacing = [_decimal(each / factor) for each in spacing_mm]
    image.PatientOrientation = list(patient_orientation(where.plane))
    image.ConversionType = "WSD"
    image.BodyPartExamined = "HEAD"
    image.BurnedInAnnotation = "YES"
    image.RecognizableVisualFeatures = "NO"
    image.ImageComments = ". ".join([written.headline, *written.lines])
    image.DerivationDescription = f"Gradient-weighted class activation map over the brain window. {NOTICE}."
    image.DerivationCodeSequence = [codes.SALIENCY]
    image.SourceImageSequence = [_source_image(where)]
    _keep_plane(image, where.plane, series, spacing_mm, factor)
    _keep_lossy_compression(image, where.header)
    provenance.finish(image, series, "Read the images and drew this heatmap")
    return image


@functools.cache
def warm_up() -> None:
    """Load fonts, colours and highdicom's tables of the standard, so that no study waits a third of a second for them."""
    slice_hu, heatmap = np.zeros((SMALLEST_SIDE, SMALLEST_SIDE), np.int16), np.zeros((8, 8), np.float32)
    hd.sc.SCImage(
        pixel_array=heatmap_picture(slice_hu, heatmap, Captions("", [""], NOTICE)),
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        patient_orientation=("L", "P"),
        study_instance_uid=hd.UID(),
        series_instance_uid=hd.UID(),
        sop_instance_uid=hd.UID(),
        series_number=1,
        instance_number=1,
        manufacturer=NOTICE,
    )


def captions(index: int, source: HeatmapSource, where: SourceSlice) -> Captions:
    """Return what is written below the slice: its probability and the series', kinds of blood in words, its place."""
    finding = source.finding
    of_slice = finding.slices[index]
    lines = [f"Series {finding.ich_probability:.2f}, operating point {finding.operating_threshold:.2f}"]
    if finding.subtypes is None:
        lines.append("Subtypes not assessed")
    elif finding.subtypes_present:
        lines.append(f"Suspected: {subtypes_in_words(finding.subtypes_present)}")
    if of_slice.subtypes is not None:
        lines.append("In this slice: " + ", ".join(f"{code} {of_slice.subtypes[code]:.2f}" for code in SUBTYPES))
    place = (
        f"Slice {index + 1} of {len(finding.slices)} from inferior, position {source.volume.positions_mm[index]:.1f} mm"
    )
    if where.instance_number is not None:
        place += f", instance {where.instance_number}"
    decision = "Suspected hemorrhage" if of_slice.flagged else "Not flagged, probability"
    headline = f"{decision} {of_slice.ich_probability:.2f} in this slice"
    return Captions(headline, [*lines, place], NOTICE.upper())


def patient_orientation(plane: SlicePlane) -> tuple[str, str]:
    """Return the letters of the row and column directions (PS3.3 C.7.6.1.1.1), those of an axial slice where unknown.

    Examples
    --------
    >>> patient_orientation(SlicePlane(None, (1.0, 0.0, 0.0, 0.0, 0.95, -0.31)))
    ('L', 'PF')
    """
    cosines = plane.orientation or (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    return _letters(cosines[:3]), _letters(cosines[3:])


def _letters(direction: tuple[float, ...]) -> str:
    ends = (("L", "R"), ("P", "A"), ("H", "F"))
    by_size = sorted(range(3), key=lambda axis: -abs(direction[axis]))
    return "".join(ends[axis][direction[axis] < 0] for axis in by_size if abs(direction[axis]) > 1e-3)


def _source_image(where: SourceSlice) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = where.instance.sop_class_uid
    item.ReferencedSOPInstanceUID = where.instance.sop_instance_uid
    if where.frame_number is not None:
        item.ReferencedFrameNumber = where.frame_number
    item.SpatialLocationsPreserved = "YES"
    item.PurposeOfReferenceCodeSequence = [codes.SOURCE_IMAGE_FOR_PROCESSING]
    return item


def _keep_plane(
    image: Dataset, plane: SlicePlane, series: SourceSeries, pixel_spacing_mm: tuple[float, float], factor: int
) -> None:
    """Write where the slice lies; an enlarged picture's first pixel has its centre nearer to the corner."""
    if plane.position is None or plane.orientation is None:
        return
    row, column = np.array(plane.orientation[:3]), np.array(plane.orientation[3:])
    shift_mm = (1.0 / factor - 1.0) / 2.0
    position = np.array(plane.position) + shift_mm * (row * pixel_spacing_mm[1] + column * pixel_spacing_mm[0])
    image.ImagePositionPatient = [_decimal(each) for each in position]
    image.ImageOrientationPatient = [_decimal(each) for each in plane.orientation]
    if series.frame_of_reference_uid is not None:
        image.FrameOfReferenceUID = series.frame_of_reference_uid


def _decimal(value: float) -> str:
    """Write a number in the 16 characters of a Decimal String (PS3.5 6.2), so that it reads back as what it was set to."""
    return format_number_as_ds(float(value))


def _keep_lossy_compression(image: Dataset, header: Dataset) -> None:
    """Once lossy, always lossy (PS3.3 C.7.6.1.1.5)."""
    lossy = legal_element(header, "LossyImageCompression")
    if lossy is None or lossy.value != "01":
        return
    image.LossyImageCompression = "01"
    for keyword in ("LossyImageCompressionRatio", "LossyImageCompressionMethod"):
        element: Any = legal_element(header, keyword)
        if element is not None:
            image.add(element)
