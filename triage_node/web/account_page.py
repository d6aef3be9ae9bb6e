"""What everybody may do with one's own account: change the password, make and revoke API tokens."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Form, HTTPException, Request, Response
from fastapi.responses import RedirectResponse

from triage_node.core.access import Visitor
from triage_node.core.accounts import SHORTEST_PASSWORD, PasswordRejected, SignInRefused
from triage_node.core.audit import AuditAction
from triage_node.core.errors import Refused
from triage_node.web.error_pages import PASSWORD_PATH
from triage_node.web.pages import page
from triage_node.web.parts import AccountParts, WebParts
from triage_node.web.visitors import note, own_account, session_token

_OWN = Annotated[Visitor, Depends(own_account())]
_OWING = Annotated[Visitor, Depends(own_account(owing_password=True))]
_LONGEST_LIFE_DAYS = 3650


def routes(parts: WebParts, accounts: AccountParts) -> APIRouter:
    """Return the routes."""
    router = APIRouter(include_in_schema=False)
    _add_password_routes(router, parts, accounts)
    _add_token_routes(router, parts, accounts)
    return router


def _add_password_routes(router: APIRouter, parts: WebParts, accounts: AccountParts) -> None:
    @router.get(PASSWORD_PATH)
    def show(request: Request, visitor: _OWING) -> Response:
        return _password_page(request)

    @router.post(PASSWORD_PATH)
    def change(
        request: Request,
        visitor: _OWING,
        old: Annotated[str, Form()] = "",
        new: Annotated[str, Form()] = "",
        again: Annotated[str, Form()] = "",
    ) -> Response:
        if new != again:
            return _password_page(request, "The new password was not typed twice alike.")
        if new == old:
            return _password_page(request, "The new password is the old one.")
        try:
            kept = session_token(request) or ""
            accounts.sign_ins.change_password(visitor.name, old, new, kept, parts.clock.now())
        except PasswordRejected as rejected:
            return _password_page(request, f"{str(rejected).capitalize()}.")
        except SignInRefused:
            note(request, AuditAction.SIGN_IN_FAILED, what="password change")
            return _password_page(
                request, "The old password is wrong, or the account is locked after too many attempts."
            )
        note(request, AuditAction.PASSWORD_CHANGED)
        return RedirectResponse("/" if visitor.must_change_password else "/account?changed=1", 303)


def _password_page(request: Request, told: str = "") -> Response:
    return page(request, "password.html", told=told, shortest=SHORTEST_PASSWORD, status_code=400 if told else 200)


def _add_token_routes(router: APIRouter, parts: WebParts, accounts: AccountParts) -> None:
    def account_page(request: Request, visitor: Visitor, status_code: int = 200, **shown: object) -> Response:
        own = accounts.users.named(visitor.name)
        tokens = accounts.api_tokens.of(visitor.name)
        now = parts.clock.now()
        return page(request, "account.html", status_code=status_code, own=own, tokens=tokens, now=now, **shown)

    @router.get("/account")
    def show(request: Request, visitor: _OWN, changed: str = "") -> Response:
        return account_page(request, visitor, changed=bool(changed))

    @router.post("/account/tokens")
    def make_token(
        request: Request, visitor: _OWN, name: Annotated[str, Form()] = "", days: Annotated[str, Form()] = ""
    ) -> Response:
        now = parts.clock.now()
        try:
            expires_at = now + timedelta(days=_checked_days(days)) if days.strip() else None
            secret = accounts.api_tokens.make(visitor.name, name, now, expires_at)
        except Refused as refused:
            return account_page(request, visitor, 400, told=f"{str(refused).capitalize()}.")
        note(request, AuditAction.TOKEN_MADE, token=name.strip())
        return account_page(request, visitor, secret=secret)

    @router.post("/account/tokens/revoke")
    def revoke_token(request: Request, visitor: _OWN, name: Annotated[str, Form()] = "") -> Response:
        try:
            accounts.api_tokens.revoke(visitor.name, name)
        except Refused as refused:
            raise HTTPException(404, str(refused)) from None
        note(request, AuditAction.TOKEN_REVOKED, token=name)
        return RedirectResponse("/account", 303)


def _checked_days(days: str) -> int:
    if not days.strip().isdecimal() or not 1 <= int(days) <= _LONGEST_LIFE_DAYS:
        raise Refused(f"a token lives for 1 to {_LONGEST_LIFE_DAYS} days, or without an end where nothing is given")
    return int(days)
