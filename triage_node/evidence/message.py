"""What a message says of one reading, whatever language it is written in.

In: the series, the finding or the refusal, and the objects that were written of it. Out: one frozen value that the HL7,
webhook and FHIR documents are pure functions of, so that no two of them disagree, and the same bytes when the step repeats.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from highdicom.sr import CodedConcept

from triage_node.core.finding import Finding
from triage_node.core.ports import EvidenceObject
from triage_node.core.reason import Refusal
from triage_node.core.report import FindingRow, finding_rows, rows_not_assessed
from triage_node.evidence import codes
from triage_node.evidence.patient_and_order import PatientAndOrder, patient_and_order
from triage_node.evidence.provenance import NodeIdentity, Provenance
from triage_node.evidence.source_series import SourceSeries
from triage_node.evidence.structured_report import procedures


@dataclass(frozen=True)
class Message:
    """One reading, or its refusal, to be told.

    Attributes
    ----------
    message_uid
        Of this message in this language; the same whenever the step repeats.
    node
        Who says it.
    order
        Patient, order and study.
    procedure
        What was done, as the study codes it.
    outcome
        What was found, or why nothing was read.
    impression
        The same sentences as in the structured report.
    predecessor_uid
        SOP Instance UID of the structured report that this reading supersedes; None where there is none.
    created_at
        In the time zone of the study's own dates.
    evidence
        The DICOM objects of the same reading.
    """

    message_uid: str
    node: NodeIdentity
    order: PatientAndOrder
    series_instance_uid: str
    procedure: CodedConcept
    outcome: Finding | Refusal
    impression: str
    revision: int
    predecessor_uid: str | None
    created_at: datetime
    evidence: tuple[EvidenceObject, ...]

    @property
    def finding(self) -> Finding | None:
        """What was found; None where nothing was read."""
        return self.outcome if isinstance(self.outcome, Finding) else None

    @property
    def refusal(self) -> Refusal | None:
        """Why nothing was read; None where something was."""
        return self.outcome if isinstance(self.outcome, Refusal) else None

    @property
    def supersedes(self) -> bool:
        """Whether an earlier answer is replaced."""
        return self.revision > 1 or self.predecessor_uid is not None

    @property
    def rows(self) -> tuple[FindingRow, ...]:
        """One row for hemorrhage as such, one a subtype."""
        return finding_rows(self.outcome) if isinstance(self.outcome, Finding) else rows_not_assessed()

    @property
    def report(self) -> EvidenceObject | None:
        """The structured report of the same reading, where one was made."""
        return next((each for each in self.evidence if each.kind == "SR"), None)


def message(
    outcome: Finding | Refusal,
    series: SourceSeries,
    provenance: Provenance,
    *,
    kind: str,
    text: str,
    predecessor_uid: str | None = None,
    evidence: Sequence[EvidenceObject] = (),
) -> Message:
    """Return what is to be told of a reading, or of a series that was not read.

    Parameters
    ----------
    kind
        Of the message, as in ``core.destination.OBJECT_KINDS``.
    text
        The impression.
    predecessor_uid
        SOP Instance UID of the structured report that is superseded.
    evidence
        The DICOM objects of the same reading.
    """
    otherwise = codes.CT_HEAD_WITHOUT_CONTRAST if isinstance(outcome, Finding) else codes.IMAGING_PROCEDURE
    return Message(
        message_uid=provenance.sop_instance_uid(kind, 1),
        node=provenance.node,
        order=patient_and_order(series.header),
        series_instance_uid=series.series_instance_uid,
        procedure=procedures(series, otherwise)[0],
        outcome=outcome,
        impression=text,
        revision=provenance.revision,
        predecessor_uid=predecessor_uid,
        created_at=provenance.created_at,
        evidence=tuple(evidence),
    )
