"""Who reads a study, and what they say of the findings."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from triage_node.core.reader_task import EscalationState, TaskState, Verdict


@dataclass(frozen=True)
class Feedback:
    """What a reader said of one finding.

    Attributes
    ----------
    revision
        Of the series whose reading was shown.
    finding
        ICH or a subtype.
    present
        What the node had said of it.
    """

    revision: int
    finding: str
    present: bool
    verdict: Verdict
    comment: str
    reader: str
    given_at: datetime


@dataclass(frozen=True)
class EscalationNote:
    """One step of the chain that became due because nobody had acknowledged the study.

    Attributes
    ----------
    step
        Counts from 1.
    ended_at
        When it was called, stopped or given up; None while it is due.
    detail
        What the last attempt was answered.
    """

    step: int
    state: EscalationState
    due_at: datetime
    ended_at: datetime | None
    attempts: int
    detail: str


@dataclass(frozen=True)
class ReaderTask:
    """The reading of one study by a person.

    Attributes
    ----------
    performer, taken_at
        Who has it in progress and since when; None in every other state.
    acknowledged_by, acknowledged_at
        Who first took note of the study as it now is: a study that becomes flagged waits to be acknowledged anew.
    completed_by, completed_at
        Of the last completion, also where the task was reopened since.
    shown_revision
        Of the reading that the study shows; None where it was not analysed. Feedback names it.
    feedback
        Of all readers, the oldest first.
    escalations
        Who was called, the earliest first.
    """

    study_instance_uid: str
    state: TaskState
    performer: str | None
    taken_at: datetime | None
    acknowledged_by: str | None
    acknowledged_at: datetime | None
    completed_by: str | None
    completed_at: datetime | None
    shown_revision: int | None
    feedback: tuple[Feedback, ...]
    escalations: tuple[EscalationNote, ...] = ()


class ReaderTasks(Protocol):
    """The reading tasks: each method one transaction; ``core.reader_task.TASK_TRANSITIONS`` says what may follow what.

    A performer is a user's name, or ``AE:`` and the AE title of a reading system. All methods but ``state_of`` raise
    ``TaskRefused`` where the rules say no, ``UnknownStudy`` among it.
    """

    def acknowledge(self, study_instance_uid: str, actor: str, now: datetime) -> None:
        """Note that somebody has taken note of the study; the first one stands."""
        ...

    def take(self, study_instance_uid: str, performer: str, now: datetime, transaction_uid: str | None = None) -> str:
        """Begin to read, alone, and acknowledge; return the transaction UID that locks the task.

        Whoever has it already may ask again and gets the same UID.

        Raises
        ------
        TaskTaken
            Another has it, or the same performer has it under another transaction UID than the one given.
        TaskInOtherState
            It is completed.
        """
        ...

    def release(self, study_instance_uid: str, actor: str, now: datetime, *, from_anyone: bool = False) -> None:
        """Give the task back unread; ``from_anyone`` is for those who may take it from others.

        Raises
        ------
        TaskTaken
            Another has it.
        TaskInOtherState
            Nobody has it.
        """
        ...

    def complete(self, study_instance_uid: str, performer: str, now: datetime) -> None:
        """End the reading.

        Raises
        ------
        TaskTaken
            Another has it.
        TaskInOtherState
            Nobody has it.
        """
        ...

    def reopen(self, study_instance_uid: str, now: datetime) -> None:
        """Let a completed task wait for a reader again.

        Raises
        ------
        TaskInOtherState
            It is not completed.
        """
        ...

    def give_feedback(
        self,
        study_instance_uid: str,
        reader: str,
        now: datetime,
        *,
        revision: int,
        finding: str,
        verdict: Verdict,
        comment: str = "",
    ) -> None:
        """Keep what a reader says of a finding (ICH or a subtype), present or absent, of the revision that was seen.

        Raises
        ------
        FindingChanged
            The study shows another revision by now, or was never analysed.
        """
        ...

    def state_of(self, study_instance_uid: str) -> ReaderTask | None:
        """Return where the task stands; None for an unknown study."""
        ...
