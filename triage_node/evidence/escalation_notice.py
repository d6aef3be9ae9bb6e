"""What is said to whoever is called when nobody acknowledges a flagged study.

In: a call. Out: one file a call and attempt: a JSON document for a signed webhook, an HL7 v2 message, or an e-mail. A webhook
and an e-mail leave the hospital more often than not: they carry no name, and the Patient ID only where the site wants it.
Answers to HL7 v2.5.1 7.3.1 (ORU^R01) and RFC 5322.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from pathlib import Path

from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.core import Message as Hl7Message

from triage_node.core.destination import DestinationKind
from triage_node.core.errors import Defect
from triage_node.core.escalation import EscalationCall
from triage_node.core.finding import SUBTYPE_NAMES
from triage_node.core.identifiers import derived_uid
from triage_node.core.ports import EvidenceObject
from triage_node.core.report import NOTICE, Evaluation
from triage_node.evidence import codes
from triage_node.evidence.durable_file import fsync_folder, write_bytes_durably
from triage_node.evidence.er7 import Fields, coded, composite, escaped, filled, instant, numbered, person
from triage_node.evidence.hl7_report import ABNORMAL, CHARACTER_SET, VERSION, VERY_ABNORMAL, control_id
from triage_node.evidence.patient_and_order import name_forms, one_line
from triage_node.evidence.webhook_report import FORMAT_VERSION, WebhookEvent

SUFFIXES: Mapping[DestinationKind, str] = {
    DestinationKind.WEBHOOK: "json",
    DestinationKind.HL7: "hl7",
    DestinationKind.EMAIL: "eml",
}


@dataclass(frozen=True)
class EscalationNotices:
    """``core.ports.NoticeWriter``.

    Attributes
    ----------
    folder
        Where messages are kept, one folder a study.
    node
        Our AE title, to name who calls.
    web_address
        Where the worklist is reached, for the link in the message; empty: no link.
    mail_from
        The sender of e-mails.
    patient_id_outside
        Whether webhooks and e-mails tell the Patient ID.
    """

    folder: Path
    node: str
    web_address: str = ""
    mail_from: str = ""
    patient_id_outside: bool = False

    def write(self, call: EscalationCall, kind: DestinationKind, now: datetime) -> EvidenceObject:
        """Write the message of a call."""
        compose: Mapping[DestinationKind, Callable[[EscalationCall, str, datetime], bytes]] = {
            DestinationKind.WEBHOOK: self._document,
            DestinationKind.HL7: self._hl7,
            DestinationKind.EMAIL: self._mail,
        }
        if kind not in compose:
            raise Defect(f"nobody is called by {kind}")
        uid = derived_uid("escalation", call.study_instance_uid, call.flagged_at.isoformat(), str(call.step))
        folder = self.folder / call.study_instance_uid
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{uid}.{SUFFIXES[kind]}"
        write_bytes_durably(compose[kind](call, uid, now), path)
        fsync_folder(folder)
        return EvidenceObject(kind.value.upper(), call.step, "", uid, "", call.study_instance_uid, path)

    def _link(self, call: EscalationCall) -> str:
        return f"{self.web_address.rstrip('/')}/studies/{call.study_instance_uid}" if self.web_address else ""

    def _document(self, call: EscalationCall, uid: str, now: datetime) -> bytes:
        document = {
            "format_version": FORMAT_VERSION,
            "event": WebhookEvent.STUDY_UNACKNOWLEDGED.value,
            "delivery_id": uid,
            "node": self.node,
            "study_instance_uid": call.study_instance_uid,
            "accession_number": call.accession_number,
            **({"patient_id": call.patient_id} if self.patient_id_outside else {}),
            "step": call.step,
            "flagged_at": call.flagged_at.isoformat(timespec="milliseconds"),
            "waiting_s": round(call.waiting_s(now)),
            "ich_probability": round(call.ich_probability, 4),
            "subtypes_present": list(call.subtypes_present),
            "link": self._link(call) or None,
            "created_at": now.isoformat(timespec="milliseconds"),
            "notice": NOTICE,
        }
        return json.dumps(document, ensure_ascii=False, indent=1).encode()

    def _mail(self, call: EscalationCall, uid: str, now: datetime) -> bytes:
        mail = EmailMessage()
        mail["From"] = self.mail_from
        mail["Date"] = now
        mail["Message-ID"] = f"<{uid}@triage-node.invalid>"
        mail["Auto-Submitted"] = "auto-generated"
        mail["X-Priority"] = "1"
        mail["Subject"] = f"Flagged head CT not acknowledged for {_minutes(call, now)}: {_study_name(call)}"
        lines = [*_sentences(call, now)]
        if self.patient_id_outside:
            lines.append(f"Patient ID: {one_line(call.patient_id)}")
        if link := self._link(call):
            lines.append(f"Open it: {link}")
        mail.set_content("\n".join([*lines, "", f"{NOTICE}.", f"Sent by {self.node}, step {call.step}."]) + "\n")
        return mail.as_bytes()

    def _hl7(self, call: EscalationCall, uid: str, now: datetime) -> bytes:
        composed = Hl7Message("ORU_R01", version=VERSION, validation_level=VALIDATION_LEVEL.TOLERANT)
        header: Fields = {
            3: composite(self.node),
            7: instant(now),
            9: "ORU^R01^ORU_R01",
            10: control_id(uid),
            11: "P",
            12: VERSION,
            18: CHARACTER_SET,
        }
        filled(composed.msh, header)
        result = composed.add_group("ORU_R01_PATIENT_RESULT")
        names = [person(form) for form in name_forms(call.patient_name)]
        patient: Fields = {1: "1", 3: f"{escaped(call.patient_id)}^^^^MR", 5: names or "^^^^^^U"}
        filled(result.add_group("ORU_R01_PATIENT").add_segment("PID"), patient)
        order = result.add_group("ORU_R01_ORDER_OBSERVATION")
        request: Fields = {
            1: "1",
            3: escaped(call.accession_number),
            4: coded(codes.CT_HEAD_WITHOUT_CONTRAST),
            18: escaped(call.accession_number),
            22: instant(now),
            24: "CT",
            25: "P",
        }
        filled(order.add_segment("OBR"), request)
        filled(order.add_segment("NTE"), {1: "1", 2: "L", 3: escaped(f"{NOTICE}.")})
        for fields in numbered(_observations(call, now)):
            filled(order.add_group("ORU_R01_OBSERVATION").add_segment("OBX"), fields)
        return f"{composed.to_er7()}\r".encode()


def _observations(call: EscalationCall, now: datetime) -> Iterator[Fields]:
    present = coded(codes.EVALUATIONS[Evaluation.PRESENT])
    for number, finding in enumerate(("ICH", *call.subtypes_present), start=1):
        flag = VERY_ABNORMAL if finding == "ICH" else ABNORMAL
        yield {
            2: "CWE",
            3: coded(codes.FINDINGS[finding]),
            4: str(number),
            5: present,
            8: flag,
            11: "P",
            14: instant(now),
        }
    told = [escaped(sentence) for sentence in _sentences(call, now)]
    yield {2: "TX", 3: coded(codes.IMPRESSION), 5: told, 8: VERY_ABNORMAL, 11: "P", 14: instant(now)}


def _sentences(call: EscalationCall, now: datetime) -> Iterator[str]:
    yield (
        f"A head CT was flagged for intracranial hemorrhage (probability {call.ich_probability:.2f}) at"
        f" {call.flagged_at:%Y-%m-%d %H:%M} UTC, and nobody has acknowledged it for {_minutes(call, now)}."
    )
    if call.subtypes_present:
        yield "Suspected: " + ", ".join(SUBTYPE_NAMES[each] for each in call.subtypes_present) + "."
    yield f"Study: {_study_name(call)}."


def _study_name(call: EscalationCall) -> str:
    return (
        f"accession {one_line(call.accession_number)}" if call.accession_number else f"study {call.study_instance_uid}"
    )


def _minutes(call: EscalationCall, now: datetime) -> str:
    minutes = max(0, round(call.waiting_s(now) / 60))
    return "1 minute" if minutes == 1 else f"{minutes} minutes"
