"""The address of the worklist page: what it means, what is left out and named, and that links say the same again."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triage_node.core.reason import Reason
from triage_node.core.study_state import Priority, State
from triage_node.core.worklist_order import Place, ReadingFilter
from triage_node.web.worklist_query import WorklistQuery, read_query

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
USUAL = 3


def asked(query: str) -> WorklistQuery:
    return read_query(dict(parse_qsl(query, keep_blank_values=True)), USUAL)


def test_empty_address_is_the_usual_view() -> None:
    query = asked("")
    assert query == WorklistQuery(days=USUAL)
    assert not query.is_narrowed
    assert query.to_query(USUAL) == ""
    assert query.filter(NOW, "ann").received_from == NOW - timedelta(days=USUAL)


@pytest.mark.parametrize(
    ("query", "meant"),
    [
        ("q=+Doe++Jane+", {"text": "Doe  Jane"}),
        ("q=%00", {"text": "\0"}),
        ("flagged=yes", {"flagged": True}),
        ("flagged=no", {"flagged": False}),
        ("flagged=true", {"flagged": False}),
        ("state=FAILED", {"state": State.FAILED}),
        ("priority=STAT", {"priority": Priority.STAT}),
        ("reason=CONTRAST", {"reason": Reason.CONTRAST}),
        ("reading=MINE", {"reading": ReadingFilter.MINE}),
        ("days=all", {"days": None}),
        ("days=30", {"days": 30}),
        ("days=", {"days": USUAL}),
        ("from=2026-02-01", {"received_on_or_after": date(2026, 2, 1)}),
        ("until=2026-02-28", {"received_on_or_before": date(2026, 2, 28)}),
        ("after=0.0.1772438400000000.7", {"after": Place.parse("0.0.1772438400000000.7")}),
        ("state=&priority=&reason=&reading=&from=&until=&after=", {}),
        ("something=else", {}),
    ],
)
def test_values_are_read(query: str, meant: dict[str, Any]) -> None:
    found = asked(query)
    assert {name: getattr(found, name) for name in meant} == meant
    assert found.ignored == ()


@pytest.mark.parametrize(
    "value",
    [
        "state=failed",
        "state=' OR 1=1 --",
        "priority=HIGHEST",
        "reason=SECRET",
        "reading=YOURS",
        "days=0",
        "days=-1",
        "days=36501",
        "days=1.5",
        "days=000000001999999999",
        "days=٣",
        f"days={'9' * 5000}",
        "from=01.02.2026",
        "from=1899-12-31",
        "until=3000-01-01",
        "until=2026-02-30",
        "after=x",
        f"after=0.0.{'9' * 4000}.1",
    ],
)
def test_value_that_means_nothing_is_left_out_and_named(value: str) -> None:
    query = read_query(dict([value.split("=", 1)]), USUAL)
    assert query.ignored == (value.split("=", 1)[0],)
    assert query == WorklistQuery(days=USUAL)


def test_long_text_is_cut() -> None:
    assert len(asked(f"q={'a' * 5000}").text) == 200


def test_days_of_the_calendar_are_whole_days_of_the_node() -> None:
    wanted = asked("from=2026-02-01&until=2026-02-01&days=1").filter(NOW, "")
    assert wanted.received_from is not None
    assert wanted.received_before is not None
    first, end = (each.astimezone() for each in (wanted.received_from, wanted.received_before))
    assert (first.date(), first.hour, first.minute) == (date(2026, 2, 1), 0, 0)
    assert (end.date(), end.hour, end.minute) == (date(2026, 2, 2), 0, 0)


def test_who_asks_counts_only_for_what_is_read_by_oneself() -> None:
    assert asked("reading=MINE").filter(NOW, "ann").performer == "ann"
    assert asked("reading=READ").filter(NOW, "ann").performer == ""


def test_narrowing_is_undone_without_leaving_the_span_of_time() -> None:
    query = asked("q=doe&flagged=yes&state=FAILED&from=2026-02-01&until=2026-02-03&after=0.0.5.5&days=7")
    assert query.is_narrowed
    wider = query.without_narrowing()
    assert not wider.is_narrowed
    assert wider.to_query(USUAL) == "days=7&from=2026-02-01&until=2026-02-03"
    assert wider.after is None


def test_link_changes_only_what_it_is_asked_to() -> None:
    query = asked("q=doe&days=all")
    assert dict(parse_qsl(query.to_query(USUAL, flagged=True))) == {"q": "doe", "days": "all", "flagged": "yes"}
    assert query.to_query(USUAL, days=USUAL) == "q=doe"


@given(
    st.builds(
        WorklistQuery,
        days=st.none() | st.integers(1, 36500),
        text=st.text(max_size=60).map(str.strip),
        flagged=st.booleans(),
        state=st.none() | st.sampled_from(State),
        priority=st.none() | st.sampled_from(Priority),
        reason=st.none() | st.sampled_from(Reason),
        reading=st.none() | st.sampled_from(ReadingFilter),
        received_on_or_after=st.none() | st.dates(date(1900, 1, 1), date(2999, 12, 31)),
        received_on_or_before=st.none() | st.dates(date(1900, 1, 1), date(2999, 12, 31)),
    )
)
def test_every_view_is_found_again_by_its_address(query: WorklistQuery) -> None:
    text = query.text.encode("utf-8", "replace").decode()
    assert asked(replace(query, text=text).to_query(USUAL)) == replace(query, text=text)
