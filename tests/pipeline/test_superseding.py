"""Late slices, told to the end: the real repository and the real writer, with a reader and a cascade that say what they must."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakes.site import Site
from fakes.slices import HEAD_SLICES, head
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from triage_node.core.ports import StoredInstance
from triage_node.core.report import EVIDENCE_KINDS
from triage_node.evidence.writer import DicomEvidenceWriter

FIRST = range(HEAD_SLICES - 1)
LATE = [HEAD_SLICES - 1]


@pytest.fixture
def writing(site: Site, tmp_path: Path) -> Site:
    site.writer = DicomEvidenceWriter(  # type: ignore[assignment]
        tmp_path / "evidence", station_name="TRIAGE", software_version="0.1.0", kinds=EVIDENCE_KINDS
    )
    site.rules = {"report_not_analysed": True}
    return site


def on_disk(stored: list[StoredInstance], folder: Path) -> list[StoredInstance]:
    """The same slices as files, as far as evidence reads them."""
    return [StoredInstance(each.header, _file(each, folder), each.received_at, each.peer) for each in stored]


def _file(stored: StoredInstance, folder: Path) -> Path:
    header, dataset = stored.header, Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = header.sop_class_uid, header.sop_instance_uid
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = header.study_instance_uid, header.series_instance_uid
    dataset.PatientName, dataset.PatientID = "Doe^Jane", "PID-1"
    dataset.RescaleSlope, dataset.RescaleIntercept = "1", "-1024"
    path = folder / f"{header.sop_instance_uid}.dcm"
    dataset.save_as(path, enforce_file_format=True)
    return path


def read_next(site: Site, stored: list[StoredInstance]) -> None:
    site.arrive(stored)
    site.clock.advance(10)
    assert site.path.close_ready() == 1
    site.reading.read(*site.bell.reads[-1])


def evidence(site: Site, kind: str, revision: int) -> list[Dataset]:
    (found,) = [each for each in site.series()["revisions"] if each["revision"] == revision]
    return [dcmread(each["path"]) for each in found["evidence"] if each["kind"] == kind]


def said(report: Dataset) -> str:
    impressions = next(
        item for item in report.ContentSequence if item.ConceptNameCodeSequence[0].CodeMeaning == "Impressions"
    )
    return str(impressions.ContentSequence[0].TextValue)


@pytest.mark.parametrize(
    ("then", "told"),
    [
        (0.9, "Revision 2: this report replaces the earlier one. The answer has not changed."),
        (0.1, "Revision 2: this report replaces the earlier one. The answer has changed: it was flagged."),
    ],
    ids=["not_changed", "changed"],
)
def test_late_slice_brings_a_report_that_supersedes(writing: Site, tmp_path: Path, then: float, told: str) -> None:
    read_next(writing, on_disk(head(writing.clock.now(), numbers=FIRST), tmp_path))
    writing.cascade.ich_probability = then
    read_next(writing, on_disk(head(writing.clock.now(), numbers=LATE, association="a2"), tmp_path))
    (first,), (second,) = (evidence(writing, "SR", revision) for revision in (1, 2))
    (predecessor,) = second.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence
    assert predecessor.ReferencedSOPInstanceUID == first.SOPInstanceUID
    assert told in said(second)
    assert "replaces" not in said(first)
    assert f"{HEAD_SLICES} slices were read" in said(second)
    for kind in ("SR", "SC", "KO", "PR", "PDF"):
        old = {each.SOPInstanceUID for each in evidence(writing, kind, 1)}
        new = evidence(writing, kind, 2)
        assert old.isdisjoint(each.SOPInstanceUID for each in new)
        assert all(each.SeriesDescription.endswith("(revision 2)") for each in new)
    assert (evidence(writing, "KO", 2) == []) is (then < 0.5)


def test_priority_stays_where_a_superseding_report_takes_the_flag_back(writing: Site, tmp_path: Path) -> None:
    read_next(writing, on_disk(head(writing.clock.now(), numbers=FIRST), tmp_path))
    writing.cascade.ich_probability = 0.1
    read_next(writing, on_disk(head(writing.clock.now(), numbers=LATE, association="a2"), tmp_path))
    assert (writing.study()["flagged"], writing.study()["priority"]) == (False, "STAT")


def test_reading_after_not_analysed_supersedes_that_report(writing: Site, tmp_path: Path) -> None:
    gap = [number for number in FIRST if number != 10]
    writing.arrive(on_disk(head(writing.clock.now(), numbers=gap), tmp_path))
    writing.clock.advance(10)
    assert writing.path.close_ready() == 1
    writing.clock.advance(61)
    writing.path.ring_due()
    writing.reading.report_not_analysed(*writing.bell.reports[-1])
    (refused,) = evidence(writing, "SR", 1)
    assert said(refused).startswith("NOT ANALYSED for intracranial hemorrhage: Slices are missing within the series.")
    read_next(writing, on_disk(head(writing.clock.now(), numbers=[10], association="a2"), tmp_path))
    (report,) = evidence(writing, "SR", 2)
    (predecessor,) = report.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence
    assert predecessor.ReferencedSOPInstanceUID == refused.SOPInstanceUID
    assert "The answer has changed: it was not analysed." in said(report)
