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

from sqlalchemy import (
    ColumnElement,
    Engine,
    Integer,
    Select,
    and_,
    bindparam,
    case,
    exists,
    func,
    literal_column,
    or_,
    select,
    tuple_,
    union_all,
)
from sqlalchemy.orm import Session

from triage_node.core.ports.worklist_page import (
    COUNTED_AT_MOST,
    OLDER_COUNTED_AT_MOST,
    StudyChange,
    Unacknowledged,
    WorklistPage,
    WorklistRow,
)
from triage_node.core.reader_task import TaskState
from triage_node.core.study_state import Priority
from triage_node.core.worklist_order import Place, ReadingFilter, WorklistFilter
from triage_node.worklist.engine import Database
from triage_node.worklist.id_lists import among
from triage_node.worklist.reader_tables import ReaderTaskRow
from triage_node.worklist.search import candidates, found_by
from triage_node.worklist.tables import StudyRow
from triage_node.worklist.worklist_entries import worklist_entries

_OPEN = (TaskState.SCHEDULED, TaskState.IN_PROGRESS)
_PLACED: tuple[Any, ...] = (StudyRow.task_state, StudyRow.urgency, StudyRow.received_at, StudyRow.id)
_PLACED_ONCE_READ: tuple[Any, ...] = (
    StudyRow.task_state,
    literal_column("0", Integer).label("urgency"),
    StudyRow.received_at,
    StudyRow.id,
)
"""What was read has no urgency in the order, and the index of it none to read: the table is left alone."""


class SqlWorklist:
    """The worklist on SQLite or PostgreSQL."""

    def __init__(self, engine: Engine) -> None:
        self._database = Database(engine)

    def page(self, wanted: WorklistFilter, *, limit: int, after: Place | None = None) -> WorklistPage:
        """Return the studies that are wanted, in order, from the first one after a place."""
        with self._database.reading() as session:
            few = candidates(session, wanted.text) if wanted.text else None
            if few is None:
                places = _walked(session, wanted, limit + 1, after)
            else:
                places = _sorted(session, wanted, few, limit + 1, after)
            return WorklistPage(_rows(session, places[:limit]), more=len(places) > limit)

    def rows_of(self, wanted: WorklistFilter, study_ids: Sequence[int]) -> Sequence[WorklistRow]:
        """Return those of these studies that are wanted."""
        if not study_ids:
            return ()
        with self._database.reading() as session:
            return _rows(session, _sorted(session, wanted, study_ids, len(study_ids), None))

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

    def unacknowledged(self, since: datetime) -> Unacknowledged:
        """Return how many flagged studies nobody has acknowledged, of those received since a moment and of older ones."""
        with self._database.reading() as session:
            return Unacknowledged(*session.execute(_UNACKNOWLEDGED, {"since": since}).one())


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


def _walked(session: Session, wanted: WorklistFilter, limit: int, after: Place | None) -> list[Place]:
    """Return the places of the next studies; groups that end before ``after`` are not looked at.

    An index has the studies of each group at hand, so that one statement asks for all groups: cheaper than to come back
    for the next one. A search does not, and is not made in a group that is not needed.
    """
    conditions = [*_conditions(wanted), *found_by(wanted.text)]
    groups = [
        [run.where(*passed) for run in _runs(group, conditions, limit)]
        for group in _groups(wanted)
        if (passed := _passed(group, after)) is not None
    ]
    found: list[Place] = []
    for runs in groups if wanted.text else [[run for group in groups for run in group]]:
        if runs and len(found) < limit:
            found += _merged(session, runs, limit - len(found))
    return found


def _passed(group: _Group, after: Place | None) -> list[ColumnElement[bool]] | None:
    """Return what a place asks of the studies of a group; None where all of them lie before it."""
    if after is None:
        return []
    here, there = (group.read, group.urgency), (after.read, 0 if after.read else after.urgency)
    if here != there:
        return [] if here > there else None
    received_at_and_id, passed = tuple_(StudyRow.received_at, StudyRow.id), tuple_(after.received_at, after.study_id)
    return [received_at_and_id < passed if group.read else received_at_and_id > passed]


def _runs(group: _Group, conditions: list[ColumnElement[bool]], limit: int) -> Iterator[Select[Any]]:
    for state, urgency in group.runs:
        placed = _PLACED_ONCE_READ if group.read else _PLACED
        run = select(*placed).where(StudyRow.task_state == state, *conditions)
        if urgency is not None:
            run = run.where(StudyRow.urgency == urgency)
        newest_first = (StudyRow.received_at.desc(), StudyRow.id.desc())
        yield run.order_by(*(newest_first if group.read else (StudyRow.received_at, StudyRow.id))).limit(limit)


def _merged(session: Session, runs: Sequence[Select[Any]], limit: int) -> list[Place]:
    """Return the first places of several runs that are each in order and as long as the page."""
    if len(runs) == 1:
        return _places(session, runs[0].limit(limit))
    merged = union_all(*(select(run.subquery()) for run in runs)).subquery()
    return _places(session, select(merged).order_by(*_in_order(merged.columns)).limit(limit))


def _in_order(columns: Any) -> list[ColumnElement[Any]]:
    """Return what sorts studies as ``Place.order`` does."""
    read = columns.task_state == TaskState.COMPLETED
    while_unread = [case((read, None), else_=columns[name]) for name in ("urgency", "received_at", "id")]
    once_read = [case((read, columns[name]), else_=None).desc() for name in ("received_at", "id")]
    return [read, *while_unread, *once_read]


def _sorted(
    session: Session, wanted: WorklistFilter, few: Sequence[int], limit: int, after: Place | None
) -> list[Place]:
    """Return the places of those of a few studies that are wanted."""
    statement = select(*_PLACED).where(
        among(StudyRow.id, few),
        StudyRow.task_state.in_(wanted.task_states),
        StudyRow.urgency.in_(wanted.urgencies),
        *_conditions(wanted),
        *found_by(wanted.text),
    )
    if after is not None:
        statement = statement.where(_beyond(after))
    return _places(session, statement.order_by(*_in_order(StudyRow.__table__.columns)).limit(limit))


def _beyond(place: Place) -> ColumnElement[bool]:
    read = StudyRow.task_state == TaskState.COMPLETED
    here, there = (StudyRow.received_at, StudyRow.id), (place.received_at, place.study_id)
    if place.read:
        return and_(read, tuple_(*here) < tuple_(*there))
    return or_(read, tuple_(StudyRow.urgency, *here) > tuple_(place.urgency, *there))


def _places(session: Session, statement: Any) -> list[Place]:
    return [
        Place(read := task_state is TaskState.COMPLETED, 0 if read else urgency, received_at, study_id)
        for task_state, urgency, received_at, study_id in session.execute(statement)
    ]


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
    return tuple(WorklistRow(each, entries[each.study_id]) for each in places if each.study_id in entries)


def _unacknowledged() -> Select[Any]:
    wanted = WorklistFilter(flagged=True, reading=ReadingFilter.UNACKNOWLEDGED)
    waiting = select(StudyRow.id).where(
        StudyRow.task_state.in_(_OPEN), StudyRow.urgency == Priority.STAT.rank, *_conditions(wanted)
    )
    spans = (
        (StudyRow.received_at >= bindparam("since"), COUNTED_AT_MOST),
        (StudyRow.received_at < bindparam("since"), OLDER_COUNTED_AT_MOST),
    )
    found = [waiting.where(span).limit(at_most).subquery() for span, at_most in spans]
    return select(*(select(func.count()).select_from(each).scalar_subquery() for each in found))


_UNACKNOWLEDGED = _unacknowledged()
