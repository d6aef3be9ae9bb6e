"""ORU^R01: valid by one library, read by another, and nothing lost or leaked on the way."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import hl7
import pytest
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.parser import parse_message
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from triage_node.core.reason import Reason, Refusal
from triage_node.evidence.er7 import escaped
from triage_node.evidence.hl7_report import oru_r01
from triage_node.evidence.patient_and_order import Identifier


def read(content: bytes) -> hl7.Message:
    return hl7.parse(content.decode())


def field(message, path):
    """A component as its receiver reads it, without escapes."""
    return str(message[path])


def whole(message, segment, number):
    """A field as it is written, with its components."""
    fields = message.segment(segment)
    return str(fields[number]) if len(fields) > number else ""


def observations(message):
    return [[str(each) for each in segment] for segment in message.segments("OBX")]


def of_code(message, code):
    return [each for each in observations(message) if each[3].split("^")[0] == code]


CHANGES = {
    "plain": None,
    "no patient": lambda dataset: dataset.update(_empty("PatientID", "PatientName", "PatientBirthDate", "PatientSex")),
    "no order": lambda dataset: dataset.update(_empty("AccessionNumber", "StudyDate", "StudyTime")),
}


def _empty(*keywords):
    empty = Dataset()
    for keyword in keywords:
        setattr(empty, keyword, "")
    return empty


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("flagged", [True, False])
def test_message_is_valid_2_5_1(make_message, change, flagged):
    content = oru_r01(make_message("HL7", change, flagged=flagged)).decode()
    strict = parse_message(content, validation_level=VALIDATION_LEVEL.STRICT)
    assert strict.validate()
    assert strict.to_er7() + "\r" == content


def test_not_analysed_message_is_valid_and_says_why(make_message):
    refusal = Refusal(Reason.MISSING_SLICES, "gap of 10.0 mm after slice 7")
    content = oru_r01(make_message("HL7", refusal=refusal))
    assert parse_message(content.decode(), validation_level=VALIDATION_LEVEL.STRICT).validate()
    message = read(content)
    assert field(message, "OBR.25") == "I"
    assert {each[11] for each in observations(message) if "^SCT" in each[5]} == {"X"}
    assert of_code(message, "NOT_ANALYSED")[0][5] == "MISSING_SLICES^Missing slices^99TRIAGE"
    assert "NOT ANALYSED" in of_code(message, "121073")[0][5]
    assert not of_code(message, "122157")


def test_segments_come_in_the_order_of_oru_r01(make_message):
    message = read(oru_r01(make_message("HL7")))
    names = [str(each[0]) for each in message]
    assert names[:6] == ["MSH", "PID", "PV1", "ORC", "OBR", "NTE"]
    assert set(names[6:]) == {"OBX"}
    assert [each[1] for each in observations(message)] == [str(number) for number in range(1, len(names) - 5)]


def test_header_says_who_and_in_which_characters(make_message):
    message = read(oru_r01(make_message("HL7")))
    assert field(message, "MSH.3.1.1") == "TRIAGE"
    assert whole(message, "MSH", 9) == "ORU^R01^ORU_R01"
    assert whole(message, "MSH", 12) == "2.5.1"
    assert whole(message, "MSH", 18) == "UNICODE UTF-8"
    assert whole(message, "MSH", 7) == "20261123063015+0000"


def test_same_reading_gives_the_same_bytes_and_another_message_another_control_id(make_message):
    message = make_message("HL7")
    assert oru_r01(message) == oru_r01(message)
    ids = {whole(read(oru_r01(make_message("HL7"))), "MSH", 10) for _ in range(3)}
    assert len(ids) == 3
    assert {len(each) for each in ids} == {20}


def test_findings_are_coded_and_only_what_is_present_is_abnormal(make_message):
    message = read(oru_r01(make_message("HL7")))
    rows = [each for each in observations(message) if each[2] == "CWE"]
    assert [(each[3].split("^")[0], each[5].split("^")[1], each[8]) for each in rows] == [
        ("1386000", "Present", "AA"),
        ("274100004", "Absent", ""),
        ("23276006", "Absent", ""),
        ("35486000", "Present", "A"),
        ("82999001", "Absent", ""),
        ("21454007", "Present", "A"),
    ]
    assert [each[5] for each in rows[:2]] == [
        "52101004^Present^SCT^RID28472^present^RADLEX",
        "272519000^Absent^SCT^RID28473^absent^RADLEX",
    ]
    probabilities = of_code(message, "122157")
    assert [each[5] for each in probabilities] == ["0.9300", "0.1200", "0.0300", "0.8800", "0.0500", "0.7100"]
    assert [each[4] for each in probabilities] == [each[4] for each in rows]


def test_study_that_is_not_flagged_is_never_marked_normal(make_message):
    message = read(oru_r01(make_message("HL7", flagged=False)))
    assert {each[8] for each in observations(message)} == {""}
    assert [each[5].split("^")[1] for each in observations(message) if each[2] == "CWE"] == [
        "Absent",
        *["Not Evaluated"] * 5,
    ]


def test_everything_is_preliminary_and_bears_the_notice(make_message):
    message = read(oru_r01(make_message("HL7")))
    assert field(message, "OBR.25") == "P"
    assert {each[11] for each in observations(message)} == {"P"}
    assert "Not for diagnostic use" in field(message, "NTE.3")
    assert "Not for diagnostic use" in of_code(message, "121073")[0][5]


def test_superseding_message_is_a_correction_that_names_both_reports(make_message):
    message = read(oru_r01(make_message("HL7", revision=2, predecessor_uid="2.25.76")))
    assert field(message, "OBR.25") == "C"
    reports = [each for each in observations(message) if each[3] == "^SR Instance UID"]
    assert [(each[4], each[5]) for each in reports] == [("", "^2.25.77^ISO"), ("superseded", "^2.25.76^ISO")]


def test_study_and_series_are_named(make_message):
    made = make_message("HL7")
    message = read(oru_r01(made))
    assert of_code(message, "110180")[0][5] == f"^{made.order.study_instance_uid}^ISO"
    assert of_code(message, "112002")[0][5] == f"^{made.series_instance_uid}^ISO"


def test_orders_and_procedure_are_those_of_the_study(make_message):
    def ordered(dataset):
        dataset.PlacerOrderNumberImagingServiceRequest = "P-1"
        dataset.FillerOrderNumberImagingServiceRequest = "F-1"
        issuer = Dataset()
        issuer.LocalNamespaceEntityID, issuer.UniversalEntityID, issuer.UniversalEntityIDType = "RIS", "1.2.9", "ISO"
        dataset.OrderFillerIdentifierSequence = [issuer]
        code = Dataset()
        code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "CTHEAD", "99LOCAL", "CT & head"
        dataset.ProcedureCodeSequence = [code]

    message = read(oru_r01(make_message("HL7", ordered)))
    assert whole(message, "ORC", 1) == "RE"
    assert [whole(message, name, 2) for name in ("ORC", "OBR")] == ["P-1"] * 2
    assert [whole(message, name, 3) for name in ("ORC", "OBR")] == ["F-1^RIS^1.2.9^ISO"] * 2
    assert whole(message, "OBR", 18) == "ACC-77"
    assert whole(message, "OBR", 4) == r"CTHEAD^CT \T\ head^99LOCAL"
    assert whole(message, "OBR", 7) == "20261123061500"


def test_accession_number_stands_for_the_fillers_where_there_is_no_other(make_message):
    message = read(oru_r01(make_message("HL7")))
    assert whole(message, "OBR", 3) == whole(message, "OBR", 18) == "ACC-77"


def test_orders_are_found_in_the_request_attributes_too(make_message):
    def requested(dataset):
        dataset.AccessionNumber = ""
        item = Dataset()
        item.AccessionNumber = "ACC-OF-THE-REQUEST-1234567"
        dataset.RequestAttributesSequence = [item]

    message = read(oru_r01(make_message("HL7", requested)))
    assert whole(message, "OBR", 18) == "ACC-OF-THE-REQUEST-1234567"


def test_patient_is_the_studys(make_message):
    def issued(dataset):
        dataset.IssuerOfPatientID = "HOSP&1"
        dataset.PatientName = "Doe^Jane^Q^Dr^Jr"

    message = read(oru_r01(make_message("HL7", issued)))
    assert whole(message, "PID", 3) == r"PID-1^^^HOSP\T\1^MR"
    assert whole(message, "PID", 5) == "Doe^Jane^Q^Jr^Dr^^L^A"  # suffix before prefix, unlike DICOM
    assert (whole(message, "PID", 7), whole(message, "PID", 8)) == ("19700131", "F")


def test_separators_in_names_arrive_as_they_were(make_message):
    def awkward(dataset):
        dataset.PatientName = "O|Hara & Sons~^J^\u00c9lo\u00efse"
        dataset.SpecificCharacterSet = "ISO_IR 192"
        dataset.PatientID = "A^B|C"

    message = read(oru_r01(make_message("HL7", awkward)))
    assert field(message, "PID.F5.R1.C1") == "O|Hara & Sons~"
    assert field(message, "PID.F5.R1.C3") == "\u00c9lo\u00efse"
    assert field(message, "PID.F3.R1.C1") == "A^B|C"
    assert len(list(message)) > 6


@given(st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=40))
def test_any_text_survives_escaping(text):
    expected = text.strip()
    message = hl7.parse(f"MSH|^~\\&|\rNTE|1||{escaped(text)}\r")
    assert message.unescape(whole(message, "NTE", 3)) == expected


@pytest.mark.parametrize(
    "text", ["\\F\\", "\\", "\\\\", "a\\E", "\\E\\F\\", "~", "&&", "^^^", "|x|", "\\X0D\\", "\\.br\\"]
)
def test_what_looks_like_an_escape_survives_the_whole_message(make_message, text):
    made = make_message("HL7")
    order = replace(made.order, patient=Identifier(text), study_description=text)
    message = read(oru_r01(replace(made, order=order, impression=text)))
    assert field(message, "PID.F3.R1.C1") == text
    assert message.unescape(of_code(message, "121073")[0][5]) == text


def test_control_characters_cannot_end_a_segment_or_a_block(make_message):
    def hostile(dataset):
        dataset.PatientID = "1\rOBX|99|NM|x\x1c\x0b"
        dataset.PatientName = "Doe\r^Jane\n"

    content = oru_r01(make_message("HL7", hostile))
    assert b"\x1c" not in content
    assert b"\x0b" not in content
    assert "99" not in [each[1] for each in observations(read(content))]


def test_iso_2022_name_is_sent_in_its_three_forms_in_utf_8(make_message):
    def japanese(dataset):
        dataset.SpecificCharacterSet = ["", "ISO 2022 IR 87"]
        dataset.PatientName = "Yamada^Tarou=\u5c71\u7530^\u592a\u90ce=\u3084\u307e\u3060^\u305f\u308d\u3046"

    content = oru_r01(make_message("HL7", japanese))
    assert b"\x1b" not in content
    message = read(content)
    forms = [str(each) for each in message.segment("PID")[5]]
    assert forms == [
        "Yamada^Tarou^^^^^L^A",
        "\u5c71\u7530^\u592a\u90ce^^^^^L^I",
        "\u3084\u307e\u3060^\u305f\u308d\u3046^^^^^L^P",
    ]


def test_study_without_a_patient_names_nobody_and_matches_nobody(make_message):
    made = make_message("HL7", CHANGES["no patient"])
    message = read(oru_r01(made))
    assert whole(message, "PID", 3) == f"{made.order.study_instance_uid}^^^triage_node^U"
    assert whole(message, "PID", 5) == "^^^^^^U"
    assert whole(message, "PID", 7) == whole(message, "PID", 8) == ""


def test_first_of_several_values_is_taken(make_message):
    def several(dataset):
        dataset.PatientID = ["", "PID-2", "PID-3"]
        dataset.AccessionNumber = ["A-1", "A-2"]

    message = read(oru_r01(make_message("HL7", several)))
    assert str(message["PID.F3.R1.C1"]) == "PID-2"
    assert whole(message, "OBR", 18) == "A-1"


def test_empty_accession_leaves_the_order_numbers_empty(make_message):
    message = read(oru_r01(make_message("HL7", CHANGES["no order"])))
    assert (
        whole(message, "OBR", 2)
        == whole(message, "OBR", 3)
        == whole(message, "OBR", 18)
        == whole(message, "OBR", 7)
        == ""
    )


def test_every_field_that_is_sent_is_documented(make_message):
    text = Path(__file__).parents[2].joinpath("docs", "MESSAGES.md").read_text(encoding="utf-8")
    documented = {each for row in re.findall(r"^\| ([A-Z].*?) \|", text, re.MULTILINE) for each in row.split(", ")}
    told = (make_message("HL7"), make_message("HL7", refusal=Refusal(Reason.NOT_CT), revision=2))
    sent = {
        f"{segment[0]}-{number}"
        for each in told
        for segment in read(oru_r01(each))
        for number in range(1, len(segment))
        if str(segment[number])
    }
    assert sent <= documented


def test_bytes_that_no_character_set_explains_do_not_stop_a_message(make_message, recwarn):
    def garbled(dataset):
        dataset.SpecificCharacterSet = "ISO_IR 192"
        dataset[0x00100010] = DataElement(0x00100010, "UN", b"D\xff\xfe^J\x1b$B\xe9")
        dataset[0x00080050] = DataElement(0x00080050, "UN", b"ACC\xff-1 ")

    message = read(oru_r01(make_message("HL7", garbled)))
    assert str(message["OBR.18"]).startswith("ACC")
    assert not [each for each in recwarn if "ACC" in str(each.message)]
