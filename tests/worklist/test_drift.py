"""Drift in the database: what is counted, what is not counted twice, and which alarms are told when."""

from __future__ import annotations

import random
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, delete, insert, literal, select
from sqlalchemy.orm import Session

from triage_node.core.drift import EVERY_SCANNER, DriftRules, Scanner, score_bin
from triage_node.core.errors import Refused
from triage_node.core.finding import Finding, SliceFinding
from triage_node.core.instance import InstanceHeader
from triage_node.core.ports import AssociationPeer, StoredInstance
from triage_node.core.reason import Reason, Refusal
from triage_node.core.study_state import IllegalTransition
from triage_node.worklist.drift import SqlDriftWatch
from triage_node.worklist.repository import SqlStudyRepository
from triage_node.worklist.tables import ObservationRow, StudyRow

START = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
CT1, CT2 = Scanner("CT1", "SOMATOM7"), Scanner("CT2", "")
RULES = DriftRules(reference_series=200)


@pytest.fixture
def watch(engine: Engine) -> SqlDriftWatch:
    return SqlDriftWatch(engine, RULES)


# what a node does ----------------------------------------------------------------------------------------------------


def _arrive(
    repository: SqlStudyRepository, number: int, *, slices: range = range(3), scanner: Scanner = CT1
) -> tuple[int, int]:
    """Index some slices and close their series: its id and revision."""
    study = f"1.2.{number}"
    peer = AssociationPeer(f"a{number}", scanner.calling_ae_title, "TRIAGE", "10.0.0.7")
    headers = [
        InstanceHeader(
            sop_instance_uid=f"{study}.1.{each}",
            sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
            series_instance_uid=f"{study}.1",
            study_instance_uid=study,
            transfer_syntax_uid="1.2.840.10008.1.2.1",
            modality="CT",
            station_name=scanner.station_name,
        )
        for each in slices
    ]
    repository.add_instances(
        [StoredInstance(each, Path(f"/s/{each.sop_instance_uid}"), START, peer) for each in headers]
    )
    found: Any = repository.study(study)
    (series,) = found["series"]
    assert repository.close_series(series["series_id"], series["revision"], START)
    return int(series["series_id"]), int(series["revision"])


def _finding(probability: float, release: str = "first") -> Finding:
    flagged = probability >= 0.5
    slices = (SliceFinding("1.9.1", probability, None, flagged),)
    return Finding(probability, flagged, None, (), slices, release, "1", "0" * 64, "balanced", 0.5)


def _only_day(watch: SqlDriftWatch) -> dict[str, Any]:
    (day,) = watch.days(START.date())
    return day


# counting ------------------------------------------------------------------------------------------------------------


def test_readings_are_counted_by_day_scanner_and_release(repository: SqlStudyRepository, watch: SqlDriftWatch) -> None:
    evening = datetime(2026, 3, 1, 23, 30, tzinfo=UTC)
    for number, (probability, at, scanner) in enumerate(
        [(0.9, START, CT1), (0.12, START, CT1), (0.2, evening + timedelta(hours=1), CT1), (0.2, START, CT2)]
    ):
        repository.save_finding(*_arrive(repository, number, scanner=scanner), _finding(probability), at)
    newest, first, other = watch.days(date(2026, 3, 1))
    assert (newest["day"], newest["read"]) == ("2026-03-02", 1)
    assert (first["calling_ae_title"], first["station_name"]) == ("CT1", "SOMATOM7")
    assert (first["release"], first["operating_point"]) == ("first", "balanced")
    assert (first["read"], first["flagged"], first["positive_rate"]) == (2, 1, 0.5)
    assert first["mean_score"] == pytest.approx(0.51)
    assert [index for index, count in enumerate(first["histogram"]) if count] == [2, 18]
    assert (other["calling_ae_title"], other["station_name"]) == ("CT2", "")
    assert [each["day"] for each in watch.days(date(2026, 3, 2))] == ["2026-03-02"]


