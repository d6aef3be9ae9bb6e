"""The report that a study was not read: once, where asked for, and never instead of a reading."""

from __future__ import annotations

import pytest
from fakes.site import STUDY, Site
from fakes.slices import HEAD_SLICES, head

from triage_node.core.dimse_status import Action
from triage_node.core.errors import Transient
from triage_node.core.reason import Reason, Refusal
from triage_node.core.report import EarlierAnswer

GAP = [number for number in range(HEAD_SLICES) if number not in (10, 11)]
SCOUT = {"image_type": ("ORIGINAL", "PRIMARY", "LOCALIZER")}


@pytest.fixture
def telling(site: Site) -> Site:
    site.rules = {"report_not_analysed": True, "not_analysed_wait_s": 60.0}
    return site


def refused(site: Site, **values: object) -> None:
    """A study with a gap that was closed."""
    site.arrive(head(site.clock.now(), **({"numbers": GAP} | values)))  # type: ignore[arg-type]
    site.clock.advance(10)
    assert site.path.close_ready() == 1


def quiet(site: Site) -> list[tuple[int, int]]:
    """A minute later, what workers are woken for."""
    site.clock.advance(61)
    site.path.ring_due()
    return site.bell.reports


def test_refused_study_is_reported_once_it_is_quiet(telling: Site) -> None:
    refused(telling)
    telling.path.ring_due()
    assert telling.bell.reports == []
    (task,) = quiet(telling)
    telling.reading.report_not_analysed(*task)
    (order,) = telling.writer.refusals
    assert (order.refusal.reason, order.revision, len(order.paths)) == (Reason.MISSING_SLICES, 1, len(GAP))
    assert telling.ended() == ("NOT_ANALYSED", "MISSING_SLICES")
    telling.forwarding.forward(*telling.bell.forwards[-1])
    assert [kinds for _, kinds in telling.sender.sent] == [["SR"]]
    assert telling.ended() == ("NOT_ANALYSED", "MISSING_SLICES")
    assert telling.state() == "NOT_ANALYSED"


def test_report_is_written_and_sent_once_however_often_the_task_comes(telling: Site) -> None:
    refused(telling)
    (task,) = quiet(telling)
    for _ in range(3):
        telling.reading.report_not_analysed(*task)
        telling.forwarding.forward(*telling.bell.forwards[-1])
    telling.path.ring_due()
    assert telling.bell.reports == [task]
    assert len(telling.writer.refusals) == len(telling.sender.sent) == 1


def test_without_the_setting_nothing_is_reported(site: Site) -> None:
    refused(site)
    assert quiet(site) == []


def test_scout_and_dose_report_are_not_reported(telling: Site) -> None:
    refused(telling, series=1, numbers=range(2), **SCOUT)
    refused(telling, series=2, numbers=[0], modality="SR", has_pixels=False, association="a2")
    assert telling.state() == "NOT_ANALYSED"
    assert quiet(telling) == []


def test_study_of_which_a_series_is_read_is_not_reported(telling: Site) -> None:
    refused(telling)
    telling.arrive(head(telling.clock.now(), series=2, association="a2"))
    telling.clock.advance(1)
    telling.path.close_ready()
    telling.reading.read(*telling.bell.reads[-1])
    assert quiet(telling) == []


def test_slices_that_come_meanwhile_make_the_report_needless(telling: Site) -> None:
    refused(telling)
    (task,) = quiet(telling)
    telling.arrive(head(telling.clock.now(), numbers=[10, 11], association="a2"))
    telling.reading.report_not_analysed(*task)
    assert telling.writer.refusals == []


def test_reading_after_all_supersedes_the_report(telling: Site) -> None:
    refused(telling)
    telling.reading.report_not_analysed(*quiet(telling)[0])
    telling.arrive(head(telling.clock.now(), numbers=[10, 11], association="a2"))
    telling.clock.advance(1)
    telling.path.close_ready()
    telling.reading.read(*telling.bell.reads[-1])
    predecessor = telling.writer.orders[-1].predecessor
    assert predecessor is not None
    assert predecessor.answer == EarlierAnswer(None)


def test_reading_of_another_series_supersedes_the_report_too(telling: Site) -> None:
    refused(telling)
    telling.reading.report_not_analysed(*quiet(telling)[0])
    telling.arrive(head(telling.clock.now(), series=2, association="a2"))
    telling.clock.advance(1)
    telling.path.close_ready()
    telling.reading.read(*telling.bell.reads[-1])
    order = telling.writer.orders[-1]
    assert order.revision == 1
    assert order.predecessor is not None
    assert order.predecessor.answer == EarlierAnswer(None)


def test_report_that_stands_is_taken_back_whatever_the_setting(site: Site) -> None:
    """A late slice makes the series unreadable: the PACS must not keep the old answer as the last word."""
    site.reading.read(*site.closed())
    site.arrive(head(site.clock.now(), numbers=[HEAD_SLICES + 5], association="a2"))
    site.clock.advance(10)
    assert site.path.close_ready() == 1
    assert site.ended()[0] == "NOT_ANALYSED"
    (task,) = quiet(site)
    site.reading.report_not_analysed(*task)
    (order,) = site.writer.refusals
    assert order.revision == 2
    assert order.predecessor is not None
    assert order.predecessor.answer.flagged is True


def test_given_up_report_is_seen_and_can_be_sent_again(telling: Site) -> None:
    refused(telling)
    telling.reading.report_not_analysed(*quiet(telling)[0])
    telling.sender.script = [Action.GIVE_UP, Action.DONE]
    telling.forwarding.forward(*telling.bell.forwards[-1])
    (delivery,) = telling.repository.deliveries()
    assert delivery["state"] == "GIVEN_UP"
    assert telling.ended() == ("NOT_ANALYSED", "MISSING_SLICES")
    assert telling.repository.retry_deliveries(telling.clock.now(), study_instance_uid=STUDY) == 1
    telling.path.ring_due()
    telling.forwarding.forward(*telling.bell.forwards[-1])
    assert telling.repository.deliveries()[0]["state"] == "SENT"
    assert telling.ended() == ("NOT_ANALYSED", "MISSING_SLICES")


def test_report_that_cannot_be_written_asks_for_the_operator(telling: Site) -> None:
    refused(telling)
    telling.writer.error = ValueError("no space for tags")
    telling.reading.report_not_analysed(*quiet(telling)[0])
    assert telling.ended() == ("FAILED", "DEFECT")
    assert "MISSING_SLICES" in telling.series()["detail"]


def test_report_is_put_off_while_the_disk_or_database_is_away(telling: Site) -> None:
    refused(telling)
    (task,) = quiet(telling)
    telling.writer.error = Transient("away")
    telling.reading.report_not_analysed(*task)
    assert telling.ended() == ("NOT_ANALYSED", "MISSING_SLICES")
    telling.writer.error = None
    telling.path.ring_due()
    assert telling.bell.reports == [task, task]


def test_studies_of_last_week_are_left_alone(site: Site) -> None:
    refused(site)
    site.clock.advance(7 * 86_400)
    site.rules = {"report_not_analysed": True}
    assert quiet(site) == []


def test_refusal_by_the_pixels_is_reported_too(telling: Site) -> None:
    task = telling.closed()
    telling.reader.refusals["1.2.3.1"] = Refusal(Reason.NOT_HEAD, "no brain")
    telling.reading.read(*task)
    telling.reading.report_not_analysed(*quiet(telling)[0])
    assert telling.writer.refusals[0].refusal == Refusal(Reason.NOT_HEAD, "no brain")
