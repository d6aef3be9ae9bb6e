"""Patients and studies as they really arrive: identity stays exact, and what may not be written is left out."""

from __future__ import annotations

import warnings

import pytest
from pydicom import config, dcmread
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from triage_node.evidence.legal_values import TYPE_2, patient_and_study


def unchecked(keyword: str, value: object):
    """Return a change that writes a value as it is, legal or not."""

    def change(dataset: Dataset) -> None:
        with config.disable_value_validation():
            setattr(dataset, keyword, value)

    return change


def raw_name(character_set: str | list[str] | None, name: bytes):
    def change(dataset: Dataset) -> None:
        if character_set is not None:
            dataset.SpecificCharacterSet = character_set
        dataset[Tag("PatientName")] = DataElement(Tag("PatientName"), "PN", name)

    return change


def raw_bytes(dataset: Dataset, keyword: str) -> bytes:
    """Return a value's bytes as they stand in the file."""
    value: bytes = dataset.get_item(Tag(keyword)).value
    return value.rstrip(b" ")


NAMES = {
    "ascii": (None, b"Doe^Jane"),
    "latin-1": ("ISO_IR 100", "Müller^Jürgen".encode("latin-1")),
    "utf-8": ("ISO_IR 192", "Wang^XiaoDong=王^小東".encode()),
    "japanese": (
        ["", "ISO 2022 IR 87"],
        b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B",
    ),
    "korean": (["", "ISO 2022 IR 149"], b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7"),
    "cyrillic": ("ISO_IR 144", "Иванов^Иван".encode("iso8859-5")),
    "path": (None, b"../../etc^passwd"),
    "one word": (None, b"REMOVED"),
}


@pytest.mark.parametrize("name", NAMES)
def test_name_and_character_set_are_those_of_the_source_to_the_byte(write, validation_errors, name):
    character_set, value = NAMES[name]
    for objects in write(raw_name(character_set, value)).values():
        for dataset in objects:
            again = dcmread(dataset.filename)
            assert raw_bytes(again, "PatientName") == value
            found = dataset.get("SpecificCharacterSet")
            assert (list(found) if isinstance(character_set, list) else found) == character_set


def test_name_beyond_ascii_without_a_character_set_keeps_its_bytes_and_gets_one(write):
    report = write(raw_name(None, "Müller^Jürgen".encode("latin-1")))["SR"][0]
    assert report.SpecificCharacterSet == "ISO_IR 100"
    assert str(report.PatientName) == "Müller^Jürgen"


@pytest.mark.debian
@pytest.mark.parametrize(
    ("character_set", "name"),
    [("ISO_IR 192", b"\xff\xfe^X"), (None, b"\x83\x84^X"), (["", "ISO 2022 IR 87"], b"\x1b$B;3^X")],
)
def test_name_that_its_character_set_cannot_hold_does_not_stop_the_evidence(
    write, validation_errors, character_set, name
):
    for objects in write(raw_name(character_set, name)).values():
        assert validation_errors(objects[0].filename) == []


def test_hospital_beyond_ascii_without_a_character_set_is_left_out(write):
    equipment = write(unchecked("InstitutionName", "Hôpital"))["SR"][0].ContributingEquipmentSequence[0]
    assert equipment.Manufacturer == "ACME"
    assert "InstitutionName" not in equipment


def test_character_set_that_does_not_exist_is_not_repeated(write):
    report = write(unchecked("SpecificCharacterSet", "KLINGON"))["SR"][0]
    assert "SpecificCharacterSet" not in report


HOSTILE = {
    "empty id": unchecked("PatientID", ""),
    "several ids": unchecked("PatientID", ["A", "B"]),
    "several names": unchecked("PatientName", ["Doe^Jane", "Roe^Richard"]),
    "long id": unchecked("PatientID", "9" * 80),
    "control characters": unchecked("PatientID", "12\x0034\n"),
    "sex of nobody": unchecked("PatientSex", "Female"),
    "old date": unchecked("StudyDate", "2026.11.23"),
    "no date at all": unchecked("StudyDate", "yesterday"),
    "impossible time": unchecked("StudyTime", "6:15 am"),
    "old birth date": unchecked("PatientBirthDate", "1970-01-31"),
    "long accession": unchecked("AccessionNumber", "A" * 40),
    "age in words": unchecked("PatientAge", "old"),
    "weight in words": lambda dataset: dataset.add_new("PatientWeight", "LO", "heavy"),
    "long name": unchecked("PatientName", "X" * 200),
    "long description": unchecked("StudyDescription", "D" * 200),
    "incomplete procedure": unchecked("ProcedureCodeSequence", [Dataset()]),
    "illegal offset": unchecked("TimezoneOffsetFromUTC", "JST"),
    "identity removed by nothing": unchecked("PatientIdentityRemoved", "YES"),
    "half a trial": unchecked("ClinicalTrialSubjectID", "7"),
    "no manufacturer": unchecked("Manufacturer", ""),
    "several versions": unchecked("SoftwareVersions", ["1.0", "2.0"]),
    "illegal frame of reference": unchecked("FrameOfReferenceUID", "not a uid"),
    "no place": unchecked("ImagePositionPatient", None),
    "half an orientation": unchecked("ImageOrientationPatient", ["1", "0"]),
    "no instance number": unchecked("InstanceNumber", None),
    "words for an instance number": unchecked("ImageComments", "x" * 20000),
}


@pytest.mark.debian
@pytest.mark.parametrize("fault", HOSTILE)
def test_illegal_source_still_gives_valid_evidence(write, validation_errors, fault):
    for kind, objects in write(HOSTILE[fault]).items():
        assert validation_errors(objects[0].filename) == [], kind


@pytest.mark.debian
def test_implicit_source_gives_valid_evidence(write, validation_errors):
    for kind, objects in write(implicit=True).items():
        assert validation_errors(objects[0].filename) == [], kind


@pytest.mark.parametrize(
    "keyword", [*TYPE_2, "FrameOfReferenceUID", "Manufacturer", "InstanceNumber", "BodyPartExamined"]
)
def test_missing_attribute_does_not_stop_the_evidence(write, keyword):
    def without(dataset: Dataset) -> None:
        delattr(dataset, keyword)

    for objects in write(without).values():
        for dataset in objects:
            if keyword in TYPE_2:
                assert not dataset[keyword].value


def test_first_of_several_values_stands_where_one_is_allowed(write):
    assert write(HOSTILE["several ids"])["SR"][0].PatientID == "A"


def test_identity_is_never_shortened(write):
    assert write(HOSTILE["long id"])["SR"][0].PatientID in ("", None)


def test_no_warning_quotes_the_patient(write):
    with warnings.catch_warnings(record=True) as raised:
        warnings.simplefilter("always")
        write(unchecked("PatientName", "SECRET"))
        write(unchecked("PatientID", "SECRET" * 20))
    assert not [each for each in raised if "SECRET" in str(each.message) and "legal_values" in str(each.filename)]
    assert not [each for each in raised if "SECRET" in str(each.message) and "highdicom" in str(each.filename)]


def test_everything_else_of_the_patient_stays_behind():
    source = Dataset()
    source.StudyInstanceUID = "1.2.3"
    source.PatientAddress = "Elm Street"
    source.PatientName = "Doe^Jane"
    attributes = patient_and_study(source)
    assert "PatientAddress" not in attributes
    assert attributes.PatientName == "Doe^Jane"
