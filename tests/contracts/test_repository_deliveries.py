"""StudyRepository: the outbox, from due to sent or given up and due again."""

from __future__ import annotations

from typing import Any

import pytest

from triage_node.core.dimse_status import Action
from triage_node.core.ports import SendOutcome, StudyRepository
from triage_node.core.study_state import DeliveryState


def test_a_batch_holds_what_one_study_has_due_at_one_destination(repository: StudyRepository, site: Any) -> None:
    site.evidenced(1, destinations=[site.pacs, site.archive])
    site.evidenced(2)
    study_id = site.study(1)["study_id"]
    assert repository.destinations_due(site.at(12)) == []
    due = repository.destinations_due(site.at(13))
    assert sorted(due) == sorted(
        [(study_id, str(site.pacs)), (study_id, str(site.archive)), (site.study(2)["study_id"], str(site.pacs))]
    )
    batch = repository.claim_deliveries(study_id, str(site.archive), now=site.at(13), lease_s=60)
    assert batch is not None
    assert (batch.destination, batch.attempts, batch.due_since) == (site.archive.name, 0, site.at(13))
    assert [each for _, each in batch.objects] == site.evidence(1)


def test_a_lease_keeps_other_couriers_away_until_it_ends(repository: StudyRepository, site: Any) -> None:
    site.evidenced()
    study_id = site.study()["study_id"]
    arguments = (study_id, str(site.pacs))
    assert repository.claim_deliveries(*arguments, now=site.at(14), lease_s=60)
    assert repository.claim_deliveries(*arguments, now=site.at(73), lease_s=60) is None
    assert repository.destinations_due(site.at(73)) == []
    again = repository.claim_deliveries(*arguments, now=site.at(74), lease_s=60)
    assert again is not None
    assert again.attempts == 1


def test_a_series_is_forwarded_when_everything_is_sent(repository: StudyRepository, site: Any) -> None:
    series_id = site.evidenced(destinations=[site.pacs, site.archive])
    site.deliver(destination=site.pacs, seconds=14)
    assert site.state(series_id) == ("EVIDENCED", 1)
    site.deliver(1, Action.DONE_WITH_WARNING, destination=site.archive, seconds=15)
    assert site.state(series_id) == ("FORWARDED", 1)
    assert site.study()["forwarded_at"] == site.at(15).isoformat()
    assert repository.worklist()[0]["deliveries"] == {
        str(site.pacs): {"DUE": 0, "SENT": 2, "GIVEN_UP": 0, "SUPERSEDED": 0},
        str(site.archive): {"DUE": 0, "SENT": 2, "GIVEN_UP": 0, "SUPERSEDED": 0},
    }


def test_a_delivery_put_off_is_due_again_later(repository: StudyRepository, site: Any) -> None:
    series_id = site.evidenced()
    site.deliver(1, Action.TRY_AGAIN, seconds=14, again=20)
    assert repository.destinations_due(site.at(19)) == []
    assert repository.destinations_due(site.at(20)) == [(site.study()["study_id"], str(site.pacs))]
    delivery = repository.deliveries()[0]
    assert (delivery["state"], delivery["status_code"], delivery["attempts"]) == ("DUE", 0xA700, 1)
    site.deliver(seconds=21)
    assert site.state(series_id) == ("FORWARDED", 1)


def test_a_series_fails_when_some_is_given_up_and_nothing_is_due(repository: StudyRepository, site: Any) -> None:
    series_id = site.evidenced(destinations=[site.pacs, site.archive])
    site.deliver(1, Action.GIVE_UP, destination=site.archive)
    assert site.state(series_id) == ("EVIDENCED", 1)
    site.deliver(destination=site.pacs)
    study = site.study()
    assert (study["state"], study["reason"], study["detail"]) == ("FAILED", "DELIVERY_GIVEN_UP", str(site.archive))


def test_given_up_deliveries_go_out_when_they_are_tried_again(repository: StudyRepository, site: Any) -> None:
    series_id = site.evidenced()
    site.deliver(1, Action.GIVE_UP)
    assert repository.retry_deliveries(site.at(100)) == 2
    assert repository.retry_deliveries(site.at(100)) == 0
    batch = repository.deliveries(state=DeliveryState.DUE)
    assert {(each["attempts"], each["due_since"]) for each in batch} == {(0, site.at(100).isoformat())}
    assert site.state(series_id) == ("FAILED", 1)
    site.deliver(seconds=101)
    assert site.state(series_id) == ("FORWARDED", 1)
    assert site.study()["reason"] is None


def test_one_study_or_named_deliveries_are_tried_again(repository: StudyRepository, site: Any) -> None:
    for study in (1, 2):
        site.evidenced(study)
        site.deliver(study, Action.GIVE_UP)
    assert repository.retry_deliveries(site.at(100), study_instance_uid=site.study_uid(2)) == 2
    left = repository.deliveries(state=DeliveryState.GIVEN_UP)
    assert {each["study_instance_uid"] for each in left} == {site.study_uid(1)}
    assert repository.retry_deliveries(site.at(100), delivery_ids=[left[0]["delivery_id"]]) == 1
    assert repository.retry_deliveries(site.at(100), delivery_ids=[]) == 0


