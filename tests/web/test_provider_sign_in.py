"""Signing in at an identity provider: a real one over HTTP on loopback."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from urllib.parse import parse_qs, urlsplit

import httpx
import oidc_provider_mock
import pytest
from fakes.office import NOW, PASSWORD, Browser, Office

from triage_node.core.access import Role
from triage_node.web.openid_connect import OpenIdConnect


@pytest.fixture
def issuer() -> Iterator[str]:
    with oidc_provider_mock.run_server_in_thread() as server:
        yield f"http://localhost:{server.server_port}"


@pytest.fixture
def office(new_office: Callable[..., Office], issuer: str) -> Office:
    roles = {"radiology": Role.RADIOLOGIST, "pacs": Role.ADMINISTRATOR}
    provider = OpenIdConnect(issuer, "triage", "secret", scopes=("profile",), role_claim="groups", roles=roles)
    return new_office(provider=provider)


def _claims(issuer: str, sub: str, **claims: object) -> None:
    httpx.put(f"{issuer}/users/{sub}", json=claims).raise_for_status()


def _sent_back(browser: Browser, sub: str) -> str:
    """Go to the provider, sign in there, and return the address it sends back to."""
    there = browser.get("/sign-in/provider?next=/account").headers["location"]
    back = httpx.post(there, data={"sub": sub}).headers["location"]
    return back.replace("http://testserver", "")


def test_group_gives_the_role_and_the_account_is_made(office: Office, issuer: str) -> None:
    _claims(issuer, "42", preferred_username="Dora", groups=["radiology", "staff"])
    browser = office.browser()
    answer = browser.get(_sent_back(browser, "42"))
    assert (answer.status_code, answer.headers["location"]) == (303, "/account")
    assert office.users.named("dora").role is Role.RADIOLOGIST
    assert "identity provider" in browser.page("/account")


def test_request_carries_pkce_state_and_nonce(office: Office) -> None:
    asked = parse_qs(urlsplit(office.browser().get("/sign-in/provider").headers["location"]).query)
    assert asked["code_challenge_method"] == ["S256"]
    assert all(asked[name][0] for name in ("code_challenge", "state", "nonce"))


def test_nobody_gets_in_without_a_group_that_has_a_role(office: Office, issuer: str) -> None:
    _claims(issuer, "43", preferred_username="eve", groups=["staff"])
    browser = office.browser()
    answer = browser.get(_sent_back(browser, "43"))
    assert answer.status_code == 403
    assert "none of your groups" in answer.text.lower()
    assert not office.users.every()


def test_answer_for_another_browser_or_without_a_beginning_is_refused(office: Office, issuer: str) -> None:
    _claims(issuer, "44", preferred_username="dora", groups=["pacs"])
    back = _sent_back(office.browser(), "44")
    other = office.browser()
    assert other.get(back).status_code == 403
    other.get("/sign-in/provider")
    assert other.get(back).status_code == 403


def test_proof_for_another_attempt_is_refused(office: Office, issuer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _claims(issuer, "45", preferred_username="dora", groups=["pacs"])
    from dataclasses import replace

    from triage_node.core.accounts import IdentityRefused

    provider = OpenIdConnect(issuer, "triage", "s", scopes=(), role_claim="groups", roles={"pacs": Role.ADMINISTRATOR})
    pending = provider.begin("http://testserver/back")
    code = parse_qs(urlsplit(httpx.post(pending.url, data={"sub": "45"}).headers["location"]).query)["code"][0]
    with pytest.raises(IdentityRefused, match="not valid"):
        provider.finish(replace(pending, nonce="another"), "http://testserver/back", code)


def test_name_of_a_local_account_is_not_taken_over(office: Office, issuer: str) -> None:
    office.users.add("ada", Role.ADMINISTRATOR, PASSWORD, NOW)
    _claims(issuer, "46", preferred_username="ada", groups=["pacs"])
    browser = office.browser()
    assert browser.get(_sent_back(browser, "46")).status_code == 403


def test_provider_that_is_down_is_told_without_a_trace(new_office: Callable[..., Office]) -> None:
    down = OpenIdConnect("http://localhost:1", "t", None, scopes=(), role_claim="groups", roles={"a": Role.VIEWER})
    answer = new_office(provider=down).browser().get("/sign-in/provider")
    assert answer.status_code == 503
    assert "does not answer" in answer.text
