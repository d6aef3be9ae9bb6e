"""Readings, flags, refusals and drift alarms for Prometheus. Labels name scanners and reasons, never a patient."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from triage_node.core.drift import DriftTotals


class DriftCollector(Collector):
    """Totals from the database as counters: they go on where they were after a restart."""

    def __init__(self, totals: DriftTotals) -> None:
        self._totals = totals

    def collect(self) -> Iterable[Metric]:
        """Return the metrics."""
        read = CounterMetricFamily("triage_node_read", "Series read.", labels=["scanner"])
        for scanner, count in self._totals.read.items():
            read.add_metric([str(scanner)], count)
        flagged = CounterMetricFamily("triage_node_flagged", "Series read and flagged.", labels=["scanner"])
        for scanner, count in self._totals.flagged.items():
            flagged.add_metric([str(scanner)], count)
        refused = CounterMetricFamily("triage_node_refused", "Series not read.", labels=["scanner", "reason"])
        for (scanner, reason), count in self._totals.refused.items():
            refused.add_metric([str(scanner), reason], count)
        alarm = GaugeMetricFamily(
            "triage_node_drift_alarm", "1 for each drift alarm that stands.", labels=["scanner", "measure", "direction"]
        )
        for scanner, measure, direction in self._totals.alarms:
            alarm.add_metric([str(scanner), measure, direction], 1)
        return [read, flagged, refused, alarm]
