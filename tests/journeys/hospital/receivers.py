"""Receivers of messages on loopback: a RIS that speaks MLLP, a pager behind a webhook, a FHIR server that keeps resources.

Each fails at first in its own way: the RIS rejects, the pager is overloaded, the FHIR server stores and then hangs up before
it answers, so that what is sent again must not be kept twice.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import BaseServer
from typing import Any

import hl7
from hl7apy.mllp import AbstractHandler, MLLPServer


def _started(server: BaseServer) -> None:
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()


class Ris:
    """Takes ORU^R01; ``attempts`` counts every message, ``taken`` holds those that were acknowledged with AA."""

    def __init__(self, rejections: int) -> None:
        self.attempts: list[hl7.Message] = []
        self.taken: list[hl7.Message] = []
        ris = self

        class Oru(AbstractHandler):
            def reply(self) -> str:
                message = hl7.parse(self.incoming_message)
                ris.attempts.append(message)
                rejected = len(ris.attempts) <= rejections
                if not rejected:
                    ris.taken.append(message)
                return f"\x0b{message.create_ack('AR' if rejected else 'AA')}\x1c\r"

        self._server = MLLPServer("127.0.0.1", 0, {"ORU^R01^ORU_R01": (Oru,)}, timeout=5)
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        _started(self._server)

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class HttpReceiver:
    """Answers a POST by what ``take`` returns: a status and a body, or None to hang up."""

    def __init__(self, take: Callable[[dict[str, str], bytes], tuple[int, bytes] | None]) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                answer = take(dict(self.headers), body)
                if answer is None:
                    self.close_connection = True
                    return
                self.send_response(answer[0])
                self.send_header("Content-Length", str(len(answer[1])))
                self.end_headers()
                self.wfile.write(answer[1])

            def log_message(self, *_: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}/here"
        _started(self._server)

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Pager(HttpReceiver):
    """Overloaded at first; ``taken`` holds headers and body of what was answered with 200."""

    def __init__(self, refusals: int) -> None:
        self.attempts: list[dict[str, str]] = []
        self.taken: list[tuple[dict[str, str], bytes]] = []

        def take(headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
            self.attempts.append(headers)
            if len(self.attempts) <= refusals:
                return 503, b""
            self.taken.append((headers, body))
            return 200, b""

        super().__init__(take)


class FhirServer(HttpReceiver):
    """Keeps what a transaction creates, by the conditions of its entries (FHIR R4 3.1.0.8.1)."""

    def __init__(self, lost_answers: int) -> None:
        self.attempts = 0
        self.resources: dict[str, dict[str, Any]] = {}

        def take(_headers: dict[str, str], body: bytes) -> tuple[int, bytes] | None:
            self.attempts += 1
            responses = [self._create(entry) for entry in json.loads(body)["entry"]]
            if self.attempts <= lost_answers:
                return None
            answer = {"resourceType": "Bundle", "type": "transaction-response", "entry": responses}
            return 200, json.dumps(answer).encode()

        super().__init__(take)

    def _create(self, entry: dict[str, Any]) -> dict[str, Any]:
        condition = f"{entry['request']['url']}?{entry['request']['ifNoneExist']}"
        known = condition in self.resources
        self.resources.setdefault(condition, entry["resource"])
        return {"response": {"status": "200 OK" if known else "201 Created"}}

    def of_kind(self, kind: str) -> list[dict[str, Any]]:
        return [each for each in self.resources.values() if each["resourceType"] == kind]
