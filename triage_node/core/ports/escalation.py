"""Calling somebody when nobody acknowledges a flagged study."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

from triage_node.core.destination import DestinationKind
from triage_node.core.escalation import EscalationCall, EscalationStep
from triage_node.core.ports.evidence import EvidenceObject
from triage_node.core.ports.forwarding import SendOutcome


class Escalations(Protocol):
    """What was called for which study; each method one transaction."""

    def plan(self, chain: Sequence[EscalationStep], now: datetime, *, flagged_since: datetime) -> int:
        """Note each step that became due for a flagged study that nobody acknowledged; return how many.

        Studies flagged before ``flagged_since`` are left alone: a chain that is configured today does not call anybody for
        last month.
        """
        ...

    def claim(self, now: datetime, *, lease_s: float) -> EscalationCall | None:
        """Take one call that is due. Calls of studies that were acknowledged meanwhile end as STOPPED."""
        ...

    def save(self, escalation_id: int, outcome: SendOutcome, now: datetime, *, again_at: datetime | None) -> None:
        """Note what came of a call; ``again_at`` None after TRY_AGAIN gives it up."""
        ...

    def raise_waiting(self, now: datetime, waited: timedelta, limit: int = 500) -> int:
        """Raise studies that have waited so long for a reader from ROUTINE to HIGH; return how many."""
        ...


class NoticeWriter(Protocol):
    """From a call to the message that makes it."""

    def write(self, call: EscalationCall, kind: DestinationKind, now: datetime) -> EvidenceObject:
        """Write the message durably; the same call and attempt give the same message identifier."""
        ...
