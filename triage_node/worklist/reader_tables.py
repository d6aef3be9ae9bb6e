"""Tables of the people's side of a study: who reads it, what they say of the findings, who is called when nobody does."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from triage_node.core.reader_task import EscalationState, Verdict
from triage_node.worklist.base import Base
from triage_node.worklist.column_types import RowId


class ReaderTaskRow(Base):
    """Who reads a study: there is no row until somebody acknowledges or takes it. The state is ``StudyRow.task_state``.

    ``transaction_uid`` is the lock of PS3.4 CC.1.1 of whoever has it in progress, or completed it; ``performer`` a user,
    or ``AE:`` and an AE title. ``progress`` is what a performer has set over DICOM, in the DICOM JSON model (PS3.18 F.2).
    """

    __tablename__ = "reader_tasks"

    study_id: Mapped[int] = mapped_column(ForeignKey("studies.id", ondelete="CASCADE"), primary_key=True)
    acknowledged_by: Mapped[str | None]
    acknowledged_at: Mapped[datetime | None]
    performer: Mapped[str | None]
    transaction_uid: Mapped[str | None] = mapped_column(String(64))
    taken_at: Mapped[datetime | None]
    progress: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    completed_by: Mapped[str | None]
    completed_at: Mapped[datetime | None]


class FeedbackRow(Base):
    """What a reader said of one finding of one revision; the latest of a reader counts, the others are kept.

    ``finding`` is ICH or a subtype; ``present`` is what the node had said of it.
    """

    __tablename__ = "feedback"
    __table_args__ = (Index(None, "study_id"), Index(None, "given_at"))

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    study_id: Mapped[int] = mapped_column(ForeignKey("studies.id", ondelete="CASCADE"))
    revision: Mapped[int]
    finding: Mapped[str] = mapped_column(String(8))
    present: Mapped[bool]
    verdict: Mapped[Verdict]
    comment: Mapped[str]
    reader: Mapped[str]
    given_at: Mapped[datetime]


class EscalationRow(Base):
    """One step of the chain that is called while a flagged study is acknowledged by nobody; ``step`` counts from 1.

    ``flagged_at`` is the flag it is about: a study that is flagged anew is called for anew.
    """

    __tablename__ = "escalations"
    __table_args__ = (UniqueConstraint("study_id", "step", "flagged_at"), Index(None, "state", "next_attempt_at"))

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    study_id: Mapped[int] = mapped_column(ForeignKey("studies.id", ondelete="CASCADE"))
    step: Mapped[int]
    flagged_at: Mapped[datetime]
    state: Mapped[EscalationState]
    due_at: Mapped[datetime]
    next_attempt_at: Mapped[datetime]
    leased_until: Mapped[datetime | None]
    attempts: Mapped[int]
    ended_at: Mapped[datetime | None]
    detail: Mapped[str]
