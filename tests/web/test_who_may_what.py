"""Every route, today's and tomorrow's: nobody unknown gets in, nobody gets further than the role goes, no change is forged."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta

import pytest
from fakes.office import NOW, Office
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from triage_node.core.access import Permission, Role, allows
from triage_node.core.audit import AuditAction, AuditFilter
from triage_node.web.protection import LONGEST_BODY_BYTES
from triage_node.web.visitors import required_of

OPEN = {"/health", "/health/live", "/health/ready", "/metrics", "/sign-in"}


def _permissions(dependant: Dependant) -> Iterator[Permission | None]:
    for each in dependant.dependencies:
        asked, permission = required_of(each.call) if each.call else (False, None)
        if asked:
            yield permission
        yield from _permissions(each)


def _leaves(routes: Iterable[object]) -> Iterator[APIRoute]:
    """FastAPI keeps what was included as routers within the application."""
    for route in routes:
        if isinstance(route, APIRoute):
            yield route
        elif (included := getattr(route, "original_router", None)) is not None:
            yield from _leaves(included.routes)


def _routes(office: Office) -> Iterator[tuple[str, str, list[Permission | None]]]:
    for route in _leaves(office.app.routes):
        if route.path not in OPEN:
            path = re.sub(r"{[^}]*}", "1", route.path)
            for method in sorted(route.methods):
                yield method, path, list(_permissions(route.dependant))


def test_every_route_but_the_open_ones_asks_who_it_is(office: Office) -> None:
    routes = list(_routes(office))
    assert len(routes) > 20
    assert [(method, path) for method, path, asked in routes if not asked] == []


def test_nobody_unknown_gets_in_anywhere(office: Office) -> None:
    for method, path, _ in _routes(office):
        answer = office.browser().request(method, path)
        led = answer.status_code == 303 and answer.headers["location"].startswith("/sign-in")
        assert led or answer.status_code == 401, (method, path, answer.status_code)


@pytest.mark.parametrize("role", [Role.VIEWER, Role.RADIOLOGIST])
def test_nobody_gets_further_than_the_role_goes(office: Office, role: Role) -> None:
    browser = office.signed_in({Role.VIEWER: "vera", Role.RADIOLOGIST: "rado"}[role])
    for method, path, asked in _routes(office):
        if any(each is not None and not allows(role, each) for each in asked):
            assert browser.request(method, path).status_code == 403, (method, path)


def test_change_without_the_token_of_its_own_session_is_refused(office: Office) -> None:
    browser, other = office.signed_in("ada"), office.signed_in("ada")
    foreign = re.search(r'name="csrf_token" value="([^"]+)"', other.page("/account"))
    assert foreign
    for method, path, _ in _routes(office):
        if method in ("GET", "HEAD"):
            continue
        for token in (None, "wrong", foreign[1]):
            answer = browser.request(method, path, data={"csrf_token": token} if token else {})
            assert answer.status_code == 403, (method, path, token)


@pytest.mark.parametrize("name", ["vera", "rado", "ada"])
def test_a_token_goes_as_far_as_the_role_of_its_user_and_needs_no_csrf_token(office: Office, name: str) -> None:
    role = office.users.named(name).role
    program = office.browser(headers={"Authorization": f"Bearer {office.tokens.make(name, 'a program', NOW, None)}"})
    of_api = [each for each in _routes(office) if each[1].startswith("/api/")]
    assert len(of_api) >= 20
    for method, path, asked in of_api:
        allowed = all(each is not None and allows(role, each) for each in asked)
        answer = program.request(method, path, json={} if method == "POST" else None)
        assert (answer.status_code != 403) == allowed, (method, path, answer.text)
        assert answer.status_code in (200, 403, 404, 422), (method, path, answer.text)


def test_a_token_changes_no_account_and_a_forged_one_opens_nothing(office: Office) -> None:
    token = office.tokens.make("ada", "a program", NOW, NOW + timedelta(days=1))
    program = office.browser(headers={"Authorization": f"Bearer {token}"})
    assert program.get("/api/v1/users").status_code == 200
    assert program.post("/account/tokens", data={"name": "another"}).status_code == 403
    for forged in (token[:-1], f"{token}x", "' OR 1=1 --", "null"):
        assert office.browser(headers={"Authorization": f"Bearer {forged}"}).get("/api/v1/users").status_code == 401
    office.clock.advance(2 * 86400)
    assert program.get("/api/v1/users").status_code == 401


def test_every_answer_carries_the_headers_that_protect(office: Office) -> None:
    browser = office.signed_in("ada")
    for path in ("/account", "/users", "/audit", "/nowhere", "/health", "/static/triage.css"):
        headers = browser.get(path).headers
        assert "default-src 'self'" in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == ("no-cache" if path.startswith("/static") else "no-store")


def test_failure_shows_nothing_of_the_inside(office: Office) -> None:
    @office.app.get("/broken")
    def broken() -> None:
        raise RuntimeError("a secret of the inside")

    answer = office.browser().get("/broken")
    assert answer.status_code == 500
    assert "number" in answer.text
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text
    assert "content-security-policy" in answer.headers


def test_endless_body_is_refused(office: Office) -> None:
    browser = office.signed_in("ada")
    assert browser.post("/users", content=b"x" * (LONGEST_BODY_BYTES + 1)).status_code == 413


def test_foreign_name_of_the_host_is_told_what_to_set(new_office: Callable[..., Office]) -> None:
    browser = new_office(known_hosts={"triage.example"}).browser()
    answer = browser.get("/sign-in", headers={"Host": "evil.example"})
    assert answer.status_code == 400
    assert "http_allowed_hosts" in answer.text
    assert browser.get("/health/live", headers={"Host": "evil.example"}).status_code == 200
    for host in ("triage.example", "TRIAGE.example:8080", "localhost:1", "10.0.0.7", "[::1]:8080"):
        assert browser.get("/sign-in", headers={"Host": host}).status_code == 200, host


def test_sql_and_markup_in_the_filters_of_the_trail_are_only_text(office: Office) -> None:
    browser = office.signed_in("ada")
    office.audit.note("<script>alert(1)</script>", AuditAction.SIGNED_IN, None, "", {}, NOW)
    for field in ("actor", "action", "study", "since", "until", "before"):
        for text in ("' OR 1=1 --", "<script>alert(1)</script>", "a\0b", "9" * 40):
            answer = browser.get("/audit", params={field: text})
            assert answer.status_code in (200, 400), (field, text)
            assert "<script>alert" not in answer.text


@pytest.mark.parametrize(
    "asked",
    [
        {"study": "1" * 65},
        {"study": "1.2\0"},
        {"study": "x"},
        {"since": "0001-01-01T00:00+14:00"},
        {"until": "9999-12-31T23:59-14:00"},
    ],
)
def test_filter_of_the_trail_that_no_database_can_answer_is_told(office: Office, asked: dict[str, str]) -> None:
    answer = office.signed_in("ada").get("/audit", params=asked)
    assert answer.status_code == 400
    assert ("digits and dots" if "study" in asked else "is written like") in answer.text
    assert [line.study_instance_uid for line in office.audit.page(AuditFilter(action="AUDIT_TRAIL_SHOWN"), 5)] == [None]


def test_page_of_the_api_leads_whoever_is_not_signed_in_to_the_sign_in(office: Office) -> None:
    answer = office.browser().get("/api", headers={"Accept": "text/html"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?next=/api")
    assert office.browser().get("/api/v1/studies", headers={"Accept": "text/html"}).status_code == 401


def test_users_page_does_what_an_administrator_asks(office: Office) -> None:
    browser = office.signed_in("ada")
    assert "shown only this once" in browser.submit("/users", "/users", name="Carl", role="VIEWER").text
    assert browser.submit("/users", "/users", name="<script>x</script>").status_code == 409
    assert "only administrator" in browser.submit("/users/disable", "/users", name="ada").text
    for action in ("disable", "enable", "unlock"):
        assert browser.submit(f"/users/{action}", "/users", name="carl").status_code == 303
    assert browser.submit("/users/role", "/users", name="carl", role="RADIOLOGIST").status_code == 303
    assert office.users.named("carl").role is Role.RADIOLOGIST
