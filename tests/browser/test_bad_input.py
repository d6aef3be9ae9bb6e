"""What a browser meets when names are hostile, studies vanish and other sites set traps: text, and words of what it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fakes.read_studies import ReadStudy, read_study
from fakes.studies import Studies
from playwright.sync_api import Page, expect
from sqlalchemy import Engine, delete
from sqlalchemy.orm import Session

from triage_node.core.access import Role
from triage_node.settings import Settings
from triage_node.worklist.reader_tasks import SqlReaderTasks
from triage_node.worklist.repository import SqlStudyRepository
from triage_node.worklist.tables import StudyRow

NAME = "<script>alert(1)</script><b>"
"""Without an equals sign, which parts the groups of a person name (PS3.5 6.2.1)."""
HOSTILE = "<script>document.title='stolen'</script><img src=x onerror=alert(1)>"
Screenshot = Callable[[Page, str], Path]
SignIn = Callable[..., str]


@pytest.fixture
def hostile(sqlite_engine: Engine, settings: Settings) -> ReadStudy:
    """A study that can be looked at, whose every text tries to be markup."""
    settings.data_dir.mkdir(exist_ok=True)
    return read_study(
        SqlStudyRepository(sqlite_engine),
        settings.data_dir,
        patient_name=NAME,
        patient_id="<b onclick=alert(1)>",
        study_description=HOSTILE[:60],
        series_description=HOSTILE[:60],
    )


def test_name_with_markup_is_text_on_the_study_page_and_in_its_title(
    page: Page, sign_in: SignIn, hostile: ReadStudy, screenshot: Screenshot
) -> None:
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    sign_in()
    page.goto(hostile.path)
    expect(page.get_by_role("heading", level=1)).to_have_text(NAME)
    expect(page).to_have_title(f"{NAME} - triage_node")
    expect(page.locator("main script, main img[src=x], main b[onclick]")).to_have_count(0)
    page.get_by_role("textbox", name="Comment on subdural hemorrhage").fill(HOSTILE)
    page.get_by_role("button", name="Disagree: subdural hemorrhage present").click()
    expect(page.locator(".verdict")).to_contain_text(HOSTILE)
    assert page.evaluate("document.documentElement.scrollWidth") <= 1440
    screenshot(page, "study-hostile-name")
    assert dialogs == []


def test_row_of_a_study_that_vanished_says_so_and_the_list_stays_live(
    page: Page, sign_in: SignIn, studies: Studies, sqlite_engine: Engine, expected_console: list[str]
) -> None:
    expected_console.append("404")
    uid = studies.arrive(patient_name="Soon^Gone")
    studies.forward(uid, 0.9)
    sign_in(Role.RADIOLOGIST)
    page.goto("/")
    expect(page.locator("#worklist")).to_have_attribute("data-watching", "yes")
    with Session(sqlite_engine) as session, session.begin():
        session.execute(delete(StudyRow))
    page.get_by_role("button", name="Acknowledge Soon, Gone").click()
    expect(page.locator("#announcement")).to_contain_text("could not be acknowledged")
    studies.forward(studies.arrive(patient_name="Still^Live"), 0.9)
    expect(page.get_by_role("link", name="Still, Live")).to_be_visible()
    page.get_by_role("link", name="Soon, Gone").click()
    expect(page.get_by_role("heading", name="Not found")).to_be_visible()
    expect(page.get_by_text("or no longer")).to_be_visible()
    page.get_by_role("main").get_by_role("link", name="Worklist").click()
    expect(page.get_by_role("link", name="Soon, Gone")).to_have_count(0)


def test_page_of_another_site_changes_nothing_in_a_readers_name(
    page: Page, sign_in: SignIn, studies: Studies, sqlite_engine: Engine, server: Any, expected_console: list[str]
) -> None:
    """The session's cookie of these tests is not SameSite, and Chromium sends it along: the token alone protects."""
    expected_console.append("403|410")  # the study has no files to be looked at
    uid = studies.arrive()
    studies.forward(uid, 0.9)
    sign_in(Role.RADIOLOGIST)
    trap = f"""<form method="post" action="{server.url}/studies/{uid}/take"><button>You have won</button></form>"""
    page.route("http://evil.example/", lambda route: route.fulfill(body=trap, content_type="text/html"))
    page.goto("http://evil.example/")
    page.get_by_role("button", name="You have won").click()
    expect(page.get_by_role("heading", name="Not allowed")).to_be_visible()
    task = SqlReaderTasks(sqlite_engine).state_of(uid)
    assert task is not None
    assert (task.performer, task.acknowledged_at) == (None, None)
    page.goto(f"{server.url}/studies/{uid}")
    expect(page.get_by_text("Nobody is reading this study")).to_be_visible()
