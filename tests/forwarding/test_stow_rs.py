"""STOW-RS against Orthanc's DICOMweb plug-in, and against a small server that answers what a test wants."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hospital.pacs import Orthanc
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from triage_node.core.destination import Destination, DestinationKind
from triage_node.core.dimse_status import Action
from triage_node.core.errors import Transient
from triage_node.core.ports import EvidenceObject
from triage_node.forwarding.stow_rs import StowSender

PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
MakeObject = Callable[..., EvidenceObject]


@dataclass
class Service:
    """A web server on loopback: what it got, and what it answers."""

    url: str = ""
    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "application/dicom+json"})
    wait_s: float = 0.0
    got: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)

    def destination(self, **values: Any) -> Destination:
        return Destination("web", DestinationKind.STOW, f"{self.url}/dicom-web/", **values)


@pytest.fixture
def service() -> Iterator[Service]:
    service = Service()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            service.got.append((self.command, self.path, dict(self.headers), body))
            time.sleep(service.wait_s)
            self.send_response(service.status)
            for name, value in service.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(service.body)))
            self.end_headers()
            with contextlib.suppress(OSError):  # a client that did not wait
                self.wfile.write(service.body)

        do_GET = do_POST  # noqa: N815 (names of the standard library)

        def log_message(self, *_: object) -> None:
            """Stay quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    service.url = f"http://127.0.0.1:{server.server_address[1]}"
    yield service
    server.shutdown()
    server.server_close()


def report(
    stored: list[EvidenceObject] = [],  # noqa: B006 (read only)
    failed: dict[str, int] | None = None,
    warning: int | None = None,
) -> bytes:
    """A status report as PS3.18 10.5.3 has it."""
    answer = Dataset()
    answer.ReferencedSOPSequence = Sequence()
    answer.FailedSOPSequence = Sequence()
    for each in stored:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = each.sop_class_uid, each.sop_instance_uid
        if warning is not None:
            item.WarningReason = warning
        answer.ReferencedSOPSequence.append(item)
    for uid, reason in (failed or {}).items():
        item = Dataset()
        item.ReferencedSOPInstanceUID, item.FailureReason = uid, reason
        answer.FailedSOPSequence.append(item)
    return json.dumps(answer.to_json_dict()).encode()


def test_a_study_goes_in_one_request_and_counts_as_the_report_says(service: Service, make_object: MakeObject) -> None:
    objects = [make_object(kind) for kind in ("SR", "SC", "KO")]
    service.status = 202
    failed = {objects[1].sop_instance_uid: 0xA700, objects[2].sop_instance_uid: 0xC122}
    service.body = report(objects[:1], failed)
    outcomes = StowSender().send(service.destination(), objects)
    ((method, path, headers, body),) = service.got
    assert (method, path) == ("POST", "/dicom-web/studies")
    assert headers["Content-Type"].startswith("multipart/related")
    assert body.count(b"DICM") == 3
    assert [each.action for each in outcomes] == [Action.DONE, Action.TRY_AGAIN, Action.GIVE_UP]
    assert [each.status_code for each in outcomes] == [0x0000, 0xA700, 0xC122]
    assert [each.sop_instance_uid for each in outcomes] == [each.sop_instance_uid for each in objects]


@pytest.mark.parametrize("content_type", ["application/dicom+json", "application/json; charset=utf-8"])
def test_a_warning_is_done_with_a_warning(service: Service, make_object: MakeObject, content_type: str) -> None:
    sent = make_object()
    service.headers["Content-Type"] = content_type
    service.body = report([sent], warning=0xB000)
    (outcome,) = StowSender().send(service.destination(), [sent])
    assert (outcome.action, outcome.status_code) == (Action.DONE_WITH_WARNING, 0xB000)


def test_a_conflict_says_why_for_each_object(service: Service, make_object: MakeObject) -> None:
    sent = make_object()
    service.status, service.body = 409, report(failed={sent.sop_instance_uid: 0x0122})
    (outcome,) = StowSender().send(service.destination(), [sent])
    assert (outcome.action, outcome.detail) == (Action.GIVE_UP, "0x0122 Refused: SOP Class not supported")


