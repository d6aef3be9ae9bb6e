"""When a series is over: on evidence at once, else after the quiet period, never before its associations are released."""

from __future__ import annotations

from datetime import timedelta

from fakes.site import Site
from fakes.slices import HEAD_SLICES, head


def test_whole_head_closes_when_its_association_is_released_and_settled(site: Site) -> None:
    site.arrive(head(site.clock.now()))
    assert site.path.close_ready() == 0
    site.clock.advance(0.2)
    assert site.path.close_ready() == 1
    assert site.ended() == ("CLOSED", None)
    assert len(site.bell.reads) == 1


def test_nothing_closes_while_an_association_is_open(site: Site) -> None:
    site.arrive(head(site.clock.now()), release=False)
    site.clock.advance(4.9)
    assert site.path.close_ready() == 0


def test_one_of_two_associations_still_open_keeps_the_series_open(site: Site) -> None:
    site.arrive(head(site.clock.now(), numbers=range(14)))
    site.arrive(head(site.clock.now(), numbers=range(14, HEAD_SLICES), association="a2"), release=False)
    site.clock.advance(1)
    assert site.path.close_ready() == 0
    site.repository.end_association("a2", site.clock.now(), aborted=False)
    site.clock.advance(0.2)
    assert site.path.close_ready() == 1


def test_head_with_a_gap_waits_for_the_quiet_period(site: Site) -> None:
    site.arrive(head(site.clock.now(), numbers=[*range(10), *range(11, HEAD_SLICES)]))
    site.clock.advance(4.9)
    assert site.path.close_ready() == 0
    site.clock.advance(0.1)
    assert site.path.close_ready() == 1
    assert site.ended() == ("NOT_ANALYSED", "MISSING_SLICES")


def test_aborted_association_waits_for_the_quiet_period_though_the_head_looks_whole(site: Site) -> None:
    site.arrive(head(site.clock.now()), aborted=True)
    site.clock.advance(1)
    assert site.path.close_ready() == 0
    site.clock.advance(4)
    assert site.path.close_ready() == 1
    assert site.ended() == ("CLOSED", None)


def test_association_that_never_ends_does_not_hold_a_series_for_ever(site: Site) -> None:
    site.arrive(head(site.clock.now()), release=False)
    site.clock.advance(5)
    assert site.path.close_ready() == 1


def test_instances_found_in_the_spool_close_after_the_quiet_period(site: Site) -> None:
    site.arrive(head(site.clock.now(), association=None))
    site.clock.advance(4)
    assert site.path.close_ready() == 0
    site.clock.advance(1)
    assert site.path.close_ready() == 1


def test_expected_count_closes_what_geometry_would_let_wait(site: Site) -> None:
    site.arrive(head(site.clock.now(), numbers=range(4), expected_instances=4))
    site.clock.advance(0.2)
    assert site.path.close_ready() == 1
    assert site.ended() == ("NOT_ANALYSED", "TOO_FEW_SLICES")


def test_expected_count_that_is_not_reached_waits(site: Site) -> None:
    site.arrive(head(site.clock.now(), expected_instances=HEAD_SLICES + 1))
    site.clock.advance(1)
    assert site.path.close_ready() == 0


def test_closing_twice_wakes_one_worker_once(site: Site) -> None:
    site.closed()
    assert site.path.close_ready() == 0
    assert len(site.bell.reads) == 1


def test_late_slice_opens_the_next_revision_and_is_read_again(site: Site) -> None:
    stored = head(site.clock.now())
    first = site.closed(stored[:-1])
    site.reading.read(*first)
    site.arrive(head(site.clock.now(), numbers=[HEAD_SLICES - 1], association="a2"))
    assert site.ended() == ("RECEIVING", None)
    site.clock.advance(1)
    assert site.path.close_ready() == 1
    assert site.bell.reads[-1] == (first[0], 2)
    site.reading.read(*site.bell.reads[-1])
    assert site.writer.orders[-1].revision == 2
    predecessor = site.writer.orders[-1].predecessor
    assert predecessor is not None
    assert predecessor.path == site.writer.write(site.writer.orders[0])[0].path


def test_slice_that_comes_between_looking_and_closing_keeps_the_series_open(site: Site) -> None:
    site.arrive(head(site.clock.now(), numbers=range(HEAD_SLICES - 1)))
    (series,) = site.repository.open_series()
    site.reading.read(series.series_id, 1)
    assert site.ended() == ("RECEIVING", None)
    assert not site.cascade.read_volumes


def test_study_shows_when_it_was_received_and_released(site: Site) -> None:
    received = site.clock.now()
    site.arrive(head(received), release=False)
    site.clock.advance(3)
    site.repository.end_association("a1", site.clock.now(), aborted=False)
    row = site.study()
    assert row["received_at"] == received.isoformat()
    assert row["released_at"] == (received + timedelta(seconds=3)).isoformat()
