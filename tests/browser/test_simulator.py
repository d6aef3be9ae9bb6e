"""The waiting-time simulator in a real browser: prefilled, in both themes, on a phone, and clear about what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from fakes.weeks import fill_weeks
from playwright.sync_api import Page, expect
from sqlalchemy import Engine

from triage_node.core.access import Role

Screenshot = Callable[[Page, str], Path]
SignIn = Callable[..., str]


def serious(page: Page) -> list[tuple[str, str]]:
    """What axe finds that keeps somebody out."""
    found = Axe().run(page).response["violations"]
    return [(each["id"], each["nodes"][0]["html"]) for each in found if each["impact"] in ("serious", "critical")]


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("width", [390, 1440])
def test_simulator_is_legible_to_everyone(
    page: Page, sign_in: SignIn, theme: str, width: int, screenshot: Screenshot, sqlite_engine: Engine
) -> None:
    fill_weeks(sqlite_engine, datetime.now(UTC), days=7)
    sign_in(Role.RADIOLOGIST)
    page.emulate_media(color_scheme="light" if theme == "light" else "dark")
    page.set_viewport_size({"width": width, "height": 3400 if width < 1000 else 2200})
    page.goto("/simulator?arrivals=5&reading_time=10&days=10&readers=1")
    expect(page.get_by_role("link", name="Simulator")).to_have_attribute("aria-current", "page")
    expect(page.get_by_role("img", name="Columns: mean waiting.")).to_be_visible()
    page.get_by_text("Where the first values come from").click()
    expect(page.get_by_text("studies in the last 28 days")).to_be_visible()
    screenshot(page, f"simulator-{theme}-{width}")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert serious(page) == []


def test_readers_who_cannot_keep_up_are_told_and_more_of_them_simulate(
    page: Page, sign_in: SignIn, expected_console: list[str], screenshot: Screenshot
) -> None:
    sign_in(Role.VIEWER)
    page.goto("/simulator?days=5")
    expected_console.append("status of 400")
    page.get_by_label("Studies an hour").fill("12")
    page.get_by_role("button", name="Simulate").click()
    expect(page.get_by_role("alert")).to_contain_text("at least 3 readers")
    expect(page.get_by_label("Studies an hour")).to_have_value("12")
    assert serious(page) == []
    screenshot(page, "simulator-refused")
    page.get_by_label("Readers").fill("3")
    page.get_by_role("button", name="Simulate").click()
    expect(page.get_by_text("Checked against queueing theory")).to_be_visible()
