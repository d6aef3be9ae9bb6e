"""Destinations of kind stow: ``core.ports.Sender`` over STOW-RS.

In: DICOM files. Out: one outcome an object, in order, from what the status report says of it. An object counts as stored only
where the report names it: a log-in page with status 200 stores nothing. Answers to PS3.18 10.5 (Store Transaction).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import requests
import structlog
from dicomweb_client.web import DICOMwebClient
from pydicom import dcmread
from pydicom.dataset import Dataset

from triage_node.core.destination import Destination
from triage_node.core.dimse_status import Action, classified
from triage_node.core.errors import Transient
from triage_node.core.http_status import http_action
from triage_node.core.ports import EvidenceObject, SendOutcome
from triage_node.forwarding.client_tls import OwnCertificate
from triage_node.forwarding.http_access import CredentialsMissing, open_session

_log = structlog.get_logger()

REQUEST_BYTES = 64 * 1024 * 1024
"""Longest request: reverse proxies commonly refuse more than 100 MB. A study's evidence is a few megabytes."""
_ONE_PIECE = 4 * REQUEST_BYTES
"""Orthanc and older gateways do not take the chunked transfer coding that the client uses above its chunk size."""


class ServiceUnavailable(Transient):
    """The service cannot be reached, or answers with a status that stores nothing."""


@dataclass(frozen=True)
class StowSender:
    """Stores over HTTP, a study's objects in one request where they are not too large together.

    Attributes
    ----------
    connect_timeout_s, answer_timeout_s
        Longest wait for the connection, and for the answer to a request.
    own
        What proves to a service who we are, where it asks for a certificate.
    """

    connect_timeout_s: float = 5.0
    answer_timeout_s: float = 30.0
    own: OwnCertificate | None = None

    def send(self, destination: Destination, objects: Sequence[EvidenceObject]) -> Sequence[SendOutcome]:
        """Store all objects; a service that cannot be reached is TRY_AGAIN for all."""
        outcomes: dict[int, SendOutcome] = {}
        readable: list[tuple[int, EvidenceObject]] = []
        for index, each in enumerate(objects):
            if each.path.is_file():
                readable.append((index, each))
            else:
                outcomes[index] = SendOutcome(
                    each.sop_instance_uid, Action.GIVE_UP, None, f"{each.path.name}: no such file", answered=False
                )
        for group in _groups(readable):
            stored = self._store(destination, [each for _, each in group])
            outcomes |= dict(zip((index for index, _ in group), stored, strict=True))
        return [outcomes[index] for index in range(len(objects))]

    def verify(self, destination: Destination) -> str:
        """Search for one study (QIDO-RS), which stores nothing and is offered wherever STOW-RS is.

        Raises
        ------
        ServiceUnavailable, CredentialsMissing
            It could not be reached, does not know us, or has nothing at this address.
        """
        try:
            with open_session(destination, self.own) as session:
                where = f"{destination.address.rstrip('/')}/studies"
                answer = session.get(where, params={"limit": 1}, timeout=self._timeouts, allow_redirects=False)
        except requests.RequestException as error:
            raise ServiceUnavailable(_shown(error)) from error
        if answer.status_code in (401, 403, 404) or answer.status_code >= 500 or answer.is_redirect:
            raise ServiceUnavailable(f"answers HTTP {answer.status_code} {answer.reason}")
        return f"answers HTTP {answer.status_code}"

    @property
    def _timeouts(self) -> tuple[float, float]:
        return self.connect_timeout_s, self.answer_timeout_s

    def _store(self, destination: Destination, objects: Sequence[EvidenceObject]) -> list[SendOutcome]:
        try:
            answer, report = self._posted(destination, objects)
        except requests.TooManyRedirects as error:
            moved = error.response.headers.get("Location", "elsewhere") if error.response is not None else "elsewhere"
            return _all(objects, Action.TRY_AGAIN, f"redirected to {moved}; give the final address")
        except CredentialsMissing as error:
            return _all(objects, Action.TRY_AGAIN, str(error), answered=False)
        except requests.RequestException as error:
            _log.warning("peer_unreachable", peer=destination.name, detail=_shown(error))
            return _all(objects, Action.TRY_AGAIN, _shown(error), answered=False)
        outcomes = [_outcome(each, answer, report) for each in objects]
        _log.info("study_stored", peer=destination.name, objects=len(outcomes), status=answer.status_code)
        return outcomes

    def _posted(self, destination: Destination, objects: Sequence[EvidenceObject]) -> tuple[requests.Response, Dataset]:
        """Return the answer and its status report, empty where there is none."""
        answers: list[requests.Response] = []
        with open_session(destination, self.own) as session:
            session.hooks["response"].append(lambda answer, **_: answers.append(answer))
            client = DICOMwebClient(
                destination.address.rstrip("/"),
                session,
                headers={"Accept": "application/dicom+json"},
                chunk_size=_ONE_PIECE,
                timeout=self._timeouts,
            )
            client.set_http_retry_params(retry=False)  # the outbox tries again
            parsed: Dataset | None = None
            try:
                parsed = client.store_instances([dcmread(each.path) for each in objects])
            except (requests.HTTPError, requests.JSONDecodeError):
                pass  # the status and the body itself say more
            except requests.RequestException:
                raise
            except Exception as error:  # a body that is no status report
                if not answers:
                    raise
                _log.warning("status_report_unreadable", peer=destination.name, error=str(error))
        return answers[-1], parsed or _report(answers[-1])


