"""The page of statistics: true to the figures, for those who may see them, whatever stands in names and addresses."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from fakes.ports import SteppedClock
from fakes.web import web_parts
from fakes.weeks import HOSTILE, STOPPED, fill_weeks
from fastapi.testclient import TestClient
from sqlalchemy import Engine

from triage_node.core.ports import Window
from triage_node.core.proportion import share_text
from triage_node.core.reader_agreement import FEEDBACK_CAVEAT
from triage_node.core.scanner_silence import SILENCE_RULE
from triage_node.web.app import make_app
from triage_node.web.pictures import Places, Scale, count_scale, duration_scale, share_scale
from triage_node.web.statistics_page import NoPeriod, Period, read_period
from triage_node.web.statistics_pictures import volume_spans
from triage_node.worklist.statistics import SqlStatistics

NOW = datetime(2026, 3, 2, 18, 0, tzinfo=UTC)
WEEKS = Window(datetime(2026, 2, 3, tzinfo=UTC), datetime(2026, 3, 3, tzinfo=UTC))
HOSTILE_VALUES = (
    "' OR 1=1 --",
    "<script>alert(1)</script>",
    "a\0b",
    "9" * 500,
    "2026-02-30",
    "0001-01-01",
    "9999-12-31",
)


@pytest.fixture
def client(sqlite_engine: Engine, tmp_path: Path) -> TestClient:
    parts = web_parts(sqlite_engine, tmp_path, clock=SteppedClock(NOW))
    return TestClient(make_app(parts), headers={"Authorization": "Bearer viewer"}, raise_server_exceptions=False)


@pytest.fixture
def weeks(sqlite_engine: Engine) -> int:
    """Four weeks of a hospital."""
    return fill_weeks(sqlite_engine, NOW)


def _shown(client: TestClient, status_code: int = 200, **asked: str) -> str:
    answer = client.get("/statistics", params=asked)
    assert answer.status_code == status_code, answer.text
    return answer.text


def test_page_shows_the_figures_that_programs_get(client: TestClient, sqlite_engine: Engine, weeks: int) -> None:
    found = SqlStatistics(sqlite_engine).statistics(WEEKS)
    page = _shown(client)
    assert found["volume"]["studies"] == weeks
    assert f"<dd>{weeks}</dd>" in page
    assert share_text(found["volume"]["flagged_share"]) in page
    ich = found["agreement"]["findings"][0]
    assert share_text(ich["sensitivity"]) in page
    assert share_text(ich["positive_predictive_value"]) in page
    acknowledged = found["acknowledgement"]
    assert f"{acknowledged['acknowledged']} of {acknowledged['flagged']} flagged studies were acknowledged" in page
    assert all(reason["text"] in page for reason in found["refusals"]["reasons"])


@pytest.mark.usefixtures("weeks")
def test_each_picture_says_in_words_what_it_shows(client: TestClient) -> None:
    pictures = re.findall(r'role="img" aria-label="([^"]+)"', _shown(client))
    assert len(pictures) == 6
    assert all(len(words) > 60 and words.endswith((".", "values.")) for words in pictures)


@pytest.mark.usefixtures("weeks")
def test_page_keeps_to_the_policy_for_content(client: TestClient) -> None:
    page = _shown(client)
    assert "style=" not in page
    assert "<style" not in page
    assert not re.search(r"<script(?! (type=\"module\" )?src=)", page)


@pytest.mark.usefixtures("weeks")
def test_caveat_and_rule_stand_beside_their_figures(client: TestClient) -> None:
    page = _shown(client)
    assert FEEDBACK_CAVEAT in page
    assert SILENCE_RULE in page
    assert "Not for diagnostic use" in page


@pytest.mark.usefixtures("weeks")
def test_silent_scanner_is_an_alarm_and_names_of_scanners_are_only_text(client: TestClient) -> None:
    page = _shown(client)
    assert f"Scanner {STOPPED} is silent:" in page
    assert HOSTILE not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_all_scanners_silent_at_once_point_to_the_node(client: TestClient, sqlite_engine: Engine) -> None:
    fill_weeks(sqlite_engine, NOW - timedelta(days=5))
    page = _shown(client)
    assert page.count("is silent:") >= 2
    assert page.count('role="alert"') == 1
    assert "look at the node first" in page


@pytest.mark.usefixtures("weeks")
def test_nothing_leads_to_a_patient(client: TestClient) -> None:
    page = _shown(client)
    assert not any(told in page for told in ("Doe", "MRN", "1.2.826.0.2"))


def test_empty_node_says_so_and_divides_by_nothing(client: TestClient) -> None:
    page = _shown(client)
    assert "Nothing was received, refused or judged from 2026-02-03 to 2026-03-02" in page
    assert "No scanner has sent anything" in page
    assert "nan" not in page.lower()


@pytest.mark.parametrize("days", [1, 2, 45, 46, 366])
def test_any_span_of_days_is_drawn(client: TestClient, weeks: int, days: int) -> None:
    page = _shown(client, **{"from": str(NOW.date() - timedelta(days=days - 1))})
    assert page.count('role="img"') == 6
    if days > 28:
        assert f"<dd>{weeks}</dd>" in page


def test_one_refused_series_alone_is_drawn(client: TestClient, sqlite_engine: Engine) -> None:
    fill_weeks(sqlite_engine, NOW, days=1, seed=3)
    assert "<svg" in _shown(client)


@pytest.mark.parametrize("field", ["from", "until"])
def test_what_is_no_day_is_explained_and_never_run(client: TestClient, field: str) -> None:
    for text in HOSTILE_VALUES:
        page = _shown(client, 400, **{field: text})
        assert "is written like 2026-03-01" in page, text
        assert "<script>alert" not in page
        assert "Silent scanners" in page


def test_days_in_the_wrong_order_and_too_many_are_explained(client: TestClient) -> None:
    assert "lies after the last" in _shown(client, 400, **{"from": "2026-03-02", "until": "2026-03-01"})
    assert "At most 366 days" in _shown(client, 400, **{"from": "2020-03-02", "until": "2026-03-01"})


@pytest.mark.parametrize("role", ["viewer", "radiologist", "administrator"])
def test_whoever_may_see_statistics_finds_them(client: TestClient, role: str) -> None:
    headers = {"Authorization": f"Bearer {role}"}
    assert client.get("/statistics", headers=headers).status_code == 200
    assert 'href="/statistics"' in client.get("/", headers=headers).text


def test_nobody_unknown_sees_them(client: TestClient) -> None:
    answer = client.get("/statistics", headers={"Authorization": ""}, follow_redirects=False)
    assert answer.status_code in (303, 401)


def test_period_is_read_with_its_last_day() -> None:
    today = date(2026, 3, 2)
    assert read_period({}, today) == Period(date(2026, 2, 3), today)
    asked = read_period({"from": "2026-01-01", "until": "2026-01-01"}, today)
    assert asked.window == Window(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC))
    with pytest.raises(NoPeriod):
        _ = Period(date(2025, 1, 1), date(2026, 3, 2)).window


def test_many_days_are_joined_to_weeks_without_losing_any() -> None:
    counts = {"studies": 2, "read": 1, "flagged": 1, "not_analysed": 1, "failed": 0}
    days = [{"day": str(date(2026, 1, 1) + timedelta(days=each)), **counts} for each in range(50)]
    spans = volume_spans(days)
    assert (len(spans), sum(each.studies for each in spans)) == (8, 100)
    assert (spans[-1].first, spans[-1].last) == (date(2026, 2, 19), date(2026, 2, 19))
    assert len(volume_spans(days[:45])) == 45


@pytest.mark.parametrize("largest", [0, 1, 3, 9, 10, 11, 499, 123456])
def test_count_scale_holds_the_largest_and_has_few_round_marks(largest: int) -> None:
    scale = count_scale(largest)
    assert scale.highest >= max(largest, 1)
    assert 2 <= len(scale.marks) <= 6
    assert len({text for _, text in scale.marks}) == len(scale.marks)


@pytest.mark.parametrize("largest", [0.0, 0.003, 0.05, 0.33, 0.8, 0.81, 1.0])
def test_share_scale_ends_at_one_at_most(largest: float) -> None:
    scale = share_scale(largest)
    assert largest <= scale.highest <= 1.0 + 1e-9
    assert len({text for _, text in scale.marks}) == len(scale.marks)


@pytest.mark.parametrize("seconds", [[], [0.0], [0.04, 0.05], [3.0, 3.0], [0.2, 9e6], [1e9]])
def test_duration_scale_places_every_duration_within_the_drawing(seconds: list[float]) -> None:
    scale = duration_scale(seconds)
    assert all(0.0 <= scale.place(each) <= 100.0 for each in seconds)
    assert len(scale.marks) <= 6


def test_gap_in_the_values_breaks_the_line() -> None:
    scale, places = Scale(0.0, 1.0, ()), Places(["a", "b", "c", "d"])
    first, second = places.line(scale, [0.5, 1.0, None, 0.0], "line")
    assert (first.points, second.points) == ("12.5,50 37.5,0", "87.5,100")
    assert list(places.band(scale, [None] * 4, "interval")) == []
