"""Made-up scans as DICOM CT series, the way a scanner would store them.

In: a scan and a patient's identifiers. Out: CT Image Storage datasets or Part 10 files, 12 bit unsigned with intercept
-1024. UIDs follow from the seed (2.25 root, PS3.5 B.2), so the same seed gives the same objects. Answers to PS3.3 A.3.
Every object says in its comments that no patient was scanned.
"""

from __future__ import annotations

import hashlib
import math
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian

from triage_node.phantom.scans import PhantomScan

COMMENT = "Made-up images, no patient was scanned"
_FIRST_DAY = datetime(2026, 1, 5, 7, 0, tzinfo=UTC)
_LOWEST_HU, _STORED_MAX = -1024, 4095


@dataclass(frozen=True)
class Scanner:
    """What a scanner says of itself, with the names of its soft, standard and sharp head kernels."""

    manufacturer: str
    model: str
    software: str
    kernels: tuple[str, str, str]
    scan_option: str

    def kernel(self, kind: str) -> str:
        """The scanner's name for ``soft``, ``standard`` or ``sharp``."""
        return self.kernels[("soft", "standard", "sharp").index(kind)]


SCANNERS = (
    Scanner("SIEMENS", "SOMATOM Definition AS", "syngo CT 2012B", ("H30s", "H31s", "H40s"), "SEQUENCE MODE"),
    Scanner("GE MEDICAL SYSTEMS", "LightSpeed VCT", "gmp_vct.42", ("SOFT", "STANDARD", "DETAIL"), "AXIAL MODE"),
    Scanner("Philips", "Ingenuity CT", "4.1", ("UA", "UB", "UC"), "HELIX"),
    Scanner("TOSHIBA", "Aquilion PRIME", "V6.04ER004", ("FC23", "FC21", "FC26"), "SCANOSCOPE"),
)


def seeded_uid(seed: int, *names: object) -> UID:
    """The UID that belongs to a seed and a name, the same on every machine."""
    text = "/".join(["triage_node.phantom", str(seed), *map(str, names)])
    digest = hashlib.sha256(text.encode()).digest()
    return UID(f"2.25.{uuid.UUID(bytes=digest[:16], version=4).int}")


def image_uid(seed: int, index: int, series_number: int = 2) -> UID:
    """SOP Instance UID of a slice, counted from 0, the most inferior."""
    return seeded_uid(seed, "image", series_number, index)


def datasets(
    scan: PhantomScan,
    *,
    seed: int,
    patient_name: str = "Phantom^Head",
    patient_id: str = "PHANTOM",
    accession_number: str = "",
    study_description: str | None = None,
    series_description: str | None = None,
    series_number: int = 2,
    studied_at: datetime | None = None,
) -> list[Dataset]:
    """Make the CT instances of a scan, from inferior to superior.

    Parameters
    ----------
    seed
        Scanner, times and UIDs follow from it: the same seed with another ``series_number`` is another series of the
        same study.
    patient_name, patient_id, accession_number, study_description, series_description
        As they go into the header.
    studied_at
        Start of the study; follows from the seed where None.

    Returns
    -------
    Datasets with file meta information, ready for ``save_as`` or C-STORE.
    """
    header = _Header(scan, seed, series_number, studied_at)
    made = []
    for index, plane in enumerate(scan.volume_hu):
        ds = header.dataset("image", index)
        _add_identity(ds, patient_name, patient_id, accession_number, scan, header)
        ds.StudyDescription = study_description or f"CT {scan.body_part} W/O CONTRAST"
        ds.SeriesDescription = series_description or f"{scan.body_part} {scan.thickness_mm:g} {header.kernel}"
        ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        ds.InstanceNumber = str(index + 1)
        _add_plane(ds, scan, index)
        _add_exposure(ds, scan, header)
        _add_pixels(ds, plane)
        made.append(ds)
    return made


