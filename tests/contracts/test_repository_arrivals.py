"""StudyRepository: what arrives, in any order, more than once, with values that no one should send."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from triage_node.core.ports import AssociationPeer, QuarantinedObject, StudyRepository
from triage_node.core.reason import Reason, Refusal

PEER = AssociationPeer("a1", "SCANNER", "TRIAGE", "10.0.0.7")


def test_instances_make_one_study_with_its_series(repository: StudyRepository, site: Any) -> None:
    first = site.arrive(1, 1, range(3))
    second = site.arrive(1, 2, range(2))
    found = site.study(1)
    assert [each["series_id"] for each in found["series"]] == [first, second]
    assert [each["instance_count"] for each in found["series"]] == [3, 2]
    assert (found["state"], found["patient_id"], found["accession_number"]) == ("RECEIVING", "P1", "ACC1")
    assert len(repository.known_paths()) == 5


def test_headers_and_paths_come_back_as_they_were(repository: StudyRepository, site: Any) -> None:
    stored = site.instance(
        1,
        1,
        7,
        patient_name="山田^太郎=やまだ^たろう",
        image_type=("ORIGINAL", "PRIMARY"),
        image_position_patient=(1.0, -2.5, 3.0),
        kvp=120.0,
    )
    repository.add_instances([stored])
    record = repository.series(site.series_id(1, stored.header.series_instance_uid))
    assert record.instances == ((stored.header, stored.path),)
    assert (record.study_instance_uid, record.revision) == (stored.header.study_instance_uid, 1)


def test_a_known_instance_changes_nothing(repository: StudyRepository, site: Any) -> None:
    series_id = site.forwarded()
    before = site.study()
    site.arrive(1, 1, range(3), seconds=500)
    assert site.study() == before
    assert len(repository.series(series_id).instances) == 3


def test_the_same_instance_twice_in_one_batch_is_one(repository: StudyRepository, site: Any) -> None:
    series_id = site.arrive(1, 1, [1, 1, 2, 1])
    assert site.series(series_id)["instance_count"] == 2


def test_a_repeated_instance_still_links_its_association(repository: StudyRepository, site: Any) -> None:
    series_id = site.closed()
    site.arrive(1, 1, range(3), association="again")
    assert [each["association_id"] for each in site.series(series_id)["associations"]] == ["a1", "again"]


@pytest.mark.parametrize("ended", ["closed", "classified", "evidenced", "forwarded"])
def test_a_late_slice_opens_the_next_revision(site: Any, ended: str) -> None:
    series_id = getattr(site, ended)()
    site.arrive(1, 1, [99], seconds=600)
    series = site.series(series_id)
    assert (series["state"], series["revision"], series["instance_count"]) == ("RECEIVING", 2, 4)
    assert (series["claims"], series["leased_until"], series["closed_at"], series["ended_at"]) == (0, None, None, None)
    assert site.study()["state"] == "RECEIVING"


def test_a_late_slice_reopens_what_was_declined_or_failed(repository: StudyRepository, site: Any) -> None:
    declined, failed = site.closed(1), site.closed(2)
    repository.decline(declined, 1, Refusal(Reason.TOO_FEW_SLICES, "3"), site.at(11))
    repository.fail(failed, 1, Refusal(Reason.DEFECT, "boom"), site.at(11))
    for study, series_id in ((1, declined), (2, failed)):
        site.arrive(study, 1, [99])
        assert site.state(series_id, study) == ("RECEIVING", 2)
        assert site.study(study)["reason"] is None


def test_a_flag_stays_on_the_worklist_while_a_late_slice_is_taken_in(site: Any) -> None:
    site.forwarded(probability=0.9)
    site.arrive(1, 1, [99])
    study = site.study()
    assert (study["state"], study["flagged"], study["priority"]) == ("RECEIVING", True, "STAT")


def test_text_that_no_database_takes_does_not_keep_an_instance_out(repository: StudyRepository, site: Any) -> None:
    stored = site.instance(
        1,
        1,
        1,
        patient_id="P\x001",
        patient_name="\udcff\udcfe../../etc",
        accession_number="9" * 20_000,
        series_description="\x00",
        image_position_patient=(0.0, math.nan, 1.0),
        series_number=10**30,
    )
    repository.add_instances([stored])
    study = site.study()
    assert study["patient_id"] == "P1"
    assert study["patient_name"] == "??../../etc"
    header = repository.series(study["series"][0]["series_id"]).instances[0][0]
    assert header.image_position_patient is None
    assert repository.worklist()[0]["study_instance_uid"] == site.study_uid(1)


def test_the_same_instance_uid_in_two_series_is_kept_in_both(repository: StudyRepository, site: Any) -> None:
    stored = [site.instance(1, series, 1, body_part_examined="HEAD") for series in (1, 2)]
    same = type(stored[1].header)(**{**vars(stored[1].header), "sop_instance_uid": stored[0].header.sop_instance_uid})
    repository.add_instances([stored[0], type(stored[1])(same, stored[1].path, stored[1].received_at)])
    assert [each["instance_count"] for each in site.study()["series"]] == [1, 1]


def test_objects_that_are_not_images_are_rows_too(repository: StudyRepository, site: Any) -> None:
    site.forwarded(1, 1)
    site.arrive(1, 2, [1], modality="SR")
    assert [each["modality"] for each in site.study()["series"]] == ["CT", "SR"]
    assert site.study()["state"] == "FORWARDED", "a dose report still arriving does not take the head's state away"


def test_an_empty_batch_is_nothing(repository: StudyRepository) -> None:
    repository.add_instances([])
    assert repository.worklist() == []


def test_associations_are_counted_for_closing(repository: StudyRepository, site: Any) -> None:
    repository.open_association(PEER, site.at(0))
    site.arrive(1, 1, range(2), association="a1")
    site.arrive(1, 1, range(2, 4), association="a2", seconds=1)
    (series,) = repository.open_series()
    assert (series.open_associations, series.aborted_associations, series.released_at) == (2, 0, None)
    assert (series.first_received_at, series.last_received_at) == (site.at(0), site.at(1))
    repository.end_association("a1", site.at(2), aborted=False)
    repository.end_association("a2", site.at(3), aborted=True)
    (series,) = repository.open_series()
    assert (series.open_associations, series.aborted_associations, series.released_at) == (0, 1, site.at(2))


def test_the_end_of_an_association_is_noted_once(repository: StudyRepository, site: Any) -> None:
    repository.open_association(PEER, site.at(0))
    site.arrive()
    repository.end_association("a1", site.at(2), aborted=False)
    repository.end_association("a1", site.at(9), aborted=True)
    repository.open_association(PEER, site.at(10))
    (series,) = repository.open_series()
    assert (series.open_associations, series.aborted_associations, series.released_at) == (0, 0, site.at(2))


def test_an_association_nobody_noted_may_end(repository: StudyRepository, site: Any) -> None:
    repository.end_association("never seen", site.at(1), aborted=False)
    assert repository.open_series() == []


def test_an_association_may_end_before_its_instances_are_indexed(repository: StudyRepository, site: Any) -> None:
    repository.open_association(PEER, site.at(0))
    repository.end_association("a1", site.at(2), aborted=False)
    site.arrive()
    assert repository.open_series()[0].released_at == site.at(2)
    assert site.study()["released_at"] == site.at(2).isoformat()


def test_earlier_associations_do_not_count_for_a_later_revision(repository: StudyRepository, site: Any) -> None:
    site.arrive(association="a1")
    repository.end_association("a1", site.at(2), aborted=True)
    assert repository.close_series(repository.open_series()[0].series_id, 1, site.at(10))
    site.arrive(1, 1, [99], association="a2", seconds=20)
    (series,) = repository.open_series()
    assert (series.revision, series.open_associations, series.aborted_associations) == (2, 1, 0)
    assert series.first_received_at == site.at(20)
    repository.end_association("a2", site.at(21), aborted=False)
    assert repository.open_series()[0].released_at == site.at(21)


def test_a_resend_after_an_abort_counts_as_a_release(repository: StudyRepository, site: Any) -> None:
    site.arrive(association="a1")
    repository.end_association("a1", site.at(2), aborted=True)
    site.arrive(association="a2", seconds=3)
    repository.end_association("a2", site.at(4), aborted=False)
    assert repository.open_series()[0].released_at == site.at(4)


def test_instances_found_in_the_spool_have_no_association(repository: StudyRepository, site: Any) -> None:
    site.arrive(association=None)
    (series,) = repository.open_series()
    assert (series.open_associations, series.aborted_associations, series.released_at) == (0, 0, None)


def test_quarantined_objects_are_listed_once_newest_first(repository: StudyRepository, site: Any) -> None:
    old = QuarantinedObject(Path("/quarantine/1"), "cut off", 0xC000, site.at(0), PEER)
    new = QuarantinedObject(Path("/quarantine/2"), "not DICOM", 0xC000, site.at(1), None)
    for each in (old, new, old):
        repository.add_quarantined(each)
    listed = repository.quarantined()
    assert [each["path"] for each in listed] == ["/quarantine/2", "/quarantine/1"]
    assert (listed[1]["reason"], listed[1]["calling_ae_title"]) == ("cut off", "SCANNER")
    assert repository.quarantined(limit=1) == listed[:1]
