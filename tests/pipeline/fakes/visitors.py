"""Visitors known by their tokens, without accounts."""

from __future__ import annotations

from datetime import datetime

from triage_node.core.access import Role, Visitor


class KnownVisitors:
    """Each token, of a session or of the API, is the name of a role in small letters."""

    def of_session(self, token: str, now: datetime) -> Visitor | None:
        return Visitor(token, Role[token.upper()], f"csrf-{token}") if token.upper() in Role.__members__ else None

    def of_api_token(self, token: str, now: datetime) -> Visitor | None:
        return Visitor(token, Role[token.upper()]) if token.upper() in Role.__members__ else None
