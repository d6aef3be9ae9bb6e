"""Reports of NOT ANALYSED in the results database, on both databases."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from triage_node.core.destination import Destination, DestinationKind
from triage_node.core.dimse_status import Action
from triage_node.core.ports import StudyRepository
from triage_node.core.reason import Reason, Refusal
from triage_node.core.report import EarlierAnswer
from triage_node.core.study_state import IllegalTransition, Overtaken

RIS = Destination("ris", DestinationKind.HL7, "10.0.0.9:2575")
GAP = Refusal(Reason.MISSING_SLICES, "1 gap")


def refused(repository: StudyRepository, site: Any, study: int = 1, series: int = 1, refusal: Refusal = GAP) -> int:
    series_id = int(site.closed(study, series))
    repository.decline(series_id, 1, refusal, site.at(11))
    return series_id


def due(
    repository: StudyRepository, site: Any, seconds: float = 100, *, first_reports: bool = True
) -> list[tuple[int, int]]:
    return list(repository.not_analysed_to_report(quiet_since=site.at(seconds), first_reports=first_reports))


def test_refused_study_is_due_until_its_report_is_saved(repository: StudyRepository, site: Any) -> None:
    series_id = refused(repository, site)
    assert due(repository, site, -1) == []
    assert due(repository, site, first_reports=False) == []
    assert due(repository, site) == [(series_id, 1)]
    found = repository.not_analysed_series(series_id, 1)
    assert found is not None
    assert (found.refusal, found.declined_at, len(found.paths)) == (GAP, site.at(11), 3)
    for _ in range(2):
        repository.save_not_analysed(series_id, 1, site.evidence(1, heatmaps=0), [site.pacs], site.at(100))
    assert due(repository, site) == []
    assert repository.not_analysed_series(series_id, 1) is None
    assert len(repository.deliveries()) == 1


@pytest.mark.parametrize("action", [Action.DONE, Action.GIVE_UP])
def test_series_stays_not_analysed_whatever_becomes_of_the_report(
    repository: StudyRepository, site: Any, action: Action
) -> None:
    series_id = refused(repository, site)
    repository.save_not_analysed(series_id, 1, site.evidence(1, heatmaps=0), [site.pacs], site.at(100))
    assert site.deliver(action=action, seconds=101) == 1
    assert site.state(series_id) == ("NOT_ANALYSED", 1)
    assert site.study()["state"] == "NOT_ANALYSED"
    assert repository.deliveries()[0]["state"] == ("SENT" if action is Action.DONE else "GIVEN_UP")


def test_one_series_speaks_for_the_study_and_a_scout_never(repository: StudyRepository, site: Any) -> None:
    refused(repository, site, series=1, refusal=Refusal(Reason.LOCALIZER))
    assert due(repository, site) == []
    second = refused(repository, site, series=2)
    assert due(repository, site) == [(second, 1)]


def test_study_with_a_series_that_was_read_or_waits_is_not_due(repository: StudyRepository, site: Any) -> None:
    refused(repository, site, study=1, series=1)
    site.forwarded(1, 2)
    refused(repository, site, study=2, series=1)
    site.closed(2, 2)
    assert due(repository, site) == []


def test_earlier_report_is_taken_back_whatever_the_setting(repository: StudyRepository, site: Any) -> None:
    series_id = site.forwarded()
    site.arrive(1, 1, [99], seconds=20)
    assert repository.close_series(series_id, 2, site.at(30))
    repository.decline(series_id, 2, GAP, site.at(31))
    assert due(repository, site, first_reports=False) == [(series_id, 2)]
    earlier = repository.predecessor_report(series_id, 2)
    assert earlier is not None
    assert earlier.answer == EarlierAnswer(True, ("CPH",))


def test_message_alone_is_taken_back_too(repository: StudyRepository, site: Any) -> None:
    series_id = site.classified()
    message = [replace(site.evidence(1)[0], kind="HL7", sop_class_uid="")]
    repository.save_evidence(series_id, 1, message, [RIS], site.at(13))
    site.deliver(destination=RIS)
    site.arrive(1, 1, [99], seconds=20)
    assert repository.close_series(series_id, 2, site.at(30))
    repository.decline(series_id, 2, GAP, site.at(31))
    assert due(repository, site, first_reports=False) == [(series_id, 2)]
    assert repository.predecessor_report(series_id, 2) is None


def test_report_of_the_study_precedes_the_reading_of_another_series(repository: StudyRepository, site: Any) -> None:
    refused_id = refused(repository, site)
    repository.save_not_analysed(refused_id, 1, site.evidence(1, heatmaps=0), [site.pacs], site.at(100))
    earlier = repository.predecessor_report(site.closed(1, 2), 1)
    assert earlier is not None
    assert earlier.answer == EarlierAnswer(None)


def test_report_that_was_overtaken_is_refused(repository: StudyRepository, site: Any) -> None:
    series_id = refused(repository, site)
    site.arrive(1, 1, [99], seconds=20)
    assert repository.not_analysed_series(series_id, 1) is None
    with pytest.raises(Overtaken):
        repository.save_not_analysed(series_id, 1, site.evidence(1, heatmaps=0), [site.pacs], site.at(100))
    with pytest.raises(IllegalTransition):
        repository.save_not_analysed(series_id, 2, site.evidence(1, heatmaps=0), [site.pacs], site.at(100))
    assert repository.deliveries() == []
