"""Who is called when nobody acknowledges a flagged study, and in which order.

A chain of steps, each a wait since the flag and a place to call: a signed webhook, an HL7 receiver, a mailbox. The first
acknowledgement stops the chain, the last step ends it; nothing of it changes a priority or a finding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

from triage_node.core.destination import Destination, DestinationKind
from triage_node.core.errors import ConfigurationRejected

CALLED_BY = (DestinationKind.WEBHOOK, DestinationKind.EMAIL, DestinationKind.HL7)


@dataclass(frozen=True)
class EscalationStep:
    """One step of the chain.

    Attributes
    ----------
    after_s
        Seconds from the flag until it is due.
    destination
        Who is called; of a kind in ``CALLED_BY``.

    Raises
    ------
    ConfigurationRejected
        On construction.
    """

    after_s: float
    destination: Destination

    def __post_init__(self) -> None:
        if self.destination.kind not in CALLED_BY:
            raise ConfigurationRejected(f"{self.destination}: kind is one of {', '.join(CALLED_BY)}")
        if not self.after_s > 0:
            raise ConfigurationRejected(f"{self.destination}: after_s is a number of seconds over 0")

    def as_table(self) -> dict[str, Any]:
        """Return what ``chain_from_tables`` reads, JSON-ready."""
        return {"after_s": self.after_s} | self.destination.as_table()


def chain_from_tables(tables: Sequence[Mapping[str, Any]]) -> tuple[EscalationStep, ...]:
    """Read the ``[[escalation]]`` tables of the settings, in order; the rest of each table is that of a destination.

    Raises
    ------
    ConfigurationRejected
        Names the step and the key.

    Examples
    --------
    >>> table = {"after_s": 300, "kind": "email", "address": "neuroradiology@hospital.example"}
    >>> [(step.after_s, step.destination.name) for step in chain_from_tables([table])]
    [(300.0, 'escalation 1')]
    """
    steps = []
    for number, table in enumerate(tables, start=1):
        name = f"escalation {number}"
        after_s = table.get("after_s")
        if isinstance(after_s, bool) or not isinstance(after_s, int | float):
            raise ConfigurationRejected(f"{name}: after_s is a number of seconds, not {after_s!r}")
        rest = {key: value for key, value in table.items() if key != "after_s"}
        steps.append(EscalationStep(float(after_s), Destination.from_table({"name": name} | rest)))
    for earlier, later in pairwise(steps):
        if later.after_s <= earlier.after_s:
            raise ConfigurationRejected(f"{later.destination}: after_s is not later than the step before it")
    return tuple(steps)


@dataclass(frozen=True)
class EscalationCall:
    """One step that is due for one study, claimed under a lease.

    Attributes
    ----------
    step
        Counts from 1.
    attempts
        How often it was tried before.
    flagged_at, due_at
        When the study was flagged, and when this step became due.
    subtypes_present
        As the reading that the study shows says.
    """

    escalation_id: int
    step: int
    attempts: int
    flagged_at: datetime
    due_at: datetime
    study_instance_uid: str
    patient_id: str
    patient_name: str
    accession_number: str
    study_description: str
    ich_probability: float
    subtypes_present: tuple[str, ...]

    def waiting_s(self, now: datetime) -> float:
        """Seconds since the flag."""
        return (now - self.flagged_at).total_seconds()
