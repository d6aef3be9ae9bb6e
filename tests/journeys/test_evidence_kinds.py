"""A site that wants everything: contours and summaries beside the report, and to be told what was not read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hospital.node import UNHURRIED_S, Node
from hospital.pacs import Pacs
from hospital.scanner import Scanner
from hospital.studies import bleeding_head, coarse_head, ct_series, head_study, study_uid
from hospital.waiting import wait_until

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def thorough(tmp_path_factory: pytest.TempPathFactory, pacs: Pacs) -> Iterator[Node]:
    """A node with every kind of evidence."""
    node = Node(
        tmp_path_factory.mktemp("thorough"),
        [pacs.address],
        quiet_period_s=UNHURRIED_S,
        evidence_kinds=["SR", "SC", "KO", "PR", "PDF"],
        report_not_analysed=True,
        not_analysed_wait_s=0.5,
        installation_id="er-1",
    )
    try:
        node.start()
        yield node
    finally:
        node.stop()


def test_every_kind_of_evidence_reaches_the_pacs_once(thorough: Node, pacs: Pacs, tmp_path: Path) -> None:
    series = head_study(bleeding_head())
    Scanner(thorough.address, tmp_path).send(series)
    assert thorough.results.ended(study_uid(series))["state"] == "FORWARDED"
    arrived = pacs.objects(study_uid(series))
    assert {each.Modality for each in arrived} == {"SR", "OT", "KO", "PR", "DOC"}
    assert {each.DeviceSerialNumber for each in arrived} == {"er-1"}
    assert pacs.times_arrived(study_uid(series)) == {1}


def test_series_with_a_gap_is_reported_as_not_analysed_once(thorough: Node, pacs: Pacs, tmp_path: Path) -> None:
    series = head_study(coarse_head())
    kept = [each for index, each in enumerate(series) if index not in (8, 9)]
    Scanner(thorough.address, tmp_path).send(kept)
    wait_until(lambda: len(pacs.objects(study_uid(series))) == 2, "a report and its page", within_s=60)
    (report,) = pacs.of_modality(study_uid(series), "SR")
    assert report.SeriesDescription.endswith("NOT ANALYSED")
    row = thorough.results.row(study_uid(series))
    assert row is not None
    assert (row["state"], row["reason"]) == ("NOT_ANALYSED", "MISSING_SLICES")
    assert pacs.times_arrived(study_uid(series)) == {1}


@pytest.mark.timeout(600)
def test_series_of_two_thousand_slices_is_reported_with_its_reason(thorough: Node, pacs: Pacs, tmp_path: Path) -> None:
    """The pixels are few: it is the instances that are many."""
    side, count = 16, 2000
    series = ct_series(
        np.zeros((count, side, side), np.int16), spacing_mm=0.12, pixel_spacing_mm=(230 / side, 230 / side)
    )
    assert set(Scanner(thorough.address, tmp_path).send(series)) == {0x0000}
    wait_until(lambda: len(pacs.objects(study_uid(series))) == 2, "a report and its page", within_s=240)
    row = thorough.results.row(study_uid(series))
    assert row is not None
    assert (row["state"], row["reason"]) == ("NOT_ANALYSED", "TOO_MANY_SLICES")
    (report,) = pacs.of_modality(study_uid(series), "SR")
    evidence = report.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0]
    assert len(evidence.ReferencedSOPSequence) == count
