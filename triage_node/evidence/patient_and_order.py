"""Whose study it is and who ordered it, as plain text for messages that are not DICOM.

In: the header of a source instance, as scanners and archives really write it, in any character set. Out: Unicode strings
without control characters, the first value where the source has several, empty where it has none. Lengths that only DICOM
knows are not enforced: an accession number of 20 characters is illegal in an object and finds its order all the same.
Answers to PS3.3 C.7.1.1, C.7.2.1, C.7.3.1, 10.6 (Request Attributes) and PS3.5 6.2.1 (Person Name).
"""

from __future__ import annotations

import re
import unicodedata
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.valuerep import PersonName

LONGEST_TEXT = 199
"""Characters of the longest string that HL7 v2.5.1 lets stand in one component (2.A.74, ST)."""

_DATE = re.compile(r"\d{8}")
_TIME = re.compile(r"\d{2}(\d{2}(\d{2}(\.\d{1,6})?)?)?")
_OFFSET = re.compile(r"[+-][01]\d[0-5]\d")


@dataclass(frozen=True)
class Issuer:
    """Who gave an identifier out (PS3.3 10.14; HL7 HD); empty strings where it is not known."""

    namespace: str = ""
    universal_id: str = ""
    universal_id_type: str = ""


@dataclass(frozen=True)
class Identifier:
    """An identifier and who gave it out; false where there is none."""

    value: str = ""
    issuer: Issuer = Issuer()

    def __bool__(self) -> bool:
        return bool(self.value)


@dataclass(frozen=True)
class NameForm:
    """One written form of a person's name; ``representation`` as in HL7 table 0465: A, I (ideographic) or P (phonetic)."""

    representation: str
    family: str
    given: str
    middle: str
    prefix: str
    suffix: str


@dataclass(frozen=True)
class PatientAndOrder:
    """What a message says of the patient, the order and the study.

    Attributes
    ----------
    birth_date
        YYYYMMDD or empty.
    sex
        M, F, O or empty.
    accession, placer_order, filler_order
        As the study has them, in its own attributes or in Request Attributes Sequence.
    study_started_at
        YYYYMMDD[HHMM[SS[.FFFFFF]]][+HHMM] in the study's own time zone, or empty.
    """

    study_instance_uid: str
    patient: Identifier
    names: tuple[NameForm, ...]
    birth_date: str
    sex: str
    accession: Identifier
    placer_order: Identifier
    filler_order: Identifier
    referring_physician: tuple[NameForm, ...]
    study_description: str
    study_started_at: str


def patient_and_order(header: Dataset) -> PatientAndOrder:
    """Read who and what a study is about.

    Parameters
    ----------
    header
        Header of any instance of the study; may lack anything but its UIDs.
    """
    sex = plain_text(header, "PatientSex")
    birth_date = plain_text(header, "PatientBirthDate")
    return PatientAndOrder(
        study_instance_uid=str(header.StudyInstanceUID),
        patient=Identifier(plain_text(header, "PatientID"), _patient_issuer(header)),
        names=_names(header, "PatientName"),
        birth_date=birth_date if _DATE.fullmatch(birth_date) else "",
        sex=sex if sex in ("M", "F", "O") else "",
        accession=_order(header, "AccessionNumber", "IssuerOfAccessionNumberSequence"),
        placer_order=_order(header, "PlacerOrderNumberImagingServiceRequest", "OrderPlacerIdentifierSequence"),
        filler_order=_order(header, "FillerOrderNumberImagingServiceRequest", "OrderFillerIdentifierSequence"),
        referring_physician=_names(header, "ReferringPhysicianName"),
        study_description=plain_text(header, "StudyDescription"),
        study_started_at=_started_at(header),
    )


def plain_text(dataset: Dataset, keyword: str) -> str:
    """Return the first value of an element as text in one line.

    Examples
    --------
    >>> dataset = Dataset()
    >>> dataset.AccessionNumber = ["", "A-1"]
    >>> plain_text(dataset, "AccessionNumber"), plain_text(dataset, "PatientID")
    ('A-1', '')
    """
    value = _first_value(dataset, keyword)
    return "" if value is None or isinstance(value, (bytes, Dataset)) else one_line(str(value))[:LONGEST_TEXT]


def one_line(text: str) -> str:
    """Return text without control characters and outer blanks.

    Examples
    --------
    >>> one_line(chr(11) + "Doe" + chr(13) + "Jane ")
    'Doe Jane'
    """
    return "".join(" " if unicodedata.category(each) in ("Cc", "Cs") else each for each in text).strip()


def _first_value(dataset: Dataset, keyword: str) -> object:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they quote the value: a patient in the log
            value = dataset.get(keyword)
    except Exception:  # a value that pydicom cannot even convert
        return None
    if isinstance(value, (list, MultiValue)):
        return next((each for each in value if each not in (None, "")), None)
    return value


def _items(dataset: Dataset, keyword: str) -> Iterator[Dataset]:
    try:
        yield from dataset.get(keyword) or []
    except Exception:
        return


def _order(header: Dataset, keyword: str, issuers: str) -> Identifier:
    for dataset in (header, *_items(header, "RequestAttributesSequence")):
        value = plain_text(dataset, keyword)
        if value:
            return Identifier(value, next((_issuer(item) for item in _items(dataset, issuers)), Issuer()))
    return Identifier()


def _issuer(item: Dataset) -> Issuer:
    keywords = ("LocalNamespaceEntityID", "UniversalEntityID", "UniversalEntityIDType")
    return Issuer(*(plain_text(item, keyword) for keyword in keywords))


def _patient_issuer(header: Dataset) -> Issuer:
    namespace = plain_text(header, "IssuerOfPatientID")
    for item in _items(header, "IssuerOfPatientIDQualifiersSequence"):
        qualifier = _issuer(item)
        return Issuer(namespace, qualifier.universal_id, qualifier.universal_id_type)
    return Issuer(namespace)


def _names(header: Dataset, keyword: str) -> tuple[NameForm, ...]:
    """Return the forms of a name that are not empty (PS3.5 6.2.1.1: alphabetic, ideographic, phonetic)."""
    value = _first_value(header, keyword)
    if value is None or isinstance(value, (bytes, Dataset)):
        return ()
    return name_forms(str(value))  # decoded: what stands in the file is in the source's character set


def name_forms(text: str) -> tuple[NameForm, ...]:
    """Return the forms that are not empty of a name as DICOM writes it.

    Examples
    --------
    >>> name_forms("DOE^JANE")[0].given
    'JANE'
    """
    name = PersonName(text)
    forms = (("A", name.alphabetic), ("I", name.ideographic), ("P", name.phonetic))
    return tuple(_form(representation, group) for representation, group in forms if group.strip("^ "))


def _form(representation: str, group: str) -> NameForm:
    family, given, middle, prefix, suffix = ([one_line(part)[:LONGEST_TEXT] for part in group.split("^")] + [""] * 5)[
        :5
    ]
    return NameForm(representation, family, given, middle, prefix, suffix)


def _started_at(header: Dataset) -> str:
    date, time = plain_text(header, "StudyDate"), plain_text(header, "StudyTime")
    if not _DATE.fullmatch(date):
        return ""
    if not _TIME.fullmatch(time):
        return date
    offset = plain_text(header, "TimezoneOffsetFromUTC")
    return date + time + (offset if _OFFSET.fullmatch(offset) else "")
