"""The worklist as people look at it: a page in order, and what has changed since."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from triage_node.core.worklist_order import Place, WorklistFilter


@dataclass(frozen=True)
class WorklistRow:
    """One study of the worklist; ``entry`` is as ``worklist --json`` has it, with how its reading stands."""

    place: Place
    entry: Mapping[str, Any]


@dataclass(frozen=True)
class WorklistPage:
    """One page; ``more`` says whether another follows."""

    rows: tuple[WorklistRow, ...]
    more: bool


@dataclass(frozen=True)
class StudyChange:
    """That something of a study changed, and when; ``flagged_at`` is when it was flagged, None where it is not."""

    study_id: int
    study_instance_uid: str
    changed_at: datetime
    flagged_at: datetime | None


@dataclass(frozen=True)
class Unacknowledged:
    """How many flagged studies nobody has acknowledged; beyond ``COUNTED_AT_MOST`` and ``OLDER_COUNTED_AT_MOST`` they are
    not counted."""

    recent: int
    older: int


class Worklist(Protocol):
    """What the worklist page stands on; nothing here changes anything."""

    def page(self, wanted: WorklistFilter, *, limit: int, after: Place | None = None) -> WorklistPage:
        """Return the studies that are wanted, in order, from the first one after a place."""
        ...

    def rows_of(self, wanted: WorklistFilter, study_ids: Sequence[int]) -> Sequence[WorklistRow]:
        """Return those of these studies that are wanted."""
        ...

    def changed_since(self, moment: datetime, *, limit: int) -> Sequence[StudyChange]:
        """Return what changed at or after a moment, the oldest change first."""
        ...

    def unacknowledged(self, since: datetime) -> Unacknowledged:
        """Return how many flagged studies nobody has acknowledged, of those received since a moment and of older ones."""
        ...


COUNTED_AT_MOST = 1000
OLDER_COUNTED_AT_MOST = 100
"""Nobody reads a greater number more exactly, and counting an archive takes long."""
