"""The series that was read, as far as evidence has to name it: references to its slices and the study's attributes.

In: files of the series. Out: one reference a slice, headers of the slices that are shown or measured on. Pixel data is
never read here, and only few headers are read whole: a thin series has a thousand of them.
Answers to PS3.3 C.7.6.2 (Image Plane), C.7.6.16.2.3 (Plane Position) and PS3.3 10.3 (Image SOP Instance Reference).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset

from triage_node.core.conformance import CT_IMAGE_STORAGE
from triage_node.core.errors import Defect
from triage_node.core.ports import SeriesVolume
from triage_node.evidence.legal_values import TYPE_2, legal_element, patient_and_study

_SLICE_ATTRIBUTES = [
    "InstanceNumber",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "NumberOfFrames",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
    "RescaleSlope",
    "RescaleIntercept",
    "LossyImageCompression",
    "LossyImageCompressionRatio",
    "LossyImageCompressionMethod",
]


@dataclass(frozen=True)
class SourceInstance:
    """One instance of the series by its identifiers."""

    sop_class_uid: str
    sop_instance_uid: str

    def as_evidence(self, series: SourceSeries) -> Dataset:
        """Return what a reference to this instance is made from."""
        item = Dataset()
        item.SOPClassUID = self.sop_class_uid
        item.SOPInstanceUID = self.sop_instance_uid
        item.StudyInstanceUID = series.study_instance_uid
        item.SeriesInstanceUID = series.series_instance_uid
        return item

    def as_reference(self) -> Dataset:
        """Return the item of a sequence that refers to this instance (PS3.3 10.3)."""
        item = Dataset()
        item.ReferencedSOPClassUID = self.sop_class_uid
        item.ReferencedSOPInstanceUID = self.sop_instance_uid
        return item


@dataclass(frozen=True)
class SlicePlane:
    """Where a slice lies (mm, PS3.3 C.7.6.2.1.1), from the header or from the frame's functional groups."""

    position: tuple[float, float, float] | None
    orientation: tuple[float, float, float, float, float, float] | None


@dataclass(frozen=True)
class SourceSlice:
    """One slice of the volume: its instance, its frame where the instance has several, its place.

    ``rescale`` is slope and intercept from stored values to HU, None where the source has none.
    """

    instance: SourceInstance
    frame_number: int | None
    instance_number: int | None
    plane: SlicePlane
    rescale: tuple[float, float] | None
    header: Dataset


@dataclass(frozen=True)
class SourceSeries:
    """The series and its study.

    Attributes
    ----------
    attributes
        Patient and study attributes that may be written again.
    instances
        Every instance once, in the order of the volume.
    slices
        By index into the volume; only those that were asked for.
    """

    study_instance_uid: str
    series_instance_uid: str
    header: Dataset
    attributes: Dataset
    instances: tuple[SourceInstance, ...]
    slices: Mapping[int, SourceSlice]

    @property
    def frame_of_reference_uid(self) -> str | None:
        """The frame of reference, None where the source has none."""
        element = legal_element(self.header, "FrameOfReferenceUID")
        return None if element is None else str(element.value)

    def evidence(self) -> list[Dataset]:
        """Return references to all instances, as highdicom takes them."""
        return carrying_blanks([each.as_evidence(self) for each in self.instances])


def carrying_blanks(evidence: list[Dataset]) -> list[Dataset]:
    """Give the first reference the attributes that highdicom insists on, empty.

    The real ones follow once the object is built: highdicom would warn of unusual names, and a warning with a name in it is
    a patient in the log.
    """
    for keyword in TYPE_2:
        setattr(evidence[0], keyword, "")
    return evidence


