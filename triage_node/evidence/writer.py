"""The port ``core.ports.EvidenceWriter`` on a folder: from a reading to objects on disk, the same ones each time.

In: an order, or a refusal. Out: files ``STUDY/SOP_INSTANCE.dcm`` below one folder, messages and the bare heatmaps beside
them, and what they are.
No object is returned that was not read back from the disk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, tzinfo
from functools import partial
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset

from triage_node.core.errors import Defect
from triage_node.core.identifiers import checked_uid
from triage_node.core.ports import EarlierReport, EvidenceObject, EvidenceOrder, NotAnalysedOrder
from triage_node.core.report import (
    DEFAULT_EVIDENCE_KINDS,
    EVIDENCE_KINDS,
    EarlierAnswer,
    impression,
    key_slices,
    not_analysed_impression,
)
from triage_node.evidence.durable_file import fsync_folder, write_durably
from triage_node.evidence.kept_heatmaps import keep_heatmaps
from triage_node.evidence.key_objects import key_object_selection
from triage_node.evidence.message_files import MessageFiles
from triage_node.evidence.not_analysed_report import not_analysed_report
from triage_node.evidence.presentation_state import presentation_states
from triage_node.evidence.provenance import ModelIdentity, NodeIdentity, Provenance, study_time_zone
from triage_node.evidence.secondary_capture import HeatmapSource, secondary_capture, warm_up
from triage_node.evidence.source_series import SourceSeries, read_source_instances, read_source_series
from triage_node.evidence.structured_report import structured_report
from triage_node.evidence.summary_pdf import not_analysed_pdf, summary_pdf

NO_MESSAGES = MessageFiles()
_DISK_THREADS = 4


class DicomEvidenceWriter:
    """Writes structured reports, heatmaps, key object selections, presentation states and summaries.

    Parameters
    ----------
    folder
        Where the objects are kept until every destination has them; made where missing.
    station_name
        This node's AE title.
    software_version
        Version of triage_node.
    device_serial_number
        What tells this installation from others.
    kinds
        Which objects are made, of ``core.report.EVIDENCE_KINDS``; a study that is not flagged never gets SC, KO or PR.
    heatmap_limit
        At most so many heatmaps a reading, those of the highest probability; None for all that the order has.
    time_zone
        Zone of the study's dates where the source names none; None for this machine's.
    messages
        Writes the messages that some destination takes.
    """

    def __init__(
        self,
        folder: Path,
        *,
        station_name: str,
        software_version: str,
        device_serial_number: str = "1",
        kinds: Sequence[str] = DEFAULT_EVIDENCE_KINDS,
        heatmap_limit: int | None = None,
        time_zone: tzinfo | None = None,
        messages: MessageFiles = NO_MESSAGES,
    ) -> None:
        unknown = set(kinds) - set(EVIDENCE_KINDS)
        if unknown:
            raise ValueError(f"kinds of evidence are {', '.join(EVIDENCE_KINDS)}, not {', '.join(sorted(unknown))}")
        self._folder = folder
        self._node = NodeIdentity(station_name, software_version, device_serial_number)
        self._kinds = frozenset(kinds)
        self._heatmap_limit = heatmap_limit
        self._time_zone = time_zone
        self._messages = messages
        warm_up()

    def write(self, order: EvidenceOrder) -> Sequence[EvidenceObject]:
        """Write the objects of one reading durably and return them; the same order gives the same files.

        Raises
        ------
        Defect
            The finding does not fit the volume, or a file did not read back as it was written.
        """
        finding = order.finding
        if tuple(each.sop_instance_uid for each in finding.slices) != order.volume.sop_instance_uids:
            raise Defect("the finding's slices are not those of the volume")
        keys = key_slices(finding)
        drawn = self._heatmap_indices(order)
        series = read_source_series(order.volume, {*keys.flagged, keys.top, *drawn})
        identity = (
            series.series_instance_uid,
            str(order.revision),
            finding.weights_sha256,
            finding.operating_point,
            repr(finding.operating_threshold),
        )
        model = ModelIdentity(finding.model_name, finding.model_version, finding.weights_sha256)
        provenance = self._provenance(series, identity, order.classified_at, model, order.revision)
        text = impression(finding, order.revision, _answer(order.predecessor))
        told = partial(self._messages.write, finding, series, provenance, text=text)
        kept = partial(
            keep_heatmaps, order.heatmaps, series_instance_uid=series.series_instance_uid, revision=order.revision
        )
        objects = self._objects(order, drawn, series, provenance, text)
        return self._written(objects, told, series, order.predecessor, kept)

    def write_not_analysed(self, order: NotAnalysedOrder) -> Sequence[EvidenceObject]:
        """Write a report that says that a series was not read, and why, so that silence is never taken for normal."""
        series = read_source_instances(order.paths)
        identity = (series.series_instance_uid, str(order.revision), "not analysed", order.refusal.reason.value)
        provenance = self._provenance(series, identity, order.declined_at, None, order.revision)
        text = not_analysed_impression(order.refusal, order.revision, _answer(order.predecessor))
        told = partial(self._messages.write, order.refusal, series, provenance, text=text)
        objects = self._objects_of_refusal(order, series, provenance, text)
        return self._written(objects, told, series, order.predecessor)

    def _provenance(
        self,
        series: SourceSeries,
        identity: tuple[str, ...],
        when: datetime,
        model: ModelIdentity | None,
        revision: int,
    ) -> Provenance:
        local = when.astimezone(study_time_zone(series.attributes, self._time_zone))
        return Provenance(self._node, identity, local, model, revision)

    def _objects(
        self, order: EvidenceOrder, drawn: Sequence[int], series: SourceSeries, provenance: Provenance, text: str
    ) -> Iterator[tuple[str, Dataset]]:
        finding, flagged = order.finding, key_slices(order.finding).flagged
        source = HeatmapSource(order.volume, finding, order.heatmaps)
        if "SR" in self._kinds:
            yield (
                "SR",
                structured_report(finding, series, provenance, text=text, predecessor=_header(order.predecessor)),
            )
        if "SC" in self._kinds:
            for number, index in enumerate(drawn, start=1):
                yield "SC", secondary_capture(index, number, source, series, provenance)
        if "KO" in self._kinds and finding.flagged and flagged:
            yield "KO", key_object_selection(finding, series, provenance, text=text)
        if "PR" in self._kinds and finding.flagged:
            traced = [index for index in flagged if index in order.heatmaps]
            yield from (("PR", each) for each in presentation_states(traced, source, series, provenance))
        if "PDF" in self._kinds:
            yield "PDF", summary_pdf(drawn, source, series, provenance, text=text)

    def _objects_of_refusal(
        self, order: NotAnalysedOrder, series: SourceSeries, provenance: Provenance, text: str
    ) -> Iterator[tuple[str, Dataset]]:
        earlier = order.predecessor
        if "SR" in self._kinds:
            report = not_analysed_report(order.refusal, series, provenance, text=text, predecessor=_header(earlier))
            yield "SR", report
        if "PDF" in self._kinds:
            yield "PDF", not_analysed_pdf(series, provenance, text=text)

    def _heatmap_indices(self, order: EvidenceOrder) -> list[int]:
        """Return the slices to draw, from inferior to superior."""
        if not order.finding.flagged:
            return []
        slices = order.finding.slices
        strongest = sorted(order.heatmaps, key=lambda index: (-slices[index].ich_probability, index))
        return sorted(strongest[: self._heatmap_limit])

    def _written(
        self,
        objects: Iterable[tuple[str, Dataset]],
        told: Callable[..., list[EvidenceObject]],
        series: SourceSeries,
        earlier: EarlierReport | None,
        kept: Callable[[Path], None] | None = None,
    ) -> list[EvidenceObject]:
        """Write each object while the next one is made: half of the time goes to waiting for the disk.

        The messages come last, because they name the objects. ``kept`` writes into the folder what is never sent.
        """
        folder = self._folder / checked_uid(series.study_instance_uid, "StudyInstanceUID")
        folder.mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(_DISK_THREADS, thread_name_prefix="evidence") as disk:
            keeping = disk.submit(kept, folder) if kept else None
            writing = [disk.submit(_write, kind, dataset, folder) for kind, dataset in objects]
        written = [each.result() for each in writing]
        if keeping:
            keeping.result()
        predecessor_uid = None if earlier is None else earlier.path.stem  # as ``_write`` names files
        written += told(folder, predecessor_uid=predecessor_uid, evidence=tuple(written))
        fsync_folder(folder)
        fsync_folder(self._folder)
        return written


def _write(kind: str, dataset: Dataset, folder: Path) -> EvidenceObject:
    path = folder / f"{dataset.SOPInstanceUID}.dcm"
    write_durably(dataset, path)
    return EvidenceObject(
        kind=kind,
        number=int(dataset.InstanceNumber),
        sop_class_uid=str(dataset.SOPClassUID),
        sop_instance_uid=str(dataset.SOPInstanceUID),
        series_instance_uid=str(dataset.SeriesInstanceUID),
        study_instance_uid=str(dataset.StudyInstanceUID),
        path=path,
    )


def _answer(earlier: EarlierReport | None) -> EarlierAnswer | None:
    return None if earlier is None else earlier.answer


def _header(earlier: EarlierReport | None) -> Dataset | None:
    """Return the header of the earlier report; None where retention has taken it: a report without it beats no report."""
    if earlier is None or not earlier.path.exists():
        return None
    return dcmread(
        earlier.path, specific_tags=["SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"]
    )
