"""The FHIR R4 bundle of a reading: DiagnosticReport, Observations and the Devices that made them, as one transaction.

In: what is to be told. Out: JSON, the same bytes for the same reading. The bundle follows HL7's DICOM SR to FHIR Resource
Mapping guide: a measurement group of the structured report becomes an Observation whose members are the evaluation and
the probability; the algorithm and the node become Devices; patient, order and imaging study are referred to by their
identifiers, because the server has them already. Every resource is created only if none with its identifier is there, so
that a repeated or late message neither doubles nor overwrites anything: each revision is a report of its own that names
the one it replaces. Never a patient's name.
Answers to FHIR R4 3.1.0.11 (transactions), 3.1.0.8.1 (conditional create), DiagnosticReport, Observation, Device.
"""

from __future__ import annotations

import html
import json
from collections.abc import Iterator

from highdicom.sr import CodedConcept

from triage_node.core.finding import Finding
from triage_node.core.identifiers import derived_uid
from triage_node.core.report import NOTICE, Evaluation, FindingRow
from triage_node.evidence import codes
from triage_node.evidence.fhir_values import (
    DIAGNOSTIC_SERVICES,
    INTERPRETATIONS,
    URI,
    Json,
    business_identifier,
    codeable,
    date_time,
    full_url,
    instant,
    logical_reference,
    typed,
    uid_identifier,
)
from triage_node.evidence.message import Message
from triage_node.evidence.provenance import MANUFACTURER, MODEL_NAME

REPLACES = "http://hl7.org/fhir/StructureDefinition/diagnosticReport-replaces"
PRELIMINARY, CANCELLED = "preliminary", "cancelled"
"""Status of what nobody has verified, and of what is unavailable because it was not done."""

_NARRATIVE = "http://www.w3.org/1999/xhtml"


def transaction_bundle(message: Message) -> bytes:
    """Compose the bundle."""
    entries = [*_devices(message), *_observations(message)]
    entries.append(_entry(message.message_uid, _report(message)))
    bundle = {"resourceType": "Bundle", "type": "transaction", "timestamp": instant(message.created_at)}
    return json.dumps({**bundle, "entry": entries}, ensure_ascii=False, indent=1).encode()


def _entry(uid: str, resource: Json) -> Json:
    """Return the entry that creates a resource unless one with its identifier is there."""
    own = resource["identifier"][0]
    kind = resource["resourceType"]
    request = {"method": "POST", "url": kind, "ifNoneExist": f"identifier={own['system']}|{own['value']}"}
    return {"fullUrl": full_url(uid), "resource": resource, "request": request}


def _report(message: Message) -> Json:
    replaced = message.predecessor_uid
    identifiers = [{"system": URI, "value": f"urn:oid:{message.message_uid}"}]
    if message.report is not None:
        identifiers.append(uid_identifier(message.report.sop_instance_uid))
    earlier = logical_reference("DiagnosticReport", uid_identifier(replaced)) if replaced is not None else None
    lines = f'<div xmlns="{_NARRATIVE}"><p>{html.escape(message.impression)}</p></div>'
    return {
        "resourceType": "DiagnosticReport",
        "text": {"status": "generated", "div": lines},
        **({"extension": [{"url": REPLACES, "valueReference": earlier}]} if earlier is not None else {}),
        "identifier": identifiers,
        **_ordered(message),
        "status": _status(message),
        "category": [typed(DIAGNOSTIC_SERVICES, "RAD", "Radiology")],
        "code": {**codeable(codes.REPORT_TITLE), "text": "Triage of intracranial hemorrhage"},
        **_about(message),
        "imagingStudy": [_imaging_study(message)],
        "result": [{"reference": full_url(_group_uid(message, row))} for row in message.rows],
        "conclusion": message.impression,
    }


def _devices(message: Message) -> Iterator[Json]:
    """Yield the node and, where it read, the algorithm that runs on it (TID 1004, TID 4019)."""
    node = message.node
    yield _entry(
        node.device_uid,
        {
            "resourceType": "Device",
            "identifier": [uid_identifier(node.device_uid)],
            "manufacturer": MANUFACTURER,
            "serialNumber": node.device_serial_number,
            "deviceName": [
                {"name": node.station_name, "type": "user-friendly-name"},
                {"name": MODEL_NAME, "type": "model-name"},
            ],
            "note": [{"text": f"{NOTICE}."}],
        },
    )
    if message.finding is not None:
        yield _entry(_algorithm_uid(message.finding), _algorithm(message.finding, node.device_uid))


