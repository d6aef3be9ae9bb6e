"""What somebody does at the terminal, written into the audit trail: ``cli:`` and the operating system's user."""

from __future__ import annotations

import getpass
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from triage_node.core.audit import AuditAction
    from triage_node.settings import Settings


def note(settings: Settings, action: AuditAction, study_instance_uid: str | None = None, **detail: Any) -> None:
    """Write one line."""
    from triage_node import wiring

    wiring.audit_trail(settings).note(
        f"cli:{_system_user()}", action, study_instance_uid, "", detail, wiring.SystemClock().now()
    )


def _system_user() -> str:
    """Return the name of the operating system's user; where it has none, as in many containers, its number."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # the latter from Python 3.13 on
        return str(os.getuid())
