"""Who may look."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from triage_node.core.access import Visitor


class Visitors(Protocol):
    """Who sends a request."""

    def of_session(self, token: str, now: datetime) -> Visitor | None:
        """Return whose browser sent this session cookie; None where it is forged, expired or of a disabled user."""
        ...

    def of_api_token(self, token: str, now: datetime) -> Visitor | None:
        """Return whose program sent this token; None likewise."""
        ...
