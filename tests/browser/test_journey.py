"""A radiologist's morning with the node as installed: every process, a scanner, a PACS, and a real browser before it all."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hospital.node import Node
from hospital.pacs import Pacs
from hospital.scanner import Scanner
from hospital.studies import bleeding_head, coarse_head, head_study, study_uid
from hospital.waiting import wait_until
from playwright.sync_api import Browser, Page, expect

from triage_node.core.audit import AuditFilter
from triage_node.worklist.audit import SqlAuditTrail
from triage_node.worklist.engine import make_engine
from triage_node.worklist.reader_tasks import SqlReaderTasks

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

LIMIT_MS = 60_000
"""Longest wait for one step on a busy machine."""
BRAIN = '.pane[data-window="brain"]'
PASSWORDS = {"admin": "the scanner hums at night", "dr.weber": "a lantern in the reading room"}
Screenshot = Callable[[Page, str], Path]


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    """A node with nobody signed in yet and nothing received, before a PACS."""
    pacs = Pacs(tmp_path / "pacs")
    pacs.start()
    node = Node(tmp_path / "node", [pacs.address])
    try:
        node.start()
        yield node
    finally:
        node.stop()
        pacs.stop()


@pytest.fixture
def page(browser: Browser, node: Node) -> Iterator[Page]:
    context = browser.new_context(
        base_url=f"http://127.0.0.1:{node.http_port}",
        viewport={"width": 1440, "height": 900},
        color_scheme="dark",
    )
    context.set_default_timeout(LIMIT_MS)
    expect.set_options(timeout=LIMIT_MS)
    yield context.new_page()
    expect.set_options(timeout=5_000)
    context.close()


def sign_in(page: Page, name: str, given: str) -> None:
    """Sign in for the first time, with a password that was made for one, and choose one's own."""
    page.goto("/")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password", exact=True).fill(given)
    page.get_by_role("main").get_by_role("button", name="Sign in").click()
    page.get_by_label("Password until now").fill(given)
    for label in ("New password", "New password again"):
        page.get_by_label(label, exact=True).fill(PASSWORDS[name])
    page.get_by_role("button", name="Change it").click()
    expect(page.get_by_role("heading", name="Worklist")).to_be_visible()


def add_radiologist(page: Page) -> str:
    """Add dr.weber on the page of users; return the password that was made."""
    page.get_by_role("link", name="Users").click()
    page.get_by_label("Name").fill("dr.weber")
    page.get_by_label("Role", exact=True).select_option("radiologist")
    page.get_by_role("button", name="Add").click()
    return page.get_by_role("status").locator("code").inner_text()


def on_slice(page: Page, number: int) -> None:
    expect(page.locator(f"{BRAIN} .place")).to_contain_text(re.compile(rf"^{number}/"))


def heat_is_drawn(page: Page) -> bool:
    return bool(
        page.locator(f"{BRAIN} canvas.heat").evaluate(
            "canvas => canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.some(each => each !== 0)"
        )
    )


