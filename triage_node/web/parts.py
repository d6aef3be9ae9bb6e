"""What the web application stands on: one field a part, given by the composition root, taken by the pages that need it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from triage_node.core.drift import DriftTotals
from triage_node.core.ports import AuditTrail, Clock, ReaderTasks, SliceImages, StudyRepository, Visitors
from triage_node.web.health import Health


@dataclass(frozen=True)
class WebParts:
    """The parts.

    Attributes
    ----------
    version
        Of the node; shown on every page.
    clock
        The time.
    health
        Called for each health page, probe and scrape.
    visitors
        Who sends a request.
    audit
        Where every view of a patient and every change is noted.
    reader_tasks
        Who reads which study, and what they said of it.
    studies
        The record of each study, and its deliveries.
    images
        Slices and heatmaps.
    drift_totals
        Called for each scrape of the metrics; without it they say nothing of readings.
    """

    version: str
    clock: Clock
    health: Callable[[], Health]
    visitors: Visitors
    audit: AuditTrail
    reader_tasks: ReaderTasks
    studies: StudyRepository
    images: SliceImages
    drift_totals: Callable[[], DriftTotals] | None = None
