"""Which of a study's series to read: chosen as the node itself chooses (``core.series``), from the same headers.

In: the files of one study. Out: the slices of one series in order, or the reason why none will do.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from triage_node.assembly.header_reader import TruncatedDataset, UnreadableDataset, read_header
from triage_node.core.identifiers import IllegalUid
from triage_node.core.instance import InstanceHeader
from triage_node.core.membership import measured_series
from triage_node.core.series import eligibility, ordered, rank_key
from triage_node.training.datasets.dicom_series import read_series
from triage_node.training.datasets.labelled_scan import DatasetRejected, ScanVolume

Instance = tuple[InstanceHeader, Path]


class NoSuitableSeries(ValueError):
    """None of a study's series is a plain axial head series; the message lists why."""


@dataclass(frozen=True)
class ChosenSeries:
    """The series to read, its slices from inferior to superior."""

    slices: tuple[Instance, ...]

    @property
    def description(self) -> str:
        """What the series calls itself, else the folder it lies in."""
        header, path = self.slices[0]
        return header.series_description or path.parent.name

    @property
    def slice_ids(self) -> tuple[str, ...]:
        """SOP Instance UIDs."""
        return tuple(header.sop_instance_uid for header, _ in self.slices)

    def reader(self) -> partial[ScanVolume]:
        """Return what reads the voxels, to be handed to other processes."""
        spacing_mm = measured_series([header for header, _ in self.slices]).slice_spacing_mm
        return partial(read_series, tuple(path for _, path in self.slices), spacing_mm)


def read_instances(paths: Iterable[Path]) -> list[Instance]:
    """Read headers as the node does.

    Raises
    ------
    DatasetRejected
        A file is not whole, legal DICOM.
    """
    instances = []
    for path in paths:
        try:
            instances.append((read_header(path), path))
        except (UnreadableDataset, TruncatedDataset, IllegalUid, OSError) as error:
            remedy = "Fetch the file again, or remove it together with its labels"
            raise DatasetRejected(path, f"it cannot be read as DICOM ({error})", remedy) from error
    return instances


def chosen_series(
    instances: Iterable[Instance], refused_here: Callable[[InstanceHeader], str | None] = lambda header: None
) -> ChosenSeries:
    """Choose one series of a study.

    Parameters
    ----------
    instances
        All images of the study.
    refused_here
        What the source knows of a series that its tags do not say: a reason, or None.

    Raises
    ------
    NoSuitableSeries
        Every series was refused.
    """
    by_series: dict[str, list[Instance]] = defaultdict(list)
    for header, path in instances:
        by_series[header.series_instance_uid].append((header, path))
    suitable: list[list[Instance]] = []
    reasons: list[str] = []
    for series in sorted(by_series):
        members = by_series[series]
        reason = refused_here(members[0][0]) or _refusal([header for header, _ in members])
        if reason is None:
            suitable.append(members)
        else:
            reasons.append(f"{members[0][0].series_description or 'a series without description'}: {reason}")
    if not suitable:
        raise NoSuitableSeries("no plain axial head series (" + "; ".join(reasons) + ")")
    return ChosenSeries(tuple(ordered(max(suitable, key=lambda each: rank_key([header for header, _ in each])))))


def _refusal(headers: list[InstanceHeader]) -> str | None:
    if any(header.number_of_frames > 1 for header in headers):
        return "multi-frame images are not read from data sets"
    refusal = eligibility(headers)
    return None if refusal is None else f"{refusal.reason} {refusal.detail}".strip()
