"""The tables of the path of a study, and nothing else: ``migrations/`` builds them, a test proves both equal.

A study has series, a series has instances and, per revision, at most one analysis with its slice scores, the evidence
made from it, and one delivery for each object and destination. Associations stand beside them: which ones carried a
series decides when it is closed. Whoever writes below a study locks the study's row first.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Date, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship, validates

from triage_node.core.commitment import CommitmentState
from triage_node.core.reader_task import TaskState
from triage_node.core.reason import Reason
from triage_node.core.search_terms import LONGEST_TERM
from triage_node.core.study_state import DeliveryState, Priority, State
from triage_node.worklist.base import Base
from triage_node.worklist.column_types import PlainText, RowId


def _now() -> datetime:
    return datetime.now(UTC)


class StudyRow(Base):
    """One study and what the worklist shows of it, kept up to date by every change below it.

    Attributes
    ----------
    urgency
        The rank of ``priority``, 0 the most urgent: an index sorts it.
    task_state
        Where its reading by a person stands; ``ReaderTaskRow`` says who reads it.
    workitem_uid
        SOP Instance UID of its Unified Procedure Step.
    flagged_at
        When it was last flagged after not being so.
    changed_at
        When anything of this row last changed, for whoever watches the worklist.
    """

    __tablename__ = "studies"
    __table_args__ = (
        Index(None, "task_state", "urgency", "received_at", "id"),
        Index(None, "task_state", "received_at", "id"),
        Index(None, "workitem_uid", unique=True),
        Index(None, "changed_at"),
        Index(None, "flagged_at"),
        Index(None, "received_at"),
        Index(None, "state", "task_state", "urgency", "received_at", "id"),
        Index(None, "reason", "task_state", "urgency", "received_at", "id"),
        Index(None, "accession_number"),
        Index(None, "patient_id"),
        Index(None, "study_date"),
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    study_instance_uid: Mapped[str] = mapped_column(String(64), unique=True)
    patient_id: Mapped[str]
    patient_name: Mapped[str]
    accession_number: Mapped[str]
    study_date: Mapped[str]
    study_time: Mapped[str]
    study_description: Mapped[str]
    state: Mapped[State]
    reason: Mapped[Reason | None]
    reason_detail: Mapped[str]
    priority: Mapped[Priority]
    urgency: Mapped[int]
    task_state: Mapped[TaskState]
    workitem_uid: Mapped[str] = mapped_column(String(64))
    ich_probability: Mapped[float | None]
    flagged: Mapped[bool | None]
    subtypes: Mapped[dict[str, float] | None] = mapped_column(JSON(none_as_null=True))
    received_at: Mapped[datetime]
    last_received_at: Mapped[datetime]
    released_at: Mapped[datetime | None]
    classified_at: Mapped[datetime | None]
    forwarded_at: Mapped[datetime | None]
    flagged_at: Mapped[datetime | None]
    changed_at: Mapped[datetime] = mapped_column(default=_now, onupdate=_now)

    @validates("priority")
    def _rank(self, _name: str, priority: Priority) -> Priority:
        self.urgency = priority.rank
        return priority


class SearchTermRow(Base):
    """One word under which a study is found, as ``core.search_terms`` has it; ranges are in byte order everywhere."""

    __tablename__ = "search_terms"
    __table_args__ = (Index(None, "study_id", "term"),)

    term: Mapped[str] = mapped_column(
        PlainText(LONGEST_TERM).with_variant(PlainText(LONGEST_TERM, collation="C"), "postgresql"), primary_key=True
    )
    study_id: Mapped[int] = mapped_column(ForeignKey("studies.id", ondelete="CASCADE"), primary_key=True)


class SeriesRow(Base):
    """One series in its current revision.

    ``claims`` counts the readers of this revision; ``leased_until`` is set while one is at work.
    """

    __tablename__ = "series"
    __table_args__ = (UniqueConstraint("study_id", "series_instance_uid"), Index(None, "state"))

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    study_id: Mapped[int] = mapped_column(ForeignKey("studies.id", ondelete="CASCADE"))
    series_instance_uid: Mapped[str] = mapped_column(String(64))
    modality: Mapped[str]
    series_description: Mapped[str]
    revision: Mapped[int]
    state: Mapped[State]
    reason: Mapped[Reason | None]
    reason_detail: Mapped[str]
    instance_count: Mapped[int]
    revision_opened_at: Mapped[datetime]
    last_received_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    claims: Mapped[int]
    leased_until: Mapped[datetime | None]
    study: Mapped[StudyRow] = relationship()


class InstanceRow(Base):
    """One stored instance, image or not, and the revision of its series that it came in with."""

    __tablename__ = "instances"
    __table_args__ = (UniqueConstraint("series_id", "sop_instance_uid"), Index(None, "sop_instance_uid"))

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    series_id: Mapped[int] = mapped_column(ForeignKey("series.id", ondelete="CASCADE"))
    sop_instance_uid: Mapped[str] = mapped_column(String(64))
    revision: Mapped[int]
    path: Mapped[str] = mapped_column(String)
    received_at: Mapped[datetime]
    header: Mapped[dict[str, Any]]


class AssociationRow(Base):
    """One association of a peer with the storage SCP; ``ended_at`` is null while it is open."""

    __tablename__ = "associations"

    association_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    calling_ae_title: Mapped[str]
    called_ae_title: Mapped[str]
    address: Mapped[str]
    opened_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    aborted: Mapped[bool]


class SeriesAssociationRow(Base):
    """Which association carried which series; ``revision`` is the last it added to, 0 if it only repeated instances."""

    __tablename__ = "series_associations"
    __table_args__ = (Index(None, "association_id"),)

    series_id: Mapped[int] = mapped_column(ForeignKey("series.id", ondelete="CASCADE"), primary_key=True)
    association_id: Mapped[str] = mapped_column(
        ForeignKey("associations.association_id", ondelete="CASCADE"), primary_key=True
    )
    revision: Mapped[int]


class AnalysisRow(Base):
    """What the cascade said of one revision of a series, and which release said it."""

    __tablename__ = "analyses"
    __table_args__ = (UniqueConstraint("series_id", "revision"),)

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    series_id: Mapped[int] = mapped_column(ForeignKey("series.id", ondelete="CASCADE"))
    revision: Mapped[int]
    ich_probability: Mapped[float]
    flagged: Mapped[bool]
    subtypes: Mapped[dict[str, float] | None] = mapped_column(JSON(none_as_null=True))
    subtypes_present: Mapped[list[str]]
    model_name: Mapped[str]
    model_version: Mapped[str]
    weights_sha256: Mapped[str] = mapped_column(String(64))
    operating_point: Mapped[str]
    operating_threshold: Mapped[float]
    elapsed_ms: Mapped[float]
    classified_at: Mapped[datetime]


class SliceScoreRow(Base):
    """One slice of an analysis; ``slice_index`` 0 is the most inferior."""

    __tablename__ = "slice_scores"

    analysis_id: Mapped[int] = mapped_column(ForeignKey("analyses.id", ondelete="CASCADE"), primary_key=True)
    slice_index: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    sop_instance_uid: Mapped[str] = mapped_column(String(64))
    ich_probability: Mapped[float]
    subtypes: Mapped[dict[str, float] | None] = mapped_column(JSON(none_as_null=True))
    flagged: Mapped[bool]


class ShadowAnalysisRow(Base):
    """What a release in the shadow said of one revision of a series; nothing is ever shown or sent from it.

    ``slices``: one object a slice as ``SliceFinding`` has it, from inferior to superior.
    """

    __tablename__ = "shadow_analyses"
    __table_args__ = (UniqueConstraint("series_id", "revision", "model_name"), Index(None, "model_name", "read_at"))

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    series_id: Mapped[int] = mapped_column(ForeignKey("series.id", ondelete="CASCADE"))
    revision: Mapped[int]
    ich_probability: Mapped[float]
    flagged: Mapped[bool]
    subtypes: Mapped[dict[str, float] | None] = mapped_column(JSON(none_as_null=True))
    slices: Mapped[list[dict[str, Any]]]
    model_name: Mapped[str]
    model_version: Mapped[str]
    weights_sha256: Mapped[str] = mapped_column(String(64))
    operating_point: Mapped[str]
    operating_threshold: Mapped[float]
    elapsed_ms: Mapped[float]
    read_at: Mapped[datetime]


class EvidenceRow(Base):
    """One DICOM object that this node made for one revision of a series."""

    __tablename__ = "evidence"
    __table_args__ = (UniqueConstraint("series_id", "revision", "kind", "number"), Index(None, "sop_instance_uid"))

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    series_id: Mapped[int] = mapped_column(ForeignKey("series.id", ondelete="CASCADE"))
    revision: Mapped[int]
    kind: Mapped[str] = mapped_column(String(8))
    number: Mapped[int]
    sop_class_uid: Mapped[str] = mapped_column(String(64))
    sop_instance_uid: Mapped[str] = mapped_column(String(64))
    series_instance_uid: Mapped[str] = mapped_column(String(64))
    path: Mapped[str] = mapped_column(String)
    created_at: Mapped[datetime]


class DeliveryRow(Base):
    """The outbox: one evidence object on its way to one destination, by its name.

    ``warned``: it was taken with a warning, which ``detail`` gives. ``commitment`` is null where none is wanted;
    ``commitment_due_at`` says when to ask (again).
    """

    __tablename__ = "deliveries"
    __table_args__ = (
        UniqueConstraint("evidence_id", "destination"),
        Index(None, "state", "next_attempt_at"),
        Index(None, "commitment", "commitment_due_at"),
        Index(None, "commitment_transaction_uid"),
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    evidence_id: Mapped[int] = mapped_column(ForeignKey("evidence.id", ondelete="CASCADE"))
    destination: Mapped[str] = mapped_column(String)
    state: Mapped[DeliveryState]
    attempts: Mapped[int]
    due_since: Mapped[datetime]
    next_attempt_at: Mapped[datetime]
    leased_until: Mapped[datetime | None]
    sent_at: Mapped[datetime | None]
    status_code: Mapped[int | None]
    detail: Mapped[str]
    warned: Mapped[bool]
    commitment: Mapped[CommitmentState | None]
    commitment_transaction_uid: Mapped[str | None] = mapped_column(String(64))
    commitment_due_at: Mapped[datetime | None]
    committed_at: Mapped[datetime | None]


class BreakerRow(Base):
    """The circuit breaker of a destination that did not answer; there is no row for one that never failed."""

    __tablename__ = "breakers"

    destination: Mapped[str] = mapped_column(String, primary_key=True)
    failures: Mapped[int]
    open_until: Mapped[datetime | None]
    probing_until: Mapped[datetime | None]
    failed_at: Mapped[datetime | None]
    detail: Mapped[str]


class QuarantineRow(Base):
    """Bytes that could not be kept as an instance, why, and what the peer was told."""

    __tablename__ = "quarantine"
    __table_args__ = (Index(None, "received_at"),)

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    path: Mapped[str] = mapped_column(String, unique=True)
    reason: Mapped[str]
    status_code: Mapped[int]
    received_at: Mapped[datetime]
    association_id: Mapped[str | None] = mapped_column(String(64))
    calling_ae_title: Mapped[str]
    address: Mapped[str]


class ProcessRow(Base):
    """Heartbeats: which processes of the node were alive when; ``detail`` is what each says of itself."""

    __tablename__ = "processes"

    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    host: Mapped[str] = mapped_column(String(255), primary_key=True)
    pid: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    started_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
    detail: Mapped[dict[str, Any]]


class ObservationRow(Base):
    """One series that was read or refused, as drift counts it; it outlives the series and identifies nobody.

    ``outcome`` is READ or a reason code. ``counted`` is false where a later revision of the series took its place, and
    for a series that was only read again. Rows are never changed otherwise, so that totals only grow.
    """

    __tablename__ = "observations"
    __table_args__ = (
        UniqueConstraint("series_id", "revision", "outcome"),
        Index(None, "observed_on"),
        Index(None, "calling_ae_title", "station_name", "outcome", "flagged"),
        Index(None, "calling_ae_title", "station_name", "id"),
        Index(None, "model_name", "operating_point", "id"),
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    series_id: Mapped[int | None] = mapped_column(ForeignKey("series.id", ondelete="SET NULL"))
    revision: Mapped[int]
    outcome: Mapped[str] = mapped_column(String(32))
    counted: Mapped[bool]
    observed_at: Mapped[datetime]
    observed_on: Mapped[date] = mapped_column(Date)
    calling_ae_title: Mapped[str]
    station_name: Mapped[str]
    model_name: Mapped[str | None]
    operating_point: Mapped[str | None]
    ich_probability: Mapped[float | None]
    score_bin: Mapped[int | None]
    flagged: Mapped[bool | None]


class DriftBaselineRow(Base):
    """From which observation on a scanner's charts are learned, where somebody has accepted that it changed."""

    __tablename__ = "drift_baselines"

    calling_ae_title: Mapped[str] = mapped_column(PlainText, primary_key=True)
    station_name: Mapped[str] = mapped_column(PlainText, primary_key=True)
    after_observation_id: Mapped[int] = mapped_column(BigInteger)
    accepted_at: Mapped[datetime]


class DriftAlarmRow(Base):
    """One alarm of one side of one chart; it stands while ``cleared_at`` is null."""

    __tablename__ = "drift_alarms"
    __table_args__ = (
        UniqueConstraint(
            "calling_ae_title", "station_name", "measure", "direction", "since", name="uq_drift_alarms_since"
        ),  # its conventional name is longer than PostgreSQL's 63 characters
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    calling_ae_title: Mapped[str]
    station_name: Mapped[str]
    measure: Mapped[str] = mapped_column(String(16))
    direction: Mapped[str] = mapped_column(String(8))
    since: Mapped[datetime]
    noticed_at: Mapped[datetime]
    cleared_at: Mapped[datetime | None]
