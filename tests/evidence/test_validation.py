"""The judgement of others: dicom3tools and DCMTK on every kind of object and every kind of study."""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime

import pytest
from pydicom import config
from pydicom.dataset import Dataset

from triage_node.core.ports import EarlierReport, NotAnalysedOrder
from triage_node.core.reason import Reason, Refusal
from triage_node.core.report import EVIDENCE_KINDS, EarlierAnswer

pytestmark = pytest.mark.debian


def tilted(dataset: Dataset) -> None:
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 0.9483237, -0.3173047]


def bare(dataset: Dataset) -> None:
    for keyword in ("FrameOfReferenceUID", "StudyID", "StudyDate", "PatientBirthDate", "PatientSex", "AccessionNumber"):
        delattr(dataset, keyword)


def in_a_trial(dataset: Dataset) -> None:
    dataset.ClinicalTrialSponsorName = "Sponsor"
    dataset.ClinicalTrialProtocolID = "P1"
    dataset.ClinicalTrialSubjectID = "7"


def lossy(dataset: Dataset) -> None:
    dataset.LossyImageCompression = "01"
    dataset.LossyImageCompressionRatio = "12.5"
    dataset.LossyImageCompressionMethod = "ISO_10918_1"


def of_a_private_class(dataset: Dataset) -> None:
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = "1.3.46.670589.5.0.1.1"


def named_twice(dataset: Dataset) -> None:
    with config.disable_value_validation():
        dataset.PatientName = ["Doe^Jane", "Roe^Jane"]
        dataset.PatientID = ["PID-1", "PID-2"]
        dataset.AccessionNumber = ["", "ACC-2"]
    dataset.PatientSex = ""


def in_japanese(dataset: Dataset) -> None:
    dataset.SpecificCharacterSet = ["", "ISO 2022 IR 87"]
    dataset.PatientName = "Yamada^Tarou=山田^太郎=やまだ^たろう"


@pytest.mark.parametrize(
    "source", [None, tilted, bare, in_a_trial, lossy, of_a_private_class, named_twice, in_japanese]
)
@pytest.mark.parametrize("flagged", [True, False], ids=["flagged", "not_flagged"])
def test_no_object_has_an_error(make_writer, make_order, make_series, validation_errors, source, flagged):
    volume = make_series(change=source)
    writer = make_writer(kinds=EVIDENCE_KINDS)
    first = writer.write(make_order(volume, flagged=flagged))
    report = first[0].path
    second = writer.write(
        make_order(volume, flagged=flagged, revision=2, predecessor=EarlierReport(report, EarlierAnswer(flagged)))
    )
    for each in [*first, *second]:
        assert validation_errors(each) == [], each.kind


@pytest.mark.parametrize("reason", [Reason.NOT_CT, Reason.IRREGULAR_SPACING, Reason.BETTER_SERIES])
def test_report_of_a_series_not_read_has_no_error(make_writer, make_series, validation_errors, reason):
    def localizer(dataset: Dataset) -> None:
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]

    paths = make_series(change=localizer).paths
    when = datetime(2026, 11, 23, tzinfo=UTC)
    writer = make_writer(kinds=EVIDENCE_KINDS)
    first = writer.write_not_analysed(NotAnalysedOrder(paths, Refusal(reason, "detail"), 1, when))
    earlier = EarlierReport(first[0].path, EarlierAnswer(None))
    second = writer.write_not_analysed(NotAnalysedOrder(paths, Refusal(reason), 2, when, earlier))
    assert [each.kind for each in (*first, *second)] == ["SR", "PDF", "SR", "PDF"]
    for each in (*first, *second):
        assert validation_errors(each) == [], each.kind


def test_dcmtk_reads_the_report(make_writer, make_order, make_series):
    if shutil.which("dsrdump") is None:
        pytest.skip("dsrdump (Debian: dcmtk) is not installed")
    written = make_writer().write(make_order(make_series()))
    for each in (written[0], written[-1]):
        read = subprocess.run(["dsrdump", "+Pl", str(each.path)], capture_output=True, text=True, timeout=60)
        assert read.returncode == 0, read.stderr
        complaints = [line for line in read.stderr.splitlines() if "template constraints not yet supported" not in line]
        assert complaints == []
        assert "Flagged for suspected intracranial hemorrhage" in read.stdout
