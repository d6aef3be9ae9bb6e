"""StudyRepository: what people read."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from triage_node.core.ports import ProcessPulse, StudyRepository
from triage_node.core.reason import Reason, Refusal
from triage_node.core.study_state import State

PROMISED = {
    "study_instance_uid",
    "patient_id",
    "accession_number",
    "state",
    "reason",
    "priority",
    "ich_probability",
    "flagged",
    "subtypes",
    "received_at",
    "released_at",
    "classified_at",
    "forwarded_at",
}


def test_a_row_has_what_is_promised_as_plain_json(repository: StudyRepository, site: Any) -> None:
    site.arrive()
    repository.end_association("a1", site.at(5), aborted=False)
    site.forwarded(1, 2)
    (row,) = repository.worklist()
    assert set(row) >= PROMISED
    assert json.loads(json.dumps(row)) == row
    for name in ("received_at", "released_at", "classified_at", "forwarded_at"):
        assert datetime.fromisoformat(row[name]).utcoffset().total_seconds() == 0
    assert (row["series_count"], row["instance_count"]) == (2, 6)


def test_a_study_that_was_not_looked_at_says_nothing_of_blood(repository: StudyRepository, site: Any) -> None:
    site.arrive()
    (row,) = repository.worklist()
    assert (row["flagged"], row["ich_probability"], row["subtypes"]) == (None, None, None)


def test_flagged_studies_come_first_then_the_longest_waiting(repository: StudyRepository, site: Any) -> None:
    site.classified(1, probability=0.1, seconds=3)
    site.classified(2, probability=0.9, seconds=2)
    site.arrive(3, seconds=1)
    site.classified(4, probability=0.8, seconds=0)
    assert [row["patient_id"] for row in repository.worklist()] == ["P4", "P2", "P3", "P1"]


def test_new_studies_are_not_pushed_off_a_short_list_by_old_ones(repository: StudyRepository, site: Any) -> None:
    for study in range(1, 5):
        site.forwarded(study, seconds=study)
    site.arrive(9, seconds=0)
    site.forwarded(10, probability=0.1, seconds=10)
    assert [row["patient_id"] for row in repository.worklist(limit=3)] == ["P4", "P9", "P10"]
    assert len(repository.worklist(limit=100)) == 6


def test_the_reason_of_a_study_is_that_of_its_largest_series(repository: StudyRepository, site: Any) -> None:
    scout = site.closed(1, 1, numbers=range(2))
    head = site.closed(1, 2, numbers=range(8))
    twin = site.closed(1, 3, numbers=range(9))
    repository.decline(scout, 1, Refusal(Reason.LOCALIZER), site.at(11))
    repository.decline(twin, 1, Refusal(Reason.BETTER_SERIES), site.at(11))
    repository.decline(head, 1, Refusal(Reason.MISSING_SLICES, "1 gap"), site.at(11))
    (row,) = repository.worklist()
    assert (row["state"], row["reason"], row["detail"]) == ("NOT_ANALYSED", "MISSING_SLICES", "1 gap")


def test_a_study_of_another_modality_stands_where_its_series_stand(repository: StudyRepository, site: Any) -> None:
    series_id = site.closed(1, 1, modality="MR")
    repository.decline(series_id, 1, Refusal(Reason.NOT_CT), site.at(11))
    assert repository.worklist()[0]["reason"] == "NOT_CT"


def test_a_study_is_told_in_full_as_plain_json(repository: StudyRepository, site: Any) -> None:
    site.forwarded()
    study = repository.study(site.study_uid(1))
    assert json.loads(json.dumps(study)) == study
    (series,) = study["series"]
    assert series["associations"][0]["calling_ae_title"] == "SCANNER"
    (revision,) = series["revisions"]
    assert [(each["kind"], each["deliveries"][0]["state"]) for each in revision["evidence"]] == [
        ("SR", "SENT"),
        ("SC", "SENT"),
    ]
    assert repository.study("1.2.9") is None


def test_a_study_is_found_by_what_people_call_it(repository: StudyRepository, site: Any) -> None:
    site.arrive(1, seconds=0)
    site.arrive(2, patient_id="P1", seconds=1)
    assert repository.studies_named("P1") == [site.study_uid(2), site.study_uid(1)]
    assert repository.studies_named("ACC2") == [site.study_uid(2)]
    assert repository.studies_named(site.study_uid(1)) == [site.study_uid(1)]
    assert repository.studies_named("nobody") == []


def test_studies_are_counted_by_state(repository: StudyRepository, site: Any) -> None:
    site.arrive(1)
    site.closed(2)
    site.closed(3)
    assert dict(repository.counts_by_state()) == {
        state: {State.RECEIVING: 1, State.CLOSED: 2}.get(state, 0) for state in State
    }


def test_a_process_shows_its_latest_sign_of_life(repository: StudyRepository, site: Any) -> None:
    worker = ProcessPulse("worker", "node1", 2**31 + 5, site.at(0), site.at(1), {"device": "cpu"})
    beat = ProcessPulse("beat", "node1", 11, site.at(0), site.at(90))
    later = ProcessPulse("worker", "node1", worker.pid, site.at(0), site.at(60), {"device": "cuda"})
    for pulse in (worker, beat, later):
        repository.heartbeat(pulse)
    assert repository.processes() == [beat, later]
    assert repository.processes(seen_since=site.at(61)) == [beat]