def _groups(objects: Sequence[tuple[int, EvidenceObject]]) -> Iterator[list[tuple[int, EvidenceObject]]]:
    """Yield runs of objects, in order, that fit into one request; a larger one goes alone."""
    group: list[tuple[int, EvidenceObject]] = []
    size = 0
    for index, each in objects:
        own = each.path.stat().st_size
        if group and size + own > REQUEST_BYTES:
            yield group
            group, size = [], 0
        group.append((index, each))
        size += own
    if group:
        yield group


def _report(answer: requests.Response) -> Dataset:
    """Return the status report of an answer that the client raised for or did not recognise."""
    if "json" not in answer.headers.get("Content-Type", ""):
        return Dataset()
    try:
        content = json.loads(answer.content)
        return Dataset.from_json(content[0] if isinstance(content, list) else content)
    except Exception:  # whatever a server may write there
        return Dataset()


def _outcome(made: EvidenceObject, answer: requests.Response, report: Dataset) -> SendOutcome:
    """Return what the answer says of one object (PS3.18 Table 10.5.3-1, PS3.3 C.12.1.1.14 for the sequences)."""
    uid = made.sop_instance_uid
    failed = _named(report, "FailedSOPSequence", uid)
    if failed is not None and failed.get("FailureReason") is not None:
        reason = classified(int(failed.FailureReason))
        lasting = reason.action is Action.GIVE_UP
        action = Action.GIVE_UP if lasting else Action.TRY_AGAIN
        return SendOutcome(uid, action, reason.code, f"0x{reason.code:04X} {reason.name}")
    stored = _named(report, "ReferencedSOPSequence", uid)
    if stored is not None:
        warning = stored.get("WarningReason")
        if warning is not None:
            return SendOutcome(
                uid, Action.DONE_WITH_WARNING, int(warning), f"0x{int(warning):04X} {classified(int(warning)).name}"
            )
        return SendOutcome(uid, Action.DONE, 0x0000, f"HTTP {answer.status_code} {answer.reason}")
    action = http_action(answer.status_code)
    detail = f"HTTP {answer.status_code} {answer.reason}"
    if action is not Action.DONE:
        return SendOutcome(uid, action, answer.status_code, detail)
    if answer.status_code == 200 and not answer.content:
        return SendOutcome(uid, Action.DONE_WITH_WARNING, 200, f"{detail}, without a status report")
    return SendOutcome(uid, Action.TRY_AGAIN, answer.status_code, f"{detail}, but the status report does not name it")


def _named(report: Dataset, keyword: str, sop_instance_uid: str) -> Dataset | None:
    items = report.get(keyword) or ()
    return next((item for item in items if item.get("ReferencedSOPInstanceUID") == sop_instance_uid), None)


def _all(objects: Sequence[EvidenceObject], action: Action, detail: str, *, answered: bool = True) -> list[SendOutcome]:
    return [SendOutcome(each.sop_instance_uid, action, None, detail, answered) for each in objects]


def _shown(error: requests.RequestException) -> str:
    """Return what went wrong in one line, without the objects that the library prints."""
    if isinstance(error, requests.ConnectTimeout):
        return "no connection within the time-out"
    if isinstance(error, requests.Timeout):
        return "no answer within the time-out"
    if isinstance(error, requests.exceptions.SSLError):
        return f"TLS failed: {error.args[0] if error.args else error}"[:300]
    return f"no connection: {type(error).__name__}"
