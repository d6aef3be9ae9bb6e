"""The page of a study: all that is known of it, in the report's words; the reader's actions; who may do what."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fakes.ports import SteppedClock
from fakes.read_studies import ReadStudy, late_slices, read_study
from fakes.studies import Studies
from fakes.web import web_parts
from fastapi.testclient import TestClient
from httpx import Response
from pydicom import dcmread
from sqlalchemy import Engine, delete
from sqlalchemy.orm import Session

from triage_node.core.destination import Destination, DestinationKind
from triage_node.core.dimse_status import Action
from triage_node.core.escalation import EscalationStep
from triage_node.core.ports import SendOutcome
from triage_node.core.reader_task import TaskState
from triage_node.core.reason import Reason
from triage_node.web.app import make_app
from triage_node.worklist.audit import SqlAuditTrail
from triage_node.worklist.escalations import SqlEscalations
from triage_node.worklist.reader_tasks import SqlReaderTasks
from triage_node.worklist.repository import SqlStudyRepository
from triage_node.worklist.tables import StudyRow

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
PAGER = Destination("pager", DestinationKind.WEBHOOK, "https://pager/")
HOSTILE = "<script>alert(1)</script>"
Sign = Callable[[str], TestClient]


@pytest.fixture
def repository(sqlite_engine: Engine) -> SqlStudyRepository:
    return SqlStudyRepository(sqlite_engine)


@pytest.fixture
def studies(repository: SqlStudyRepository) -> Studies:
    return Studies(repository)


@pytest.fixture
def tasks(sqlite_engine: Engine) -> SqlReaderTasks:
    return SqlReaderTasks(sqlite_engine)


@pytest.fixture
def signed_in(sqlite_engine: Engine, tmp_path: Path) -> Sign:
    """Return a browser of somebody with this role, which is also their name; nobody for an empty one."""
    app = make_app(web_parts(sqlite_engine, tmp_path, clock=SteppedClock(NOW)))

    def browser(role: str) -> TestClient:
        cookies = {"triage_session": role} if role else {}
        return TestClient(app, cookies=cookies, headers={"Accept": "text/html"}, raise_server_exceptions=False)

    return browser


@pytest.fixture
def radiologist(signed_in: Sign) -> TestClient:
    return signed_in("radiologist")


@pytest.fixture
def flagged(repository: SqlStudyRepository, tmp_path: Path) -> ReadStudy:
    return read_study(repository, tmp_path, received_at=NOW, patient_name="Okafor^Chidi", patient_id="MRN7")


def _words(answer: Response) -> str:
    """What the page says, without its markup."""
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", answer.text)))


def _post(browser: TestClient, path: str, role: str = "radiologist", **fields: object) -> Response:
    return browser.post(path, data={"csrf_token": f"csrf-{role}"} | fields, follow_redirects=False)


# what it says --------------------------------------------------------------------------------------------------------


def test_page_names_patient_answer_and_how_it_came_about(radiologist: TestClient, flagged: ReadStudy) -> None:
    answer = radiologist.get(flagged.path)
    assert answer.status_code == 200
    said = _words(answer)
    for words in (
        "Okafor, Chidi",
        "MRN7",
        "FLAGGED",
        "Suspected subdural hemorrhage",
        "93 %",
        "balanced at 50 %",
        "made_up 1.0",
        "STAT",
        "Not for diagnostic use",
        "Read by the cascade",
        "Evidence written",
    ):
        assert words in said


def test_report_is_the_text_of_the_structured_report(
    radiologist: TestClient, flagged: ReadStudy, tmp_path: Path
) -> None:
    texts = _sr_texts(tmp_path / "evidence" / flagged.uid)
    said = _words(radiologist.get(flagged.path))
    assert any(text in said for text in texts if text.startswith("Flagged for suspected intracranial hemorrhage"))


def _sr_texts(folder: Path) -> list[str]:
    """Every text item of the reports in a folder."""
    found: list[str] = []
    for path in folder.glob("*.dcm"):
        dataset = dcmread(path)
        if dataset.Modality == "SR":
            dataset.walk(
                lambda _, element: found.append(str(element.value)) if element.keyword == "TextValue" else None
            )
    return found


def test_study_that_is_not_flagged_says_that_this_excludes_nothing(
    repository: SqlStudyRepository, radiologist: TestClient, tmp_path: Path
) -> None:
    study = read_study(repository, tmp_path, probability=0.08)
    said = _words(radiologist.get(study.path))
    assert "Not flagged" in said
    assert "This does not exclude hemorrhage." in said
    assert "Heatmap" not in said


def test_series_that_was_not_read_says_why(radiologist: TestClient, studies: Studies) -> None:
    uid = studies.arrive()
    studies.decline(uid, Reason.CONTRAST, "Iomeron 300")
    said = _words(radiologist.get(f"/studies/{uid}"))
    assert "NOT ANALYSED" in said
    assert "The series was taken with contrast agent. (CONTRAST: Iomeron 300)" in said
    assert "No statement about hemorrhage is made." in said


def test_study_that_is_still_arriving_has_a_page(radiologist: TestClient, studies: Studies) -> None:
    said = _words(radiologist.get(f"/studies/{studies.arrive()}"))
    assert "Not read yet" in said
    assert "There is no report yet." in said


def test_later_revision_is_shown_and_the_earlier_one_can_be_looked_at(
    repository: SqlStudyRepository, radiologist: TestClient, tmp_path: Path
) -> None:
    first = read_study(repository, tmp_path, late=2, probability=0.08)
    late_slices(repository, tmp_path, first)
    said = _words(radiologist.get(first.path))
    assert "FLAGGED" in said
    assert "the answer changed" in said
    assert "Revision 2: this report replaces the earlier one. The answer has changed: it was not flagged." in said
    earlier = _words(radiologist.get(f"{first.path}?series={first.series_uid}&revision=1"))
    assert "You are looking at revision 1" in earlier
    assert "Disagree" not in earlier, "only what the study goes by is judged"


def test_links_to_slices_stay_with_the_reading_that_was_asked_for(radiologist: TestClient, flagged: ReadStudy) -> None:
    of_reading = f"?series={flagged.series_uid}&amp;revision=1&amp;slice="
    page = radiologist.get(f"{flagged.path}?series={flagged.series_uid}&revision=1").text
    assert page.count('href="?slice=') == 0
    assert page.count(f'href="{of_reading}') == radiologist.get(flagged.path).text.count('href="?slice=') > 2


def test_curve_has_a_bar_a_slice_and_marks_the_flagged_ones(radiologist: TestClient, flagged: ReadStudy) -> None:
    page = radiologist.get(flagged.path).text
    assert page.count('class="bar') == len(flagged.finding.slices)
    assert page.count('class="bar flagged"') == len(flagged.flagged)
    assert page.count('class="threshold"') == 2, "in the drawing and in its key"
    assert f'data-first="{flagged.flagged[0]}"' in page, "it begins with the slice of the highest probability"
    assert 'data-first="2"' in radiologist.get(f"{flagged.path}?slice=3").text


@pytest.mark.parametrize("slice_number", ["0", "-5", "999", "99999999999999999999"])
def test_slice_that_is_not_there_gives_the_nearest_one(
    radiologist: TestClient, flagged: ReadStudy, slice_number: str
) -> None:
    assert radiologist.get(f"{flagged.path}?slice={slice_number}").status_code == 200


def test_timeline_tells_every_stage_with_its_duration(radiologist: TestClient, flagged: ReadStudy) -> None:
    said = _words(radiologist.get(flagged.path))
    stages = [
        "First slice received",
        "Released by the sender",
        "Series closed",
        "Read by the cascade",
        "Evidence written",
    ]
    assert [said.index(each) for each in stages] == sorted(said.index(each) for each in stages)
    assert "+3.0 s" in said, "from the release to the closing"


def test_nothing_of_a_patient_or_a_reader_becomes_markup(
    repository: SqlStudyRepository, radiologist: TestClient, tasks: SqlReaderTasks, tmp_path: Path
) -> None:
    study = read_study(
        repository,
        tmp_path,
        patient_name=f"{HOSTILE}^x",
        patient_id='"><img src=x>',
        study_description=HOSTILE,
        series_description=HOSTILE,
    )
    given = {"revision": 1, "finding": "SDH", "verdict": "DISAGREE", "comment": f"{HOSTILE}' onload='x"}
    assert _post(radiologist, f"{study.path}/feedback", **given).status_code == 303
    page = radiologist.get(study.path)
    assert page.status_code == 200
    assert "<script>alert" not in page.text
    assert "<img src=x" not in page.text
    assert html.escape(HOSTILE) in page.text
    assert not re.search(r"\sstyle=|\son\w+=\"", page.text), (
        "the content security policy allows no inline style or script"
    )


def test_unknown_studies_and_revisions_are_not_found(radiologist: TestClient, flagged: ReadStudy) -> None:
    for path in (
        "/studies/9.9.9",
        f"{flagged.path}?revision=5",
        f"{flagged.path}?series=1.2",
        "/studies/9.9.9/reading",
    ):
        answer = radiologist.get(path)
        assert answer.status_code == 404
        assert "Not found" in answer.text


# who may see what ----------------------------------------------------------------------------------------------------


def test_viewer_reads_the_report_and_is_told_why_there_are_no_images(signed_in: Sign, flagged: ReadStudy) -> None:
    page = signed_in("viewer").get(flagged.path)
    assert page.status_code == 200
    said = _words(page)
    assert "Flagged for suspected intracranial hemorrhage" in said
    assert "Your role (viewer) does not allow images to be shown." in said
    assert "/slices/" not in page.text
    assert not re.search(r"<button[^>]*>(Take|Agree|Acknowledge|Send again)", page.text)


def test_nobody_sees_a_study_without_signing_in(signed_in: Sign, flagged: ReadStudy) -> None:
    answer = signed_in("").get(flagged.path, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"].split("?")[0]) == (303, "/sign-in")
    assert "Okafor" not in answer.text


def test_each_view_is_in_the_audit_trail_and_on_the_page(
    signed_in: Sign, flagged: ReadStudy, sqlite_engine: Engine
) -> None:
    signed_in("viewer").get(flagged.path)
    signed_in("viewer").get(f"{flagged.path}/reading")
    (line,) = SqlAuditTrail(sqlite_engine).of_study(flagged.uid, 10)
    assert (line.actor, line.action, line.address) == ("viewer", "STUDY_SHOWN", "testclient")
    assert line.detail["images"] is False
    said = _words(signed_in("radiologist").get(flagged.path))
    assert "viewer Study shown testclient" in said


@pytest.mark.parametrize("path", ["acknowledge", "take", "release", "complete", "feedback", "deliveries/retry"])
def test_changes_need_the_permission_and_the_token_of_the_form(
    signed_in: Sign, flagged: ReadStudy, tasks: SqlReaderTasks, path: str
) -> None:
    fields = {"revision": 1, "finding": "SDH", "verdict": "AGREE", "delivery_id": 1}
    assert _post(signed_in("viewer"), f"{flagged.path}/{path}", "viewer", **fields).status_code == 403
    assert _post(signed_in("administrator"), f"{flagged.path}/{path}", "viewer", **fields).status_code == 403
    task = tasks.state_of(flagged.uid)
    assert task is not None
    assert (task.state, task.acknowledged_at, task.feedback) == (TaskState.SCHEDULED, None, ())


# reading -------------------------------------------------------------------------------------------------------------


def test_reader_takes_and_completes_a_study(
    radiologist: TestClient, flagged: ReadStudy, tasks: SqlReaderTasks, sqlite_engine: Engine
) -> None:
    answer = _post(radiologist, f"{flagged.path}/take", slice=12)
    assert (answer.status_code, answer.headers["location"]) == (303, f"{flagged.path}?slice=12#reading")
    assert "You are reading this study" in _words(radiologist.get(flagged.path))
    assert _post(radiologist, f"{flagged.path}/complete").status_code == 303
    said = _words(radiologist.get(flagged.path))
    assert "Read by radiologist" in said
    assert "Acknowledged by radiologist" in said
    noted = [each.action for each in SqlAuditTrail(sqlite_engine).of_study(flagged.uid, 10)]
    assert noted == ["STUDY_SHOWN", "COMPLETED", "STUDY_SHOWN", "TAKEN"]


def test_study_that_somebody_else_has_cannot_be_taken_and_the_page_says_who_has_it(
    radiologist: TestClient, flagged: ReadStudy, tasks: SqlReaderTasks, sqlite_engine: Engine
) -> None:
    tasks.take(flagged.uid, "wilson", NOW)
    answer = _post(radiologist, f"{flagged.path}/take")
    assert answer.status_code == 409
    said = _words(answer)
    assert "Wilson has been reading this study since 2026-03-02 08:00:00 UTC. Nothing was changed." in said
    assert "FLAGGED" in said, "the page stays usable"
    assert _post(radiologist, f"{flagged.path}/release").status_code == 409
    assert _post(radiologist, f"{flagged.path}/complete").status_code == 409
    assert [each.action for each in SqlAuditTrail(sqlite_engine).of_study(flagged.uid, 10)] == []


def test_administrator_can_take_a_study_from_who_went_home(
    signed_in: Sign, flagged: ReadStudy, tasks: SqlReaderTasks
) -> None:
    tasks.take(flagged.uid, "wilson", NOW)
    administrator = signed_in("administrator")
    assert "Release it from wilson" in _words(administrator.get(flagged.path))
    assert _post(administrator, f"{flagged.path}/release", "administrator").status_code == 303
    task = tasks.state_of(flagged.uid)
    assert task is not None
    assert task.state is TaskState.SCHEDULED


def test_verdict_is_shown_with_reader_time_and_comment(radiologist: TestClient, flagged: ReadStudy) -> None:
    given = {"revision": 1, "finding": "SDH", "comment": "calcified falx"}
    assert _post(radiologist, f"{flagged.path}/feedback", verdict="AGREE", **given).status_code == 303
    assert _post(radiologist, f"{flagged.path}/feedback", verdict="DISAGREE", **given).status_code == 303
    said = _words(radiologist.get(flagged.path))
    assert "radiologist disagrees , 2026-03-02 08:00 UTC : calcified falx" in said
    assert "radiologist agrees" not in said, "the latest of a reader counts"


def test_verdict_on_a_reading_that_was_replaced_meanwhile_is_not_kept(
    repository: SqlStudyRepository, radiologist: TestClient, tasks: SqlReaderTasks, tmp_path: Path
) -> None:
    first = read_study(repository, tmp_path, late=2)
    late_slices(repository, tmp_path, first)
    answer = _post(radiologist, f"{first.path}/feedback", revision=1, finding="SDH", verdict="AGREE")
    assert answer.status_code == 409
    assert "The study shows revision 2 by now, not 1. Nothing was changed." in _words(answer)
    task = tasks.state_of(first.uid)
    assert task is not None
    assert task.feedback == ()


@pytest.mark.parametrize(
    "changed", [{"finding": "LIVER"}, {"verdict": "MAYBE"}, {"revision": "x"}, {"comment": "x" * 2001}]
)
def test_verdict_that_makes_no_sense_is_refused(
    radiologist: TestClient, flagged: ReadStudy, changed: dict[str, str]
) -> None:
    fields = {"revision": 1, "finding": "SDH", "verdict": "AGREE"} | changed
    assert _post(radiologist, f"{flagged.path}/feedback", **fields).status_code in (409, 422)


def test_open_page_learns_of_other_readers_and_of_newer_readings(
    repository: SqlStudyRepository, radiologist: TestClient, tasks: SqlReaderTasks, tmp_path: Path
) -> None:
    study = read_study(repository, tmp_path, late=2)
    before = radiologist.get(f"{study.path}/reading").text
    tasks.take(study.uid, "wilson", NOW)
    assert "wilson is reading this study" in _words(radiologist.get(f"{study.path}/reading"))
    late_slices(repository, tmp_path, study)
    after = radiologist.get(f"{study.path}/reading").text
    assert f'data-shown="{study.series_uid}/1/' in before
    assert f'data-shown="{study.series_uid}/2/' in after


def test_study_that_vanishes_while_it_is_open_is_not_found(
    radiologist: TestClient, flagged: ReadStudy, sqlite_engine: Engine
) -> None:
    with Session(sqlite_engine) as session, session.begin():
        session.execute(delete(StudyRow))
    for path in (flagged.path, f"{flagged.path}/reading"):
        assert radiologist.get(path).status_code == 404
    fields = {"revision": 1, "finding": "SDH", "verdict": "AGREE"}
    for path in ("take", "acknowledge", "feedback"):
        answer = _post(radiologist, f"{flagged.path}/{path}", **fields)
        assert answer.status_code == 404
        assert "Traceback" not in answer.text


# escalation ----------------------------------------------------------------------------------------------------------


def test_page_tells_who_was_called_because_nobody_acknowledged(
    radiologist: TestClient, flagged: ReadStudy, tasks: SqlReaderTasks, sqlite_engine: Engine
) -> None:
    assert "Escalation" not in _words(radiologist.get(flagged.path))
    escalations = SqlEscalations(sqlite_engine)
    chain = tuple(EscalationStep(60.0 * number, PAGER) for number in (1, 2, 3))
    escalations.plan(chain, NOW + timedelta(minutes=10), flagged_since=NOW)
    for outcome in (
        SendOutcome("", Action.DONE, 204, "HTTP 204 No Content"),
        SendOutcome("", Action.GIVE_UP, None, "<no> connection"),
    ):
        call = escalations.claim(NOW + timedelta(minutes=10), lease_s=60)
        assert call is not None
        escalations.save(call.escalation_id, outcome, NOW + timedelta(minutes=11), again_at=None)
    said = _words(radiologist.get(flagged.path))
    assert "Step 1: called, 2026-03-02 08:11 UTC" in said
    assert "Step 2: could not be reached , 2026-03-02 08:11 UTC (<no> connection)" in said
    assert "Step 3: being called since 2026-03-02 08:03 UTC" in said
    assert "Escalated, step 1" in said
    tasks.acknowledge(flagged.uid, "radiologist", NOW + timedelta(minutes=12))
    assert escalations.claim(NOW + timedelta(minutes=13), lease_s=60) is None
    assert "Step 3: not called, somebody acknowledged" in _words(radiologist.get(f"{flagged.path}/reading"))


# deliveries ----------------------------------------------------------------------------------------------------------


def test_deliveries_that_were_given_up_can_be_sent_again_by_an_operator(
    signed_in: Sign, studies: Studies, repository: SqlStudyRepository
) -> None:
    uid = studies.arrive()
    studies.evidence(uid)
    studies.deliver(uid, Action.GIVE_UP)
    assert "Send again" not in signed_in("radiologist").get(f"/studies/{uid}").text
    administrator = signed_in("administrator")
    page = administrator.get(f"/studies/{uid}")
    said = _words(page)
    assert "PACS 127.0.0.1:11113 1 SR, 1 SC" in said
    assert "Given up 1 attempt" in said
    ids = re.findall(r'name="delivery_id" value="(\d+)"', page.text)
    answer = _post(administrator, f"/studies/{uid}/deliveries/retry", "administrator", delivery_id=ids)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/studies/{uid}#deliveries")
    assert {each["state"] for each in repository.deliveries()} == {"DUE"}


def test_deliveries_of_another_study_stay_as_they_are(
    signed_in: Sign, studies: Studies, repository: SqlStudyRepository
) -> None:
    other, uid = studies.arrive(), studies.arrive()
    for each in (other, uid):
        studies.evidence(each)
        studies.deliver(each, Action.GIVE_UP)
    ids = [each["delivery_id"] for each in repository.deliveries() if each["study_instance_uid"] == other]
    answer = _post(signed_in("administrator"), f"/studies/{uid}/deliveries/retry", "administrator", delivery_id=ids)
    assert answer.status_code == 303
    assert {each["state"] for each in repository.deliveries()} == {"GIVEN_UP"}
