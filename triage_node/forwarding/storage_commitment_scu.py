"""Storage commitment over associations that this node asks for, in both roles.

In: instances that an archive was sent, or a report that a sender waits for. Out: whether the archive took the request, with
its report where that comes over the same association; whether a sender took ours. Answers to PS3.4 Annex J.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

import structlog
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import build_context, build_role, evt
from pynetdicom.events import Event
from pynetdicom.presentation import PresentationContext

from triage_node.core.commitment import (
    ALL_COMMITTED,
    REQUEST_ACTION,
    SOME_FAILED,
    STORAGE_COMMITMENT_INSTANCE,
    STORAGE_COMMITMENT_PUSH_MODEL,
    CommitmentResult,
    InstanceReference,
)
from triage_node.core.destination import Destination
from triage_node.core.dimse_status import Action
from triage_node.core.errors import Refused
from triage_node.core.identifiers import PeerAddress
from triage_node.core.ports import CommitmentAnswer, CommitmentOrder
from triage_node.forwarding.requestor import NothingAccepted, PeerUnreachable, Requestor

_log = structlog.get_logger()

REPORT_WAIT_S = 1.0
"""How long the association stays open for a report. Archives that report over it do so at once; the others open their own."""
_LASTING_STATUSES = frozenset({0x0118, 0x0122, 0x0123, 0x0211})
"""No such SOP class, SOP class not supported, no such action, unrecognized operation (PS3.7 C.5)."""


class StorageCommitmentScu:
    """``core.ports.CommitmentRequester``, and the sender of our own reports."""

    def __init__(self, requestor: Requestor, report_wait_s: float = REPORT_WAIT_S) -> None:
        self._requestor = requestor
        self._report_wait_s = report_wait_s

    def request(self, destination: Destination, order: CommitmentOrder) -> CommitmentAnswer:
        """Ask with N-ACTION (PS3.4 J.3.2), and wait a moment for the report."""
        reports: list[CommitmentResult] = []
        reported = threading.Event()

        def on_report(event: Event) -> tuple[int, None]:
            try:
                reports.append(CommitmentResult.from_event(event.event_information))
            except Refused as refused:
                _log.warning("commitment_report_unreadable", peer=destination.name, detail=str(refused))
                return 0x0115, None
            reported.set()
            return 0x0000, None

        handlers = [(evt.EVT_N_EVENT_REPORT, on_report)]
        try:
            requestor = self._requestor.secured(destination)
            with requestor.association(destination.peer, _contexts(), handlers=handlers) as association:
                status, _ = association.send_n_action(
                    _action_information(order),
                    REQUEST_ACTION,
                    STORAGE_COMMITMENT_PUSH_MODEL,
                    STORAGE_COMMITMENT_INSTANCE,
                )
                answer = _answered(status)
                if answer.action is Action.DONE:
                    reported.wait(self._report_wait_s)
        except NothingAccepted:
            return CommitmentAnswer(Action.GIVE_UP, "the peer does not offer storage commitment")
        except PeerUnreachable as unreachable:
            return CommitmentAnswer(Action.TRY_AGAIN, str(unreachable))
        except Exception as error:  # what pynetdicom raises where the association ends under it
            return CommitmentAnswer(Action.TRY_AGAIN, f"{type(error).__name__}: {error}")
        return CommitmentAnswer(answer.action, answer.detail, reports[0] if reports else None)

    def report(self, peer: PeerAddress, result: CommitmentResult, sop_classes: dict[str, str]) -> None:
        """Report to a sender over a new association, in the role of an SCP (PS3.4 J.3.3).

        Parameters
        ----------
        sop_classes
            SOP Instance UID to SOP Class UID, as the sender named them.

        Raises
        ------
        PeerUnreachable
            The report was not taken.
        """
        role = build_role(STORAGE_COMMITMENT_PUSH_MODEL, scp_role=True)
        with self._requestor.association(peer, _contexts(), negotiation=[role]) as association:
            information, event_type = event_report(result, sop_classes)
            status, _ = association.send_n_event_report(
                information, event_type, STORAGE_COMMITMENT_PUSH_MODEL, STORAGE_COMMITMENT_INSTANCE
            )
            code = status.get("Status")
            if code is None or code != 0x0000:
                shown = "nothing" if code is None else f"0x{int(code):04X}"
                raise PeerUnreachable(f"{peer}: N-EVENT-REPORT answered {shown}")


def event_report(result: CommitmentResult, sop_classes: dict[str, str]) -> tuple[Dataset, int]:
    """Return Event Information and Event Type of a report (PS3.4 Table J.3-2)."""
    information = Dataset()
    information.TransactionUID = result.transaction_uid
    if result.committed:
        kept = [InstanceReference(sop_classes[uid], uid) for uid in result.committed]
        information.ReferencedSOPSequence = _references(kept)
    if result.failed:
        information.FailedSOPSequence = _references([InstanceReference(sop_classes[uid], uid) for uid in result.failed])
        for item in information.FailedSOPSequence:
            item.FailureReason = result.failed[str(item.ReferencedSOPInstanceUID)]
    return information, SOME_FAILED if result.failed else ALL_COMMITTED


def _action_information(order: CommitmentOrder) -> Dataset:
    """PS3.4 Table J.3-1."""
    information = Dataset()
    information.TransactionUID = order.transaction_uid
    information.ReferencedSOPSequence = _references(order.references)
    return information


def _references(references: Sequence[InstanceReference]) -> list[Dataset]:
    items = []
    for each in references:
        item = Dataset()
        item.ReferencedSOPClassUID = each.sop_class_uid
        item.ReferencedSOPInstanceUID = each.sop_instance_uid
        items.append(item)
    return items


def _contexts() -> list[PresentationContext]:
    return [build_context(STORAGE_COMMITMENT_PUSH_MODEL, [ExplicitVRLittleEndian, ImplicitVRLittleEndian])]


def _answered(status: Dataset) -> CommitmentAnswer:
    code = status.get("Status")
    if code is None:
        return CommitmentAnswer(Action.TRY_AGAIN, "no answer to N-ACTION")
    detail = f"N-ACTION answered 0x{int(code):04X}"
    if code == 0x0000 or code & 0xF000 == 0xB000:
        return CommitmentAnswer(Action.DONE, detail)
    return CommitmentAnswer(Action.GIVE_UP if code in _LASTING_STATUSES else Action.TRY_AGAIN, detail)
