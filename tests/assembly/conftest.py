"""Made-up DICOM files: a small head that passes for one, written slice by slice with pydicom."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

SIDE = 128
SPACING_MM = 1.8
SLICE_MM = 6.0
SLICES = 24
SERIES_UID = "1.2.826.0.1.3680043.10.1.2"


@pytest.fixture(scope="session")
def head_hu() -> npt.NDArray[np.int16]:
    """Return (24, 128, 128) HU: scalp, skull, grey and white matter, ventricles and one bleeding on the left."""
    across = (np.arange(SIDE) - (SIDE - 1) / 2) * SPACING_MM
    up = (np.arange(SLICES) - 8) * SLICE_MM
    z, y, x = np.meshgrid(up, across, across, indexing="ij")
    hu = np.full(x.shape, -1000.0)
    for less_mm, value_hu in ((0.0, 20.0), (5.0, 1000.0), (11.0, 10.0), (14.0, 38.0), (24.0, 28.0)):
        hu[(x / (75 - less_mm)) ** 2 + (y / (92 - less_mm)) ** 2 + (z / (95 - less_mm)) ** 2 < 1] = value_hu
    hu[((np.abs(x) - 12) / 7) ** 2 + (y / 30) ** 2 + ((z - 10) / 14) ** 2 < 1] = 6.0
    hu[((x - 40) / 12) ** 2 + ((y + 20) / 12) ** 2 + ((z - 20) / 12) ** 2 < 1] = 70.0
    return np.rint(hu + np.random.default_rng(5).normal(0, 4, hu.shape)).clip(-1024, 3071).astype(np.int16)


def _slice(hu: npt.NDArray[np.int16], number: int) -> Dataset:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.SOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = f"{SERIES_UID}.{number}"
    dataset.StudyDate, dataset.StudyTime = "20240131", "101500"
    dataset.AccessionNumber, dataset.Modality, dataset.Manufacturer = "A1", "CT", "Made up"
    dataset.StudyDescription, dataset.SeriesDescription = "CT HEAD", "HEAD 6.0 H31s"
    dataset.PatientName, dataset.PatientID = "Made^Up", "P1"
    dataset.BodyPartExamined, dataset.SliceThickness, dataset.KVP = "HEAD", "6.0", "120"
    dataset.ConvolutionKernel = "H31s"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.826.0.1.3680043.10.1", SERIES_UID
    dataset.SeriesNumber, dataset.AcquisitionNumber, dataset.InstanceNumber = "2", "1", str(number)
    half = SPACING_MM * (SIDE - 1) / 2
    dataset.ImagePositionPatient = [f"{-half:.2f}", f"{-half:.2f}", f"{(number - 1) * SLICE_MM:.2f}"]
    dataset.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns = hu.shape
    dataset.PixelSpacing = [str(SPACING_MM), str(SPACING_MM)]
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.RescaleIntercept, dataset.RescaleSlope = "-1024", "1"
    dataset.PixelData = (hu.astype(np.int32) + 1024).astype("<u2").tobytes()
    return dataset


@pytest.fixture(scope="session")
def made_slice(head_hu: npt.NDArray[np.int16]) -> Callable[..., Dataset]:
    """Return a maker of slices by number (1 to 24), attributes set or, where None, left out."""

    def make(number: int = 9, **attributes: Any) -> Dataset:
        dataset = _slice(head_hu[number - 1], number)
        for keyword, value in attributes.items():
            if value is None:
                delattr(dataset, keyword)
            else:
                setattr(dataset, keyword, value)
        return dataset

    return make


@pytest.fixture(scope="session")
def part10() -> Callable[..., bytes]:
    """Return a writer of Part 10 bytes."""

    def written(dataset: Dataset) -> bytes:
        file = BytesIO()
        dataset.save_as(file, enforce_file_format=True)
        return file.getvalue()

    return written


@pytest.fixture
def head_files(
    made_slice: Callable[..., Dataset], part10: Callable[..., bytes], tmp_path: Path
) -> Callable[..., list[Path]]:
    """Return a writer of the whole series, each dataset changed by a function before it is written."""

    def write(change: Callable[[Dataset], object] | None = None) -> list[Path]:
        paths = []
        for number in range(1, SLICES + 1):
            dataset = made_slice(number)
            if change is not None:
                change(dataset)
            paths.append(tmp_path / f"{number}.dcm")
            paths[-1].write_bytes(part10(dataset))
        return paths

    return write
