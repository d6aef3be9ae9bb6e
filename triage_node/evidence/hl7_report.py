"""The HL7 v2 message of a reading: ORU^R01 of version 2.5.1, for the RIS, the EHR or the interface engine between.

In: what is to be told. Out: one message in ER7, UTF-8, the same bytes for the same reading. Every kind of blood is a coded
OBX (present, absent, not assessed) with its probability in the OBX after it; only what is present is flagged abnormal, and
nothing is ever marked normal. The result is preliminary; one that supersedes an earlier one is a correction. The accession
number goes where IHE Radiology has it (OBR-18), the order numbers where the study has them.
Answers to HL7 v2.5.1 3.4.2 (PID), 4.5.1 (ORC), 7.3.1 (ORU^R01), 7.4.1 (OBR) and 7.4.2 (OBX).
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator

from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.core import Message as Hl7Message

from triage_node.core.report import NOTICE, Evaluation, FindingRow
from triage_node.evidence import codes
from triage_node.evidence.er7 import (
    Fields,
    FieldValue,
    coded,
    composite,
    entity,
    escaped,
    extended_identifier,
    filled,
    instant,
    numbered,
    person,
    provider,
    timestamp_of,
)
from triage_node.evidence.message import Message
from triage_node.evidence.patient_and_order import Identifier, Issuer
from triage_node.evidence.provenance import MODEL_NAME

VERSION = "2.5.1"
CHARACTER_SET = "UNICODE UTF-8"  # HL7 table 0211

PRELIMINARY, NOT_AVAILABLE, CORRECTED = "P", "I", "C"
"""OBR-25, HL7 table 0123; I: no results available, procedure incomplete."""
CANNOT_BE_OBTAINED = "X"  # OBX-11, HL7 table 0085
VERY_ABNORMAL, ABNORMAL = "AA", "A"  # OBX-8, HL7 table 0078

_SENTENCE_END = re.compile(r"(?<=\.) (?=[A-Z\d])")
"""Each sentence is a repetition, which displays put on a line of its own (HL7 v2.5.1 2.A.78, TX)."""
_NAME_NOT_KNOWN = "^^^^^^U"
"""HL7 v2.5.1 3.4.2.5: a name that is not known is empty, of type U."""


def oru_r01(message: Message) -> bytes:
    """Compose the message; segments end with carriage returns, the framing of MLLP is not part of it."""
    composed = Hl7Message("ORU_R01", version=VERSION, validation_level=VALIDATION_LEVEL.TOLERANT)
    filled(composed.msh, _header(message))
    result = composed.add_group("ORU_R01_PATIENT_RESULT")
    patient = result.add_group("ORU_R01_PATIENT")
    filled(patient.add_segment("PID"), _patient(message))
    filled(patient.add_group("ORU_R01_VISIT").add_segment("PV1"), _visit(message))
    order = result.add_group("ORU_R01_ORDER_OBSERVATION")
    filled(order.add_segment("ORC"), _common_order(message))
    filled(order.add_segment("OBR"), _request(message))
    filled(order.add_segment("NTE"), {1: "1", 2: "L", 3: escaped(f"{NOTICE}.")})
    for fields in numbered([*_results(message), *_references(message)]):
        observation = order.add_group("ORU_R01_OBSERVATION")
        filled(observation.add_segment("OBX"), fields)
    return f"{composed.to_er7()}\r".encode()


def control_id(message_uid: str) -> str:
    """Return MSH-10, at most 20 characters: the same for the same message, so that a receiver knows it when it comes again.

    Examples
    --------
    >>> len(control_id("2.25.1")), control_id("2.25.1") == control_id("2.25.2")
    (20, False)
    """
    return base64.b32encode(hashlib.sha256(message_uid.encode("ascii")).digest()).decode("ascii")[:20]


def _header(message: Message) -> Fields:
    return {
        3: composite(message.node.station_name, message.node.device_uid, "ISO"),
        7: instant(message.created_at),
        9: "ORU^R01^ORU_R01",
        10: control_id(message.message_uid),
        11: "P",
        12: VERSION,
        18: CHARACTER_SET,
    }


def _patient(message: Message) -> Fields:
    order = message.order
    return {
        1: "1",
        3: _patient_identifier(message),
        5: [person(form) for form in order.names] or _NAME_NOT_KNOWN,
        7: order.birth_date,
        8: order.sex,
    }


def _patient_identifier(message: Message) -> str:
    """Return PID-3, which may not be empty.

    A study without a Patient ID gets an identifier of this node's, made from the study and of type U (unspecified): it
    names nobody, and matches nobody else's patient.
    """
    order = message.order
    if order.patient:
        return extended_identifier(order.patient, "MR")
    return extended_identifier(Identifier(order.study_instance_uid, Issuer(MODEL_NAME)), "U")


def _visit(message: Message) -> Fields:
    """Return PV1 with the class unknown (HL7 table 0004): images do not say it."""
    return {1: "1", 2: "U", 8: [provider(form) for form in message.order.referring_physician[:1]]}


def _common_order(message: Message) -> Fields:
    return {1: "RE", 2: entity(message.order.placer_order), 3: _filler_order(message)}


def _filler_order(message: Message) -> str:
    """Return the filler's order number; where a study has only an accession number, that is what the RIS filled it by."""
    return entity(message.order.filler_order or message.order.accession)


