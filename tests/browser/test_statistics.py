"""Statistics in a real browser: both themes, a phone and a monitor, with much, little and nothing to show."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from fakes.weeks import HOSTILE, fill_weeks
from playwright.sync_api import Page, expect
from sqlalchemy import Engine

from triage_node.core.access import Role

Screenshot = Callable[[Page, str], Path]
SignIn = Callable[..., str]


def serious(page: Page) -> list[tuple[str, str]]:
    """What axe finds that keeps somebody out."""
    found = Axe().run(page).response["violations"]
    return [(each["id"], each["nodes"][0]["html"]) for each in found if each["impact"] in ("serious", "critical")]


@pytest.fixture
def weeks(sqlite_engine: Engine) -> int:
    """Four weeks of a hospital."""
    return fill_weeks(sqlite_engine, datetime.now(UTC))


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.usefixtures("weeks")
def test_statistics_are_legible_to_everyone(
    page: Page, sign_in: SignIn, theme: str, width: int, screenshot: Screenshot
) -> None:
    sign_in(Role.ADMINISTRATOR)
    page.emulate_media(color_scheme="light" if theme == "light" else "dark")
    page.set_viewport_size({"width": width, "height": 4200})
    page.goto("/statistics")
    expect(page.get_by_role("link", name="Statistics")).to_have_attribute("aria-current", "page")
    expect(page.get_by_text("Scanner CT_WARD is silent")).to_be_visible()
    expect(page.get_by_role("img", name="Columns: studies received")).to_be_visible()
    expect(page.get_by_text(HOSTILE).first).to_be_visible()
    screenshot(page, f"statistics-{theme}-{width}")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert serious(page) == []


@pytest.mark.usefixtures("weeks")
def test_days_are_chosen_and_a_wrong_choice_is_explained(
    page: Page, sign_in: SignIn, expected_console: list[str]
) -> None:
    sign_in(Role.VIEWER)
    page.goto("/statistics")
    page.get_by_role("link", name="90 days").click()
    expect(page.get_by_role("link", name="90 days")).to_have_attribute("aria-current", "true")
    page.get_by_label("First day (UTC)").fill("2026-01-02")
    page.get_by_label("Last day (UTC)").fill("2026-01-01")
    expected_console.append("status of 400")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("alert").filter(has_text="lies after the last")).to_be_visible()
    expect(page.get_by_label("First day (UTC)")).to_have_value("2026-01-02")


def test_statistics_of_an_empty_node_say_so(page: Page, sign_in: SignIn, screenshot: Screenshot) -> None:
    sign_in(Role.VIEWER)
    page.goto("/statistics")
    expect(page.get_by_text("Nothing was received, refused or judged")).to_be_visible()
    assert serious(page) == []
    screenshot(page, "statistics-empty")