def test_refusals_are_counted_by_reason(repository: SqlStudyRepository, watch: SqlDriftWatch) -> None:
    for number, reason in enumerate([Reason.CONTRAST, Reason.CONTRAST, Reason.LOCALIZER]):
        repository.decline(*_arrive(repository, number), Refusal(reason), START)
    day = _only_day(watch)
    assert day["refused"] == {"CONTRAST": 2, "LOCALIZER": 1}
    assert (day["read"], day["positive_rate"], day["release"]) == (0, None, None)


def test_refusal_rate_is_of_what_a_scanner_offered_on_a_day(
    repository: SqlStudyRepository, watch: SqlDriftWatch
) -> None:
    for number, reason in enumerate([Reason.CONTRAST, Reason.NOT_CT, Reason.BETTER_SERIES]):
        repository.decline(*_arrive(repository, number), Refusal(reason), START)
    for number in range(3, 6):
        release = "first" if number < 5 else "second"
        repository.save_finding(*_arrive(repository, number), _finding(0.2, release), START)
    repository.decline(*_arrive(repository, 6, scanner=CT2), Refusal(Reason.NOT_CT), START)
    repository.save_finding(*_arrive(repository, 7), _finding(0.2), START + timedelta(days=1))
    found = {
        (day["day"], day["calling_ae_title"], day["release"]): day["refusal_rate"] for day in watch.days(START.date())
    }
    first, second = "2026-03-01", "2026-03-02"
    assert {found[first, "CT1", release] for release in (None, "first", "second")} == {0.25}
    assert found[first, "CT2", None] is None
    assert found[second, "CT1", "first"] == 0.0


def test_a_step_that_repeats_counts_once(repository: SqlStudyRepository, watch: SqlDriftWatch) -> None:
    read, refused = _arrive(repository, 1), _arrive(repository, 2)
    for _ in range(2):
        repository.save_finding(*read, _finding(0.9), START)
        repository.decline(*refused, Refusal(Reason.CONTRAST), START)
    assert sum(day["read"] for day in watch.days(START.date())) == 1
    assert sum(sum(day["refused"].values()) for day in watch.days(START.date())) == 1


def test_a_late_slice_moves_the_count_to_the_next_revision(
    repository: SqlStudyRepository, watch: SqlDriftWatch
) -> None:
    first = _arrive(repository, 1)
    repository.save_finding(*first, _finding(0.2), START)
    second = _arrive(repository, 1, slices=range(3, 5))
    assert second[1] == 2
    repository.save_finding(*second, _finding(0.8), START)
    day = _only_day(watch)
    assert (day["read"], day["flagged"], day["mean_score"]) == (1, 1, 0.8)


def test_the_finding_of_an_overtaken_revision_does_not_count(
    repository: SqlStudyRepository, watch: SqlDriftWatch
) -> None:
    first = _arrive(repository, 1)
    second = _arrive(repository, 1, slices=range(3, 5))
    repository.save_finding(*second, _finding(0.8), START)
    with pytest.raises(IllegalTransition):
        repository.save_finding(*first, _finding(0.2), START)
    assert (_only_day(watch)["read"], _only_day(watch)["mean_score"]) == (1, 0.8)


def test_what_is_read_after_all_is_no_refusal(repository: SqlStudyRepository, watch: SqlDriftWatch) -> None:
    series = _arrive(repository, 1)
    repository.decline(*series, Refusal(Reason.BETTER_SERIES), START)
    repository.choose(*series)
    repository.save_finding(*series, _finding(0.2), START)
    assert (_only_day(watch)["read"], _only_day(watch)["refused"]) == (1, {})


def test_reading_a_study_again_says_nothing_new_of_its_scanner(
    repository: SqlStudyRepository, watch: SqlDriftWatch
) -> None:
    series_id, _ = _arrive(repository, 1)
    repository.decline(series_id, 1, Refusal(Reason.CONTRAST), START)
    assert repository.reprocess("1.2.1", START) == [(series_id, 2)]
    repository.save_finding(series_id, 2, _finding(0.9, release="second"), START)
    assert (_only_day(watch)["read"], _only_day(watch)["refused"]) == (0, {"CONTRAST": 1})
    assert watch.totals().read == {CT1: 1}, "totals count what was done, and never fall"


