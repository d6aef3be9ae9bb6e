"""StudyRepository: what is owed to which destination, circuit breakers, storage commitment. On both databases."""

from __future__ import annotations

from typing import Any

import pytest

from triage_node.core.circuit_breaker import BreakerRules
from triage_node.core.commitment import CommitmentResult
from triage_node.core.destination import Destination, DestinationKind, SendRule
from triage_node.core.dimse_status import Action
from triage_node.core.ports import SendOutcome, StudyRepository
from triage_node.core.study_state import DeliveryState

RULES = BreakerRules(failures_allowed=2, first_open_s=10, longest_open_s=40)


def named(name: str, **values: Any) -> Destination:
    return Destination(name, DestinationKind.DICOM, "X@10.0.0.9:104", **values)


def owed(repository: StudyRepository) -> set[tuple[str, str]]:
    return {(each["destination"], each["kind"]) for each in repository.deliveries()}


# rules ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("probability", "expected"), [(0.9, {"reports", "urgent"}), (0.1, {"reports"})])
def test_rules_decide_when_evidence_is_saved(
    repository: StudyRepository, site: Any, probability: float, expected: set[str]
) -> None:
    destinations = [
        named("reports", objects=("SR",)),
        named("urgent", send=SendRule.FLAGGED),
        named("elsewhere", called_ae_titles=("ER",)),
    ]
    site.evidenced(destinations=destinations, probability=probability)
    assert {name for name, _ in owed(repository)} == expected
    assert ("reports", "SC") not in owed(repository)


def test_a_destination_may_want_studies_of_one_called_title_only(repository: StudyRepository, site: Any) -> None:
    peer = site.instance(1, 1, 0).peer
    repository.open_association(peer, site.at(0))
    site.evidenced(destinations=[named("ours", called_ae_titles=(peer.called_ae_title,))])
    assert owed(repository) == {("ours", "SR"), ("ours", "SC")}


def test_who_was_told_of_a_hemorrhage_hears_that_it_is_taken_back(repository: StudyRepository, site: Any) -> None:
    urgent = named("urgent", send=SendRule.FLAGGED)
    series_id = site.evidenced(destinations=[urgent])
    site.arrive(1, 1, [99])
    repository.close_series(series_id, 2, site.at(20))
    repository.save_finding(series_id, 2, site.finding(0.1), site.at(21))
    repository.save_evidence(series_id, 2, site.evidence(1, 2, heatmaps=0), [urgent], site.at(22))
    assert [each["revision"] for each in repository.deliveries() if each["kind"] == "SR"] == [2, 1]


def test_a_study_that_nobody_wants_is_forwarded(repository: StudyRepository, site: Any) -> None:
    series_id = site.evidenced(destinations=[named("urgent", send=SendRule.FLAGGED)], probability=0.1)
    assert site.state(series_id) == ("FORWARDED", 1)


def test_a_warning_stays_to_be_seen(repository: StudyRepository, site: Any) -> None:
    site.evidenced()
    site.deliver(1, Action.DONE_WITH_WARNING)
    assert {each["warning"] for each in repository.deliveries()} == {"DONE_WITH_WARNING"}
    assert {each["state"] for each in repository.deliveries()} == {"SENT"}


# breakers ------------------------------------------------------------------------------------------------------------


def fail(repository: StudyRepository, site: Any, seconds: float, times: int = 2) -> None:
    for _ in range(times):
        repository.note_silence(site.pacs.name, site.at(seconds), RULES, "no connection")


def test_an_open_breaker_keeps_everybody_away_and_only_from_its_destination(
    repository: StudyRepository, site: Any
) -> None:
    site.evidenced(destinations=[site.pacs, site.archive])
    study_id = site.study()["study_id"]
    assert repository.note_silence(site.pacs.name, site.at(14), RULES, "no connection") is None
    assert repository.note_silence(site.pacs.name, site.at(14), RULES, "no connection") == site.at(24)
    assert repository.destinations_due(site.at(15)) == [(study_id, site.archive.name)]
    assert repository.claim_deliveries(study_id, site.pacs.name, now=site.at(15), lease_s=60) is None
    assert repository.claim_deliveries(study_id, site.archive.name, now=site.at(15), lease_s=60)
    (breaker,) = repository.breakers(site.at(15))
    assert breaker == {
        "destination": site.pacs.name,
        "breaker": "OPEN",
        "failures": 2,
        "open_until": site.at(24).isoformat(),
        "failed_at": site.at(14).isoformat(),
        "detail": "no connection",
    }


