"""Messages in order on both databases: an older answer is never sent after a newer one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from triage_node.core.destination import Destination, DestinationKind
from triage_node.core.dimse_status import Action
from triage_node.core.ports import EvidenceObject, StudyRepository
from triage_node.core.reason import Reason, Refusal

RIS = Destination("ris", DestinationKind.HL7, "10.0.0.9:2575")
PAGER = Destination("pager", DestinationKind.WEBHOOK, "https://on.call/hook")
EHR = Destination("ehr", DestinationKind.FHIR, "https://ehr.example.org/R4")
KINDS = {RIS: "HL7", PAGER: "WEBHOOK", EHR: "FHIR"}


def message(site: Any, destination: Destination, revision: int, series: int = 1) -> list[EvidenceObject]:
    report = site.evidence(1, revision, heatmaps=0, series=series)[0]
    return [replace(report, kind=KINDS[destination], sop_instance_uid=f"{report.sop_instance_uid}.9", sop_class_uid="")]


def read_twice(repository: StudyRepository, site: Any, destination: Destination) -> int:
    """Tell of revision 1, put that off for ten minutes, and have revision 2's message due; return the study's id."""
    series_id = site.classified()
    repository.save_evidence(series_id, 1, message(site, destination, 1), [destination], site.at(13))
    site.deliver(action=Action.TRY_AGAIN, destination=destination, seconds=14, again=600)
    tell_again(repository, site, destination, series_id)
    return int(site.study()["study_id"])


def tell_again(repository: StudyRepository, site: Any, destination: Destination, series_id: int) -> None:
    site.arrive(numbers=[3], seconds=20)
    assert repository.close_series(series_id, 2, site.at(30))
    assert repository.claim(series_id, 2, now=site.at(31), lease_s=60)
    repository.save_finding(series_id, 2, site.finding(), site.at(32))
    repository.save_evidence(series_id, 2, message(site, destination, 2), [destination], site.at(33))


def states(repository: StudyRepository) -> list[str]:
    """By revision, the older first."""
    return [str(each["state"]) for each in reversed(repository.deliveries())]


@pytest.mark.parametrize("destination", [RIS, PAGER], ids=str)
def test_older_message_is_not_sent_after_the_newer(
    repository: StudyRepository, site: Any, destination: Destination
) -> None:
    study_id = read_twice(repository, site, destination)
    site.deliver(destination=destination, seconds=40)
    assert states(repository) == ["DUE", "SENT"]
    assert repository.claim_deliveries(study_id, str(destination), now=site.at(700), lease_s=60) is None
    assert states(repository) == ["SUPERSEDED", "SENT"]
    assert repository.deliveries()[1]["detail"] == "not sent: revision 2 is there already"
    assert repository.destinations_due(site.at(800)) == []
    assert repository.retry_deliveries(site.at(800)) == 0
    assert site.study()["state"] == "FORWARDED"


def test_older_message_goes_first_while_the_newer_has_not_gone(repository: StudyRepository, site: Any) -> None:
    study_id = read_twice(repository, site, RIS)
    for revision in (1, 2):
        batch = repository.claim_deliveries(study_id, str(RIS), now=site.at(700), lease_s=60)
        assert batch is not None
        assert [each.sop_instance_uid for _, each in batch.objects] == [f"2.25.1.1.{revision}.0.9"]
        for delivery_id, outcome in site.outcomes(batch):
            repository.save_outcome(delivery_id, outcome, site.at(701), next_attempt_at=None)
    assert states(repository) == ["SENT", "SENT"]


def test_newer_message_waits_while_the_older_is_being_sent(repository: StudyRepository, site: Any) -> None:
    series_id = site.classified()
    repository.save_evidence(series_id, 1, message(site, RIS, 1), [RIS], site.at(13))
    study_id = int(site.study()["study_id"])
    slow = repository.claim_deliveries(study_id, str(RIS), now=site.at(14), lease_s=60)
    assert slow is not None
    tell_again(repository, site, RIS, series_id)
    assert repository.claim_deliveries(study_id, str(RIS), now=site.at(40), lease_s=60) is None
    for delivery_id, outcome in site.outcomes(slow):
        repository.save_outcome(delivery_id, outcome, site.at(41), next_attempt_at=None)
    assert site.deliver(destination=RIS, seconds=42) == 1
    assert states(repository) == ["SENT", "SENT"]


def test_message_given_up_and_tried_again_is_superseded_too(repository: StudyRepository, site: Any) -> None:
    series_id = site.classified()
    repository.save_evidence(series_id, 1, message(site, RIS, 1), [RIS], site.at(13))
    site.deliver(action=Action.GIVE_UP, destination=RIS)
    tell_again(repository, site, RIS, series_id)
    site.deliver(destination=RIS, seconds=40)
    assert repository.retry_deliveries(site.at(50)) == 1
    assert repository.claim_deliveries(int(site.study()["study_id"]), str(RIS), now=site.at(51), lease_s=60) is None
    assert states(repository) == ["SUPERSEDED", "SENT"]


def test_not_analysed_is_not_said_after_the_reading(repository: StudyRepository, site: Any) -> None:
    refused = site.closed(series=1)
    repository.decline(refused, 1, Refusal(Reason.MISSING_SLICES, "1 gap"), site.at(11))
    repository.save_not_analysed(refused, 1, message(site, RIS, 1), [RIS], site.at(13))
    site.deliver(action=Action.TRY_AGAIN, destination=RIS, seconds=14, again=600)
    read = site.classified(series=2)
    repository.save_evidence(read, 1, message(site, RIS, 1, series=2), [RIS], site.at(15))
    site.deliver(destination=RIS, seconds=16)
    assert repository.claim_deliveries(int(site.study()["study_id"]), str(RIS), now=site.at(700), lease_s=60) is None
    assert states(repository) == ["SUPERSEDED", "SENT"]


def test_messages_of_two_series_that_are_both_read_both_go(repository: StudyRepository, site: Any) -> None:
    for series in (1, 2):
        series_id = site.classified(series=series)
        repository.save_evidence(series_id, 1, message(site, RIS, 1, series=series), [RIS], site.at(12 + series))
    site.deliver(action=Action.TRY_AGAIN, destination=RIS, seconds=20, again=600)
    site.deliver(destination=RIS, seconds=21)
    assert site.deliver(destination=RIS, seconds=700) == 1
    assert states(repository) == ["SENT", "SENT"]


def test_documents_that_name_what_they_replace_go_in_any_order(repository: StudyRepository, site: Any) -> None:
    read_twice(repository, site, EHR)
    site.deliver(destination=EHR, seconds=40)
    assert site.deliver(destination=EHR, seconds=700) == 1
    assert states(repository) == ["SENT", "SENT"]


def test_courier_whose_lease_ran_out_may_still_have_sent_it(repository: StudyRepository, site: Any) -> None:
    series_id = site.classified()
    repository.save_evidence(series_id, 1, message(site, RIS, 1), [RIS], site.at(13))
    study_id = int(site.study()["study_id"])
    slow = repository.claim_deliveries(study_id, str(RIS), now=site.at(14), lease_s=10)
    assert slow is not None
    tell_again(repository, site, RIS, series_id)
    site.deliver(action=Action.TRY_AGAIN, destination=RIS, seconds=40, again=600)
    site.deliver(destination=RIS, seconds=41)
    assert repository.claim_deliveries(study_id, str(RIS), now=site.at(700), lease_s=10) is None
    for delivery_id, outcome in site.outcomes(slow):
        repository.save_outcome(delivery_id, outcome, site.at(701), next_attempt_at=None)
    assert states(repository) == ["SENT", "SENT"]
