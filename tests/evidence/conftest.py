"""Small CT series on disk, findings made by hand, and the validators that Debian ships."""

from __future__ import annotations

import datetime
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, ImplicitVRLittleEndian, generate_uid

from triage_node.core.finding import Finding, SliceFinding
from triage_node.core.ports import EvidenceObject, EvidenceOrder, SeriesVolume
from triage_node.core.reason import Refusal
from triage_node.core.report import impression, not_analysed_impression
from triage_node.evidence.message import Message, message
from triage_node.evidence.provenance import ModelIdentity, NodeIdentity, Provenance
from triage_node.evidence.source_series import read_source_instances
from triage_node.evidence.writer import DicomEvidenceWriter

ROWS = COLUMNS = 64
CLASSIFIED_AT = datetime.datetime(2026, 11, 23, 6, 30, 15, 250000, tzinfo=datetime.UTC)
SUBTYPES = {"CPH": 0.12, "IVH": 0.03, "SDH": 0.88, "EDH": 0.05, "SAH": 0.71}

UNAVOIDABLE = (
    "Unrecognized defined term <99TRIAGE>",  # a private scheme is never a defined term; the object declares it
    "(0x0020,0x0032) DS Image Position (Patient)",  # heatmaps keep the geometry of their slice on purpose:
    "(0x0020,0x0037) DS Image Orientation (Patient)",  # Standard Extended SOP Class (PS3.2 3.11)
    "(0x0020,0x0052) UI Frame of Reference UID",
    "this is a Standard Extended SOP Class",
    "(0x0018,0x1002) UI Device UID",  # IHE AI Results wants it of each algorithm; younger in this sequence than Debian's tools
    "needed to build DICOMDIR",  # the source is without it, and nothing is made up
)
"""What dciodvfy warns of in objects as they should be."""

SeriesMaker = Callable[..., SeriesVolume]
OrderMaker = Callable[..., EvidenceOrder]


