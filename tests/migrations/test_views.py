"""The views for people's own queries: the columns that are documented, on both databases, with what the tables hold."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from sqlalchemy import Engine, inspect, text

from triage_node.worklist.views import VIEWS

PAGE = (Path(__file__).parents[2] / "docs" / "DATABASE.md").read_text(encoding="utf-8")


def test_every_view_of_the_database_is_described(engine: Engine) -> None:
    assert set(inspect(engine).get_view_names()) == set(VIEWS)


@pytest.mark.parametrize("name", VIEWS)
def test_columns_are_the_described_ones_in_their_order(engine: Engine, name: str) -> None:
    with engine.connect() as connection:
        assert list(connection.execute(text(f"SELECT * FROM {name}")).keys()) == list(VIEWS[name].columns)


@pytest.mark.parametrize("name", VIEWS)
def test_page_gives_every_column_its_meaning(name: str) -> None:
    section = PAGE.split(f"\n## {name}\n")[1].split("\n## ")[0]
    assert VIEWS[name].row in section
    assert dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", section, flags=re.MULTILINE)) == dict(VIEWS[name].columns)


def test_page_names_no_other_view() -> None:
    assert re.findall(r"^## (v_\w+)$", PAGE, flags=re.MULTILINE) == list(VIEWS)
