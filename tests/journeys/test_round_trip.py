"""A head CT pushed to the AE title comes back as a report and heatmaps: our own storage SCU and SCP as scanner and PACS."""

from __future__ import annotations

import urllib.request

from hospital.node import Node, Results
from hospital.pacs import Pacs
from hospital.scanner import Scanner
from hospital.studies import bleeding_head, head_study, normal_head, study_uid
from pydicom.uid import Comprehensive3DSRStorage, SecondaryCaptureImageStorage


def test_bleeding_head_comes_back_as_report_and_heatmaps(
    node: Node, results: Results, scanner: Scanner, pacs: Pacs
) -> None:
    series = head_study(bleeding_head(), PatientName="Bleeding^Head")
    assert set(scanner.send(series)) == {0x0000}
    row = results.ended(study_uid(series))
    assert (row["state"], row["reason"], row["flagged"], row["priority"]) == ("FORWARDED", None, True, "STAT")
    assert set(row["subtypes"]) == {"CPH", "IVH", "SDH", "EDH", "SAH"}

    arrived = pacs.objects(study_uid(series))
    classes = [each.SOPClassUID for each in arrived]
    assert classes.count(Comprehensive3DSRStorage) == 1
    flagged = {
        each["sop_instance_uid"]
        for each in results.only_series(study_uid(series))["revisions"][0]["slices"]
        if each["flagged"]
    }
    assert flagged
    assert classes.count(SecondaryCaptureImageStorage) == len(flagged)
    assert {str(each.PatientName) for each in arrived} == {"Bleeding^Head"}
    assert {each.AccessionNumber for each in arrived} == {series[0].AccessionNumber}
    assert pacs.times_arrived(study_uid(series)) == {1}


def test_report_refers_to_the_slices_that_were_read(node: Node, results: Results, scanner: Scanner, pacs: Pacs) -> None:
    series = head_study(normal_head())
    scanner.send(series)
    results.ended(study_uid(series))
    (report,) = pacs.of_modality(study_uid(series), "SR")
    (study,) = report.CurrentRequestedProcedureEvidenceSequence
    referenced = {
        (instance.ReferencedSOPClassUID, instance.ReferencedSOPInstanceUID)
        for each in study.ReferencedSeriesSequence
        if each.SeriesInstanceUID == series[0].SeriesInstanceUID
        for instance in each.ReferencedSOPSequence
    }
    assert referenced == {(each.SOPClassUID, each.SOPInstanceUID) for each in series}


def test_head_that_is_not_flagged_comes_back_as_a_report_without_heatmaps(
    node: Node, results: Results, scanner: Scanner, pacs: Pacs
) -> None:
    series = head_study(normal_head())
    scanner.send(series)
    row = results.ended(study_uid(series))
    assert (row["state"], row["flagged"], row["priority"], row["subtypes"]) == ("FORWARDED", False, "ROUTINE", None)
    assert [each.Modality for each in pacs.objects(study_uid(series))] == ["SR"]


def test_slices_are_scored_from_inferior_to_superior(node: Node, results: Results, scanner: Scanner) -> None:
    series = head_study(normal_head())
    scanner.send(list(reversed(series)))
    results.ended(study_uid(series))
    (revision,) = results.only_series(study_uid(series))["revisions"]
    assert [each["sop_instance_uid"] for each in revision["slices"]] == [each.SOPInstanceUID for each in series]


def test_study_sent_twice_is_one_study_read_once(node: Node, results: Results, scanner: Scanner, pacs: Pacs) -> None:
    series = head_study(normal_head())
    scanner.send(series)
    first = results.ended(study_uid(series))
    assert set(scanner.send(series)) == {0x0000}
    marker = head_study(normal_head())
    scanner.send(marker)
    results.ended(study_uid(marker))  # what was sent before it has been indexed and would have been closed, too
    assert results.row(study_uid(series)) == first
    assert results.only_series(study_uid(series))["revision"] == 1
    assert pacs.times_arrived(study_uid(series)) == {1}


def test_health_page_and_metrics_know_the_processes(node: Node) -> None:
    base = f"http://127.0.0.1:{node.http_port}"
    with urllib.request.urlopen(f"{base}/health/ready", timeout=10) as answer:
        assert answer.status == 200
    with urllib.request.urlopen(f"{base}/metrics", timeout=10) as answer:
        metrics = answer.read().decode()
    assert "triage_node_ready 1.0" in metrics
    assert 'triage_node_studies{state="FORWARDED"}' in metrics