def localizer(
    scan: PhantomScan,
    *,
    seed: int,
    patient_name: str = "Phantom^Head",
    patient_id: str = "PHANTOM",
    accession_number: str = "",
    studied_at: datetime | None = None,
) -> Dataset:
    """Make the lateral scout image of the same study, as series 1."""
    header = _Header(scan, seed, 1, studied_at)
    ds = header.dataset("localizer", 0)
    _add_identity(ds, patient_name, patient_id, accession_number, scan, header)
    ds.StudyDescription = f"CT {scan.body_part} W/O CONTRAST"
    ds.SeriesDescription = "Topogram"
    ds.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    ds.InstanceNumber = "1"
    projected = np.asarray(scan.volume_hu, dtype=np.float32).mean(axis=2)[::-1]  # (slices from the top, rows)
    repeats = max(1, round(scan.slice_spacing_mm / scan.pixel_spacing_mm[0]))
    plane = np.repeat(projected, repeats, axis=0)
    row_mm, half = scan.slice_spacing_mm / repeats, scan.pixel_spacing_mm[0] * (scan.volume_hu.shape[1] - 1) / 2
    ds.ImagePositionPatient = ["0", _decimal(-half), _decimal(len(scan.volume_hu) * scan.slice_spacing_mm)]
    ds.ImageOrientationPatient = ["0", "1", "0", "0", "0", "-1"]
    ds.PixelSpacing = [_decimal(row_mm), _decimal(scan.pixel_spacing_mm[0])]
    ds.SliceThickness = "0.6"
    _add_exposure(ds, scan, header)
    _add_pixels(ds, np.rint(plane).astype(np.int16))
    ds.RescaleType = "US"  # a projection has no Hounsfield units
    return ds


def write_series(
    scan: PhantomScan,
    folder: Path,
    *,
    seed: int,
    patient_name: str = "Phantom^Head",
    patient_id: str = "PHANTOM",
    accession_number: str = "",
    study_description: str | None = None,
    series_description: str | None = None,
    series_number: int = 2,
    studied_at: datetime | None = None,
) -> list[Path]:
    """Write a scan as Part 10 files ``CT000001.dcm``... into a folder; parameters as for :func:`datasets`."""
    folder.mkdir(parents=True, exist_ok=True)
    made = datasets(
        scan,
        seed=seed,
        patient_name=patient_name,
        patient_id=patient_id,
        accession_number=accession_number,
        study_description=study_description,
        series_description=series_description,
        series_number=series_number,
        studied_at=studied_at,
    )
    return list(_written(made, folder))


def _written(made: list[Dataset], folder: Path) -> Iterator[Path]:
    for number, ds in enumerate(made, start=1):
        path = folder / f"CT{number:06}.dcm"
        ds.save_as(path, enforce_file_format=True)
        yield path


class _Header:
    """What the instances of one series share."""

    def __init__(self, scan: PhantomScan, seed: int, series_number: int, studied_at: datetime | None) -> None:
        self.seed, self.series_number = seed, series_number
        self.scanner = SCANNERS[seed % len(SCANNERS)]
        self.kernel = self.scanner.kernel(scan.kernel)
        drawn = _FIRST_DAY + timedelta(minutes=(seed * 7919) % (180 * 24 * 60))
        self.studied_at = studied_at or drawn
        self.series_at = self.studied_at + timedelta(seconds=40 * series_number)

    def dataset(self, kind: str, index: int) -> Dataset:
        """An instance with UIDs, times and equipment."""
        ds = Dataset()
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.file_meta.MediaStorageSOPClassUID = CTImageStorage
        ds.SpecificCharacterSet = "ISO_IR 192"
        ds.SOPClassUID = CTImageStorage
        ds.SOPInstanceUID = seeded_uid(self.seed, kind, self.series_number, index)
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
        ds.StudyInstanceUID = seeded_uid(self.seed, "study")
        ds.SeriesInstanceUID = seeded_uid(self.seed, "series", self.series_number)
        ds.FrameOfReferenceUID = seeded_uid(self.seed, "frame of reference")
        ds.StudyID = str(self.seed % 100000)
        ds.Modality = "CT"
        ds.SeriesNumber = str(self.series_number)
        ds.AcquisitionNumber = "1"
        ds.PatientPosition = "HFS"
        ds.PositionReferenceIndicator = ""
        ds.ImageComments = COMMENT
        self._add_times(ds, index)
        ds.Manufacturer = self.scanner.manufacturer
        ds.ManufacturerModelName = self.scanner.model
        ds.SoftwareVersions = self.scanner.software
        ds.InstitutionName = "Phantom"
        ds.StationName = f"CT{self.seed % len(SCANNERS) + 1}"
        ds.DeviceSerialNumber = str(60000 + self.seed % len(SCANNERS))
        return ds

    def _add_times(self, ds: Dataset, index: int) -> None:
        acquired = self.series_at + timedelta(seconds=0.6 * index)
        for level, at in (("Study", self.studied_at), ("Series", self.series_at), ("Acquisition", acquired)):
            setattr(ds, f"{level}Date", f"{at:%Y%m%d}")
            setattr(ds, f"{level}Time", f"{at:%H%M%S.%f}")
        shown = acquired + timedelta(seconds=3)
        ds.ContentDate, ds.ContentTime = f"{shown:%Y%m%d}", f"{shown:%H%M%S.%f}"
        ds.InstanceCreationDate, ds.InstanceCreationTime = ds.ContentDate, ds.ContentTime


