"""The worklist page as HTML: rows that are kept, and the audit trail that comes before what anybody sees."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fakes.studies import Studies
from fakes.web import web_parts
from fastapi.testclient import TestClient
from sqlalchemy import Engine

from triage_node.core.audit import AuditAction, AuditFilter
from triage_node.core.errors import Transient
from triage_node.core.ports import WorklistRow
from triage_node.core.worklist_order import WorklistFilter
from triage_node.web.app import make_app
from triage_node.web.pages import fragment
from triage_node.web.worklist_rows import row_html
from triage_node.worklist.audit import SqlAuditTrail
from triage_node.worklist.reader_tasks import SqlReaderTasks
from triage_node.worklist.repository import SqlStudyRepository
from triage_node.worklist.worklist_page import SqlWorklist


class FullDisk(SqlAuditTrail):
    """An audit trail that cannot be written."""

    def note(
        self,
        actor: str,
        action: AuditAction,
        study_instance_uid: str | None,
        address: str,
        detail: Mapping[str, Any],
        at: datetime,
    ) -> None:
        raise Transient("no room")


@pytest.fixture
def studies(sqlite_engine: Engine) -> Studies:
    return Studies(SqlStudyRepository(sqlite_engine))


def browser(engine: Engine, folder: Path, **changes: Any) -> TestClient:
    app = make_app(web_parts(engine, folder, **changes))
    return TestClient(app, cookies={"triage_session": "radiologist"}, raise_server_exceptions=False)


def the_row(engine: Engine) -> WorklistRow:
    (row,) = SqlWorklist(engine).page(WorklistFilter(), limit=5).rows
    return row


def test_row_that_is_kept_is_what_its_template_makes(sqlite_engine: Engine, studies: Studies) -> None:
    studies.forward(studies.arrive(patient_name="<b>Doe</b>^Jane"))
    row, now = the_row(sqlite_engine), datetime.now(UTC)
    assert row_html(row, now) == fragment("worklist_row.html", row=row, now=now)
    assert row_html(row, now) is row_html(the_row(sqlite_engine), now)
    assert "<b>" not in row_html(row, now)


def test_row_looks_anew_with_every_change_of_the_study_and_of_the_wait(sqlite_engine: Engine, studies: Studies) -> None:
    tasks, now = SqlReaderTasks(sqlite_engine), datetime.now(UTC) + timedelta(minutes=5)
    uid = studies.arrive()
    seen = {str(row_html(the_row(sqlite_engine), now))}
    steps = (
        lambda: studies.evidence(uid),
        lambda: studies.deliver(uid),
        lambda: tasks.acknowledge(uid, "ann", now),
        lambda: tasks.take(uid, "ben", now),
        lambda: tasks.complete(uid, "ben", now),
    )
    for number, step in enumerate(steps, 2):
        step()
        row = the_row(sqlite_engine)
        seen.add(str(row_html(row, now)))
        assert len(seen) == number
        assert row_html(row, now) == fragment("worklist_row.html", row=row, now=now)
    other = studies.arrive()
    row = next(
        each for each in SqlWorklist(sqlite_engine).page(WorklistFilter(), limit=5).rows if other in str(each.entry)
    )
    assert row_html(row, now) != row_html(row, now + timedelta(minutes=1))
    moved = replace(row, place=replace(row.place, urgency=0))
    assert row_html(moved, now) != row_html(row, now)


def test_page_is_in_the_audit_trail_when_it_is_seen(sqlite_engine: Engine, tmp_path: Path, studies: Studies) -> None:
    studies.arrive()
    answer = browser(sqlite_engine, tmp_path).get("/?flagged=yes&days=all")
    assert answer.status_code == 200
    (line,) = SqlAuditTrail(sqlite_engine).page(AuditFilter(), 5)
    assert (line.actor, line.action, line.detail) == ("radiologist", "WORKLIST_SHOWN", {"view": "flagged=yes&days=all"})


def test_nobody_is_shown_what_could_not_be_noted(sqlite_engine: Engine, tmp_path: Path, studies: Studies) -> None:
    studies.arrive(patient_name="Doe^Jane")
    answer = browser(sqlite_engine, tmp_path, audit=FullDisk(sqlite_engine)).get("/")
    assert answer.status_code == 503
    assert "Doe" not in answer.text


def test_counts_have_an_end_and_say_so(
    sqlite_engine: Engine, tmp_path: Path, studies: Studies, monkeypatch: pytest.MonkeyPatch
) -> None:
    from triage_node.web import worklist_page

    for _ in range(3):
        studies.forward(studies.arrive())
    monkeypatch.setattr(worklist_page, "COUNTED_AT_MOST", 3)
    told = browser(sqlite_engine, tmp_path).get("/?days=all").text
    assert re.search(r"<strong>(3 or more)</strong> flagged, not acknowledged", told)
