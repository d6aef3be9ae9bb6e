"""Tells of drift once: an alarm that is raised or over becomes a log event. By the clock, never in a study's way."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

import structlog

from triage_node.core.drift import DriftAlarm
from triage_node.core.ports import Clock

log = structlog.get_logger(__name__)


class DriftWatch(Protocol):
    """The charts on what the node reads and refuses."""

    def watch(self, now: datetime) -> tuple[Sequence[DriftAlarm], Sequence[str]]:
        """Bring the alarms up to date; return the new ones, and the names of those that are over."""
        ...


def watch_drift(charts: DriftWatch, clock: Clock) -> None:
    """Look at the charts and tell what changed."""
    raised, over = charts.watch(clock.now())
    for alarm in raised:
        log.warning(
            "drift_alarm_raised",
            scanner=str(alarm.scanner),
            measure=alarm.measure.value,
            direction=alarm.direction.value,
            since=alarm.since.isoformat(),
            changed_at=alarm.changed_at.isoformat(),
            reference=round(alarm.reference, 4),
            recent=round(alarm.recent, 4),
        )
    for name in over:
        log.info("drift_alarm_cleared", alarm=name)
