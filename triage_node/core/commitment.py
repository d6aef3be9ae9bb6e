"""Storage commitment as data and rules: whether an archive has taken responsibility for what it was sent.

In: answers of an archive. Out: the next state of a commitment, and whether the object has to be sent again. Answers to
PS3.4 Annex J and PS3.3 C.14.1.1 (Failure Reason).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

from triage_node.core.errors import Refused
from triage_node.core.study_state import IllegalTransition

STORAGE_COMMITMENT_PUSH_MODEL = "1.2.840.10008.1.20.1"
STORAGE_COMMITMENT_INSTANCE = "1.2.840.10008.1.20.1.1"
"""The well-known SOP instance that requests name (PS3.4 J.3.5)."""
REQUEST_ACTION = 1
ALL_COMMITTED, SOME_FAILED = 1, 2
"""Event types of PS3.4 J.3.3.1."""

PROCESSING_FAILURE = 0x0110
NO_SUCH_INSTANCE = 0x0112
CLASS_INSTANCE_CONFLICT = 0x0119
SOP_CLASS_NOT_SUPPORTED = 0x0122
FAILURE_REASONS: Mapping[int, str] = {
    PROCESSING_FAILURE: "Processing failure",
    NO_SUCH_INSTANCE: "No such object instance",
    0x0213: "Resource limitation",
    SOP_CLASS_NOT_SUPPORTED: "Referenced SOP Class not supported",
    CLASS_INSTANCE_CONFLICT: "Class/Instance conflict",
    0x0131: "Duplicate transaction UID",
}
LASTING_REASONS = frozenset({CLASS_INSTANCE_CONFLICT, SOP_CLASS_NOT_SUPPORTED})
"""Sending the object again would change nothing."""


class CommitmentState(StrEnum):
    """Where one delivery stands with storage commitment."""

    WANTED = "WANTED"
    ASKED = "ASKED"
    COMMITTED = "COMMITTED"
    REFUSED = "REFUSED"
    NOT_OFFERED = "NOT_OFFERED"


class CommitmentEvent(StrEnum):
    """What can happen to a commitment."""

    ASK = "ASK"
    COMMIT = "COMMIT"
    MISS = "MISS"
    REFUSE = "REFUSE"
    DECLINE = "DECLINE"


COMMITMENT_TRANSITIONS: Mapping[tuple[CommitmentState, CommitmentEvent], CommitmentState] = {
    (CommitmentState.WANTED, CommitmentEvent.ASK): CommitmentState.ASKED,
    (CommitmentState.ASKED, CommitmentEvent.ASK): CommitmentState.ASKED,
    (CommitmentState.ASKED, CommitmentEvent.COMMIT): CommitmentState.COMMITTED,
    (CommitmentState.ASKED, CommitmentEvent.MISS): CommitmentState.WANTED,
    (CommitmentState.ASKED, CommitmentEvent.REFUSE): CommitmentState.REFUSED,
    (CommitmentState.ASKED, CommitmentEvent.DECLINE): CommitmentState.NOT_OFFERED,
}
"""ASKED to ASKED: no report came in time, so that the archive is asked anew under another transaction UID."""


def commitment_after(state: CommitmentState, event: CommitmentEvent) -> CommitmentState:
    """Return the state that follows.

    Raises
    ------
    IllegalTransition
        The table has no such change.

    Examples
    --------
    >>> commitment_after(CommitmentState.WANTED, CommitmentEvent.ASK)
    <CommitmentState.ASKED: 'ASKED'>
    """
    try:
        return COMMITMENT_TRANSITIONS[state, event]
    except KeyError:
        raise IllegalTransition(f"a commitment in state {state} cannot {event}") from None


def failure_text(reason: int) -> str:
    """Return a Failure Reason as people read it.

    Examples
    --------
    >>> failure_text(0x0112)
    '0x0112 No such object instance'
    """
    return f"0x{reason:04X} {FAILURE_REASONS.get(reason, 'unknown reason')}"


class UnreadableReport(Refused):
    """A report of storage commitment that no deliveries can be found for."""


@dataclass(frozen=True)
class InstanceReference:
    """One SOP instance by class and UID, as commitment requests and reports name it."""

    sop_class_uid: str
    sop_instance_uid: str


@dataclass(frozen=True)
class CommitmentResult:
    """What one N-EVENT-REPORT says.

    Attributes
    ----------
    committed
        SOP Instance UIDs that the archive answers for.
    failed
        SOP Instance UID to Failure Reason.
    """

    transaction_uid: str
    committed: tuple[str, ...]
    failed: Mapping[str, int]

    @classmethod
    def from_event(cls, information: Any) -> Self:
        """Read Event Information (PS3.4 Table J.3-2).

        Parameters
        ----------
        information
            A dataset: whatever has ``get`` by keyword.

        Raises
        ------
        UnreadableReport
            It names no transaction. A failed instance without a reason failed in processing.
        """
        transaction_uid = str(information.get("TransactionUID") or "")
        if not transaction_uid:
            raise UnreadableReport("a report of storage commitment without Transaction UID")
        committed = [
            str(item.get("ReferencedSOPInstanceUID")) for item in information.get("ReferencedSOPSequence") or ()
        ]
        failed = {
            str(item.get("ReferencedSOPInstanceUID")): int(item.get("FailureReason") or PROCESSING_FAILURE)
            for item in information.get("FailedSOPSequence") or ()
        }
        return cls(transaction_uid, tuple(uid for uid in committed if uid not in failed), failed)
