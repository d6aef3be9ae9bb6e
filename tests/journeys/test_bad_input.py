"""What hospitals really send: each ends with its reason, what came beside it is read, and nothing is lost."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hospital.node import Node, Results, command
from hospital.pacs import Pacs
from hospital.scanner import Scanner
from hospital.studies import changed, coarse_head, head_study, plain_study, study_uid, written
from hospital.waiting import wait_until
from pydicom.dataset import Dataset
from pydicom.uid import (
    MRImageStorage,
    SecondaryCaptureImageStorage,
    UltrasoundImageStorage,
    XRayRadiationDoseSRStorage,
)

from triage_node.core.study_state import State


def _quarantined(results: Results, words: str) -> dict[str, Any]:
    """Wait for the note of a quarantined object whose reason has these words."""

    def note() -> Any:
        return next((each for each in results.repository.quarantined() if words in each["reason"]), None)

    return dict(wait_until(note, f"a quarantined object: {words}", within_s=15))


def _still_reads(results: Results, scanner: Scanner) -> None:
    """Nothing else suffered: a head sent now is read."""
    series = head_study(coarse_head())
    assert set(scanner.send(series)) == {0x0000}
    assert results.ended(study_uid(series))["state"] == "FORWARDED"


# on the port ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\nHost: triage\r\n\r\n",
        b"\x00" * 4096,
        b"\x01\x00\xff\xff\xff\xff",
        b"\x01\x00\x00\x00\x00\x44" + b"\xff" * 0x44,
        b"",
    ],
    ids=["http", "zeros", "a PDU of four gigabytes", "a broken association request", "nothing"],
)
def test_what_is_not_dicom_is_hung_up_on_and_the_port_serves_on(node: Node, scanner: Scanner, sent: bytes) -> None:
    with socket.create_connection((node.address.host, node.address.port), timeout=10) as connection:
        connection.sendall(sent)
        if sent:
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(4096):
                pass
        scanner.echo()


def test_association_for_another_ae_title_is_rejected(node: Node, tmp_path: Path) -> None:
    tried = command("echo", "--to", f"NOBODY@{node.address.host}:{node.address.port}")
    assert tried.returncode == 1
    assert "Called AE title not recognised" in tried.stderr


# broken off and broken --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["abort", "hang_up"])
def test_half_a_dataset_is_not_kept_and_the_rest_can_be_sent_again(
    node: Node, results: Results, scanner: Scanner, how: str
) -> None:
    series = head_study(coarse_head())
    with scanner.association(series) as association:
        assert [association.store(dataset) for dataset in series[:5]] == [0x0000] * 5
        association.store_half(series[5])
        getattr(association, how)()
    wait_until(lambda: results.row(study_uid(series)), "the first slices are indexed")
    assert not list((node.data_dir / "spool" / series[5].SeriesInstanceUID).glob(f"{series[5].SOPInstanceUID}*"))
    assert set(scanner.send(series)) == {0x0000}
    row = results.ended(study_uid(series))
    assert (row["state"], row["reason"]) == ("FORWARDED", None)
    assert results.only_series(study_uid(series))["instance_count"] == len(series)


def test_series_broken_off_ends_with_its_reason_when_nothing_more_comes(
    node: Node, results: Results, scanner: Scanner
) -> None:
    series = plain_study(28)
    with scanner.association(series) as association:
        for dataset in series[:5]:
            association.store(dataset)
        association.abort()
    row = results.ended(study_uid(series))
    assert (row["state"], row["reason"]) == ("NOT_ANALYSED", "TOO_FEW_SLICES")


def test_truncated_dataset_is_quarantined_and_the_study_says_what_is_missing(
    node: Node, results: Results, scanner: Scanner, tmp_path: Path
) -> None:
    series = head_study(coarse_head())
    paths = written(series, tmp_path / "cut")
    paths[9].write_bytes(paths[9].read_bytes()[:-3000])
    statuses = scanner.send_files(paths)
    assert statuses[9] == 0xC000
    assert set(statuses[:9] + statuses[10:]) == {0x0000}
    note = _quarantined(results, "element (7FE0,0010) declares")
    assert note["calling_ae_title"] == "CT1"
    assert Path(note["path"]).exists()
    row = results.ended(study_uid(series))
    assert (row["state"], row["reason"]) == ("NOT_ANALYSED", "MISSING_SLICES")


def test_slice_that_was_truncated_and_is_sent_again_completes_the_study(
    node: Node, results: Results, scanner: Scanner, tmp_path: Path
) -> None:
    series = head_study(coarse_head())
    paths = written(series, tmp_path / "cut")
    whole = paths[9].read_bytes()
    paths[9].write_bytes(whole[:-3000])
    scanner.send_files(paths)
    assert results.ended(study_uid(series))["reason"] == "MISSING_SLICES"
    paths[9].write_bytes(whole)
    assert scanner.send_files(paths[9:10]) == [0x0000]
    wait_until(lambda: (results.row(study_uid(series)) or {})["state"] == "FORWARDED", "the whole study is read")
    assert results.only_series(study_uid(series))["revision"] == 2


def test_dataset_with_an_illegal_uid_is_quarantined_outside_of_any_path(
    node: Node, results: Results, scanner: Scanner
) -> None:
    (dataset,) = plain_study(1)
    changed(dataset, SeriesInstanceUID="../../../../escaped")
    assert scanner.send([dataset]) == [0xC000]
    _quarantined(results, "SeriesInstanceUID is not a legal UID")
    assert not list(node.folder.rglob("escaped*"))


# what is no head CT ---------------------------------------------------------------------------------------------------


def _mr() -> list[Dataset]:
    return plain_study(20, SOPClassUID=MRImageStorage, Modality="MR", KVP=None)


def _ultrasound() -> list[Dataset]:
    return plain_study(1, SOPClassUID=UltrasoundImageStorage, Modality="US", ImagePositionPatient=None, KVP=None)


def _localizer() -> list[Dataset]:
    return plain_study(2, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"], SeriesDescription="Topogram 0.6")


def _dose_report() -> list[Dataset]:
    without = dict.fromkeys(
        ("PixelData", "Rows", "Columns", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "ImageType")
    )
    return plain_study(1, SOPClassUID=XRayRadiationDoseSRStorage, SeriesDescription="Dose Report", **without)


def _dose_page() -> list[Dataset]:
    types = ["DERIVED", "SECONDARY", "DOSE_INFO"]
    return plain_study(1, SOPClassUID=SecondaryCaptureImageStorage, ImageType=types, SeriesDescription="Dose Report")


def _no_pixels() -> list[Dataset]:
    return plain_study(28, PixelData=None)


def _chest_by_tag() -> list[Dataset]:
    return plain_study(40, BodyPartExamined="CHEST", SeriesDescription="THORAX 5.0", StudyDescription="CT THORAX")


def _water() -> list[Dataset]:
    return plain_study(28, size=128)


def _contrast() -> list[Dataset]:
    return plain_study(28, ContrastBolusAgent="IOHEXOL 300")


def _gap() -> list[Dataset]:
    series = plain_study(28)
    return series[:12] + series[13:]


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (_mr, "NOT_CT"),
        (_ultrasound, "NOT_CT"),
        (_localizer, "LOCALIZER"),
        (_dose_report, "NOT_CT"),
        (_dose_page, "DERIVED"),
        (_no_pixels, "NO_PIXELS"),
        (_chest_by_tag, "NOT_HEAD"),
        (_water, "NOT_HEAD"),
        (_contrast, "CONTRAST"),
        (_gap, "MISSING_SLICES"),
    ],
    ids=lambda value: value.__name__.strip("_") if callable(value) else value,
)
def test_study_that_is_not_read_ends_with_its_reason(
    node: Node, results: Results, scanner: Scanner, pacs: Pacs, made: Callable[[], list[Dataset]], reason: str
) -> None:
    series = made()
    assert set(scanner.send(series)) == {0x0000}
    row = results.ended(study_uid(series))
    assert (row["state"], row["reason"]) == ("NOT_ANALYSED", reason)
    assert row["ich_probability"] is None
    assert not pacs.objects(study_uid(series))
    kept = {path.stem for path in (node.data_dir / "spool" / series[0].SeriesInstanceUID).glob("*.dcm")}
    assert kept == {str(dataset.SOPInstanceUID) for dataset in series}


def test_head_with_a_localizer_and_a_dose_report_in_its_study_is_read(
    node: Node, results: Results, scanner: Scanner
) -> None:
    series = head_study(coarse_head())
    beside = [
        changed(dataset, StudyInstanceUID=study_uid(series), PatientID=series[0].PatientID)
        for dataset in (*_localizer(), *_dose_report())
    ]
    scanner.send([*beside, *series])
    row = results.ended(study_uid(series))
    assert (row["state"], row["reason"]) == ("FORWARDED", None)

    def reasons() -> dict[str, str | None] | None:
        found = {
            each["series_description"]: each["reason"]
            for each in results.study(study_uid(series))["series"]
            if each["state"] not in (State.RECEIVING, State.CLOSED)
        }
        return found if len(found) == 3 else None

    assert wait_until(reasons, "all three series end") == {
        "HEAD 5.0 H31s": None,
        "Topogram 0.6": "LOCALIZER",
        "Dose Report": "NOT_CT",
    }


def test_several_kinds_over_one_association_each_end_by_themselves(
    node: Node, results: Results, scanner: Scanner
) -> None:
    head, mr, gap = head_study(coarse_head()), _mr(), _gap()
    assert set(scanner.send([*mr, *head, *gap])) == {0x0000}
    ended = [results.ended(study_uid(each)) for each in (head, mr, gap)]
    assert [(row["state"], row["reason"]) for row in ended] == [
        ("FORWARDED", None),
        ("NOT_ANALYSED", "NOT_CT"),
        ("NOT_ANALYSED", "MISSING_SLICES"),
    ]


# names and numbers ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("character_set", "name"),
    [
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        (["ISO 2022 IR 13", "ISO 2022 IR 87"], "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう"),
        ("ISO_IR 192", "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        ("ISO_IR 100", "../../../etc/passwd^../.."),
        ("ISO_IR 192", "<script>alert(1)</script>^'; DROP TABLE studies; --"),
        ("ISO_IR 100", ""),
    ],
    ids=["ISO 2022", "ISO 2022 with half-width kana", "UTF-8", "path", "markup", "empty"],
)
def test_name_comes_back_on_report_and_worklist_as_it_was_sent(
    node: Node, results: Results, scanner: Scanner, pacs: Pacs, character_set: str | list[str], name: str
) -> None:
    series = head_study(coarse_head(), SpecificCharacterSet=character_set, PatientName=name)
    assert set(scanner.send(series)) == {0x0000}
    row = results.ended(study_uid(series))
    assert (row["state"], row["patient_name"]) == ("FORWARDED", name)
    for each in pacs.objects(study_uid(series)):
        assert str(each.PatientName) == name


def test_empty_patient_id_is_read_and_sent_back_empty(
    node: Node, results: Results, scanner: Scanner, pacs: Pacs
) -> None:
    series = head_study(coarse_head(), PatientID="")
    scanner.send(series)
    row = results.ended(study_uid(series))
    assert (row["state"], row["patient_id"]) == ("FORWARDED", "")
    assert {each.PatientID for each in pacs.objects(study_uid(series))} == {""}


def test_patient_id_and_accession_number_that_are_paths_stay_values(
    node: Node, results: Results, scanner: Scanner, pacs: Pacs
) -> None:
    series = head_study(coarse_head(), PatientID="../../escaped", AccessionNumber="../escaped2")
    scanner.send(series)
    row = results.ended(study_uid(series))
    assert (row["state"], row["patient_id"], row["accession_number"]) == ("FORWARDED", "../../escaped", "../escaped2")
    assert not list(node.folder.parent.rglob("escaped*"))
