"""ReaderTasks: one reader a study, whoever asks from wherever; nothing that people did is forgotten."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import Engine, select, text
from sqlalchemy.orm import Session

from triage_node.core.ports import ReaderTask
from triage_node.core.reader_task import (
    FindingChanged,
    TaskInOtherState,
    TaskState,
    TaskTaken,
    UnknownStudy,
    Verdict,
    workitem_uid,
)
from triage_node.worklist.reader_tasks import SqlReaderTasks
from triage_node.worklist.tables import StudyRow

STUDY = "1.2.3.1"


@pytest.fixture
def tasks(engine: Engine) -> SqlReaderTasks:
    return SqlReaderTasks(engine)


def _state(tasks: SqlReaderTasks) -> ReaderTask:
    state = tasks.state_of(STUDY)
    assert state is not None
    return state


def _row(engine: Engine) -> StudyRow:
    with Session(engine) as session:
        return session.scalars(select(StudyRow).where(StudyRow.study_instance_uid == STUDY)).one()


def _read_again(site: Any, revision: int, probability: float) -> None:
    """A late slice, and the reading of the revision that it opens."""
    series_id = site.arrive(1, 1, [90 + revision], seconds=100 * revision)
    site.repository.close_series(series_id, revision, site.at(100 * revision + 1))
    site.repository.save_finding(series_id, revision, site.finding(probability), site.at(100 * revision + 2))


def test_a_study_waits_for_a_reader_from_its_first_slice_on(tasks: SqlReaderTasks, site: Any) -> None:
    site.arrive()
    assert _state(tasks) == ReaderTask(STUDY, TaskState.SCHEDULED, None, None, None, None, None, None, None, ())
    assert tasks.state_of("1.2.99") is None


def test_whoever_takes_a_study_holds_it_alone_and_has_acknowledged_it(tasks: SqlReaderTasks, site: Any) -> None:
    site.classified()
    lock = tasks.take(STUDY, "ann", site.at(20))
    state = _state(tasks)
    assert (state.state, state.performer, state.taken_at) == (TaskState.IN_PROGRESS, "ann", site.at(20))
    assert (state.acknowledged_by, state.acknowledged_at) == ("ann", site.at(20))
    assert tasks.take(STUDY, "ann", site.at(25)) == lock, "the holder may ask again"
    assert _state(tasks).taken_at == site.at(20)
    with pytest.raises(TaskTaken, match="ann has been reading this study since 2026-03-01 08:00:20 UTC") as refused:
        tasks.take(STUDY, "bob", site.at(30))
    assert (refused.value.performer, refused.value.taken_at) == ("ann", site.at(20))
    with pytest.raises(TaskTaken):
        tasks.take(STUDY, "ann", site.at(30), "2.25.7")


def test_the_transaction_uid_of_a_reading_system_is_the_lock(tasks: SqlReaderTasks, site: Any) -> None:
    site.arrive()
    assert tasks.take(STUDY, "AE:VIEWER", site.at(20), "2.25.7") == "2.25.7"
    assert tasks.take(STUDY, "AE:VIEWER", site.at(21), "2.25.7") == "2.25.7"


def test_a_study_given_back_waits_again_under_a_new_workitem(tasks: SqlReaderTasks, site: Any, engine: Engine) -> None:
    site.classified()
    tasks.take(STUDY, "ann", site.at(20))
    tasks.release(STUDY, "ann", site.at(21))
    state = _state(tasks)
    assert (state.state, state.performer, state.taken_at) == (TaskState.SCHEDULED, None, None)
    assert state.acknowledged_by == "ann"
    assert _row(engine).workitem_uid != workitem_uid(STUDY)
    tasks.take(STUDY, "bob", site.at(22))
    assert _state(tasks).acknowledged_by == "ann", "the first one stands"


def test_only_the_holder_gives_back_or_completes_unless_allowed(tasks: SqlReaderTasks, site: Any) -> None:
    site.arrive()
    for step in (tasks.release, tasks.complete):
        with pytest.raises(TaskInOtherState):
            step(STUDY, "ann", site.at(19))
    tasks.take(STUDY, "ann", site.at(20))
    for step in (tasks.release, tasks.complete):
        with pytest.raises(TaskTaken):
            step(STUDY, "bob", site.at(21))
    tasks.release(STUDY, "admin", site.at(22), from_anyone=True)
    with pytest.raises(TaskInOtherState):
        tasks.release(STUDY, "admin", site.at(23), from_anyone=True)
    assert _state(tasks).state is TaskState.SCHEDULED


def test_a_completed_reading_is_taken_by_nobody_until_it_is_reopened(
    tasks: SqlReaderTasks, site: Any, engine: Engine
) -> None:
    site.classified()
    with pytest.raises(TaskInOtherState):
        tasks.reopen(STUDY, site.at(19))
    tasks.take(STUDY, "ann", site.at(20))
    tasks.complete(STUDY, "ann", site.at(30))
    state = _state(tasks)
    assert (state.state, state.performer) == (TaskState.COMPLETED, None)
    assert (state.completed_by, state.completed_at) == ("ann", site.at(30))
    for refused in (tasks.take, tasks.release, tasks.complete):
        with pytest.raises(TaskInOtherState) as error:
            refused(STUDY, "ann", site.at(31))
        assert error.value.state is TaskState.COMPLETED
    tasks.reopen(STUDY, site.at(40))
    state = _state(tasks)
    assert (state.state, state.completed_by) == (TaskState.SCHEDULED, "ann")
    assert _row(engine).workitem_uid != workitem_uid(STUDY)


def test_a_late_flag_reopens_a_completed_reading_and_asks_for_notice_anew(tasks: SqlReaderTasks, site: Any) -> None:
    site.classified(probability=0.1)
    tasks.take(STUDY, "ann", site.at(20))
    tasks.complete(STUDY, "ann", site.at(30))
    tasks.give_feedback(STUDY, "ann", site.at(31), revision=1, finding="ICH", verdict=Verdict.DISAGREE)
    _read_again(site, 2, 0.2)
    assert _state(tasks).state is TaskState.COMPLETED, "not flagged before, not flagged now"
    _read_again(site, 3, 0.9)
    state = _state(tasks)
    assert (state.state, state.completed_by, state.shown_revision) == (TaskState.SCHEDULED, "ann", 3)
    assert state.acknowledged_at is None
    assert len(state.feedback) == 1
    assert site.study()["priority"] == "STAT"


def test_a_flagged_study_stays_completed_and_urgent_whatever_comes_later(tasks: SqlReaderTasks, site: Any) -> None:
    site.classified(probability=0.9)
    tasks.take(STUDY, "ann", site.at(20))
    tasks.complete(STUDY, "ann", site.at(30))
    _read_again(site, 2, 0.8)
    _read_again(site, 3, 0.1)
    state = _state(tasks)
    assert (state.state, state.acknowledged_by) == (TaskState.COMPLETED, "ann")
    assert site.study()["priority"] == "STAT"


def test_feedback_names_the_revision_that_was_seen(tasks: SqlReaderTasks, site: Any) -> None:
    site.arrive()
    with pytest.raises(FindingChanged, match="not analysed"):
        tasks.give_feedback(STUDY, "ann", site.at(5), revision=1, finding="ICH", verdict=Verdict.AGREE)
    site.classified()
    tasks.give_feedback(STUDY, "ann", site.at(20), revision=1, finding="ICH", verdict=Verdict.AGREE)
    tasks.give_feedback(
        STUDY, "ann", site.at(21), revision=1, finding="SDH", verdict=Verdict.DISAGREE, comment="<b>thin</b>, left"
    )
    with pytest.raises(FindingChanged, match="a finding is one of"):
        tasks.give_feedback(STUDY, "ann", site.at(22), revision=1, finding="' OR 1=1", verdict=Verdict.AGREE)
    _read_again(site, 2, 0.8)
    with pytest.raises(FindingChanged, match="shows revision 2 by now"):
        tasks.give_feedback(STUDY, "bob", site.at(23), revision=1, finding="ICH", verdict=Verdict.AGREE)
    given = [(each.finding, each.present, each.verdict, each.comment) for each in _state(tasks).feedback]
    assert given == [("ICH", True, Verdict.AGREE, ""), ("SDH", False, Verdict.DISAGREE, "<b>thin</b>, left")]


def test_unknown_studies_are_refused(tasks: SqlReaderTasks, site: Any) -> None:
    steps: list[Callable[[str, str, datetime], Any]] = [tasks.acknowledge, tasks.take, tasks.release, tasks.complete]
    for step in steps:
        with pytest.raises(UnknownStudy):
            step("1.2.99'; DROP TABLE studies; --", "ann", site.at(1))


def test_everything_that_people_do_shows_in_the_stream_of_changes(
    tasks: SqlReaderTasks, site: Any, engine: Engine
) -> None:
    site.classified()
    seen = [_row(engine).changed_at]
    steps: list[Callable[[], object]] = [
        lambda: tasks.acknowledge(STUDY, "ann", site.at(20)),
        lambda: tasks.take(STUDY, "ann", site.at(21)),
        lambda: tasks.give_feedback(STUDY, "ann", site.at(22), revision=1, finding="ICH", verdict=Verdict.AGREE),
        lambda: tasks.complete(STUDY, "ann", site.at(23)),
        lambda: tasks.reopen(STUDY, site.at(24)),
    ]
    for step in steps:
        step()
        seen.append(_row(engine).changed_at)
    assert seen == sorted(set(seen))


def test_exactly_one_of_many_takers_wins(tasks: SqlReaderTasks, site: Any, engine: Engine) -> None:
    site.classified()

    def take(number: int) -> str | None:
        try:
            tasks.take(STUDY, f"reader{number}", site.at(20 + number))
        except TaskTaken as refused:
            return refused.performer
        return None

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(take, range(24)))
    assert answers.count(None) == 1
    winner = f"reader{answers.index(None)}"
    assert set(answers) == {None, winner}
    assert _state(tasks).performer == winner
    with Session(engine) as session:
        assert session.execute(text("SELECT count(*) FROM reader_tasks")).scalar_one() == 1


def test_a_study_that_goes_takes_its_task_along(tasks: SqlReaderTasks, site: Any, engine: Engine) -> None:
    site.classified()
    tasks.take(STUDY, "ann", site.at(20))
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM studies"))
    assert tasks.state_of(STUDY) is None
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM reader_tasks")).scalar_one() == 0
