"""StudyRepository: closing, declining and choosing; each step twice, and at a wrong moment."""

from __future__ import annotations

from typing import Any

import pytest

from triage_node.core.ports import StudyRepository
from triage_node.core.reason import Reason, Refusal
from triage_node.core.study_state import IllegalTransition, Overtaken, State

BETTER = Refusal(Reason.BETTER_SERIES)
NOT_HEAD = Refusal(Reason.NOT_HEAD, "no skull")


def test_a_series_is_closed_once(repository: StudyRepository, site: Any) -> None:
    series_id = site.arrive()
    assert repository.close_series(series_id, 1, site.at(10))
    assert not repository.close_series(series_id, 1, site.at(11))
    assert site.series(series_id)["closed_at"] == site.at(10).isoformat()
    assert repository.open_series() == []


def test_closing_an_overtaken_revision_does_nothing(repository: StudyRepository, site: Any) -> None:
    series_id = site.closed()
    site.arrive(1, 1, [99])
    assert not repository.close_series(series_id, 1, site.at(20))
    assert repository.close_series(series_id, 2, site.at(20))


def test_a_series_that_grew_since_it_was_looked_at_stays_open(repository: StudyRepository, site: Any) -> None:
    series_id = site.arrive(1, 1, range(3))
    site.arrive(1, 1, [3])
    assert not repository.close_series(series_id, 1, site.at(10), instance_count=3)
    assert repository.close_series(series_id, 1, site.at(10), instance_count=4)


def test_candidates_are_past_receiving(repository: StudyRepository, site: Any) -> None:
    closed = site.closed(1, 1)
    declined = site.closed(1, 2)
    site.arrive(1, 3)
    repository.decline(declined, 1, NOT_HEAD, site.at(11))
    found = repository.candidates(site.study()["study_id"])
    assert [(each.series_id, each.state, each.refusal_reason) for each in found] == [
        (closed, State.CLOSED, None),
        (declined, State.NOT_ANALYSED, "NOT_HEAD"),
    ]
    assert [header.sop_instance_uid for header in found[0].headers] == [f"1.2.3.1.1.{number}" for number in range(3)]


def test_the_first_reason_stands(repository: StudyRepository, site: Any) -> None:
    series_id = site.closed()
    repository.decline(series_id, 1, NOT_HEAD, site.at(11))
    repository.decline(series_id, 1, BETTER, site.at(12))
    series = site.series(series_id)
    assert (series["state"], series["reason"], series["detail"]) == ("NOT_ANALYSED", "NOT_HEAD", "no skull")
    assert (site.study()["state"], site.study()["reason"]) == ("NOT_ANALYSED", "NOT_HEAD")


def test_declining_gives_the_lease_up(repository: StudyRepository, site: Any) -> None:
    series_id = site.closed()
    assert repository.claim(series_id, 1, now=site.at(11), lease_s=60)
    repository.decline(series_id, 1, NOT_HEAD, site.at(12))
    assert site.series(series_id)["leased_until"] is None
    assert repository.due_for_reading(site.at(1000)) == []


@pytest.mark.parametrize("state", ["arrive", "classified", "evidenced", "forwarded"])
def test_only_a_closed_series_is_declined(repository: StudyRepository, site: Any, state: str) -> None:
    series_id = getattr(site, state)()
    before = site.study()
    with pytest.raises(IllegalTransition):
        repository.decline(series_id, 1, NOT_HEAD, site.at(20))
    assert site.study() == before


def test_a_better_series_is_taken_back(repository: StudyRepository, site: Any) -> None:
    series_id = site.closed()
    repository.decline(series_id, 1, BETTER, site.at(11))
    for _ in range(2):
        repository.choose(series_id, 1)
        assert site.state(series_id) == ("CLOSED", 1)
    assert site.series(series_id)["reason"] is None
    assert repository.due_for_reading(site.at(12)) == [(series_id, 1)]


def test_what_was_declined_for_itself_is_not_chosen(repository: StudyRepository, site: Any) -> None:
    series_id = site.closed()
    repository.decline(series_id, 1, NOT_HEAD, site.at(11))
    with pytest.raises(IllegalTransition):
        repository.choose(series_id, 1)


def test_steps_for_an_overtaken_revision_say_so(repository: StudyRepository, site: Any) -> None:
    series_id = site.closed()
    site.arrive(1, 1, [99])
    with pytest.raises(Overtaken):
        repository.decline(series_id, 1, NOT_HEAD, site.at(11))
    with pytest.raises(Overtaken):
        repository.choose(series_id, 1)
    assert site.state(series_id) == ("RECEIVING", 2)
