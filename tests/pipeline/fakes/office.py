"""The application with real accounts on SQLite, seen through browsers that keep cookies."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx import Response
from sqlalchemy import Engine

from fakes.ports import SteppedClock
from fakes.web import web_parts
from triage_node.core.accounts import LockoutRules, SessionRules
from triage_node.core.audit import AuditFilter
from triage_node.web.app import make_app
from triage_node.web.attempt_limit import AttemptLimit
from triage_node.web.parts import AccountParts
from triage_node.worklist.accounts import SqlAccounts
from triage_node.worklist.api_tokens import SqlApiTokens
from triage_node.worklist.audit import SqlAuditTrail
from triage_node.worklist.password_hashing import PasswordHashing
from triage_node.worklist.users import SqlUsers

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
PASSWORD = "a long enough sentence"
QUICK = PasswordHashing(memory_kib=64, passes=1)


class Browser(TestClient):
    """A browser: it keeps cookies, follows nothing by itself, and sends the CSRF token of the last page it saw."""

    def page(self, path: str, status_code: int = 200) -> str:
        answer = self.get(path)
        assert answer.status_code == status_code, answer.text
        return answer.text

    def submit(self, path: str, page: str | None = None, **fields: str) -> Response:
        """Send a form as it stands on a page (the account's, where none is named)."""
        shown = self.get(page or "/account").text
        token = re.search(r'name="csrf_token" value="([^"]+)"', shown)
        assert token, "no form on this page"
        return self.post(path, data={"csrf_token": token[1], **fields})

    def sign_in(self, name: str, password: str = PASSWORD, wanted: str = "/") -> Response:
        form = re.search(r'name="form_token" value="([^"]+)"', self.get("/sign-in").text)
        assert form
        data = {"form_token": form[1], "name": name, "password": password, "next": wanted}
        return self.post("/sign-in", data=data)


@dataclass
class Office:
    """The application and the accounts behind it."""

    app: FastAPI
    clock: SteppedClock
    users: SqlUsers
    tokens: SqlApiTokens
    accounts: SqlAccounts
    audit: SqlAuditTrail

    def browser(self, **values: Any) -> Browser:
        return Browser(self.app, **{"raise_server_exceptions": False, "follow_redirects": False} | values)

    def signed_in(self, name: str) -> Browser:
        browser = self.browser()
        answer = browser.sign_in(name)
        assert answer.status_code == 303, answer.text
        return browser

    def actions(self) -> list[tuple[str, str]]:
        """Return who did what, the latest last."""
        return [(line.actor, line.action) for line in reversed(self.audit.page(AuditFilter(), 1000))]


def make_office(engine: Engine, folder: Path, *, attempts: int = 30, provider: Any = None, **changes: Any) -> Office:
    """Build the application on a database; accounts are locked for ten minutes after three failures."""
    clock = SteppedClock(NOW)
    rules = SessionRules(timedelta(hours=1), timedelta(hours=3))
    accounts = SqlAccounts(engine, rules, LockoutRules(3, timedelta(minutes=10)), QUICK)
    users, tokens, audit = SqlUsers(engine, QUICK), SqlApiTokens(engine), SqlAuditTrail(engine)
    limit = AttemptLimit(attempts, timedelta(minutes=5))
    given = {
        "clock": clock,
        "visitors": accounts,
        "audit": audit,
        "accounts": AccountParts(accounts, users, tokens, limit, provider),
    }
    app = make_app(web_parts(engine, folder, **(given | changes)))
    return Office(app, clock, users, tokens, accounts, audit)