def test_one_study_probes_and_the_others_wait(repository: StudyRepository, site: Any) -> None:
    for study in (1, 2, 3):
        site.evidenced(study)
    fail(repository, site, 14)
    ((study_id, destination),) = repository.destinations_due(site.at(24))
    assert study_id == site.study(1)["study_id"]
    assert repository.claim_deliveries(study_id, destination, now=site.at(24), lease_s=60)
    assert repository.destinations_due(site.at(25)) == []
    other = site.study(2)["study_id"]
    assert repository.claim_deliveries(other, destination, now=site.at(25), lease_s=60) is None
    assert repository.note_answer(destination, site.at(26)) is True
    assert len(repository.destinations_due(site.at(26))) == 2
    assert repository.breakers(site.at(26)) == []
    assert repository.note_answer(destination, site.at(27)) is False


def test_a_probe_whose_courier_died_is_replaced(repository: StudyRepository, site: Any) -> None:
    site.evidenced()
    fail(repository, site, 14)
    (due,) = repository.destinations_due(site.at(24))
    assert repository.claim_deliveries(*due, now=site.at(24), lease_s=60)
    assert repository.destinations_due(site.at(83)) == []
    assert repository.destinations_due(site.at(84)) == [due]
    assert repository.claim_deliveries(*due, now=site.at(84), lease_s=60)


def test_what_was_put_off_is_due_when_the_destination_is_back(repository: StudyRepository, site: Any) -> None:
    site.evidenced()
    site.deliver(1, Action.TRY_AGAIN, seconds=14, again=300)
    fail(repository, site, 14)
    assert repository.destinations_due(site.at(30)) == []
    repository.note_answer(site.pacs.name, site.at(30))
    assert repository.destinations_due(site.at(30)) == [(site.study()["study_id"], site.pacs.name)]


def test_what_waited_too_long_behind_a_breaker_is_given_up(repository: StudyRepository, site: Any) -> None:
    first = site.evidenced(1)
    site.evidenced(2, destinations=[site.archive])
    lost = repository.give_up_overdue(site.pacs.name, due_before=site.at(13), now=site.at(99), detail="no connection")
    assert len(lost) == 2
    assert site.state(first) == ("FAILED", 1)
    given_up = repository.deliveries(state=DeliveryState.GIVEN_UP)
    assert {(each["destination"], each["detail"]) for each in given_up} == {(site.pacs.name, "no connection")}
    assert not repository.give_up_overdue(site.archive.name, due_before=site.at(12), now=site.at(99), detail="")


# storage commitment --------------------------------------------------------------------------------------------------

ARCHIVE = named("archive", storage_commitment=True)


def asked(repository: StudyRepository, site: Any, seconds: float = 15) -> Any:
    study_id = site.study()["study_id"]
    return repository.claim_commitments(study_id, "archive", now=site.at(seconds), ask_again_at=site.at(seconds + 60))


def report(repository: StudyRepository, site: Any, result: CommitmentResult, seconds: float = 16) -> Any:
    return repository.save_commitment(
        result, site.at(seconds), send_again_at=site.at(seconds + 5), due_before=site.at(seconds - 1000)
    )


@pytest.fixture
def sent(site: Any) -> int:
    """A series whose objects are at an archive that is to commit to them: its id."""
    series_id: int = site.evidenced(destinations=[ARCHIVE])
    site.deliver(destination=ARCHIVE)
    return series_id


def commitments(repository: StudyRepository) -> set[tuple[str, str]]:
    return {(each["state"], each["commitment"]) for each in repository.deliveries()}


def test_what_is_sent_is_asked_for_once(repository: StudyRepository, site: Any, sent: int) -> None:
    assert repository.destinations_due(site.at(15)) == [(site.study()["study_id"], "archive")]
    order = asked(repository, site)
    assert {each.sop_instance_uid for each in order.references} == {e.sop_instance_uid for e in site.evidence(1)}
    assert repository.destinations_due(site.at(16)) == []
    assert asked(repository, site, 16) is None
    result = CommitmentResult(order.transaction_uid, tuple(e.sop_instance_uid for e in order.references), {})
    assert report(repository, site, result) == []
    assert commitments(repository) == {("SENT", "COMMITTED")}
    assert {each["committed_at"] for each in repository.deliveries()} == {site.at(16).isoformat()}
    assert report(repository, site, result) is None, "a report that comes twice"
    assert asked(repository, site, 9999) is None


