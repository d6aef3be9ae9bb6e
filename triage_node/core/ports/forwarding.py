"""The way to a destination, and what it answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from triage_node.core.commitment import CommitmentResult, InstanceReference
from triage_node.core.destination import Destination
from triage_node.core.dimse_status import Action
from triage_node.core.ports.evidence import EvidenceObject


@dataclass(frozen=True)
class SendOutcome:
    """What became of one object at one destination.

    ``answered`` is False where the destination said nothing of the object: no connection, silence, an abort. Only that
    counts for the circuit breaker.
    """

    sop_instance_uid: str
    action: Action
    status_code: int | None
    detail: str
    answered: bool = True


class Sender(Protocol):
    """The way to destinations of one kind."""

    def send(self, destination: Destination, objects: Sequence[EvidenceObject]) -> Sequence[SendOutcome]:
        """Send all, over one association or request where that can be; one outcome an object, in order.

        Never raises for what a destination or the network does: one that cannot be reached is TRY_AGAIN for all, with
        ``answered`` False.
        """
        ...

    def verify(self, destination: Destination) -> str:
        """Try the destination without sending anything, and return what it answered; raises ``Transient`` otherwise."""
        ...


@dataclass(frozen=True)
class CommitmentOrder:
    """Instances that one destination is asked to commit to, under a transaction UID that is noted already."""

    transaction_uid: str
    references: tuple[InstanceReference, ...]


@dataclass(frozen=True)
class CommitmentAnswer:
    """What came of a request for commitment.

    Attributes
    ----------
    action
        DONE: the archive took the request. TRY_AGAIN: it did not answer. GIVE_UP: it does not offer the service.
    result
        Its report, where it came over the same association; else it comes later over one of its own.
    """

    action: Action
    detail: str
    result: CommitmentResult | None = None


class CommitmentRequester(Protocol):
    """Storage Commitment SCU."""

    def request(self, destination: Destination, order: CommitmentOrder) -> CommitmentAnswer:
        """Ask an archive to commit to what it was sent. Never raises for what the archive or the network does."""
        ...
