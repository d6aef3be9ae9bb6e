"""What a sender does after an HL7 v2 acknowledgement: as data, beside ``dimse_status``.

HL7 v2.5.1 2.9.2 and 2.9.3 (original and enhanced mode), tables 0008 (acknowledgement codes) and 0357 (error codes). An error
(AE, CE) is one of content: the sender has to correct the message, and this node would only send the same again. A rejection
(AR, CR) is of content where the error code says so (type, event, processing ID, version); else the receiver was not able
to, and the same message is sent again later.
"""

from __future__ import annotations

from collections.abc import Mapping

from triage_node.core.dimse_status import Action

ACCEPTED = frozenset({"AA", "CA"})
ERROR = frozenset({"AE", "CE"})
REJECTED = frozenset({"AR", "CR"})

ERROR_NAMES: Mapping[str, str] = {
    "100": "Segment sequence error",
    "101": "Required field missing",
    "102": "Data type error",
    "103": "Table value not found",
    "200": "Unsupported message type",
    "201": "Unsupported event code",
    "202": "Unsupported processing id",
    "203": "Unsupported version id",
    "204": "Unknown key identifier",
    "205": "Duplicate key identifier",
    "206": "Application record locked",
    "207": "Application internal error",
}
PASSING_ERRORS = frozenset({"206", "207"})
LASTING_REJECTIONS = frozenset({"200", "201", "202", "203"})


def acknowledged(code: str, error_code: str | None = None) -> Action:
    """Return what a sender does after MSA-1, with the condition code of ERR where there is one.

    Anything that is no acknowledgement code is tried again.

    Examples
    --------
    >>> [acknowledged(code).value for code in ("AA", "CA", "AE", "AR", "??")]
    ['DONE', 'DONE', 'GIVE_UP', 'TRY_AGAIN', 'TRY_AGAIN']
    >>> acknowledged("AE", "207").value, acknowledged("AR", "203").value
    ('TRY_AGAIN', 'GIVE_UP')
    """
    if code in ACCEPTED:
        return Action.DONE
    if code in ERROR:
        return Action.TRY_AGAIN if error_code in PASSING_ERRORS else Action.GIVE_UP
    return Action.GIVE_UP if code in REJECTED and error_code in LASTING_REJECTIONS else Action.TRY_AGAIN
