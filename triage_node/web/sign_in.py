"""Signing in with name and password, signing out, and what both share with signing in elsewhere: the session's cookie."""

from __future__ import annotations

import math
import secrets
import time
from typing import Annotated

from fastapi import APIRouter, Depends, Form, HTTPException, Request, Response
from fastapi.responses import RedirectResponse

from triage_node.core.access import Visitor
from triage_node.core.accounts import SignedIn, SignInRefused
from triage_node.core.audit import AuditAction
from triage_node.web.error_pages import PASSWORD_PATH, SIGN_IN_PATH
from triage_node.web.pages import page
from triage_node.web.parts import AccountParts, WebParts
from triage_node.web.safe_path import safe_path
from triage_node.web.visitors import (
    SESSION_COOKIE,
    address_of,
    cookie_name,
    note,
    own_account,
    session_token,
    visitor_of,
)

FORM_COOKIE = "triage_sign_in"
"""Ties the sign-in form to the browser: nobody signs another one's browser in under his own name (login CSRF)."""
REFUSAL_TAKES_S = 0.4
"""A refusal comes no sooner, so that its time does not tell whether there is such a user."""


def routes(parts: WebParts, accounts: AccountParts) -> APIRouter:
    """Return the routes."""
    router = APIRouter(include_in_schema=False)

    @router.get(SIGN_IN_PATH)
    def show(request: Request, next: str = "/") -> Response:
        if visitor_of(request) is not None:
            return RedirectResponse(safe_path(next), 303)
        return sign_in_page(request, accounts, next)

    @router.post(SIGN_IN_PATH)
    def sign_in(
        request: Request,
        name: Annotated[str, Form()] = "",
        password: Annotated[str, Form()] = "",
        form_token: Annotated[str, Form()] = "",
        next: Annotated[str, Form()] = "/",
    ) -> Response:
        started, now, address = time.monotonic(), parts.clock.now(), address_of(request)
        if not _is_own_form(request, form_token):
            told = "The form was out of date. Please sign in again; your browser has to accept cookies for that."
            return sign_in_page(request, accounts, next, told, status_code=403)
        if (wait := accounts.attempts.wait(address, now)) is not None:
            seconds = math.ceil(wait.total_seconds())
            told = f"too many failed attempts from {address}: try again in {math.ceil(seconds / 60)} minutes"
            raise HTTPException(429, told, {"Retry-After": str(seconds)})
        try:
            signed_in = accounts.sign_ins.sign_in(name, password, address, now)
        except SignInRefused as refused:
            accounts.attempts.note_failure(address, now)
            note_refusal(parts, address, refused)
            time.sleep(max(0.0, started + REFUSAL_TAKES_S - time.monotonic()))
            told = f"{refused} Check both, or wait a quarter of an hour, or ask an administrator."
            return sign_in_page(request, accounts, next, told, status_code=401)
        return begin_session(request, parts, accounts, signed_in, safe_path(next), how="password")

    @router.post("/sign-out")
    def sign_out(request: Request, _visitor: Annotated[Visitor, Depends(own_account(owing_password=True))]) -> Response:
        note(request, AuditAction.SIGNED_OUT)
        accounts.sign_ins.sign_out(session_token(request) or "")
        answer = RedirectResponse(SIGN_IN_PATH, 303)
        name = cookie_name(request, SESSION_COOKIE)
        answer.delete_cookie(name, path="/", secure=_is_https(request), httponly=True, samesite="lax")
        return answer

    return router


def sign_in_page(
    request: Request, accounts: AccountParts, wanted: str, told: str = "", *, status_code: int = 200
) -> Response:
    """Return the sign-in page, its form tied to this browser."""
    kept = request.cookies.get(cookie_name(request, FORM_COOKIE), "")
    token = kept if len(kept) >= 32 else secrets.token_urlsafe(32)
    answer = page(
        request,
        "sign_in.html",
        status_code=status_code,
        next=safe_path(wanted),
        form_token=token,
        told=told,
        provider=accounts.provider.label if accounts.provider else None,
    )
    set_cookie(request, answer, FORM_COOKIE, token, max_age=3600, strict=True)
    return answer


def begin_session(
    request: Request, parts: WebParts, accounts: AccountParts, signed_in: SignedIn, wanted: str, how: str
) -> Response:
    """End the browser's earlier session, give it the new one, and send it on."""
    earlier = session_token(request)
    if earlier is not None:
        accounts.sign_ins.sign_out(earlier)
    now = parts.clock.now()
    parts.audit.note(signed_in.name, AuditAction.SIGNED_IN, None, address_of(request), {"how": how}, now)
    visitor = parts.visitors.of_session(signed_in.token, now)
    owes_password = visitor is not None and visitor.must_change_password
    answer = RedirectResponse(PASSWORD_PATH if owes_password else wanted, 303)
    set_cookie(request, answer, SESSION_COOKIE, signed_in.token)
    return answer


def set_cookie(
    request: Request, answer: Response, name: str, value: str, *, max_age: int | None = None, strict: bool = False
) -> None:
    """Set a cookie that no script reads and that other sites' forms do not send.

    The session's is Lax, not Strict: with Strict, a link from the PACS, from an e-mail or back from the identity provider
    would lead to the sign-in page although one is signed in.
    """
    answer.set_cookie(
        cookie_name(request, name),
        value,
        max_age=max_age,
        path="/",
        secure=_is_https(request),
        httponly=True,
        samesite="strict" if strict else "lax",
    )


def note_refusal(parts: WebParts, address: str, refused: SignInRefused) -> None:
    """Write a failed attempt into the trail. A name that nobody has is left out: people type passwords there."""
    action = AuditAction.SIGN_IN_LOCKED if refused.locked else AuditAction.SIGN_IN_FAILED
    parts.audit.note(refused.known_name or "nobody", action, None, address, {}, parts.clock.now())


def _is_own_form(request: Request, given: str) -> bool:
    kept = request.cookies.get(cookie_name(request, FORM_COOKIE), "")
    return bool(kept) and secrets.compare_digest(given.encode(), kept.encode())


def _is_https(request: Request) -> bool:
    return request.url.scheme == "https"
