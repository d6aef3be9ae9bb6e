"""Who may look, and the trail of who did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from triage_node.core.access import Visitor
from triage_node.core.audit import AuditAction, AuditEntry, AuditFilter


class Visitors(Protocol):
    """Who sends a request."""

    def of_session(self, token: str, now: datetime) -> Visitor | None:
        """Return whose browser sent this session cookie; None where it is forged, expired or of a disabled user."""
        ...

    def of_api_token(self, token: str, now: datetime) -> Visitor | None:
        """Return whose program sent this token; None likewise."""
        ...


class AuditTrail(Protocol):
    """Who looked at what and who changed what; lines are only ever added."""

    def note(
        self,
        actor: str,
        action: AuditAction,
        study_instance_uid: str | None,
        address: str,
        detail: Mapping[str, Any],
        at: datetime,
    ) -> None:
        """Add a line; ``detail`` holds plain JSON values, never a password or a token."""
        ...

    def of_study(self, study_instance_uid: str, limit: int) -> Sequence[AuditEntry]:
        """Return what was done with one study, newest first."""
        ...

    def page(self, wanted: AuditFilter, limit: int, before: int | None = None) -> Sequence[AuditEntry]:
        """Return lines, newest first; ``before`` is the id of the last line of the page before."""
        ...
