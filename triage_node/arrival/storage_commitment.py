"""The Storage Commitment SCP: answers senders for what is durably kept, and takes the reports of archives.

In: N-ACTION requests of senders, each with a list of instances; N-EVENT-REPORT of archives that we asked. Out: for a request
one report with the instances that lie in the spool and those that do not, each with its reason; for a report one call of
``on_report``. Never: an instance reported as kept that is not a file under its final name. Answers to PS3.4 Annex J.

A report goes to the sender's own address where one is known, over a new association, because most senders release theirs at
once; else over the association of the request while it stands. A sender that hears nothing asks again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from pydicom.dataset import Dataset
from pynetdicom.association import Association
from pynetdicom.events import Event

from triage_node.core.commitment import (
    CLASS_INSTANCE_CONFLICT,
    NO_SUCH_INSTANCE,
    REQUEST_ACTION,
    STORAGE_COMMITMENT_INSTANCE,
    STORAGE_COMMITMENT_PUSH_MODEL,
    CommitmentResult,
    InstanceReference,
)
from triage_node.core.errors import Refused, Transient
from triage_node.core.identifiers import PeerAddress, checked_uid
from triage_node.core.ports import AssociationPeer

_log = structlog.get_logger()

KeptInstances = Callable[[Sequence[str]], Mapping[str, Sequence[tuple[str, Path]]]]
"""SOP Instance UIDs to SOP class and file of what is indexed under them."""
EventReport = Callable[[CommitmentResult, dict[str, str]], tuple[Dataset, int]]
SendReport = Callable[[PeerAddress, CommitmentResult, dict[str, str]], None]

INDEXED_WITHIN_S = 5.0
"""Indexing runs behind C-STORE by milliseconds; an instance that is not found is looked for until then."""
RELEASED_WITHIN_S = 0.3
"""A sender that means to release after its request does so at once; a report that crosses its A-RELEASE would be lost."""
ANSWER_WITHIN_S = 10.0
RETRY_AFTER_S = (1.0, 10.0, 60.0)
"""A sender may need a moment before it listens; one that is away longer asks again by itself."""
WAITING_REQUESTS = 256

SUCCESS, NO_SUCH_OBJECT, NO_SUCH_ARGUMENT, INVALID_ARGUMENT = 0x0000, 0x0112, 0x0114, 0x0115
NO_SUCH_ACTION, RESOURCE_LIMITATION, PROCESSING_FAILED = 0x0123, 0x0213, 0x0110
"""PS3.7 C.5 and 10.1.4.1.10."""


@dataclass(frozen=True)
class _Request:
    transaction_uid: str
    references: tuple[InstanceReference, ...]
    peer: AssociationPeer
    association: Association

    @property
    def sop_classes(self) -> dict[str, str]:
        return {each.sop_instance_uid: each.sop_class_uid for each in self.references}


class StorageCommitment:
    """Answers N-ACTION and N-EVENT-REPORT on the associations of the SCP.

    Parameters
    ----------
    kept_instances
        What is indexed.
    event_report
        From a result to Event Information and Event Type.
    send_report
        Reports to a peer over a new association; raises ``Transient`` where it was not taken.
    on_report
        Takes the report of an archive; False where nobody waits for its transaction.
    report_to
        Where reports to a calling AE title go.
    """

    def __init__(
        self,
        kept_instances: KeptInstances,
        event_report: EventReport,
        send_report: SendReport,
        on_report: Callable[[CommitmentResult], bool],
        report_to: Mapping[str, PeerAddress],
    ) -> None:
        self._kept_instances = kept_instances
        self._event_report = event_report
        self._send_report = send_report
        self._on_report = on_report
        self._report_to = dict(report_to)
        self._reporters = ThreadPoolExecutor(8, thread_name_prefix="commitment")
        self._waiting = threading.BoundedSemaphore(WAITING_REQUESTS)
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Report no more; requests that were not answered are asked again by their senders."""
        self._stopped.set()
        self._reporters.shutdown(wait=False, cancel_futures=True)

    def answer_action(self, event: Event, peer: AssociationPeer) -> tuple[int, None]:
        """Return the status of one N-ACTION request; the report follows on a thread of its own."""
        request: Any = event.request
        if str(request.RequestedSOPInstanceUID) != STORAGE_COMMITMENT_INSTANCE:
            return NO_SUCH_OBJECT, None
        if event.action_type != REQUEST_ACTION:
            return NO_SUCH_ACTION, None
        try:
            asked = _read_request(event, peer)
        except KeyError as missing:
            _log.warning("commitment_request_refused", association_id=peer.association_id, missing=str(missing))
            return NO_SUCH_ARGUMENT, None
        except Exception as error:  # an illegal UID, or a dataset that cannot be read
            _log.warning("commitment_request_refused", association_id=peer.association_id, error=type(error).__name__)
            return INVALID_ARGUMENT, None
        if self._stopped.is_set() or not self._waiting.acquire(blocking=False):
            return RESOURCE_LIMITATION, None
        self._reporters.submit(self._report, asked)
        _log.info(
            "commitment_requested",
            association_id=peer.association_id,
            instances=len(asked.references),
            transaction_uid=asked.transaction_uid,
        )
        return SUCCESS, None

    def answer_report(self, event: Event) -> tuple[int, None]:
        """Return the status of one N-EVENT-REPORT; an archive may repeat what we could not note."""
        try:
            return (
                SUCCESS if self._on_report(CommitmentResult.from_event(event.event_information)) else INVALID_ARGUMENT
            ), None
        except Refused:
            return INVALID_ARGUMENT, None
        except Exception:
            _log.exception("commitment_report_not_noted")
            return PROCESSING_FAILED, None

    def _report(self, asked: _Request) -> None:
        try:
            result = self._result(asked)
            sent = self._sent_anew(asked, result) if asked.peer.calling_ae_title in self._report_to else False
            if not sent:
                sent = self._sent_over_the_same(asked, result)
            _log.log(
                20 if sent else 30,
                "commitment_answered" if sent else "commitment_answer_undeliverable",
                association_id=asked.peer.association_id,
                transaction_uid=asked.transaction_uid,
                committed=len(result.committed),
                failed=len(result.failed),
            )
        except Exception:
            _log.exception("commitment_not_answered", transaction_uid=asked.transaction_uid)
        finally:
            self._waiting.release()

    def _result(self, asked: _Request) -> CommitmentResult:
        """Look the instances up; what is not there yet may still be on its way into the index."""
        deadline = time.monotonic() + INDEXED_WITHIN_S
        reasons = self._reasons(asked.references)
        while NO_SUCH_INSTANCE in reasons.values() and time.monotonic() < deadline and not self._stopped.wait(0.2):
            reasons = self._reasons(asked.references)
        failed = {uid: reason for uid, reason in reasons.items() if reason is not None}
        return CommitmentResult(asked.transaction_uid, tuple(uid for uid in reasons if uid not in failed), failed)

    def _reasons(self, references: Sequence[InstanceReference]) -> dict[str, int | None]:
        """Return the Failure Reason of each instance, None where it is kept."""
        try:
            kept = self._kept_instances([each.sop_instance_uid for each in references])
        except Transient as error:
            _log.warning("commitment_look_up_put_off", error=str(error))
            kept = {}
        reasons: dict[str, int | None] = {}
        for each in references:
            classes = {sop_class for sop_class, path in kept.get(each.sop_instance_uid, ()) if path.is_file()}
            conflict = CLASS_INSTANCE_CONFLICT if classes else NO_SUCH_INSTANCE
            reasons[each.sop_instance_uid] = None if each.sop_class_uid in classes else conflict
        return reasons

    def _sent_anew(self, asked: _Request, result: CommitmentResult) -> bool:
        peer = self._report_to[asked.peer.calling_ae_title]
        for wait_s in (0.0, *RETRY_AFTER_S):
            if wait_s and (asked.association.is_established or self._stopped.wait(wait_s)):
                return False
            try:
                self._send_report(peer, result, asked.sop_classes)
            except Transient as error:
                _log.warning("commitment_answer_put_off", peer=str(peer), detail=str(error))
            else:
                return True
        return False

    def _sent_over_the_same(self, asked: _Request, result: CommitmentResult) -> bool:
        association = asked.association
        if self._stopped.wait(RELEASED_WITHIN_S) or not association.is_established:
            return False
        information, event_type = self._event_report(result, asked.sop_classes)
        association.dimse_timeout = ANSWER_WITHIN_S
        try:
            status, _ = association.send_n_event_report(
                information, event_type, STORAGE_COMMITMENT_PUSH_MODEL, STORAGE_COMMITMENT_INSTANCE
            )
        except RuntimeError:  # it ended in this very moment
            return False
        return bool(status.get("Status") == SUCCESS)


def _read_request(event: Event, peer: AssociationPeer) -> _Request:
    """Read Action Information (PS3.4 Table J.3-1).

    Raises
    ------
    KeyError
        A required attribute is not there.
    IllegalUid
        A UID that is none.
    """
    information = event.action_information
    if "TransactionUID" not in information:
        raise KeyError("Transaction UID")
    items = information.get("ReferencedSOPSequence")
    if not items:
        raise KeyError("Referenced SOP Sequence")
    references = dict.fromkeys(
        InstanceReference(
            checked_uid(str(item.get("ReferencedSOPClassUID", "")), "Referenced SOP Class UID"),
            checked_uid(str(item.get("ReferencedSOPInstanceUID", "")), "Referenced SOP Instance UID"),
        )
        for item in items
    )
    transaction_uid = checked_uid(str(information.TransactionUID), "Transaction UID")
    return _Request(transaction_uid, tuple(references), peer, event.assoc)
