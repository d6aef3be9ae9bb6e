"""The transaction bundle: of R4's structure, whole in itself, and the same when it is made again."""

from __future__ import annotations

import json
import re

import pytest
from fhir.resources.R4B.bundle import Bundle
from pydicom.dataset import Dataset

from triage_node.core.reason import Reason, Refusal
from triage_node.evidence.fhir_report import transaction_bundle

REFUSAL = Refusal(Reason.NOT_HEAD, "no skull in the middle slices")
NAME = ("Doe", "Jane")


def resources(bundle, kind):
    return [each["resource"] for each in bundle["entry"] if each["resource"]["resourceType"] == kind]


def report_of(bundle):
    (report,) = resources(bundle, "DiagnosticReport")
    return report


def references(value):
    """Every literal reference in a resource."""
    if isinstance(value, dict):
        if isinstance(value.get("reference"), str):
            yield value["reference"]
        for each in value.values():
            yield from references(each)
    elif isinstance(value, list):
        for each in value:
            yield from references(each)


@pytest.fixture
def make_bundle(make_message):
    def make(*args, **values):
        return json.loads(transaction_bundle(make_message("FHIR", *args, **values)))

    return make


@pytest.mark.parametrize(
    "values",
    [{}, {"flagged": False}, {"refusal": REFUSAL}, {"revision": 2, "predecessor_uid": "2.25.76"}, {"evidence": []}],
    ids=["flagged", "not flagged", "not analysed", "superseding", "without objects"],
)
def test_bundle_has_the_structure_of_r4(make_message, values):
    content = transaction_bundle(make_message("FHIR", **values))
    parsed = Bundle.model_validate_json(content)
    assert parsed.type == "transaction"
    assert parsed.entry


def test_every_entry_is_created_once_and_referred_to_within_the_bundle(make_bundle):
    for bundle in (make_bundle(), make_bundle(refusal=REFUSAL)):
        urls = [each["fullUrl"] for each in bundle["entry"]]
        assert len(urls) == len(set(urls))
        conditions = [each["request"]["ifNoneExist"] for each in bundle["entry"]]
        assert len(conditions) == len(set(conditions))
        assert {each["request"]["method"] for each in bundle["entry"]} == {"POST"}
        assert set(references(bundle)) <= set(urls)
        for each in bundle["entry"]:
            own = each["resource"]["identifier"][0]
            assert each["request"]["ifNoneExist"] == f"identifier={own['system']}|{own['value']}"
            assert each["request"]["url"] == each["resource"]["resourceType"]
            assert re.fullmatch(r"urn:uuid:[0-9a-f-]{36}", each["fullUrl"])


def test_same_reading_gives_the_same_bytes(make_message):
    message = make_message("FHIR")
    assert transaction_bundle(message) == transaction_bundle(message)


def test_device_is_the_same_in_the_bundles_of_two_studies(make_bundle):
    first, second = (resources(make_bundle(), "Device") for _ in range(2))
    assert first == second
    assert len(first) == 2


def test_groups_follow_the_structured_report(make_bundle):
    bundle = make_bundle()
    by_url = {each["fullUrl"]: each["resource"] for each in bundle["entry"]}
    groups = [by_url[each["reference"]] for each in report_of(bundle)["result"]]
    assert [each["code"]["coding"][0]["code"] for each in groups] == ["125007"] * 6
    evaluations = [by_url[each["hasMember"][0]["reference"]] for each in groups]
    assert [
        (each["code"]["coding"][0]["code"], each["valueCodeableConcept"]["text"], "interpretation" in each)
        for each in evaluations
    ] == [
        ("1386000", "Present", True),
        ("274100004", "Absent", False),
        ("23276006", "Absent", False),
        ("35486000", "Present", True),
        ("82999001", "Absent", False),
        ("21454007", "Present", True),
    ]
    assert [(each["system"], each["code"]) for each in evaluations[0]["valueCodeableConcept"]["coding"]] == [
        ("http://snomed.info/sct", "52101004"),
        ("http://radlex.org", "RID28472"),
    ]
    probabilities = [by_url[each["hasMember"][1]["reference"]] for each in groups]
    assert [each["valueQuantity"]["value"] for each in probabilities] == [0.93, 0.12, 0.03, 0.88, 0.05, 0.71]
    assert {each["code"]["coding"][0]["system"] for each in probabilities} == {
        "http://dicom.nema.org/resources/ontology/DCM"
    }


