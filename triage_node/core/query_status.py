"""What a query or a claim of a workitem is answered with, as data.

PS3.4 C.4.1.1.4 (C-FIND) and CC.2 (Unified Procedure Step), PS3.7 C (general statuses).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Answer:
    """One status: its code, its name in the standard, and when this node gives it."""

    code: int
    name: str
    when: str


SUCCESS = Answer(0x0000, "Success", "done; of a query: there are no further matches")
OPTIONAL_NOT_SUPPORTED = Answer(
    0x0001, "Requested optional attributes are not supported", "an attribute that this node does not hold or take"
)
PENDING = Answer(0xFF00, "Pending", "a match")
PENDING_UNSUPPORTED_KEYS = Answer(0xFF01, "Pending, optional keys not supported", "a match, other keys left aside")
CANCELLED = Answer(0xFE00, "Cancel", "the requester has cancelled the query")
OUT_OF_RESOURCES = Answer(
    0xA700, "Refused: Out of resources", "the database is away, or the matches before it were the first `query_limit`"
)
IDENTIFIER_DOES_NOT_MATCH = Answer(
    0xA900, "Error: Identifier does not match SOP Class", "no or another level, unique keys missing, several items"
)
UNABLE_TO_PROCESS = Answer(0xC000, "Failed: Unable to process", "an identifier or key that cannot be read; a defect")

NO_SUCH_ARGUMENT = Answer(0x0114, "No such argument", "an action without Procedure Step State")
INVALID_ARGUMENT = Answer(
    0x0115, "Invalid argument value", "a Procedure Step State that there is not, an unreadable list"
)
INVALID_ATTRIBUTE = Answer(0x0106, "Invalid attribute value", "N-SET of Procedure Step State, or unreadable")
PROCESSING_FAILURE = Answer(0x0110, "Processing failure", "the node failed")
NO_SUCH_ACTION = Answer(0x0123, "No such action", "every action but Change UPS State: nothing is subscribed to here")
NOT_AUTHORIZED = Answer(0x0124, "Refused: Not authorized", "N-CREATE: workitems are made by what arrives alone")
RESOURCE_LIMITATION = Answer(0x0213, "Resource limitation", "the database is away, or more progress than is kept")

NO_LONGER_UPDATED = Answer(0xC300, "The UPS may no longer be updated", "it is COMPLETED")
WRONG_TRANSACTION = Answer(
    0xC301, "The correct Transaction UID was not provided", "none, no UID, or not the one that it was claimed with"
)
ALREADY_IN_PROGRESS = Answer(0xC302, "The UPS is already IN PROGRESS", "somebody has it, over DICOM or in a browser")
ONLY_BY_CREATION = Answer(
    0xC303, "The UPS may only become SCHEDULED via N-CREATE, not N-SET or N-ACTION", "SCHEDULED was asked for"
)
FINAL_STATE_NOT_MET = Answer(
    0xC304, "The UPS has not met final state requirements for the requested state change", "COMPLETED before N-SET"
)
NO_SUCH_WORKITEM = Answer(
    0xC307,
    "Specified SOP Instance UID does not exist or is not a UPS Instance managed by this SCP",
    "unknown, or given back and so replaced by another",
)
NOT_YET_IN_PROGRESS = Answer(0xC310, "The UPS is not yet in the IN PROGRESS state", "it was not claimed before")
ALREADY_COMPLETED = Answer(
    0xB306, "The UPS is already in the requested state of COMPLETED", "by the same Transaction UID"
)

FIND_ANSWERS = (
    PENDING,
    PENDING_UNSUPPORTED_KEYS,
    SUCCESS,
    CANCELLED,
    OUT_OF_RESOURCES,
    IDENTIFIER_DOES_NOT_MATCH,
    UNABLE_TO_PROCESS,
)
WORKITEM_ANSWERS = (
    SUCCESS,
    OPTIONAL_NOT_SUPPORTED,
    ALREADY_COMPLETED,
    NO_LONGER_UPDATED,
    WRONG_TRANSACTION,
    ALREADY_IN_PROGRESS,
    ONLY_BY_CREATION,
    FINAL_STATE_NOT_MET,
    NO_SUCH_WORKITEM,
    NOT_YET_IN_PROGRESS,
    INVALID_ATTRIBUTE,
    PROCESSING_FAILURE,
    NO_SUCH_ARGUMENT,
    INVALID_ARGUMENT,
    NO_SUCH_ACTION,
    NOT_AUTHORIZED,
    RESOURCE_LIMITATION,
)
