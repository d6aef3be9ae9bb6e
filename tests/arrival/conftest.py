"""A Storage SCP on loopback with everything it tells, and instances to send to it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid
from pynetdicom import AE
from pynetdicom.association import Association

from triage_node.arrival.spool import DirectorySpool
from triage_node.arrival.storage_scp import StorageScp
from triage_node.assembly.header_reader import read_header
from triage_node.core.conformance import CT_IMAGE_STORAGE
from triage_node.core.ports import AssociationPeer, QuarantinedObject, StoredInstance

MEBIBYTE = 1_048_576


@dataclass
class Node:
    """A running SCP and what it told."""

    spool: DirectorySpool
    stored: list[StoredInstance] = field(default_factory=list)
    quarantined: list[QuarantinedObject] = field(default_factory=list)
    opened: list[AssociationPeer] = field(default_factory=list)
    ended: list[tuple[AssociationPeer, bool]] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    scp: StorageScp = None  # type: ignore[assignment]

    @property
    def port(self) -> int:
        return self.scp.port

    def on_stored(self, instance: StoredInstance) -> None:
        self.stored.append(instance)
        self.told.append("stored")

    def on_opened(self, peer: AssociationPeer, _when: datetime) -> None:
        self.opened.append(peer)
        self.told.append("opened")

    def on_ended(self, peer: AssociationPeer, _when: datetime, aborted: bool) -> None:
        self.ended.append((peer, aborted))
        self.told.append("aborted" if aborted else "released")

    def associate(self, *contexts: tuple[str, list[str]], title: str = "TRIAGE") -> Association:
        entity = AE("CT1")
        for sop_class_uid, syntaxes in contexts or [(CT_IMAGE_STORAGE, [str(ExplicitVRLittleEndian)])]:
            entity.add_requested_context(sop_class_uid, syntaxes)
        entity.acse_timeout = entity.dimse_timeout = 10
        return entity.associate("127.0.0.1", self.port, ae_title=title)

    def files(self) -> list[Path]:
        return sorted(self.spool.instances())


def eventually(holds: Callable[[], Any], within_s: float = 10.0) -> Any:
    """Wait for a condition and return what it gave; fail where it never holds."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if result := holds():
            return result
        time.sleep(0.01)
    pytest.fail(f"not within {within_s} s")


@pytest.fixture(name="eventually")
def eventually_fixture() -> Callable[..., Any]:
    return eventually


@pytest.fixture
def make_node(tmp_path: Path) -> Iterator[Callable[..., Node]]:
    running: list[StorageScp] = []

    def make(*, floor_bytes: int = MEBIBYTE, **options: Any) -> Node:
        node = Node(DirectorySpool(tmp_path / f"spool{len(running)}", floor_bytes))
        callbacks = {
            "read_header": read_header,
            "on_stored": node.on_stored,
            "on_quarantined": node.quarantined.append,
            "on_association_opened": node.on_opened,
            "on_association_ended": node.on_ended,
        }
        named = {"ae_title": "TRIAGE", "host": "127.0.0.1", "port": 0, "spool": node.spool}
        node.scp = StorageScp(**{**named, **callbacks, **options})
        node.scp.start()
        running.append(node.scp)
        return node

    yield make
    for scp in running:
        scp.shutdown()
    eventually(lambda: not [thread for thread in threading.enumerate() if "AcceptorThread" in thread.name])


@pytest.fixture
def node(make_node: Callable[..., Node]) -> Node:
    return make_node()


def make_instance(syntax: str = str(ExplicitVRLittleEndian), size: int = 32, **values: Any) -> Dataset:
    """Return a CT slice; compressed pixels are made-up bytes in one fragment, because arrival never decodes."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = UID(syntax)
    dataset.SOPClassUID = CT_IMAGE_STORAGE
    dataset.SOPInstanceUID = generate_uid()
    dataset.StudyInstanceUID = generate_uid(entropy_srcs=["study"])
    dataset.SeriesInstanceUID = generate_uid(entropy_srcs=["series"])
    dataset.Modality = "CT"
    dataset.PatientName = "Made^Up"
    dataset.PatientID = "12345"
    dataset.Rows = dataset.Columns = size
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit = 15
    dataset.PixelRepresentation = 1
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    pixels = np.arange(size * size, dtype="<i2").tobytes()
    dataset.PixelData = encapsulate([pixels]) if UID(syntax).is_encapsulated else pixels
    dataset["PixelData"].VR = "OB" if UID(syntax).is_encapsulated else "OW"
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset


@pytest.fixture(name="make_instance")
def make_instance_fixture() -> Callable[..., Dataset]:
    return make_instance


@pytest.fixture
def write_instances(tmp_path: Path) -> Callable[..., list[Path]]:
    """Write datasets as files, for peers that send files."""

    def write(*datasets: Dataset) -> list[Path]:
        folder = tmp_path / "scanner"
        folder.mkdir(exist_ok=True)
        paths = [folder / f"{number:03}.dcm" for number in range(len(datasets))]
        for path, dataset in zip(paths, datasets, strict=True):
            dataset.save_as(path, enforce_file_format=True)
        return paths

    return write
