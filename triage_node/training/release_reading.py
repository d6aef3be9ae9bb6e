"""Run a release over a labelled data set, as the node would, and keep its scores beside the labels.

In: a release of weights and labelled scans. Out: ``Predictions``. A release must not be judged on patients it was trained on:
its manifest names them, and they are refused or, where the operator insists, warned of.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from triage_node.cascade.preprocessing import slice_groups
from triage_node.cascade.weights import MANIFEST_NAME, OperatingPoint, Release
from triage_node.core.finding import SUBTYPES
from triage_node.training.datasets.labelled_dataset import LabelledDataset, subject_digest
from triage_node.training.datasets.labelled_scan import TARGETS, DatasetRejected, LabelledScan
from triage_node.training.evaluate import Thresholds
from triage_node.training.heatmap_scores import MaskedSlice
from triage_node.training.predictions import Predictions, SlicePredictions, subject_names
from triage_node.training.region_masks import RegionMask

if TYPE_CHECKING:
    from triage_node.cascade.runner import Cascade

FloatArray = npt.NDArray[np.float64]


class ScanReader(Protocol):
    """Who reads a scan: one release, or that of a run's networks which did not see the patient."""

    name: str
    operating_point: OperatingPoint

    def cascade_for(self, scan: LabelledScan) -> Cascade:
        """Give the networks to read the scan with."""
        ...

    def fold_of(self, scan: LabelledScan) -> str:
        """Name the fold that kept the patient aside, empty where there are no folds."""
        ...


class ReleaseReader:
    """One release reads everything.

    Parameters
    ----------
    cascade
        The release, resident.
    name
        In tables; the release's where None.
    """

    def __init__(self, cascade: Cascade, name: str | None = None) -> None:
        self.name = name or cascade.release.name
        self.operating_point = cascade.operating_point
        self._cascade = cascade

    def cascade_for(self, scan: LabelledScan) -> Cascade:
        """Give the release, whoever the patient is."""
        return self._cascade

    def fold_of(self, scan: LabelledScan) -> str:
        """Say that there are no folds."""
        return ""


@dataclass(frozen=True)
class TrainedOn:
    """What a manifest says of the patients of a data set.

    Attributes
    ----------
    subjects
        Those that the release was trained on.
    source_named_without_subjects
        The manifest names the data set and not which patients of it.
    """

    subjects: tuple[str, ...]
    source_named_without_subjects: bool


def trained_on(training: Mapping[str, Any], source: str, subjects: Sequence[str]) -> TrainedOn:
    """Look patients up in the ``training`` part of a manifest, where ``sources`` describes each data set.

    Parameters
    ----------
    training
        ``sources`` maps names to descriptions, whose ``subject_digests``, made with ``subject_digest_salt``, name the
        patients; ``started_from`` holds the same of the release that the training started from.
    source
        Name of the data set.
    subjects
        Patients that are to be judged.
    """
    before = training.get("started_from")
    earlier = trained_on(before["training"], source, subjects) if before else TrainedOn((), False)
    described = training.get("sources", {})
    if source not in described:
        return earlier
    digests = described[source].get("subject_digests") if isinstance(described, Mapping) else None
    if digests is None:
        return TrainedOn(earlier.subjects, True)
    known, salt = set(digests), str(described[source].get("subject_digest_salt", ""))
    seen = {each for each in subjects if subject_digest(source, each, salt) in known}.union(earlier.subjects)
    return TrainedOn(tuple(each for each in subjects if each in seen), earlier.source_named_without_subjects)


def refuse_trained_on(release: Release, dataset: LabelledDataset, *, allow: bool) -> list[str]:
    """Refuse to judge a release on its own training patients, or warn of it.

    Returns
    -------
    What the report says in large letters; nothing where no patient was trained on.

    Raises
    ------
    DatasetRejected
        Patients were trained on and ``allow`` is False.
    """
    subjects = list(dict.fromkeys(scan.subject for scan in dataset.scans))
    found = trained_on(release.manifest.get("training", {}), dataset.source, subjects)
    if found.source_named_without_subjects:
        said = f"{release.name} was trained on {dataset.source} and does not say on which patients"
        return [f"{said}: these figures may be too good."]
    if not found.subjects:
        return []
    said = f"{release.name} was trained on {len(found.subjects)} of these {len(subjects)} patients"
    if not allow:
        problem = f"{said} (for example {', '.join(found.subjects[:3])})"
        remedy = "Evaluate its out-of-fold predictions or other patients, or insist with --even-if-trained-on"
        raise DatasetRejected(release.folder / MANIFEST_NAME, problem, remedy)
    return [f"{said}: these figures are not of unseen patients and must not be reported as such."]


