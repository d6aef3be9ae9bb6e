"""Which studies a query means, the unread first, of those the most urgent, of those the longest waiting.

A million studies are never sorted: each state and urgency is a stretch of one index in order of arrival, and a key that an
index answers (patient, accession, UID, date, the beginning of a name) is looked up there and its few studies sorted here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from triage_node.core.reader_task import TaskState
from triage_node.core.study_state import Priority
from triage_node.worklist.id_lists import among
from triage_node.worklist.search import rarest
from triage_node.worklist.tables import StudyRow

_TASK_STATES = (TaskState.SCHEDULED, TaskState.IN_PROGRESS, TaskState.COMPLETED)
_URGENCIES = tuple(sorted(priority.rank for priority in Priority))
_LOOKED_UP_AT_MOST = 20_000


@dataclass
class Selection:
    """What is asked of the studies.

    Attributes
    ----------
    conditions
        On ``StudyRow``, all of which hold.
    is_narrow
        One of them is answered by an index with few studies, likely.
    words
        Each begins a word of every study that is asked for, as ``core.search_terms`` has them.
    task_states, urgencies
        What is asked of these; the index is ordered by them.
    """

    conditions: list[ColumnElement[bool]] = field(default_factory=list)
    is_narrow: bool = False
    words: tuple[str, ...] = ()
    task_states: tuple[TaskState, ...] = _TASK_STATES
    urgencies: tuple[int, ...] = _URGENCIES


def select_studies(session: Session, selection: Selection, limit: int) -> list[int]:
    """Return the ids of the first ``limit`` studies in the order of reading."""
    if not selection.task_states or not selection.urgencies:
        return []
    if selection.is_narrow or _narrowed_by_words(session, selection):
        found = _looked_up(session, selection)
        if found is not None:
            return found[:limit]
    ids: list[int] = []
    for task_state in _TASK_STATES:
        for urgency in _URGENCIES:
            if task_state in selection.task_states and urgency in selection.urgencies and len(ids) < limit:
                ids += _stretch(session, selection, task_state, urgency, limit - len(ids))
    return ids


def _narrowed_by_words(session: Session, selection: Selection) -> bool:
    few = rarest(session, selection.words, _LOOKED_UP_AT_MOST)
    if few is not None:
        selection.conditions.append(among(StudyRow.id, few))
    return few is not None


def _looked_up(session: Session, selection: Selection) -> list[int] | None:
    """Return all in order; None where they are too many to be sorted here."""
    columns = StudyRow.id, StudyRow.task_state, StudyRow.urgency, StudyRow.received_at
    statement = select(*columns).where(*selection.conditions).limit(_LOOKED_UP_AT_MOST + 1)
    rows = session.execute(statement).all()
    if len(rows) > _LOOKED_UP_AT_MOST:
        return None
    wanted = [row for row in rows if row.task_state in selection.task_states and row.urgency in selection.urgencies]
    return [row.id for row in sorted(wanted, key=_reading_order)]


def _reading_order(row: Any) -> tuple[int, int, float, int]:
    waiting = row.received_at.timestamp()
    completed = row.task_state is TaskState.COMPLETED
    return _TASK_STATES.index(row.task_state), row.urgency, -waiting if completed else waiting, row.id


def _stretch(session: Session, selection: Selection, task_state: TaskState, urgency: int, limit: int) -> list[int]:
    """Return one state and urgency, the longest waiting first; of the completed ones, the newest."""
    order = (StudyRow.received_at, StudyRow.id)
    if task_state is TaskState.COMPLETED:
        order = tuple(each.desc() for each in order)  # type: ignore[assignment]
    statement = (
        select(StudyRow.id)
        .where(StudyRow.task_state == task_state, StudyRow.urgency == urgency, *selection.conditions)
        .order_by(*order)
        .limit(limit)
    )
    return list(session.scalars(statement))
