"""The path with the real repository and small fakes at its ends."""

from __future__ import annotations

import pytest
from fakes.site import Site
from sqlalchemy import Engine

from triage_node.worklist.repository import SqlStudyRepository


@pytest.fixture
def site(sqlite_engine: Engine) -> Site:
    return Site(SqlStudyRepository(sqlite_engine))
