"""Coded terms of the evidence, each with where it was taken from.

Nothing here is made up: what the standard schemes do not hold is in our own scheme ``99TRIAGE``, and every object that
uses it says so in Coding Scheme Identification Sequence (PS3.3 C.12.1.1.7). A code of DCM, SCT or UCUM that names a
context group (CID) or a template (TID) of PS3.16 is held by a test to the dictionary of PS3.16 that comes with pydicom; the
kinds of blood and RadLex are not in PS3.16, and name the public list that was read instead.
"""

from __future__ import annotations

from collections.abc import Mapping

from highdicom.coding_schemes import CodingSchemeIdentificationItem
from highdicom.sr import CodedConcept

from triage_node.core.reason import Reason
from triage_node.core.report import Evaluation

PRIVATE_SCHEME = "99TRIAGE"


def _sct(value: str, meaning: str) -> CodedConcept:
    return CodedConcept(value, "SCT", meaning)


def _dcm(value: str, meaning: str) -> CodedConcept:
    return CodedConcept(value, "DCM", meaning)


def _private(value: str, meaning: str) -> CodedConcept:
    return CodedConcept(value, PRIVATE_SCHEME, meaning)


def _also(concept: CodedConcept, radlex_id: str, meaning: str) -> CodedConcept:
    """Add what RadLex calls the same (Equivalent Code Sequence, PS3.3 8.9)."""
    concept.EquivalentCodeSequence = [CodedConcept(radlex_id, "RADLEX", meaning)]
    return concept


FINDINGS: Mapping[str, CodedConcept] = {
    "ICH": _sct("1386000", "Intracranial hemorrhage"),  # PS3.16, as pydicom has it; OMOP 439847
    "CPH": _sct("274100004", "Cerebral hemorrhage"),  # VSAC Hemorrhagic Stroke; OMOP 376713
    "IVH": _sct("23276006", "Ventricular hemorrhage"),  # VSAC Hemorrhagic Stroke
    "SDH": _sct("35486000", "Subdural hemorrhage"),  # OMOP's list of SNOMED CT; HPO HP:0100309
    "EDH": _sct("82999001", "Epidural intracranial hemorrhage"),  # OMOP's list of SNOMED CT; HPO HP:0100310
    "SAH": _sct("21454007", "Subarachnoid intracranial hemorrhage"),  # OMOP 432923; SNOMED CT 2025-02 at tx.fhir.org
}
"""SNOMED CT, disorders below 1386000.

VSAC is the value set Hemorrhagic Stroke of the National Library of Medicine, 2.16.840.1.113883.3.117.1.7.1.212 of 2021-02-20,
expanded from SNOMED CT 2020-09 (github.com/cqframework/ecqm-content-r4-2021, input/vocabulary/valueset/external). Blood
in the ventricles is "Ventricular hemorrhage" there; 274110009, seen elsewhere, has a wrong check digit and is no concept.
HPO is the Human Phenotype Ontology: its Subdural and Epidural hemorrhage refer to these concepts (xref SNOMEDCT_US in hp.obo,
with UMLS C0018946 and C0238154).
"""

EVALUATIONS: Mapping[Evaluation, CodedConcept] = {
    Evaluation.PRESENT: _also(_sct("52101004", "Present"), "RID28472", "present"),  # SNOMED CT, CID 240; RadLex
    Evaluation.ABSENT: _also(_sct("272519000", "Absent"), "RID28473", "absent"),  # SNOMED CT, CID 240; RadLex
    Evaluation.NOT_ASSESSED: _sct("373121007", "Not Evaluated"),  # SNOMED CT, CID 3703
}
"""RadLex as the Open Imaging Data Model indexes its finding "intraventricular hemorrhage", OIFM_OIDM_050265
(github.com/openimagingdata/findingmodels, defs/intraventricular_hemorrhage.fm.json).

For what was not assessed RadLex has "indeterminate" (RID39110), which is what somebody says who looked: it is not sent.
"""

INTRACRANIAL = _sct("1101003", "Intracranial")  # SNOMED CT, CID 4
SOURCE = _sct("260753009", "Source")  # SNOMED CT, TID 1601