def test_counts_outlive_the_study(repository: SqlStudyRepository, watch: SqlDriftWatch, engine: Engine) -> None:
    repository.save_finding(*_arrive(repository, 1), _finding(0.9), START)
    with Session(engine) as session, session.begin():
        session.execute(delete(StudyRow))
    assert _only_day(watch)["flagged"] == 1
    with Session(engine) as session:
        assert session.scalars(select(ObservationRow.series_id)).all() == [None]


def test_totals_are_by_scanner_and_reason(repository: SqlStudyRepository, watch: SqlDriftWatch) -> None:
    repository.save_finding(*_arrive(repository, 1), _finding(0.9), START)
    repository.save_finding(*_arrive(repository, 2), _finding(0.1), START)
    repository.decline(*_arrive(repository, 3, scanner=CT2), Refusal(Reason.NOT_HEAD), START)
    totals = watch.totals()
    assert (totals.read, totals.flagged) == ({CT1: 2}, {CT1: 1})
    assert (totals.refused, list(totals.alarms)) == ({(CT2, "NOT_HEAD"): 1}, [])


# charts and alarms ---------------------------------------------------------------------------------------------------


def _stream(
    engine: Engine,
    count: int,
    *,
    scanner: Scanner = CT1,
    prevalence: float = 0.2,
    shift: float = 0.0,
    refusals: float = 0.1,
    release: str = "first",
    seed: int = 1,
    every: timedelta = timedelta(minutes=15),
) -> None:
    """Write the observations of ``count`` series, one every quarter of an hour after those that are there."""
    rng = random.Random(seed)
    with Session(engine) as session, session.begin():
        latest = session.scalar(select(ObservationRow.observed_at).order_by(ObservationRow.id.desc()).limit(1)) or START
        rows = [
            _observation(rng, latest + (number + 1) * every, scanner, prevalence, shift, refusals, release)
            for number in range(count)
        ]
        session.execute(insert(ObservationRow), rows)


def _observation(
    rng: random.Random, at: datetime, scanner: Scanner, prevalence: float, shift: float, refusals: float, release: str
) -> dict[str, Any]:
    refused = rng.random() < refusals
    bleeds = rng.random() < prevalence
    score = min(1.0, (rng.betavariate(6, 1.2) if bleeds else rng.betavariate(1.2, 12)) + shift)
    return {
        "series_id": None,
        "revision": 1,
        "outcome": "CONTRAST" if refused else "READ",
        "counted": True,
        "observed_at": at,
        "observed_on": at.date(),
        "calling_ae_title": scanner.calling_ae_title,
        "station_name": scanner.station_name,
        "model_name": None if refused else release,
        "operating_point": None if refused else "balanced",
        "ich_probability": None if refused else score,
        "score_bin": None if refused else score_bin(score),
        "flagged": None if refused else score >= 0.5,
    }


def _standing(watch: SqlDriftWatch) -> set[tuple[Scanner, str, str]]:
    return {
        (each.scanner, each.measure.value, each.direction.value) for drift in watch.standing() for each in drift.alarms
    }


def test_without_any_reading_there_is_nothing_to_chart(watch: SqlDriftWatch) -> None:
    assert watch.standing() == []
    assert watch.watch(START) == ([], [])


def test_a_scanner_is_learned_first(watch: SqlDriftWatch, engine: Engine) -> None:
    _stream(engine, 100)
    every, one = watch.standing()
    assert (every.scanner, one.scanner) == (EVERY_SCANNER, CT1)
    assert 0 < one.read < one.offered == 100
    assert one.charts == ()


def test_an_unchanged_stream_raises_no_alarm(watch: SqlDriftWatch, engine: Engine) -> None:
    _stream(engine, 1500)
    every, one = watch.standing()
    assert len(every.charts) == len(one.charts) == 6
    assert _standing(watch) == set()


def test_only_the_scanner_that_changed_is_named(watch: SqlDriftWatch, engine: Engine) -> None:
    _stream(engine, 600, scanner=CT1)
    _stream(engine, 600, scanner=CT2)
    _stream(engine, 300, scanner=CT2, shift=0.25, seed=2)
    alarms = _standing(watch)
    assert (CT2, "mean_score", "up") in alarms
    assert CT1 not in {scanner for scanner, _, _ in alarms}


