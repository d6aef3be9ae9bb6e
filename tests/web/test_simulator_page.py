"""The page of the simulator: what the node measured stands in it, what cannot be simulated is told, and its work is bounded."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from fakes.ports import SteppedClock
from fakes.web import web_parts
from fakes.weeks import fill_weeks
from fastapi import HTTPException
from fastapi.testclient import TestClient
from sqlalchemy import Engine

from triage_node.core.measured_load import MeasuredLoad
from triage_node.core.measured_rates import MeasuredRates
from triage_node.core.ports import Window
from triage_node.core.proportion import Proportion
from triage_node.core.queueing import Order
from triage_node.core.reading_times import Distribution
from triage_node.web import simulator_page
from triage_node.web.app import make_app
from triage_node.web.simulator_form import MOST_ARRIVALS, MOST_STUDIES, NUMBERS, first_form
from triage_node.web.simulator_page import Simulator
from triage_node.web.simulator_pictures import ShownSimulation, has_interval
from triage_node.worklist.statistics import SqlStatistics

NOW = datetime(2026, 3, 2, 18, 0, tzinfo=UTC)
RATES = MeasuredRates("made_up", "balanced", 0.9, 0.8, 100, 100)
SMALL = {"arrivals": "3", "reading_time": "10", "readers": "1", "days": "3", "distribution": "exponential"}
HOSTILE = (
    "<script>alert(1)</script>",
    "' OR 1=1 --",
    "nan",
    "inf",
    "-inf",
    "1e999",
    "0x10",
    "",
    "a\0b",
    "9" * 400,
    "½",
)


@pytest.fixture
def client(sqlite_engine: Engine, tmp_path: Path) -> TestClient:
    parts = web_parts(sqlite_engine, tmp_path, clock=SteppedClock(NOW), measured_rates=lambda: RATES)
    return TestClient(make_app(parts), headers={"Authorization": "Bearer viewer"}, raise_server_exceptions=False)


def _page(client: TestClient, status_code: int = 200, **asked: str) -> str:
    answer = client.get("/simulator", params=asked)
    assert answer.status_code == status_code, answer.text
    return answer.text


def _value(page: str, name: str) -> str:
    found = re.search(rf'<input id="{name}"[^>]* value="([^"]*)"', page)
    assert found
    return found[1]


def test_form_is_filled_with_what_the_node_measured_and_says_so(client: TestClient, sqlite_engine: Engine) -> None:
    studies = fill_weeks(sqlite_engine, NOW)
    load = SqlStatistics(sqlite_engine).load(Window(NOW - timedelta(days=28), NOW))
    page = _page(client)
    assert f"measured, {load.studies} studies in the last 28 days" in page
    assert studies - 40 < load.studies <= studies  # the window begins in the evening of its first day
    assert float(_value(page, "arrivals")) == pytest.approx(load.arrivals_per_hour, abs=0.01)
    assert float(_value(page, "reading_time")) == pytest.approx(load.mean_reading_min, abs=0.1)
    assert _value(page, "sensitivity") == "90.0"
    assert '<option value="lognormal" selected>' in page
    assert "measured of release made_up" in page
    assert "hours of the day as measured here" in page


def test_node_without_studies_fills_in_assumptions_and_calls_them_so(client: TestClient) -> None:
    page = _page(client)
    assert _value(page, "arrivals") == "4"
    assert page.count("assumed") >= 3
    assert "by_hour" not in page
    assert "Checked against queueing theory" in page


def test_page_shows_every_order_with_theory_and_pictures(client: TestClient) -> None:
    page = _page(client, **SMALL, cap="60")
    assert page.count('role="img"') == 2
    for words in ("without triage: first come", "with triage: flagged first", "flagged first, with a waiting cap"):
        assert words in page.lower()
    assert "10 of the means below have a formula, which is exact" in page
    assert "Research use only. Not for diagnostic use." in page
    assert "style=" not in page


def test_no_cap_and_hours_of_the_day_are_simulated_without_them(client: TestClient, sqlite_engine: Engine) -> None:
    assert "with a waiting cap" not in _page(client, **SMALL, cap="")
    fill_weeks(sqlite_engine, NOW, days=5)
    assert "no formula to check against" in _page(client, **SMALL, by_hour="yes")


def test_flag_that_finds_nothing_and_nothing_that_bleeds_are_shown_without_a_failure(client: TestClient) -> None:
    page = _page(client, **SMALL, prevalence="0", specificity="100")
    assert "none came" in page
    _page(client, **SMALL, prevalence="100", sensitivity="0")


@pytest.mark.parametrize("text", HOSTILE)
def test_what_is_no_number_is_told_beside_its_field(client: TestClient, text: str) -> None:
    for name in (each.name for each in NUMBERS if not each.optional):
        page = _page(client, 400, **(SMALL | {name: text}))
        assert f'id="wrong-{name}"' in page
        assert "<script>alert" not in page
        assert "of the means below" not in page


@pytest.mark.parametrize("cap", ["0", "-5", "nan", "x", "1e9"])
def test_cap_that_is_none_is_told(client: TestClient, cap: str) -> None:
    assert 'id="wrong-cap"' in _page(client, 400, **SMALL, cap=cap)


def test_unknown_shape_is_told(client: TestClient) -> None:
    assert "one of those in the list" in _page(client, 400, **(SMALL | {"distribution": "<b>cauchy</b>"}))


def test_readers_who_cannot_keep_up_are_told_what_to_change(client: TestClient) -> None:
    page = _page(client, 400, **(SMALL | {"arrivals": "12"}))
    assert "The queue would grow without end" in page
    assert "at least 3 readers" in page


def test_more_than_a_page_may_simulate_is_refused_with_what_fits(client: TestClient) -> None:
    fitting = re.search(r"at most (\d+) fit", _page(client, 400, **(SMALL | {"days": "366"})))
    assert fitting
    form, asked = first_form(None, None).filled(SMALL | {"days": fitting[1], "cap": ""}).simulation()
    assert asked is not None, form.errors
    assert asked.run.studies(asked.load) <= MOST_STUDIES


def test_a_day_of_the_most_studies_fits() -> None:
    most = {"arrivals": f"{MOST_ARRIVALS:g}", "readers": "100", "days": "1", "cap": ""}
    assert first_form(None, None).filled(SMALL | most).simulation()[1] is not None


def test_same_question_is_simulated_once(monkeypatch: pytest.MonkeyPatch) -> None:
    _, asked = first_form(None, None).filled(SMALL | {"cap": ""}).simulation()
    assert asked is not None
    simulator, simulate, runs = Simulator(), simulator_page.simulate, []
    monkeypatch.setattr(simulator_page, "simulate", lambda *given, **named: runs.append(1) or simulate(*given, **named))
    first = simulator.report(asked)
    assert simulator.report(asked) == first
    assert len(runs) == 1


def test_whoever_comes_while_another_simulates_is_told_to_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulator_page, "WAITS_FOR_ANOTHER_S", 0.01)
    _, asked = first_form(None, None).filled(SMALL | {"cap": ""}).simulation()
    assert asked is not None
    simulator, refused = Simulator(), []

    def while_simulating(*_given: Any, **_named: Any) -> Any:
        def ask() -> None:
            with pytest.raises(HTTPException) as error:
                simulator.report(asked)
            refused.append(error.value.status_code)

        other = Thread(target=ask)
        other.start()
        other.join()
        return {order: {} for order in Order}

    monkeypatch.setattr(simulator_page, "simulate", while_simulating)
    with pytest.raises(KeyError):  # the stand-in simulated no kinds
        simulator.report(asked)
    assert refused == [503]


def test_few_wait_for_another_simulation_and_the_next_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulator_page, "WAITS_FOR_ANOTHER_S", 600.0)
    _, asked = first_form(None, None).filled(SMALL | {"cap": ""}).simulation()
    assert asked is not None
    simulator, simulate, answers = Simulator(), simulator_page.simulate, []
    go, one_refused = Event(), Event()

    def held(*given: Any, **named: Any) -> Any:
        go.wait(60)
        return simulate(*given, **named)

    def ask() -> None:
        try:
            simulator.report(asked)
            answers.append(200)
        except HTTPException as error:
            answers.append(error.status_code)
            one_refused.set()

    monkeypatch.setattr(simulator_page, "simulate", held)
    askers = [Thread(target=ask) for _ in range(simulator_page.MOST_WAITING + 2)]
    for each in askers:
        each.start()
    assert one_refused.wait(60)
    go.set()
    for each in askers:
        each.join()
    assert sorted(answers) == [*[200] * (simulator_page.MOST_WAITING + 1), 503]


@pytest.mark.parametrize("role", ["viewer", "radiologist", "administrator"])
def test_whoever_may_see_statistics_finds_it(client: TestClient, role: str) -> None:
    assert 'href="/simulator"' in client.get("/", headers={"Authorization": f"Bearer {role}"}).text


def test_nobody_unknown_simulates(client: TestClient) -> None:
    answer = client.get("/simulator", headers={"Authorization": ""}, follow_redirects=False)
    assert answer.status_code in (303, 401)


def test_first_values_keep_up_even_where_much_comes() -> None:
    by_hour = (3000,) * 24
    busy = MeasuredLoad(timedelta(days=28), by_hour, Proportion(200, 1000), 50, 9.0, 20.0)
    form, asked = first_form(busy, RATES).simulation()
    assert form.errors == {}
    assert asked is not None
    assert asked.load.utilisation <= 0.86
    assert asked.load.distribution is Distribution.LOGNORMAL


def test_first_values_lie_in_the_range_of_their_fields_whatever_was_measured() -> None:
    in_a_second = MeasuredLoad(timedelta(days=28), (30,) * 24, Proportion(200, 1000), 50, 0.02, 0.4)
    form, asked = first_form(in_a_second, RATES).simulation()
    assert form.errors == {}
    assert asked is not None
    assert (asked.load.reading_time_min, asked.load.reading_time_cv) == (0.1, 5.0)


def test_mean_of_a_single_run_has_no_interval_and_proves_nothing(client: TestClient) -> None:
    rare = SMALL | {"arrivals": "0.5", "days": "1", "prevalence": "2", "cap": ""}
    _, asked = first_form(None, None).filled(rare).simulation()
    assert asked is not None
    shown = ShownSimulation(Simulator().report(asked))
    alone = [each for order in shown.orders for each in order["kinds"] if each["studies"] == 1]
    assert alone
    assert not any(map(has_interval, alone))
    counted = [each for order in shown.orders for each in order["kinds"] if has_interval(each)]
    assert shown.theory_check is not None
    assert shown.theory_check.figures == len(counted)
    assert "inf" not in re.findall(r"\w+", re.sub(r"<[^>]*>", " ", _page(client, **rare)))


def test_measured_load_says_nothing_of_too_little(engine: Engine) -> None:
    load = SqlStatistics(engine).load(Window(NOW - timedelta(days=28), NOW))
    assert (load.arrivals_per_hour, load.mean_reading_min, load.reading_cv, load.hourly_weights) == (None,) * 4
    assert load.prevalence(RATES) is None


def test_measured_load_is_that_of_the_tables(engine: Engine) -> None:
    studies = fill_weeks(engine, NOW, days=3)
    load = SqlStatistics(engine).load(Window(NOW - timedelta(days=28), NOW))
    assert load.studies == studies
    assert load.by_hour[9] > load.by_hour[3]
    assert load.flagged.count < studies
    assert load.readings > 10
    assert load.mean_reading_min == pytest.approx(8.4, abs=2.0)  # exp(2 + 0.5 ** 2 / 2), as they were drawn
    assert load.reading_cv == pytest.approx(math.sqrt(math.expm1(0.25)), abs=0.25)
    assert load.observed < timedelta(days=3)


@pytest.mark.parametrize(("flagged", "rates"), [(5, RATES), (95, RATES), (50, None)])
def test_prevalence_that_is_no_share_is_not_told(flagged: int, rates: MeasuredRates | None) -> None:
    assert MeasuredLoad(timedelta(1), (1,) * 24, Proportion(flagged, 100), 0, None, None).prevalence(rates) is None
