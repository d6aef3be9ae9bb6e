"""Is the node well: each process by its heartbeat, the studies by state, the disk.

In: the repository and the spool's file system. Out: plain values for the page, the probes and the metrics; never a patient.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

LATE_AFTER = timedelta(seconds=20)
"""A process without a heartbeat for this long counts as gone (heartbeats come every 5 s)."""
NEEDED = ("scp", "worker", "courier", "beat")


class HealthSource(Protocol):
    """What health needs of the repository."""

    def counts_by_state(self) -> Mapping[str, int]:
        """Return how many studies stand in each state."""
        ...

    def processes(self) -> Sequence[Mapping[str, Any]]:
        """Return the heartbeats: name, host, pid, started_at, last_seen_at, detail."""
        ...


@dataclass(frozen=True)
class Health:
    """What the page and the probes show."""

    ready: bool
    missing: tuple[str, ...]
    processes: tuple[Mapping[str, Any], ...]
    studies: Mapping[str, int]
    free_bytes: int
    checked_at: datetime


def check(source: HealthSource, spool: Path, now: datetime) -> Health:
    """Return the node's health; ready means that every kind of process has a live heartbeat."""
    alive = tuple(each for each in source.processes() if now - each["last_seen_at"] <= LATE_AFTER)
    names = {each["name"] for each in alive}
    missing = tuple(name for name in NEEDED if name not in names)
    return Health(
        ready=not missing,
        missing=missing,
        processes=alive,
        studies=source.counts_by_state(),
        free_bytes=shutil.disk_usage(spool if spool.exists() else spool.parent).free,
        checked_at=now,
    )
