"""The audit trail on both databases: complete, newest first, filtered without ever being asked as SQL."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, delete

from triage_node.core.audit import AuditAction, AuditFilter
from triage_node.worklist.account_tables import AuditRow
from triage_node.worklist.audit import SqlAuditTrail

START = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)


@pytest.fixture
def trail(engine: Engine) -> SqlAuditTrail:
    with engine.begin() as connection:
        connection.execute(delete(AuditRow))
    return SqlAuditTrail(engine)


def _note(
    trail: SqlAuditTrail,
    actor: str = "ann",
    action: AuditAction = AuditAction.STUDY_SHOWN,
    study: str | None = "1.2.3",
    minutes: float = 0.0,
) -> None:
    trail.note(actor, action, study, "10.0.0.9", {"slices": [1, 2]}, START + timedelta(minutes=minutes))


def test_line_comes_back_as_it_was_noted(trail: SqlAuditTrail) -> None:
    _note(trail)
    (line,) = trail.page(AuditFilter(), 10)
    assert (line.at, line.actor, line.action, line.study_instance_uid) == (START, "ann", "STUDY_SHOWN", "1.2.3")
    assert (line.address, line.detail) == ("10.0.0.9", {"slices": [1, 2]})


def test_pages_follow_each_other_without_gap_or_repetition(trail: SqlAuditTrail) -> None:
    for number in range(7):
        _note(trail, study=f"1.2.{number}", minutes=number // 3)  # several lines share a moment
    seen: list[int] = []
    before = None
    while page := trail.page(AuditFilter(), 2, before):
        seen.extend(line.id for line in page)
        before = page[-1].id
    assert len(seen) == len(set(seen)) == 7
    assert seen == sorted(seen, reverse=True)


@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        (AuditFilter(actor="ann"), 2),
        (AuditFilter(action="TAKEN"), 1),
        (AuditFilter(study_instance_uid="1.2.4"), 1),
        (AuditFilter(since=START + timedelta(minutes=1)), 2),
        (AuditFilter(until=START + timedelta(minutes=1)), 1),
        (AuditFilter(actor="ann", action="TAKEN"), 0),
    ],
)
def test_filters_narrow(trail: SqlAuditTrail, wanted: AuditFilter, count: int) -> None:
    _note(trail)
    _note(trail, study="1.2.4", minutes=1)
    _note(trail, "bob", AuditAction.TAKEN, minutes=2)
    assert len(trail.page(wanted, 10)) == count


@pytest.mark.parametrize("field", ["actor", "action", "study_instance_uid"])
@pytest.mark.parametrize("text", ["' OR '1'='1", "ann'; DROP TABLE audit_trail; --", "%", "a\0nn"])
def test_sql_in_a_filter_is_only_text(trail: SqlAuditTrail, field: str, text: str) -> None:
    _note(trail)
    found = trail.page(AuditFilter(**{field: text}), 10)
    assert len(found) == (1 if (field, text) == ("actor", "a\0nn") else 0)
    assert len(trail.page(AuditFilter(), 10)) == 1


def test_lines_of_a_study_leave_out_the_others(trail: SqlAuditTrail) -> None:
    _note(trail)
    _note(trail, study="1.2.4")
    _note(trail, action=AuditAction.SIGNED_IN, study=None)
    assert [line.study_instance_uid for line in trail.of_study("1.2.3", 10)] == ["1.2.3"]


def test_names_of_actions_fit_their_column() -> None:
    assert max(len(action) for action in AuditAction) <= 32