def _add_identity(
    ds: Dataset, patient_name: str, patient_id: str, accession_number: str, scan: PhantomScan, header: _Header
) -> None:
    ds.PatientName, ds.PatientID = patient_name, patient_id
    ds.PatientBirthDate = f"{header.studied_at.year - scan.age:04}0101" if scan.age else ""
    ds.PatientSex = scan.sex
    ds.PatientAge = f"{scan.age:03}Y"
    ds.AccessionNumber = accession_number
    ds.ReferringPhysicianName = ""
    ds.BodyPartExamined = scan.body_part
    ds.ProtocolName = f"{scan.body_part.capitalize()} routine"


def _add_plane(ds: Dataset, scan: PhantomScan, index: int) -> None:
    """Position and orientation; the table moves along z, the planes are tilted about x (PS3.3 C.7.6.2)."""
    _, rows, columns = scan.volume_hu.shape
    tilt = math.radians(scan.tilt_deg)
    height_mm, width_mm = scan.pixel_spacing_mm[0] * (rows - 1), scan.pixel_spacing_mm[1] * (columns - 1)
    table_mm = index * scan.slice_spacing_mm / math.cos(tilt)
    z = table_mm + height_mm / 2 * math.sin(tilt)
    ds.ImagePositionPatient = [_decimal(-width_mm / 2), _decimal(-height_mm / 2 * math.cos(tilt)), _decimal(z)]
    ds.ImageOrientationPatient = ["1", "0", "0", "0", _decimal(math.cos(tilt)), _decimal(-math.sin(tilt))]
    ds.PixelSpacing = [_decimal(each) for each in scan.pixel_spacing_mm]
    ds.SliceThickness = _decimal(scan.thickness_mm)
    ds.SliceLocation = _decimal(table_mm)


def _add_exposure(ds: Dataset, scan: PhantomScan, header: _Header) -> None:
    ds.KVP = "120"
    ds.XRayTubeCurrent = str(220 + header.seed % 80)
    ds.ExposureTime = "1000"
    ds.Exposure = ds.XRayTubeCurrent
    ds.ConvolutionKernel = header.kernel
    ds.GantryDetectorTilt = _decimal(scan.tilt_deg)
    ds.ScanOptions = header.scanner.scan_option
    ds.TableHeight = "152"
    ds.RotationDirection = "CW"
    ds.DataCollectionDiameter = "500"
    ds.ReconstructionDiameter = _decimal(scan.pixel_spacing_mm[1] * scan.volume_hu.shape[2])


def _add_pixels(ds: Dataset, plane_hu: npt.NDArray[np.int16]) -> None:
    """12 bit unsigned pixels of one plane (rows, columns), HU, with intercept -1024 and two windows."""
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.Rows, ds.Columns = plane_hu.shape
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    ds.WindowCenter, ds.WindowWidth = ["40", "700"], ["80", "3200"]
    ds.WindowCenterWidthExplanation = ["BRAIN", "BONE"]
    ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = str(_LOWEST_HU), "1", "HU"
    stored = np.clip(plane_hu.astype(np.int32) - _LOWEST_HU, 0, _STORED_MAX)
    ds.PixelData = stored.astype("<u2").tobytes()
    ds["PixelData"].VR = "OW"


def _decimal(value: float) -> str:
    """A decimal string of at most 16 characters (PS3.5 6.2)."""
    return f"{value:.6f}".rstrip("0").rstrip(".") or "0"
