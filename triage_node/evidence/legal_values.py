"""Patient and study attributes as the source has them, as far as the standard lets them stand.

In: the header of a source instance, as scanners and archives really write it. Out: attributes that can be written into a
new object without making it illegal. Nothing is invented: what is illegal is left out, or empty where the attribute must
be there (type 2); the first value is taken where the standard allows one and the source has several.
Answers to PS3.5 6.2 (value representations) and PS3.3 C.7.1.1, C.7.2.1, C.7.2.2, C.7.1.3, C.7.2.3.
"""

from __future__ import annotations

import re
import unicodedata
import warnings

from pydicom import config
from pydicom.charset import python_encoding
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.tag import Tag
from pydicom.valuerep import validate_value

TYPE_2 = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "ReferringPhysicianName",
    "StudyID",
    "AccessionNumber",
)
"""Attributes every one of our objects has, empty where the source has nothing that may be written."""

OPTIONAL = (
    "IssuerOfPatientID",
    "PatientBirthTime",
    "EthnicGroup",
    "PatientIdentityRemoved",
    "DeidentificationMethod",
    "StudyDescription",
    "PatientAge",
    "PatientSize",
    "PatientWeight",
    "ClinicalTrialSponsorName",
    "ClinicalTrialProtocolID",
    "ClinicalTrialProtocolName",
    "ClinicalTrialSiteID",
    "ClinicalTrialSiteName",
    "ClinicalTrialSubjectID",
    "ClinicalTrialTimePointID",
    "TimezoneOffsetFromUTC",
)

_CODED_TERMS = {
    "PatientSex": frozenset({"M", "F", "O"}),
    "PatientIdentityRemoved": frozenset({"YES", "NO"}),
}
_OFFSET = re.compile(r"[+-][01]\d[0-5]\d")
_WRITTEN_FORMS = {"DA": re.compile(r"\d{8}"), "TM": re.compile(r"\d{2}(\d{2}(\d{2}(\.\d{1,6})?)?)?")}
"""Readers let the ACR-NEMA forms with dots and colons through, but they may not be written (PS3.5 6.2)."""
_CLINICAL_TRIAL_TYPE_1 = ("ClinicalTrialSponsorName", "ClinicalTrialProtocolID", "ClinicalTrialSubjectID")


def patient_and_study(source: Dataset) -> Dataset:
    """Return the attributes of patient and study that may be written again, in the source's character set.

    Parameters
    ----------
    source
        Header of any instance of the study; may lack anything but its UIDs.
    """
    attributes = Dataset()
    attributes.StudyInstanceUID = str(source.StudyInstanceUID)
    for keyword in TYPE_2:
        element = legal_element(source, keyword)
        if element is not None:
            attributes.add(element)
        else:
            setattr(attributes, keyword, "")
    for keyword in OPTIONAL:
        element = legal_element(source, keyword)
        if element is not None:
            attributes.add(element)
    codes = coded_items(source, "ProcedureCodeSequence")
    if codes:
        attributes.ProcedureCodeSequence = codes
    _mend_conditions(attributes)
    character_set = legal_character_set(source) or _character_set_needed(source, attributes)
    if character_set is not None:
        attributes.SpecificCharacterSet = character_set
    return attributes


def _character_set_needed(source: Dataset, attributes: Dataset) -> str | None:
    """Name a character set for text beyond ASCII whose source names none that exists.

    Without any, pydicom reads Latin-1: naming that keeps the bytes as they are. With a term that does not exist, what was
    read is written as UTF-8.
    """
    if all(str(element.value).isascii() for element in attributes):
        return None
    return "ISO_IR 192" if "SpecificCharacterSet" in source else "ISO_IR 100"


def _mend_conditions(attributes: Dataset) -> None:
    """Keep what the standard couples together (type 1C) together."""
    if attributes.get("PatientIdentityRemoved") == "YES" and not attributes.get("DeidentificationMethod"):
        # C.7.1.1 wants a method beside YES; dropping YES would claim less protection than the patient has.
        attributes.DeidentificationMethod = "Not stated in the source images"
    if any(keyword not in attributes for keyword in _CLINICAL_TRIAL_TYPE_1):
        for keyword in [each for each in OPTIONAL if each.startswith("ClinicalTrial")]:
            if keyword in attributes:
                delattr(attributes, keyword)
    elif "ClinicalTrialTimePointID" not in attributes:
        attributes.ClinicalTrialTimePointID = ""
    if "ClinicalTrialSubjectID" in attributes:
        for keyword in ("ClinicalTrialProtocolName", "ClinicalTrialSiteID", "ClinicalTrialSiteName"):
            if keyword not in attributes:
                setattr(attributes, keyword, "")


def legal_character_set(source: Dataset) -> str | list[str] | None:
    """Return Specific Character Set as the source has it; None where it names a set that does not exist."""
    try:
        value = source.get("SpecificCharacterSet")
    except Exception:
        return None
    terms = [str(each) for each in value] if isinstance(value, (list, MultiValue)) else [str(value or "")]
    if terms == [""] or any(term not in python_encoding for term in terms):
        return None
    return terms if len(terms) > 1 else terms[0]


def legal_element(source: Dataset, keyword: str) -> DataElement | None:
    """Return one non-empty element as it may be written again, or None."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they quote the value: a patient in the log
            value = _single(source[Tag(keyword)].value) if keyword in source else None
    except Exception:  # a value that pydicom cannot even convert
        return None
    value_representation = dictionary_VR(keyword)
    if value is None or value == "" or not _is_legal(keyword, value_representation, value):
        return None
    return DataElement(Tag(keyword), value_representation, value)


def _single(value: object) -> object:
    if isinstance(value, (list, MultiValue)):
        return next((each for each in value if each not in (None, "")), None)
    return value


def _is_legal(keyword: str, value_representation: str, value: object) -> bool:
    text = str(value)
    if isinstance(value, (bytes, Dataset)) or any(unicodedata.category(each) == "Cc" for each in text):
        return False
    if keyword in _CODED_TERMS and text not in _CODED_TERMS[keyword]:
        return False
    if keyword == "TimezoneOffsetFromUTC" and not _OFFSET.fullmatch(text):
        return False
    try:
        validate_value(value_representation, text, config.RAISE)
    except ValueError:
        return False
    strict = _WRITTEN_FORMS.get(value_representation)
    return strict is None or strict.fullmatch(text) is not None


def coded_items(source: Dataset, keyword: str) -> list[Dataset]:
    """Return the items of a code sequence that are complete (PS3.3 8.3: value, scheme and meaning)."""
    kept = []
    try:
        items = list(source.get(keyword) or [])
    except Exception:
        return []
    for item in items:
        parts = [legal_element(item, each) for each in ("CodeValue", "CodingSchemeDesignator", "CodeMeaning")]
        if all(part is not None for part in parts):
            code = Dataset()
            for part in [*parts, legal_element(item, "CodingSchemeVersion")]:
                if part is not None:
                    code.add(part)
            kept.append(code)
    return kept
