"""Sessions of browsers on SQL. Only the SHA-256 of a session's secret is kept: whoever reads the table cannot use it."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta

from sqlalchemy import CursorResult, delete, update
from sqlalchemy.orm import Session

from triage_node.core.accounts import SessionRules, SignedIn, new_session_token
from triage_node.worklist.account_tables import UserRow, WebSessionRow

SEEN_AFTER = timedelta(minutes=1)
"""A session's last use is written no more often than this: a read must not cost a commit."""


def token_sha256(token: str) -> str:
    """Return what is kept of a random token; it has too many bits to be guessed, so it needs no salt."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


def begin(session: Session, user: UserRow, address: str, now: datetime, rules: SessionRules) -> SignedIn:
    """Begin a session with a new secret; those of anybody that have expired are removed."""
    session.execute(delete(WebSessionRow).where(WebSessionRow.expires_at <= now))
    token, expires_at = new_session_token(), rules.expiry(now, now)
    session.add(
        WebSessionRow(
            token_sha256=token_sha256(token),
            user_id=user.id,
            csrf_token=secrets.token_urlsafe(32),
            address=address,
            created_at=now,
            seen_at=now,
            expires_at=expires_at,
        )
    )
    user.signed_in_at = now
    return SignedIn(user.name, user.role, token, expires_at)


def end_all(session: Session, user_id: int, keep: str | None = None) -> int:
    """End the sessions of a user, but for the one with this token; return how many."""
    ended = delete(WebSessionRow).where(WebSessionRow.user_id == user_id)
    if keep is not None:
        ended = ended.where(WebSessionRow.token_sha256 != token_sha256(keep))
    result = session.execute(ended)
    assert isinstance(result, CursorResult)
    return result.rowcount


def note_use(session: Session, found: WebSessionRow, now: datetime, rules: SessionRules) -> None:
    """Put off a session's end; it has been used."""
    session.execute(
        update(WebSessionRow)
        .where(WebSessionRow.token_sha256 == found.token_sha256)
        .values(seen_at=now, expires_at=rules.expiry(found.created_at, now))
    )
