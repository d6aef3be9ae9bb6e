"""Pages of the worklist on both databases: every page in order, every filter and every word against a plain Python sort."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from fakes.slices import head
from fakes.studies import Studies
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from triage_node.core.ports import WorklistRow
from triage_node.core.reader_task import TaskState, workitem_uid
from triage_node.core.reason import Reason
from triage_node.core.study_state import Priority, State
from triage_node.core.worklist_order import Place, ReadingFilter, WorklistFilter
from triage_node.worklist import search, worklist_page
from triage_node.worklist.reader_tables import ReaderTaskRow
from triage_node.worklist.reader_tasks import SqlReaderTasks
from triage_node.worklist.repository import SqlStudyRepository
from triage_node.worklist.tables import StudyRow
from triage_node.worklist.worklist_page import SqlWorklist

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
FAMILIES = ("Doe", "Doerr", "Smith", "Müller", "O'Neill", "Li")


@pytest.fixture
def worklist(engine: Engine) -> SqlWorklist:
    return SqlWorklist(engine)


@pytest.fixture
def archive(engine: Engine) -> list[StudyRow]:
    """Studies of every kind, many received in the same second."""
    draw = random.Random(7)
    with Session(engine, expire_on_commit=False) as session, session.begin():
        studies = [_study(number, draw) for number in range(120)]
        session.add_all(studies)
        session.flush()
        search.index_terms(session, studies)
        for study in studies:
            if study.task_state is TaskState.IN_PROGRESS:
                session.add(ReaderTaskRow(study_id=study.id, performer=draw.choice(("ann", "ben"))))
            elif draw.random() < 0.3:
                session.add(ReaderTaskRow(study_id=study.id, acknowledged_by="ann", acknowledged_at=NOW))
    return studies


def _study(number: int, draw: random.Random) -> StudyRow:
    uid = f"1.2.840.{number}"
    flagged = draw.choice((True, False, None))
    priority = Priority.STAT if flagged else draw.choice((Priority.STAT, Priority.HIGH, Priority.ROUTINE))
    state = draw.choice(tuple(State))
    received_at = NOW - timedelta(hours=draw.randrange(40))
    return StudyRow(
        study_instance_uid=uid,
        patient_id=f"MRN{number % 30:03}",
        patient_name=f"{draw.choice(FAMILIES)}^Jane",
        accession_number=f"A{number}",
        study_date="",
        study_time="",
        study_description="",
        state=state,
        reason=draw.choice((Reason.CONTRAST, Reason.NOT_CT)) if state is State.NOT_ANALYSED else None,
        reason_detail="",
        priority=priority,
        task_state=draw.choice(tuple(TaskState)),
        workitem_uid=workitem_uid(uid),
        flagged=flagged,
        received_at=received_at,
        last_received_at=received_at,
    )


def in_order(studies: Iterable[StudyRow]) -> list[str]:
    """The rule in plain words: unread first, by priority, the longest waiting first; then the read, the latest first."""
    studies = list(studies)
    unread = [each for each in studies if each.task_state is not TaskState.COMPLETED]
    read = [each for each in studies if each.task_state is TaskState.COMPLETED]
    unread.sort(key=lambda each: (each.priority.rank, each.received_at, each.id))
    read.sort(key=lambda each: (each.received_at, each.id), reverse=True)
    return [each.study_instance_uid for each in unread + read]


def every(worklist: SqlWorklist, wanted: WorklistFilter, limit: int = 7) -> list[str]:
    """Turn the pages until there is no other, by the text of each last place."""
    shown: list[WorklistRow] = []
    after = None
    while True:
        page = worklist.page(wanted, limit=limit, after=after)
        shown += page.rows
        assert len(page.rows) == limit or not page.more
        if not page.more:
            return [str(row.entry["study_instance_uid"]) for row in shown]
        after = Place.parse(str(page.rows[-1].place))


FILTERS: dict[str, tuple[WorklistFilter, Callable[[StudyRow], bool]]] = {
    "everything": (WorklistFilter(), lambda _: True),
    "flagged": (WorklistFilter(flagged=True), lambda each: bool(each.flagged)),
    "read and not flagged": (WorklistFilter(flagged=False), lambda each: each.flagged is False),
    "state": (WorklistFilter(state=State.FAILED), lambda each: each.state is State.FAILED),
    "priority": (WorklistFilter(priority=Priority.HIGH), lambda each: each.priority is Priority.HIGH),
    "reason": (WorklistFilter(reason=Reason.CONTRAST), lambda each: each.reason is Reason.CONTRAST),
    "unread": (WorklistFilter(reading=ReadingFilter.UNREAD), lambda each: each.task_state is not TaskState.COMPLETED),
    "read": (WorklistFilter(reading=ReadingFilter.READ), lambda each: each.task_state is TaskState.COMPLETED),
    "time": (
        WorklistFilter(received_from=NOW - timedelta(hours=20), received_before=NOW - timedelta(hours=10)),
        lambda each: NOW - timedelta(hours=20) <= each.received_at < NOW - timedelta(hours=10),
    ),
    "name": (WorklistFilter(text="dOe"), lambda each: each.patient_name.startswith("Doe")),
    "umlaut": (WorklistFilter(text="MÜLL"), lambda each: each.patient_name.startswith("Müll")),
    "two words": (
        WorklistFilter(text="mrn00 smith"),
        lambda each: each.patient_name.startswith("Smith") and each.patient_id.startswith("MRN00"),
    ),
    "accession": (WorklistFilter(text="a11"), lambda each: each.accession_number.startswith("A11")),
    "uid": (WorklistFilter(text="1.2.840.7"), lambda each: each.study_instance_uid.startswith("1.2.840.7")),
    "flagged and high": (WorklistFilter(flagged=True, priority=Priority.HIGH), lambda _: False),
    "name and state": (
        WorklistFilter(text="li", state=State.FORWARDED, reading=ReadingFilter.UNREAD),
        lambda each: (
            each.patient_name.startswith("Li")
            and each.state is State.FORWARDED
            and each.task_state is not TaskState.COMPLETED
        ),
    ),
}


@pytest.mark.parametrize("few", [search.FEW, 3], ids=["sorted", "walked"])
@pytest.mark.parametrize("name", FILTERS)
def test_pages_show_what_is_wanted_in_order_each_study_once(
    worklist: SqlWorklist, archive: list[StudyRow], name: str, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "FEW", few)
    wanted, meant = FILTERS[name]
    assert every(worklist, wanted) == in_order(each for each in archive if meant(each))


def test_mine_and_unacknowledged_go_by_who_did_what(
    worklist: SqlWorklist, archive: list[StudyRow], engine: Engine
) -> None:
    with Session(engine) as session:
        tasks = {task.study_id: task for task in session.query(ReaderTaskRow)}
    of_ann = {study_id for study_id, task in tasks.items() if task.performer == "ann"}
    mine = WorklistFilter(reading=ReadingFilter.MINE, performer="ann")
    assert every(worklist, mine) == in_order(each for each in archive if each.id in of_ann)
    acknowledged = {study_id for study_id, task in tasks.items() if task.acknowledged_at}
    waiting = [each for each in archive if each.id not in acknowledged and each.task_state is not TaskState.COMPLETED]
    assert every(worklist, WorklistFilter(reading=ReadingFilter.UNACKNOWLEDGED)) == in_order(waiting)
    flagged = [each for each in waiting if each.flagged]
    since = NOW - timedelta(hours=10)
    found = worklist.unacknowledged(since)
    assert found.recent == sum(each.received_at >= since for each in flagged)
    assert found.older == sum(each.received_at < since for each in flagged)


def test_only_named_studies_are_looked_at_for_changes(worklist: SqlWorklist, archive: list[StudyRow]) -> None:
    some = archive[::3]
    rows = worklist.rows_of(WorklistFilter(flagged=True), [each.id for each in some])
    assert [row.entry["study_instance_uid"] for row in rows] == in_order(each for each in some if each.flagged)


@pytest.mark.parametrize(
    "text", ["'; DROP TABLE studies; --", "%", "_", "\\", "\0", "doe' OR '1'='1", '"', "(select 1)", "\U0010ffff"]
)
def test_sql_and_wildcards_in_a_search_are_words_that_nobody_has(
    worklist: SqlWorklist, archive: list[StudyRow], text: str
) -> None:
    found = every(worklist, WorklistFilter(text=text))
    assert found == (in_order(archive) if text == "\0" else [])
    assert len(every(worklist, WorklistFilter())) == len(archive)


@pytest.mark.parametrize("text", ["", "1.2.3", "a.b.c.d", "0.0.1e9.3", "2.0.1.1", "0.0.1.1.1", f"0.0.{10**30}.1"])
def test_what_is_no_place_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Place.parse(text)


def test_every_change_of_what_a_row_shows_is_seen(engine: Engine, worklist: SqlWorklist) -> None:
    studies = Studies(SqlStudyRepository(engine))
    tasks = SqlReaderTasks(engine)
    uid = studies.arrive()
    now = datetime.now(UTC)
    steps = {
        "evidence": lambda: studies.evidence(uid),
        "delivered": lambda: studies.deliver(uid),
        "acknowledged": lambda: tasks.acknowledge(uid, "ann", now),
        "taken": lambda: tasks.take(uid, "ann", now),
        "released": lambda: tasks.release(uid, "ann", now),
    }
    seen = None
    for name, step in steps.items():
        step()
        (change,) = worklist.changed_since(datetime(2026, 1, 1, tzinfo=UTC), limit=10)
        assert seen is None or change.changed_at > seen, name
        seen = change.changed_at
    assert change.flagged_at is not None
    assert worklist.changed_since(seen + timedelta(microseconds=1), limit=10) == []


def test_a_delivery_that_is_put_off_given_up_or_retried_is_a_change(engine: Engine, worklist: SqlWorklist) -> None:
    from triage_node.core.dimse_status import Action

    repository = SqlStudyRepository(engine)
    studies = Studies(repository)
    uid = studies.arrive()
    studies.evidence(uid)

    def changed_at() -> datetime:
        (change,) = worklist.changed_since(datetime(2026, 1, 1, tzinfo=UTC), limit=10)
        return change.changed_at

    before = changed_at()
    studies.deliver(uid, Action.TRY_AGAIN)
    assert changed_at() > before
    before = changed_at()
    assert repository.retry_deliveries(datetime.now(UTC)) == 2
    assert changed_at() > before


def test_a_study_is_found_from_its_first_slice_on(engine: Engine, worklist: SqlWorklist) -> None:
    repository = SqlStudyRepository(engine)
    slices = head(NOW, patient_name="Nguyễn^Thị=阮^氏", patient_id="X-1")
    repository.add_instances(slices[:1])
    repository.add_instances(slices[1:])
    for text in ("NGUYỄN", "阮", "x-1", "1.2.3"):
        assert every(worklist, WorklistFilter(text=text)) == ["1.2.3"]
    assert every(worklist, replace(WorklistFilter(), text="nguyen")) == []


def test_a_row_says_which_subtypes_were_found_and_who_reads_it(engine: Engine, worklist: SqlWorklist) -> None:
    studies = Studies(SqlStudyRepository(engine))
    uid = studies.arrive()
    studies.forward(uid, present=("EDH",))
    SqlReaderTasks(engine).take(uid, "ann", datetime.now(UTC))
    (row,) = worklist.page(WorklistFilter(), limit=5).rows
    assert row.entry["subtypes_present"] == ["EDH"]
    assert (row.entry["reading"]["state"], row.entry["reading"]["performer"]) == ("IN PROGRESS", "ann")
    assert row.entry["deliveries"]["PACS@127.0.0.1:11113"]["SENT"] == 2


def test_page_costs_a_few_statements_however_many_studies_it_shows(
    engine: Engine, worklist: SqlWorklist, archive: list[StudyRow]
) -> None:
    from sqlalchemy import event

    statements: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *said: statements.append(said[2]))
    assert len(worklist.page(WorklistFilter(), limit=100).rows) == 100
    assert len(statements) <= 5
    assert worklist_page.COUNTED_AT_MOST >= 100
