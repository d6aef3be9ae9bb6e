"""Sessions with web services: whom they believe, what they show, and what of the environment counts."""

from __future__ import annotations

import contextlib
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

from triage_node.core.destination import Destination, DestinationKind
from triage_node.forwarding.client_tls import OwnCertificate
from triage_node.forwarding.http_access import CredentialsMissing, open_session


class Service:
    """A web server on loopback; keeps the Authorization headers that it was shown."""

    def __init__(self, certificates: Path | None = None, *, asks_for_certificate: bool = False) -> None:
        self.shown: list[str | None] = []
        shown = self.shown

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                shown.append(self.headers.get("Authorization"))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Stay quiet."""

            def handle(self) -> None:
                with contextlib.suppress(OSError):  # of a client that does not believe us
                    super().handle()

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if certificates is not None:
            own = certificates / "certificate.pem"
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=own)
            context.load_cert_chain(own, certificates / "certificate.key")
            context.verify_mode = ssl.CERT_REQUIRED if asks_for_certificate else ssl.CERT_NONE
            self.server.socket = context.wrap_socket(
                self.server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.secure = certificates is not None
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def destination(self, **values: Any) -> Destination:
        address = f"{'https' if self.secure else 'http'}://localhost:{self.server.server_address[1]}/"
        return Destination("web", DestinationKind.STOW, address, **values)

    def ask(self, destination: Destination, own: OwnCertificate | None = None) -> int:
        with open_session(destination, own) as session:
            return session.get(destination.address, timeout=10).status_code


@pytest.fixture
def make_service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("NO_PROXY", "localhost")
    running: list[Service] = []

    def make(*arguments: Any, **settings: Any) -> Service:
        running.append(Service(*arguments, **settings))
        return running[-1]

    yield make
    for each in running:
        each.server.shutdown()
        each.server.server_close()


def test_own_authority_of_a_destination_goes_before_the_environment(
    make_service: Any, localhost_certificates: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = make_service(localhost_certificates)
    trusted, stranger = (localhost_certificates / f"{name}.pem" for name in ("certificate", "stranger"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(stranger))
    assert service.ask(service.destination(tls_ca_file=trusted)) == 204
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(trusted))
    with pytest.raises(requests.exceptions.SSLError):
        service.ask(service.destination(tls_ca_file=stranger))
    assert service.ask(service.destination()) == 204


def test_certificate_is_shown_to_a_service_that_asks_for_one(make_service: Any, localhost_certificates: Path) -> None:
    service = make_service(localhost_certificates, asks_for_certificate=True)
    own = OwnCertificate(localhost_certificates / "certificate.pem", localhost_certificates / "certificate.key")
    destination = service.destination(tls_ca_file=own.certificate)
    assert service.ask(destination, own) == 204
    with pytest.raises(requests.RequestException):
        service.ask(destination)


@pytest.mark.parametrize("missing", ["tls_ca_file", "our certificate"])
def test_file_that_cannot_be_read_is_named(localhost_certificates: Path, missing: str) -> None:
    good, bad = localhost_certificates / "certificate.pem", localhost_certificates / "certificate.key"
    ca_file, own = (bad, good) if missing == "tls_ca_file" else (good, bad)
    destination = Destination("web", DestinationKind.STOW, "https://localhost/", tls_ca_file=ca_file)
    with pytest.raises(CredentialsMissing, match=missing):
        open_session(destination, OwnCertificate(own))


def test_only_the_credentials_of_the_destination_are_shown(
    make_service: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    service, secret = make_service(), tmp_path / "secret"
    service.ask(service.destination())
    for written in ("token\n", "user:password\n"):
        secret.write_text(written)
        service.ask(service.destination(secret_file=secret))
    assert service.shown == [None, "Bearer token", "Basic dXNlcjpwYXNzd29yZA=="]
