"""The reference page of the API in a real browser, and a page that calls the API with its session."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from fakes.studies import Studies
from playwright.sync_api import Page, expect

from triage_node.core.access import Role

Screenshot = Callable[[Page, str], Path]
SignIn = Callable[..., str]

TAKE = """async ([uid, token]) => {
    const headers = token ? {"X-CSRF-Token": token} : {};
    const answer = await fetch(`/api/v1/studies/${uid}/take`, {method: "POST", headers});
    return [answer.status, (await answer.json()).performer ?? null];
}"""


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("width", [390, 1440])
def test_reference_is_legible_to_everyone(
    page: Page, sign_in: SignIn, theme: str, width: int, screenshot: Screenshot
) -> None:
    sign_in(Role.VIEWER)
    page.emulate_media(color_scheme="light" if theme == "light" else "dark")
    page.set_viewport_size({"width": width, "height": 2400})
    page.goto("/api")
    expect(page.get_by_role("heading", name="GET /api/v1/studies", exact=True)).to_be_visible()
    screenshot(page, f"api-{theme}-{width}")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    found = Axe().run(page).response["violations"]
    assert [(each["id"], each["nodes"][0]["html"]) for each in found if each["impact"] in ("serious", "critical")] == []


def test_page_of_a_signed_in_browser_calls_the_api_with_its_csrf_token(
    page: Page, sign_in: SignIn, studies: Studies, expected_console: list[str]
) -> None:
    uid = studies.arrive()
    sign_in(Role.RADIOLOGIST)
    page.goto("/api")
    expected_console.append("status of 403")
    assert page.evaluate(TAKE, [uid, None]) == [403, None]
    token = page.locator('meta[name="csrf-token"]').get_attribute("content")
    assert page.evaluate(TAKE, [uid, token]) == [200, "radiologist"]
