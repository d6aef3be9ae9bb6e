"""Webhooks and FHIR over HTTP, against a small server on loopback that behaves as the test wants."""

from __future__ import annotations

import json
import logging
import re
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from triage_node.core.destination import Destination, DestinationKind
from triage_node.core.dimse_status import Action
from triage_node.core.ports import EvidenceObject
from triage_node.forwarding.http_access import CredentialsMissing
from triage_node.forwarding.http_post import FhirSender, ReceiverUnavailable, WebhookSender, signature

KEY = b"a key that both sides know"
WEBHOOK = WebhookSender(1.0, 0.5, now_s=lambda: 1_795_415_415.9)
FHIR = FhirSender(1.0, 0.5)
CREATED = {"resourceType": "Bundle", "type": "transaction-response", "entry": [{"response": {"status": "201 Created"}}]}


@dataclass
class Receiver:
    """What a running server was asked, and what it answers: status, headers, body."""

    port: int = 0
    requests: list[tuple[str, str, Mapping[str, str], bytes]] = field(default_factory=list)
    answers: list[tuple[int, Mapping[str, str], bytes]] = field(default_factory=lambda: [(204, {}, b"")])
    wait_s: float = 0.0
    server: ThreadingHTTPServer | None = None

    def speak_tls(self, certificates: Path) -> None:
        assert self.server is not None
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificates / "certificate.pem", certificates / "certificate.key")
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/hooks/secret-path"

    def next_answer(self) -> tuple[int, Mapping[str, str], bytes]:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.fixture
def receiver(monkeypatch) -> Iterator[Receiver]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    known = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            known.requests.append((self.command, self.path, dict(self.headers), body))
            time.sleep(known.wait_s)
            status, headers, content = known.next_answer()
            self.send_response(status, "PID-1 is not welcome")
            for name, value in headers.items():
                self.send_header(name, value)
            if status != 204:
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_OPTIONS = _answer  # noqa: N815  # the names that the library looks for

        def log_message(self, *_: object) -> None:
            return

        def handle(self) -> None:
            try:
                super().handle()
            except ConnectionError:
                return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    known.port, known.server = server.server_address[1], server
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield known
    server.shutdown()
    server.server_close()


@pytest.fixture
def secret_file(tmp_path) -> Path:
    path = tmp_path / "webhook.key"
    path.write_bytes(KEY + b"\n")
    return path


@pytest.fixture
def webhook(receiver, secret_file) -> Destination:
    return Destination("on call", DestinationKind.WEBHOOK, receiver.address, secret_file=secret_file)


@pytest.fixture
def fhir(receiver) -> Destination:
    return Destination("ehr", DestinationKind.FHIR, receiver.address)


@pytest.fixture
def make_documents(tmp_path) -> Callable[..., list[EvidenceObject]]:
    def make(kind: str, count: int = 1) -> list[EvidenceObject]:
        made = []
        for number in range(1, count + 1):
            path = tmp_path / f"{number}.json"
            path.write_bytes(json.dumps({"event": "study.read", "number": number, "patient": "PID-1 é"}).encode())
            made.append(EvidenceObject(kind, 1, "", f"2.25.{number}", "2.25.9", "1.2", path))
        return made

    return make


# webhooks ------------------------------------------------------------------------------------------------------------


def test_document_arrives_byte_for_byte_with_its_headers(receiver, webhook, make_documents):
    documents = make_documents("WEBHOOK")
    (outcome,) = WEBHOOK.send(webhook, documents)
    assert (outcome.action, outcome.status_code, outcome.detail) == (Action.DONE, 204, "HTTP 204 No Content")
    ((method, path, headers, body),) = receiver.requests
    assert (method, path, body) == ("POST", "/hooks/secret-path", documents[0].path.read_bytes())
    assert headers["Content-Type"] == "application/json; charset=utf-8"
    assert headers["X-Triage-Event"] == "study.read"
    assert headers["X-Triage-Delivery"] == "2.25.1"
    assert headers["X-Triage-Timestamp"] == "1795415415"
    assert headers["X-Triage-Signature"] == signature(KEY, "1795415415", body)
    assert "Authorization" not in headers


def test_repeat_has_the_same_delivery_id_and_a_signature_of_its_time(receiver, webhook, make_documents):
    documents = make_documents("WEBHOOK")
    receiver.answers = [(503, {}, b""), (200, {}, b"")]
    for now_s, action in ((100.0, Action.TRY_AGAIN), (200.0, Action.DONE)):
        assert WebhookSender(1.0, 0.5, now_s=lambda now_s=now_s: now_s).send(webhook, documents)[0].action is action
    first, second = (headers for _, _, headers, _ in receiver.requests)
    assert first["X-Triage-Delivery"] == second["X-Triage-Delivery"]
    assert first["X-Triage-Signature"] != second["X-Triage-Signature"]


