"""A second release reads in the shadow of the active one: after its evidence is due, and nobody hears of it.

In: the volume that was just read. Out: one row beside the finding. Whatever goes wrong here is logged and touches no
study; while another series waits for this worker, the shadow is left out, so that no flag waits for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import structlog

from triage_node.core.finding import Finding
from triage_node.core.ports import Classifier, Clock, SeriesVolume, StudyRepository

log = structlog.get_logger(__name__)


class ShadowLog(Protocol):
    """Where findings of the shadow are kept."""

    def save(self, series_id: int, revision: int, finding: Finding, read_at: datetime) -> None:
        """Keep one finding; the same step twice is one."""
        ...


@dataclass(frozen=True)
class ShadowPath:
    """The shadow's part of the worker."""

    classifier: Classifier
    shadow_log: ShadowLog
    repository: StudyRepository
    clock: Clock

    def read(self, series_id: int, revision: int, volume: SeriesVolume) -> None:
        """Read a volume once more; never raises for what happens meanwhile."""
        try:
            if self.repository.due_for_reading(self.clock.now()):
                log.info("shadow_left_out", series_id=series_id, revision=revision)
                return
            finding = self.classifier.read(volume).finding
            self.shadow_log.save(series_id, revision, finding, self.clock.now())
        except Exception:
            log.exception("shadow_failed", series_id=series_id, revision=revision)
        else:
            log.info("shadow_read", series_id=series_id, revision=revision, release=finding.model_name)
