"""A real browser before the real application: uvicorn on loopback, a migrated SQLite database, Debian's Chromium.

A test that leaves an error on the browser's console, a violation of the content security policy among them, fails.
Screenshots go to the folder that the variable ``SCREENSHOTS`` names, else below pytest's own.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fakes.studies import Studies
from fakes.web_server import LIMIT_S, WebServer
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from triage_node.core.access import Role
from triage_node.settings import Settings
from triage_node.web.visitors import SESSION_COOKIE
from triage_node.wiring.web_process import web_parts
from triage_node.worklist.account_tables import UserRow, WebSessionRow
from triage_node.worklist.repository import SqlStudyRepository

CHROMIUM = shutil.which("chromium")
CHROMIUM_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.debian)
            if CHROMIUM is None:
                item.add_marker(pytest.mark.skip(reason="needs Debian's chromium"))


@pytest.fixture
def settings(tmp_path: Path, sqlite_engine: Engine) -> Settings:
    """Settings on the test's own database and folder."""
    url = sqlite_engine.url.render_as_string(hide_password=False)
    return Settings(data_dir=tmp_path / "node", database_url=url, http_host="127.0.0.1")


@pytest.fixture
def server(settings: Settings) -> Iterator[WebServer]:
    """The real application, serving."""
    settings.data_dir.mkdir(exist_ok=True)
    served = WebServer(lambda: web_parts(settings))
    served.start()
    yield served
    served.stop()


@pytest.fixture
def studies(sqlite_engine: Engine) -> Studies:
    """Makes studies in the same database."""
    return Studies(SqlStudyRepository(sqlite_engine))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium; ended with each module, because its event loop bars others from this thread."""
    assert CHROMIUM is not None
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=list(CHROMIUM_ARGUMENTS))
        yield chromium
        chromium.close()


@pytest.fixture
def expected_console() -> list[str]:
    """Patterns of console errors that the test brings about on purpose; add to it."""
    return []


@pytest.fixture
def context(browser: Browser, server: WebServer, expected_console: list[str]) -> Iterator[BrowserContext]:
    """One browser window's worth of state."""
    made = browser.new_context(base_url=server.url, viewport={"width": 1440, "height": 900}, color_scheme="dark")
    made.set_default_timeout(LIMIT_S * 1000)
    errors: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type == "error":
            errors.append(message.text)

    made.on("console", note)
    made.on("weberror", lambda error: errors.append(str(error.error)))
    yield made
    made.close()
    unexpected = [each for each in errors if not any(re.search(pattern, each) for pattern in expected_console)]
    assert unexpected == []


@pytest.fixture
def page(context: BrowserContext) -> Page:
    """One tab, nobody signed in."""
    return context.new_page()


@pytest.fixture
def sign_in(context: BrowserContext, sqlite_engine: Engine, server: WebServer) -> Callable[..., str]:
    """Sign somebody in without the sign-in page: ``sign_in(Role.RADIOLOGIST, "house")``; returns the session's token."""

    def signed_in(role: Role = Role.RADIOLOGIST, name: str = "") -> str:
        token, now = secrets.token_urlsafe(32), datetime.now(UTC)
        with Session(sqlite_engine) as session, session.begin():
            user = session.query(UserRow).filter_by(name=name or role.lower()).one_or_none() or UserRow(
                name=name or role.lower(),
                role=role,
                must_change_password=False,
                disabled=False,
                failed_sign_ins=0,
                created_at=now,
            )
            session.add(user)
            session.flush()
            row = WebSessionRow(
                token_sha256=hashlib.sha256(token.encode()).hexdigest(),
                user_id=user.id,
                csrf_token=secrets.token_urlsafe(32),
                address="127.0.0.1",
                created_at=now,
                seen_at=now,
                expires_at=now + timedelta(hours=8),
            )
            session.add(row)
        context.add_cookies([{"name": SESSION_COOKIE, "value": token, "url": server.url}])
        return token

    return signed_in


@pytest.fixture
def screenshot(tmp_path: Path) -> Callable[[Page, str], Path]:
    """Keep a picture of a page: ``screenshot(page, "worklist-dark")``; the variable SCREENSHOTS names the folder."""
    folder = Path(os.environ.get("SCREENSHOTS") or tmp_path / "screenshots")
    folder.mkdir(parents=True, exist_ok=True)

    def keep(page: Page, name: str) -> Path:
        path = folder / f"{name}.png"
        page.screenshot(path=path, animations="disabled")  # colours of a theme that was just changed fade
        return path

    return keep
