"""The page of a study in a real browser: scroll, fade, jump, take, disagree, sign out; on a monitor and on a phone."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from fakes.read_studies import ReadStudy, late_slices, read_study
from playwright.sync_api import Page, expect
from sqlalchemy import Engine, delete
from sqlalchemy.orm import Session

from triage_node.core.access import Role
from triage_node.settings import Settings
from triage_node.worklist.reader_tasks import SqlReaderTasks
from triage_node.worklist.repository import SqlStudyRepository
from triage_node.worklist.tables import StudyRow

Screenshot = Callable[[Page, str], Path]
SignIn = Callable[..., str]
BRAIN = '.pane[data-window="brain"]'


@pytest.fixture
def repository(sqlite_engine: Engine) -> SqlStudyRepository:
    return SqlStudyRepository(sqlite_engine)


@pytest.fixture
def study(repository: SqlStudyRepository, settings: Settings) -> ReadStudy:
    """A flagged study, its slices in the spool and its heatmaps beside the evidence."""
    settings.data_dir.mkdir(exist_ok=True)
    return read_study(repository, settings.data_dir, patient_name="Okafor^Chidi", patient_id="MRN50100", late=1)


@pytest.fixture
def opened(page: Page, sign_in: SignIn, study: ReadStudy) -> Page:
    """The study, open before a radiologist."""
    sign_in(Role.RADIOLOGIST, "dr.weber")
    page.goto(study.path)
    on_slice(page, study, study.flagged[0])
    return page


def on_slice(page: Page, study: ReadStudy, index: int, window: str = "brain") -> None:
    """Wait until the image, the words on it and the words below the curve are of this slice."""
    count = len(study.finding.slices)
    place = page.locator(f'.pane[data-window="{window}"] .place')
    expect(place).to_contain_text(f"{index + 1}/{count}")
    expect(page.locator("#slice-words")).to_contain_text(f"Slice {index + 1} of {count}")


def drawn(page: Page, canvas: str = "slice", window: str = "brain") -> str:
    """Return what tells one drawing from another."""
    pixels = page.locator(f'.pane[data-window="{window}"] canvas.{canvas}').evaluate(
        "canvas => Array.from(canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data).join()"
    )
    return hashlib.sha256(str(pixels).encode()).hexdigest()


def empty(page: Page, canvas: str = "heat", window: str = "brain") -> bool:
    return bool(
        page.locator(f'.pane[data-window="{window}"] canvas.{canvas}').evaluate(
            "canvas => canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.every(each => each === 0)"
        )
    )


# looking -------------------------------------------------------------------------------------------------------------


def test_page_begins_with_the_highest_slice_in_three_windows(opened: Page, study: ReadStudy) -> None:
    for window in ("brain", "subdural", "bone"):
        on_slice(opened, study, study.flagged[0], window)
        assert not empty(opened, "slice", window)
    assert len({drawn(opened, "slice", window) for window in ("brain", "subdural", "bone")}) == 3
    expect(opened.locator(".not-diagnostic").first).to_be_in_viewport()
    expect(opened.get_by_text("FLAGGED", exact=True)).to_be_in_viewport()


def test_wheel_and_keys_scroll_through_the_slices(opened: Page, study: ReadStudy) -> None:
    here, last = study.flagged[0], len(study.finding.slices) - 1
    before = drawn(opened)
    opened.locator(f"{BRAIN} .screen").hover()
    opened.mouse.wheel(0, -100)
    on_slice(opened, study, here + 1)
    assert drawn(opened) != before
    opened.mouse.wheel(0, 100)
    on_slice(opened, study, here)
    assert drawn(opened) == before
    assert opened.evaluate("scrollY") == 0, "the page stays where it is"
    for key, index in (("ArrowUp", here + 1), ("ArrowDown", here), ("Home", 0), ("PageUp", 5), ("End", last)):
        opened.keyboard.press(key)
        on_slice(opened, study, index)


def test_dragging_scrolls_too(opened: Page, study: ReadStudy) -> None:
    box = opened.locator(f"{BRAIN} .screen").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    opened.mouse.move(x, y)
    opened.mouse.down()
    opened.mouse.move(x, y + 30, steps=6)
    opened.mouse.up()
    on_slice(opened, study, study.flagged[0] - 2)


def test_click_on_the_curve_jumps_to_the_slice(opened: Page, study: ReadStudy) -> None:
    opened.locator('a.bar[data-slice="2"] .column').click()
    on_slice(opened, study, 2)
    expect(opened.locator('a.bar[data-slice="2"]')).to_have_attribute("aria-current", "true")
    assert f"{study.path}" in opened.url
    slider = opened.get_by_role("slider", name="Slice", exact=True)
    slider.focus()
    opened.keyboard.press("ArrowUp")
    on_slice(opened, study, 3)
    assert "Slice 4 of" in str(slider.get_attribute("aria-valuetext"))


def test_buttons_and_letters_lead_from_one_flagged_slice_to_the_next(opened: Page, study: ReadStudy) -> None:
    opened.get_by_role("button", name="Next flagged slice").click()
    on_slice(opened, study, study.flagged[1])
    opened.locator(f"{BRAIN} .screen").click()
    opened.keyboard.press("n")
    on_slice(opened, study, study.flagged[2])
    opened.keyboard.press("p")
    on_slice(opened, study, study.flagged[1])
    opened.get_by_role("button", name="Highest").click()
    on_slice(opened, study, study.flagged[0])


def test_heatmap_fades_and_switches_off(opened: Page, study: ReadStudy) -> None:
    heat = opened.locator(f"{BRAIN} canvas.heat")
    assert not empty(opened)
    assert empty(opened, "heat", "bone"), "one window shows the bare anatomy"
    fade = opened.get_by_role("slider", name="Heatmap opacity, per cent")
    fade.fill("20")
    expect(heat).to_have_css("opacity", "0.2")
    opened.get_by_role("checkbox", name="Heatmap").uncheck()
    opened.wait_for_function(
        "() => { const c = document.querySelector('.pane canvas.heat');"
        " return c.getContext('2d').getImageData(0, 0, c.width, c.height).data.every(each => each === 0) }"
    )
    opened.get_by_role("checkbox", name="Heatmap").check()
    opened.get_by_role("button", name="Heatmap on the bone window").click()
    opened.wait_for_function(
        "() => { const c = document.querySelector('.pane[data-window=bone] canvas.heat');"
        " return c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some(each => each !== 0) }"
    )
    opened.keyboard.press("Home")
    on_slice(opened, study, 0)
    assert empty(opened), "a slice without a heatmap never keeps another's"


# zoom, width and level -----------------------------------------------------------------------------------------------


def enlargement(page: Page, window: str = "brain", canvas: str = "slice") -> float:
    """How much larger a canvas is drawn than the screen it stands on."""
    return float(
        page.locator(f'.pane[data-window="{window}"] canvas.{canvas}').evaluate(
            "canvas => canvas.getBoundingClientRect().width / canvas.parentElement.getBoundingClientRect().width"
        )
    )


def covers_its_screen(page: Page, window: str = "brain") -> bool:
    return bool(
        page.locator(f'.pane[data-window="{window}"] canvas.slice').evaluate(
            """canvas => {
                const [image, screen] = [canvas, canvas.parentElement].map((each) => each.getBoundingClientRect());
                return image.left <= screen.left + 1 && image.right >= screen.right - 1
                    && image.top <= screen.top + 1 && image.bottom >= screen.bottom - 1; }"""
        )
    )


def test_all_windows_are_enlarged_alike_by_wheel_buttons_and_keys(opened: Page, study: ReadStudy) -> None:
    screen = opened.locator(f"{BRAIN} .screen")
    screen.hover(position={"x": 40, "y": 60})
    opened.keyboard.down("Control")
    opened.mouse.wheel(0, -300)
    opened.keyboard.up("Control")
    opened.wait_for_function("document.getElementById('zoom-level').value !== '100 %'")
    on_slice(opened, study, study.flagged[0])
    scale = enlargement(opened)
    assert scale > 1.5
    for window in ("subdural", "bone"):
        assert enlargement(opened, window) == pytest.approx(scale)
    assert enlargement(opened, canvas="heat") == pytest.approx(scale), "the heatmap stays on its place"
    opened.get_by_role("button", name="Zoom in").click()
    assert enlargement(opened) > scale
    for _ in range(20):
        opened.get_by_role("button", name="Zoom out").click()
    assert enlargement(opened) == pytest.approx(1.0)
    screen.click()
    opened.keyboard.press("+")
    assert enlargement(opened) == pytest.approx(1.25, rel=0.01)
    opened.keyboard.press("r")
    assert enlargement(opened) == pytest.approx(1.0)
    expect(opened.locator("#zoom-level")).to_have_text("100 %")


def test_what_is_enlarged_is_moved_by_dragging_and_keys_and_never_leaves_the_screen(
    opened: Page, study: ReadStudy
) -> None:
    screen = opened.locator(f"{BRAIN} .screen")
    for _ in range(4):
        opened.get_by_role("button", name="Zoom in").click()
    left = "canvas => canvas.getBoundingClientRect().left"
    before = float(opened.locator(f"{BRAIN} canvas.slice").evaluate(left))
    box = screen.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    opened.mouse.move(x, y)
    opened.mouse.down()
    opened.mouse.move(x + 30, y, steps=3)
    opened.mouse.up()
    assert float(opened.locator(f"{BRAIN} canvas.slice").evaluate(left)) == pytest.approx(before + 30, abs=1)
    on_slice(opened, study, study.flagged[0])
    for _ in range(30):
        opened.keyboard.press("Shift+ArrowRight")
    assert covers_its_screen(opened)
    on_slice(opened, study, study.flagged[0])
    opened.keyboard.press("ArrowUp")
    on_slice(opened, study, study.flagged[0] + 1)


def test_width_and_level_are_typed_dragged_and_reset(opened: Page, study: ReadStudy) -> None:
    before, of_bone = drawn(opened), drawn(opened, window="bone")
    width = opened.get_by_role("spinbutton", name="Width of the brain window, HU")
    with opened.expect_response("**/slices/*width_hu=30*"):
        width.fill("30")
        width.press("Enter")
    opened.wait_for_function("() => !document.querySelector('.pane.waiting')")
    expect(width).to_have_value("30")
    level = opened.get_by_role("spinbutton", name="Level of the brain window, HU")
    level.press("ArrowUp")
    expect(level).to_have_value("45")
    on_slice(opened, study, study.flagged[0])
    box = opened.locator(f"{BRAIN} .screen").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    with opened.expect_response("**/slices/*width_hu=50&center_hu=35*"):
        opened.mouse.move(x, y)
        opened.mouse.down(button="right")
        opened.mouse.move(x + 20, y + 10, steps=4)
        opened.mouse.up(button="right")
    expect(width).to_have_value("50")
    on_slice(opened, study, study.flagged[0])
    width.fill("")
    width.press("Enter")
    expect(width).to_have_value("80")
    opened.get_by_role("button", name="Reset zoom and windows").click()
    expect(level).to_have_value("40")
    opened.wait_for_function("() => !document.querySelector('.pane.waiting')")
    opened.keyboard.press("ArrowUp")
    on_slice(opened, study, study.flagged[0] + 1)
    opened.keyboard.press("ArrowDown")
    on_slice(opened, study, study.flagged[0])
    assert (drawn(opened), drawn(opened, window="bone")) == (before, of_bone)


def test_what_the_reader_has_set_outlasts_a_form(opened: Page, study: ReadStudy) -> None:
    opened.get_by_role("button", name="Brain", exact=True).click()
    opened.get_by_role("button", name="Zoom in").click()
    opened.get_by_role("slider", name="Heatmap opacity, per cent").fill("20")
    width = opened.get_by_role("spinbutton", name="Width of the brain window, HU")
    width.fill("50")
    width.press("Enter")
    opened.get_by_role("button", name="Take", exact=True).click()
    expect(opened.get_by_text("You are reading this study")).to_be_visible()
    on_slice(opened, study, study.flagged[0])
    expect(width).to_have_value("50")
    expect(opened.locator("#zoom-level")).to_have_text("125 %")
    expect(opened.locator(f"{BRAIN} canvas.heat")).to_have_css("opacity", "0.2")
    expect(opened.locator('.pane[data-window="bone"]')).to_be_hidden()
    opened.goto(study.path)
    on_slice(opened, study, study.flagged[0])
    expect(width).to_have_value("80")


def test_two_fingers_enlarge_on_a_phone(page: Page, sign_in: SignIn, study: ReadStudy) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    sign_in()
    page.goto(study.path)
    on_slice(page, study, study.flagged[0])
    page.locator(f"{BRAIN} .screen").evaluate(
        """screen => {
            const box = screen.getBoundingClientRect();
            screen.setPointerCapture = () => {};
            const touch = (type, id, x, y) => screen.dispatchEvent(new PointerEvent(type, {
                pointerId: id, pointerType: "touch", button: type === "pointermove" ? -1 : 0, bubbles: true,
                clientX: box.left + x, clientY: box.top + y }));
            touch("pointerdown", 11, 150, 200);
            touch("pointerdown", 12, 250, 200);
            touch("pointermove", 11, 100, 200);
            touch("pointermove", 12, 300, 200);
            touch("pointerup", 11, 100, 200);
            touch("pointerup", 12, 300, 200); }"""
    )
    assert enlargement(page) == pytest.approx(2.0, rel=0.02)
    assert covers_its_screen(page)
    on_slice(page, study, study.flagged[0])


# reading -------------------------------------------------------------------------------------------------------------


def test_reader_takes_disagrees_completes_and_signs_out(opened: Page, study: ReadStudy, screenshot: Screenshot) -> None:
    opened.keyboard.press("End")
    opened.get_by_role("button", name="Take", exact=True).click()
    expect(opened.get_by_text("You are reading this study")).to_be_visible()
    on_slice(opened, study, len(study.finding.slices) - 1)
    sdh = opened.locator("li.finding", has_text="Subdural hemorrhage")
    sdh.get_by_role("textbox", name="Comment on subdural hemorrhage").fill("calcified falx <b>")
    sdh.get_by_role("button", name="Disagree").click()
    expect(sdh).to_contain_text("dr.weber disagrees")
    expect(sdh).to_contain_text("calcified falx <b>")
    screenshot(opened, "study-disagreed")
    opened.get_by_role("button", name="Complete").click()
    expect(opened.get_by_text("Read by dr.weber").first).to_be_visible()
    opened.get_by_role("button", name="Sign out").click()
    opened.goto(study.path)
    assert "/sign-in" in opened.url


def test_open_page_shows_at_once_that_somebody_else_has_the_study(
    opened: Page, study: ReadStudy, sqlite_engine: Engine, repository: SqlStudyRepository, settings: Settings
) -> None:
    tasks = SqlReaderTasks(sqlite_engine)
    tasks.take(study.uid, "dr.wilson", datetime.now(UTC))
    expect(opened.get_by_text("dr.wilson is reading this study")).to_be_visible()
    expect(opened.get_by_role("button", name="Take", exact=True)).to_have_count(0)
    before = drawn(opened)
    late_slices(repository, settings.data_dir, study)
    expect(opened.get_by_text("There is a newer reading of this study.")).to_be_visible()
    assert drawn(opened) == before, "nothing is exchanged under the reader's eyes"
    link = opened.get_by_role("link", name="Show it").element_handle()
    tasks.release(study.uid, "dr.wilson", datetime.now(UTC))
    expect(opened.get_by_text("Nobody is reading this study")).to_be_visible()
    assert link.evaluate("link => link.isConnected"), "nor the link under the reader's pointer"
    link.click()
    expect(opened.locator("#slice-words")).to_contain_text(f"of {len(study.finding.slices) + 1}")


def test_reader_who_was_slower_is_told_who_has_the_study(
    page: Page, sign_in: SignIn, study: ReadStudy, sqlite_engine: Engine, expected_console: list[str]
) -> None:
    expected_console += ["409", "ERR_FAILED"]
    for path in ("**/reading", "**/worklist/events*"):
        page.route(path, lambda route: route.abort())  # the browser has not heard of it yet
    sign_in()
    page.goto(study.path)
    on_slice(page, study, study.flagged[0])
    SqlReaderTasks(sqlite_engine).take(study.uid, "dr.wilson", datetime.now(UTC))
    page.get_by_role("button", name="Take", exact=True).click()
    expect(page.locator("#problem")).to_contain_text("Dr.wilson has been reading this study")
    on_slice(page, study, study.flagged[0])


# what goes wrong -----------------------------------------------------------------------------------------------------


def test_slice_that_cannot_be_shown_says_so_and_the_others_go_on(
    page: Page, sign_in: SignIn, study: ReadStudy, expected_console: list[str]
) -> None:
    expected_console.append("410")
    study.volume.paths[0].unlink()
    sign_in()
    page.goto(study.path)
    on_slice(page, study, study.flagged[0])
    page.keyboard.press("Home")
    on_slice(page, study, 0)
    expect(page.locator(f"{BRAIN} .trouble")).to_contain_text("no longer kept on this node")
    assert empty(page, "slice"), "never another slice under this number"
    page.keyboard.press("ArrowUp")
    on_slice(page, study, 1)
    expect(page.locator(f"{BRAIN} .trouble")).to_have_text("")


def test_study_that_vanishes_while_open_is_told_and_stays_to_be_looked_at(
    opened: Page, sqlite_engine: Engine, expected_console: list[str]
) -> None:
    expected_console.append("404")
    with Session(sqlite_engine) as session, session.begin():
        session.execute(delete(StudyRow))
    opened.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(opened.get_by_text("This study is no longer on this node.")).to_be_visible()
    assert not empty(opened, "slice")


def test_page_that_loses_the_node_says_that_it_may_be_out_of_date_and_picks_up_again(
    opened: Page,
    study: ReadStudy,
    server: Any,
    sqlite_engine: Engine,
    expected_console: list[str],
    screenshot: Screenshot,
) -> None:
    expected_console.append("Failed to load resource|ERR_|net::")
    before = drawn(opened)
    server.stop()
    expect(opened.get_by_text("Connection lost, trying again.")).to_be_visible()
    assert drawn(opened) == before
    screenshot(opened, "study-cut-off")
    SqlReaderTasks(sqlite_engine).take(study.uid, "dr.wilson", datetime.now(UTC))
    expect(opened.get_by_text("Nobody is reading this study")).to_be_visible()
    server.start()
    expect(opened.get_by_text("dr.wilson is reading this study")).to_be_visible()
    expect(opened.locator("#cut-off")).to_be_hidden()


def test_study_that_vanished_takes_its_images_and_actions_along_in_words(
    opened: Page, sqlite_engine: Engine, expected_console: list[str], screenshot: Screenshot
) -> None:
    expected_console.append("404")
    with Session(sqlite_engine) as session, session.begin():
        session.execute(delete(StudyRow))
    opened.get_by_role("slider", name="Slice", exact=True).fill("1")
    expect(opened.locator(f"{BRAIN} .trouble")).not_to_be_empty()
    opened.get_by_role("button", name="Take", exact=True).click()
    expect(opened.get_by_role("heading", name="Not found")).to_be_visible()
    expect(opened.get_by_text("There is no such study")).to_be_visible()
    screenshot(opened, "study-vanished")


# how it looks --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("width", "theme"), [(1920, "dark"), (1440, "light"), (390, "dark")])
def test_axe_finds_nothing_serious_and_nothing_is_cut_off(
    page: Page, sign_in: SignIn, study: ReadStudy, screenshot: Screenshot, width: int, theme: str
) -> None:
    page.emulate_media(color_scheme="light" if theme == "light" else "dark")
    page.set_viewport_size({"width": width, "height": 1000})
    sign_in()
    page.goto(study.path)
    on_slice(page, study, study.flagged[0])
    screenshot(page, f"study-{theme}-{width}")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    shown = [
        name for name in ("brain", "subdural", "bone") if page.locator(f'.pane[data-window="{name}"]').is_visible()
    ]
    assert shown == (["brain"] if width < 768 else ["brain", "subdural", "bone"])
    found = Axe().run(page).response["violations"]
    assert [(each["id"], each["nodes"][0]["html"]) for each in found if each["impact"] in ("serious", "critical")] == []


def test_phone_shows_one_window_at_a_time(page: Page, sign_in: SignIn, study: ReadStudy) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    sign_in()
    page.goto(study.path)
    on_slice(page, study, study.flagged[0])
    page.get_by_role("button", name="Bone", exact=True).click()
    on_slice(page, study, study.flagged[0], "bone")
    expect(page.locator(BRAIN)).to_be_hidden()


def test_viewer_is_told_why_there_are_no_images(page: Page, sign_in: SignIn, study: ReadStudy) -> None:
    sign_in(Role.VIEWER, "vera")
    page.goto(study.path)
    expect(page.get_by_text("Your role (viewer) does not allow images to be shown.")).to_be_visible()
    expect(page.get_by_text("Flagged for suspected intracranial hemorrhage")).to_be_visible()
