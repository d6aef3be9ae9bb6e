"""The JSON document of a webhook: all that a receiver acts on, nothing that names a patient."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from triage_node.core.reason import Reason, Refusal
from triage_node.evidence.webhook_report import webhook_document


@pytest.fixture
def make_document(make_message):
    def make(*args, with_patient_id=False, **values):
        content = webhook_document(make_message("WEBHOOK", *args, **values), with_patient_id=with_patient_id)
        return json.loads(content)

    return make


def test_flagged_study_is_told_with_its_numbers(make_document):
    document = make_document()
    assert document["event"] == "study.read"
    assert (document["flagged"], document["priority"], document["state"]) == (True, "STAT", "EVIDENCED")
    assert document["ich_probability"] == 0.93
    assert document["subtypes"] == {"CPH": 0.12, "IVH": 0.03, "SDH": 0.88, "EDH": 0.05, "SAH": 0.71}
    assert document["subtypes_present"] == ["SDH", "SAH"]
    assert document["accession_number"] == "ACC-77"
    assert document["model"]["operating_point"] == "balanced"
    assert document["evidence"][0]["kind"] == "SR"
    assert document["created_at"] == "2026-11-23T06:30:15.250+00:00"
    assert document["reason"] is None
    assert "Not for diagnostic use" in document["notice"]


def test_study_that_is_not_flagged_has_no_subtypes(make_document):
    document = make_document(flagged=False)
    assert (document["flagged"], document["priority"], document["subtypes"]) == (False, "ROUTINE", None)


def test_study_that_was_not_read_says_why_with_the_same_keys(make_document):
    document = make_document(refusal=Refusal(Reason.MISSING_SLICES, "gap of 10.0 mm after slice 7"))
    assert document["event"] == "study.not_analysed"
    assert (document["state"], document["reason"]) == ("NOT_ANALYSED", "MISSING_SLICES")
    assert document["reason_detail"] == "gap of 10.0 mm after slice 7"
    assert document["flagged"] is None
    assert document.keys() == make_document().keys()


def test_superseding_reading_names_the_report_that_it_replaces(make_document):
    document = make_document(revision=2, predecessor_uid="2.25.76")
    assert (document["revision"], document["supersedes_report"]) == (2, "2.25.76")


def test_patient_is_not_named_and_numbered_only_where_wanted(make_message):
    message = make_message("WEBHOOK")
    told = webhook_document(message).decode()
    assert not [each for each in ("Doe", "Jane", "PID-1", "1970") if each in told]
    assert json.loads(webhook_document(message, with_patient_id=True))["patient_id"] == "PID-1"


def test_same_reading_gives_the_same_bytes(make_message):
    message = make_message("WEBHOOK")
    assert webhook_document(message) == webhook_document(message)


def test_missing_identifiers_are_empty(make_document):
    def bare(dataset):
        dataset.PatientID = dataset.AccessionNumber = ""

    document = make_document(bare, with_patient_id=True)
    assert document["patient_id"] == document["accession_number"] == ""


def test_every_key_is_documented(make_document):
    text = Path(__file__).parents[2].joinpath("docs", "WEBHOOK.md").read_text(encoding="utf-8")
    table = text[text.index("## The body") : text.index("## When nobody acknowledges")]
    documented = {
        each for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for each in re.findall(r"`(\w+)`", row)
    }
    assert documented == make_document(with_patient_id=True).keys()