def thresholds_of(point: OperatingPoint) -> Thresholds:
    """Take the thresholds of an operating point."""
    return Thresholds(point.threshold, point.slice_threshold, dict(point.subtype_thresholds))


def read_dataset(reader: ScanReader, scans: Iterable[LabelledScan]) -> Predictions:
    """Read every scan with both stages, stage two whether or not stage one is positive.

    Parameters
    ----------
    reader
        With what.
    scans
        Read one by one; where a patient has several, each is judged as ``patient/series``.
    """
    rows = [(scan, *_scores(reader.cascade_for(scan), scan)) for scan in scans]
    read = [scan for scan, _, _ in rows]
    return Predictions(
        name=reader.name,
        subjects=subject_names([scan.subject for scan in read], [scan.series for scan in read]),
        folds=tuple(reader.fold_of(scan) for scan in read),
        scores=np.stack([subject for _, subject, _ in rows]),
        labels=np.stack([scan.labels for scan in read]).astype(np.float64),
        slices=_slices(read, [slices for _, _, slices in rows]),
        thresholds=np.tile(_limits(reader.operating_point), (len(read), 1)),
    )


def _limits(point: OperatingPoint) -> FloatArray:
    return np.array([point.threshold, *(point.subtype_thresholds[kind] for kind in SUBTYPES)], dtype=np.float64)


def masked_slices(
    reader: ScanReader, scans: Iterable[LabelledScan], regions: Sequence[RegionMask]
) -> Iterator[MaskedSlice]:
    """Explain every slice that carries a region, whether or not it is flagged, by its own score and by the subject's.

    Parameters
    ----------
    reader
        With what.
    scans
        Those without a region are not read.
    regions
        Matched by series and slice.
    """
    drawn: dict[str, list[RegionMask]] = {}
    for region in regions:
        drawn.setdefault(region.series, []).append(region)
    for scan in scans:
        if scan.series not in drawn:
            continue
        loaded = scan.load()
        reading = reader.cascade_for(scan).read_volume(
            loaded.volume_hu, loaded.slice_spacing_mm, scan.slice_ids, pixel_spacing_mm=loaded.pixel_spacing_mm
        )
        by_name = {"heatmap of the slice's score": reading.heatmaps("all")}
        by_name["heatmap of the subject's score"] = reading.heatmaps("subject")
        for region in drawn[scan.series]:
            if region.slice_id in scan.slice_ids:
                index = scan.slice_ids.index(region.slice_id)
                slice_hu = loaded.volume_hu[index]
                mask = region.load((slice_hu.shape[0], slice_hu.shape[1]))
                shown = {name: heatmaps[index] for name, heatmaps in by_name.items()}
                yield MaskedSlice(scan.subject, slice_hu, shown, mask)


def _scores(cascade: Cascade, scan: LabelledScan) -> tuple[FloatArray, FloatArray]:
    """Calibrated scores of the subject, (6,), and of its slices, (slices, 6)."""
    loaded = scan.load()
    logits = cascade.logits(loaded.volume_hu, loaded.slice_spacing_mm, loaded.pixel_spacing_mm)
    assert logits.subtypes is not None
    assert logits.subtype_slices is not None
    of = cascade.release.calibrations
    subject = [of["subject"].probabilities(np.array([logits.subject]))[0]]
    subject += [of[kind].probabilities(logits.subtypes[[index]])[0] for index, kind in enumerate(SUBTYPES)]
    slices = [of["slice"].probabilities(logits.slices)]
    slices += [of[kind].probabilities(logits.subtype_slices[:, index]) for index, kind in enumerate(SUBTYPES)]
    group_of_slice = np.empty(scan.slice_count, dtype=np.intp)
    for group, (start, stop) in enumerate(slice_groups(scan.slice_count, loaded.slice_spacing_mm)):
        group_of_slice[start:stop] = group
    return np.array(subject), np.stack(slices, axis=1)[group_of_slice]


def _slices(scans: Sequence[LabelledScan], scores: Sequence[FloatArray]) -> SlicePredictions:
    unknown = [np.full((scan.slice_count, len(TARGETS)), np.nan) for scan in scans]
    labels = [
        blank if scan.slice_labels is None else scan.slice_labels.astype(np.float64)
        for scan, blank in zip(scans, unknown, strict=True)
    ]
    return SlicePredictions(
        subject_index=np.repeat(np.arange(len(scans)), [scan.slice_count for scan in scans]),
        slice_ids=tuple(each for scan in scans for each in scan.slice_ids),
        scores=np.vstack(scores),
        labels=np.vstack(labels),
    )
