"""How values are written in the vertical-bar encoding of HL7 v2 (ER7): escapes, components, names, identifiers, times.

In: plain text. Out: fields that can be set on hl7apy's segments as they stand. The library joins fields and segments and
knows the version's structure; what it takes for a separator has to be escaped before.
Answers to HL7 v2.5.1 2.5.5 and 2.7 (escape sequences), 2.A (data types).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from highdicom.sr import CodedConcept
from hl7apy.core import Segment

from triage_node.evidence.codes import equivalents
from triage_node.evidence.patient_and_order import Identifier, Issuer, NameForm, one_line

FieldValue = str | Sequence[str]
"""A field, or its repetitions."""
Fields = Mapping[int, FieldValue]
"""Fields of one segment by their numbers."""

_ESCAPES = str.maketrans({"\\": "\\E\\", "|": "\\F\\", "^": "\\S\\", "&": "\\T\\", "~": "\\R\\"})
"""HL7 v2.5.1 2.7.1. hl7apy leaves alone what is an escape sequence already, so that nothing is escaped twice."""


def escaped(text: str) -> str:
    """Return text as it may stand in a component.

    Examples
    --------
    >>> print(escaped("A|B & C"))
    A\\F\\B \\T\\ C
    """
    return one_line(text).translate(_ESCAPES)


def composite(*components: str) -> str:
    """Return a field of these components, escaped, without empty ones at the end.

    Examples
    --------
    >>> composite("Doe", "Jane", "", "")
    'Doe^Jane'
    """
    return "^".join(escaped(each) for each in components).rstrip("^")


def coded(concept: CodedConcept) -> str:
    """Return a CE or CWE: identifier, text, name of coding system (DICOM's designators are those of HL7 table 0396).

    The alternate identifier, components 4 to 6, is the first equivalent that the concept has.
    """
    both = (concept, *equivalents(concept)[:1])
    return composite(*(part for each in both for part in (each.value, each.meaning, each.scheme_designator)))


def entity(identifier: Identifier) -> str:
    """Return an EI (2.A.28): an identifier with who gave it out."""
    issuer = identifier.issuer
    return composite(identifier.value, issuer.namespace, issuer.universal_id, issuer.universal_id_type)


def extended_identifier(identifier: Identifier, type_code: str) -> str:
    """Return a CX (2.A.14) of this type (HL7 table 0203)."""
    return f"{escaped(identifier.value)}^^^{_authority(identifier.issuer)}^{type_code}"


def _authority(issuer: Issuer) -> str:
    parts = (issuer.namespace, issuer.universal_id, issuer.universal_id_type)
    return "&".join(escaped(each) for each in parts).rstrip("&")


def person(form: NameForm) -> str:
    """Return an XPN (2.A.88). DICOM has the prefix before the suffix, HL7 after it."""
    middle = (form.family, form.given, form.middle, form.suffix, form.prefix)
    return composite(*middle, "", "L", form.representation)


def provider(form: NameForm) -> str:
    """Return an XCN (2.A.86) of somebody whose number is not known."""
    return composite("", form.family, form.given, form.middle, form.suffix, form.prefix)


def instant(when: datetime) -> str:
    """Return a TS to the second, with its offset from UTC.

    Examples
    --------
    >>> from datetime import UTC
    >>> instant(datetime(2026, 11, 23, 6, 30, 15, tzinfo=UTC))
    '20261123063015+0000'
    """
    return when.strftime("%Y%m%d%H%M%S%z")


def timestamp_of(dicom: str) -> str:
    """Return a TS for a DICOM date and time: its hours are pairs with minutes, its fraction has four digits at most.

    Examples
    --------
    >>> timestamp_of("20261123061500.123456+0900"), timestamp_of("2026112306"), timestamp_of("")
    ('20261123061500.1234+0900', '20261123', '')
    """
    sign = max(dicom.find("+"), dicom.find("-"))
    digits, offset = (dicom[:sign], dicom[sign:]) if sign > 0 else (dicom, "")
    whole, _, fraction = digits.partition(".")
    if len(whole) < len("YYYYMMDDHHMM"):
        return whole[:8]
    return whole + (f".{fraction[:4]}" if fraction else "") + offset


def filled(segment: Segment, fields: Fields) -> None:
    """Set the fields of a segment by their numbers; empty ones are left out."""
    for number, value in fields.items():
        name = f"{segment.name}_{number}"
        if isinstance(value, str):
            if value:
                setattr(segment, name.lower(), value)
        else:
            for repetition in value:
                segment.add_field(name).value = repetition


def numbered(segments: Iterable[Fields]) -> Iterator[Fields]:
    """Yield the fields of segments of one kind with Set ID, counted from 1."""
    for number, fields in enumerate(segments, start=1):
        yield {1: str(number), **fields}
