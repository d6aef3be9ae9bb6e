"""The courier's part with the real SCU against every kind of PACS: each has one defined outcome in the outbox."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import Any

import pytest
from fakes.ports import PlainWriter
from fakes.site import Site
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.transport import ThreadedAssociationServer

from triage_node.core.destination import Destination, DestinationKind
from triage_node.core.identifiers import PeerAddress
from triage_node.core.ports import EvidenceObject, EvidenceOrder
from triage_node.forwarding.dicom_sender import DicomSender
from triage_node.forwarding.storage_scu import StorageScu
from triage_node.pipeline.outbox import ForwardingPath

SOP_CLASSES = {"SR": "1.2.840.10008.5.1.4.1.1.88.34", "SC": "1.2.840.10008.5.1.4.1.1.7"}
BOTH = (str(ExplicitVRLittleEndian), str(ImplicitVRLittleEndian))


@dataclass
class FileWriter(PlainWriter):
    """Writes what ``PlainWriter`` names: small files in Explicit VR Little Endian."""

    folder: Path = Path()

    def write(self, order: EvidenceOrder) -> list[EvidenceObject]:
        return [self._written(each) for each in super().write(order)]

    def _written(self, named: EvidenceObject) -> EvidenceObject:
        dataset = Dataset()
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.SOPClassUID, dataset.SOPInstanceUID = SOP_CLASSES[named.kind], named.sop_instance_uid
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID = named.study_instance_uid, named.series_instance_uid
        dataset.PatientName = "Made^Up"
        path = self.folder / f"{named.sop_instance_uid}.dcm"
        dataset.save_as(path, enforce_file_format=True)
        uids = (named.sop_instance_uid, named.series_instance_uid, named.study_instance_uid)
        return EvidenceObject(named.kind, named.number, SOP_CLASSES[named.kind], *uids, path)


@dataclass
class Pacs:
    """A PACS on loopback, and the transfer syntaxes of what it took by SOP Instance UID."""

    peer: PeerAddress
    stored: dict[str, list[str]]


@pytest.fixture
def make_pacs() -> Iterator[Callable[..., Pacs]]:
    running: list[tuple[AE, ThreadedAssociationServer]] = []

    def make(
        answer: Callable[[evt.Event], Any] = lambda _: 0x0000,
        kinds: Sequence[str] = ("SR", "SC"),
        syntaxes: Sequence[str] = BOTH,
    ) -> Pacs:
        stored: dict[str, list[str]] = {}

        def on_store(event: evt.Event) -> Any:
            status = answer(event)
            if status in (0x0000, 0xB000):
                stored.setdefault(str(event.request.AffectedSOPInstanceUID), []).append(
                    str(event.context.transfer_syntax)
                )
            return status

        entity = AE("PACS")
        for kind in kinds:
            entity.add_supported_context(SOP_CLASSES[kind], list(syntaxes))
        server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, on_store)])
        assert server is not None
        running.append((entity, server))
        return Pacs(PeerAddress("PACS", "127.0.0.1", server.socket.getsockname()[1]), stored)

    yield make
    for entity, server in running:
        server.shutdown()
        entity.shutdown()


@pytest.fixture
def deliver(site: Site, tmp_path: Path) -> Callable[[PeerAddress], list[dict[str, Any]]]:
    """Forward one study to a peer, and return what the outbox says then, the SR first."""

    def run(peer: PeerAddress) -> list[dict[str, Any]]:
        site.rules = {"destinations": (Destination("pacs", DestinationKind.DICOM, str(peer)),)}
        site.writer = FileWriter(folder=tmp_path)
        study_id = site.evidenced()
        scu = StorageScu("TRIAGE", connect_timeout_s=1, association_timeout_s=1, dimse_timeout_s=1)
        ForwardingPath(site.path, {DestinationKind.DICOM: DicomSender(scu)}).forward(study_id, "pacs")
        return sorted(
            (dict(each) for each in site.repository.deliveries()), key=lambda each: each["kind"], reverse=True
        )

    return run


Deliver = Callable[[PeerAddress], list[dict[str, Any]]]
MakePacs = Callable[..., Pacs]


def test_implicit_only_gets_it_in_implicit(site: Site, make_pacs: MakePacs, deliver: Deliver) -> None:
    pacs = make_pacs(syntaxes=[str(ImplicitVRLittleEndian)])
    assert {each["state"] for each in deliver(pacs.peer)} == {"SENT"}
    assert list(pacs.stored.values()) == [[str(ImplicitVRLittleEndian)]] * 2
    assert site.state() == "FORWARDED"


def test_a_pacs_that_refuses_reports_gets_the_rest_and_the_operator_is_told(
    site: Site, make_pacs: MakePacs, deliver: Deliver
) -> None:
    report, heatmap = deliver(make_pacs(kinds=["SC"]).peer)
    assert (report["state"], heatmap["state"]) == ("GIVEN_UP", "SENT")
    assert "Comprehensive 3D SR Storage" in report["detail"]
    assert (site.study()["state"], site.study()["reason"]) == ("FAILED", "DELIVERY_GIVEN_UP")


@pytest.mark.parametrize(
    ("status", "state", "warning", "ended"),
    [
        (0xA700, "DUE", False, "EVIDENCED"),
        (0xB000, "SENT", True, "FORWARDED"),
        (0xC123, "GIVEN_UP", False, "FAILED"),
        (0x0111, "SENT", False, "FORWARDED"),
        (0x1234, "DUE", False, "EVIDENCED"),
    ],
)
def test_a_status_decides_and_is_kept(
    site: Site, make_pacs: MakePacs, deliver: Deliver, status: int, state: str, warning: bool, ended: str
) -> None:
    rows = deliver(make_pacs(lambda _: status).peer)
    assert {(each["state"], each["status_code"], bool(each["warning"])) for each in rows} == {(state, status, warning)}
    assert site.state() == ended
    assert site.repository.breakers(site.clock.now()) == [], "an answer, whatever it says, is a sign of life"


def test_a_pacs_that_accepts_and_aborts_is_tried_again_and_counts_as_silent(
    site: Site, make_pacs: MakePacs, deliver: Deliver
) -> None:
    def abort(event: evt.Event) -> int:
        event.assoc.abort()
        return 0x0000

    rows = deliver(make_pacs(abort).peer)
    assert {(each["state"], each["attempts"]) for each in rows} == {("DUE", 1)}
    (breaker,) = site.repository.breakers(site.clock.now())
    assert (breaker["failures"], breaker["breaker"]) == (1, "CLOSED")


def test_one_object_that_makes_a_pacs_abort_keeps_nobody_away(
    site: Site, make_pacs: MakePacs, deliver: Deliver
) -> None:
    def choosy(event: evt.Event) -> int:
        if event.request.AffectedSOPClassUID == SOP_CLASSES["SR"]:
            event.assoc.abort()
        return 0x0000

    report, heatmap = deliver(make_pacs(choosy).peer)
    assert (report["state"], heatmap["state"]) == ("DUE", "SENT")
    assert site.repository.breakers(site.clock.now()) == []


@pytest.mark.parametrize(
    ("said", "silences"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", 1),
        (b"\x02\x00\xff\xff\xff\xff" + bytes(64), 1),
        (b"\x02\x00\x00\x00\x00\x04junk", 0),  # an A-ASSOCIATE-AC that accepts nothing
        (b"\x03\x00\x00\x00\x00\x04\x00\xee\xee\xee", 1),
        (bytes(range(256)), 1),
        (b"", 1),
    ],
)
@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnhandledThreadExceptionWarning"
)  # pynetdicom's, over a made-up result
def test_garbage_is_tried_again(site: Site, deliver: Deliver, said: bytes, silences: int) -> None:
    class Garbage(BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(65536)
            self.request.sendall(said)
            self.request.settimeout(5)
            try:
                while self.request.recv(65536):
                    pass
            except OSError:
                pass

    with ThreadingTCPServer(("127.0.0.1", 0), Garbage) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        rows = deliver(PeerAddress("PACS", "127.0.0.1", server.server_address[1]))
        server.shutdown()
    assert {(each["state"], each["status_code"]) for each in rows} == {("DUE", None)}
    assert len(site.repository.breakers(site.clock.now())) == silences


def test_nobody_there_is_no_answer(site: Site, deliver: Deliver) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    rows = deliver(PeerAddress("PACS", "127.0.0.1", port))
    assert {each["state"] for each in rows} == {"DUE"}
    assert "no connection" in rows[0]["detail"]
