"""Destinations of kind webhook and fhir: ``core.ports.Sender`` over an HTTP POST of a document that is already written.

In: files that hold one document each. Out: one outcome a document, in order. A webhook is signed with the destination's
secret, at the time of sending, so that a receiver can tell ours from anybody else's and an old one from a new one; the
delivery id stays the same however often a document is sent. Never: a redirect followed (a POST would become a GET, and the
document could leave for another host), what a server answered in a log, an address beyond its host in a log, because
receivers put keys into paths. Answers to RFC 9110 section 15 and FHIR R4 3.1.0.11 (transaction).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any

import requests
import structlog

from triage_node.core.destination import Destination
from triage_node.core.dimse_status import Action
from triage_node.core.errors import Transient
from triage_node.core.ports import EvidenceObject, SendOutcome
from triage_node.forwarding.client_tls import OwnCertificate
from triage_node.forwarding.http_access import CredentialsMissing, open_session

_log = structlog.get_logger()

SIGNATURE, TIMESTAMP = "X-Triage-Signature", "X-Triage-Timestamp"
EVENT, DELIVERY = "X-Triage-Event", "X-Triage-Delivery"
FHIR_JSON = "application/fhir+json"

PASSING_STATUSES = frozenset({408, 425, 429})
"""Statuses below 500 that another attempt may change: Request Timeout, Too Early, Too Many Requests."""
CONTENTION = 409
"""What FHIR servers answer when two transactions create the same resource at once; the second finds it there."""
_LONGEST_ANSWER = 4 * 1024 * 1024


class ReceiverUnavailable(Transient):
    """No connection, no answer, or one of those that say: later."""


def status_action(status_code: int) -> Action:
    """Return what a sender does after the status of a POST.

    A receiver that says that it does not know us or has nothing there is given up at once, not tried for days: a page that
    nobody gets has to raise the alarm, and ``deliveries retry`` sends it when the address is mended.

    Examples
    --------
    >>> [status_action(code).value for code in (204, 503, 429, 401, 301)]
    ['DONE', 'TRY_AGAIN', 'TRY_AGAIN', 'GIVE_UP', 'GIVE_UP']
    """
    if 200 <= status_code < 300:
        return Action.DONE
    return Action.TRY_AGAIN if status_code in PASSING_STATUSES or status_code >= 500 else Action.GIVE_UP


def signature(secret: bytes, timestamp: str, body: bytes) -> str:
    """Return the value of ``X-Triage-Signature``: HMAC-SHA256 over the timestamp, a full stop and the body.

    Examples
    --------
    >>> signature(b"key", "1", b"{}")[:20]
    'sha256=1ba6b8171186e'
    """
    return "sha256=" + hmac.new(secret, timestamp.encode("ascii") + b"." + body, hashlib.sha256).hexdigest()


@dataclass(frozen=True)
class WebhookSender:
    """Posts signed JSON documents.

    Attributes
    ----------
    connect_timeout_s, answer_timeout_s
        Longest wait for the connection, and for the answer to a request.
    own
        What proves to a receiver who we are, where it asks for a certificate.
    now_s
        Seconds since 1970, for the signature.
    """

    connect_timeout_s: float = 5.0
    answer_timeout_s: float = 30.0
    own: OwnCertificate | None = None
    now_s: Callable[[], float] = time.time

    def send(self, destination: Destination, objects: Sequence[EvidenceObject]) -> Sequence[SendOutcome]:
        """Post each document in a request of its own; what follows one that was not answered is not posted."""
        return _posted_all(self._post, destination, objects)

    def verify(self, destination: Destination) -> str:
        """Ask for the options of the address; any answer will do, because receivers know nothing but POST.

        Raises
        ------
        ReceiverUnavailable, CredentialsMissing
            It could not be reached, or there is no secret to sign with.
        """
        _secret(destination)
        with _session(destination, self.own) as session:
            answer = _asked(session, "OPTIONS", destination.address, self._timeouts, {}, b"")
        return f"answers {_status_in_words(answer.status_code)}"

    @property
    def _timeouts(self) -> tuple[float, float]:
        return self.connect_timeout_s, self.answer_timeout_s

    def _post(self, destination: Destination, made: EvidenceObject, body: bytes) -> SendOutcome:
        timestamp = str(int(self.now_s()))
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            SIGNATURE: signature(_secret(destination), timestamp, body),
            TIMESTAMP: timestamp,
            EVENT: str(json.loads(body)["event"]),
            DELIVERY: made.sop_instance_uid,
        }
        with _session(destination, self.own) as session:
            answer = _asked(session, "POST", destination.address, self._timeouts, headers, body)
        action = status_action(answer.status_code)
        return SendOutcome(made.sop_instance_uid, action, answer.status_code, _status_in_words(answer.status_code))


@dataclass(frozen=True)
class FhirSender:
    """Posts transaction bundles to the base address of a FHIR server.

    Attributes
    ----------
    connect_timeout_s, answer_timeout_s
        Longest wait for the connection, and for the answer to a request.
    own
        What proves to a server who we are, where it asks for a certificate.
    """

    connect_timeout_s: float = 5.0
    answer_timeout_s: float = 30.0
    own: OwnCertificate | None = None

    def send(self, destination: Destination, objects: Sequence[EvidenceObject]) -> Sequence[SendOutcome]:
        """Post each bundle in a request of its own; what follows one that was not answered is not posted."""
        return _posted_all(self._post, destination, objects)

    def verify(self, destination: Destination) -> str:
        """Read the capability statement.

        Raises
        ------
        ReceiverUnavailable, CredentialsMissing
            It could not be reached, or is no FHIR server of release 4.
        """
        where = f"{destination.address.rstrip('/')}/metadata"
        with open_session(destination, self.own) as session:
            answer = _asked(session, "GET", where, self._timeouts, {"Accept": FHIR_JSON}, b"")
        version = _resource(answer).get("fhirVersion", "")
        if answer.status_code != HTTPStatus.OK or not str(version).startswith("4."):
            raise ReceiverUnavailable(f"answers {_status_in_words(answer.status_code)}, not as a FHIR R4 server does")
        return f"answers as FHIR {str(version)[:16]}"

    @property
    def _timeouts(self) -> tuple[float, float]:
        return self.connect_timeout_s, self.answer_timeout_s

    def _post(self, destination: Destination, made: EvidenceObject, body: bytes) -> SendOutcome:
        headers = {"Content-Type": FHIR_JSON, "Accept": FHIR_JSON, "Prefer": "return=minimal"}
        with open_session(destination, self.own) as session:
            answer = _asked(session, "POST", destination.address, self._timeouts, headers, body)
        action, detail = _transaction_result(answer)
        return SendOutcome(made.sop_instance_uid, action, answer.status_code, detail)


@dataclass(frozen=True)
class _Answer:
    status_code: int
    content: bytes


_Post = Callable[[Destination, EvidenceObject, bytes], SendOutcome]


def _posted_all(post: _Post, destination: Destination, objects: Sequence[EvidenceObject]) -> list[SendOutcome]:
    outcomes: list[SendOutcome] = []
    for each in objects:
        try:
            outcomes.append(post(destination, each, each.path.read_bytes()))
        except OSError as error:
            detail = f"{each.path.name}: {error.strerror}"
            outcomes.append(SendOutcome(each.sop_instance_uid, Action.GIVE_UP, None, detail, answered=False))
        except Transient as error:
            answered = isinstance(error, CredentialsMissing)  # our own fault says nothing of the destination
            _log.warning("peer_unreachable", peer=destination.name, detail=str(error))
            left = objects[len(outcomes) :]
            outcomes += [
                SendOutcome(one.sop_instance_uid, Action.TRY_AGAIN, None, str(error), answered) for one in left
            ]
            break
    _log.info("documents_posted", peer=destination.name, answers=[each.detail for each in outcomes])
    return outcomes


def _session(destination: Destination, own: OwnCertificate | None) -> requests.Session:
    """Return a session that shows no credentials: the secret of a webhook never leaves this node."""
    return open_session(replace(destination, secret_file=None), own)


def _secret(destination: Destination) -> bytes:
    """Return the key to sign with; read every time, so that it can be renewed while the node runs."""
    if destination.secret_file is None:
        raise CredentialsMissing(f"{destination} is without secret_file: a webhook is always signed")
    try:
        secret = destination.secret_file.read_bytes().strip()
    except OSError as error:
        raise CredentialsMissing(f"secret_file {destination.secret_file} of {destination} cannot be read") from error
    if not secret:
        raise CredentialsMissing(f"secret_file {destination.secret_file} of {destination} is empty")
    return secret


def _asked(
    session: requests.Session,
    method: str,
    address: str,
    timeouts: tuple[float, float],
    headers: Mapping[str, str],
    body: bytes,
) -> _Answer:
    """Make one request, bounded in time and in what is read of the answer."""
    try:
        with session.request(
            method,
            address,
            data=body or None,
            headers=headers,
            timeout=timeouts,
            allow_redirects=False,
            stream=True,
        ) as answer:
            content = answer.raw.read(_LONGEST_ANSWER, decode_content=True)
            return _Answer(answer.status_code, content)
    except requests.TooManyRedirects as error:  # raised for a first redirect too, though it is not followed
        return _Answer(error.response.status_code if error.response is not None else HTTPStatus.FOUND, b"")
    except requests.ConnectTimeout as error:
        raise ReceiverUnavailable("no connection within the time-out") from error
    except requests.Timeout as error:
        raise ReceiverUnavailable("no answer within the time-out") from error
    except requests.exceptions.SSLError as error:
        raise ReceiverUnavailable("TLS failed: the certificate or the protocol was not accepted") from error
    except OSError as error:
        if not isinstance(error, requests.RequestException):  # as requests says that there is no such file
            raise CredentialsMissing("tls_ca_file cannot be read") from error
        raise ReceiverUnavailable(f"no connection: {type(error).__name__}") from error
    except Exception as error:  # of urllib3; their messages quote the address
        raise ReceiverUnavailable(f"no connection: {type(error).__name__}") from error


def _status_in_words(status_code: int) -> str:
    """Return a status by its standard name: what the server calls it may be anything."""
    try:
        return f"HTTP {status_code} {HTTPStatus(status_code).phrase}"
    except ValueError:
        return f"HTTP {status_code}"


def _resource(answer: _Answer) -> Mapping[str, Any]:
    try:
        found = json.loads(answer.content)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _transaction_result(answer: _Answer) -> tuple[Action, str]:
    """Return what became of a transaction: all of it or nothing.

    A success without a body is one (``return=minimal``); a log-in page with status 200 is none.
    """
    words = _status_in_words(answer.status_code)
    if answer.status_code == CONTENTION:
        return Action.TRY_AGAIN, words
    action = status_action(answer.status_code)
    if action is not Action.DONE or not answer.content.strip():
        return action, words
    resource = _resource(answer)
    if resource.get("resourceType") == "OperationOutcome":
        return Action.DONE_WITH_WARNING, f"{words}, with an OperationOutcome"
    if resource.get("type") != "transaction-response":
        return Action.TRY_AGAIN, f"{words}, but the answer is no transaction-response"
    statuses = [str(each["response"]["status"]) for each in resource.get("entry") or [] if _has_status(each)]
    if not all(each.startswith("2") for each in statuses):
        return Action.GIVE_UP, f"{words}, but not every resource was created"
    return Action.DONE, words


def _has_status(entry: Any) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("response"), dict) and "status" in entry["response"]
