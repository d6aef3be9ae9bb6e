"""The DICOM attributes of a workitem (PS3.4 Table CC.2.5-3), and which columns answer its keys.

What this node does not know stays empty, as type 2 allows: for whom the step is scheduled, above all. Any station may
claim it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from pydicom.dataset import Dataset
from sqlalchemy import ColumnElement, case

from triage_node.core.conformance import UPS_PUSH
from triage_node.core.reason import REASON_TEXTS
from triage_node.core.report import NOTICE
from triage_node.core.study_state import Priority, State
from triage_node.core.workitem import SCHEDULED_PRIORITY
from triage_node.worklist.identifier import Path
from triage_node.worklist.matching import Texts
from triage_node.worklist.tables import StudyRow
from triage_node.worklist.workitems import SeriesReference, Workitem

WORKLIST_LABEL = "ICH triage"
LABELS = {
    "flagged": f"{WORKLIST_LABEL}: flagged",
    "not flagged": f"{WORKLIST_LABEL}: not flagged",
    "not analysed": f"{WORKLIST_LABEL}: not analysed",
    "not read": f"{WORKLIST_LABEL}: not read yet",
}
"""Procedure Step Label (0074,1204)."""
INTERPRETATION = ("110005", "DCM", "Interpretation")
"""CID 9231, the workitem of somebody who reads."""

_EMPTY_SEQUENCES = (
    "ScheduledProcessingParametersSequence",
    "ScheduledStationNameCodeSequence",
    "ScheduledStationClassCodeSequence",
    "ScheduledStationGeographicLocationCodeSequence",
    "ScheduledHumanPerformersSequence",
    "IssuerOfPatientIDQualifiersSequence",
    "IssuerOfAdmissionIDSequence",
    "AdmittingDiagnosesCodeSequence",
    "ReplacedProcedureStepSequence",
)
_EMPTY_TEXTS = (
    "IssuerOfPatientID",
    "PatientBirthDate",
    "PatientSex",
    "AdmissionID",
    "AdmittingDiagnosesDescription",
    "ExpectedCompletionDateTime",
)
ALWAYS = ("SOPClassUID", "SOPInstanceUID")
_CODE_PARTS = ("CodeValue", "CodingSchemeDesignator", "CodeMeaning")


def code(value: str, scheme: str, meaning: str) -> Dataset:
    """Return an item of a code sequence (PS3.3 Table 8.8-1)."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def date_time(moment: datetime) -> str:
    """Return a DT in the zone of this machine, with its offset (PS3.5 6.2)."""
    return moment.astimezone().strftime("%Y%m%d%H%M%S.%f%z")


def label(study: StudyRow) -> str:
    """Return what is shown of a study in one line of a reading system's list."""
    if study.flagged is not None:
        return LABELS["flagged" if study.flagged else "not flagged"]
    return LABELS["not analysed" if study.state in (State.NOT_ANALYSED, State.FAILED) else "not read"]


def comment(study: StudyRow) -> str:
    """Return what the node says of a study, in a sentence, never without the notice."""
    if study.flagged is not None and study.ich_probability is not None:
        verdict = "Flagged for" if study.flagged else "Not flagged for"
        said = f"{verdict} intracranial hemorrhage, probability {study.ich_probability:.2f}."
    elif study.reason is not None:
        said = f"Not analysed: {REASON_TEXTS[study.reason]}"
    else:
        said = "Not read yet."
    return f"{said} {NOTICE}."


def key_columns() -> Mapping[Path, ColumnElement[Any]]:
    """Return the column, or expression on columns, that each key is matched with."""
    not_analysed = StudyRow.state.in_((State.NOT_ANALYSED, State.FAILED))
    labels: ColumnElement[str] = case(
        (StudyRow.flagged.is_(True), LABELS["flagged"]),
        (StudyRow.flagged.is_(False), LABELS["not flagged"]),
        (not_analysed, LABELS["not analysed"]),
        else_=LABELS["not read"],
    )
    readiness: ColumnElement[str] = case((StudyRow.state == State.RECEIVING, "INCOMPLETE"), else_="READY")
    columns: dict[Path, Any] = {
        ("SOPInstanceUID",): StudyRow.workitem_uid,
        ("ScheduledProcedureStepStartDateTime",): StudyRow.received_at,
        ("ScheduledProcedureStepModificationDateTime",): StudyRow.changed_at,
        ("ProcedureStepLabel",): labels,
        ("InputReadinessState",): readiness,
        ("PatientName",): StudyRow.patient_name,
        ("PatientID",): StudyRow.patient_id,
        ("StudyInstanceUID",): StudyRow.study_instance_uid,
        ("ReferencedRequestSequence", "StudyInstanceUID"): StudyRow.study_instance_uid,
        ("ReferencedRequestSequence", "AccessionNumber"): StudyRow.accession_number,
    }
    return columns


NARROW = frozenset({"SOPInstanceUID", "PatientID", "StudyInstanceUID", "AccessionNumber"})
"""Last keywords of the paths whose columns an index answers."""
SEARCHED = frozenset({"PatientName", "PatientID", "AccessionNumber"})
"""Last keywords of the paths whose words are among the search terms of a study."""


