"""The API with a token: the worklist page by page, one study, its reading, its deliveries, figures, errors, and who may."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from fakes.studies import Studies
from fakes.web import web_parts
from fastapi.testclient import TestClient
from sqlalchemy import Engine

from triage_node.core.dimse_status import Action
from triage_node.web.app import make_app
from triage_node.worklist.repository import SqlStudyRepository

API = "/api/v1"


@pytest.fixture
def studies(engine: Engine) -> Studies:
    return Studies(SqlStudyRepository(engine))


@pytest.fixture
def app(engine: Engine, tmp_path: Path) -> object:
    return make_app(web_parts(engine, tmp_path))


def _client(app: object, role: str) -> TestClient:
    return TestClient(app, headers={"Authorization": f"Bearer {role}"})  # type: ignore[arg-type]


@pytest.fixture
def client(app: object) -> TestClient:
    return _client(app, "administrator")


def test_worklist_is_paged_without_gap_or_repetition_and_kept_by_etag(client: TestClient, studies: Studies) -> None:
    uids = [studies.arrive(minutes_ago=minutes) for minutes in range(7)]
    studies.classify(uids[0])
    seen, path = [], f"{API}/studies?limit=3"
    while path:
        answer = client.get(path)
        assert answer.status_code == 200, answer.text
        seen += [each["study_instance_uid"] for each in answer.json()["studies"]]
        path = answer.json()["next"]
        assert (path is None) == ("link" not in answer.headers)
    assert seen == [uids[0], *uids[:0:-1]]
    first = client.get(f"{API}/studies")
    again = client.get(f"{API}/studies", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    studies.arrive()
    assert client.get(f"{API}/studies", headers={"If-None-Match": first.headers["etag"]}).status_code == 200


def test_filters_narrow_and_one_that_is_misspelt_is_refused(client: TestClient, studies: Studies) -> None:
    flagged = studies.arrive(patient_name="Flagged^One")
    studies.classify(flagged)
    studies.classify(studies.arrive(), probability=0.1)
    for query in ("flagged=true", "text=flagg", "priority=STAT"):
        found = client.get(f"{API}/studies?{query}").json()["studies"]
        assert [each["study_instance_uid"] for each in found] == [flagged]
    refused = client.get(f"{API}/studies?flaged=true")
    assert refused.status_code == 422
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json()["errors"][0]["loc"] == ["query", "flaged"]


@pytest.mark.parametrize("text", ["'; DROP TABLE studies; --", "%", "\x00", "<script>", "\U0001f600" * 9])
def test_text_of_any_kind_is_only_looked_for(client: TestClient, studies: Studies, text: str) -> None:
    studies.arrive()
    assert client.get(f"{API}/studies", params={"text": text}).status_code == 200
    assert len(client.get(f"{API}/studies").json()["studies"]) == 1


def test_a_study_is_shown_in_full_without_paths_of_files(client: TestClient, studies: Studies) -> None:
    uid = studies.arrive()
    studies.forward(uid)
    study = client.get(f"{API}/studies/{uid}")
    assert study.status_code == 200, study.text
    assert "/evidence/" not in study.text
    series = study.json()["series"][0]
    slices = client.get(f"{API}/studies/{uid}/series/{series['series_instance_uid']}/slices").json()["slices"]
    assert [each["slice_index"] for each in slices] == list(range(28))
    assert "hemorrhage" in client.get(f"{API}/studies/{uid}/report").text.lower()
    audit = client.get(f"{API}/audit?action=STUDY_SHOWN&study_instance_uid={uid}").json()
    assert [each["actor"] for each in audit["lines"]] == ["administrator"] * 3


def test_reading_steps_follow_the_table_and_say_who_was_faster(app: object, studies: Studies) -> None:
    uid = studies.arrive()
    studies.classify(uid)
    reader, other = _client(app, "radiologist"), _client(app, "administrator")
    assert reader.post(f"{API}/studies/{uid}/take").json()["performer"] == "radiologist"
    refused = other.post(f"{API}/studies/{uid}/take")
    assert refused.status_code == 409
    assert "radiologist" in refused.json()["detail"]
    said = {"revision": 1, "finding": "ICH", "verdict": "DISAGREE", "comment": "calcification"}
    given = reader.post(f"{API}/studies/{uid}/feedback", json=said)
    assert (given.status_code, given.json()["feedback"][0]["verdict"]) == (201, "DISAGREE")
    assert reader.post(f"{API}/studies/{uid}/complete").json()["state"] == "COMPLETED"
    assert reader.post(f"{API}/studies/1.2.3/take").status_code == 404


def test_given_up_deliveries_are_tried_again(client: TestClient, studies: Studies) -> None:
    uid = studies.arrive()
    studies.evidence(uid)
    studies.deliver(uid, Action.GIVE_UP)
    listed = client.get(f"{API}/studies/{uid}/deliveries").json()["deliveries"]
    assert {each["state"] for each in listed} == {"GIVEN_UP"}
    again = client.post(f"{API}/studies/{uid}/deliveries/retry", json={"delivery_ids": [listed[0]["delivery_id"]]})
    assert again.json() == {"retried": 1}
    page = client.get(f"{API}/deliveries?limit=1").json()
    assert client.get(page["next"]).json()["next"] is None


def test_export_is_csv_that_no_spreadsheet_runs(client: TestClient, studies: Studies) -> None:
    studies.forward(studies.arrive(patient_name="=cmd|' /C calc'!A0"))
    answer = client.get(f"{API}/export/studies.csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    (row,) = csv.DictReader(io.StringIO(answer.text))
    assert row["patient_name"] == "'=cmd|' /C calc'!A0"
    assert row["deliveries"] == "PACS@127.0.0.1:11113: 2 SENT"


def test_figures_and_scanners_hold_no_patient(app: object, studies: Studies) -> None:
    studies.classify(studies.arrive(patient_name="Secret^Person"))
    viewer = _client(app, "viewer")
    for path in ("statistics", "scanners"):
        answer = viewer.get(f"{API}/{path}")
        assert answer.status_code == 200, answer.text
        assert "Secret" not in answer.text


@pytest.mark.parametrize(
    ("role", "method", "path", "status"),
    [
        ("nobody", "GET", "/studies", 401),
        ("viewer", "POST", "/studies/1.2.3/take", 403),
        ("viewer", "GET", "/studies/1.2.3/series/1.2/slices/0.png", 403),
        ("radiologist", "GET", "/audit", 403),
        ("radiologist", "POST", "/studies/1.2.3/deliveries/retry", 403),
        ("radiologist", "GET", "/studies/1.2.3/series/1.2/slices/0.png", 404),
        ("viewer", "DELETE", "/studies", 405),
    ],
)
def test_refusals_are_problems(app: object, role: str, method: str, path: str, status: int) -> None:
    answer = _client(app, role).request(method, API + path, json={} if method == "POST" else None)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status


def test_a_browser_needs_its_csrf_token_where_a_program_does_not(app: object, studies: Studies) -> None:
    uid = studies.arrive()
    browser = TestClient(app, cookies={"triage_session": "radiologist"})  # type: ignore[arg-type]
    assert browser.post(f"{API}/studies/{uid}/acknowledge").status_code == 403
    proved = {"X-CSRF-Token": "csrf-radiologist"}
    assert browser.post(f"{API}/studies/{uid}/acknowledge", headers=proved).status_code == 200


def test_reference_page_and_description_name_every_operation(client: TestClient) -> None:
    described = client.get("/api/openapi.json").json()
    page = client.get("/api")
    assert described["openapi"].startswith("3.1")
    assert page.status_code == 200
    for path, methods in described["paths"].items():
        assert path in page.text
        assert all(each["x-required-permission"] in page.text for each in methods.values())
    assert TestClient(client.app).get("/api/openapi.json").status_code == 401
