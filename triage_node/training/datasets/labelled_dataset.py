"""What an adapter hands over: the scans that can be used and, each with its reason, those that cannot."""

from __future__ import annotations

import hashlib
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

    @property
    def subject_digests(self) -> list[str]:
        """Digests of the patients, sorted: what a release's manifest keeps of whom it was trained on."""
        return sorted({subject_digest(self.source, scan.subject) for scan in self.scans})


def subject_digest(source: str, subject: str) -> str:
    """Name a patient of a data set without saying the name.

    Examples
    --------
    >>> subject_digest("ct-ich", "CTICH-049")
    'fbe64fb25c19b7fd'
    """
    return hashlib.sha256(f"{source}:{subject}".encode()).hexdigest()[:16]
