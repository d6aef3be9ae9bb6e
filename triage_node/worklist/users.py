"""Accounts on SQL, as administrators handle them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from triage_node.core.access import Role
from triage_node.core.accounts import NameRejected, User, checked_password, checked_user_name
from triage_node.core.errors import Refused
from triage_node.worklist import sessions
from triage_node.worklist.account_tables import UserRow
from triage_node.worklist.engine import Database
from triage_node.worklist.password_hashing import PasswordHashing
from triage_node.worklist.upsert import insert_missing


class SqlUsers:
    """``core.ports.Users`` on SQL."""

    def __init__(self, engine: Engine, hashing: PasswordHashing | None = None) -> None:
        self._database = Database(engine)
        self._given_hashing = hashing

    @property
    def _hashing(self) -> PasswordHashing:
        if self._given_hashing is None:
            self._given_hashing = PasswordHashing()
        return self._given_hashing

    def every(self) -> Sequence[User]:
        """Return all users by name."""
        with self._database.reading() as session:
            return [_user(row) for row in session.scalars(select(UserRow).order_by(UserRow.name))]

    def named(self, name: str) -> User:
        """Return one user."""
        with self._database.reading() as session:
            return _user(_found(session, name))

    def add(self, name: str, role: Role, password: str, now: datetime, *, must_change_password: bool = True) -> User:
        """Make an account."""
        name = checked_user_name(name)
        row = self._new_row(name, role, password, now, must_change_password)
        with self._database.writing() as session:
            if not _inserted(session, row):
                raise Refused(f"there is a user {name} already")
            return _user(_found(session, name))

    def add_first(self, name: str, password: str, now: datetime) -> bool:
        """Make an administrator where there is no user at all."""
        with self._database.reading() as session:
            if _count(session):
                return False
        row = self._new_row(checked_user_name(name), Role.ADMINISTRATOR, password, now, must_change=True)
        with self._database.writing() as session:
            return not _count(session) and _inserted(session, row)

    def set_role(self, name: str, role: Role) -> None:
        """Change what a user may do."""
        with self._database.writing() as session:
            row = _found(session, name)
            if row.subject is not None:
                raise Refused(f"{row.name} has the role that the identity provider says at each sign-in")
            if role is not Role.ADMINISTRATOR:
                _keep_an_administrator(session, row)
            row.role = role

    def disable(self, name: str) -> None:
        """Shut a user out at once."""
        with self._database.writing() as session:
            row = _found(session, name)
            _keep_an_administrator(session, row)
            row.disabled = True
            sessions.end_all(session, row.id)

    def enable(self, name: str) -> None:
        """Let a user in again."""
        with self._database.writing() as session:
            _found(session, name).disabled = False

    def unlock(self, name: str) -> None:
        """End the lock that followed on too many failed sign-ins."""
        with self._database.writing() as session:
            row = _found(session, name)
            row.failed_sign_ins, row.locked_until = 0, None

    def set_password(self, name: str, password: str, *, must_change_password: bool = True) -> None:
        """Give a user another password, end all sessions and the lock."""
        hashed = self._hashing.hashed(checked_password(password, checked_user_name(name)))
        with self._database.writing() as session:
            row = _found(session, name)
            if row.subject is not None:
                raise Refused(f"{row.name} signs in at the identity provider and has no password here")
            row.password_hash, row.must_change_password = hashed, must_change_password
            row.failed_sign_ins, row.locked_until = 0, None
            sessions.end_all(session, row.id)

    def _new_row(self, name: str, role: Role, password: str, now: datetime, must_change: bool) -> dict[str, object]:
        return {
            "name": name,
            "role": role,
            "password_hash": self._hashing.hashed(checked_password(password, name)),
            "must_change_password": must_change,
            "disabled": False,
            "failed_sign_ins": 0,
            "created_at": now,
        }


def _inserted(session: Session, row: dict[str, object]) -> bool:
    """Insert a user, unless somebody else has just done so; the salt of the hash tells the two apart."""
    insert_missing(session, UserRow, [row])
    kept = session.scalar(select(UserRow.password_hash).where(UserRow.name == row["name"]))
    return kept == row["password_hash"]


def _count(session: Session) -> int:
    return session.scalar(select(func.count()).select_from(UserRow)) or 0


def _found(session: Session, name: str) -> UserRow:
    try:
        row = session.scalar(select(UserRow).where(UserRow.name == checked_user_name(name)).with_for_update())
    except NameRejected:
        row = None
    if row is None:
        raise Refused("there is no such user")
    return row


def _keep_an_administrator(session: Session, row: UserRow) -> None:
    """Refuse what would leave nobody who can let others in."""
    enabled = select(UserRow.id).where(UserRow.role == Role.ADMINISTRATOR, UserRow.disabled.is_(False))
    # All of them are locked, in one order: two administrators may disable each other at the same moment.
    administrators = session.scalars(enabled.order_by(UserRow.id).with_for_update()).all()
    if list(administrators) == [row.id]:
        raise Refused(f"{row.name} is the only administrator: make another one first")


def _user(row: UserRow) -> User:
    return User(
        id=row.id,
        name=row.name,
        role=row.role,
        disabled=row.disabled,
        must_change_password=row.must_change_password,
        locked_until=row.locked_until,
        from_provider=row.subject is not None,
        created_at=row.created_at,
        signed_in_at=row.signed_in_at,
    )
