"""C-STORE statuses as data: what this node answers, and what it does with an answer.

PS3.4 B.2.3 (Storage Service) and PS3.7 C (general statuses).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Action(StrEnum):
    """What a sender does after a status."""

    DONE = "DONE"
    DONE_WITH_WARNING = "DONE_WITH_WARNING"
    TRY_AGAIN = "TRY_AGAIN"
    GIVE_UP = "GIVE_UP"


@dataclass(frozen=True)
class Status:
    """One row of the table: the code, its name in the standard, and the sender's action."""

    code: int
    name: str
    action: Action


SUCCESS = Status(0x0000, "Success", Action.DONE)
OUT_OF_RESOURCES = Status(0xA700, "Refused: Out of Resources", Action.TRY_AGAIN)
DOES_NOT_MATCH_SOP_CLASS = Status(0xA900, "Error: Data Set does not match SOP Class", Action.GIVE_UP)
CANNOT_UNDERSTAND = Status(0xC000, "Error: Cannot understand", Action.GIVE_UP)
PROCESSING_FAILURE = Status(0x0110, "Failure: Processing failure", Action.TRY_AGAIN)

EXACT: Mapping[int, Status] = {
    each.code: each
    for each in (
        SUCCESS,
        PROCESSING_FAILURE,
        Status(0x0111, "Duplicate SOP Instance", Action.DONE),
        Status(0x0117, "Invalid SOP Instance", Action.GIVE_UP),
        Status(0x0122, "Refused: SOP Class not supported", Action.GIVE_UP),
        Status(0x0124, "Refused: Not authorized", Action.TRY_AGAIN),
        Status(0x0210, "Duplicate invocation", Action.TRY_AGAIN),
        Status(0x0211, "Unrecognized operation", Action.GIVE_UP),
        Status(0x0212, "Mistyped argument", Action.GIVE_UP),
        Status(0xB000, "Warning: Coercion of Data Elements", Action.DONE_WITH_WARNING),
        Status(0xB006, "Warning: Elements Discarded", Action.DONE_WITH_WARNING),
        Status(0xB007, "Warning: Data Set does not match SOP Class", Action.DONE_WITH_WARNING),
    )
}


def classified(code: int) -> Status:
    """Return what a C-STORE status means; an unknown code is tried again, because nothing may be lost for a number.

    Examples
    --------
    >>> classified(0xA702).action
    <Action.TRY_AGAIN: 'TRY_AGAIN'>
    >>> classified(0xC123).name
    'Error: Cannot understand'
    """
    if code in EXACT:
        return EXACT[code]
    if code & 0xFF00 == 0xA700:
        return Status(code, OUT_OF_RESOURCES.name, Action.TRY_AGAIN)
    if code & 0xFF00 == 0xA900:
        return Status(code, DOES_NOT_MATCH_SOP_CLASS.name, Action.GIVE_UP)
    if code & 0xF000 == 0xC000:
        return Status(code, CANNOT_UNDERSTAND.name, Action.GIVE_UP)
    if code & 0xF000 == 0xB000:
        return Status(code, "Warning", Action.DONE_WITH_WARNING)
    return Status(code, "Unknown status", Action.TRY_AGAIN)
