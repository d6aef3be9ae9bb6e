"""A release in the shadow: it reads after the flag is out, nobody hears of it, and what goes wrong there touches no study."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from fakes.ports import GivenCascade
from fakes.site import STUDY, Site
from fakes.slices import head
from sqlalchemy import Engine

from triage_node import wiring
from triage_node.core.finding import Finding
from triage_node.core.ports import SeriesVolume
from triage_node.core.shadow import summary
from triage_node.pipeline.shadow import ShadowPath
from triage_node.pipeline.steps import ReadingPath
from triage_node.settings import Settings
from triage_node.worklist.repository import SqlStudyRepository
from triage_node.worklist.shadow import SqlShadowLog


class Candidate(GivenCascade):
    """Another release than the active one."""

    def read(self, volume: SeriesVolume) -> Any:
        given = super().read(volume)
        return replace(given, finding=replace(given.finding, model_name="candidate"))


@pytest.fixture
def site(engine: Engine) -> Site:
    return Site(SqlStudyRepository(engine))


@pytest.fixture
def shadow_log(engine: Engine) -> SqlShadowLog:
    return SqlShadowLog(engine)


@pytest.fixture
def candidate() -> Candidate:
    return Candidate(ich_probability=0.2)


@pytest.fixture
def reading(site: Site, candidate: Candidate, shadow_log: SqlShadowLog) -> ReadingPath:
    shadow = ShadowPath(candidate, shadow_log, site.repository, site.clock)
    return ReadingPath(site.path, site.reader, site.cascade, site.writer, shadow)


def _another(site: Site, study: str) -> tuple[int, int]:
    """One more study that a worker was woken for."""
    return site.closed(head(site.clock.now(), study=study, association=f"a{study}"))


def test_shadow_reads_the_same_volume_once_the_flag_is_out(
    site: Site, reading: ReadingPath, candidate: Candidate, shadow_log: SqlShadowLog
) -> None:
    told: list[tuple[str, int]] = []
    candidate.meanwhile.append(lambda: told.append((site.state(), len(site.bell.forwards))))
    reading.read(*site.closed())
    assert told == [("EVIDENCED", 1)], "evidence is due and the courier is awake before the shadow begins"
    assert candidate.read_volumes == site.cascade.read_volumes
    found = shadow_log.readings(with_slices=True)
    assert found is not None
    (pair,) = found.pairs
    assert (found.active, found.shadow, found.left_out) == ("given", "candidate", 0)
    assert (pair.study_instance_uid, pair.series_instance_uid) == (STUDY, f"{STUDY}.1")
    assert (pair.active.ich_probability, pair.active.flagged) == (0.9, True)
    assert (pair.shadow.ich_probability, pair.shadow.flagged) == (0.2, False)
    assert [uid for uid, _, _ in pair.active.slices] == [uid for uid, _, _ in pair.shadow.slices]
    assert len(pair.shadow.slices) == 28


def test_nothing_of_the_shadow_reaches_worklist_evidence_or_destinations(
    site: Site, candidate: Candidate, reading: ReadingPath
) -> None:
    site.cascade.ich_probability, candidate.ich_probability = 0.1, 0.99
    reading.read(*site.closed())
    row = site.study()
    assert (row["flagged"], row["priority"], row["ich_probability"]) == (False, "ROUTINE", 0.1)
    (order,) = site.writer.orders
    assert order.finding.model_name == "given"
    assert "candidate" not in str(row)
    assert len(site.bell.forwards) == 1


@pytest.mark.parametrize("error", [ZeroDivisionError("boom"), MemoryError("CUDA out of memory")])
def test_an_error_in_the_shadow_touches_no_study(
    site: Site, reading: ReadingPath, candidate: Candidate, shadow_log: SqlShadowLog, error: Exception
) -> None:
    candidate.error = error
    reading.read(*site.closed())
    assert site.ended() == ("EVIDENCED", None)
    assert shadow_log.readings() is None


def test_a_database_that_does_not_answer_the_shadow_touches_no_study(site: Site, candidate: Candidate) -> None:
    class Broken:
        def save(self, series_id: int, revision: int, finding: Finding, read_at: datetime) -> None:
            raise OSError("disk full")

    shadow = ShadowPath(candidate, Broken(), site.repository, site.clock)
    ReadingPath(site.path, site.reader, site.cascade, site.writer, shadow).read(*site.closed())
    assert site.ended() == ("EVIDENCED", None)


def test_a_shadow_that_cannot_be_loaded_leaves_the_node_reading_without_it(site: Site, tmp_path: Path) -> None:
    assert wiring.shadow_path(Settings(data_dir=tmp_path, shadow_release="nowhere"), site.path) is None
    assert wiring.shadow_path(Settings(data_dir=tmp_path), site.path) is None


def test_shadow_is_left_out_while_another_series_waits(
    site: Site, reading: ReadingPath, candidate: Candidate, shadow_log: SqlShadowLog
) -> None:
    first, second = site.closed(), _another(site, "1.2.4")
    reading.read(*first)
    assert candidate.read_volumes == []
    reading.read(*second)
    assert len(candidate.read_volumes) == 1
    reading.read(*_another(site, "1.2.5"))
    found = shadow_log.readings()
    assert found is not None
    assert [pair.study_instance_uid for pair in found.pairs] == ["1.2.4", "1.2.5"]


def test_what_is_declined_or_fails_is_not_read_in_the_shadow(
    site: Site, reading: ReadingPath, candidate: Candidate
) -> None:
    site.cascade.error = ZeroDivisionError("boom")
    reading.read(*site.closed())
    assert candidate.read_volumes == []


def test_a_task_that_comes_twice_is_one_reading_in_the_shadow(
    site: Site, reading: ReadingPath, candidate: Candidate, shadow_log: SqlShadowLog
) -> None:
    task = site.closed()
    reading.read(*task)
    reading.read(*task)
    (volume,) = candidate.read_volumes
    again = candidate.read(volume).finding
    shadow_log.save(*task, again, site.clock.now())
    found = shadow_log.readings()
    assert found is not None
    assert len(found.pairs) == 1


def test_readings_that_the_shadow_missed_are_counted(
    site: Site, reading: ReadingPath, candidate: Candidate, shadow_log: SqlShadowLog
) -> None:
    reading.read(*site.closed())
    candidate.error = ZeroDivisionError("boom")
    site.clock.advance(60)
    reading.read(*_another(site, "1.2.4"))
    found = shadow_log.readings()
    assert found is not None
    assert (len(found.pairs), found.left_out) == (1, 1)


def test_summary_names_the_studies_whose_flag_would_change(
    site: Site, reading: ReadingPath, candidate: Candidate, shadow_log: SqlShadowLog
) -> None:
    for study, before, after in (("1.2.3", 0.9, 0.2), ("1.2.4", 0.1, 0.8), ("1.2.5", 0.7, 0.9)):
        site.cascade.ich_probability, candidate.ich_probability = before, after
        reading.read(*_another(site, study))
    found = shadow_log.readings()
    assert found is not None
    told = summary(found)
    assert (told["now_flagged"], told["no_longer_flagged"]) == (["1.2.4"], ["1.2.3"])
    assert told["agreement"] == pytest.approx(1 / 3)
    assert told["mean_absolute_change"] == pytest.approx((0.7 + 0.7 + 0.2) / 3)
    assert told["rank_correlation"] == -0.5