def ct_slice(number: int, uids: Sequence[str]) -> Dataset:
    """One axial CT slice as a scanner writes it; slice 1 the most inferior, 5 mm apart."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = generate_uid()
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.FrameOfReferenceUID = uids
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.StudyDate, dataset.StudyTime = "20261123", "061500"
    dataset.AccessionNumber, dataset.StudyID = "ACC-77", "S1"
    dataset.ReferringPhysicianName = "House^Gregory"
    dataset.PatientName, dataset.PatientID = "Doe^Jane", "PID-1"
    dataset.PatientBirthDate, dataset.PatientSex = "19700131", "F"
    dataset.StudyDescription = "CT HEAD W/O CONTRAST"
    dataset.Modality, dataset.BodyPartExamined = "CT", "HEAD"
    dataset.Manufacturer, dataset.ManufacturerModelName = "ACME", "Scanner 3000"
    dataset.SeriesNumber, dataset.InstanceNumber = "2", str(number)
    dataset.ImagePositionPatient = [-16.0, -16.0, 5.0 * (number - 1)]
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.PixelSpacing, dataset.SliceThickness = [0.5, 0.5], "5"
    dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = ROWS, COLUMNS, 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 1
    dataset.RescaleSlope, dataset.RescaleIntercept = "1", "0"
    dataset.PixelData = np.full((ROWS, COLUMNS), 30, dtype="<i2").tobytes()
    return dataset


@pytest.fixture
def make_series(tmp_path: Path) -> SeriesMaker:
    """Write a series and return its volume; ``change`` alters every slice before it is written."""

    def make(
        count: int = 5, change: Callable[[Dataset], None] | None = None, *, implicit: bool = False
    ) -> SeriesVolume:
        uids = [generate_uid() for _ in range(3)]
        folder = tmp_path / "source" / uids[1]
        folder.mkdir(parents=True)
        paths, names = [], []
        for number in range(1, count + 1):
            dataset = ct_slice(number, uids)
            if change is not None:
                change(dataset)
            if implicit:
                dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
            path = folder / f"{number}.dcm"
            dataset.save_as(path, enforce_file_format=True)
            paths.append(path)
            names.append(str(dataset.SOPInstanceUID))
        volume_hu = np.random.default_rng(0).integers(-20, 90, (count, ROWS, COLUMNS)).astype(np.int16)
        positions_mm = tuple(5.0 * index for index in range(count))
        return SeriesVolume(volume_hu, tuple(names), (1,) * count, tuple(paths), positions_mm, 5.0, (0.5, 0.5), 0.0)

    return make


@pytest.fixture
def make_order() -> OrderMaker:
    """Make the order of one reading: the middle slices flagged, or none."""

    def make(volume: SeriesVolume, *, flagged: bool = True, revision: int = 1, **changes: Any) -> EvidenceOrder:
        count = len(volume.sop_instance_uids)
        chosen = range(1, count - 1) if flagged else range(0)
        slices = tuple(
            SliceFinding(
                uid,
                min(0.95, 0.6 + 0.05 * index) if index in chosen else 0.1,
                SUBTYPES if index in chosen else None,
                index in chosen,
            )
            for index, uid in enumerate(volume.sop_instance_uids)
        )
        finding = Finding(
            ich_probability=0.93 if flagged else 0.12,
            flagged=flagged,
            subtypes=SUBTYPES if flagged else None,
            subtypes_present=("SDH", "SAH") if flagged else (),
            slices=slices,
            model_name="cnn-gru",
            model_version="2026.11",
            weights_sha256="ab" * 32,
            operating_point="balanced",
            operating_threshold=0.5,
        )
        heatmaps = {
            index: np.linspace(0, 1, ROWS * COLUMNS, dtype=np.float32).reshape(ROWS, COLUMNS) for index in chosen
        }
        order = {
            "volume": volume,
            "finding": finding,
            "heatmaps": heatmaps,
            "revision": revision,
            "classified_at": CLASSIFIED_AT,
        }
        return EvidenceOrder(**(order | changes))

    return make


@pytest.fixture
def make_writer(tmp_path: Path) -> Callable[..., DicomEvidenceWriter]:
    def make(**changes: Any) -> DicomEvidenceWriter:
        values = {"station_name": "TRIAGE", "software_version": "0.1.0", "device_serial_number": "node-1"}
        return DicomEvidenceWriter(tmp_path / "evidence", **(values | changes))

    return make


@pytest.fixture
def write(
    make_series: SeriesMaker, make_order: OrderMaker, make_writer: Callable[..., DicomEvidenceWriter]
) -> Callable[..., dict[str, list[Dataset]]]:
    """Write the evidence of a made-up series and return it by kind, as read from the disk."""

    def run(
        change: Callable[[Dataset], None] | None = None, *, implicit: bool = False, **order: Any
    ) -> dict[str, list[Dataset]]:
        written = make_writer().write(make_order(make_series(change=change, implicit=implicit), **order))
        found: dict[str, list[Dataset]] = {"SR": [], "SC": [], "KO": []}
        for each in written:
            found[each.kind].append(dcmread(each.path))
        return found

    return run


@pytest.fixture
def make_message(make_series: SeriesMaker, make_order: OrderMaker, tmp_path: Path) -> Callable[..., Message]:
    """Make what a message is made from: of a reading, or of the refusal that is given."""

    def make(
        kind: str, change: Callable[[Dataset], None] | None = None, *, refusal: Refusal | None = None, **values: Any
    ) -> Message:
        volume = make_series(change=change)
        finding = make_order(volume, flagged=values.pop("flagged", True)).finding
        series = read_source_instances(volume.paths)
        node = NodeIdentity("TRIAGE", "0.1.0", "node-1")
        revision = values.pop("revision", 1)
        identity = (series.series_instance_uid, str(revision))
        provenance = Provenance(node, identity, CLASSIFIED_AT, ModelIdentity("cnn-gru", "2026.11", "ab" * 32), revision)
        report = EvidenceObject("SR", 1, "1.2.840.10008.5.1.4.1.1.88.34", "2.25.77", "2.25.7", "1.2", tmp_path / "sr")
        text = impression(finding) if refusal is None else not_analysed_impression(refusal)
        defaults = {"kind": kind, "text": text, "evidence": [report]}
        return message(refusal or finding, series, provenance, **(defaults | values))

    return make


@pytest.fixture
def validation_errors() -> Callable[[EvidenceObject | str], list[str]]:
    """Run dicom3tools' validator and return its errors, and the warnings that we could avoid."""
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy (Debian: dicom3tools) is not installed")

    def run(what: EvidenceObject | str) -> list[str]:
        path = what.path if isinstance(what, EvidenceObject) else what
        found = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, errors="replace", timeout=60)
        lines = [line for line in found.stderr.splitlines() if line.startswith(("Error", "Warning"))]
        return [line for line in lines if not any(each in line for each in UNAVOIDABLE)]

    return run
