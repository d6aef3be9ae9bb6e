"""The application with real accounts on SQLite."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from fakes.office import NOW, PASSWORD, Office, make_office
from sqlalchemy import Engine

from triage_node.core.access import Role
from triage_node.web import sign_in


@pytest.fixture
def new_office(sqlite_engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Office]:
    """Make the application, without users; refusals are not put off."""
    monkeypatch.setattr(sign_in, "REFUSAL_TAKES_S", 0.0)
    return partial(make_office, sqlite_engine, tmp_path)


@pytest.fixture
def office(new_office: Callable[..., Office]) -> Office:
    """The application with one user of each role."""
    made = new_office()
    for name, role in (("vera", Role.VIEWER), ("rado", Role.RADIOLOGIST), ("ada", Role.ADMINISTRATOR)):
        made.users.add(name, role, PASSWORD, NOW, must_change_password=False)
    return made