def _algorithm(finding: Finding, node_uid: str) -> Json:
    parameters = {
        "operating_point": finding.operating_point,
        "operating_threshold": f"{finding.operating_threshold:.6g}",
        "weights_sha256": finding.weights_sha256,
    }
    return {
        "resourceType": "Device",
        "identifier": [uid_identifier(_algorithm_uid(finding))],
        "manufacturer": MANUFACTURER,
        "deviceName": [{"name": finding.model_name, "type": "model-name"}],
        "version": [{"value": finding.model_version}],
        "property": [{"type": {"text": name}, "valueCode": [{"text": value}]} for name, value in parameters.items()],
        "note": [{"text": f"{NOTICE}."}],
        "parent": {"reference": full_url(node_uid)},
    }


def _algorithm_uid(finding: Finding) -> str:
    return derived_uid(
        "algorithm",
        finding.model_name,
        finding.model_version,
        finding.weights_sha256,
        finding.operating_point,
        repr(finding.operating_threshold),
    )


def _observations(message: Message) -> Iterator[Json]:
    for row in message.rows:
        members = list(_members(message, row))
        yield from members
        group = {"hasMember": [{"reference": each["fullUrl"]} for each in members]}
        yield _observation(message, _group_uid(message, row), codes.MEASUREMENT_GROUP, row.name, group)


def _members(message: Message, row: FindingRow) -> Iterator[Json]:
    """Yield the evaluation, its probability, and with hemorrhage as such the reason why nothing was read."""
    value: Json = {"valueCodeableConcept": codeable(codes.EVALUATIONS[row.evaluation])}
    if row.evaluation is Evaluation.PRESENT:
        flag, word = ("AA", "Critical abnormal") if row.code == "ICH" else ("A", "Abnormal")
        value["interpretation"] = [typed(INTERPRETATIONS, flag, word)]
    concept = codes.FINDINGS[row.code]
    yield _observation(message, _uid(message, row.code, "evaluation"), concept, row.name, value)
    if row.probability is not None:
        quantity = {"value": round(row.probability, 4), "unit": "1", **_ONE}
        name = f"{codes.PROBABILITY.meaning}: {row.name}"
        uid = _uid(message, row.code, "probability")
        yield _observation(message, uid, codes.PROBABILITY, name, {"valueQuantity": quantity})
    if row.code == "ICH" and message.refusal is not None:
        reason = {"valueCodeableConcept": codeable(codes.reason_code(message.refusal.reason))}
        uid, concept = _uid(message, row.code, "reason"), codes.NOT_ANALYSED_REASON
        yield _observation(message, uid, concept, str(concept.meaning), reason)


_ONE = {"system": "http://unitsofmeasure.org", "code": "1"}


def _observation(message: Message, uid: str, concept: CodedConcept, text: str, content: Json) -> Json:
    finding = message.finding
    device = message.node.device_uid if finding is None else _algorithm_uid(finding)
    resource = {
        "resourceType": "Observation",
        "identifier": [uid_identifier(uid)],
        **_ordered(message),
        "partOf": [_imaging_study(message)],
        "status": _status(message),
        "code": {**codeable(concept), "text": text},
        **_about(message),
        "bodySite": codeable(codes.INTRACRANIAL),
        "device": {"reference": full_url(device)},
        **content,
    }
    return _entry(uid, resource)


def _status(message: Message) -> str:
    return CANCELLED if message.finding is None else PRELIMINARY


def _ordered(message: Message) -> Json:
    """Return the order by its accession number, where the study has one."""
    accession = message.order.accession
    if not accession:
        return {}
    return {"basedOn": [logical_reference("ServiceRequest", business_identifier(accession, "ACSN", "Accession ID"))]}


def _about(message: Message) -> Json:
    """Return patient and times; a study without a Patient ID is about nobody whom the server could know."""
    patient, started = message.order.patient, date_time(message.order.study_started_at)
    subject = logical_reference("Patient", business_identifier(patient, "MR", "Medical record number"))
    return {
        **({"subject": subject} if patient else {}),
        **({"effectiveDateTime": started} if started else {}),
        "issued": instant(message.created_at),
    }


def _imaging_study(message: Message) -> Json:
    return logical_reference("ImagingStudy", uid_identifier(message.order.study_instance_uid))


def _group_uid(message: Message, row: FindingRow) -> str:
    return _uid(message, row.code, "group")


def _uid(message: Message, code: str, what: str) -> str:
    return derived_uid(message.message_uid, code, what)