def documented_example() -> str:
    text = Path(__file__).parents[2].joinpath("docs", "WEBHOOK.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    return example


def test_example_in_the_documentation_verifies_what_is_sent(receiver, webhook, make_documents):
    names: dict[str, Callable[..., bool]] = {}
    exec(documented_example(), names)
    is_genuine = names["is_genuine"]
    WebhookSender(1.0, 0.5).send(webhook, make_documents("WEBHOOK"))
    ((_, _, headers, body),) = receiver.requests
    assert is_genuine(KEY, headers, body)
    assert not is_genuine(b"another key", headers, body)
    assert not is_genuine(KEY, headers, body + b" ")
    assert not is_genuine(KEY, {**headers, "X-Triage-Timestamp": str(int(time.time()) + 1)}, body)
    assert not is_genuine(KEY, {**headers, "X-Triage-Signature": "sha256="}, body)
    stale = str(int(time.time()) - 3600)
    old = {**headers, "X-Triage-Timestamp": stale, "X-Triage-Signature": signature(KEY, stale, body)}
    assert not is_genuine(KEY, old, body)


@pytest.mark.parametrize(
    ("status", "action"),
    [
        (200, Action.DONE),
        (202, Action.DONE),
        (301, Action.GIVE_UP),
        (400, Action.GIVE_UP),
        (401, Action.GIVE_UP),
        (404, Action.GIVE_UP),
        (408, Action.TRY_AGAIN),
        (425, Action.TRY_AGAIN),
        (429, Action.TRY_AGAIN),
        (500, Action.TRY_AGAIN),
        (503, Action.TRY_AGAIN),
        (599, Action.TRY_AGAIN),
    ],
)
def test_each_status_has_its_outcome(receiver, webhook, make_documents, status, action):
    receiver.answers = [(status, {}, b"PID-1")]
    (outcome,) = WEBHOOK.send(webhook, make_documents("WEBHOOK"))
    assert (outcome.action, outcome.status_code, outcome.answered) == (action, status, True)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_is_not_followed(receiver, webhook, fhir, make_documents, status):
    receiver.answers = [(status, {"Location": f"http://localhost:{receiver.port}/elsewhere"}, b"")]
    for sender, where in ((WEBHOOK, webhook), (FHIR, fhir)):
        (outcome,) = sender.send(where, make_documents("X"))
        assert (outcome.action, outcome.status_code, outcome.answered) == (Action.GIVE_UP, status, True)
    assert [method for method, *_ in receiver.requests] == ["POST"] * 2


def test_silence_leaves_all_for_later_in_bounded_time(receiver, webhook, make_documents):
    receiver.wait_s = 1.5
    started = time.monotonic()
    outcomes = WEBHOOK.send(webhook, make_documents("WEBHOOK", 3))
    assert time.monotonic() - started < 1.4
    assert {(each.action, each.answered) for each in outcomes} == {(Action.TRY_AGAIN, False)}
    assert [each.sop_instance_uid for each in outcomes] == ["2.25.1", "2.25.2", "2.25.3"]
    assert len(receiver.requests) == 1


@pytest.mark.parametrize("sender", [WEBHOOK, FHIR], ids=["webhook", "fhir"])
def test_nobody_there_is_tried_again_without_its_path_in_the_detail(sender, secret_file, make_documents):
    kind = DestinationKind.WEBHOOK if sender is WEBHOOK else DestinationKind.FHIR
    gone = Destination("gone", kind, "http://127.0.0.1:9/hooks/secret-path", secret_file=secret_file)
    (outcome,) = sender.send(gone, make_documents("X"))
    assert (outcome.action, outcome.answered) == (Action.TRY_AGAIN, False)
    assert "secret" not in outcome.detail
    with pytest.raises(ReceiverUnavailable):
        sender.verify(gone)


def test_tls_that_is_not_trusted_is_never_spoken(receiver, secret_file, make_documents):
    address = receiver.address.replace("http:", "https:")
    (outcome,) = WEBHOOK.send(
        Destination("x", DestinationKind.WEBHOOK, address, secret_file=secret_file), make_documents("X")
    )
    assert (outcome.action, outcome.answered) == (Action.TRY_AGAIN, False)
    assert not receiver.requests


@pytest.mark.parametrize("sender", [WEBHOOK, FHIR], ids=["webhook", "fhir"])
def test_receiver_is_believed_whom_the_named_authority_vouches_for(
    receiver, secret_file, make_documents, localhost_certificates, sender, monkeypatch
):
    monkeypatch.setenv("NO_PROXY", "localhost")
    receiver.answers = [(200, {}, json.dumps(CREATED).encode())]
    receiver.speak_tls(localhost_certificates)
    kind = DestinationKind.WEBHOOK if sender is WEBHOOK else DestinationKind.FHIR
    address = f"https://localhost:{receiver.port}/"
    for name, action, answered in (
        ("certificate", Action.DONE, True),
        ("stranger", Action.TRY_AGAIN, False),
        ("none", Action.TRY_AGAIN, True),
    ):
        known = Destination(
            "x", kind, address, secret_file=secret_file, tls_ca_file=localhost_certificates / f"{name}.pem"
        )
        (outcome,) = sender.send(known, make_documents("X"))
        assert (outcome.action, outcome.answered) == (action, answered), outcome.detail


@pytest.mark.parametrize("content", [None, b"", b"\n"], ids=["no file", "empty", "blank"])
def test_without_a_secret_nothing_is_sent(receiver, webhook, secret_file, make_documents, content):
    secret_file.unlink()
    if content is not None:
        secret_file.write_bytes(content)
    (outcome,) = WEBHOOK.send(webhook, make_documents("WEBHOOK"))
    assert (outcome.action, outcome.answered) == (Action.TRY_AGAIN, True)
    assert not receiver.requests
    with pytest.raises(CredentialsMissing):
        WEBHOOK.verify(webhook)


def test_webhook_without_a_secret_file_is_not_sent_unsigned(receiver, make_documents):
    unsigned = Destination("unsigned", DestinationKind.WEBHOOK, receiver.address)
    (outcome,) = WEBHOOK.send(unsigned, make_documents("WEBHOOK"))
    assert (outcome.action, receiver.requests) == (Action.TRY_AGAIN, [])
    assert "always signed" in outcome.detail


def test_file_that_is_gone_is_given_up_and_the_others_are_sent(receiver, webhook, make_documents):
    documents = make_documents("WEBHOOK", 2)
    documents[0].path.unlink()
    outcomes = WEBHOOK.send(webhook, documents)
    assert [each.action for each in outcomes] == [Action.GIVE_UP, Action.DONE]


def test_verify_asks_for_options_only(receiver, webhook):
    receiver.answers = [(405, {}, b"")]
    assert WEBHOOK.verify(webhook) == "answers HTTP 405 Method Not Allowed"
    assert [method for method, *_ in receiver.requests] == ["OPTIONS"]


@pytest.mark.parametrize("status", [200, 400, 500])
def test_no_patient_and_no_key_gets_into_logs_or_details(receiver, webhook, make_documents, caplog, capsys, status):
    receiver.answers = [(status, {}, b"PID-1 is not known")]
    with caplog.at_level(logging.INFO):
        (outcome,) = WEBHOOK.send(webhook, make_documents("WEBHOOK"))
    told = caplog.text + "".join(capsys.readouterr()) + outcome.detail
    assert str(status) in told
    assert not [each for each in ("PID-1", "secret-path", KEY.decode()) if each in told]


# FHIR ----------------------------------------------------------------------------------------------------------------


def test_bundle_is_posted_to_the_base_address(receiver, fhir, make_documents):
    receiver.answers = [(200, {}, json.dumps(CREATED).encode())]
    documents = make_documents("FHIR")
    (outcome,) = FHIR.send(fhir, documents)
    assert outcome.action is Action.DONE
    ((method, path, headers, body),) = receiver.requests
    assert (method, path, body) == ("POST", "/hooks/secret-path", documents[0].path.read_bytes())
    assert headers["Content-Type"] == headers["Accept"] == "application/fhir+json"


@pytest.mark.parametrize(
    ("content", "expected"), [("abc\n", "Bearer abc"), ("user:word", "Basic dXNlcjp3b3Jk")], ids=["bearer", "basic"]
)
def test_credentials_come_from_the_file(receiver, fhir, secret_file, make_documents, content, expected):
    secret_file.write_text(content)
    known = Destination("ehr", DestinationKind.FHIR, fhir.address, secret_file=secret_file)
    FHIR.send(known, make_documents("FHIR"))
    assert receiver.requests[0][2]["Authorization"] == expected


@pytest.mark.parametrize(
    ("status", "content", "action"),
    [
        (200, json.dumps(CREATED).encode(), Action.DONE),
        (200, b"", Action.DONE),
        (200, b'{"resourceType": "OperationOutcome"}', Action.DONE_WITH_WARNING),
        (200, b"<html>please log in</html>", Action.TRY_AGAIN),
        (200, b"[]", Action.TRY_AGAIN),
        (200, b'{"resourceType": "Bundle", "type": "transaction-response", "entry": [7, {}]}', Action.DONE),
        (200, json.dumps({**CREATED, "entry": [{"response": {"status": "422"}}]}).encode(), Action.GIVE_UP),
        (409, b"", Action.TRY_AGAIN),
        (412, b"", Action.GIVE_UP),
        (422, b'{"resourceType": "OperationOutcome"}', Action.GIVE_UP),
        (503, b"", Action.TRY_AGAIN),
    ],
)
def test_each_answer_of_a_fhir_server_has_its_outcome(receiver, fhir, make_documents, status, content, action):
    receiver.answers = [(status, {}, content)]
    (outcome,) = FHIR.send(fhir, make_documents("FHIR"))
    assert (outcome.action, outcome.status_code) == (action, status)


def test_verify_reads_the_capability_statement(receiver, fhir):
    receiver.answers = [(200, {}, b'{"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1"}')]
    assert FHIR.verify(fhir) == "answers as FHIR 4.0.1"
    assert receiver.requests[0][:2] == ("GET", "/hooks/secret-path/metadata")
    for answer in ((200, {}, b'{"fhirVersion": "3.0.2"}'), (401, {}, b""), (200, {}, b"<html>")):
        receiver.answers = [answer]
        with pytest.raises(ReceiverUnavailable, match="not as a FHIR R4 server does"):
            FHIR.verify(fhir)
