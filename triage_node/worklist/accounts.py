"""Users, their sessions and API tokens, on SQL. Secrets are kept as SHA-256 (random tokens) or argon2 (passwords) alone."""

from __future__ import annotations

import hashlib
from datetime import datetime

from sqlalchemy import Engine

from triage_node.core.access import Visitor
from triage_node.worklist.account_tables import ApiTokenRow, WebSessionRow
from triage_node.worklist.engine import Database


def token_sha256(token: str) -> str:
    """Return what is kept of a random token; it has too many bits to be guessed, so it needs no salt."""
    return hashlib.sha256(token.encode()).hexdigest()


class SqlAccounts:
    """``core.ports.Visitors`` on SQL."""

    def __init__(self, engine: Engine) -> None:
        self._database = Database(engine)

    def of_session(self, token: str, now: datetime) -> Visitor | None:
        """Return whose browser sent this session cookie."""
        with self._database.reading() as session:
            found = session.get(WebSessionRow, token_sha256(token))
            if found is None or found.expires_at <= now or found.user.disabled:
                return None
            return Visitor(found.user.name, found.user.role, found.csrf_token)

    def of_api_token(self, token: str, now: datetime) -> Visitor | None:
        """Return whose program sent this token."""
        with self._database.reading() as session:
            found = session.query(ApiTokenRow).filter_by(token_sha256=token_sha256(token)).one_or_none()
            if found is None or (found.expires_at is not None and found.expires_at <= now) or found.user.disabled:
                return None
            return Visitor(found.user.name, found.user.role)
