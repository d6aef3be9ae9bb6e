"""What an adapter hands over: the scans that can be used and, each with its reason, those that cannot."""

from __future__ import annotations

from dataclasses import dataclass

from triage_node.training.datasets.labelled_scan import LabelledScan


@dataclass(frozen=True)
class Exclusion:
    """A scan that was left out, and why; it is counted and reported, never forgotten."""

    series: str
    reason: str


@dataclass(frozen=True)
class LabelledDataset:
    """The scans of one source in a fixed order, and what was left out."""

    source: str
    scans: tuple[LabelledScan, ...]
    excluded: tuple[Exclusion, ...] = ()
