"""Drift in the metrics: totals by scanner and reason, alarms that stand, and nothing else in the labels."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, generate_latest

from triage_node.core.drift import EVERY_SCANNER, DriftTotals, Scanner
from triage_node.web.drift_metrics import DriftCollector


def test_totals_and_alarms_are_exported_by_scanner() -> None:
    scanner = Scanner("CT1", "SOMATOM7")
    totals = DriftTotals(
        read={scanner: 12},
        flagged={scanner: 3},
        refused={(scanner, "CONTRAST"): 4},
        alarms=[(EVERY_SCANNER, "positive_rate", "down")],
    )
    registry = CollectorRegistry()
    registry.register(DriftCollector(totals))
    lines = [line for line in generate_latest(registry).decode().splitlines() if not line.startswith("#")]
    assert lines == [
        'triage_node_read_total{scanner="CT1/SOMATOM7"} 12.0',
        'triage_node_flagged_total{scanner="CT1/SOMATOM7"} 3.0',
        'triage_node_refused_total{reason="CONTRAST",scanner="CT1/SOMATOM7"} 4.0',
        'triage_node_drift_alarm{direction="down",measure="positive_rate",scanner="all scanners"} 1.0',
    ]
