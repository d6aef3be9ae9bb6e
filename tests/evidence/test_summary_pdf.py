"""The summary: one page, in words a person reads, whatever name the patient has."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from triage_node.core.finding import SUBTYPE_NAMES
from triage_node.core.ports import NotAnalysedOrder
from triage_node.core.reason import Reason, Refusal
from triage_node.core.report import NOTICE

from .conftest import CLASSIFIED_AT


@pytest.fixture
def pdf_of(make_writer, make_order, make_series):
    """Write the summary of a made-up series and return the object."""

    def run(change=None, **order) -> Dataset:
        (written,) = make_writer(kinds=("PDF",)).write(make_order(make_series(change=change), **order))
        return dcmread(written.path)

    return run


@pytest.fixture
def text_of(tmp_path: Path):
    """Return what poppler reads on the page."""
    if shutil.which("pdftotext") is None:
        pytest.skip("pdftotext (Debian: poppler-utils) is not installed")

    def run(dataset: Dataset) -> str:
        path = tmp_path / "page.pdf"
        path.write_bytes(document(dataset))
        read = subprocess.run(["pdftotext", "-layout", path, "-"], capture_output=True, text=True, timeout=60)
        assert read.returncode == 0, read.stderr
        return " ".join(read.stdout.split())

    return run


def document(dataset: Dataset) -> bytes:
    return bytes(dataset.EncapsulatedDocument[: dataset.EncapsulatedDocumentLength])


def test_document_is_one_page_of_pdf_that_names_its_sources(pdf_of):
    dataset = pdf_of()
    assert dataset.MIMETypeOfEncapsulatedDocument == "application/pdf"
    assert document(dataset).startswith(b"%PDF-")
    assert document(dataset).rstrip().endswith(b"%%EOF")
    assert document(dataset).count(b"/Type /Page\n") == 1
    assert (dataset.Modality, dataset.BurnedInAnnotation) == ("DOC", "YES")
    assert len(dataset.SourceInstanceSequence) == 5
    assert len(dataset.EncapsulatedDocument) % 2 == 0


@pytest.mark.debian
def test_page_says_what_the_report_says(pdf_of, text_of):
    text = text_of(pdf_of())
    assert "Flagged for suspected intracranial hemorrhage (probability 0.93" in text
    for said in (*SUBTYPE_NAMES.values(), "Jane", "PID-1", "ACC-77", "1970-01-31", "2026-11-23", "present", "absent"):
        assert said in text
    assert f"{NOTICE}.".upper() in text
    assert "ab" * 32 in text.replace(" ", "")


@pytest.mark.debian
def test_page_of_a_study_not_flagged_rules_nothing_out(pdf_of, text_of):
    text = text_of(pdf_of(flagged=False))
    assert "This does not exclude hemorrhage." in text
    assert "not assessed" in text
    assert "Slices with the highest probability" not in text


@pytest.mark.debian
def test_page_of_a_series_not_read_says_why(make_writer, make_series, text_of):
    refusal = Refusal(Reason.MISSING_SLICES, "gap of 10.0 mm after slice 7")
    order = NotAnalysedOrder(make_series().paths, refusal, 1, CLASSIFIED_AT)
    (written,) = make_writer(kinds=("PDF",)).write_not_analysed(order)
    text = text_of(dcmread(written.path))
    assert "NOT ANALYSED" in text
    assert "gap of 10.0 mm after slice 7" in text
    assert "No statement about hemorrhage is made." in text


@pytest.mark.debian
@pytest.mark.parametrize(
    ("character_set", "name", "shown"),
    [
        ("ISO_IR 100", "Müller^Jürgen".encode("latin-1"), "Müller Jürgen"),
        ("ISO_IR 144", "Иванов^Иван".encode("iso8859-5"), "see the DICOM header"),
        (["", "ISO 2022 IR 87"], b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B", "Yamada Tarou"),
        (None, b"<b>Bold</b>^&amp;", "<b>Bold</b> &amp;"),
    ],
)
def test_name_is_shown_or_said_not_to_be(pdf_of, text_of, character_set, name, shown):
    def rename(dataset: Dataset) -> None:
        if character_set is not None:
            dataset.SpecificCharacterSet = character_set
        dataset[Tag("PatientName")] = DataElement(Tag("PatientName"), "PN", name)

    assert shown in text_of(pdf_of(rename))


def test_page_without_any_identity_is_still_a_page(pdf_of):
    def bare(dataset: Dataset) -> None:
        for keyword in ("PatientName", "PatientID", "PatientBirthDate", "AccessionNumber", "StudyDate"):
            delattr(dataset, keyword)

    assert document(pdf_of(bare)).startswith(b"%PDF-")
