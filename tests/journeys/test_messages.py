"""A flagged head CT is told to the RIS, to a pager and to the EHR, each exactly once, whatever they do at first."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hospital.node import UNHURRIED_S, Node
from hospital.receivers import FhirServer, Pager, Ris
from hospital.scanner import Scanner
from hospital.studies import bleeding_head, changed, head_study, normal_head, plain_study, study_uid
from hospital.waiting import wait_until
from pydicom.dataset import Dataset

from triage_node.forwarding.http_post import signature

KEY = b"between the two of us"
NAME = "山田^太郎"


class Told:
    """One node and those that it tells."""

    def __init__(self, folder: Path) -> None:
        self.ris, self.pager, self.ehr = Ris(rejections=2), Pager(refusals=1), FhirServer(lost_answers=1)
        self.node = Node(folder, quiet_period_s=UNHURRIED_S, report_not_analysed=True, not_analysed_wait_s=0.0)
        secret = folder / "pager.key"
        secret.write_bytes(KEY)
        tables = [
            {"name": "ris", "kind": "hl7", "address": self.ris.address},
            {"name": "pager", "kind": "webhook", "address": self.pager.address, "send": "flagged"},
            {"name": "ehr", "kind": "fhir", "address": self.ehr.address},
        ]
        tables[1]["secret_file"] = str(secret)
        with self.node.settings_file.open("a") as file:
            for table in tables:
                lines = (f"{key} = {json.dumps(value)}\n" for key, value in table.items())
                file.write("\n[[destinations]]\n" + "".join(lines))

    def stop(self) -> None:
        self.node.stop()
        for each in (self.ris, self.pager, self.ehr):
            each.stop()


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    told = Told(tmp_path_factory.mktemp("told"))
    try:
        told.node.start()
        yield told
    finally:
        told.stop()


@pytest.fixture(scope="module")
def flagged_study(told: Told, tmp_path_factory: pytest.TempPathFactory) -> list[Dataset]:
    """A bleeding head with an order and a Japanese name, forwarded to everybody."""
    series = head_study(bleeding_head(), PlacerOrderNumberImagingServiceRequest="P|1", AccessionNumber="ACC|of|it")
    for dataset in series:
        changed(dataset, SpecificCharacterSet=["", "ISO 2022 IR 87"], PatientName=f"Yamada^Tarou={NAME}")
    Scanner(told.node.address, tmp_path_factory.mktemp("scanner")).send(series)
    row = told.node.results.ended(study_uid(series), within_s=100)
    assert (row["state"], row["flagged"]) == ("FORWARDED", True)
    return series


def test_ris_gets_one_message_under_one_control_id(told: Told, flagged_study: list[Dataset]) -> None:
    (message,) = told.ris.taken
    assert len(told.ris.attempts) == 3
    assert {str(each["MSH.10"]) for each in told.ris.attempts} == {str(message["MSH.10"])}
    source = flagged_study[0]
    assert str(message["PID.F3.R1.C1"]) == source.PatientID
    assert str(message["PID.F5.R2.C1"]) == NAME.split("^")[0]
    assert str(message["OBR.18"]) == source.AccessionNumber
    assert str(message["ORC.2"]) == "P|1"
    flags = {str(each[3][0][0]): str(each[8]) for each in message.segments("OBX") if str(each[2]) == "CWE"}
    assert flags["1386000"] == "AA"


def test_pager_gets_one_signed_document(told: Told, flagged_study: list[Dataset]) -> None:
    ((headers, body),) = told.pager.taken
    assert headers["X-Triage-Signature"] == signature(KEY, headers["X-Triage-Timestamp"], body)
    assert len({each["X-Triage-Delivery"] for each in told.pager.attempts}) == 1
    document = json.loads(body)
    assert document["study_instance_uid"] == study_uid(flagged_study)
    assert (document["flagged"], document["priority"]) == (True, "STAT")
    assert document["evidence"][0]["kind"] == "SR"
    assert not [each for each in ("Yamada", "山田", str(flagged_study[0].PatientID)) if each in body.decode()]


def test_ehr_has_one_report_though_its_answer_was_lost(told: Told, flagged_study: list[Dataset]) -> None:
    assert told.ehr.attempts == 2
    (report,) = told.ehr.of_kind("DiagnosticReport")
    assert report["basedOn"][0]["identifier"]["value"] == flagged_study[0].AccessionNumber
    assert len(told.ehr.of_kind("Observation")) == 18


def test_pager_that_hears_of_flagged_studies_is_not_told_of_another(
    told: Told, flagged_study: list[Dataset], tmp_path: Path
) -> None:
    series = head_study(normal_head())
    Scanner(told.node.address, tmp_path).send(series)
    row = told.node.results.ended(study_uid(series), within_s=100)
    assert (row["state"], row["flagged"]) == ("FORWARDED", False)
    assert len(told.pager.taken) == 1
    assert len(told.ris.taken) == len(told.ehr.of_kind("DiagnosticReport")) == 2


def test_study_that_could_not_be_read_is_told_with_its_reason(told: Told, tmp_path: Path) -> None:
    series = plain_study(AccessionNumber="WATER")
    Scanner(told.node.address, tmp_path).send(series)
    reason = told.node.results.ended(study_uid(series), within_s=100)["reason"]

    def message() -> Any:
        return next((each for each in told.ris.taken if str(each["OBR.18"]) == "WATER"), None)

    found = wait_until(message, "the RIS is told", within_s=60)
    assert str(found["OBR.25"]) == "I"
    assert [str(each[5][0][0]) for each in found.segments("OBX") if str(each[3][0][0]) == "NOT_ANALYSED"] == [reason]
    wait_until(
        lambda: any(each["status"] == "cancelled" for each in told.ehr.of_kind("DiagnosticReport")), "the EHR too"
    )
    assert all(json.loads(body)["flagged"] for _, body in told.pager.taken)


def test_log_names_no_patient(told: Told, flagged_study: list[Dataset]) -> None:
    source = flagged_study[0]
    log = told.node.log()
    assert "messages_sent" in log
    assert "documents_posted" in log
    assert not [each for each in ("Yamada", "山田", source.PatientID, source.AccessionNumber) if each in log]
