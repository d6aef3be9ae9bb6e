"""Roles of people and programs, and what each may do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What a person is here; each may do all that those before it may."""

    VIEWER = "VIEWER"
    RADIOLOGIST = "RADIOLOGIST"
    ADMINISTRATOR = "ADMINISTRATOR"


class Permission(StrEnum):
    """One thing that may be allowed."""

    SEE_WORKLIST = "SEE_WORKLIST"
    SEE_IMAGES = "SEE_IMAGES"
    READ_STUDIES = "READ_STUDIES"
    """Acknowledge, take, release, complete, agree and disagree."""
    SEE_STATISTICS = "SEE_STATISTICS"
    OPERATE = "OPERATE"
    """Retry deliveries, read again, see the audit trail of everyone."""
    ADMINISTER = "ADMINISTER"
    """Users, roles, tokens of others."""


_GRANTS: Mapping[Role, frozenset[Permission]] = {
    Role.VIEWER: frozenset({Permission.SEE_WORKLIST, Permission.SEE_STATISTICS}),
    Role.RADIOLOGIST: frozenset(
        {Permission.SEE_WORKLIST, Permission.SEE_IMAGES, Permission.READ_STUDIES, Permission.SEE_STATISTICS}
    ),
    Role.ADMINISTRATOR: frozenset(Permission),
}


def allows(role: Role, permission: Permission) -> bool:
    """Return whether a role may do this.

    Examples
    --------
    >>> allows(Role.VIEWER, Permission.SEE_IMAGES)
    False
    """
    return permission in _GRANTS[role]


@dataclass(frozen=True)
class Visitor:
    """Who sends a request, as far as it could be proved.

    ``csrf_token`` is what forms of this browser session must send back; None for a program with an API token, whose
    requests no foreign page can forge. One who ``must_change_password`` is led to do so before anything else.
    """

    name: str
    role: Role
    csrf_token: str | None = None
    must_change_password: bool = False

    def may(self, permission: Permission) -> bool:
        """Return whether this visitor may do this."""
        return allows(self.role, permission)
