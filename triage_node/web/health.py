"""Is the node well: each process by its heartbeat, the studies by state, the disk.

In: the repository and the spool's file system. Out: plain values for the page, the probes and the metrics; never a patient.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from triage_node.core.ports import ProcessPulse, StudyRepository
from triage_node.core.study_state import State

LATE_AFTER = timedelta(seconds=20)
"""A process without a heartbeat for this long counts as gone (heartbeats come every 5 s)."""
NEEDED = ("scp", "worker", "courier", "beat")


@dataclass(frozen=True)
class Health:
    """What the page and the probes show."""

    ready: bool
    missing: tuple[str, ...]
    processes: tuple[ProcessPulse, ...]
    studies: Mapping[State, int]
    free_bytes: int
    checked_at: datetime


def check(source: StudyRepository, spool: Path, now: datetime) -> Health:
    """Return the node's health; ready means that every kind of process has a live heartbeat."""
    alive = tuple(source.processes(seen_since=now - LATE_AFTER))
    names = {each.name for each in alive}
    missing = tuple(name for name in NEEDED if name not in names)
    return Health(
        ready=not missing,
        missing=missing,
        processes=alive,
        studies=source.counts_by_state(),
        free_bytes=shutil.disk_usage(spool if spool.exists() else spool.parent).free,
        checked_at=now,
    )
