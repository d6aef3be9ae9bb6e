"""From a reading to objects on disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from triage_node.core.finding import Finding
from triage_node.core.ports.reading import SeriesVolume
from triage_node.core.reason import Refusal
from triage_node.core.report import EarlierAnswer


@dataclass(frozen=True)
class EvidenceObject:
    """One DICOM object made by this node, on disk.

    ``kind`` is one of ``core.destination.OBJECT_KINDS``; ``number`` counts objects of one kind from 1.
    """

    kind: str
    number: int
    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    study_instance_uid: str
    path: Path


@dataclass(frozen=True)
class EarlierReport:
    """A report that was written before, and what it said."""

    path: Path
    answer: EarlierAnswer


@dataclass(frozen=True)
class EvidenceOrder:
    """All that the evidence of one reading is made from; ``predecessor`` is the report that it supersedes."""

    volume: SeriesVolume
    finding: Finding
    heatmaps: Mapping[int, npt.NDArray[np.float32]]
    revision: int
    classified_at: datetime
    predecessor: EarlierReport | None = None


@dataclass(frozen=True)
class NotAnalysedOrder:
    """All that the report on a series that was not read is made from."""

    paths: Sequence[Path]
    refusal: Refusal
    revision: int
    declined_at: datetime
    predecessor: EarlierReport | None = None


class EvidenceWriter(Protocol):
    """From a reading to DICOM objects in the source study."""

    def write(self, order: EvidenceOrder) -> Sequence[EvidenceObject]:
        """Write the objects durably and return them; the same order gives the same UIDs."""
        ...

    def write_not_analysed(self, order: NotAnalysedOrder) -> Sequence[EvidenceObject]:
        """Write durably that a series was not read, and why; empty where no kind of evidence that is made can say so."""
        ...
