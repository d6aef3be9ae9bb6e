"""TLS: with it on, only TLS gets in, and a handshake that never ends holds up nobody."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from structlog.testing import capture_logs

from triage_node.core.dimse_status import Action
from triage_node.core.identifiers import PeerAddress
from triage_node.forwarding.storage_scu import PeerUnreachable, StorageScu

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl to make a certificate")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    key, chain = folder / "key.pem", folder / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-days", "2"]
    subprocess.run([*command, *subject, "-keyout", str(key), "-out", str(chain)], check=True, capture_output=True)
    return chain, key


def client_context(certificate: tuple[Path, Path], *, with_own: bool) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=certificate[0])
    if with_own:
        context.load_cert_chain(*certificate)
    return context


@pytest.fixture
def tls_node(make_node: Callable[..., Any], certificate: tuple[Path, Path]) -> Any:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=certificate[0])
    context.load_cert_chain(*certificate)
    context.verify_mode = ssl.CERT_REQUIRED
    return make_node(tls=context)


def peer(node: Any) -> PeerAddress:
    return PeerAddress("TRIAGE", "127.0.0.1", node.port)


def test_instances_go_through_tls(
    tls_node: Any,
    certificate: tuple[Path, Path],
    make_instance: Callable[..., Dataset],
    write_instances: Callable[..., list[Path]],
) -> None:
    scu = StorageScu("CT1", tls=client_context(certificate, with_own=True))
    paths = write_instances(*(make_instance(size=512) for _ in range(3)))
    assert [outcome.action for outcome in scu.send_files(peer(tls_node), paths)] == [Action.DONE] * 3
    assert len(tls_node.files()) == 3


def test_without_a_client_certificate_nobody_gets_in(tls_node: Any, certificate: tuple[Path, Path]) -> None:
    with pytest.raises(PeerUnreachable):
        StorageScu("CT1", tls=client_context(certificate, with_own=False), association_timeout_s=5).echo(peer(tls_node))
    assert tls_node.opened == []


def test_plain_dicom_does_not_get_in(tls_node: Any) -> None:
    with capture_logs() as logs, pytest.raises(PeerUnreachable):
        StorageScu("CT1", association_timeout_s=5).echo(peer(tls_node))
    assert "tls_handshake_failed" in [line["event"] for line in logs]
    assert tls_node.opened == []


def test_a_handshake_that_never_ends_holds_up_nobody(tls_node: Any, certificate: tuple[Path, Path]) -> None:
    with socket.create_connection(("127.0.0.1", tls_node.port)):
        StorageScu("CT1", tls=client_context(certificate, with_own=True)).echo(peer(tls_node))


def test_a_peer_that_is_not_who_its_certificate_names_is_not_talked_to(
    tls_node: Any, certificate: tuple[Path, Path]
) -> None:
    scu = StorageScu("CT1", tls=ssl.create_default_context())  # trusts the world's authorities, not this one
    with pytest.raises(PeerUnreachable, match="no connection"):
        scu.echo(peer(tls_node))
