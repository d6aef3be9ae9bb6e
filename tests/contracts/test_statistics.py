"""The figures that administrators ask for, on both databases, from studies that went the usual way."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine, insert
from sqlalchemy.orm import Session

from triage_node.core.errors import ConfigurationRejected
from triage_node.core.finding import SUBTYPES
from triage_node.core.ports import Window
from triage_node.core.reader_task import Verdict
from triage_node.core.reason import Reason, Refusal
from triage_node.worklist.percentiles import percentiles
from triage_node.worklist.reader_tasks import SqlReaderTasks
from triage_node.worklist.statistics import SqlStatistics
from triage_node.worklist.tables import ObservationRow

DAY = Window(datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC))
AGREE, DISAGREE = Verdict.AGREE, Verdict.DISAGREE


@pytest.fixture
def statistics(engine: Engine) -> SqlStatistics:
    return SqlStatistics(engine)


@pytest.fixture
def reader_tasks(engine: Engine) -> SqlReaderTasks:
    return SqlReaderTasks(engine)


def test_an_empty_database_has_no_figures_and_invents_none(statistics: SqlStatistics) -> None:
    found = statistics.statistics(DAY)
    assert found["volume"]["studies"] == 0
    assert found["volume"]["flagged_share"]["value"] is None
    assert found["volume"]["days"] == [
        {"day": "2026-03-01", "studies": 0, "read": 0, "flagged": 0, "not_analysed": 0, "failed": 0}
    ]
    assert found["time_to_flag"]["all"] == {"count": 0, "p50_s": None, "p95_s": None}
    assert found["agreement"]["findings"][0]["sensitivity"]["value"] is None
    assert found["refusals"] == {"reasons": [], "scanners": []}
    assert statistics.scanners(DAY.until) == []


def test_volume_counts_what_was_received_read_and_flagged(site: Any, statistics: SqlStatistics) -> None:
    site.forwarded(1, probability=0.9)
    site.forwarded(2, probability=0.1)
    site.classified(3, probability=0.8)
    declined = site.closed(4)
    site.repository.decline(declined, 1, Refusal(Reason.CONTRAST, ""), site.at(12))
    volume = statistics.statistics(DAY)["volume"]
    assert {name: volume[name] for name in ("studies", "read", "flagged", "not_analysed", "failed")} == {
        "studies": 4, "read": 3, "flagged": 2, "not_analysed": 1, "failed": 0
    }  # fmt: skip
    assert volume["flagged_share"]["value"] == pytest.approx(2 / 3)
    tomorrow = Window(DAY.until, DAY.until + timedelta(days=1))
    assert statistics.statistics(tomorrow)["volume"]["studies"] == 0


def test_time_to_flag_runs_from_the_last_slice_and_knows_its_hour(site: Any, statistics: SqlStatistics) -> None:
    site.classified(1, probability=0.9, seconds=2)
    site.classified(2, probability=0.1, seconds=6)
    found = statistics.statistics(DAY)["time_to_flag"]
    assert found["flagged"] == {"count": 1, "p50_s": 10.0, "p95_s": 10.0}
    assert found["all"] == {"count": 2, "p50_s": 8.0, "p95_s": pytest.approx(9.8)}
    assert [each["count"] for each in found["hours"]] == [0] * 8 + [2] + [0] * 15


def test_a_reading_that_was_asked_for_again_is_no_slow_flag(site: Any, statistics: SqlStatistics) -> None:
    series_id = site.forwarded(1)
    ((_, revision),) = site.repository.reprocess(site.study_uid(1), site.at(5000))
    site.repository.claim(series_id, revision, now=site.at(5001), lease_s=60)
    site.repository.save_finding(series_id, revision, site.finding(), site.at(5002))
    assert statistics.statistics(DAY)["time_to_flag"]["all"]["count"] == 0


def test_acknowledgement_is_counted_of_flagged_studies(
    site: Any, statistics: SqlStatistics, reader_tasks: SqlReaderTasks
) -> None:
    for study in (1, 2, 3):
        site.classified(study, probability=0.9)
    site.classified(4, probability=0.1)
    for study, seconds in ((1, 72), (2, 132), (4, 13)):
        reader_tasks.acknowledge(site.study_uid(study), "house", site.at(seconds))
    found = statistics.statistics(DAY)["acknowledgement"]
    assert (found["flagged"], found["acknowledged"]) == (3, 2)
    assert found["p50_s"] == pytest.approx(90.0)


def test_agreement_takes_the_last_word_on_each_study(
    site: Any, statistics: SqlStatistics, reader_tasks: SqlReaderTasks
) -> None:
    said = {1: (0.9, [AGREE]), 2: (0.9, [AGREE, DISAGREE]), 3: (0.1, [DISAGREE]), 4: (0.1, [AGREE]), 5: (0.1, [])}
    for study, (probability, verdicts) in said.items():
        site.classified(study, probability=probability)
        for number, verdict in enumerate(verdicts):
            reader_tasks.give_feedback(
                site.study_uid(study),
                f"reader{number}",
                site.at(20 + number),
                revision=1,
                finding="ICH",
                verdict=verdict,
            )
    found = statistics.statistics(DAY)["agreement"]
    ich = found["findings"][0]
    assert [each["finding"] for each in found["findings"]] == ["ICH", *SUBTYPES]
    assert (ich["judged"], ich["hits"], ich["misses"], ich["false_alarms"], ich["correct_rejections"]) == (
        4,
        1,
        1,
        1,
        1,
    )
    assert ich["sensitivity"] == {
        "value": 0.5,
        "lower_95": pytest.approx(0.0945, abs=1e-4),
        "upper_95": pytest.approx(0.9055, abs=1e-4),
        "hits": 1,
        "count": 2,
    }
    assert found["rolling"][-1]["judged"] == 4
    three_weeks_on = Window(DAY.since + timedelta(days=21), DAY.until + timedelta(days=30))
    rolling = statistics.statistics(three_weeks_on)["agreement"]["rolling"]
    assert [each["judged"] for each in rolling] == [4] * 7 + [0] * 3
    assert statistics.statistics(three_weeks_on)["agreement"]["findings"][0]["judged"] == 0

    since_the_last = Window(site.at(21), site.at(21) + timedelta(days=1))
    later = statistics.statistics(since_the_last)["agreement"]
    assert later["findings"][0]["judged"] == 1, "what was said on the first day before the window is not of it"
    assert later["rolling"][0]["judged"] == 4


def test_refusals_are_counted_by_reason_and_by_scanner(site: Any, statistics: SqlStatistics) -> None:
    for study, reason in ((1, Reason.CONTRAST), (2, Reason.CONTRAST), (3, Reason.MISSING_SLICES)):
        site.repository.decline(site.closed(study), 1, Refusal(reason, ""), site.at(12))
    site.classified(4)
    found = statistics.statistics(DAY)["refusals"]
    assert [(each["reason"], each["count"]) for each in found["reasons"]] == [("CONTRAST", 2), ("MISSING_SLICES", 1)]
    assert found["reasons"][0]["text"] == "The series was taken with contrast agent."
    assert found["scanners"] == [
        {"scanner": "SCANNER", "read": 1, "refused": 3, "reasons": {"CONTRAST": 2, "MISSING_SLICES": 1}}
    ]


NOW = datetime(2026, 3, 31, 12, 0, tzinfo=UTC)


def _observed(engine: Engine, scanner: str, moments: Sequence[datetime]) -> None:
    rows = [
        {"series_id": None, "revision": 1, "outcome": "READ", "counted": True, "observed_at": at, "station_name": ""}
        | {"observed_on": at.date(), "calling_ae_title": scanner, "model_name": "m", "operating_point": "balanced"}
        | {"ich_probability": 0.1, "score_bin": 1, "flagged": False}
        for at in moments
    ]
    with Session(engine) as session, session.begin():
        session.execute(insert(ObservationRow), rows)


def _days(last: datetime, *, hours: Sequence[int] = range(7, 19), days: int = 25) -> list[datetime]:
    """A series at each of these hours of the days before, the last one at ``last``."""
    midnight = last.replace(hour=0)
    every = [midnight - timedelta(days=day) + timedelta(hours=hour) for day in range(days) for hour in hours]
    return sorted(each for each in every if each <= last)


def test_a_scanner_that_stops_in_the_middle_of_its_day_falls_silent(engine: Engine, statistics: SqlStatistics) -> None:
    _observed(engine, "BY_DAY", _days(NOW))
    _observed(engine, "STOPPED", _days(NOW - timedelta(hours=22)))
    _observed(engine, "RARELY", [NOW - timedelta(days=27), NOW - timedelta(days=20), NOW - timedelta(days=18)])
    stopped, by_day, rarely = statistics.scanners(NOW)
    assert (str(stopped.scanner), stopped.silent) == ("STOPPED", True)
    assert stopped.usual_gap_s == pytest.approx(13 * 3600, abs=1)  # its nights
    assert stopped.alarm_after_s == pytest.approx(19.5 * 3600, abs=1)
    assert stopped.silence_s == pytest.approx(22 * 3600)
    assert (str(by_day.scanner), by_day.silent) == ("BY_DAY", False)
    assert by_day.series_per_day == pytest.approx(12, rel=0.05)
    assert (str(rarely.scanner), rarely.silent, rarely.watched) == ("RARELY", False, False)


def test_nights_are_no_silence_and_one_mended_outage_teaches_nothing(engine: Engine, statistics: SqlStatistics) -> None:
    evening = NOW.replace(hour=18)
    outage = [each for each in _days(evening) if not timedelta(days=5) < evening - each < timedelta(days=9)]
    _observed(engine, "CT1", outage)
    (night,) = statistics.scanners(evening + timedelta(hours=12))
    assert not night.silent
    (weekend,) = statistics.scanners(evening + timedelta(hours=24))
    assert weekend.silent


def test_a_window_without_a_time_zone_or_of_years_is_refused() -> None:
    with pytest.raises(ConfigurationRejected, match="time zone"):
        Window(datetime(2026, 3, 1), datetime(2026, 3, 2))
    with pytest.raises(ConfigurationRejected, match="366 days"):
        Window(NOW - timedelta(days=400), NOW)
    with pytest.raises(ConfigurationRejected, match="end after it begins"):
        Window(NOW, NOW)


@pytest.mark.parametrize("count", [1, 2, 7, 100, 333])
def test_percentiles_are_those_of_numpy(count: int) -> None:
    values = [random.Random(count + index).expovariate(0.1) for index in range(count)]
    found = percentiles(values)
    assert found["count"] == count
    assert found["p50_s"] == pytest.approx(np.percentile(values, 50))
    assert found["p95_s"] == pytest.approx(np.percentile(values, 95))
