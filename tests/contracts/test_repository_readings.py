"""StudyRepository: leases, findings, evidence, failures, reading again; each step twice, and at a wrong moment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from triage_node.core.ports import StudyRepository
from triage_node.core.reason import Reason, Refusal
from triage_node.core.report import EarlierAnswer
from triage_node.core.study_state import IllegalTransition, Overtaken

DEFECT = Refusal(Reason.DEFECT, "boom")


def test_a_lease_keeps_others_away_until_it_ends(repository: StudyRepository, site: Any) -> None:
    series_id = site.closed()
    assert repository.due_for_reading(site.at(10)) == [(series_id, 1)]
    assert repository.claim(series_id, 1, now=site.at(11), lease_s=60)
    assert not repository.claim(series_id, 1, now=site.at(70), lease_s=60)
    assert repository.due_for_reading(site.at(70)) == []
    assert repository.due_for_reading(site.at(71)) == [(series_id, 1)]
    assert repository.claim(series_id, 1, now=site.at(71), lease_s=60)


def test_a_series_that_lost_two_workers_fails(repository: StudyRepository, site: Any) -> None:
    series_id = site.closed()
    assert repository.claim(series_id, 1, now=site.at(0), lease_s=1)
    assert repository.claim(series_id, 1, now=site.at(2), lease_s=1)
    assert not repository.claim(series_id, 1, now=site.at(4), lease_s=1)
    assert site.state(series_id) == ("FAILED", 1)
    assert site.study()["reason"] == "WORKER_LOST"
    assert repository.due_for_reading(site.at(100)) == []


def test_a_lease_given_back_does_not_count(repository: StudyRepository, site: Any) -> None:
    series_id = site.closed()
    for _ in range(5):
        assert repository.claim(series_id, 1, now=site.at(11), lease_s=60)
        repository.release_claim(series_id, 1)
    repository.release_claim(series_id, 1)
    assert site.series(series_id)["claims"] == 0


def test_claims_are_counted_for_each_revision(repository: StudyRepository, site: Any) -> None:
    series_id = site.closed()
    for seconds in (0, 2):
        assert repository.claim(series_id, 1, now=site.at(seconds), lease_s=1)
    site.arrive(1, 1, [99])
    repository.close_series(series_id, 2, site.at(20))
    assert not repository.claim(series_id, 1, now=site.at(21), lease_s=1)
    assert repository.claim(series_id, 2, now=site.at(21), lease_s=60)
    repository.release_claim(series_id, 1)
    assert site.series(series_id)["claims"] == 1, "an overtaken revision gives nothing back"


@pytest.mark.parametrize("state", ["arrive", "evidenced", "forwarded"])
def test_only_what_waits_for_a_reader_is_claimed(repository: StudyRepository, site: Any, state: str) -> None:
    series_id = getattr(site, state)()
    assert not repository.claim(series_id, 1, now=site.at(1000), lease_s=60)
    assert repository.due_for_reading(site.at(1000)) == []


def test_a_finding_is_kept_with_its_slices(repository: StudyRepository, site: Any) -> None:
    series_id = site.classified(probability=0.8)
    finding = site.finding(0.8)
    (revision,) = site.series(series_id)["revisions"]
    assert (revision["ich_probability"], revision["flagged"], revision["subtypes"]) == (0.8, True, finding.subtypes)
    assert list(revision["subtypes"]) == ["CPH", "IVH", "SDH", "EDH", "SAH"]
    assert (revision["weights_sha256"], revision["operating_point"]) == ("a" * 64, "balanced")
    assert [each["sop_instance_uid"] for each in revision["slices"]] == ["1.9.0", "1.9.1", "1.9.2"]
    study = site.study()
    assert (study["state"], study["ich_probability"], study["flagged"]) == ("CLASSIFIED", 0.8, True)
    assert (study["priority"], study["classified_at"]) == ("STAT", site.at(12).isoformat())


def test_a_series_without_blood_stays_routine_and_without_subtypes(site: Any) -> None:
    site.classified(probability=0.1)
    study = site.study()
    assert (study["priority"], study["flagged"], study["subtypes"]) == ("ROUTINE", False, None)


def test_the_same_finding_twice_is_one(repository: StudyRepository, site: Any) -> None:
    series_id = site.classified()
    before = site.study()
    repository.save_finding(series_id, 1, site.finding(), site.at(12))
    assert site.study() == before


def test_a_finding_after_the_evidence_changes_nothing(repository: StudyRepository, site: Any) -> None:
    series_id = site.forwarded(probability=0.9)
    before = site.study()
    repository.save_finding(series_id, 1, site.finding(0.2), site.at(30))
    assert site.study() == before


def test_a_finding_of_an_overtaken_revision_raises_the_priority_only(repository: StudyRepository, site: Any) -> None:
    series_id = site.closed()
    assert repository.claim(series_id, 1, now=site.at(11), lease_s=60)
    site.arrive(1, 1, [99])
    with pytest.raises(IllegalTransition):
        repository.save_finding(series_id, 1, site.finding(0.9), site.at(12))
    assert site.state(series_id) == ("RECEIVING", 2)
    study = site.study()
    assert (study["priority"], study["flagged"], study["state"]) == ("STAT", True, "RECEIVING")


def test_a_finding_that_comes_after_the_failure_is_not_lost(repository: StudyRepository, site: Any) -> None:
    series_id = site.closed()
    repository.fail(series_id, 1, Refusal(Reason.WORKER_LOST), site.at(11))
    with pytest.raises(IllegalTransition):
        repository.save_finding(series_id, 1, site.finding(0.9), site.at(12))
    study = site.study()
    assert (study["state"], study["priority"], study["flagged"]) == ("FAILED", "STAT", True)


def test_a_later_reading_takes_the_place_of_the_earlier_but_not_its_priority(
    repository: StudyRepository, site: Any
) -> None:
    series_id = site.forwarded(probability=0.9)
    site.arrive(1, 1, [99])
    repository.close_series(series_id, 2, site.at(20))
    repository.save_finding(series_id, 2, site.finding(0.1), site.at(21))
    study = site.study()
    assert (study["flagged"], study["ich_probability"], study["priority"]) == (False, 0.1, "STAT")


def test_the_flagged_series_leads_a_study(repository: StudyRepository, site: Any) -> None:
    site.classified(1, 1, probability=0.2)
    site.classified(1, 2, probability=0.7)
    site.classified(1, 3, probability=0.4)
    study = site.study()
    assert (study["flagged"], study["ich_probability"]) == (True, 0.7)


def test_evidence_fills_the_outbox_once(repository: StudyRepository, site: Any) -> None:
    series_id = site.evidenced(destinations=[site.pacs, site.archive, site.pacs])
    repository.save_evidence(series_id, 1, site.evidence(1), [site.pacs], site.at(99))
    deliveries = repository.deliveries()
    assert sorted((each["destination"], each["kind"], each["state"]) for each in deliveries) == [
        ("ARCHIVE@[::1]:104", "SC", "DUE"),
        ("ARCHIVE@[::1]:104", "SR", "DUE"),
        ("PACS@127.0.0.1:11113", "SC", "DUE"),
        ("PACS@127.0.0.1:11113", "SR", "DUE"),
    ]
    assert site.state(series_id) == ("EVIDENCED", 1)
    assert site.series(series_id)["leased_until"] is None


def test_without_destinations_evidence_is_the_end(repository: StudyRepository, site: Any) -> None:
    series_id = site.evidenced(destinations=[])
    assert site.state(series_id) == ("FORWARDED", 1)
    assert site.study()["forwarded_at"] == site.at(13).isoformat()
    assert repository.deliveries() == []


def test_evidence_of_an_overtaken_revision_is_not_sent(repository: StudyRepository, site: Any) -> None:
    series_id = site.classified()
    site.arrive(1, 1, [99])
    with pytest.raises(Overtaken):
        repository.save_evidence(series_id, 1, site.evidence(1), [site.pacs], site.at(13))
    assert repository.deliveries() == []


def test_evidence_needs_a_finding(repository: StudyRepository, site: Any) -> None:
    series_id = site.closed()
    with pytest.raises(IllegalTransition):
        repository.save_evidence(series_id, 1, site.evidence(1), [site.pacs], site.at(13))
    assert site.state(series_id) == ("CLOSED", 1)


def test_the_predecessor_is_the_latest_earlier_report(repository: StudyRepository, site: Any) -> None:
    series_id = site.forwarded()
    assert repository.predecessor_report(series_id, 1) is None
    first = repository.predecessor_report(series_id, 2)
    assert first is not None
    assert first.path == Path("/evidence/1.1.1.0.dcm")
    assert first.answer == EarlierAnswer(site.finding().flagged, tuple(site.finding().subtypes_present))
    site.arrive(1, 1, [99])
    repository.close_series(series_id, 2, site.at(20))
    repository.save_finding(series_id, 2, site.finding(), site.at(21))
    repository.save_evidence(series_id, 2, site.evidence(1, 2), [site.pacs], site.at(22))
    second = repository.predecessor_report(series_id, 3)
    assert second is not None
    assert second.path == Path("/evidence/1.1.2.0.dcm")
    assert repository.predecessor_report(series_id, 2) == first


@pytest.mark.parametrize("state", ["closed", "classified", "evidenced"])
def test_a_series_at_work_may_fail_once(repository: StudyRepository, site: Any, state: str) -> None:
    series_id = getattr(site, state)()
    repository.fail(series_id, 1, DEFECT, site.at(20))
    repository.fail(series_id, 1, Refusal(Reason.WORKER_LOST), site.at(21))
    study = site.study()
    assert (study["state"], study["reason"], study["detail"]) == ("FAILED", "DEFECT", "boom")


@pytest.mark.parametrize("state", ["arrive", "forwarded"])
def test_a_series_that_is_not_at_work_does_not_fail(repository: StudyRepository, site: Any, state: str) -> None:
    series_id = getattr(site, state)()
    with pytest.raises(IllegalTransition):
        repository.fail(series_id, 1, DEFECT, site.at(20))


def test_a_failure_of_an_overtaken_revision_is_left_alone(repository: StudyRepository, site: Any) -> None:
    series_id = site.closed()
    site.arrive(1, 1, [99])
    repository.fail(series_id, 1, DEFECT, site.at(20))
    assert site.state(series_id) == ("RECEIVING", 2)


def test_reprocessing_opens_the_next_revision_of_what_has_ended(repository: StudyRepository, site: Any) -> None:
    read = site.forwarded(1, 1)
    declined = site.closed(1, 2)
    repository.decline(declined, 1, Refusal(Reason.LOCALIZER), site.at(20))
    receiving = site.arrive(1, 3)
    reopened = repository.reprocess(site.study_uid(1), site.at(30))
    assert reopened == [(read, 2), (declined, 2)]
    assert repository.due_for_reading(site.at(31)) == reopened
    assert site.state(receiving) == ("RECEIVING", 1)
    study = site.study()
    assert (study["state"], study["priority"], study["flagged"]) == ("CLOSED", "STAT", True)
    assert repository.reprocess(site.study_uid(1), site.at(31)) == []
    assert repository.reprocess("1.2.9", site.at(31)) == []
