"""Which series of a study are read, which are declined, and what happens when the best turns out unreadable."""

from __future__ import annotations

import pytest
from fakes.site import Site
from fakes.slices import head

from triage_node.core.reason import Reason, Refusal


def _two_series(site: Site) -> None:
    """Series 1 sharp, series 2 soft, over one association."""
    now = site.clock.now()
    site.arrive([*head(now, series=1, convolution_kernel="H70h"), *head(now, series=2)])
    site.clock.advance(1)
    assert site.path.close_ready() == 2


def test_best_series_is_read_and_the_other_says_so(site: Site) -> None:
    _two_series(site)
    assert site.ended(1) == ("NOT_ANALYSED", "BETTER_SERIES")
    assert site.ended(2) == ("CLOSED", None)
    assert site.bell.reads[-1] == (site.series(2)["series_id"], 1)


def test_all_series_are_read_where_the_site_wants_that(site: Site) -> None:
    site.rules = {"read_all_series": True}
    _two_series(site)
    assert {site.ended(1), site.ended(2)} == {("CLOSED", None)}
    assert {each for each, _ in site.bell.reads} == {site.series(1)["series_id"], site.series(2)["series_id"]}


def test_second_best_is_read_when_the_best_cannot_be_decoded(site: Site) -> None:
    _two_series(site)
    site.reader.refusals["1.2.3.2"] = Refusal(Reason.UNDECODABLE, "JPEG")
    site.reading.read(site.series(2)["series_id"], 1)
    assert site.ended(2) == ("NOT_ANALYSED", "UNDECODABLE")
    assert site.ended(1) == ("CLOSED", None)
    assert site.bell.reads[-1] == (site.series(1)["series_id"], 1)
    site.reading.read(*site.bell.reads[-1])
    assert site.state() == "EVIDENCED"


def test_second_best_is_not_forgotten_when_the_worker_dies_while_it_declines_the_best(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    _two_series(site)
    site.reader.refusals["1.2.3.2"] = Refusal(Reason.UNDECODABLE, "JPEG")

    def killed(*_: object) -> None:
        raise SystemExit

    with monkeypatch.context() as dying:
        dying.setattr(type(site.path.repository), "decline", killed)
        with pytest.raises(SystemExit):
            site.reading.read(site.series(2)["series_id"], 1)
    site.clock.advance(1000)
    for _ in range(2):
        site.path.ring_due()
        for bell in list(dict.fromkeys(site.bell.reads)):
            site.reading.read(*bell)
    assert site.ended(2) == ("NOT_ANALYSED", "UNDECODABLE")
    assert site.state() == "EVIDENCED"


def test_series_that_comes_later_and_is_worse_is_not_read(site: Site) -> None:
    site.reading.read(*site.closed())
    site.arrive(head(site.clock.now(), series=2, convolution_kernel="H70h", association="a2"))
    site.clock.advance(1)
    site.path.close_ready()
    assert site.ended(2) == ("NOT_ANALYSED", "BETTER_SERIES")
    assert len(site.bell.reads) == 1
    assert site.state() == "EVIDENCED"


def test_series_that_comes_later_and_is_as_good_is_not_read(site: Site) -> None:
    site.reading.read(*site.closed(head(site.clock.now(), series=2)))
    site.arrive(head(site.clock.now(), series=1, association="a2"))
    site.clock.advance(1)
    site.path.close_ready()
    assert site.ended(1) == ("NOT_ANALYSED", "BETTER_SERIES")
    assert len(site.writer.orders) == 1


def test_series_that_comes_later_and_is_better_is_read_too(site: Site) -> None:
    site.reading.read(*site.closed(head(site.clock.now(), convolution_kernel="H70h")))
    site.arrive(head(site.clock.now(), series=2, association="a2"))
    site.clock.advance(1)
    site.path.close_ready()
    assert site.ended(2) == ("CLOSED", None)
    site.reading.read(*site.bell.reads[-1])
    assert site.state() == "EVIDENCED"
    assert len(site.writer.orders) == 2


def test_ineligible_series_is_declined_with_what_was_measured(site: Site) -> None:
    site.arrive(head(site.clock.now(), contrast_agent="IOHEXOL"))
    site.clock.advance(5)
    site.path.close_ready()
    assert site.ended() == ("NOT_ANALYSED", "CONTRAST")
    assert site.series()["detail"]
    assert not site.bell.reads


def test_choosing_twice_changes_nothing(site: Site) -> None:
    _two_series(site)
    before = site.study()
    site.path.choose(site.study()["study_id"])
    assert site.study() == before
