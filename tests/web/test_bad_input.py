"""What must do no harm, wherever it comes in: markup in names, SQL in filters, on every page and every route that there is."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

import pytest
from fakes.office import Browser, Office
from fakes.studies import Studies
from fastapi.routing import APIRoute
from sqlalchemy import Engine, text

from triage_node.worklist.repository import SqlStudyRepository

SCRIPT = "<script>alert(1)</script>"
HOSTILE = f"{SCRIPT}\"'><img src=x onerror=alert(1)>"
SQL = (
    "' OR 1=1 --",
    "1; DROP TABLE studies",
    "%' UNION SELECT password_hash FROM users --",
    "\\'; --",
    "a\0b",
    "9" * 40,
)
PAGE_PARAMETERS = {
    "/": ("q", "flagged", "reading", "state", "priority", "reason", "days", "from", "until", "after"),
    "/worklist/events": (),  # it never ends; test_worklist_page holds its queries, which are those of the page
}
INSIDE = re.compile(r"Traceback|sqlalchemy|sqlite3|OperationalError|syntax error|\$argon2")


@pytest.fixture
def studies(sqlite_engine: Engine) -> Studies:
    return Studies(SqlStudyRepository(sqlite_engine))


@pytest.fixture
def hostile(studies: Studies) -> str:
    """A study whose every text tries to be markup; returns its UID."""
    uid = studies.arrive(
        patient_name=HOSTILE,
        patient_id=SCRIPT,
        accession_number="\"><b>x'",
        study_description=HOSTILE,
        series_description=HOSTILE,
        station_name="<b>CT",
    )
    studies.forward(uid, 0.9)
    return uid


@pytest.fixture
def administrator(office: Office) -> Browser:
    office.clock.at = datetime.now(UTC)
    return office.signed_in("ada")


def _leaves(routes: Iterable[object]) -> Iterator[APIRoute]:
    for route in routes:
        if isinstance(route, APIRoute):
            yield route
        elif (included := getattr(route, "original_router", None)) is not None:
            yield from _leaves(included.routes)


def _readable(office: Office, uid: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Every address that can be read, of this study where it names one, with the parameters that it takes."""
    for route in _leaves(office.app.routes):
        if "GET" in route.methods and route.path != "/worklist/events":
            path = route.path.replace("{study_instance_uid}", uid)
            known = PAGE_PARAMETERS.get(route.path, ())
            own = tuple(each.alias for each in route.dependant.query_params)
            yield re.sub(r"{[^}]*}", "1", path), (*known, *own)


def test_markup_in_a_name_is_text_on_every_page_and_in_every_answer(
    office: Office, administrator: Browser, hostile: str
) -> None:
    shown = []
    for path, _ in _readable(office, hostile):
        answer = administrator.get(path, headers={"Accept": "text/html"})
        kind = answer.headers.get("content-type", "")
        assert answer.headers["x-content-type-options"] == "nosniff", path
        if "html" in kind or "svg" in kind:
            assert SCRIPT not in answer.text, path
            assert "<img src=x" not in answer.text, path
            assert "<b>x" not in answer.text, path
            if html.escape(SCRIPT) in answer.text:
                shown.append(path)
        elif SCRIPT in json.dumps(answer.text):
            assert kind.split(";")[0] in ("application/json", "text/csv", "text/plain"), (path, kind)
    assert {"/", f"/studies/{hostile}"} <= set(shown), "the name is shown, as text"
    title = re.search(r"<title>(.*?)</title>", administrator.page(f"/studies/{hostile}"), re.DOTALL)
    assert title
    assert html.escape(SCRIPT) in title[1]


def test_markup_in_a_name_is_one_cell_of_the_export(administrator: Browser, hostile: str) -> None:
    answer = administrator.get("/api/v1/export/studies.csv")
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["content-disposition"].startswith("attachment")
    assert '"' + HOSTILE.replace('"', '""') + '"' in answer.text


def test_sql_in_every_filter_of_every_route_is_only_text(
    office: Office, administrator: Browser, hostile: str, sqlite_engine: Engine
) -> None:
    tried = 0
    for path, parameters in _readable(office, hostile):
        for name in dict.fromkeys(parameters):
            for given in SQL:
                answer = administrator.get(path, params={name: given})
                assert answer.status_code < 500, (path, name, given)
                assert not INSIDE.search(answer.text), (path, name, given)
                tried += 1
    assert tried > 200
    with sqlite_engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM studies")) == 1
        assert connection.scalar(text("SELECT count(*) FROM users")) == 3


def test_sql_in_what_is_typed_at_the_sign_in_signs_nobody_in(office: Office) -> None:
    for given in SQL:
        for name, password in ((given, "x"), ("ada", given), (f"ada{given}", "x")):
            browser = office.browser()
            answer = browser.sign_in(name, password)
            assert answer.status_code in (401, 429), (name, password)
            assert not INSIDE.search(answer.text)
            assert "triage_session" not in browser.cookies
        office.clock.advance(3600)


@pytest.mark.parametrize(
    "cookie", ["", "x", "A" * 43, "' OR 1=1 --", "../../etc/passwd", "a" * 5000, "%00", "é", "=;=", "{}"]
)
def test_forged_session_sees_nothing_anywhere(office: Office, hostile: str, cookie: str) -> None:
    office.signed_in("ada")
    browser = office.browser(headers={"Cookie": f"triage_session={cookie}".encode()})
    for path in ("/", f"/studies/{hostile}", "/users", "/audit", "/account", "/worklist/events"):
        answer = browser.get(path)
        assert (answer.status_code, answer.headers["location"].split("?")[0]) == (303, "/sign-in"), path
    assert browser.get("/api/v1/studies").status_code == 401
