"""Signing in and out as a browser does it, and everything that must not get in."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from fakes.office import PASSWORD, Office

from triage_node.core.access import Role
from triage_node.web.visitors import SESSION_COOKIE

OTHER = "another long sentence"


def test_signing_in_leads_to_where_one_wanted_to_go_and_out_again(office: Office) -> None:
    browser = office.browser()
    asked = browser.get("/account?changed=1")
    assert asked.status_code == 303
    assert asked.headers["location"] == "/sign-in?next=/account%3Fchanged%3D1"
    answer = browser.sign_in("vera", wanted="/account?changed=1")
    assert (answer.status_code, answer.headers["location"]) == (303, "/account?changed=1")
    assert "vera" in browser.page("/account")
    out = browser.submit("/sign-out")
    assert (out.status_code, out.headers["location"]) == (303, "/sign-in")
    assert browser.get("/account").headers["location"].startswith("/sign-in")
    assert office.actions() == [("vera", "SIGNED_IN"), ("vera", "SIGNED_OUT")]


def test_cookie_is_kept_from_scripts_and_other_sites(office: Office) -> None:
    answer = office.browser().sign_in("vera")
    (cookie,) = [each for each in answer.headers.get_list("set-cookie") if each.startswith(SESSION_COOKIE)]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Path=/" in cookie
    assert "Domain" not in cookie
    assert "Secure" not in cookie


def test_cookie_over_https_is_secure_and_bound_to_the_host(office: Office) -> None:
    browser = office.browser(base_url="https://testserver")
    answer = browser.sign_in("vera")
    (cookie,) = [each for each in answer.headers.get_list("set-cookie") if SESSION_COOKIE in each]
    assert cookie.startswith(f"__Host-{SESSION_COOKIE}=")
    assert "Secure" in cookie
    assert browser.page("/account")


def test_each_sign_in_makes_a_new_session_and_ends_the_browsers_old_one(office: Office) -> None:
    browser = office.signed_in("vera")
    old = browser.cookies[SESSION_COOKIE]
    browser.cookies.delete(SESSION_COOKIE)
    browser.page("/sign-in")
    browser.cookies.set(SESSION_COOKIE, old)
    assert browser.get("/sign-in").status_code == 303, "one who is signed in needs no form"
    form = browser.cookies["triage_sign_in"]
    browser.post("/sign-in", data={"form_token": form, "name": "rado", "password": PASSWORD})
    assert office.accounts.of_session(old, office.clock.now()) is None


@pytest.mark.parametrize("cookie", ["forged", "", "a" * 43, "' OR 1=1 --", "../../etc/passwd"])
def test_forged_session_is_led_to_the_sign_in_page(office: Office, cookie: str) -> None:
    browser = office.browser()
    browser.cookies.set(SESSION_COOKIE, cookie)
    assert browser.get("/account").headers["location"].startswith("/sign-in")


def test_expired_session_is_led_to_the_sign_in_page(office: Office) -> None:
    browser = office.signed_in("vera")
    office.clock.advance(3600)
    assert browser.get("/account").headers["location"].startswith("/sign-in")


def test_session_of_a_disabled_user_is_over_at_once(office: Office) -> None:
    browser = office.signed_in("vera")
    office.users.disable("vera")
    assert browser.get("/account").headers["location"].startswith("/sign-in")


def test_unknown_user_and_wrong_password_read_the_same(office: Office) -> None:
    pages = []
    for name, password in (("vera", OTHER), ("nobody", PASSWORD), ("<script>alert(1)</script>", PASSWORD), ("", "")):
        browser = office.browser()
        answer = browser.sign_in(name, password)
        assert answer.status_code == 401
        pages.append(re.sub(r'name="form_token" value="[^"]+"', "", answer.text))
        assert SESSION_COOKIE not in browser.cookies
    assert len(set(pages)) == 1


def test_refusal_takes_as_long_for_a_name_that_is_not_there(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr("triage_node.web.sign_in.REFUSAL_TAKES_S", 5.0)
    monkeypatch.setattr("triage_node.web.sign_in.time.sleep", slept.append)
    for name in ("vera", "nobody"):
        office.browser().sign_in(name, OTHER)
    assert len(slept) == 2
    assert all(0 < each <= 5 for each in slept)


def test_locked_account_reads_the_same_and_opens_again(office: Office) -> None:
    browser = office.browser()
    for _ in range(3):
        browser.sign_in("vera", OTHER)
    wrong, right = browser.sign_in("vera", OTHER), browser.sign_in("vera")
    assert (right.status_code, right.text) == (401, wrong.text)
    assert office.actions()[-1] == ("vera", "SIGN_IN_LOCKED")
    office.clock.advance(601)
    assert browser.sign_in("vera").status_code == 303


def test_name_that_nobody_has_is_not_written_into_the_trail(office: Office) -> None:
    office.browser().sign_in("my secret password in the wrong field", OTHER)
    assert office.actions() == [("nobody", "SIGN_IN_FAILED")]


def test_one_address_cannot_try_many_accounts(new_office: Callable[..., Office]) -> None:
    office = new_office(attempts=4)
    office.users.add("vera", Role.VIEWER, PASSWORD, office.clock.now())
    browser = office.browser()
    for number in range(4):
        assert browser.sign_in(f"user{number}", OTHER).status_code == 401
    answer = browser.sign_in("vera")
    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "300"
    assert "try again in 5 minutes" in answer.text
    office.clock.advance(301)
    assert browser.sign_in("vera").status_code == 303


@pytest.mark.parametrize(
    "wanted",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "javascript:alert(1)",
        "/sign-out",
        "evil.example",
        "///evil.example",
        "/\u2028/evil",
    ],
)
def test_nobody_is_sent_to_another_site(office: Office, wanted: str) -> None:
    assert office.browser().sign_in("vera", wanted=wanted).headers["location"] == "/"
    shown = office.browser().get("/sign-in", params={"next": wanted}).text
    assert "evil" not in shown
    assert office.signed_in("vera").get("/sign-in", params={"next": wanted}).headers["location"] == "/"


@pytest.mark.parametrize("given", [None, "", "wrong", "a" * 43])
def test_form_of_another_site_signs_nobody_in(office: Office, given: str | None) -> None:
    browser = office.browser()
    browser.page("/sign-in")
    data = {"name": "vera", "password": PASSWORD} | ({"form_token": given} if given is not None else {})
    answer = browser.post("/sign-in", data=data)
    assert answer.status_code == 403
    assert "out of date" in answer.text
    assert SESSION_COOKIE not in browser.cookies


def test_form_without_its_cookie_signs_nobody_in(office: Office) -> None:
    browser = office.browser()
    browser.page("/sign-in")
    token = browser.cookies["triage_sign_in"]
    browser.cookies.clear()
    data = {"name": "vera", "password": PASSWORD, "form_token": token}
    assert browser.post("/sign-in", data=data).status_code == 403


def test_password_made_by_somebody_else_is_changed_before_anything_else(office: Office) -> None:
    office.users.set_password("ada", OTHER)
    browser = office.browser()
    assert browser.sign_in("ada", OTHER, "/users").headers["location"] == "/account/password"
    for path in ("/account", "/users", "/audit"):
        assert browser.get(path).headers["location"] == "/account/password"
    page = "/account/password"
    new = "my own long sentence"
    changed = browser.submit(page, page, old=OTHER, new=new, again=new)
    assert (changed.status_code, changed.headers["location"]) == (303, "/")
    assert browser.page("/users")
    assert ("ada", "PASSWORD_CHANGED") in office.actions()


@pytest.mark.parametrize(
    ("old", "new", "again", "told"),
    [
        ("wrong old password", OTHER, OTHER, "old password is wrong"),
        (PASSWORD, OTHER, OTHER + "x", "not typed twice alike"),
        (PASSWORD, PASSWORD, PASSWORD, "is the old one"),
        (PASSWORD, "short", "short", "too short"),
        (PASSWORD, "vera-vera-vera", "vera-vera-vera", "hardly more than the user"),
        (PASSWORD, "passwordpassword", "passwordpassword", "tried first"),
    ],
)
def test_bad_change_of_password_says_why_and_changes_nothing(
    office: Office, old: str, new: str, again: str, told: str
) -> None:
    browser = office.signed_in("vera")
    answer = browser.submit("/account/password", "/account/password", old=old, new=new, again=again)
    assert answer.status_code == 400
    assert told in answer.text
    assert office.signed_in("vera")


def test_changed_password_signs_out_the_other_browsers(office: Office) -> None:
    here, there = office.signed_in("vera"), office.signed_in("vera")
    here.submit("/account/password", old=PASSWORD, new=OTHER, again=OTHER)
    assert here.get("/account").status_code == 200
    assert there.get("/account").status_code == 303


def test_no_secret_is_logged(
    office: Office, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    browser = office.signed_in("vera")
    office.browser().sign_in("vera", "a wrong password that is secret")
    browser.submit("/account/password", old=PASSWORD, new=OTHER, again=OTHER)
    shown = re.search(r"<code>(triage_[^<]+)</code>", browser.submit("/account/tokens", name="ris").text)
    assert shown
    office.browser().get("/account", headers={"Authorization": f"Bearer {shown[1]}"})
    printed = "".join(capsys.readouterr()) + caplog.text
    for secret in (PASSWORD, OTHER, "a wrong password", shown[1], browser.cookies[SESSION_COOKIE]):
        assert secret not in printed


def test_session_stays_while_it_is_used(office: Office) -> None:
    browser = office.signed_in("vera")
    for _ in range(4):
        office.clock.advance(timedelta(minutes=40).total_seconds())
        assert browser.get("/account").status_code == 200
    office.clock.advance(timedelta(minutes=21).total_seconds())
    assert browser.get("/account").status_code == 303, "three hours are the longest"
