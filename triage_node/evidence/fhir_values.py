"""How values are written in FHIR R4 JSON: codings, identifiers, logical references, times.

In: the node's coded terms and plain text. Out: JSON-ready pieces that resources are put together from.
Answers to FHIR R4 2.24 (data types), 2.29 (references), 4.3 (code systems; DICOM's are those of PS3.16 Table 8-1).
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from highdicom.sr import CodedConcept

from triage_node.core.identifiers import derived_uid
from triage_node.evidence.codes import PRIVATE_SCHEME, equivalents
from triage_node.evidence.patient_and_order import Identifier

Json = dict[str, Any]

DICOM_UID = "urn:dicom:uid"
URI = "urn:ietf:rfc3986"
IDENTIFIER_TYPES = "http://terminology.hl7.org/CodeSystem/v2-0203"
INTERPRETATIONS = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"
DIAGNOSTIC_SERVICES = "http://terminology.hl7.org/CodeSystem/v2-0074"

CODE_SYSTEMS: Mapping[str, str] = {
    "SCT": "http://snomed.info/sct",
    "DCM": "http://dicom.nema.org/resources/ontology/DCM",
    "LN": "http://loinc.org",
    "UCUM": "http://unitsofmeasure.org",
    "RADLEX": "http://radlex.org",
    "C4": "http://www.ama-assn.org/go/cpt",
    "UMLS": "http://terminology.hl7.org/CodeSystem/umls",
    PRIVATE_SCHEME: f"urn:oid:{derived_uid('coding scheme', PRIVATE_SCHEME)}",
}
"""By coding scheme designator; a code of any other scheme goes without a system, because a wrong one would be a lie."""


def codeable(concept: CodedConcept) -> Json:
    """Return a CodeableConcept with a coding of the concept and of each equivalent that it has."""
    codings = [_coding(each) for each in (concept, *equivalents(concept))]
    return {"coding": codings, "text": str(concept.meaning)}


def _coding(concept: CodedConcept) -> Json:
    coding = {"code": str(concept.value), "display": str(concept.meaning)}
    system = CODE_SYSTEMS.get(str(concept.scheme_designator))
    return coding if system is None else {"system": system, **coding}


def typed(system: str, code: str, display: str) -> Json:
    """Return a CodeableConcept of FHIR's own code systems."""
    return {"coding": [{"system": system, "code": code, "display": display}]}


def uid_identifier(uid: str) -> Json:
    """Return the identifier of something that DICOM knows by a UID."""
    return {"system": DICOM_UID, "value": f"urn:oid:{uid}"}


def business_identifier(identifier: Identifier, type_code: str, type_display: str) -> Json:
    """Return an identifier that a hospital gave out; its system only where DICOM names it by an OID."""
    issuer = identifier.issuer
    known = issuer.universal_id if issuer.universal_id_type == "ISO" else ""
    return {
        "type": typed(IDENTIFIER_TYPES, type_code, type_display),
        **({"system": f"urn:oid:{known}"} if known else {}),
        "value": identifier.value,
        **({"assigner": {"display": issuer.namespace}} if issuer.namespace else {}),
    }


def logical_reference(resource_type: str, identifier: Json) -> Json:
    """Return a reference to a resource that the server has or will have, by its business identifier (FHIR R4 2.29.0.2)."""
    return {"type": resource_type, "identifier": identifier}


def full_url(uid: str) -> str:
    """Return where a resource stands in a bundle: the UUID that one of our UIDs is made from (PS3.5 B.2).

    Examples
    --------
    >>> full_url("2.25.1")
    'urn:uuid:00000000-0000-0000-0000-000000000001'
    """
    return f"urn:uuid:{uuid.UUID(int=int(uid.removeprefix('2.25.')))}"


def date_time(dicom: str) -> str:
    """Return a dateTime for a DICOM date and time; the date alone where the zone is not known, as FHIR wants it.

    Examples
    --------
    >>> date_time("20261123061500.5+0900"), date_time("20261123061500"), date_time("")
    ('2026-11-23T06:15:00+09:00', '2026-11-23', '')
    """
    if not dicom:
        return ""
    date = f"{dicom[:4]}-{dicom[4:6]}-{dicom[6:8]}"
    time, offset = dicom[8:-5], dicom[-5:]
    if len(dicom) < len("YYYYMMDDHHMMSS+ZZZZ") or offset[0] not in "+-":
        return date
    return f"{date}T{time[:2]}:{time[2:4]}:{time[4:6]}{offset[:3]}:{offset[3:]}"


def instant(when: datetime) -> str:
    """Return an instant, to the millisecond."""
    return when.isoformat(timespec="milliseconds")