def test_observations_name_order_study_patient_and_the_algorithm(make_bundle):
    bundle = make_bundle()
    algorithm = next(
        each["fullUrl"] for each in bundle["entry"] if each["resource"].get("version") == [{"value": "2026.11"}]
    )
    for each in resources(bundle, "Observation"):
        assert each["status"] == "preliminary"
        assert each["basedOn"][0]["identifier"]["value"] == "ACC-77"
        assert each["partOf"][0]["identifier"]["system"] == "urn:dicom:uid"
        assert each["subject"]["identifier"]["value"] == "PID-1"
        assert each["device"]["reference"] == algorithm
        assert "value" in "".join(each) or each["hasMember"]


def test_report_bears_the_impression_and_the_notice_and_no_diagnosis(make_bundle):
    report = report_of(make_bundle(text="Flagged <for> review & more. Not for diagnostic use."))
    assert report["status"] == "preliminary"
    assert report["conclusion"].endswith("Not for diagnostic use.")
    assert "Flagged &lt;for&gt; review &amp; more" in report["text"]["div"]
    assert "conclusionCode" not in report
    assert {"system": "urn:dicom:uid", "value": "urn:oid:2.25.77"} in report["identifier"]


def test_each_revision_is_a_report_of_its_own_that_names_the_one_it_replaces(make_bundle):
    report = report_of(make_bundle(revision=2, predecessor_uid="2.25.76"))
    (replaces,) = report["extension"]
    assert replaces["valueReference"]["identifier"]["value"] == "urn:oid:2.25.76"


def test_series_that_was_not_read_is_cancelled_with_its_reason(make_bundle):
    bundle = make_bundle(refusal=REFUSAL)
    assert report_of(bundle)["status"] == "cancelled"
    observations = resources(bundle, "Observation")
    assert {each["status"] for each in observations} == {"cancelled"}
    values = [each["valueCodeableConcept"]["coding"][0]["code"] for each in observations if "hasMember" not in each]
    assert values == ["373121007", "NOT_HEAD", *["373121007"] * 5]
    assert not any("valueQuantity" in each for each in observations)


def test_no_name_no_birth_date_leaves(make_message):
    content = transaction_bundle(make_message("FHIR")).decode()
    assert not [each for each in (*NAME, "19700131", "1970-01-31") if each in content]


def test_patient_without_an_id_and_order_without_a_number_are_not_referred_to(make_bundle):
    def bare(dataset):
        for keyword in ("PatientID", "AccessionNumber", "StudyDate", "StudyTime"):
            setattr(dataset, keyword, "")

    for each in resources(make_bundle(bare), "Observation"):
        assert not {"subject", "basedOn", "effectiveDateTime"} & each.keys()


def test_issuers_become_systems_where_they_are_oids(make_bundle):
    def issued(dataset):
        dataset.IssuerOfPatientID = "HOSP"
        item = Dataset()
        item.UniversalEntityID, item.UniversalEntityIDType = "1.2.276.9", "ISO"
        dataset.IssuerOfPatientIDQualifiersSequence = [item]

    identifier = report_of(make_bundle(issued))["subject"]["identifier"]
    assert identifier["system"] == "urn:oid:1.2.276.9"
    assert identifier["assigner"] == {"display": "HOSP"}


def test_time_of_the_study_has_its_zone_or_is_a_date(make_bundle):
    def in_japan(dataset):
        dataset.TimezoneOffsetFromUTC = "+0900"

    assert report_of(make_bundle())["effectiveDateTime"] == "2026-11-23"
    assert report_of(make_bundle(in_japan))["effectiveDateTime"] == "2026-11-23T06:15:00+09:00"
