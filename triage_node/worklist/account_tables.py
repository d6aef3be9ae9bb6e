"""Tables of who may look: users, their sessions and API tokens, and the audit trail of what they did."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from triage_node.core.access import Role
from triage_node.worklist.base import Base
from triage_node.worklist.column_types import RowId


class UserRow(Base):
    """A person with an account here. ``password_hash`` (argon2) is null for one who signs in at an identity provider.

    ``failed_sign_ins`` counts since the last success; ``locked_until`` follows from it. ``subject`` is the provider's
    name for the person, with its issuer before it.
    """

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    role: Mapped[Role]
    password_hash: Mapped[str | None] = mapped_column(String)
    must_change_password: Mapped[bool]
    disabled: Mapped[bool]
    failed_sign_ins: Mapped[int]
    locked_until: Mapped[datetime | None]
    subject: Mapped[str | None] = mapped_column(String(500), unique=True)
    created_at: Mapped[datetime]
    signed_in_at: Mapped[datetime | None]


class WebSessionRow(Base):
    """One signed-in browser; only the SHA-256 of its cookie is kept."""

    __tablename__ = "web_sessions"
    __table_args__ = (Index(None, "user_id"), Index(None, "expires_at"))

    token_sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    csrf_token: Mapped[str] = mapped_column(String(64))
    address: Mapped[str]
    created_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    user: Mapped[UserRow] = relationship()


class ApiTokenRow(Base):
    """A token for a program, with the rights of its user; only its SHA-256 is kept."""

    __tablename__ = "api_tokens"
    __table_args__ = (UniqueConstraint("user_id", "name"),)

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(64))
    token_sha256: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
    expires_at: Mapped[datetime | None]
    user: Mapped[UserRow] = relationship()


class AuditRow(Base):
    """Who looked at what, who changed what, from where. Rows are only ever added, and outlive study and user."""

    __tablename__ = "audit_trail"
    __table_args__ = (Index(None, "study_instance_uid", "at"), Index(None, "at"), Index(None, "actor", "at"))

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    at: Mapped[datetime]
    actor: Mapped[str]
    action: Mapped[str] = mapped_column(String(32))
    study_instance_uid: Mapped[str | None] = mapped_column(String(64))
    address: Mapped[str]
    detail: Mapped[dict[str, Any]]
