"""Where acknowledged instances lie, and how they came."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from triage_node.core.instance import InstanceHeader


@dataclass(frozen=True)
class AssociationPeer:
    """Who is at the other end of an association, and which one it is (``association_id`` is a random UUID)."""

    association_id: str
    calling_ae_title: str
    called_ae_title: str
    address: str


@dataclass(frozen=True)
class StoredInstance:
    """An instance that is durably in the spool, with how it came; ``peer`` is None when found there at start."""

    header: InstanceHeader
    path: Path
    received_at: datetime
    peer: AssociationPeer | None = None


@dataclass(frozen=True)
class QuarantinedObject:
    """Bytes that could not be kept as an instance, with the reason and the status that was answered."""

    path: Path
    reason: str
    status_code: int
    received_at: datetime
    peer: AssociationPeer | None


class Spool(Protocol):
    """Where acknowledged instances lie."""

    def store(self, header: InstanceHeader, part10: bytes) -> Path:
        """Write durably (fsync, rename, fsync of the folder) and return the path; same instance twice is one file."""
        ...

    def quarantine(self, part10: bytes, reason: str, status_code: int, peer: AssociationPeer | None = None) -> Path:
        """Keep what cannot be read, with its reason and sender beside it."""
        ...

    def free_bytes(self) -> int:
        """Return the free space of the file system."""
        ...
