"""The API with a token: the worklist page by page, one study, its reading, its deliveries, figures, errors, and who may."""

from __future__ import annotations

import csv
import io
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fakes.studies import Studies
from fakes.web import web_parts
from fastapi.testclient import TestClient
from sqlalchemy import Engine

from triage_node.core.destination import Destination, DestinationKind
from triage_node.core.dimse_status import Action
from triage_node.core.escalation import EscalationStep
from triage_node.web.app import make_app
from triage_node.worklist.engine import make_engine
from triage_node.worklist.escalations import SqlEscalations
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
    studies.arrive()
    for query in ("flagged=true", "text=flagg", "priority=STAT"):
        found = client.get(f"{API}/studies?{query}").json()["studies"]
        assert [each["study_instance_uid"] for each in found] == [flagged]
    (unflagged,) = client.get(f"{API}/studies?flagged=false").json()["studies"]
    assert unflagged["flagged"] is False
    refused = client.get(f"{API}/studies?flaged=true")
    assert refused.status_code == 422
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json()["errors"][0]["loc"] == ["query", "flaged"]


def test_time_zone_whose_plus_came_as_a_space_is_understood(client: TestClient, studies: Studies) -> None:
    studies.arrive()
    for offset in ("%2B00:00", "+00:00", "Z", "+0100", "-01:00"):
        for field, expected in (("received_from", 1), ("received_before", 0)):
            answer = client.get(f"{API}/studies?{field}=2026-01-01T00:00:00{offset}")
            assert answer.status_code == 200, answer.text
            assert len(answer.json()["studies"]) == expected
    for refused in ("now", "1790000000", "2026-01-01", "2026-01-01T00:00:00", "2026-01-01T00:00:00 OR 1=1"):
        assert client.get(f"{API}/studies?received_from={refused}").status_code == 422


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
    for step in ("complete", None):  # the list says the same of it as the study, before and after
        (listed,) = reader.get(f"{API}/studies").json()["studies"]
        shown = reader.get(f"{API}/studies/{uid}").json()["reading"]
        assert listed["reading"].items() <= shown.items()
        if step:
            assert reader.post(f"{API}/studies/{uid}/{step}").json()["state"] == "COMPLETED"
    assert reader.post(f"{API}/studies/1.2.3/take").status_code == 404


def test_a_change_can_be_bound_to_what_the_program_has_seen(app: object, studies: Studies) -> None:
    uid = studies.arrive()
    studies.classify(uid)
    of_study = f"{API}/studies/{uid}"
    reader, other = _client(app, "radiologist"), _client(app, "administrator")
    seen = reader.get(f"{of_study}/reading").headers["etag"]
    assert other.post(f"{of_study}/acknowledge", headers={"If-Match": seen}).status_code == 200
    for past in (seen, "W/" + reader.get(f"{of_study}/reading").headers["etag"], '"', ""):
        refused = reader.post(f"{of_study}/take", headers={"If-Match": past})
        assert (refused.status_code, refused.json()["title"]) == (412, "Precondition Failed"), past
    assert reader.get(f"{of_study}/reading").json()["performer"] is None
    seen = reader.get(f"{of_study}/reading").headers["etag"]
    taken = reader.post(f"{of_study}/take", headers={"If-Match": f'"other", {seen}'})
    assert (taken.status_code, taken.headers["content-location"]) == (200, f"{of_study}/reading")
    assert taken.headers["etag"] == reader.get(f"{of_study}/reading").headers["etag"]
    assert reader.post(f"{of_study}/complete", headers={"If-Match": "*"}).json()["state"] == "COMPLETED"


def test_a_change_is_never_answered_with_what_the_program_has_already(app: object, studies: Studies) -> None:
    uid = studies.arrive()
    reader = _client(app, "radiologist")
    for step in ("acknowledge", "take"):
        answer = reader.post(f"{API}/studies/{uid}/{step}", headers={"If-None-Match": "*"})
        assert (answer.status_code, answer.json()["acknowledged_by"]) == (200, "radiologist")


