"""The Unified Procedure Step that stands for the reading of a study: its states as others see them (PS3.4 CC.1.1).

A workitem that is CANCELED by whoever had it is gone: the study waits for a reader under the next one, since no step goes
back to SCHEDULED. ``core.reader_task`` has the states that are kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from triage_node.core.query_status import (
    ALREADY_COMPLETED,
    ALREADY_IN_PROGRESS,
    NO_LONGER_UPDATED,
    NOT_YET_IN_PROGRESS,
    ONLY_BY_CREATION,
    WRONG_TRANSACTION,
    Answer,
)
from triage_node.core.reader_task import TaskState
from triage_node.core.study_state import Priority

SCHEDULED_PRIORITY: Mapping[Priority, str] = {
    Priority.STAT: "HIGH",
    Priority.HIGH: "MEDIUM",
    Priority.ROUTINE: "LOW",
}
"""Scheduled Procedure Step Priority (0074,1200) knows three values (PS3.3 C.30.2)."""


class StepState(StrEnum):
    """Procedure Step State (0074,1000) that an N-ACTION may ask for."""

    SCHEDULED = "SCHEDULED"
    IN_PROGRESS = "IN PROGRESS"
    COMPLETED = "COMPLETED"
    CANCELED = "CANCELED"


_REFUSED: Mapping[tuple[TaskState, StepState], Answer] = {
    (TaskState.SCHEDULED, StepState.COMPLETED): NOT_YET_IN_PROGRESS,
    (TaskState.SCHEDULED, StepState.CANCELED): NOT_YET_IN_PROGRESS,
    (TaskState.IN_PROGRESS, StepState.IN_PROGRESS): ALREADY_IN_PROGRESS,
    (TaskState.COMPLETED, StepState.IN_PROGRESS): NO_LONGER_UPDATED,
    (TaskState.COMPLETED, StepState.COMPLETED): ALREADY_COMPLETED,
    (TaskState.COMPLETED, StepState.CANCELED): NO_LONGER_UPDATED,
}
"""PS3.4 Table CC.1.1-2, where the Transaction UID is the right one."""


def refusal(state: TaskState, wanted: StepState, *, lock: str | None, transaction_uid: str | None) -> Answer | None:
    """Return why a state is not changed to the one asked for; None where it may be.

    Parameters
    ----------
    lock
        The Transaction UID that the step was claimed with.
    transaction_uid
        The one that was given.

    Examples
    --------
    >>> refusal(TaskState.SCHEDULED, StepState.IN_PROGRESS, lock=None, transaction_uid="1.2") is None
    True
    >>> refusal(TaskState.IN_PROGRESS, StepState.COMPLETED, lock="1.2", transaction_uid="1.3").code == 0xC301
    True
    """
    if wanted is StepState.SCHEDULED:
        return ONLY_BY_CREATION
    if transaction_uid is None:
        return WRONG_TRANSACTION
    claimed = state is not TaskState.SCHEDULED
    if claimed and wanted is not StepState.IN_PROGRESS and transaction_uid != lock:
        return WRONG_TRANSACTION
    return _REFUSED.get((state, wanted))