def _request(message: Message) -> Fields:
    order = message.order
    status = NOT_AVAILABLE if message.finding is None else PRELIMINARY
    return {
        1: "1",
        2: entity(order.placer_order),
        3: _filler_order(message),
        4: coded(message.procedure),
        7: timestamp_of(order.study_started_at),
        18: escaped(order.accession.value),
        22: instant(message.created_at),
        24: "CT",
        25: CORRECTED if message.supersedes else status,
    }


def _results(message: Message) -> Iterator[Fields]:
    """Yield what was found, or the reason why nothing was."""
    for number, row in enumerate(message.rows, start=1):
        yield _evaluation(message, row, str(number))
        if row.probability is not None:
            value = f"{row.probability:.4f}"
            yield _observation(message, "NM", coded(codes.PROBABILITY), str(number), value, units=coded(codes.NO_UNITS))
    if message.refusal is not None:
        reason = codes.reason_code(message.refusal.reason)
        yield _observation(message, "CWE", coded(codes.NOT_ANALYSED_REASON), "1", coded(reason))
    lines = [escaped(sentence) for sentence in _SENTENCE_END.split(message.impression)]
    yield _observation(message, "TX", coded(codes.IMPRESSION), "", lines)


def _evaluation(message: Message, row: FindingRow, sub_id: str) -> Fields:
    present = row.evaluation is Evaluation.PRESENT
    flag = (VERY_ABNORMAL if row.code == "ICH" else ABNORMAL) if present else ""
    status = CANNOT_BE_OBTAINED if message.finding is None else PRELIMINARY
    value = coded(codes.EVALUATIONS[row.evaluation])
    return _observation(message, "CWE", coded(codes.FINDINGS[row.code]), sub_id, value, flag=flag, status=status)


def _references(message: Message) -> Iterator[Fields]:
    """Yield the study, the series that was read and the objects made of it by their UIDs (HD, as IHE RAD-28 has them)."""
    yield _reference(message, coded(codes.STUDY_INSTANCE_UID), "", message.order.study_instance_uid)
    yield _reference(message, coded(codes.SERIES_INSTANCE_UID), "", message.series_instance_uid)
    if message.report is not None:
        yield _reference(message, composite("", "SR Instance UID"), "", message.report.sop_instance_uid)
    if message.predecessor_uid is not None:
        yield _reference(message, composite("", "SR Instance UID"), "superseded", message.predecessor_uid)


def _reference(message: Message, identifier: str, sub_id: str, uid: str) -> Fields:
    return _observation(message, "HD", identifier, sub_id, composite("", uid, "ISO"))


def _observation(
    message: Message,
    value_type: str,
    identifier: str,
    sub_id: str,
    value: FieldValue,
    *,
    units: str = "",
    flag: str = "",
    status: str = PRELIMINARY,
) -> Fields:
    finding = message.finding
    method = "" if finding is None else composite("", f"{finding.model_name} {finding.model_version}")
    return {
        2: value_type,
        3: identifier,
        4: sub_id,
        5: value,
        6: units,
        8: flag,
        11: status,
        14: instant(message.created_at),
        17: method,
        18: composite(message.node.station_name, MODEL_NAME, message.node.device_uid, "ISO"),
    }
