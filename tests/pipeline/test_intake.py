"""Indexing behind the SCP: in order, again until the database is back, and never held up by one bad object."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fakes.site import STUDY, Site
from fakes.slices import HEAD_SLICES, head, peer

from triage_node.core.errors import Refused, Transient
from triage_node.core.instance import InstanceHeader
from triage_node.core.ports import QuarantinedObject, StoredInstance
from triage_node.pipeline import intake as intake_module
from triage_node.pipeline.intake import Intake


class FailingRepository:
    """The real repository behind a fault."""

    def __init__(self, repository: Any, fault: Callable[[list[StoredInstance]], Exception | None]) -> None:
        self._repository, self._fault = repository, fault

    def add_instances(self, stored: list[StoredInstance]) -> None:
        error = self._fault(list(stored))
        if error is not None:
            raise error
        self._repository.add_instances(stored)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._repository, name)


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake_module, "RETRY_S", 0.01)


@pytest.fixture
def intake(site: Site) -> Iterator[Intake]:
    """An intake of which ``stop`` means that all it was told is written."""
    intake = Intake(site.path)
    intake.start()
    yield intake
    intake.stop()


def _broken_by(site: Site, fault: Callable[[list[StoredInstance]], Exception | None]) -> Intake:
    site.repository = FailingRepository(site.repository, fault)  # type: ignore[assignment]
    intake = Intake(site.path)
    intake.start()
    return intake


def _told(intake: Intake, stored: list[StoredInstance], at: datetime) -> None:
    intake.association_opened(peer(), at)
    for each in stored:
        intake.stored(each)
    intake.association_ended(peer(), at, False)


def test_what_the_scp_tells_is_written(site: Site, intake: Intake) -> None:
    _told(intake, head(site.clock.now()), site.clock.now())
    intake.stop()
    series = site.series()
    assert series["instance_count"] == HEAD_SLICES
    assert [(each["calling_ae_title"], each["aborted"]) for each in series["associations"]] == [("CT1", False)]


def test_more_notices_than_one_batch_are_all_written(site: Site, intake: Intake) -> None:
    stored = head(site.clock.now(), numbers=range(3 * intake_module.BATCH + 5))
    _told(intake, stored, site.clock.now())
    intake.stop()
    assert site.series()["instance_count"] == len(stored)


def test_whole_head_is_closed_by_the_intake_itself(site: Site, intake: Intake) -> None:
    site.rules = {"settle_s": 0.0}
    quick = Intake(site.path)
    quick.start()
    _told(quick, head(site.clock.now()), site.clock.now())
    quick.stop()
    assert site.ended() == ("CLOSED", None)
    assert len(site.bell.reads) == 1


def test_quarantined_object_is_noted_with_who_sent_it(site: Site, intake: Intake) -> None:
    intake.quarantined(QuarantinedObject(Path("/q/1.dcm"), "cut off", 0xC000, site.clock.now(), peer()))
    intake.stop()
    (note,) = site.repository.quarantined()
    assert (note["reason"], note["status_code"], note["calling_ae_title"]) == ("cut off", 0xC000, "CT1")


def test_database_that_comes_back_gets_everything(site: Site) -> None:
    faults = [Transient("database is locked")] * 3
    intake = _broken_by(site, lambda _: faults.pop() if faults else None)
    _told(intake, head(site.clock.now()), site.clock.now())
    intake.stop()
    assert not faults
    assert site.series()["instance_count"] == HEAD_SLICES


def test_instance_that_the_database_will_never_take_does_not_hold_up_the_others(site: Site) -> None:
    def fault(stored: list[StoredInstance]) -> Exception | None:
        bad = any(each.header.sop_instance_uid == "1.2.3.1.7" for each in stored)
        return ValueError("a NUL in a text") if bad else None

    intake = _broken_by(site, fault)
    _told(intake, head(site.clock.now()), site.clock.now())
    _told(intake, head(site.clock.now(), study="1.2.4"), site.clock.now())
    intake.stop()
    assert site.series()["instance_count"] == HEAD_SLICES - 1
    assert site.series(study="1.2.4")["instance_count"] == HEAD_SLICES
    (note,) = site.repository.quarantined()
    assert "a NUL in a text" in note["reason"]
    assert note["path"] == "/spool/1.2.3.1/1.2.3.1.7.dcm"


def _header_of(stored: list[StoredInstance]) -> Callable[[Path], InstanceHeader]:
    by_path = {each.path: each.header for each in stored}

    def read(path: Path) -> InstanceHeader:
        if path not in by_path:
            raise Refused("cut off")
        return by_path[path]

    return read


def test_spool_is_indexed_again_for_what_has_no_row(site: Site, intake: Intake) -> None:
    stored = head(site.clock.now())
    site.arrive(stored[:20])
    found = intake.reindex(
        [*(each.path for each in stored), Path("/spool/9/9.dcm")],
        _header_of(stored),
        lambda _: datetime(2026, 3, 2, tzinfo=UTC),
    )
    intake.stop()
    assert found == HEAD_SLICES - 20
    assert site.study(STUDY)["series"][0]["instance_count"] == HEAD_SLICES
