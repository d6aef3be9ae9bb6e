"""``core.ports.Worklist`` on SQL: pages that cost the same wherever they are, of however many studies.

The order of ``core.worklist_order`` is walked group by group: one group for each priority of what waits, then one for
what was read. Within a group an index has the order already, one run of it for each state of reading (or priority asked
for) in the group, so that the database merges a few runs and stops at the end of the page.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Engine, and_, exists, func, select, tuple_, union_all
from sqlalchemy.orm import Session

from triage_node.core.ports.worklist_page import COUNTED_AT_MOST, StudyChange, WorklistPage, WorklistRow
from triage_node.core.reader_task import TaskState
from triage_node.core.study_state import Priority
from triage_node.core.worklist_order import Place, ReadingFilter, WorklistFilter
from triage_node.worklist.engine import Database
from triage_node.worklist.queries import worklist_entries
from triage_node.worklist.reader_tables import ReaderTaskRow
from triage_node.worklist.search import candidates, found_by
from triage_node.worklist.tables import StudyRow

_OPEN = (TaskState.SCHEDULED, TaskState.IN_PROGRESS)
_PLACED = (StudyRow.task_state, StudyRow.urgency, StudyRow.received_at, StudyRow.id)


class SqlWorklist:
    """The worklist on SQLite or PostgreSQL."""

    def __init__(self, engine: Engine) -> None:
        self._database = Database(engine)

    def page(self, wanted: WorklistFilter, *, limit: int, after: Place | None = None) -> WorklistPage:
        """Return the studies that are wanted, in order, from the first one after a place."""
        with self._database.reading() as session:
            few = candidates(session, wanted.text) if wanted.text else None
            walked = _walk(session, wanted, limit + 1, after) if few is None else _sorted(session, wanted, few, after)
            return WorklistPage(_rows(session, walked[:limit]), more=len(walked) > limit)

    def rows_of(self, wanted: WorklistFilter, study_ids: Sequence[int]) -> Sequence[WorklistRow]:
        """Return those of these studies that are wanted."""
        with self._database.reading() as session:
            return _rows(session, _sorted(session, wanted, study_ids, None))

    def changed_since(self, moment: datetime, *, limit: int) -> Sequence[StudyChange]:
        """Return what changed at or after a moment, the oldest change first."""
        statement = (
            select(
                StudyRow.id,
                StudyRow.study_instance_uid,
                StudyRow.changed_at,
                StudyRow.flagged,
                StudyRow.flagged_at,
            )
            .where(StudyRow.changed_at >= moment)
            .order_by(StudyRow.changed_at)
            .limit(limit)
        )
        with self._database.reading() as session:
            return [
                StudyChange(study_id, uid, changed_at, flagged_at if flagged else None)
                for study_id, uid, changed_at, flagged, flagged_at in session.execute(statement)
            ]

    def unacknowledged(self, *, received_from: datetime | None = None, received_before: datetime | None = None) -> int:
        """Return how many flagged studies nobody has acknowledged."""
        wanted = WorklistFilter(
            flagged=True,
            reading=ReadingFilter.UNACKNOWLEDGED,
            received_from=received_from,
            received_before=received_before,
        )
        waiting = (
            select(StudyRow.id)
            .where(StudyRow.task_state.in_(_OPEN), StudyRow.urgency == Priority.STAT.rank, *_conditions(wanted))
            .limit(COUNTED_AT_MOST)
        )
        with self._database.reading() as session:
            return session.execute(select(func.count()).select_from(waiting.subquery())).scalar_one()


@dataclass(frozen=True)
class _Group:
    """Studies that follow each other in the order: ``runs`` are parts of an index that are sorted already.

    What was read is one run unless a priority is asked for: a search would otherwise walk to the end of each priority in
    which it finds nothing.
    """

    read: bool
    urgency: int
    runs: tuple[tuple[TaskState, int | None], ...]


def _groups(wanted: WorklistFilter) -> Iterator[_Group]:
    waiting = [state for state in _OPEN if state in wanted.task_states]
    if waiting:
        for urgency in wanted.urgencies:
            yield _Group(False, urgency, tuple((state, urgency) for state in waiting))
    if TaskState.COMPLETED in wanted.task_states and wanted.urgencies:
        of_any = len(wanted.urgencies) == len(Priority)
        priorities: tuple[int | None, ...] = (None,) if of_any else wanted.urgencies
        yield _Group(True, 0, tuple((TaskState.COMPLETED, urgency) for urgency in priorities))


def _walk(session: Session, wanted: WorklistFilter, limit: int, after: Place | None) -> list[Place]:
    """Return the places of the next studies; groups that end before ``after`` are not looked at."""
    conditions = _conditions(wanted) + found_by(wanted.text)
    found: list[Place] = []
    for group in _groups(wanted):
        within = after is not None and (group.read, group.urgency) == (after.read, 0 if after.read else after.urgency)
        if after is not None and not within and (group.read, group.urgency) < (after.read, after.urgency):
            continue
        passed = _passed(group, after) if after is not None and within else []
        found += _of_group(session, group, [*conditions, *passed], limit - len(found))
        if len(found) >= limit:
            break
    return found


def _passed(group: _Group, after: Place) -> list[ColumnElement[bool]]:
    here, there = tuple_(StudyRow.received_at, StudyRow.id), tuple_(after.received_at, after.study_id)
    return [here < there if group.read else here > there]


def _of_group(session: Session, group: _Group, conditions: list[ColumnElement[bool]], limit: int) -> list[Place]:
    """Merge the sorted runs of a group and return the first places."""
    runs = []
    for state, urgency in group.runs:
        run = select(*_PLACED).where(StudyRow.task_state == state, *conditions)
        if urgency is not None:
            run = run.where(StudyRow.urgency == urgency)
        runs.append(select(_ordered(run, run.selected_columns, group.read).limit(limit).subquery()))
    merged = union_all(*runs)
    statement = _ordered(merged, merged.selected_columns, group.read).limit(limit) if len(runs) > 1 else runs[0]
    return [_place(row) for row in session.execute(statement)]


def _ordered(statement: Any, columns: Any, read: bool) -> Any:
    received_at, study_id = columns.received_at, columns.id
    return (
        statement.order_by(received_at.desc(), study_id.desc()) if read else statement.order_by(received_at, study_id)
    )


def _sorted(session: Session, wanted: WorklistFilter, study_ids: Sequence[int], after: Place | None) -> list[Place]:
    """Return the places of those of a few studies that are wanted."""
    statement = select(*_PLACED).where(
        StudyRow.id.in_(study_ids),
        StudyRow.task_state.in_(wanted.task_states),
        StudyRow.urgency.in_(wanted.urgencies),
        *_conditions(wanted),
        *found_by(wanted.text),
    )
    places = sorted((_place(row) for row in session.execute(statement)), key=lambda each: each.order)
    return [each for each in places if after is None or each.order > after.order]


def _place(row: Any) -> Place:
    return Place(row.task_state is TaskState.COMPLETED, row.urgency, row.received_at, row.id)


def _conditions(wanted: WorklistFilter) -> list[ColumnElement[bool]]:
    """Return what a filter asks beyond text, priority and the state of reading."""
    conditions: list[ColumnElement[bool]] = []
    if wanted.flagged is not None:
        conditions.append(StudyRow.flagged.is_(wanted.flagged))
    if wanted.state is not None:
        conditions.append(StudyRow.state == wanted.state)
    if wanted.reason is not None:
        conditions.append(StudyRow.reason == wanted.reason)
    if wanted.received_from is not None:
        conditions.append(StudyRow.received_at >= wanted.received_from)
    if wanted.received_before is not None:
        conditions.append(StudyRow.received_at < wanted.received_before)
    return conditions + _reading_conditions(wanted)


def _reading_conditions(wanted: WorklistFilter) -> list[ColumnElement[bool]]:
    of_study = ReaderTaskRow.study_id == StudyRow.id
    if wanted.reading is ReadingFilter.UNACKNOWLEDGED:
        return [~exists().where(and_(of_study, ReaderTaskRow.acknowledged_at.is_not(None))).correlate(StudyRow)]
    if wanted.reading is ReadingFilter.MINE:
        return [exists().where(and_(of_study, ReaderTaskRow.performer == wanted.performer)).correlate(StudyRow)]
    return []


def _rows(session: Session, places: Sequence[Place]) -> tuple[WorklistRow, ...]:
    entries = worklist_entries(session, [each.study_id for each in places])
    return tuple(WorklistRow(each, entries[each.study_id]) for each in places)
