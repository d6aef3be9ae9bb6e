"""What is written into the audit trail: every view of a patient, every change, every sign-in.

Codes are kept as text without a CHECK, so that a new one needs no migration. The trail answers who looked at what, who
changed what, when and from where (45 CFR 164.312(b); IHE ATNA calls the same an audit message).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any


class AuditAction(StrEnum):
    """What somebody did; at most 32 characters."""

    # accounts
    SIGNED_IN = "SIGNED_IN"
    SIGN_IN_FAILED = "SIGN_IN_FAILED"
    SIGN_IN_LOCKED = "SIGN_IN_LOCKED"
    SIGNED_OUT = "SIGNED_OUT"
    PASSWORD_CHANGED = "PASSWORD_CHANGED"  # noqa: S105 (a code)
    PASSWORD_SET = "PASSWORD_SET"  # noqa: S105 (a code)
    USER_ADDED = "USER_ADDED"
    ROLE_SET = "ROLE_SET"
    USER_DISABLED = "USER_DISABLED"
    USER_ENABLED = "USER_ENABLED"
    USER_UNLOCKED = "USER_UNLOCKED"
    TOKEN_MADE = "TOKEN_MADE"  # noqa: S105 (a code)
    TOKEN_REVOKED = "TOKEN_REVOKED"  # noqa: S105 (a code)
    ACCESS_REFUSED = "ACCESS_REFUSED"
    AUDIT_TRAIL_SHOWN = "AUDIT_TRAIL_SHOWN"
    # looking
    WORKLIST_SHOWN = "WORKLIST_SHOWN"
    STUDY_SHOWN = "STUDY_SHOWN"
    IMAGES_SHOWN = "IMAGES_SHOWN"
    EXPORTED = "EXPORTED"
    # reading
    ACKNOWLEDGED = "ACKNOWLEDGED"
    TAKEN = "TAKEN"
    RELEASED = "RELEASED"
    PROGRESS_NOTED = "PROGRESS_NOTED"
    COMPLETED = "COMPLETED"
    FEEDBACK_GIVEN = "FEEDBACK_GIVEN"
    ESCALATED = "ESCALATED"
    # operating
    DELIVERIES_RETRIED = "DELIVERIES_RETRIED"
    REPROCESSED = "REPROCESSED"
    CLOSED = "CLOSED"


@dataclass(frozen=True)
class AuditEntry:
    """One line of the trail.

    ``actor`` is a user's name, ``cli:<user of the operating system>``, or the calling AE title of a DICOM peer;
    ``address`` is where the request came from, empty for what was done on the machine itself.
    """

    id: int
    at: datetime
    actor: str
    action: str
    study_instance_uid: str | None
    address: str
    detail: Mapping[str, Any]


@dataclass(frozen=True)
class AuditFilter:
    """Which lines are asked for; what is None or empty is not asked. ``since`` is in, ``until`` is out."""

    actor: str = ""
    action: str = ""
    study_instance_uid: str = ""
    since: datetime | None = None
    until: datetime | None = None