CT_HEAD_WITHOUT_CONTRAST = CodedConcept("30799-1", "LN", "CT Head WO contrast")
"""LOINC; used where the source study carries no procedure code of its own."""

IMAGING_PROCEDURE = _sct("363679005", "Imaging procedure")  # SNOMED CT, CID 100

REPORT_TITLE = _dcm("126000", "Imaging Measurement Report")  # DCM, CID 7021
IMAGE_LIBRARY = _dcm("111028", "Image Library")  # DCM, TID 1600
IMAGE_LIBRARY_GROUP = _dcm("126200", "Image Library Group")  # DCM, TID 1600
MODALITY = _dcm("121139", "Modality")  # DCM, TID 1602
COMPUTED_TOMOGRAPHY = _dcm("CT", "Computed Tomography")  # DCM, CID 29
STUDY_INSTANCE_UID = _dcm("110180", "Study Instance UID")  # DCM
SERIES_INSTANCE_UID = _dcm("112002", "Series Instance UID")  # DCM
FRAME_OF_REFERENCE_UID = _dcm("112227", "Frame of Reference UID")  # DCM, TID 1602
IMAGING_MEASUREMENTS = _dcm("126010", "Imaging Measurements")  # DCM, TID 1500
MEASUREMENT_GROUP = _dcm("125007", "Measurement Group")  # DCM, TID 1501
IMPRESSIONS = _dcm("121072", "Impressions")  # DCM, TID 2000
IMPRESSION = _dcm("121073", "Impression")  # DCM, CID 7002
COMMENT = _dcm("121106", "Comment")  # DCM
PROBABILITY = _dcm("122157", "Probability")  # DCM
OF_INTEREST = _dcm("113000", "Of Interest")  # DCM, CID 7010
ACQUISITION_EQUIPMENT = _dcm("109101", "Acquisition Equipment")  # DCM, CID 7005
PROCESSING_EQUIPMENT = _dcm("109102", "Processing Equipment")  # DCM, CID 7005
SALIENCY = _dcm("130404", "Saliency")  # DCM, CID 217
SOURCE_IMAGE_FOR_PROCESSING = _dcm("121322", "Source image for image processing operation")  # DCM, CID 7202

NO_UNITS = CodedConcept("1", "UCUM", "no units")  # UCUM, CID 7181
MILLIMETER = CodedConcept("mm", "UCUM", "mm")  # UCUM
SLICES = CodedConcept("{slices}", "UCUM", "slices")  # UCUM annotation

SLICES_READ = _private("SLICES_READ", "Slices read")
SLICES_FLAGGED = _private("SLICES_FLAGGED", "Slices flagged")
FIRST_FLAGGED_SLICE = _private("FIRST_FLAGGED", "First flagged slice, counted from inferior")
LAST_FLAGGED_SLICE = _private("LAST_FLAGGED", "Last flagged slice, counted from inferior")
TOP_SLICE = _private("TOP_SLICE", "Slice with highest probability, counted from inferior")
TOP_SLICE_PROBABILITY = _private("TOP_PROBABILITY", "Highest probability of one slice")
NOT_ANALYSED_REASON = _private("NOT_ANALYSED", "Reason for not being analysed")


def equivalents(concept: CodedConcept) -> tuple[CodedConcept, ...]:
    """Return what other schemes call the same, as the concept itself says."""
    return tuple(CodedConcept.from_dataset(each) for each in concept.get("EquivalentCodeSequence", ()))


def reason_code(reason: Reason) -> CodedConcept:
    """Return the node's reason code as a coded term; longer than 16 characters it becomes a Long Code Value (PS3.3 8.1)."""
    return _private(reason.value, reason.value.replace("_", " ").capitalize())


def private_scheme() -> CodingSchemeIdentificationItem:
    """Say what ``99TRIAGE`` is (PS3.3 C.12.1.1.7)."""
    return CodingSchemeIdentificationItem(
        designator=PRIVATE_SCHEME,
        name="triage_node private codes",
        version="1",
        responsible_organization="triage_node open source project",
    )