def test_what_is_not_there_is_sent_again(repository: StudyRepository, site: Any, sent: int) -> None:
    order = asked(repository, site)
    kept, missing = (each.sop_instance_uid for each in order.references)
    assert site.state(sent) == ("FORWARDED", 1)
    lost = report(repository, site, CommitmentResult(order.transaction_uid, (kept,), {missing: 0x0112}))
    assert len(lost) == 1
    assert commitments(repository) == {("SENT", "COMMITTED"), ("DUE", "WANTED")}
    assert site.state(sent) == ("EVIDENCED", 1)
    batch = repository.claim_deliveries(site.study()["study_id"], "archive", now=site.at(21), lease_s=60)
    assert batch is not None
    assert [each.sop_instance_uid for _, each in batch.objects] == [missing]
    repository.save_outcomes([(*each, None) for each in site.outcomes(batch)], site.at(22))
    assert site.state(sent) == ("FORWARDED", 1)
    again = asked(repository, site, 23)
    assert [each.sop_instance_uid for each in again.references] == [missing]
    assert again.transaction_uid != order.transaction_uid


def test_what_is_never_there_is_given_up(repository: StudyRepository, site: Any, sent: int) -> None:
    order = asked(repository, site)
    missing = {each.sop_instance_uid: 0x0112 for each in order.references}
    result = CommitmentResult(order.transaction_uid, (), missing)
    repository.save_commitment(result, site.at(900), send_again_at=site.at(905), due_before=site.at(100))
    assert {each["state"] for each in repository.deliveries()} == {"GIVEN_UP"}
    assert site.state(sent) == ("FAILED", 1)
    assert repository.retry_deliveries(site.at(1000)) == 2


def test_what_an_archive_never_commits_to_stays_sent_with_a_warning(
    repository: StudyRepository, site: Any, sent: int
) -> None:
    order = asked(repository, site)
    refused = {each.sop_instance_uid: 0x0122 for each in order.references}
    report(repository, site, CommitmentResult(order.transaction_uid, (), refused))
    assert commitments(repository) == {("SENT", "REFUSED")}
    assert site.state(sent) == ("FORWARDED", 1)
    warnings = {each["warning"] for each in repository.deliveries()}
    assert warnings == {"not committed: 0x0122 Referenced SOP Class not supported"}


def test_an_archive_that_does_not_offer_it_is_not_asked_again(
    repository: StudyRepository, site: Any, sent: int
) -> None:
    order = asked(repository, site)
    repository.decline_commitments(order.transaction_uid, "not offered")
    assert commitments(repository) == {("SENT", "NOT_OFFERED")}
    assert asked(repository, site, 9999) is None


def test_an_archive_that_does_not_report_is_asked_anew_and_in_the_end_no_more(
    repository: StudyRepository, site: Any, sent: int
) -> None:
    order = asked(repository, site)
    again = asked(repository, site, 75)
    assert again.transaction_uid != order.transaction_uid
    late = CommitmentResult(order.transaction_uid, tuple(e.sop_instance_uid for e in order.references), {})
    assert report(repository, site, late, 76) is None
    repository.put_off_commitments(again.transaction_uid, site.at(100))
    assert repository.destinations_due(site.at(99)) == []
    study_id = site.study()["study_id"]
    assert repository.destinations_due(site.at(100)) == [(study_id, "archive")]
    lost = repository.give_up_commitments(study_id, "archive", sent_before=site.at(50), now=site.at(100))
    assert len(lost) == 2
    assert commitments(repository) == {("SENT", "REFUSED")}


def test_a_resent_object_that_fails_is_put_off_like_any(repository: StudyRepository, site: Any, sent: int) -> None:
    order = asked(repository, site)
    missing = {each.sop_instance_uid: 0x0112 for each in order.references}
    report(repository, site, CommitmentResult(order.transaction_uid, (), missing))
    study_id = site.study()["study_id"]
    batch = repository.claim_deliveries(study_id, "archive", now=site.at(21), lease_s=60)
    assert batch is not None
    results = [
        (id_, SendOutcome(each.sop_instance_uid, Action.TRY_AGAIN, None, "", answered=False), site.at(40))
        for id_, each in batch.objects
    ]
    repository.save_outcomes(results, site.at(22))
    assert commitments(repository) == {("DUE", "WANTED")}
    assert repository.destinations_due(site.at(40)) == [(study_id, "archive")]


def test_kept_instances_are_found_by_uid(repository: StudyRepository, site: Any) -> None:
    site.arrive(1)
    stored = site.instance(1, 1, 0)
    uid = stored.header.sop_instance_uid
    found = repository.kept_instances([uid, "1.2.3.4.5", *(f"1.9.{number}" for number in range(1200))])
    assert found == {uid: [(stored.header.sop_class_uid, stored.path)]}
