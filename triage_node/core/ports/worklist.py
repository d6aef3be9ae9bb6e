"""What the results database keeps of series, deliveries and processes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from triage_node.core.instance import InstanceHeader
from triage_node.core.ports.evidence import EvidenceObject
from triage_node.core.reason import Refusal
from triage_node.core.study_state import State


@dataclass(frozen=True)
class OpenSeries:
    """A series that is still receiving, as far as closing needs to know.

    Attributes
    ----------
    first_received_at, last_received_at
        Of the instances that are new in this revision.
    open_associations
        How many associations that carried the series have not ended.
    aborted_associations
        How many that added to this revision were aborted.
    released_at
        The latest release of an association that added to this revision; None where there was none.
    """

    series_id: int
    revision: int
    first_received_at: datetime
    last_received_at: datetime
    open_associations: int
    aborted_associations: int
    released_at: datetime | None


@dataclass(frozen=True)
class SeriesRecord:
    """One series with its instances' headers and files."""

    series_id: int
    study_id: int
    study_instance_uid: str
    series_instance_uid: str
    revision: int
    state: State
    instances: tuple[tuple[InstanceHeader, Path], ...]


@dataclass(frozen=True)
class NotAnalysedSeries:
    """A series that was refused, for the report that says so."""

    study_id: int
    series_instance_uid: str
    paths: tuple[Path, ...]
    refusal: Refusal
    declined_at: datetime


@dataclass(frozen=True)
class Candidate:
    """A closed series of a study, for choosing the best one to read."""

    series_id: int
    revision: int
    state: State
    refusal_reason: str | None
    headers: tuple[InstanceHeader, ...]


@dataclass(frozen=True)
class DeliveryBatch:
    """Deliveries of one study that became due together at one destination, claimed under a lease."""

    destination: str
    """Its name."""
    objects: tuple[tuple[int, EvidenceObject], ...]
    """(delivery id, object)."""
    attempts: int
    """How many attempts have been made before this one (the most of any object), for the back-off."""
    due_since: datetime
    """When the oldest of these deliveries came into being, for giving up."""


@dataclass(frozen=True)
class ProcessPulse:
    """A sign of life of one process of the node; ``detail`` is what it says of itself, as plain JSON values."""

    name: str
    host: str
    pid: int
    started_at: datetime
    last_seen_at: datetime
    detail: Mapping[str, Any] = field(default_factory=dict)
