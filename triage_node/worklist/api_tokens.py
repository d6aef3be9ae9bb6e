"""API tokens on SQL; only the SHA-256 of each is kept."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session, joinedload

from triage_node.core.accounts import LONGEST_NAME, ApiToken, NameRejected, checked_user_name, new_api_token
from triage_node.core.errors import Refused
from triage_node.worklist.account_tables import ApiTokenRow, UserRow
from triage_node.worklist.column_types import storable_text
from triage_node.worklist.engine import Database
from triage_node.worklist.sessions import token_sha256
from triage_node.worklist.upsert import insert_missing


class SqlApiTokens:
    """``core.ports.ApiTokens`` on SQL."""

    def __init__(self, engine: Engine) -> None:
        self._database = Database(engine)

    def make(self, user: str, name: str, now: datetime, expires_at: datetime | None) -> str:
        """Make a token and return its secret."""
        name = name.strip()
        if not name or len(name) > LONGEST_NAME or not name.isprintable():
            raise Refused(f"a token's name has 1 to {LONGEST_NAME} characters and says what it is for")
        if expires_at is not None and expires_at <= now:
            raise Refused("the token would have expired already")
        token = new_api_token()
        with self._database.writing() as session:
            row = {
                "user_id": _user_id(session, user),
                "name": storable_text(name),
                "token_sha256": token_sha256(token),
                "created_at": now,
                "expires_at": expires_at,
            }
            insert_missing(session, ApiTokenRow, [row])
            kept = select(ApiTokenRow.id).where(ApiTokenRow.token_sha256 == row["token_sha256"])
            if session.scalar(kept) is None:
                raise Refused(f"there is a token of the name {name} already: revoke it first, or take another name")
        return token

    def of(self, user: str | None = None) -> Sequence[ApiToken]:
        """Return the tokens of a user, or of all."""
        statement = select(ApiTokenRow).join(UserRow).options(joinedload(ApiTokenRow.user))
        if user is not None:
            statement = statement.where(UserRow.name == user)
        with self._database.reading() as session:
            return [_token(row) for row in session.scalars(statement.order_by(UserRow.name, ApiTokenRow.name))]

    def revoke(self, user: str, name: str) -> None:
        """Take a token back."""
        with self._database.writing() as session:
            of_user = (ApiTokenRow.user_id == _user_id(session, user)) & (ApiTokenRow.name == storable_text(name))
            row = session.scalar(select(ApiTokenRow).where(of_user))
            if row is None:
                raise Refused("there is no such token")
            session.delete(row)


def _user_id(session: Session, name: str) -> int:
    try:
        found = session.scalar(select(UserRow.id).where(UserRow.name == checked_user_name(name)))
    except NameRejected:
        found = None
    if found is None:
        raise Refused("there is no such user")
    return found


def _token(row: ApiTokenRow) -> ApiToken:
    return ApiToken(row.id, row.user.name, row.name, row.created_at, row.used_at, row.expires_at)
