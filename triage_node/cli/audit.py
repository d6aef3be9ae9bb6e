"""What somebody does at the terminal, written into the audit trail: ``cli:`` and the operating system's user."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from triage_node.core.audit import AuditAction
    from triage_node.settings import Settings


def note(settings: Settings, action: AuditAction, study_instance_uid: str | None = None, **detail: Any) -> None:
    """Write one line."""
    from triage_node import wiring

    actor = f"cli:{getpass.getuser()}"
    wiring.audit_trail(settings).note(actor, action, study_instance_uid, "", detail, wiring.SystemClock().now())