def test_flag_appears_live_and_is_looked_at_taken_and_disagreed_with(
    page: Page, node: Node, tmp_path: Path, screenshot: Screenshot
) -> None:
    told = re.search(r"first sign-in: name admin, password (\S+) ", node.log())
    assert told, node.log()
    sign_in(page, "admin", told[1])
    made = add_radiologist(page)
    page.get_by_role("button", name="Sign out").click()
    sign_in(page, "dr.weber", made)
    screenshot(page, "journey-1-empty")

    # it appears by itself
    expect(page.locator("#worklist")).to_have_attribute("data-watching", "yes")
    page.evaluate("window.neverLoadedAgain = true")
    scanner = Scanner(node.address, tmp_path / "scanner")
    scanner.send(head_study(coarse_head(), PatientName="Lindqvist^Astrid", AccessionNumber="ACC-1"))
    expect(page.get_by_role("link", name="Lindqvist, Astrid")).to_be_visible()
    series = head_study(bleeding_head(), PatientName="Okafor^Chidi", AccessionNumber="ACC-2")
    scanner.send(series)
    row = page.locator(f'#rows tr[data-uid="{study_uid(series)}"].flagged')
    expect(row).to_contain_text("Possible hemorrhage")
    first = page.locator("#rows tr.study").nth(0)
    expect(first).to_contain_text("Okafor, Chidi")
    expect(page.locator("#announcement")).to_contain_text("Flagged: Okafor, Chidi, accession ACC-2")
    assert page.evaluate("window.neverLoadedAgain") is True
    expect(row).to_contain_text("PACS: sent")
    screenshot(page, "journey-2-flagged")

    # looking
    row.get_by_role("link", name="Okafor, Chidi").click()
    expect(page.get_by_text("FLAGGED", exact=True)).to_be_visible()
    words = page.locator("#slice-words")
    expect(words).to_contain_text("flagged")
    start = int(re.search(r"Slice (\d+) of", words.inner_text())[1])  # type: ignore[index]
    on_slice(page, start)
    assert heat_is_drawn(page)
    screenshot(page, "journey-3-study")
    page.locator(f"{BRAIN} .screen").hover()
    page.mouse.wheel(0, 100)
    on_slice(page, start - 1)
    page.keyboard.press("ArrowUp")
    on_slice(page, start)
    page.get_by_role("slider", name="Heatmap opacity, per cent").fill("25")
    expect(page.locator(f"{BRAIN} canvas.heat")).to_have_css("opacity", "0.25")
    screenshot(page, "journey-4-faded")
    page.get_by_role("checkbox", name="Heatmap").uncheck()
    wait_until(lambda: not heat_is_drawn(page), "the heatmap is gone")
    page.locator('a.bar[data-slice="2"] .column').click()
    on_slice(page, 3)
    screenshot(page, "journey-5-jumped")

    # reading
    page.get_by_role("button", name="Take", exact=True).click()
    expect(page.get_by_text("You are reading this study")).to_be_visible()
    finding = page.locator("li.finding", has_text="Intracranial hemorrhage")
    finding.get_by_role("textbox").fill("calcified falx <b>")
    finding.get_by_role("button", name="Disagree").click()
    expect(finding).to_contain_text("dr.weber disagrees")
    expect(finding).to_contain_text("calcified falx <b>")
    screenshot(page, "journey-6-disagreed")
    page.emulate_media(color_scheme="light")
    screenshot(page, "journey-6-disagreed-light")
    page.set_viewport_size({"width": 390, "height": 844})
    page.reload()
    expect(page.locator(f"{BRAIN} .place")).not_to_be_empty()
    screenshot(page, "journey-6-disagreed-phone")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.goto(f"/studies/{study_uid(series)}")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    screenshot(page, "journey-7-signed-out-phone")

    # what is left of it
    engine = make_engine(f"sqlite:///{node.data_dir / 'triage_node.sqlite3'}")
    task = SqlReaderTasks(engine).state_of(study_uid(series))
    assert task is not None
    assert (task.performer, task.acknowledged_by) == ("dr.weber", "dr.weber")
    (said,) = task.feedback
    assert (said.finding, said.verdict, said.comment) == ("ICH", "DISAGREE", "calcified falx <b>")
    trail = SqlAuditTrail(engine).page(AuditFilter(actor="dr.weber"), 100)
    done = [line.action for line in trail if not line.action.endswith("_SHOWN")]
    assert done == ["SIGNED_OUT", "FEEDBACK_GIVEN", "TAKEN", "PASSWORD_CHANGED", "SIGNED_IN"]
    assert {line.study_instance_uid for line in trail if line.action in ("STUDY_SHOWN", "IMAGES_SHOWN")} == {
        study_uid(series)
    }
    assert "Okafor" not in node.log()
