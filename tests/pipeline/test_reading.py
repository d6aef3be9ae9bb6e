"""The worker's part: one series once, whatever happens meanwhile, and never a silent end."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from fakes.ports import RecordingBell
from fakes.site import PACS, STUDY, Site
from fakes.slices import HEAD_SLICES, head

from triage_node.core.errors import Transient
from triage_node.core.reason import Reason, Refusal


def test_reading_leads_to_evidence_and_wakes_a_courier(site: Site) -> None:
    site.reading.read(*site.closed())
    row = site.study()
    assert (row["state"], row["flagged"], row["priority"], row["ich_probability"]) == ("EVIDENCED", True, "STAT", 0.9)
    assert site.bell.forwards == [(row["study_id"], str(PACS))]
    assert list(site.writer.orders[0].heatmaps) == list(range(HEAD_SLICES))


def test_study_that_is_not_flagged_stays_routine(site: Site) -> None:
    site.cascade.ich_probability = 0.1
    site.reading.read(*site.closed())
    row = site.study()
    assert (row["flagged"], row["priority"], row["subtypes"]) == (False, "ROUTINE", None)


def test_slices_reach_the_cascade_from_inferior_to_superior(site: Site) -> None:
    site.reading.read(*site.closed(list(reversed(head(site.clock.now())))))
    (volume,) = site.cascade.read_volumes
    assert volume.sop_instance_uids == tuple(f"1.2.3.1.{number + 1}" for number in range(HEAD_SLICES))


def test_task_that_comes_twice_reads_once(site: Site) -> None:
    task = site.closed()
    site.reading.read(*task)
    site.reading.read(*task)
    assert len(site.cascade.read_volumes) == 1
    assert len(site.bell.forwards) == 1


def test_second_worker_does_nothing_while_the_first_reads(site: Site) -> None:
    task = site.closed()
    site.cascade.meanwhile.append(lambda: site.reading.read(*task))
    site.reading.read(*task)
    assert len(site.cascade.read_volumes) == 1


def test_without_destinations_the_study_is_done_once_its_evidence_is_written(site: Site) -> None:
    site.rules = {"destinations": ()}
    site.reading.read(*site.closed())
    assert site.state() == "FORWARDED"
    assert not site.bell.forwards


def test_pixels_that_show_no_head_end_not_analysed(site: Site) -> None:
    site.reader.refusals["1.2.3.1"] = Refusal(Reason.NOT_HEAD, "empty")
    site.reading.read(*site.closed())
    assert site.ended() == ("NOT_ANALYSED", "NOT_HEAD")
    assert not site.writer.orders


@pytest.mark.parametrize("break_it", ["reader", "cascade"])
def test_defect_fails_the_series_and_says_what_it_was(site: Site, break_it: str) -> None:
    getattr(site, break_it).error = ZeroDivisionError("division by zero")
    site.reading.read(*site.closed())
    assert site.ended() == ("FAILED", "DEFECT")
    assert site.series()["detail"] == "ZeroDivisionError: division by zero"


def test_transient_error_leaves_the_series_to_be_read_again(site: Site) -> None:
    task = site.closed()
    site.reader.error = Transient("the share is away")
    site.reading.read(*task)
    assert site.ended() == ("CLOSED", None)
    assert site.repository.due_for_reading(site.clock.now()) == [task]
    site.reader.error = None
    site.reading.read(*task)
    assert site.state() == "EVIDENCED"


def test_transient_errors_never_count_as_dead_workers(site: Site) -> None:
    task = site.closed()
    site.reader.error = Transient("the share is away")
    for _ in range(5):
        site.reading.read(*task)
    assert site.ended() == ("CLOSED", None)


def test_worker_that_died_is_replaced_when_its_lease_is_over(site: Site) -> None:
    task = site.closed()
    assert site.repository.claim(*task, now=site.clock.now(), lease_s=60)
    site.path.ring_due()
    assert set(site.bell.reads) == {task}
    site.clock.advance(60)
    site.path.ring_due()
    assert set(site.bell.reads[1:]) == {task}
    site.reading.read(*task)
    assert site.state() == "EVIDENCED"


def test_series_that_kills_two_workers_fails_instead_of_killing_a_third(site: Site) -> None:
    task = site.closed()
    for _ in range(2):
        assert site.repository.claim(*task, now=site.clock.now(), lease_s=60)
        site.clock.advance(61)
    site.reading.read(*task)
    assert site.ended() == ("FAILED", "WORKER_LOST")
    assert not site.cascade.read_volumes


def _late_slice(site: Site) -> None:
    site.arrive(head(site.clock.now(), numbers=[HEAD_SLICES], association="a2"))


def test_late_slice_while_reading_leaves_no_report_of_half_a_series(site: Site) -> None:
    site.cascade.meanwhile.append(lambda: _late_slice(site))
    site.reading.read(*site.closed())
    assert site.ended() == ("RECEIVING", None)
    assert not site.writer.orders
    assert site.study()["priority"] == "STAT"  # what was seen in the slices that were there raises the study at once


def test_worker_that_died_between_finding_and_evidence_is_made_good(site: Site) -> None:
    task = site.closed()
    broken = site.writer.write

    def die(_: object) -> None:
        raise Transient("killed")

    site.writer.write = die  # type: ignore[assignment]
    site.reading.read(*task)
    assert site.ended() == ("CLASSIFIED", None)
    site.writer.write = broken  # type: ignore[method-assign]
    site.reading.read(*task)
    assert site.state() == "EVIDENCED"
    assert len(site.study()["series"][0]["revisions"]) == 1


def test_due_series_are_rung_for_after_a_lost_bell(site: Site) -> None:
    task = site.closed()
    site.bell.reads.clear()
    site.path.ring_due()
    assert set(site.bell.reads) == {task}


def test_ring_does_not_wake_a_worker_for_a_series_that_choice_declines(site: Site) -> None:
    """A crash between closing and choosing leaves CLOSED series: ringing chooses before it wakes anybody."""
    site.arrive(head(site.clock.now(), contrast_agent="IOHEXOL"))
    (series,) = site.repository.open_series()
    assert site.repository.close_series(series.series_id, series.revision, site.clock.now())
    site.path.ring_due()
    assert site.ended() == ("NOT_ANALYSED", "CONTRAST")
    site.reading.read(series.series_id, series.revision)
    assert not site.cascade.read_volumes


def test_reprocessed_study_is_read_again_as_the_next_revision(site: Site) -> None:
    site.reading.read(*site.closed())
    site.clock.advance(10)
    ((series_id, revision),) = site.repository.reprocess(STUDY, site.clock.now())
    site.reading.read(series_id, revision)
    assert revision == 2
    assert site.writer.orders[-1].predecessor is not None
    assert site.state() == "EVIDENCED"


def test_priority_never_falls(site: Site) -> None:
    site.reading.read(*site.closed())
    site.cascade.ich_probability = 0.1
    ((series_id, revision),) = site.repository.reprocess(STUDY, site.clock.now())
    site.reading.read(series_id, revision)
    row = site.study()
    assert (row["flagged"], row["priority"]) == (False, "STAT")


@pytest.mark.parametrize("step", [lambda site: site.path.close_ready(), lambda site: site.path.ring_due()])
def test_empty_node_has_nothing_to_do(site: Site, step: Callable[[Site], object]) -> None:
    step(site)
    assert site.bell == RecordingBell()


def test_heatmaps_of_all_slices_are_ordered_by_setting_and_none_of_a_study_that_is_not_flagged(site: Site) -> None:
    site.rules = {"heatmaps": "all"}
    site.cascade.ich_probability = 0.1
    site.reading.read(*site.closed())
    assert site.writer.orders[-1].heatmaps == {}
    site.cascade.ich_probability = 0.9
    site.clock.advance(10)
    site.reading.read(*site.repository.reprocess(STUDY, site.clock.now())[0])
    assert list(site.writer.orders[-1].heatmaps) == list(range(HEAD_SLICES))
