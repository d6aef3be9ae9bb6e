"""Signing in and being recognised, on SQL. Secrets are kept as SHA-256 (random tokens) or Argon2 (passwords) alone.

A failed sign-in is counted before the password is compared, in a transaction of its own: many guesses sent at once cannot
all be compared against one count, and no lock is held while a hash is computed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session, joinedload

from triage_node.core.access import Visitor
from triage_node.core.accounts import (
    LONGEST_PASSWORD,
    LockoutRules,
    NameRejected,
    ProvedIdentity,
    SessionRules,
    SignedIn,
    SignInRefused,
    checked_password,
    checked_user_name,
    normal_password,
)
from triage_node.worklist import sessions
from triage_node.worklist.account_tables import ApiTokenRow, UserRow, WebSessionRow
from triage_node.worklist.engine import Database
from triage_node.worklist.password_hashing import PasswordHashing
from triage_node.worklist.sessions import SEEN_AFTER, token_sha256


@dataclass(frozen=True)
class _Attempt:
    """What a sign-in is measured against; without ``password_hash`` it cannot succeed."""

    name: str | None = None
    password_hash: str | None = None
    locked: bool = False


@dataclass(frozen=True)
class _Proved:
    """Whose password it was, and what it was compared with."""

    name: str
    password_hash: str


class SqlAccounts:
    """``core.ports.SignIns`` on SQL."""

    def __init__(
        self,
        engine: Engine,
        session_rules: SessionRules | None = None,
        lockout: LockoutRules | None = None,
        hashing: PasswordHashing | None = None,
    ) -> None:
        self._database = Database(engine)
        self._session_rules = session_rules or SessionRules()
        self._lockout = lockout or LockoutRules()
        self._given_hashing = hashing

    @property
    def _hashing(self) -> PasswordHashing:
        if self._given_hashing is None:  # making one takes as long as a sign-in, and few processes ever need it
            self._given_hashing = PasswordHashing()
        return self._given_hashing

    def of_session(self, token: str, now: datetime) -> Visitor | None:
        """Return whose browser sent this session cookie."""
        with self._database.reading() as session:
            found = session.get(WebSessionRow, token_sha256(token), options=[joinedload(WebSessionRow.user)])
            if found is None or found.expires_at <= now or found.user.disabled:
                return None
            user = found.user
            visitor = Visitor(user.name, user.role, found.csrf_token, user.must_change_password)
        if now - found.seen_at >= SEEN_AFTER:
            with self._database.writing() as session:
                sessions.note_use(session, found, now, self._session_rules)
        return visitor

    def of_api_token(self, token: str, now: datetime) -> Visitor | None:
        """Return whose program sent this token."""
        with self._database.reading() as session:
            found = session.query(ApiTokenRow).filter_by(token_sha256=token_sha256(token)).one_or_none()
            if found is None or (found.expires_at is not None and found.expires_at <= now) or found.user.disabled:
                return None
            visitor, token_id = Visitor(found.user.name, found.user.role), found.id
            used = found.used_at is not None and now - found.used_at < SEEN_AFTER
        if not used:
            with self._database.writing() as session:
                row = session.get(ApiTokenRow, token_id)
                if row is not None:
                    row.used_at = now
        return visitor

    def sign_in(self, name: str, password: str, address: str, now: datetime) -> SignedIn:
        """Begin a session of one who knows the password."""
        proved = self._proved(self._counted(name, now), password)
        outdated = self._hashing.is_outdated(proved.password_hash)
        kept = self._hashing.hashed(normal_password(password)) if outdated else proved.password_hash
        with self._database.writing() as session:
            row = _unchanged_row(session, proved)
            row.password_hash, row.failed_sign_ins, row.locked_until = kept, 0, None
            return sessions.begin(session, row, address, now, self._session_rules)

    def sign_in_proved(self, identity: ProvedIdentity, address: str, now: datetime) -> SignedIn:
        """Begin a session of one whom the identity provider proved; the role is what it says today."""
        try:
            name = checked_user_name(identity.name)
        except NameRejected:
            raise SignInRefused from None
        with self._database.writing() as session:
            row = session.scalar(select(UserRow).where(UserRow.subject == identity.subject).with_for_update())
            if row is None:
                if _locked_row(session, name) is not None:
                    raise SignInRefused(name)  # who owns that account has a password here, and may be another person
                row = _new_row(name, identity, now)
                session.add(row)
                session.flush()
            if row.disabled:
                raise SignInRefused(row.name)
            row.role = identity.role
            return sessions.begin(session, row, address, now, self._session_rules)

    def sign_out(self, token: str) -> str | None:
        """End a session; return whose it was."""
        with self._database.writing() as session:
            found = session.get(WebSessionRow, token_sha256(token))
            if found is None:
                return None
            name = found.user.name
            session.delete(found)
            return name

    def change_password(self, name: str, old: str, new: str, keep: str, now: datetime) -> None:
        """Change one's own password and end all one's sessions but ``keep``."""
        chosen = checked_password(new, name)
        proved = self._proved(self._counted(name, now), old)
        hashed = self._hashing.hashed(chosen)
        with self._database.writing() as session:
            row = _unchanged_row(session, proved)
            row.password_hash, row.must_change_password = hashed, False
            row.failed_sign_ins, row.locked_until = 0, None
            sessions.end_all(session, row.id, keep)

    def _counted(self, name: str, now: datetime) -> _Attempt:
        """Count this attempt as failed, until it succeeds."""
        try:
            name = checked_user_name(name)
        except NameRejected:
            return _Attempt()
        with self._database.writing() as session:
            row = _locked_row(session, name)
            if row is None:
                return _Attempt()
            if row.disabled or row.password_hash is None:
                return _Attempt(row.name)
            if row.locked_until is not None:
                if row.locked_until > now:
                    return _Attempt(row.name, locked=True)
                row.failed_sign_ins, row.locked_until = 0, None
            row.failed_sign_ins += 1
            if row.failed_sign_ins >= self._lockout.failures:
                row.locked_until = now + self._lockout.lock
            return _Attempt(row.name, row.password_hash, locked=row.locked_until is not None)

    def _proved(self, attempt: _Attempt, password: str) -> _Proved:
        """Compare the password, in the same time for a name that is not there."""
        compared = normal_password(password) if len(password) <= LONGEST_PASSWORD else ""
        if not self._hashing.matches(attempt.password_hash, compared):
            raise SignInRefused(attempt.name, attempt.locked)
        assert attempt.name is not None  # a hash matched, so there is a user
        assert attempt.password_hash is not None
        return _Proved(attempt.name, attempt.password_hash)


def _locked_row(session: Session, name: str) -> UserRow | None:
    return session.scalar(select(UserRow).where(UserRow.name == name).with_for_update())


def _unchanged_row(session: Session, proved: _Proved) -> UserRow:
    """Return the user, unless something was changed while the hash was computed."""
    row = _locked_row(session, proved.name)
    if row is None or row.disabled or row.password_hash != proved.password_hash:
        raise SignInRefused(proved.name)
    return row


def _new_row(name: str, identity: ProvedIdentity, now: datetime) -> UserRow:
    return UserRow(
        name=name,
        role=identity.role,
        password_hash=None,
        must_change_password=False,
        disabled=False,
        failed_sign_ins=0,
        locked_until=None,
        subject=identity.subject,
        created_at=now,
        signed_in_at=None,
    )
