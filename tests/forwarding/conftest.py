"""A PACS on loopback that behaves as the test wants, and objects to send to it."""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from socketserver import TCPServer
from typing import Any

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, generate_uid
from pynetdicom import AE, evt
from pynetdicom.transport import ThreadedAssociationServer

from triage_node.core.identifiers import PeerAddress
from triage_node.core.ports import EvidenceObject

SR = "1.2.840.10008.5.1.4.1.1.88.34"
SC = "1.2.840.10008.5.1.4.1.1.7"
KO = "1.2.840.10008.5.1.4.1.1.88.59"
UNCOMPRESSED = (str(ExplicitVRLittleEndian), str(ImplicitVRLittleEndian))


@dataclass
class Pacs:
    """What a running PACS took, and how to make it difficult."""

    peer: PeerAddress
    received: list[tuple[str, str, bytes]] = field(default_factory=list)
    """(SOP instance UID, transfer syntax UID, encoded dataset)."""
    associations: int = 0
    answer: Callable[[evt.Event], Any] = lambda _event: 0x0000

    def on_store(self, event: evt.Event) -> Any:
        uid, syntax = str(event.request.AffectedSOPInstanceUID), str(event.context.transfer_syntax)
        self.received.append((uid, syntax, event.encoded_dataset(include_meta=False)))
        return self.answer(event)

    def on_established(self, _event: evt.Event) -> None:
        self.associations += 1


@pytest.fixture
def make_pacs() -> Iterator[Callable[..., Pacs]]:
    running: list[tuple[AE, ThreadedAssociationServer]] = []

    def make(
        classes: Sequence[str] = (SR, SC, KO, "1.2.840.10008.1.1"),
        syntaxes: Sequence[str] = UNCOMPRESSED,
        handlers: Sequence[Any] = (),
        **settings: Any,
    ) -> Pacs:
        entity = AE("PACS")
        entity.supported_contexts = []
        for sop_class_uid in classes:
            entity.add_supported_context(sop_class_uid, list(syntaxes))
        for name, value in settings.items():
            setattr(entity, name, value)
        pacs = Pacs(PeerAddress("PACS", "127.0.0.1", 1))
        own = [(evt.EVT_C_STORE, pacs.on_store), (evt.EVT_ESTABLISHED, pacs.on_established)]
        server = entity.make_server(
            ("127.0.0.1", 0), evt_handlers=[*own, *handlers], server_class=ThreadedAssociationServer
        )
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        pacs.peer = PeerAddress("PACS", "127.0.0.1", server.server_address[1])
        running.append((entity, server))
        return pacs

    yield make
    for entity, server in running:
        TCPServer.shutdown(server)
        server.server_close()
        entity.shutdown()


@pytest.fixture
def make_object(tmp_path: Path) -> Callable[..., EvidenceObject]:
    """Write a small object of a kind and return it as evidence."""

    def make(kind: str = "SR", sop_class_uid: str = "", syntax: str = UNCOMPRESSED[0], size: int = 8) -> EvidenceObject:
        dataset = Dataset()
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = syntax
        dataset.SOPClassUID = sop_class_uid or {"SR": SR, "SC": SC, "KO": KO}[kind]
        dataset.SOPInstanceUID = generate_uid()
        dataset.StudyInstanceUID = dataset.SeriesInstanceUID = "1.2.3"
        dataset.PatientName = "Made^Up"
        dataset.InstanceNumber = 1
        dataset.RedPaletteColorLookupTableData = bytes(size)
        path = tmp_path / f"{dataset.SOPInstanceUID}.dcm"
        dataset.save_as(path, enforce_file_format=True)
        uids = (dataset.SOPClassUID, dataset.SOPInstanceUID, "1.2.3", "1.2.3")
        return EvidenceObject(kind, 1, *map(str, uids), path)

    return make


@pytest.fixture(scope="session")
def localhost_certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two certificates of localhost and their keys, and neither vouches for the other."""
    folder = tmp_path_factory.mktemp("tls")
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    request = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    for name in ("certificate", "stranger"):
        files = ["-keyout", folder / f"{name}.key", "-out", folder / f"{name}.pem"]
        command = [*request, "-addext", "subjectAltName=DNS:localhost", *map(str, files)]
        subprocess.run(command, capture_output=True, check=True, timeout=60)
    return folder
