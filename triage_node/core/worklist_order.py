"""In which order the worklist shows studies, which of them, and where a page of it ends.

First what waits for a reader: by urgency, and of one urgency the longest waiting. Then what was read, the latest first. A
page ends at a place in this order, not at a number of rows, so that it takes no longer to show the last page than the
first, and no study is skipped because others came in meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from triage_node.core.reader_task import TaskState
from triage_node.core.reason import Reason
from triage_node.core.study_state import Priority, State

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Place:
    """Where one study stands in the order; its text is opaque to whoever hands it back.

    ``urgency`` is the rank of the priority, 0 the most urgent.
    """

    read: bool
    urgency: int
    received_at: datetime
    study_id: int

    @property
    def order(self) -> tuple[int, int, int, int]:
        """Whole numbers that sort as the worklist does, smallest first; the time is in microseconds.

        Examples
        --------
        >>> moment = datetime(2026, 3, 2, tzinfo=UTC)
        >>> Place(False, 0, moment, 7).order < Place(False, 2, moment - timedelta(hours=1), 5).order
        True
        """
        received_us = (self.received_at - _EPOCH) // timedelta(microseconds=1)
        return (1, 0, -received_us, -self.study_id) if self.read else (0, self.urgency, received_us, self.study_id)

    def __str__(self) -> str:
        return ".".join(str(number) for number in self.order)

    @classmethod
    def parse(cls, text: str) -> Place:
        """Return the place that a text means.

        Raises
        ------
        ValueError
            It is none.

        Examples
        --------
        >>> Place.parse("0.0.1772438400000000.7").study_id
        7
        """
        read, urgency, received_us, study_id = (int(part) for part in text.split("."))
        if read not in (0, 1) or max(map(abs, (urgency, received_us, study_id))) >= 1 << 62:
            raise ValueError(f"no place in the worklist: {text!r}")
        try:
            received_at = _EPOCH + timedelta(microseconds=abs(received_us))
        except OverflowError as error:
            raise ValueError(f"no place in the worklist: {text!r}") from error
        return cls(bool(read), urgency, received_at, abs(study_id))


class ReadingFilter(StrEnum):
    """How far its reading by a person has come."""

    UNREAD = "UNREAD"
    UNACKNOWLEDGED = "UNACKNOWLEDGED"
    MINE = "MINE"
    """In progress, by whoever asks."""
    READ = "READ"


@dataclass(frozen=True)
class WorklistFilter:
    """Which studies are shown; what is not given is not asked.

    Attributes
    ----------
    text
        Each of its words begins a part of the patient's name, the patient ID, the accession number or the Study
        Instance UID, whatever the case of the letters.
    flagged
        Only flagged ones; or, where it is False, only those that were read and are not flagged.
    performer
        Whose studies ``ReadingFilter.MINE`` means.
    received_from, received_before
        When the first instance came in.
    """

    text: str = ""
    flagged: bool | None = None
    state: State | None = None
    priority: Priority | None = None
    reason: Reason | None = None
    reading: ReadingFilter | None = None
    performer: str = ""
    received_from: datetime | None = None
    received_before: datetime | None = None

    @property
    def task_states(self) -> frozenset[TaskState]:
        """The states of reading that can be meant."""
        match self.reading:
            case None:
                return frozenset(TaskState)
            case ReadingFilter.READ:
                return frozenset({TaskState.COMPLETED})
            case ReadingFilter.MINE:
                return frozenset({TaskState.IN_PROGRESS})
            case _:
                return frozenset({TaskState.SCHEDULED, TaskState.IN_PROGRESS})

    @property
    def urgencies(self) -> tuple[int, ...]:
        """The ranks of priority that can be meant, the most urgent first; a flagged study is always STAT."""
        priorities = [self.priority] if self.priority else list(Priority)
        return tuple(sorted(each.rank for each in priorities if not self.flagged or each is Priority.STAT))
