"""What every page shares: the theme, the skip link, the notice that is always there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

NOTICE = "Research use only. Not for diagnostic use."


@pytest.mark.parametrize("width", [360, 1440, 2560])
def test_notice_is_in_sight_and_nothing_is_cut_off_at_any_width(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 700})
    page.goto("/health")
    expect(page.get_by_text(NOTICE)).to_be_in_viewport()
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_theme_is_the_systems_until_one_is_chosen_and_the_choice_stays(page: Page) -> None:
    def ground() -> str:
        return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))

    page.goto("/health")
    dark = ground()
    page.emulate_media(color_scheme="light")
    light = ground()
    assert light != dark
    switch = page.get_by_role("button", name="Theme: system")
    switch.click()
    expect(page.get_by_role("button", name="Theme: dark")).to_be_visible()
    assert ground() == dark
    page.reload()
    assert ground() == dark


def test_first_stop_of_the_keyboard_leads_past_the_navigation(page: Page) -> None:
    page.goto("/health")
    page.keyboard.press("Tab")
    link = page.get_by_role("link", name="Skip to the content")
    expect(link).to_be_focused()
    expect(link).to_be_in_viewport()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_page_without_scripts_still_says_all(browser: Browser, server: Any, sign_in: Callable[..., str]) -> None:
    context = browser.new_context(base_url=server.url, java_script_enabled=False)
    page = context.new_page()
    page.goto("/health")
    expect(page.get_by_text(NOTICE)).to_be_visible()
    expect(page.get_by_role("heading", name="Health")).to_be_visible()
    context.close()


def test_health_page_goes_on_by_itself_and_says_when_the_node_is_away(
    page: Page, server: Any, expected_console: list[str]
) -> None:
    expected_console.append("Failed to load resource|ERR_|net::")
    page.goto("/health")
    page.evaluate("window.neverLoadedAgain = true")
    checked = page.get_by_text("Checked").inner_text()
    expect(page.get_by_text("Checked")).not_to_have_text(checked, timeout=20_000)
    server.stop()
    expect(page.get_by_text("The node does not answer.")).to_be_visible(timeout=20_000)
    server.start()
    expect(page.get_by_text("The node does not answer.")).to_be_hidden(timeout=20_000)
    assert page.evaluate("window.neverLoadedAgain") is True
