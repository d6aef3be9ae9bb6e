"""The reading of a study by a person, as a Unified Procedure Step (PS3.4 CC.1.1), and the escalation where nobody comes.

One task a study. Whoever takes it, in the browser or over DICOM, holds it alone until it is released or completed.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from triage_node.core.errors import Refused
from triage_node.core.identifiers import derived_uid


class TaskState(StrEnum):
    """Procedure Step State (0074,1000); stored by name, written to DICOM as its value."""

    SCHEDULED = "SCHEDULED"
    IN_PROGRESS = "IN PROGRESS"
    COMPLETED = "COMPLETED"


class TaskEvent(StrEnum):
    """What can happen to a task."""

    TAKE = "TAKE"
    RELEASE = "RELEASE"
    COMPLETE = "COMPLETE"
    REOPEN = "REOPEN"


TASK_TRANSITIONS: Mapping[tuple[TaskState, TaskEvent], TaskState] = {
    (TaskState.SCHEDULED, TaskEvent.TAKE): TaskState.IN_PROGRESS,
    (TaskState.IN_PROGRESS, TaskEvent.RELEASE): TaskState.SCHEDULED,
    (TaskState.IN_PROGRESS, TaskEvent.COMPLETE): TaskState.COMPLETED,
    (TaskState.COMPLETED, TaskEvent.REOPEN): TaskState.SCHEDULED,
}
"""REOPEN: a new revision is flagged and the one that was read was not."""


class TaskRefused(Refused):
    """The task is not in the state that this asks for, or somebody else has it."""


class UnknownStudy(TaskRefused):
    """There is no such study here, or no longer."""


class FindingChanged(TaskRefused):
    """What a reader judged is no longer what the node says of the study."""


class TaskInOtherState(TaskRefused):
    """The table has no such change from the state in which the task is."""

    def __init__(self, state: TaskState, event: TaskEvent) -> None:
        super().__init__(f"a reading that is {state} cannot {event}")
        self.state = state


class TaskTaken(TaskRefused):
    """Somebody has the task in progress, and it is not whoever asks.

    Attributes
    ----------
    performer
        A user, or ``AE:`` and the AE title of a reading system.
    taken_at
        Since when.
    """

    def __init__(self, performer: str, taken_at: datetime) -> None:
        super().__init__(f"{performer} has been reading this study since {taken_at:%Y-%m-%d %H:%M:%S} UTC")
        self.performer = performer
        self.taken_at = taken_at


def task_after(state: TaskState, event: TaskEvent) -> TaskState:
    """Return the state that follows.

    Raises
    ------
    TaskInOtherState
        The table has no such change.

    Examples
    --------
    >>> task_after(TaskState.SCHEDULED, TaskEvent.TAKE)
    <TaskState.IN_PROGRESS: 'IN PROGRESS'>
    """
    try:
        return TASK_TRANSITIONS[state, event]
    except KeyError:
        raise TaskInOtherState(state, event) from None


def workitem_uid(study_instance_uid: str) -> str:
    """Return the SOP Instance UID of the first Unified Procedure Step of a study.

    Examples
    --------
    >>> workitem_uid("1.2.3") == workitem_uid("1.2.3")
    True
    """
    return derived_uid("workitem", study_instance_uid)


def next_workitem_uid(ended: str) -> str:
    """Return the SOP Instance UID of the step that takes the place of one that was given up or reopened.

    No step ever goes back to SCHEDULED (PS3.4 CC.1.1): it ends, and the study gets another one.

    Examples
    --------
    >>> next_workitem_uid("2.25.1") == next_workitem_uid("2.25.1")
    True
    """
    return derived_uid("workitem", "after", ended)


class Verdict(StrEnum):
    """What a reader says of a finding."""

    AGREE = "AGREE"
    DISAGREE = "DISAGREE"


class EscalationState(StrEnum):
    """Where one step of an escalation stands."""

    DUE = "DUE"
    DONE = "DONE"
    STOPPED = "STOPPED"
    """Somebody acknowledged the study before its time came."""
    GIVEN_UP = "GIVEN_UP"
