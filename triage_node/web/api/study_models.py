"""Studies as the API shows them: the fields of ``triage-node worklist --json`` and ``show --json``, without file paths."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from triage_node.core.commitment import CommitmentState
from triage_node.core.reader_task import EscalationState, TaskState, Verdict
from triage_node.core.reason import Reason
from triage_node.core.study_state import DeliveryState, Priority, State

FindingName = Literal["ICH", "CPH", "IVH", "SDH", "EDH", "SAH"]
Probability = Annotated[float, Field(ge=0.0, le=1.0)]
Revision = Annotated[
    int, Field(ge=1, le=2**31 - 1, description="1, and one more each time slices came late or it was read again.")
]
StudyUid = Annotated[
    str, Field(description="Study Instance UID (0020,000D).", examples=["1.2.826.0.1.3680043.8.498.1"])
]
SeriesUid = Annotated[
    str, Field(description="Series Instance UID (0020,000E).", examples=["1.2.826.0.1.3680043.8.498.2"])
]


class Subtypes(BaseModel):
    """Probability of each kind of hemorrhage, 0 to 1."""

    CPH: Probability = Field(description="Cerebral parenchymal hemorrhage, 0 to 1.", examples=[0.07])
    IVH: Probability = Field(description="Intraventricular hemorrhage, 0 to 1.", examples=[0.02])
    SDH: Probability = Field(description="Subdural hemorrhage, 0 to 1.", examples=[0.88])
    EDH: Probability = Field(description="Epidural hemorrhage, 0 to 1.", examples=[0.01])
    SAH: Probability = Field(description="Subarachnoid hemorrhage, 0 to 1.", examples=[0.64])


class ReadingState(BaseModel):
    """How the reading of the study by a person stands."""

    state: TaskState = Field(description="SCHEDULED: nobody reads it.")
    acknowledged_by: str | None = Field(description="Who first took note of the study as it now is.")
    acknowledged_at: datetime | None = Field(description="When, UTC.")
    performer: str | None = Field(description="Who has it in progress: a user, or AE: and an AE title.")
    taken_at: datetime | None = Field(description="Since when, UTC.")
    completed_by: str | None = Field(description="Who completed its reading last.")
    completed_at: datetime | None = Field(description="When, UTC.")


class Study(BaseModel):
    """What identifies a study, and where it stands."""

    study_instance_uid: StudyUid
    patient_id: str = Field(description="Patient ID (0010,0020).", examples=["MRN0001"])
    patient_name: str = Field(description="Patient's name (0010,0010), FAMILY^GIVEN.", examples=["DOE^JANE"])
    accession_number: str = Field(description="Accession number (0008,0050).", examples=["A0001"])
    study_date: str = Field(
        description="Study date (0008,0020), YYYYMMDD in the site's time zone.", examples=["20260302"]
    )
    study_time: str = Field(
        description="Study time (0008,0030), HHMMSS and fractions, in the site's time zone.", examples=["081500"]
    )
    study_description: str = Field(description="Study description (0008,1030).", examples=["CT head"])
    state: State = Field(description="Where it stands; FORWARDED, NOT_ANALYSED and FAILED are final.")
    reason: Reason | None = Field(description="Why it was not analysed, or failed; else null.")
    detail: str | None = Field(description="What was measured for that reason, in words.")
    priority: Priority = Field(description="STAT for flagged studies; it never falls.")
    ich_probability: Probability | None = Field(
        description="Probability of intracranial hemorrhage, 0 to 1; null: not read.", examples=[0.93]
    )
    flagged: bool | None = Field(description="Whether it lies at or above the operating point; null: not read.")
    subtypes: Subtypes | None = Field(description="Null where stage two did not run.")
    received_at: datetime = Field(description="When the first instance was kept, UTC.")
    released_at: datetime | None = Field(description="When the sender released the association of what was read, UTC.")
    classified_at: datetime | None = Field(description="When it was read, UTC.")
    forwarded_at: datetime | None = Field(description="When the last destination had its evidence, UTC.")


class StudySummary(Study):
    """A study of the worklist."""

    model_config = ConfigDict(title="StudySummary")

    subtypes_present: list[str] | None = Field(description="Subtypes at or above their operating points.")
    series_count: int = Field(ge=0, description="Number of series.")
    instance_count: int = Field(ge=0, description="Number of instances.")
    deliveries: dict[str, dict[DeliveryState, int]] = Field(
        description="By destination, how many objects of the current revisions are in each state."
    )
    reading: ReadingState


class StudyList(BaseModel):
    """A page of the worklist, most urgent first; what was read comes last."""

    studies: list[StudySummary]
    next: str | None = Field(
        description="Path and query of the next page; null: this is the last.",
        examples=["/api/v1/studies?limit=50&after=0.2.1772438400000000.7"],
    )


class Delivery(BaseModel):
    """One object on its way to one destination."""

    delivery_id: int = Field(description="Its number, for trying again.")
    destination: str = Field(description="Name of the destination.", examples=["PACS@10.0.0.5:104"])
    state: DeliveryState
    attempts: int = Field(ge=0, description="How often it was tried.")
    due_since: datetime = Field(description="When it came into being, or was made due again, UTC.")
    next_attempt_at: datetime | None = Field(description="Not before when it is tried next, UTC; null unless DUE.")
    sent_at: datetime | None = Field(description="When the destination took it, UTC.")
    status_code: int | None = Field(description="What the destination answered last: a DIMSE or HTTP status.")
    detail: str | None = Field(description="The same in words.")
    warning: str | None = Field(description="What the destination warned of when it took it.")
    commitment: CommitmentState | None = Field(description="Storage commitment; null where none is wanted.")
    committed_at: datetime | None = Field(description="When the destination committed to it, UTC.")


class EvidenceObject(BaseModel):
    """One object that this node made of a reading."""

    kind: str = Field(description="SR, SC, KO, PR, PDF, or the kind of a message.", examples=["SR"])
    number: int = Field(description="Counts the objects of a kind from 1.")
    revision: Revision
    sop_class_uid: str = Field(description="SOP Class UID.")
    sop_instance_uid: str = Field(description="SOP Instance UID.")
    series_instance_uid: str = Field(description="Series that the object itself lies in.")
    created_at: datetime = Field(description="When it was made, UTC.")


class DeliveryOfObject(Delivery):
    """A delivery, with what is delivered."""

    study_instance_uid: StudyUid
    kind: str = Field(description="SR, SC, KO, PR, PDF, or the kind of a message.", examples=["SR"])
    revision: Revision
    sop_instance_uid: str = Field(description="SOP Instance UID of the object.")


class DeliveryList(BaseModel):
    """Deliveries, newest first."""

    deliveries: list[DeliveryOfObject]
    next: str | None = Field(description="Path and query of the next page; null: this is the last.")


class EvidenceWithDeliveries(EvidenceObject):
    """An object with where it went."""

    deliveries: list[Delivery]


class Slice(BaseModel):
    """What the network said of one slice."""

    slice_index: int = Field(ge=0, description="Place in the series, 0 the most inferior.")
    sop_instance_uid: str = Field(description="SOP Instance UID (0008,0018).")
    ich_probability: Probability = Field(description="Probability of hemorrhage in the slice, 0 to 1.")
    subtypes: Subtypes | None
    flagged: bool = Field(description="Whether it lies at or above the operating point of slices.")


class SliceList(BaseModel):
    """The slices of one reading, from inferior to superior."""

    revision: Revision
    slices: list[Slice]


class SeriesReading(BaseModel):
    """One revision of a series, with what was read and made; the fields of a reading are null where there is none."""

    revision: Revision
    ich_probability: Probability | None = Field(description="Probability of hemorrhage in the series, 0 to 1.")
    flagged: bool | None
    subtypes: Subtypes | None
    subtypes_present: list[str] | None = Field(description="Subtypes at or above their operating points.")
    model_name: str | None = Field(description="Release that read it.")
    model_version: str | None = Field(description="Version of that release.")
    weights_sha256: str | None = Field(description="SHA-256 of its weights.")
    operating_point: str | None = Field(description="Name of the operating point.")
    operating_threshold: Probability | None = Field(
        description="From which probability on a series is flagged, 0 to 1."
    )
    elapsed_ms: float | None = Field(description="How long the reading took, milliseconds.")
    classified_at: datetime | None = Field(description="When it was read, UTC.")
    evidence: list[EvidenceWithDeliveries]


class Series(BaseModel):
    """A series."""

    series_instance_uid: SeriesUid
    modality: str = Field(description="Modality (0008,0060).", examples=["CT"])
    series_description: str = Field(description="Series description (0008,103E).")
    revision: Revision
    state: State
    reason: Reason | None = Field(description="Why it was not analysed, or failed; else null.")
    detail: str | None = Field(description="What was measured for that reason, in words.")
    instance_count: int = Field(ge=0, description="Number of instances.")
    revision_opened_at: datetime = Field(description="When this revision began, UTC.")
    last_received_at: datetime = Field(description="When the latest instance was kept, UTC.")
    closed_at: datetime | None = Field(description="When it counted as complete, UTC.")
    ended_at: datetime | None = Field(description="When it reached a final state, UTC.")
    revisions: list[SeriesReading] = Field(description="Oldest first.")


class SeriesList(BaseModel):
    """The series of a study."""

    series: list[Series]


class GivenFeedback(BaseModel):
    """What a reader said of a finding."""

    revision: int = Field(description="Revision that the reader saw.")
    finding: str = Field(description="ICH or a subtype.")
    present: bool = Field(description="What the node had said.")
    verdict: Verdict
    comment: str
    reader: str
    given_at: datetime = Field(description="UTC.")


class EscalationStep(BaseModel):
    """A step of the chain that became due because nobody had acknowledged the study."""

    step: int = Field(ge=1, description="Its place in the chain.")
    state: EscalationState = Field(description="STOPPED: somebody acknowledged the study before.")
    due_at: datetime = Field(description="When it was due, UTC.")
    ended_at: datetime | None = Field(description="When somebody was called, or it was stopped or given up, UTC.")
    attempts: int = Field(ge=0, description="How often it was tried.")
    detail: str = Field(description="What the last attempt was answered.")


class ReaderTask(ReadingState):
    """How the reading by a person stands, with what readers said."""

    study_instance_uid: StudyUid
    shown_revision: int | None = Field(description="Revision that the study shows, for feedback; null: not read.")
    feedback: list[GivenFeedback] = Field(description="Oldest first.")
    escalations: list[EscalationStep] = Field(description="Who was called, the earliest first.")


class StudyRecord(Study):
    """A study in full, without the scores of its slices."""

    last_received_at: datetime = Field(description="When the latest instance was kept, UTC.")
    series: list[Series]
    reading: ReaderTask