@pytest.mark.parametrize(
    ("status", "action"),
    [
        (400, Action.GIVE_UP),
        (401, Action.TRY_AGAIN),
        (404, Action.TRY_AGAIN),
        (413, Action.GIVE_UP),
        (415, Action.GIVE_UP),
        (429, Action.TRY_AGAIN),
        (500, Action.TRY_AGAIN),
        (503, Action.TRY_AGAIN),
    ],
)
def test_every_http_status_has_its_consequence(
    service: Service, make_object: MakeObject, status: int, action: Action
) -> None:
    service.status = status
    outcomes = StowSender().send(service.destination(), [make_object(), make_object("SC")])
    assert {each.action for each in outcomes} == {action}
    assert all(each.answered and f"HTTP {status}" in each.detail for each in outcomes)
    assert len(service.got) == 1


@pytest.mark.parametrize("body", [b"<html>please log in</html>", b"{]", b"[]", b'{"00081199": 7}'])
@pytest.mark.parametrize("content_type", ["text/html", "application/dicom+json", "application/dicom+xml"])
def test_a_page_with_status_200_stores_nothing(
    service: Service, make_object: MakeObject, body: bytes, content_type: str
) -> None:
    service.body, service.headers["Content-Type"] = body, content_type
    (outcome,) = StowSender().send(service.destination(), [make_object()])
    assert outcome.action is Action.TRY_AGAIN
    assert outcome.answered


def test_success_without_a_report_is_taken_with_a_warning(service: Service, make_object: MakeObject) -> None:
    (outcome,) = StowSender().send(service.destination(), [make_object()])
    assert outcome.action is Action.DONE_WITH_WARNING


def test_a_redirect_is_not_followed(service: Service, make_object: MakeObject) -> None:
    service.status, service.headers["Location"] = 302, f"{service.url}/login"
    (outcome,) = StowSender().send(service.destination(), [make_object()])
    assert outcome.action is Action.TRY_AGAIN
    assert "/login" in outcome.detail
    assert len(service.got) == 1


def test_silence_and_refused_connections_are_no_answer(service: Service, make_object: MakeObject) -> None:
    service.wait_s = 1.0
    (slow,) = StowSender(answer_timeout_s=0.2).send(service.destination(), [make_object()])
    nobody = Destination("web", DestinationKind.STOW, "http://127.0.0.1:1/dicom-web")
    (refused,) = StowSender().send(nobody, [make_object()])
    for outcome in (slow, refused):
        assert (outcome.action, outcome.answered) == (Action.TRY_AGAIN, False)
    assert slow.detail == "no answer within the time-out"


@pytest.mark.parametrize(("secret", "header"), [("abc.def\n", "Bearer abc.def"), ("node:pass", "Basic bm9kZTpwYXNz")])
def test_credentials_come_from_the_file(
    service: Service, make_object: MakeObject, tmp_path: Path, secret: str, header: str
) -> None:
    file = tmp_path / "secret"
    (missing,) = StowSender().send(service.destination(secret_file=file), [make_object()])
    assert missing.action is Action.TRY_AGAIN
    assert not service.got
    file.write_text(secret)
    StowSender().send(service.destination(secret_file=file), [make_object()])
    assert service.got[0][2]["Authorization"] == header


def test_a_file_that_is_gone_is_given_up_and_the_others_go(service: Service, make_object: MakeObject) -> None:
    gone, there = make_object(), make_object("SC")
    gone.path.unlink()
    service.body = report([there])
    outcomes = StowSender().send(service.destination(), [gone, there])
    assert [each.action for each in outcomes] == [Action.GIVE_UP, Action.DONE]


def test_verify_says_what_answered(service: Service) -> None:
    assert StowSender().verify(service.destination()) == "answers HTTP 200"
    service.status = 401
    with pytest.raises(Transient, match="HTTP 401"):
        StowSender().verify(service.destination())


@pytest.mark.debian
@pytest.mark.xdist_group("debian")
def test_orthanc_keeps_what_it_is_given_once(make_object: MakeObject, tmp_path: Path) -> None:
    if Orthanc.executable() is None or not PLUGIN.exists():
        pytest.skip("Orthanc with its DICOMweb plug-in is not installed (Debian package orthanc-dicomweb)")
    orthanc = Orthanc(tmp_path / "orthanc", Plugins=[str(PLUGIN)])
    destination = Destination("orthanc", DestinationKind.STOW, f"{orthanc.url}/dicom-web")
    objects = [make_object(kind) for kind in ("SR", "SC", "KO")]
    try:
        orthanc.start()
        assert StowSender().verify(destination).startswith("answers HTTP")
        for _ in range(2):
            outcomes = StowSender().send(destination, objects)
            assert [each.action for each in outcomes] == [Action.DONE] * 3, outcomes
        assert orthanc.get("/statistics")["CountInstances"] == 3
    finally:
        orthanc.stop()