def test_blood_that_is_no_longer_found_raises_an_alarm_that_is_told_once(watch: SqlDriftWatch, engine: Engine) -> None:
    _stream(engine, 500)
    assert watch.watch(START) == ([], [])
    _stream(engine, 150, prevalence=0.0, seed=2)
    raised, over = watch.watch(START)
    told = {(str(each.scanner), each.measure.value, each.direction.value) for each in raised}
    assert ("CT1/SOMATOM7", "positive_rate", "down") in told
    assert ("all scanners", "positive_rate", "down") in told
    assert over == []
    (alarm, *_) = [each for each in raised if each.scanner == CT1 and each.measure == "positive_rate"]
    assert alarm.changed_at < alarm.since
    assert "positive rate of CT1/SOMATOM7 fell from 18.7% to 0.0%" in str(alarm)
    assert watch.watch(START) == ([], []), "told once"
    assert {(each[0], each[1]) for each in watch.totals().alarms} >= {(CT1, "positive_rate")}


def test_an_alarm_that_is_over_is_told_too(watch: SqlDriftWatch, engine: Engine) -> None:
    _stream(engine, 500)
    _stream(engine, 60, refusals=0.9, seed=2)
    raised, _ = watch.watch(START)
    assert "refusal_rate" in {each.measure.value for each in raised}
    _stream(engine, 600, seed=3)
    _, over = watch.watch(START)
    assert "refusal_rate up of CT1/SOMATOM7" in over
    assert not [each for each in watch.totals().alarms if each[1] == "refusal_rate"]


def test_an_accepted_change_is_learned_as_the_new_usual(watch: SqlDriftWatch, engine: Engine) -> None:
    _stream(engine, 500)
    _stream(engine, 200, shift=0.25, seed=2)
    assert (CT1, "mean_score", "up") in _standing(watch)
    watch.accept(CT1, START)
    watch.accept(EVERY_SCANNER, START)
    watch.watch(START)
    assert _standing(watch) == set()
    _stream(engine, 700, shift=0.25, seed=3)
    assert _standing(watch) == set()
    assert all(drift.charts for drift in watch.standing())


def test_nobody_can_accept_a_scanner_that_was_never_seen(watch: SqlDriftWatch) -> None:
    with pytest.raises(Refused, match="CT1/SOMATOM7"):
        watch.accept(CT1, START)


def test_another_release_is_learned_anew(watch: SqlDriftWatch, engine: Engine) -> None:
    _stream(engine, 600)
    _stream(engine, 100, prevalence=0.9, release="second", seed=2)
    assert _standing(watch) == set()
    assert {each.model_name for each in watch.standing()} == {"second"}
    assert all(each.read < RULES.reference_series for each in watch.standing())


@pytest.mark.slow
def test_two_hundred_thousand_series_are_charted_and_counted_in_seconds(watch: SqlDriftWatch, engine: Engine) -> None:
    _stream(engine, 10_000, scanner=Scanner("CT0", ""), every=timedelta(minutes=40))
    for number in range(1, 20):
        _copy_first(engine, 10_000, Scanner(f"CT{number % 4}", ""))
    started_s = time.process_time()
    charts = watch.standing()
    days = watch.days(START.date() + timedelta(days=250))
    totals = watch.totals()
    took_s = time.process_time() - started_s
    assert charts[0].scanner == EVERY_SCANNER
    assert len(charts) > 1
    assert {each["calling_ae_title"] for each in days} == {"CT0", "CT1", "CT2", "CT3"}
    assert sum(totals.read.values()) + sum(totals.refused.values()) == 200_000
    assert took_s < 10, "CPU seconds of this process: it reads windows and counts, not every row"


def _copy_first(engine: Engine, count: int, scanner: Scanner) -> None:
    """Write the first observations again as those of another scanner, inside the database."""
    copied = {name: getattr(ObservationRow, name) for name in _observation(random.Random(0), START, CT1, 0, 0, 0, "")}
    copied["calling_ae_title"] = literal(scanner.calling_ae_title)
    first = select(*copied.values()).order_by(ObservationRow.id).limit(count)
    with Session(engine) as session, session.begin():
        session.execute(insert(ObservationRow).from_select(list(copied), first))
