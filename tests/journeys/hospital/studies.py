"""Made-up studies as DICOM datasets: phantom heads, and slices with next to nothing in them where headers decide."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from triage_node.phantom import PhantomHead, make_head

BLEEDING_SEED, NORMAL_SEED, COARSE_SEED = 101, 102, 103


@functools.cache
def bleeding_head() -> PhantomHead:
    """A head with much blood in it; 256 x 256, because the cascade looks at no more."""
    return make_head(BLEEDING_SEED, kinds=("CPH", "IVH", "SDH"), size=256, slice_spacing_mm=5.0, tilt_deg=0.0)


@functools.cache
def normal_head() -> PhantomHead:
    """A head without blood."""
    return make_head(NORMAL_SEED, kinds=(), size=256, slice_spacing_mm=5.0, tilt_deg=0.0)


@functools.cache
def coarse_head() -> PhantomHead:
    """A head in 16 slices, for journeys that ask that it is read and not what is found."""
    return make_head(COARSE_SEED, kinds=(), size=256, slice_spacing_mm=10.0, tilt_deg=0.0)


def head_study(head: PhantomHead, **values: Any) -> list[Dataset]:
    """One series of a phantom head, from inferior to superior; see ``ct_series``."""
    return ct_series(
        head.volume_hu,
        spacing_mm=head.slice_spacing_mm,
        pixel_spacing_mm=head.pixel_spacing_mm,
        SliceThickness=head.thickness_mm,
        **values,
    )


def plain_study(slices: int = 28, *, size: int = 64, **values: Any) -> list[Dataset]:
    """Slices that pass for a head by their headers and hold water: for what is refused before a pixel is read."""
    volume = np.zeros((slices, size, size), dtype=np.int16)
    return ct_series(volume, spacing_mm=5.0, pixel_spacing_mm=(230.0 / size, 230.0 / size), **values)


def ct_series(
    volume_hu: npt.NDArray[np.int16], *, spacing_mm: float, pixel_spacing_mm: tuple[float, float], **values: Any
) -> list[Dataset]:
    """Return CT Image Storage datasets.

    Parameters
    ----------
    volume_hu : (slices, rows, columns), HU, slice 0 the most inferior
    **values
        Attributes by keyword, the same in every slice, over those set here; None leaves an attribute out.
    """
    study_uid, series_uid, frame_uid = (generate_uid(None) for _ in range(3))
    series = []
    for index, pixels in enumerate(volume_hu):
        dataset = _common(study_uid, series_uid, frame_uid)
        dataset.SOPInstanceUID = generate_uid(None)
        dataset.InstanceNumber = index + 1
        dataset.PixelSpacing = [f"{each:.6f}" for each in pixel_spacing_mm]
        half_mm = [each * size / 2 for each, size in zip(pixel_spacing_mm, pixels.shape, strict=True)]
        dataset.ImagePositionPatient = [f"{-half_mm[1]:.4f}", f"{-half_mm[0]:.4f}", f"{index * spacing_mm:.4f}"]
        dataset.SliceLocation = f"{index * spacing_mm:.4f}"
        dataset.SliceThickness = f"{spacing_mm:.4f}"
        _set_pixels(dataset, pixels)
        changed(dataset, **values)
        series.append(dataset)
    return series


def changed(dataset: Dataset, **values: Any) -> Dataset:
    """Set attributes by keyword in place; None takes one away. The meta information follows the UIDs."""
    for keyword, value in values.items():
        if value is None:
            if keyword in dataset:
                delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return dataset


def _common(study_uid: str, series_uid: str, frame_uid: str) -> Dataset:
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.SOPClassUID = CTImageStorage
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.FrameOfReferenceUID = study_uid, series_uid, frame_uid
    dataset.StudyDate = dataset.SeriesDate = dataset.AcquisitionDate = dataset.ContentDate = "20260302"
    dataset.StudyTime = dataset.SeriesTime = dataset.AcquisitionTime = dataset.ContentTime = "081500"
    dataset.Modality, dataset.Manufacturer, dataset.ManufacturerModelName = "CT", "Made up", "Phantom"
    dataset.AccessionNumber, dataset.StudyID, dataset.ReferringPhysicianName = study_uid[-12:], "1", ""
    dataset.StudyDescription, dataset.SeriesDescription = "CT HEAD", "HEAD 5.0 H31s"
    dataset.PatientName, dataset.PatientID = "Phantom^Journey", f"P{study_uid[-8:]}"
    dataset.PatientBirthDate, dataset.PatientSex = "19600102", "O"
    dataset.BodyPartExamined, dataset.PatientPosition, dataset.ConvolutionKernel = "HEAD", "HFS", "H31s"
    dataset.KVP, dataset.SeriesNumber, dataset.AcquisitionNumber, dataset.PositionReferenceIndicator = "120", 2, 1, "OM"
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    return dataset


def _set_pixels(dataset: Dataset, pixels_hu: npt.NDArray[np.int16]) -> None:
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns = pixels_hu.shape
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 1
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = 0, 1, "HU"
    dataset.WindowCenter, dataset.WindowWidth = 40, 80
    dataset.PixelData = np.ascontiguousarray(pixels_hu, dtype="<i2").tobytes()


def written(series: Iterable[Dataset], folder: Path) -> list[Path]:
    """Write datasets as files, in their order."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, dataset in enumerate(series):
        paths.append(folder / f"{number:04}.dcm")
        dataset.save_as(paths[-1], enforce_file_format=True)
    return paths


def study_uid(series: Sequence[Dataset]) -> str:
    """Return the Study Instance UID of a series."""
    return str(series[0].StudyInstanceUID)
