"""What administrators ask of the results: figures over a window of time, and scanners that fell silent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from triage_node.core.errors import ConfigurationRejected
from triage_node.core.measured_load import MeasuredLoad
from triage_node.core.scanner_silence import ScannerSilence

LONGEST_WINDOW = timedelta(days=366)


@dataclass(frozen=True)
class Window:
    """From ``since`` (with it) to ``until`` (without it); both aware.

    Raises
    ------
    ConfigurationRejected
        It is empty, longer than ``LONGEST_WINDOW``, or a time has no time zone.
    """

    since: datetime
    until: datetime

    def __post_init__(self) -> None:
        if self.since.tzinfo is None or self.until.tzinfo is None:
            raise ConfigurationRejected("times need a time zone, for example 2026-03-01T00:00:00Z")
        if not timedelta(0) < self.until - self.since <= LONGEST_WINDOW:
            raise ConfigurationRejected(
                f"the window must end after it begins and last {LONGEST_WINDOW.days} days at most,"
                f" not from {self.since.isoformat()} to {self.until.isoformat()}"
            )


class Statistics(Protocol):
    """Figures of the results database; none of them leads to a patient."""

    def statistics(self, window: Window) -> Mapping[str, Any]:
        """Return the figures; JSON-ready.

        ``volume``, ``time_to_flag``, ``acknowledgement``: of studies received in the window. ``agreement``: of what readers
        said in it. ``refusals``: of series refused in it.
        """
        ...

    def scanners(self, now: datetime) -> Sequence[ScannerSilence]:
        """Return every scanner of the last days, the silent ones first, then by name."""
        ...

    def load(self, window: Window) -> MeasuredLoad:
        """Return how many studies came in the window, when, and how long they took to read."""
        ...
