"""Signing in, one's own account, users and the audit trail in a real browser: in both themes, on a monitor and on a phone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect
from sqlalchemy import Engine

from triage_node.core.access import Role
from triage_node.core.audit import AuditAction
from triage_node.worklist.audit import SqlAuditTrail
from triage_node.worklist.password_hashing import PasswordHashing
from triage_node.worklist.users import SqlUsers

PASSWORD = "the scanner hums at night"
OWN = "a sentence that nobody else knows"
HOSTILE = "<script>document.title='stolen'</script>"
Screenshot = Callable[[Page, str], Path]
SignIn = Callable[..., str]


@pytest.fixture
def users(sqlite_engine: Engine) -> SqlUsers:
    return SqlUsers(sqlite_engine, PasswordHashing())


@pytest.fixture
def ada(users: SqlUsers) -> str:
    """An administrator whose password somebody else has chosen."""
    return users.add("ada", Role.ADMINISTRATOR, PASSWORD, datetime.now(UTC)).name


def sign_in_by_form(page: Page, name: str, password: str) -> None:
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("main").get_by_role("button", name="Sign in").click()


def test_first_sign_in_leads_over_the_own_password_to_what_was_wanted(
    page: Page, ada: str, expected_console: list[str], screenshot: Screenshot
) -> None:
    expected_console.append("40[01]")
    page.goto("/audit")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    expect(page.get_by_label("Name")).to_be_focused()
    sign_in_by_form(page, ada, "not the password")
    expect(page.get_by_role("alert")).to_contain_text("Name or password are wrong")
    sign_in_by_form(page, ada, PASSWORD)
    expect(page.get_by_text("Choose your own before you go on.")).to_be_visible()
    page.goto("/users")
    expect(page).to_have_url("/account/password")
    page.get_by_label("Password until now").fill(PASSWORD)
    page.get_by_label("New password", exact=True).fill(OWN)
    page.get_by_label("New password again").fill(OWN + "!")
    page.get_by_role("button", name="Change it").click()
    expect(page.get_by_role("alert")).to_contain_text("not typed twice alike")
    screenshot(page, "password-refused")
    page.get_by_label("Password until now").fill(PASSWORD)
    page.get_by_label("New password", exact=True).fill(OWN)
    page.get_by_label("New password again").fill(OWN)
    page.get_by_role("button", name="Change it").click()
    expect(page.get_by_role("heading", name="Worklist")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.go_back()
    page.reload()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_locked_account_is_told_in_words_and_unlocked_by_an_administrator(
    page: Page, users: SqlUsers, sign_in: SignIn, expected_console: list[str], server: Any
) -> None:
    expected_console.append("401")
    users.add("rado", Role.RADIOLOGIST, PASSWORD, datetime.now(UTC), must_change_password=False)
    page.goto("/sign-in")
    for _ in range(5):
        sign_in_by_form(page, "rado", "wrong and wrong again")
        expect(page.get_by_role("alert")).to_be_visible()
    sign_in_by_form(page, "rado", PASSWORD)
    expect(page.get_by_role("alert")).to_contain_text("locked after too many attempts")
    sign_in(Role.ADMINISTRATOR, "ada")
    page.goto("/users")
    row = page.get_by_role("row", name="rado")
    expect(row).to_contain_text("locked")
    row.get_by_role("button", name="Unlock rado").click()
    expect(row).to_contain_text("may sign in")
    page.get_by_role("button", name="Sign out").click()
    sign_in_by_form(page, "rado", PASSWORD)
    expect(page.get_by_role("heading", name="Worklist")).to_be_visible()


def test_administrator_adds_changes_and_shuts_out_a_user(
    page: Page, sign_in: SignIn, expected_console: list[str]
) -> None:
    expected_console.append("409")
    sign_in(Role.ADMINISTRATOR, "ada")
    page.goto("/users")
    page.get_by_label("Name").fill("Carl")
    page.get_by_label("Role", exact=True).select_option("viewer")
    page.get_by_role("button", name="Add").click()
    made = page.get_by_role("status").filter(has_text="shown only this once")
    assert len(made.locator("code").inner_text()) > 20
    page.reload()
    page.goto("/users")
    expect(page.get_by_text("shown only this once")).to_have_count(0)
    carl = page.get_by_role("row", name="carl")
    carl.get_by_label("Role of carl").select_option("radiologist")
    carl.get_by_role("button", name="Set role of carl").click()
    expect(carl.get_by_label("Role of carl")).to_have_value("RADIOLOGIST")
    carl.get_by_role("button", name="Disable carl").click()
    expect(carl).to_contain_text("disabled")
    page.get_by_role("button", name="Disable ada").click()
    expect(page.get_by_role("alert")).to_contain_text("only administrator")


def test_token_is_shown_once_and_lets_a_program_in_until_it_is_revoked(
    page: Page, sign_in: SignIn, server: Any, expected_console: list[str]
) -> None:
    expected_console.append("40[01]")
    sign_in(Role.VIEWER, "vera")
    page.goto("/account")
    page.get_by_label("What the token is for").fill("dashboard")
    page.get_by_label("Ends after days (nothing: never)").fill("30")
    page.get_by_role("button", name="Make a token").click()
    token = page.get_by_role("status").locator("code").first.inner_text()
    plain = page.context.browser.new_context() if page.context.browser else page.context
    asked = {"Authorization": f"Bearer {token}"}
    assert plain.request.get(f"{server.url}/api/v1/studies", headers=asked).status == 200
    page.goto("/account")
    expect(page.get_by_text(token)).to_have_count(0)
    page.get_by_role("button", name="Revoke dashboard").click()
    expect(page.get_by_role("cell", name="none")).to_be_visible()
    assert plain.request.get(f"{server.url}/api/v1/studies", headers=asked).status == 401
    plain.close()


def test_trail_is_filtered_and_shows_what_others_wrote_as_text(
    page: Page, sign_in: SignIn, sqlite_engine: Engine
) -> None:
    trail, now = SqlAuditTrail(sqlite_engine), datetime.now(UTC)
    trail.note(HOSTILE, AuditAction.EXPORTED, None, HOSTILE, {HOSTILE: HOSTILE}, now)
    trail.note("house", AuditAction.STUDY_SHOWN, "1.2.3", "10.0.0.9", {"images": True, "series": None}, now)
    sign_in(Role.ADMINISTRATOR, "ada")
    page.goto("/audit")
    expect(page.get_by_role("row").filter(has_text="exported")).to_contain_text(HOSTILE)
    assert "stolen" not in page.title()
    page.get_by_label("What").select_option("study shown")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("row").filter(has_text="house")).to_contain_text("images: yes")
    expect(page.get_by_role("row").filter(has_text="exported")).to_have_count(0)


@pytest.mark.parametrize("role", [Role.VIEWER, Role.RADIOLOGIST])
def test_whoever_is_no_administrator_is_told_so_on_a_page(
    page: Page, sign_in: SignIn, role: Role, expected_console: list[str]
) -> None:
    expected_console.append("403")
    sign_in(role)
    for path in ("/users", "/audit"):
        page.goto(path)
        expect(page.get_by_role("heading", name="Not allowed")).to_be_visible()
        expect(page.get_by_role("navigation").get_by_role("link", name="Users")).to_have_count(0)


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("width", [390, 1440])
def test_axe_finds_nothing_serious(
    page: Page,
    sign_in: SignIn,
    users: SqlUsers,
    ada: str,
    sqlite_engine: Engine,
    theme: str,
    width: int,
    screenshot: Screenshot,
    expected_console: list[str],
) -> None:
    expected_console.append("40[14]")
    page.emulate_media(color_scheme="light" if theme == "light" else "dark")
    page.set_viewport_size({"width": width, "height": 900})
    page.goto("/sign-in")
    sign_in_by_form(page, "nobody", "wrong")
    expect(page.get_by_role("alert")).to_be_visible()
    sound(page, width)
    screenshot(page, f"sign-in-{theme}-{width}")
    users.add("rado", Role.RADIOLOGIST, PASSWORD, datetime.now(UTC), must_change_password=False)
    users.disable("rado")
    trail = SqlAuditTrail(sqlite_engine)
    for each in (AuditAction.STUDY_SHOWN, AuditAction.ACCESS_REFUSED):
        trail.note(
            "house", each, "1.2.840.113619.2.55.3.604688119.971.1267", "10.0.0.9", {"images": True}, datetime.now(UTC)
        )
    sign_in(Role.ADMINISTRATOR, "the.administrator")
    for path in ("/account", "/account/password", "/users", "/audit", "/health", "/nowhere"):
        page.goto(path)
        screenshot(page, f"{path.strip('/').replace('/', '-')}-{theme}-{width}")
        sound(page, width)


def sound(page: Page, width: int) -> None:
    """Hold a page to what axe says of it, and to its width."""
    found = Axe().run(page).response["violations"]
    assert [(each["id"], each["nodes"][0]["html"]) for each in found if each["impact"] in ("serious", "critical")] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width, page.url
