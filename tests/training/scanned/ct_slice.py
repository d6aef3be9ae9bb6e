"""One CT slice on disk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

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