def read_source_series(volume: SeriesVolume, indices: Iterable[int]) -> SourceSeries:
    """Read the headers that evidence needs.

    Parameters
    ----------
    volume
        The series, slices from inferior to superior.
    indices
        Slices whose own headers are needed (those shown or measured on).
    """
    first = dcmread(volume.paths[0], stop_before_pixels=True, force=True)
    sop_class_uid = str(first.get("SOPClassUID") or CT_IMAGE_STORAGE)
    unique = dict.fromkeys(volume.sop_instance_uids)
    headers = {volume.paths[0]: first}
    slices = {}
    for index in sorted(set(indices)):
        path = volume.paths[index]
        if path not in headers:
            headers[path] = dcmread(path, stop_before_pixels=True, force=True, specific_tags=_SLICE_ATTRIBUTES)
        slices[index] = _slice(volume, index, headers[path], sop_class_uid)
    return _series(first, tuple(SourceInstance(sop_class_uid, each) for each in unique), slices)


def read_source_instances(paths: Sequence[Path]) -> SourceSeries:
    """Read what a report on a series that was not analysed has to name; any kind of object, in any order."""
    if not paths:
        raise Defect("a report needs at least one source instance")
    wanted = ["SOPClassUID", "SOPInstanceUID"]
    first = dcmread(paths[0], stop_before_pixels=True, force=True)
    found = [first, *(dcmread(path, stop_before_pixels=True, force=True, specific_tags=wanted) for path in paths[1:])]
    unique = dict.fromkeys((str(each.SOPClassUID), str(each.SOPInstanceUID)) for each in found)
    return _series(first, tuple(SourceInstance(*each) for each in unique), {})


def _series(first: Dataset, instances: tuple[SourceInstance, ...], slices: Mapping[int, SourceSlice]) -> SourceSeries:
    return SourceSeries(
        study_instance_uid=str(first.StudyInstanceUID),
        series_instance_uid=str(first.SeriesInstanceUID),
        header=first,
        attributes=patient_and_study(first),
        instances=instances,
        slices=slices,
    )


def _slice(volume: SeriesVolume, index: int, header: Dataset, sop_class_uid: str) -> SourceSlice:
    several_frames = int(header.get("NumberOfFrames") or 1) > 1
    number = legal_element(header, "InstanceNumber")
    frame_number = volume.frame_numbers[index] if several_frames else None
    groups = [header] if frame_number is None else _functional_groups(header, frame_number)
    return SourceSlice(
        instance=SourceInstance(sop_class_uid, volume.sop_instance_uids[index]),
        frame_number=frame_number,
        instance_number=None if number is None else int(number.value),
        plane=_plane(groups),
        rescale=_rescale(groups),
        header=header,
    )


def _plane(groups: Sequence[Dataset]) -> SlicePlane:
    position = orientation = None
    for group in groups:
        position = position or _numbers(group, "ImagePositionPatient", 3)
        orientation = orientation or _numbers(group, "ImageOrientationPatient", 6)
    return SlicePlane(position, orientation)  # type: ignore[arg-type]  # lengths checked above


def _rescale(groups: Sequence[Dataset]) -> tuple[float, float] | None:
    for group in groups:
        found = [legal_element(group, keyword) for keyword in ("RescaleSlope", "RescaleIntercept")]
        numbers = tuple(float(each.value) for each in found if each is not None)
        if len(numbers) == 2 and bool(np.isfinite(numbers).all()):
            return numbers[0], numbers[1]
    return None


def _functional_groups(header: Dataset, frame_number: int) -> list[Dataset]:
    """Return the macros that may hold a frame's plane or rescale (PS3.3 C.7.6.16), the frame's own first."""
    found: list[Dataset] = []
    for keyword, item_number in (
        ("PerFrameFunctionalGroupsSequence", frame_number - 1),
        ("SharedFunctionalGroupsSequence", 0),
    ):
        items = header.get(keyword) or []
        if item_number < len(items):
            for macro in ("PlanePositionSequence", "PlaneOrientationSequence", "PixelValueTransformationSequence"):
                found.extend(items[item_number].get(macro) or [])
    return found


def _numbers(dataset: Dataset, keyword: str, count: int) -> tuple[float, ...] | None:
    try:
        values = tuple(float(each) for each in dataset.get(keyword) or ())
    except (TypeError, ValueError):
        return None
    return values if len(values) == count and bool(np.isfinite(values).all()) else None