def constants() -> Mapping[Path, tuple[str, ...]]:
    """Return what is the same in every workitem, for matching; empty where it is never known."""
    sequences: dict[Path, tuple[str, ...]] = {
        (sequence, part): () for sequence in _EMPTY_SEQUENCES[1:5] for part in _CODE_PARTS
    }
    return {
        **sequences,
        **{(keyword,): () for keyword in _EMPTY_TEXTS},
        ("SOPClassUID",): (UPS_PUSH,),
        ("WorklistLabel",): (WORKLIST_LABEL,),
        ("ReferencedRequestSequence", "RequestedProcedureID"): (),
        **{
            ("ScheduledWorkitemCodeSequence", part): (value,)
            for part, value in zip(_CODE_PARTS, INTERPRETATION, strict=True)
        },
    }


def _request(study: StudyRow) -> Dataset:
    item = Dataset()
    item.StudyInstanceUID = study.study_instance_uid
    item.AccessionNumber = study.accession_number[:16]
    item.RequestedProcedureID = ""
    item.RequestedProcedureDescription = study.study_description[:64]
    return item


def _input(study_instance_uid: str, series: SeriesReference, retrieve_ae_title: str) -> Dataset:
    """Return a series to be read and where it can be had (PS3.3 Table 10-3b)."""
    item, retrieval = Dataset(), Dataset()
    item.TypeOfInstances = "DICOM"
    item.StudyInstanceUID = study_instance_uid
    item.SeriesInstanceUID = series.series_instance_uid
    item.ReferencedSOPSequence = []
    for sop_class_uid, sop_instance_uid in series.instances:
        reference = Dataset()
        reference.ReferencedSOPClassUID = sop_class_uid
        reference.ReferencedSOPInstanceUID = sop_instance_uid
        item.ReferencedSOPSequence.append(reference)
    if retrieve_ae_title:
        retrieval.RetrieveAETitle = retrieve_ae_title
        item.DICOMRetrievalSequence = [retrieval]
    return item


def _set_by_performer(workitem: Workitem, keyword: str) -> list[Dataset]:
    """Return a sequence that came by N-SET."""
    return list(Dataset.from_json(dict(workitem.progress)).get(keyword, []))


def _performed(workitem: Workitem) -> list[Dataset]:
    """Return what the performer has set; of a reading in the browser, what is known of it."""
    given = _set_by_performer(workitem, "UnifiedProcedureStepPerformedProcedureSequence")
    task = workitem.task
    if given or task is None or task.completed_at is None or workitem.study.task_state.value != "COMPLETED":
        return given
    item = Dataset()
    item.PerformedStationNameCodeSequence = []
    item.PerformedProcedureStepStartDateTime = date_time(task.taken_at or task.completed_at)
    item.PerformedWorkitemCodeSequence = [code(*INTERPRETATION)]
    item.PerformedProcedureStepEndDateTime = date_time(task.completed_at)
    item.OutputInformationSequence = []
    return [item]


def urgencies(wanted: Texts) -> tuple[int, ...]:
    """Return the urgencies that a key for Scheduled Procedure Step Priority means."""
    return tuple(priority.rank for priority in Priority if wanted.holds(SCHEDULED_PRIORITY[priority]))


ATTRIBUTES: Mapping[str, Callable[[Workitem, str], Any]] = {
    **dict.fromkeys(_EMPTY_SEQUENCES, lambda each, _: []),
    **dict.fromkeys(_EMPTY_TEXTS, lambda each, _: ""),
    "SOPClassUID": lambda each, _: UPS_PUSH,
    "SOPInstanceUID": lambda each, _: each.study.workitem_uid,
    "ScheduledProcedureStepPriority": lambda each, _: SCHEDULED_PRIORITY[each.study.priority],
    "ScheduledProcedureStepModificationDateTime": lambda each, _: date_time(each.study.changed_at),
    "ProcedureStepLabel": lambda each, _: label(each.study),
    "WorklistLabel": lambda each, _: WORKLIST_LABEL,
    "ScheduledProcedureStepStartDateTime": lambda each, _: date_time(each.study.received_at),
    "ScheduledWorkitemCodeSequence": lambda each, _: [code(*INTERPRETATION)],
    "CommentsOnTheScheduledProcedureStep": lambda each, _: comment(each.study),
    "InputReadinessState": lambda each, _: "INCOMPLETE" if each.study.state is State.RECEIVING else "READY",
    "InputInformationSequence": lambda each, retrieve_ae_title: [
        _input(each.study.study_instance_uid, series, retrieve_ae_title) for series in each.series
    ],
    "StudyInstanceUID": lambda each, _: each.study.study_instance_uid,
    "PatientName": lambda each, _: each.study.patient_name,
    "PatientID": lambda each, _: each.study.patient_id,
    "ReferencedRequestSequence": lambda each, _: [_request(each.study)],
    "ProcedureStepState": lambda each, _: each.study.task_state.value,
    "ProcedureStepProgressInformationSequence": lambda each, _: _set_by_performer(
        each, "ProcedureStepProgressInformationSequence"
    ),
    "UnifiedProcedureStepPerformedProcedureSequence": lambda each, _: _performed(each),
}
"""Every attribute, from a workitem and the AE title that its images are retrieved from.

The Transaction UID is not among them: it is the lock of whoever has the step (PS3.4 CC.2.6.2).
"""
