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

    def subject_digests(self, salt: str) -> list[str]:
        """Digests of the patients, sorted: what a release's manifest keeps of whom it was trained on."""
        return sorted({subject_digest(self.source, scan.subject, salt) for scan in self.scans})


def subject_digest(source: str, subject: str, salt: str) -> str:
    """Name a patient of a data set without saying the name.

    Who has the digest can still try out names, so that a hospital treats it as a pseudonym.

    Parameters
    ----------
    salt
        Drawn anew for every release, so that the same patient cannot be followed from one to the next.

    Examples
    --------
    >>> subject_digest("ct-ich", "CTICH-049", "5a17")
    '98c381b40e071082'
    """
    return hashlib.sha256(f"{salt}:{source}:{subject}".encode()).hexdigest()[:16]
