"""Escalations: every flagged study that nobody acknowledges is called for, step by step, and no call is made twice."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from triage_node.core.destination import Destination, DestinationKind
from triage_node.core.dimse_status import Action
from triage_node.core.escalation import EscalationStep
from triage_node.core.ports import SendOutcome
from triage_node.core.reader_task import EscalationState
from triage_node.core.study_state import Priority
from triage_node.worklist.escalations import SqlEscalations
from triage_node.worklist.reader_tables import EscalationRow
from triage_node.worklist.reader_tasks import SqlReaderTasks
from triage_node.worklist.tables import StudyRow

PAGER = Destination("pager", DestinationKind.WEBHOOK, "https://pager/")
CHAIN = (EscalationStep(300.0, PAGER), EscalationStep(900.0, PAGER))
DONE = SendOutcome("2.25.1", Action.DONE, 204, "HTTP 204 No Content")
LATER = SendOutcome("2.25.1", Action.TRY_AGAIN, None, "no connection", answered=False)
FLAGGED_S = 12.0  # when ``site.classified`` saves the finding


@pytest.fixture
def escalations(engine: Engine) -> SqlEscalations:
    return SqlEscalations(engine)


def _plan(escalations: SqlEscalations, now: datetime) -> int:
    return escalations.plan(CHAIN, now, flagged_since=now - timedelta(hours=24))


def _states(engine: Engine) -> list[tuple[int, EscalationState]]:
    with Session(engine) as session:
        return [(row.step, row.state) for row in session.scalars(select(EscalationRow).order_by(EscalationRow.id))]


def test_step_is_due_once_its_time_has_passed_and_only_once(escalations: SqlEscalations, site: Any) -> None:
    site.classified()
    assert _plan(escalations, site.at(FLAGGED_S + 299)) == 0
    assert _plan(escalations, site.at(FLAGGED_S + 300)) == 1
    assert _plan(escalations, site.at(FLAGGED_S + 301)) == 0
    call = escalations.claim(site.at(FLAGGED_S + 301), lease_s=60)
    assert call is not None
    assert (call.step, call.attempts, call.study_instance_uid) == (1, 0, site.study_uid(1))
    assert (call.accession_number, call.subtypes_present, call.flagged_at) == ("ACC1", ("CPH",), site.at(FLAGGED_S))
    assert call.waiting_s(site.at(FLAGGED_S + 360)) == 360
    assert escalations.claim(site.at(FLAGGED_S + 302), lease_s=60) is None  # another courier has it


def test_call_that_was_made_is_not_made_again_and_the_next_step_follows(
    escalations: SqlEscalations, site: Any, engine: Engine
) -> None:
    site.classified()
    _plan(escalations, site.at(400))
    call = escalations.claim(site.at(400), lease_s=60)
    assert call is not None
    escalations.save(call.escalation_id, DONE, site.at(401), again_at=None)
    assert escalations.claim(site.at(2000), lease_s=60) is None
    assert _plan(escalations, site.at(FLAGGED_S + 900)) == 1
    second = escalations.claim(site.at(FLAGGED_S + 900), lease_s=60)
    assert second is not None
    assert second.step == 2
    assert _states(engine) == [(1, EscalationState.DONE), (2, EscalationState.DUE)]


def test_courier_that_died_leaves_its_call_to_another(escalations: SqlEscalations, site: Any) -> None:
    site.classified()
    _plan(escalations, site.at(400))
    assert escalations.claim(site.at(400), lease_s=60) is not None
    assert escalations.claim(site.at(459), lease_s=60) is None
    assert escalations.claim(site.at(460), lease_s=60) is not None


def test_call_that_fails_comes_back_at_its_time_until_it_is_given_up(
    escalations: SqlEscalations, site: Any, engine: Engine
) -> None:
    site.classified()
    _plan(escalations, site.at(400))
    call = escalations.claim(site.at(400), lease_s=60)
    assert call is not None
    escalations.save(call.escalation_id, LATER, site.at(401), again_at=site.at(411))
    assert escalations.claim(site.at(410), lease_s=60) is None
    again = escalations.claim(site.at(411), lease_s=60)
    assert again is not None
    assert again.attempts == 1
    escalations.save(again.escalation_id, LATER, site.at(412), again_at=None)
    assert _states(engine) == [(1, EscalationState.GIVEN_UP)]


@pytest.mark.parametrize("how", ["acknowledged", "taken"])
def test_nobody_is_called_for_a_study_that_somebody_took_note_of(
    escalations: SqlEscalations, site: Any, engine: Engine, how: str
) -> None:
    site.classified(1)
    site.classified(2)
    _plan(escalations, site.at(400))
    tasks = SqlReaderTasks(engine)
    if how == "acknowledged":
        tasks.acknowledge(site.study_uid(1), "dr.a", site.at(401))
    else:
        tasks.take(site.study_uid(1), "dr.a", site.at(401))
    call = escalations.claim(site.at(402), lease_s=60)
    assert call is not None
    assert call.study_instance_uid == site.study_uid(2)
    assert sorted(_states(engine)) == [(1, EscalationState.DUE), (1, EscalationState.STOPPED)]
    assert _plan(escalations, site.at(5000)) == 1  # the second step of study 2 alone


def test_nobody_is_called_for_what_is_not_flagged_or_was_flagged_long_ago(
    escalations: SqlEscalations, site: Any
) -> None:
    site.classified(1, probability=0.2)
    site.classified(2)
    assert escalations.plan(CHAIN, site.at(100_000), flagged_since=site.at(20_000)) == 0


def test_study_that_is_flagged_anew_is_called_for_anew(escalations: SqlEscalations, site: Any, engine: Engine) -> None:
    series_id = site.classified(1)
    _plan(escalations, site.at(400))
    SqlReaderTasks(engine).acknowledge(site.study_uid(1), "dr.a", site.at(401))
    for revision, probability in ((2, 0.1), (3, 0.95)):
        site.arrive(1, 1, [90 + revision], seconds=500.0 * revision)
        site.repository.close_series(series_id, revision, site.at(500.0 * revision + 1))
        site.repository.save_finding(series_id, revision, site.finding(probability), site.at(500.0 * revision + 2))
    assert _plan(escalations, site.at(1502 + 299)) == 0
    assert _plan(escalations, site.at(1502 + 300)) == 1


def test_study_that_waits_too_long_rises_but_never_to_the_flagged_ones(
    escalations: SqlEscalations, site: Any, engine: Engine
) -> None:
    site.classified(1, probability=0.1)
    site.classified(2)
    site.arrive(3, seconds=3000.0)
    SqlReaderTasks(engine).take(site.study_uid(1), "dr.a", site.at(20))
    assert escalations.raise_waiting(site.at(3600), timedelta(hours=1)) == 0
    SqlReaderTasks(engine).release(site.study_uid(1), "dr.a", site.at(3600))
    assert escalations.raise_waiting(site.at(3600), timedelta(hours=1)) == 1
    assert escalations.raise_waiting(site.at(3601), timedelta(hours=1)) == 0
    with Session(engine) as session:
        rows = session.scalars(select(StudyRow).order_by(StudyRow.id)).all()
        assert [(row.priority, row.urgency) for row in rows] == [
            (Priority.HIGH, 1),
            (Priority.STAT, 0),
            (Priority.ROUTINE, 2),
        ]