def test_a_reading_says_who_was_called_because_nobody_acknowledged(
    client: TestClient, studies: Studies, engine: Engine
) -> None:
    uid = studies.arrive(minutes_ago=20)
    studies.classify(uid)
    now = datetime.now(UTC)
    pager = Destination("pager", DestinationKind.WEBHOOK, "https://pager.example/ich")
    assert SqlEscalations(engine).plan((EscalationStep(60.0, pager),), now, flagged_since=now - timedelta(hours=1)) == 1
    (step,) = client.get(f"{API}/studies/{uid}/reading").json()["escalations"]
    assert (step["step"], step["state"], step["ended_at"]) == (1, "DUE", None)


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


@pytest.mark.parametrize(
    "name", ["=cmd|' /C calc'!A0", "  =1+1", "\uff1d1+1", "+1", "-1", "@SUM(1)", "\t=1", '=HYPERLINK("http://e")']
)
def test_export_is_csv_that_no_spreadsheet_runs(client: TestClient, studies: Studies, name: str) -> None:
    studies.forward(studies.arrive(patient_id="MRN", patient_name=name, study_description=f'a "b", {name}\nc'))
    answer = client.get(f"{API}/export/studies.csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    (row,) = csv.DictReader(io.StringIO(answer.text, newline=""))
    assert row["patient_name"] == f"'{name}"
    assert row["study_description"].startswith('a "b", ')
    assert row["deliveries"] == "PACS@127.0.0.1:11113: 2 SENT"
    assert float(row["ich_probability"]) == 0.93


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


def test_a_database_that_is_away_is_said_to_be_and_when_to_ask_again(tmp_path: Path) -> None:
    nowhere = make_engine("postgresql+psycopg://nobody@127.0.0.1:1/none")
    client = TestClient(make_app(web_parts(nowhere, tmp_path)), raise_server_exceptions=False)
    client.headers["Authorization"] = "Bearer administrator"
    for path, methods in client.get("/api/openapi.json").json()["paths"].items():
        address = re.sub(r"{[^}]*}", "1", path)
        for method in methods:
            body = {"revision": 1, "finding": "ICH", "verdict": "AGREE"} if "feedback" in path else {}
            answer = client.request(method, address, json=body if method == "post" else None)
            assert (answer.status_code, answer.headers.get("retry-after")) == (503, "5"), (method, path, answer.text)
            assert answer.headers["content-type"] == "application/problem+json"
            assert "127.0.0.1" not in answer.text


def test_a_browser_needs_its_csrf_token_where_a_program_does_not(app: object, studies: Studies) -> None:
    uid = studies.arrive()
    browser = TestClient(app, cookies={"triage_session": "radiologist"})  # type: ignore[arg-type]
    assert browser.post(f"{API}/studies/{uid}/acknowledge").status_code == 403
    proved = {"X-CSRF-Token": "csrf-radiologist"}
    assert browser.post(f"{API}/studies/{uid}/acknowledge", headers=proved).status_code == 200


def test_guide_names_every_operation_and_its_permission(client: TestClient) -> None:
    guide = (Path(__file__).parents[2] / "docs" / "API.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| (GET|POST) `([^`?]+)` \| `(\w+)` \|", guide, re.MULTILINE)
    described = client.get("/api/openapi.json").json()["paths"]
    operations = [
        (method.upper(), path.removeprefix(API), each["x-required-permission"])
        for path, methods in described.items()
        for method, each in methods.items()
    ]
    assert sorted(listed) == sorted([*operations, ("GET", "/users", "ADMINISTER")])  # that one needs accounts


def test_reference_page_and_description_name_every_operation(client: TestClient) -> None:
    described = client.get("/api/openapi.json").json()
    page = client.get("/api")
    assert described["openapi"].startswith("3.1")
    assert page.status_code == 200
    for path, methods in described["paths"].items():
        assert path in page.text
        assert all(each["x-required-permission"] in page.text for each in methods.values())
    assert "STAT | HIGH | ROUTINE" in page.text
    assert TestClient(client.app).get("/api/openapi.json").status_code == 401
