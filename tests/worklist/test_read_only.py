"""People's own queries: answers on both databases, and nothing that they could change."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from triage_node.worklist.read_only import QueryRefused, ask


@pytest.fixture
def url(engine: Engine) -> str:
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM processes"))
        for pid in (1, 2, 3):
            connection.execute(
                text(
                    "INSERT INTO processes (name, host, pid, started_at, last_seen_at, detail)"
                    " VALUES ('web', 'here', :pid, '2026-01-01', '2026-01-02', '{}')"
                ),
                {"pid": pid},
            )
    return engine.url.render_as_string(hide_password=False)


def test_a_select_is_answered(url: str) -> None:
    answer = ask(url, "SELECT pid, name FROM processes WHERE name LIKE 'w%' ORDER BY pid;", limit=2, timeout_s=30)
    assert answer.columns == ("pid", "name")
    assert answer.rows == ((1, "web"), (2, "web"))
    assert answer.more


def test_a_common_table_expression_and_a_view_are_answered(url: str) -> None:
    query = "WITH all_of_them AS (SELECT study_instance_uid FROM v_studies) SELECT count(*) AS n FROM all_of_them"
    assert ask(url, query, limit=10, timeout_s=30).rows == ((0,),)


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM processes",
        "UPDATE processes SET name = 'x'",
        "DROP TABLE processes",
        "CREATE TABLE mine (x INTEGER)",
        "SELECT 1; DELETE FROM processes",
        "SELECT 1 FROM processes; COMMIT; DELETE FROM processes",
        "PRAGMA query_only = OFF",
        "COMMIT",
        "",
        "-- nothing",
    ],
)
def test_whatever_is_no_single_select_is_refused_and_changes_nothing(url: str, engine: Engine, query: str) -> None:
    with pytest.raises(QueryRefused):
        ask(url, query, limit=10, timeout_s=30)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM processes WHERE name = 'web'")).scalar() == 3


def test_another_file_cannot_be_attached(sqlite_engine: Engine, tmp_path: Path) -> None:
    url = sqlite_engine.url.render_as_string()
    with pytest.raises(QueryRefused, match="only one SELECT"):
        ask(url, f"ATTACH '{tmp_path / 'other.db'}' AS other", limit=10, timeout_s=30)
    assert not (tmp_path / "other.db").exists()


def test_a_function_that_writes_is_refused_on_postgresql(postgresql_engine: Engine) -> None:
    url = postgresql_engine.url.render_as_string(hide_password=False)
    with pytest.raises(QueryRefused):
        ask(url, "WITH gone AS (DELETE FROM processes RETURNING *) SELECT * FROM gone", limit=10, timeout_s=30)


def test_a_query_without_end_is_ended(url: str) -> None:
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"
    with pytest.raises(QueryRefused, match=r"longer than 0\.2 s"):
        ask(url, endless, limit=10, timeout_s=0.2)


def test_a_wrong_column_is_told_in_the_databases_words(url: str) -> None:
    with pytest.raises(QueryRefused, match="no_such_column"):
        ask(url, "SELECT no_such_column FROM v_studies", limit=10, timeout_s=30)