def test_an_outcome_twice_is_one(repository: StudyRepository, site: Any) -> None:
    site.evidenced()
    batch = repository.claim_deliveries(site.study()["study_id"], str(site.pacs), now=site.at(14), lease_s=60)
    assert batch is not None
    for _ in range(2):
        for delivery_id, outcome in site.outcomes(batch):
            repository.save_outcome(delivery_id, outcome, site.at(15), next_attempt_at=None)
    assert {each["state"] for each in repository.deliveries()} == {"SENT"}
    assert site.study()["forwarded_at"] == site.at(15).isoformat()


def test_a_batch_of_outcomes_counts_like_each_alone(repository: StudyRepository, site: Any) -> None:
    series_id = site.evidenced()
    arguments = (site.study()["study_id"], str(site.pacs))
    batch = repository.claim_deliveries(*arguments, now=site.at(14), lease_s=60)
    assert batch is not None
    (sent, put_off), again = site.outcomes(batch), site.at(20)
    late = SendOutcome(put_off[1].sop_instance_uid, Action.TRY_AGAIN, 0xA700, "full")
    repository.save_outcomes([(*sent, None), (put_off[0], late, again)], site.at(15))
    assert sorted(each["state"] for each in repository.deliveries()) == ["DUE", "SENT"]
    batch = repository.claim_deliveries(*arguments, now=again, lease_s=60)
    assert batch is not None
    assert [id_ for id_, _ in batch.objects] == [put_off[0]]
    repository.save_outcomes([(*each, None) for each in site.outcomes(batch)], site.at(21))
    assert site.state(series_id) == ("FORWARDED", 1)


@pytest.mark.parametrize("again", [None, 500])
def test_a_slower_courier_takes_nothing_back(repository: StudyRepository, site: Any, again: float | None) -> None:
    site.forwarded()
    before = site.study()
    for each in repository.deliveries():
        late = SendOutcome(each["sop_instance_uid"], Action.TRY_AGAIN, None, "time-out")
        next_attempt_at = None if again is None else site.at(again)
        repository.save_outcome(each["delivery_id"], late, site.at(400), next_attempt_at=next_attempt_at)
    assert site.study() == before


def test_accepted_after_all_is_accepted(repository: StudyRepository, site: Any) -> None:
    series_id = site.evidenced()
    site.deliver(1, Action.GIVE_UP)
    for each in repository.deliveries():
        done = SendOutcome(each["sop_instance_uid"], Action.DONE, 0, "")
        repository.save_outcome(each["delivery_id"], done, site.at(20), next_attempt_at=None)
    assert site.state(series_id) == ("FORWARDED", 1)


def test_an_earlier_report_goes_out_before_the_one_that_supersedes_it(repository: StudyRepository, site: Any) -> None:
    series_id = site.evidenced()
    site.arrive(1, 1, [99])
    repository.close_series(series_id, 2, site.at(20))
    repository.save_finding(series_id, 2, site.finding(), site.at(21))
    repository.save_evidence(series_id, 2, site.evidence(1, 2), [site.pacs], site.at(22))
    study_id = site.study()["study_id"]
    first = repository.claim_deliveries(study_id, str(site.pacs), now=site.at(23), lease_s=60)
    second = repository.claim_deliveries(study_id, str(site.pacs), now=site.at(23), lease_s=60)
    assert first is not None
    assert second is not None
    assert [each for _, each in first.objects] == site.evidence(1, 1)
    assert [each for _, each in second.objects] == site.evidence(1, 2)
    for delivery_id, outcome in site.outcomes(first, Action.GIVE_UP):
        repository.save_outcome(delivery_id, outcome, site.at(24), next_attempt_at=None)
    assert site.state(series_id) == ("EVIDENCED", 2), "what became of an earlier report does not end the later one"
    for delivery_id, outcome in site.outcomes(second):
        repository.save_outcome(delivery_id, outcome, site.at(25), next_attempt_at=None)
    assert site.state(series_id) == ("FORWARDED", 2)


def test_a_large_delivery_is_leased_for_longer(repository: StudyRepository, site: Any) -> None:
    series_id = site.classified()
    repository.save_evidence(series_id, 1, site.evidence(1, heatmaps=109), [site.pacs], site.at(13))
    arguments = (site.study()["study_id"], site.pacs.name)
    assert repository.claim_deliveries(*arguments, now=site.at(14), lease_s=60)
    assert repository.destinations_due(site.at(14 + 60 + 199)) == []
    assert repository.destinations_due(site.at(14 + 60 + 200)) == [arguments]
