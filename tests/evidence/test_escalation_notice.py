"""What is said to whoever is called: readable by each receiver, and no more of the patient than it may know."""

from __future__ import annotations

import email.policy
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from pathlib import Path

import hl7
import pytest

from triage_node.core.destination import DestinationKind
from triage_node.core.escalation import EscalationCall
from triage_node.evidence.escalation_notice import EscalationNotices

FLAGGED_AT = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
NOW = FLAGGED_AT + timedelta(minutes=15)
CALL = EscalationCall(
    escalation_id=1,
    step=2,
    attempts=0,
    flagged_at=FLAGGED_AT,
    due_at=FLAGGED_AT + timedelta(minutes=15),
    study_instance_uid="1.2.3",
    patient_id="PID|1",
    patient_name="DOE^JANE",
    accession_number="ACC-7",
    study_description="CT HEAD",
    ich_probability=0.87,
    subtypes_present=("SDH", "SAH"),
)


@pytest.fixture
def notices(tmp_path: Path) -> EscalationNotices:
    return EscalationNotices(tmp_path, "TRIAGE", web_address="https://node/", mail_from="triage@hospital.example")


def test_webhook_names_the_study_and_how_long_it_waits_but_no_patient(notices: EscalationNotices) -> None:
    made = notices.write(CALL, DestinationKind.WEBHOOK, NOW)
    text = made.path.read_text()
    told = json.loads(text)
    assert told["event"] == "study.unacknowledged"
    assert (told["step"], told["waiting_s"], told["accession_number"]) == (2, 900, "ACC-7")
    assert told["link"] == "https://node/studies/1.2.3"
    assert (told["delivery_id"], told["subtypes_present"]) == (made.sop_instance_uid, ["SDH", "SAH"])
    assert "DOE" not in text
    assert "PID|1" not in text
    assert "not for diagnostic use" in told["notice"].lower()


def test_patient_id_is_told_outside_only_where_the_site_wants_it(notices: EscalationNotices) -> None:
    told = replace(notices, patient_id_outside=True)
    assert json.loads(told.write(CALL, DestinationKind.WEBHOOK, NOW).path.read_text())["patient_id"] == "PID|1"
    assert "Patient ID: PID|1" in told.write(CALL, DestinationKind.EMAIL, NOW).path.read_text()


def test_mail_says_what_to_do_in_plain_words(notices: EscalationNotices) -> None:
    content = notices.write(CALL, DestinationKind.EMAIL, NOW).path.read_bytes()
    mail = message_from_bytes(content, policy=email.policy.default)
    assert mail["Subject"] == "Flagged head CT not acknowledged for 15 minutes: accession ACC-7"
    body = mail.get_content()
    assert "nobody has acknowledged it for 15 minutes" in body
    assert "Subdural hemorrhage, Subarachnoid hemorrhage" in body
    assert "https://node/studies/1.2.3" in body
    assert "DOE" not in body


def test_mail_headers_cannot_be_forged_by_what_a_dataset_says(notices: EscalationNotices) -> None:
    hostile = replace(CALL, accession_number="ACC\r\nBcc: everyone@example.com")
    content = notices.write(hostile, DestinationKind.EMAIL, NOW).path.read_bytes()
    mail = message_from_bytes(content, policy=email.policy.default)
    assert mail["Bcc"] is None
    assert "not acknowledged" in mail["Subject"]


def test_hl7_message_carries_the_patient_and_flags_what_is_present(notices: EscalationNotices) -> None:
    made = notices.write(CALL, DestinationKind.HL7, NOW)
    message = hl7.parse(made.path.read_bytes().decode())
    assert str(message.segment("MSH")[9]) == "ORU^R01^ORU_R01"
    assert message.unescape(str(message["PID.F3.R1.C1"])) == "PID|1"
    assert str(message["PID.F5.R1.C1"]) == "DOE"
    assert str(message["OBR.18"]) == "ACC-7"
    flags = [str(each[8]) for each in message.segments("OBX")]
    assert flags == ["AA", "A", "A", "AA"]


def test_same_call_is_the_same_message_for_the_receiver(notices: EscalationNotices) -> None:
    first = notices.write(CALL, DestinationKind.HL7, NOW)
    again = notices.write(replace(CALL, attempts=1), DestinationKind.HL7, NOW + timedelta(minutes=1))
    other = notices.write(replace(CALL, step=3), DestinationKind.HL7, NOW)
    assert first.sop_instance_uid == again.sop_instance_uid != other.sop_instance_uid
