"""Scanners that fell silent, for Prometheus. The label is the scanner's name, never a patient."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from triage_node.core.ports import Clock, Statistics
from triage_node.core.scanner_silence import ScannerSilence

ASKED_EVERY = timedelta(minutes=1)
"""Silence is a matter of hours, scrapes come every few seconds, and nobody signs in for them."""


class RecentSilences:
    """The scanners as they were when the database was last asked, ``ASKED_EVERY`` ago at most."""

    def __init__(self, source: Statistics, clock: Clock) -> None:
        self._source, self._clock = source, clock
        self._known: tuple[datetime, Sequence[ScannerSilence]] | None = None

    def __call__(self) -> Sequence[ScannerSilence]:
        """Return them."""
        now = self._clock.now()
        if self._known is None or now - self._known[0] >= ASKED_EVERY:
            self._known = now, self._source.scanners(now)
        return self._known[1]


class SilenceCollector(Collector):
    """One gauge a watched scanner; one that sends too seldom to be missed has none."""

    def __init__(self, scanners: Sequence[ScannerSilence]) -> None:
        self._scanners = scanners

    def collect(self) -> Iterable[Metric]:
        """Return the metric."""
        silent = GaugeMetricFamily(
            "triage_node_scanner_silent",
            "1 for a scanner that has sent nothing for much longer than is usual for it, else 0.",
            labels=["scanner"],
        )
        for each in self._scanners:
            if each.watched:
                silent.add_metric([str(each.scanner)], each.silent)
        return [silent]
