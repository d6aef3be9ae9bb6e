"""Destinations of kind dicom, plain and over TLS."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pynetdicom import AE, evt

from triage_node.core.destination import Destination
from triage_node.core.dimse_status import Action
from triage_node.core.identifiers import PeerAddress
from triage_node.core.ports import EvidenceObject
from triage_node.forwarding.client_tls import OwnCertificate
from triage_node.forwarding.dicom_sender import DicomSender
from triage_node.forwarding.storage_scu import PeerUnreachable, StorageScu

SR = "1.2.840.10008.5.1.4.1.1.88.34"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a certificate of ours, of the PACS, and of a stranger."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("tls")
    request = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    for name in ("node", "pacs", "stranger"):
        subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-days", "2"]
        files = ["-keyout", str(folder / f"{name}.key"), "-out", str(folder / f"{name}.pem")]
        subprocess.run([*request, *subject, *files], check=True, capture_output=True)
    return folder


def test_tls_goes_both_ways_and_a_stranger_gets_nothing(
    certificates: Path, make_object: Callable[..., EvidenceObject]
) -> None:
    stored: list[str] = []

    def on_store(event: evt.Event) -> int:
        stored.append(str(event.request.AffectedSOPInstanceUID))
        return 0x0000

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=certificates / "node.pem")
    context.load_cert_chain(certificates / "pacs.pem", certificates / "pacs.key")
    context.verify_mode = ssl.CERT_REQUIRED
    entity = AE("PACS")
    entity.add_supported_context(SR)
    entity.add_supported_context("1.2.840.10008.1.1")
    server = entity.start_server(
        ("127.0.0.1", 0), block=False, ssl_context=context, evt_handlers=[(evt.EVT_C_STORE, on_store)]
    )
    assert server is not None
    timeouts = {"connect_timeout_s": 2.0, "association_timeout_s": 2.0, "dimse_timeout_s": 2.0}
    node = DicomSender(
        StorageScu("TRIAGE", **timeouts, own=OwnCertificate(certificates / "node.pem", certificates / "node.key"))
    )
    plain = Destination.of_peer(PeerAddress("PACS", "127.0.0.1", server.socket.getsockname()[1]))
    pacs = replace(plain, tls_ca_file=certificates / "pacs.pem")
    sent = make_object("SR")
    try:
        assert node.verify(pacs) == "answers C-ECHO"
        (outcome,) = node.send(pacs, [sent])
        assert (outcome.action, stored) == (Action.DONE, [sent.sop_instance_uid])
        stranger = replace(plain, tls_ca_file=certificates / "stranger.pem")
        nameless = DicomSender(StorageScu("TRIAGE", **timeouts))
        for sender, destination in ((node, stranger), (nameless, pacs), (node, plain)):
            (outcome,) = sender.send(destination, [make_object("SR")])
            assert (outcome.action, outcome.answered) == (Action.TRY_AGAIN, False)
        assert len(stored) == 1
    finally:
        server.shutdown()
        entity.shutdown()


def test_an_authority_that_cannot_be_read_is_named(
    make_pacs: Callable[..., Any], make_object: Callable[..., EvidenceObject], tmp_path: Path
) -> None:
    pacs = make_pacs()
    destination = replace(Destination.of_peer(pacs.peer), tls_ca_file=tmp_path / "none.pem")
    (outcome,) = DicomSender(StorageScu("TRIAGE")).send(destination, [make_object()])
    assert outcome.action is Action.TRY_AGAIN
    assert "tls_ca_file" in outcome.detail
    with pytest.raises(PeerUnreachable, match="tls_ca_file"):
        DicomSender(StorageScu("TRIAGE")).verify(destination)
    assert not pacs.received
